package traffic

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync/atomic"
)

// strict is a client's connection of HTTP/1 on which nothing is accepted that two
// readers could frame in two ways: the seam at which requests are smuggled. It
// follows the bytes from head to body to the next head, by the rules of RFC 9112,
// and turns the first that breaks them into a line that net/http refuses with 400.
//
// net/http itself joins folded lines, takes a bare line feed for the end of one,
// and forgets a Content-Length beside Transfer-Encoding: chunked.
type strict struct {
	net.Conn

	tls bool
	// serverName is what the client called the host when it began with TLS.
	serverName string
	// through is set once the connection has changed to another protocol.
	through atomic.Bool

	frame  framing
	poison []byte // what remains to be read instead of what the client sent
	spoilt bool
}

// spoiling is no header line, whatever stands before it, and ends the head.
const spoiling = "\x00\r\n\r\n"

// Read reads on and checks what was read.
func (s *strict) Read(p []byte) (int, error) {
	if s.spoilt {
		return s.spoil(p)
	}
	n, err := s.Conn.Read(p)
	if n == 0 || s.through.Load() {
		return n, err
	}
	good, ok := s.frame.feed(p[:n])
	if s.frame.state == inTunnel {
		s.through.Store(true)
	}
	if ok {
		return n, err
	}
	s.spoilt, s.poison = true, []byte(spoiling)
	m, _ := s.spoil(p[good:])
	return good + m, nil
}

// spoil reads from the poison, and then nothing more.
func (s *strict) spoil(p []byte) (int, error) {
	if len(s.poison) == 0 {
		return 0, net.ErrClosed
	}
	n := copy(p, s.poison)
	s.poison = s.poison[n:]
	return n, nil
}

// States of a framing.
const (
	inHead = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	inPreface
	inTunnel
)

// Bounds of what is followed.
const (
	maxFramedLine  = 64 << 10
	maxChunkLine   = 256
	maxLengthDigit = 18
)

// preface is the first line of HTTP/2 without negotiation (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0"

// afterPreface are the lines behind it. Only with all of them does net/http speak
// HTTP/2; anything else that begins like it is one more request of HTTP/1 to it.
var afterPreface = [...]string{"", "SM", ""}

// framing follows the messages on a connection.
type framing struct {
	state int
	line  []byte // so far, without its end
	cr    bool   // the last byte was a carriage return
	first bool   // of the head, past its first line
	rest  int64  // of the body or chunk
	// length and chunked are what the head says of the body.
	length  int64
	hasLen  bool
	chunked bool
	old     bool // HTTP/1.0
	// spoken is set where HTTP/2 cannot begin any more: after the first message, or
	// where it would have been negotiated.
	spoken bool
}

// feed follows some bytes. It returns how many are beyond doubt, and false at the
// first that is not.
func (f *framing) feed(p []byte) (int, bool) {
	for k := 0; k < len(p); {
		switch f.state {
		case inTunnel:
			return len(p), true
		case inBody, inChunk:
			n := min(int64(len(p)-k), f.rest)
			k += int(n)
			if f.rest -= n; f.rest == 0 {
				f.endOfData()
			}
		default:
			n, ok := f.feedLine(p[k:])
			if !ok {
				return k, false
			}
			k += n
		}
	}
	return len(p), true
}

func (f *framing) endOfData() {
	if f.state == inChunk {
		f.state = inChunkEnd
	} else {
		f.nextHead()
	}
}

func (f *framing) nextHead() { *f = framing{line: f.line[:0], spoken: true} }

// feedLine follows the bytes of a line up to its end, if that is among them.
func (f *framing) feedLine(p []byte) (int, bool) {
	end := bytes.IndexByte(p, '\n')
	part := p
	if end >= 0 {
		part = p[:end]
	}
	if f.cr && len(part) > 0 {
		return 0, false // a carriage return that ends nothing
	}
	if k := bytes.IndexByte(part, '\r'); k >= 0 {
		if k != len(part)-1 {
			return 0, false
		}
		f.cr, part = true, part[:k]
	}
	if bytes.IndexByte(part, 0) >= 0 || len(f.line)+len(part) > f.longest() {
		return 0, false
	}
	f.line = append(f.line, part...)
	if end < 0 {
		return len(p), true
	}
	if !f.cr {
		return 0, false // a line feed alone
	}
	f.cr = false
	ok := f.endOfLine()
	f.line = f.line[:0]
	return end + 1, ok
}

