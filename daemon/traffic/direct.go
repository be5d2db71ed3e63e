package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Most requests are simple: no body, or a small one that is there at once, and an
// answer of HTTP/1.1. They are exchanged with the instance by the goroutine that
// has the request, over a connection of a pool of the balancer's own. net/http's
// client, with its two goroutines for each connection, costs about twice the CPU
// time; it carries everything else.

// maxInformational bounds the answers of status 1xx before the real one.
const maxInformational = 5

// simple reports whether a request may be exchanged directly.
func (x *exchange) simple(r *http.Request) bool {
	if x.upload != nil && !x.upload.keep || len(r.Trailer) > 0 || isGRPC(r) {
		return false
	}
	h := r.Header
	return h["Upgrade"] == nil && h["Expect"] == nil && h["Te"] == nil
}

// link is a connection to an instance.
type link struct {
	net.Conn

	reader *bufio.Reader
	reused bool
	since  time.Time // of its idleness
}

// links is the pool of a backend's connections that are not in use.
type links struct {
	mu     sync.Mutex
	idle   []*link // the last used one last
	closed bool
}

// take is a connection that is ready to be used; nil when a new one has to be made.
func (l *links) take() *link {
	for {
		l.mu.Lock()
		n := len(l.idle)
		if n == 0 {
			l.mu.Unlock()
			return nil
		}
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		if time.Since(c.since) < idleUpstream && c.reader.Buffered() == 0 && quiet(c.Conn) {
			c.reused = true
			return c
		}
		_ = c.Close()
	}
}

// give returns a connection after a whole exchange.
func (l *links) give(c *link) {
	c.since = time.Now()
	l.mu.Lock()
	keep := !l.closed && len(l.idle) < maxIdle
	if keep {
		l.idle = append(l.idle, c)
	}
	l.mu.Unlock()
	if !keep {
		_ = c.Close()
	}
}

// prune closes the connections that have not been used for a while; all of them,
// those that come back later among them, when the backend has gone.
func (l *links) prune(all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = l.closed || all
	l.idle = slices.DeleteFunc(l.idle, func(c *link) bool {
		old := all || time.Since(c.since) >= idleUpstream
		if old {
			_ = c.Close()
		}
		return old
	})
}

// serveDirectly answers a simple request.
func (b *Balancer) serveDirectly(w http.ResponseWriter, r *http.Request, x *exchange) {
	defer context.AfterFunc(r.Context(), x.watch.gone)()
	res, err := b.answerDirectly(x, w, r)
	if err != nil {
		b.explainTo(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)), err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	x.dress(res)
	header := w.Header()
	for name, values := range res.Header {
		header[name] = values
	}
	announced := slices.Collect(maps.Keys(res.Trailer))
	if len(announced) > 0 {
		header["Trailer"] = announced
	}
	w.WriteHeader(res.StatusCode)
	if err := copyAnswer(w, res, &x.watch); err != nil {
		panic(http.ErrAbortHandler) // the answer is half sent; its client is to notice
	}
	for name, values := range res.Trailer {
		if !slices.Contains(announced, name) {
			name = http.TrailerPrefix + name
		}
		header[name] = values
	}
}

// answerDirectly is the head of an instance's answer.
func (b *Balancer) answerDirectly(x *exchange, w http.ResponseWriter, r *http.Request) (*http.Response, error) {
	var body []byte
	if x.upload != nil {
		var err error
		if body, err = x.upload.whole(r.ContentLength); err != nil {
			return nil, err
		}
	}
	return b.offer(x, r, func(req *http.Request, m *backend) (*http.Response, error) { return x.sendDirectly(w, req, body, m) })
}

