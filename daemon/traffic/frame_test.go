package traffic

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What two readers could frame in two ways, and clients that do not come to the
// point: refused, without an instance being asked.
func TestRefusesDoubtfulMessages(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	w.instance("api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	const host = "Host: api.staging.localhost\r\n"
	tests := []struct {
		name, request string
		status        int // 0: the connection ends without an answer
	}{
		{"length beside chunks", "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunks beside length", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		{"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
		{"the same length twice", "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
		{"list of lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 5, 5\r\n\r\nhello", 400},
		{"signed length", "POST / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nhello", 400},
		{"negative length", "POST / HTTP/1.1\r\n" + host + "Content-Length: -5\r\n\r\nhello", 400},
		{"hexadecimal length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 0x5\r\n\r\nhello", 400},
		{"length without end", "POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\nhello", 400},
		{"empty length", "POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", 400},
		{"unknown coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked twice", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked and identity", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400},
		{"quoted coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
		{"coding behind a tab", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400},
		{"space before the colon", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"folded line", "GET / HTTP/1.1\r\n" + host + "X-A: 1\r\n 2\r\n\r\n", 400},
		{"folded length", "POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n 5\r\n\r\nhello", 400},
		{"bare line feed", "GET / HTTP/1.1\r\n" + host + "X-A: 1\n\r\n", 400},
		{"bare line feed ends the head", "GET / HTTP/1.1\r\n" + host + "\n", 400},
		{"bare line feed after the first line", "GET / HTTP/1.1\n" + host + "\r\n", 400},
		{"bare carriage return", "GET / HTTP/1.1\r\n" + host + "X-A: 1\rX-B: 2\r\n\r\n", 400},
		{"carriage return at the end", "GET / HTTP/1.1\r\n" + host + "X-A: 1\r\r\n\r\n", 400},
		{"null byte", "GET / HTTP/1.1\r\n" + host + "X-A: 1\x00\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"host with a path", "GET / HTTP/1.1\r\nHost: api.staging.localhost/x\r\n\r\n", 400},
		{"host with a user", "GET / HTTP/1.1\r\nHost: evil@api.staging.localhost\r\n\r\n", 400},
		{"host with a space", "GET / HTTP/1.1\r\nHost: api.staging.localhost evil\r\n\r\n", 400},
		{"other authority than host", "GET http://api.production.localhost/ HTTP/1.1\r\n" + host + "\r\n", 404},
		{"connect", "CONNECT api.staging.localhost:80 HTTP/1.1\r\n" + host + "\r\n", 501},
		{"asterisk", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", 200}, // net/http's own answer
		{"space in the path", "GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
		{"unknown version", "GET / HTTP/3.0\r\n" + host + "\r\n", 505},
		{"unknown host", "GET / HTTP/1.1\r\nHost: unknown.example\r\n\r\n", 404},
		{"long header", "GET / HTTP/1.1\r\n" + host + "X-A: " + strings.Repeat("a", 70<<10) + "\r\n\r\n", 431},
		{"many headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat("X-A: aaaaaaaa\r\n", 6<<10) + "\r\n", 431},
		{"header without a name", "GET / HTTP/1.1\r\n" + host + ": x\r\n\r\n", 400},
		{"header without a colon", "GET / HTTP/1.1\r\n" + host + "x\r\n\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := asked.Load()
			conn := w.dial()
			request := tt.request
			if tt.status == 400 || tt.status == 431 { // nothing is known of what follows
				request += "GET /smuggled HTTP/1.1\r\n" + host + "\r\n"
			}
			go func() { _, _ = io.WriteString(conn, request) }()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == 400 && !res.Close {
				t.Error("the connection goes on after what nobody understood")
			}
			if res.StatusCode != tt.status && (tt.status != 431 || res.StatusCode != 400) {
				t.Errorf("status %d, want %d", res.StatusCode, tt.status)
			}
			if n := asked.Load() - before; n != 0 {
				t.Errorf("the instance was asked %d times", n)
			}
		})
	}
}

// A doubtful chunk ends the request; nothing behind it is taken for another.
func TestRefusesDoubtfulChunks(t *testing.T) {
	w := newWorld(t)
	var paths, whole atomic.Int32
	w.instance("api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			paths.Add(1)
		}
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Add(1)
		}
	}))
	for name, body := range map[string]string{
		"extension":        "5;x=y\r\nhello\r\n0\r\n\r\n",
		"bare line feed":   "5\nhello\r\n0\r\n\r\n",
		"no end":           "5\r\nhelloX0\r\n\r\n",
		"line feed as end": "5\r\nhello\n0\r\n\r\n",
		"no size":          "\r\nhello\r\n0\r\n\r\n",
		"signed size":      "+5\r\nhello\r\n0\r\n\r\n",
		"space":            "5 \r\nhello\r\n0\r\n\r\n",
		"prefix":           "0x5\r\nhello\r\n0\r\n\r\n",
		"too large a size": "FFFFFFFFFFFFFFFF5\r\nhello\r\n0\r\n\r\n",
		"folded trailer":   "5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := w.dial()
			request := "POST / HTTP/1.1\r\nHost: api.staging.localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + body +
				"GET /smuggled HTTP/1.1\r\nHost: api.staging.localhost\r\n\r\n"
			go func() { _, _ = io.WriteString(conn, request) }()
			reader := bufio.NewReader(conn)
			for {
				res, err := http.ReadResponse(reader, nil)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, res.Body)
				if res.StatusCode < 400 {
					t.Errorf("status %d", res.StatusCode)
				}
			}
		})
	}
	if paths.Load() != 0 || whole.Load() != 0 {
		t.Errorf("%d smuggled requests, %d doubtful bodies arrived as whole ones", paths.Load(), whole.Load())
	}
}

// An instance that changes the protocol without being asked, or to another one
// than it was asked for, is refused, and does not switch the checks off.
func TestUnaskedUpgradesKeepTheChecks(t *testing.T) {
	for name, upgrade := range map[string]string{"not asked": "", "to another": "Connection: Upgrade\r\nUpgrade: websocket\r\n"} {
		t.Run(name, func(t *testing.T) {
			w := roundaboutWorld(t, true) // the way that upgrades take
			instance := newScripted(t)
			instance.answer.Store(new([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")))
			w.endpoint("api", "http://"+instance.addr)
			conn := w.dial()
			reader := bufio.NewReader(conn)
			ask := func(request string, want int) {
				t.Helper()
				_, _ = io.WriteString(conn, request)
				res, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				if res.StatusCode != want {
					t.Errorf("status %d, want %d", res.StatusCode, want)
				}
			}
			ask("GET / HTTP/1.1\r\nHost: api.staging.localhost\r\n"+upgrade+"\r\n", http.StatusBadGateway)
			ask("GET / HTTP/1.1\r\nHost: unknown.example\r\nX-A: 1\r\n folded\r\n\r\n", http.StatusBadRequest)
		})
	}
}

// A client that does not send its head in time is let go.
func TestLetsSlowHeadsGo(t *testing.T) {
	w := newWorld(t)
	server := w.newServer()
	if server.ReadHeaderTimeout <= 0 || server.ReadHeaderTimeout > time.Minute || server.IdleTimeout <= 0 {
		t.Errorf("a client may take %s for a head, and do nothing for %s", server.ReadHeaderTimeout, server.IdleTimeout)
	}
	server.ReadHeaderTimeout = 1 // a nanosecond: every head is late
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(strictListener{l}) }()
	t.Cleanup(func() { _ = server.Close() })
	w.addr = l.Addr().String()
	conn := w.dial()
	_, _ = io.WriteString(conn, "GET / HT")
	if b, err := io.ReadAll(conn); len(b) > 0 || err != nil && !isReset(err) {
		t.Errorf("got %q, %v", b, err)
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// What begins like HTTP/2 and is not ends no checks: net/http takes it for a
// request of HTTP/1, and reads on.
func TestRefusesHalfPrefaces(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	w.instance("api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/good" {
			asked.Add(1)
		}
	}))
	const host = "Host: api.staging.localhost\r\n"
	const doubtful = "POST / HTTP/1.1\n" + host + "Content-Length: 50\nTransfer-Encoding: chunked\n\n0\n\n"
	for name, request := range map[string]string{
		"with a header":       "PRI * HTTP/2.0\r\n" + host + "\r\n" + doubtful,
		"without its end":     "PRI * HTTP/2.0\r\n\r\n" + doubtful,
		"with another end":    "PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n" + doubtful,
		"after a request":     "GET /good HTTP/1.1\r\n" + host + "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + doubtful,
		"with a header after": "GET /good HTTP/1.1\r\n" + host + "\r\nPRI * HTTP/2.0\r\n" + host + "\r\n" + doubtful,
	} {
		c := w.dial()
		_, _ = io.WriteString(c, request)
		answers, err := io.ReadAll(c)
		if err != nil && !isReset(err) {
			t.Errorf("%s: %v", name, err)
		}
		if n := bytes.Count(answers, []byte("HTTP/1.1 400")); n > 1 || bytes.Contains(answers, []byte("HTTP/1.1 50")) {
			t.Errorf("%s: got %q", name, answers)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the instance was asked %d times", n)
	}
}

// Good messages of every form pass, whole and in their order, however they are cut.
func TestLeavesGoodMessagesAlone(t *testing.T) {
	const messages = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" +
		"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nbody\r\n\r\n \nGET" +
		"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhe\rlo\r\n00a\r\n\r\n\x00\r\n\r\n\r\n \r\n0\r\nX-T: 1\r\n\r\n" +
		"GET /4 HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
	for cut := 1; cut < len(messages); cut++ {
		var f framing
		for from := 0; from < len(messages); from += cut {
			part := messages[from:min(from+cut, len(messages))]
			if n, ok := f.feed([]byte(part)); !ok {
				t.Fatalf("cut into pieces of %d, doubts at %q", cut, part[n:])
			}
		}
		if f.state != inHead || f.first {
			t.Fatalf("cut into pieces of %d, it ends in state %d", cut, f.state)
		}
	}
}

// FuzzFraming feeds the same bytes to the framing and to net/http: of what the
// framing lets through, net/http must make the same messages.
func FuzzFraming(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var fr framing
		good, ok := fr.feed(bytes.Clone(data))
		if good > len(data) {
			t.Fatalf("%d of %d bytes are good", good, len(data))
		}
		if !ok || fr.state == inTunnel {
			return
		}
		ends := 0 // where the framing sees a head begin
		var again framing
		for k := range data {
			if again.state == inHead && !again.first && len(again.line) == 0 && !again.cr {
				ends = k
			}
			again.feed(data[k : k+1])
		}
		if again.state == inHead && !again.first && len(again.line) == 0 && !again.cr {
			ends = len(data)
		}
		source := bytes.NewReader(data)
		reader := bufio.NewReaderSize(source, 16)
		at := func() int { return len(data) - source.Len() - reader.Buffered() }
		for {
			r, err := http.ReadRequest(reader)
			if err != nil {
				return // net/http refuses more than the framing does
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			if at() > ends {
				t.Fatalf("net/http ends a message at %d, the framing none after %d", at(), ends)
			}
		}
	})
}