func (f *framing) longest() int {
	if f.state == inChunkSize || f.state == inChunkEnd {
		return maxChunkLine
	}
	return maxFramedLine + 1
}

// endOfLine acts on a whole line.
func (f *framing) endOfLine() bool {
	switch f.state {
	case inPreface:
		return f.prefaceLine()
	case inChunkEnd:
		f.state = inChunkSize
		return len(f.line) == 0
	case inChunkSize:
		return f.chunkSize()
	case inTrailer:
		if len(f.line) == 0 {
			f.nextHead()
			return true
		}
		return !folded(f.line)
	}
	switch {
	case !f.first:
		return f.requestLine()
	case len(f.line) == 0:
		return f.endOfHead()
	default:
		return f.header()
	}
}

func folded(line []byte) bool { return line[0] == ' ' || line[0] == '\t' }

// requestLine notes the first line of a head.
func (f *framing) requestLine() bool {
	f.first = true
	line := string(f.line)
	if line == preface {
		f.state = inPreface
		return !f.spoken
	}
	f.old = strings.HasSuffix(line, " HTTP/1.0")
	return line != "" && strings.Count(line, " ") == 2 && !strings.ContainsAny(line, "\t\v\f")
}

// prefaceLine follows the rest of the preface.
func (f *framing) prefaceLine() bool {
	want := afterPreface[f.rest]
	if f.rest++; int(f.rest) == len(afterPreface) {
		f.state = inTunnel
	}
	return string(f.line) == want
}

// header notes what a header line says of the body.
func (f *framing) header() bool {
	if folded(f.line) {
		return false
	}
	name, value, ok := bytes.Cut(f.line, []byte{':'})
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return false
	}
	value = bytes.Trim(value, " \t")
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		if f.hasLen {
			return false
		}
		f.hasLen = true
		f.length, ok = decimal(value)
		return ok
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if f.chunked || !bytes.EqualFold(value, []byte("chunked")) {
			return false
		}
		f.chunked = true
	}
	return true
}

// endOfHead decides what follows.
func (f *framing) endOfHead() bool {
	switch {
	case f.chunked && (f.hasLen || f.old):
		return false
	case f.chunked:
		f.state = inChunkSize
	case f.length > 0:
		f.state, f.rest = inBody, f.length
	default:
		f.nextHead()
	}
	return true
}

// chunkSize reads the size of a chunk. Extensions are not used by anybody, and
// have been read in different ways: they are refused.
func (f *framing) chunkSize() bool {
	if len(f.line) == 0 || len(f.line) > 15 {
		return false
	}
	var n int64
	for _, c := range f.line {
		d := hexDigit(c)
		if d < 0 {
			return false
		}
		n = n<<4 | d
	}
	if n == 0 {
		f.state = inTrailer
	} else {
		f.state, f.rest = inChunk, n
	}
	return true
}

func hexDigit(c byte) int64 {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0')
	case c >= 'a' && c <= 'f':
		return int64(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int64(c-'A') + 10
	default:
		return -1
	}
}

// decimal reads the digits of a Content-Length.
func decimal(digits []byte) (n int64, ok bool) {
	if len(digits) == 0 || len(digits) > maxLengthDigit {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

type connKey struct{}

// connContext lets a request find the connection it came on.
func connContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// release ends the checks of the connection of a request: it changes to another protocol.
func release(ctx context.Context) {
	if s, ok := ctx.Value(connKey{}).(*strict); ok {
		s.through.Store(true)
	}
}

// overTLS reports whether a request came over a connection whose TLS the balancer itself ended.
func overTLS(ctx context.Context) bool {
	s, ok := ctx.Value(connKey{}).(*strict)
	return ok && s.tls
}

// strictListener accepts strict connections.
type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strict{Conn: c}, nil
}