// copyAnswer copies an answer's body; what comes bit by bit goes on bit by bit.
func copyAnswer(w http.ResponseWriter, res *http.Response, moved *watch) error {
	if res.ContentLength < 0 { // the body may be long in coming
		if err := moved.controller.Flush(); err != nil {
			return err
		}
	}
	buf := copyBuffers.Get()
	defer copyBuffers.Put(buf)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			moved.answered()
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if res.ContentLength < 0 {
				if err := moved.controller.Flush(); err != nil {
					return err
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// sendDirectly exchanges a request with one instance, up to the head of its
// answer. A connection that was used before may have been closed meanwhile: then
// what may be repeated goes over a new one.
func (x *exchange) sendDirectly(w http.ResponseWriter, r *http.Request, body []byte, b *backend) (*http.Response, error) {
	message := heads.Get()
	defer heads.Put(message)
	*message = append(x.appendHead((*message)[:0], r, len(body)), body...)
	for c := b.links.take(); c != nil; c = b.links.take() {
		res, untouched, err := x.converse(w, r, *message, b, c)
		if err == nil || x.watch.ended() || !untouched || !idempotent(r) {
			return res, err
		}
	}
	conn, err := b.dial(r.Context())
	if err != nil {
		return nil, err
	}
	res, _, err := x.converse(w, r, *message, b, &link{Conn: conn, reader: bufio.NewReaderSize(conn, 4<<10)})
	return res, err
}

// converse sends a message and reads the head of the answer. After an error
// untouched says that nothing had come of an answer.
func (x *exchange) converse(w http.ResponseWriter, r *http.Request, message []byte, b *backend, c *link) (res *http.Response, untouched bool, err error) {
	if !x.watch.hold(c) {
		_ = c.Close()
		return nil, false, x.watch.cause()
	}
	if _, err = c.Write(message); err == nil {
		if _, err = c.reader.Peek(1); err == nil {
			if res, err = readAnswer(c.reader, r, w); err == nil {
				res.Body = &directBody{ReadCloser: res.Body, link: c, backend: b, watch: &x.watch, reusable: !res.Close}
				return res, false, nil
			}
			x.watch.hold(nil)
			return nil, false, errors.Join(fmt.Errorf("read the answer: %w", err), c.Close())
		}
	}
	x.watch.hold(nil)
	return nil, c.reused, errors.Join(fmt.Errorf("exchange with the instance: %w", err), c.Close())
}

var (
	errProtocol = errors.New("the instance changed to another protocol without being asked")
	errStatus   = errors.New("the instance answers with a status that is none")
)

// isStatus reports whether a number can be passed on as a status: net/http's server
// panics at any other.
func isStatus(code int) bool { return code >= http.StatusContinue && code <= 999 }

// readAnswer reads the head of the answer, without what is between the two ends of
// one connection only. Answers that only inform, such as 103, go on to the client.
func readAnswer(reader *bufio.Reader, r *http.Request, w http.ResponseWriter) (*http.Response, error) {
	for range maxInformational {
		res, err := http.ReadResponse(reader, r)
		if err != nil {
			return nil, err
		}
		switch {
		case !isStatus(res.StatusCode):
			return nil, errStatus
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errProtocol
		case res.StatusCode < http.StatusOK:
			inform(w, res)
			continue
		}
		dropHopByHop(res.Header)
		return res, nil
	}
	return nil, errors.New("the instance does not come to its answer")
}

// inform passes an answer of status 1xx on, but 100: that one is the server's own.
func inform(w http.ResponseWriter, res *http.Response) {
	if res.StatusCode == http.StatusContinue {
		return
	}
	h := w.Header()
	for name, values := range res.Header {
		h[name] = values
	}
	w.WriteHeader(res.StatusCode)
	clear(h)
}

// directBody is an answer's body; the connection goes back to its pool once it has
// been read to its end.
type directBody struct {
	io.ReadCloser

	link     *link
	backend  *backend
	watch    *watch
	reusable bool
	ended    bool
}

func (d *directBody) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		d.ended = true
	}
	return n, err
}

// Close ends the use of the connection.
func (d *directBody) Close() error {
	if d.link == nil {
		return nil
	}
	c := d.link
	d.link = nil
	d.watch.hold(nil)
	if d.reusable && d.ended && !d.watch.ended() {
		d.backend.links.give(c)
		return nil
	}
	return c.Close()
}

// isHopByHop reports whether a header is of one connection only (RFC 9110, section 7.6.1).
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	default:
		return false
	}
}

func dropHopByHop(h http.Header) {
	for _, name := range namedByConnection(h) {
		delete(h, name)
	}
	for name := range h {
		if isHopByHop(name) {
			delete(h, name)
		}
	}
}

// namedByConnection are the headers that a Connection header takes out.
func namedByConnection(h http.Header) (names []string) {
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = textproto.TrimString(name); name != "" {
				names = append(names, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
	return names
}

// appendHead writes the head of the request as the instance sees it.
func (x *exchange) appendHead(p []byte, r *http.Request, length int) []byte {
	u := *r.URL
	x.strip(&u)
	p = append(p, r.Method...)
	p = append(p, ' ')
	p = append(p, u.RequestURI()...)
	p = append(p, " HTTP/1.1\r\nHost: "...)
	p = append(p, r.Host...)
	p = append(p, "\r\n"...)
	dropped := namedByConnection(r.Header)
	for name, values := range r.Header {
		if isHopByHop(name) || ours(name) || len(dropped) > 0 && slices.Contains(dropped, name) {
			continue
		}
		for _, v := range values {
			p = appendHeader(p, name, v)
		}
	}
	p = x.appendDescription(p)
	if length > 0 || r.ContentLength == 0 && needsLength(r.Method) {
		p = append(p, "Content-Length: "...)
		p = strconv.AppendInt(p, int64(length), 10)
		p = append(p, "\r\n"...)
	}
	return append(p, "\r\n"...)
}

// ours are the headers that appendHead writes itself.
func ours(name string) bool {
	switch name {
	case "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Request-Id", "Content-Length", "Host":
		return true
	default:
		return false
	}
}

// needsLength reports whether a request of the method says that it has no body.
func needsLength(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// appendHeader writes a header line. net/http has let no value through that could
// end it early; that is not left to chance.
func appendHeader(p []byte, name, value string) []byte {
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return p
	}
	p = append(p, name...)
	p = append(p, ": "...)
	p = append(p, value...)
	return append(p, "\r\n"...)
}

// appendDescription writes what describe sets.
func (x *exchange) appendDescription(p []byte) []byte {
	h := make(http.Header, 8)
	x.describe(h)
	for name, values := range h {
		for _, v := range values {
			p = appendHeader(p, name, v)
		}
	}
	return p
}

// heads are buffers that requests are written into.
var heads = byteBuffers{sync.Pool{New: func() any { return new([]byte) }}}

type byteBuffers struct{ pool sync.Pool }

// Get is a buffer of any length.
func (b *byteBuffers) Get() *[]byte {
	p, _ := b.pool.Get().(*[]byte)
	return p
}

// Put gives it back.
func (b *byteBuffers) Put(p *[]byte) {
	if cap(*p) <= maxKept {
		b.pool.Put(p)
	}
}
