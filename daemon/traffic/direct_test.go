package traffic

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// scripted is an instance that answers every connection's first request with
// given bytes and closes it.
type scripted struct {
	addr   string
	answer atomic.Pointer[[]byte]
}

func newScripted(t testing.TB) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{addr: l.Addr().String()}
	s.answer.Store(new([]byte))
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *scripted) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = conn.Write(*s.answer.Load())
}

// outcome is all that a client sees of an answer, in a form to compare.
func outcome(t testing.TB, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	method, _, _ := strings.Cut(request, " ")
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	var b strings.Builder
	for {
		res, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return "broken"
		}
		if res.StatusCode == http.StatusContinue {
			continue // of one connection only
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return "broken" // before its head has come, or after: that is a matter of time
		}
		if method != http.MethodHead {
			res.Header.Del("Content-Length") // or chunks: that of an empty body is a matter of time too
		}
		fmt.Fprintf(&b, "%d %q\n", res.StatusCode, body)
		for _, h := range []http.Header{res.Header, res.Trailer} {
			for _, name := range slices.Sorted(maps.Keys(h)) {
				if name != "Date" {
					fmt.Fprintf(&b, "%s: %q\n", name, h[name])
				}
			}
		}
		if res.StatusCode >= 200 {
			return b.String()
		}
	}
}

// differ is a pair of balancers before one instance: one goes the direct way, the
// other by net/http's client.
type differ struct {
	instance           *scripted
	direct, roundabout *world
}

// roundaboutWorld is a world in which net/http's client may have to carry everything.
func roundaboutWorld(t testing.TB, roundabout bool) *world {
	t.Helper()
	w := idleWorld(t, Config{})
	w.roundabout = roundabout
	w.addr = w.serve(w.Serve)
	return w
}

func newDiffer(t testing.TB) *differ {
	t.Helper()
	d := &differ{instance: newScripted(t), direct: newWorld(t), roundabout: roundaboutWorld(t, true)}
	for _, w := range []*world{d.direct, d.roundabout} {
		w.endpoint("api", "http://"+d.instance.addr)
	}
	return d
}

// same checks that both ways make the same of an instance's answer.
func (d *differ) same(t testing.TB, method string, answer []byte) {
	t.Helper()
	d.instance.answer.Store(&answer)
	request := method + " / HTTP/1.1\r\nHost: api.staging.localhost\r\nX-Request-Id: 1\r\n"
	if method == http.MethodPost {
		request += "Content-Length: 5\r\n\r\nhello"
	} else {
		request += "\r\n"
	}
	for _, w := range []*world{d.direct, d.roundabout} { // the instance has closed what is idle; both know it
		for _, b := range w.everyBackend() {
			b.close()
		}
	}
	direct, roundabout := outcome(t, d.direct.addr, request), outcome(t, d.roundabout.addr, request)
	if direct != roundabout {
		t.Errorf("%s, answered with %q\ndirectly:\n%s\nby net/http:\n%s", method, answer, direct, roundabout)
	}
}

// answers are what instances may say.
var answers = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
	"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	"HTTP/1.0 200 OK\r\n\r\nuntil the end",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\noops",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX-Null: \x00\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "garbage", "", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Le",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\nsmuggled",
}

func TestBothWaysAreTheSame(t *testing.T) {
	d := newDiffer(t)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		for _, a := range answers {
			d.same(t, method, []byte(a))
		}
	}
}

// FuzzBothWays: whatever an instance answers, a client sees the same whether it
// was read directly or by net/http's client.
func FuzzBothWays(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a), uint8(0))
	}
	d := newDiffer(f)
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost}
	f.Fuzz(func(t *testing.T, answer []byte, method uint8) {
		d.same(t, methods[int(method)%len(methods)], answer)
	})
}

// What an instance sees of a request is the same both ways.
func TestBothWaysAskTheSame(t *testing.T) {
	var seen [2]string
	for k, roundabout := range []bool{false, true} {
		w := roundaboutWorld(t, roundabout)
		got := make(chan string, 1)
		w.instance("api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var b strings.Builder
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(&b, "%s %s %s %d %q\n", r.Method, r.RequestURI, r.Host, r.ContentLength, body)
			for _, name := range slices.Sorted(maps.Keys(r.Header)) {
				fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
			}
			got <- b.String()
		}))
		for _, request := range []string{
			"GET /a%20b/%2F?q=%zz;x HTTP/1.1\r\nHost: API.staging.localhost:80\r\nX-Request-Id: 1\r\nCookie: a=1\r\nCookie: b=2\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nProxy-Authorization: x\r\nX-Two: 1\r\nX-Two: 2\r\nX-Empty:\r\n\r\n",
			"GET http://api.staging.localhost/absolute HTTP/1.1\r\nHost: other\r\nX-Request-Id: 1\r\nUser-Agent: x\r\n\r\n",
			"POST /\xc3\xa4 HTTP/1.1\r\nHost: api.staging.localhost\r\nX-Request-Id: 1\r\nContent-Length: 5\r\n\r\nhello",
			"POST / HTTP/1.1\r\nHost: api.staging.localhost\r\nX-Request-Id: 1\r\nContent-Length: 0\r\n\r\n",
			"DELETE / HTTP/1.1\r\nHost: api.staging.localhost\r\nX-Request-Id: 1\r\n\r\n",
			"GET / HTTP/1.0\r\nHost: api.staging.localhost\r\nX-Request-Id: 1\r\n\r\n",
		} {
			_ = outcome(t, w.addr, request)
			seen[k] += <-got
		}
	}
	if seen[0] != seen[1] {
		t.Errorf("directly:\n%s\nby net/http:\n%s", seen[0], seen[1])
	}
}

// An instance that closes a connection which is not in use costs no request.
func TestStaleConnections(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // one answer for each connection, which does not say that it is the last
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
		}
	}()
	w.endpoint("api", "http://"+l.Addr().String())
	for k := range 200 {
		if status, body := w.get("api", "/"); status != 200 || body != "ok" {
			t.Fatalf("request %d: %d %q", k, status, body)
		}
	}
}

// Connections to instances are used again, one after the other.
func TestKeepsConnections(t *testing.T) {
	w := newWorld(t)
	seen := make(map[string]bool)
	w.instance("api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen[r.RemoteAddr] = true }))
	for range 20 {
		w.get("api", "/")
	}
	if len(seen) != 1 {
		t.Errorf("20 requests one after the other took %d connections", len(seen))
	}
}
