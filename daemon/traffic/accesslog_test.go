package traffic

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// paper is what a log is written on.
type paper struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

// lines reads what was written.
func (p *paper) lines(t testing.TB) (all []map[string]any) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(p.buf.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		all = append(all, m)
	}
	return all
}

// logged is a world with an access log.
func logged(t testing.TB, sample float64) (*world, *paper) {
	t.Helper()
	p := &paper{}
	l := NewAccessLog(p, sample, slog.New(slog.DiscardHandler))
	w := idleWorld(t, Config{AccessLog: l})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		l.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	w.addr = w.serve(w.Serve)
	return w, p
}

func TestAccessLog(t *testing.T) {
	w, p := logged(t, 1)
	id := w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(rw, "hello")
	}))
	w.route("api", "shop.example.com", func(s *grammar.Routing) { s.MaxBodySize = "1Mi" }, "/x")
	for _, test := range []struct {
		name, method, host, path string
		body                     string
		header                   map[string]string
		want                     map[string]any
	}{
		{"direct", "GET", "shop.example.com", "/x/a%20b?token=secret", "", map[string]string{
			"X-Request-Id": "mine", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		}, map[string]any{
			"request_id": "mine", "trace_id": "0af7651916cd43dd8448eb211c80319c", "client": "127.0.0.1", "host": "shop.example.com",
			"method": "GET", "path": "/x/a%20b", "proto": "HTTP/1.1", "tls": false, "status": 201.0, "bytes_in": 0.0, "bytes_out": 5.0,
			"service": "api", "environment": "staging", "route": "api-shop.example.com", "instance": id,
		}},
		{"small body", "POST", "shop.example.com", "/x", "body", nil, map[string]any{"status": 201.0, "bytes_in": 4.0, "bytes_out": 5.0}},
		{"large body", "POST", "shop.example.com", "/x", strings.Repeat("b", 100000), nil, map[string]any{"status": 201.0, "bytes_in": 100000.0}},
		{"proxied", "GET", "shop.example.com", "/x", "", map[string]string{"Te": "trailers"}, map[string]any{"status": 201.0, "bytes_out": 5.0, "instance": id}},
		{"own host", "GET", "api.staging.localhost", "/", "", nil, map[string]any{"status": 201.0, "service": "api", "route": nil}},
		{"refused", "GET", "unknown.example.com", "/", "", map[string]string{"X-Request-Id": "lost"}, map[string]any{
			"status": 404.0, "refusal": "unknown_host", "request_id": "lost", "client": "127.0.0.1", "service": nil,
		}},
		{"bad trace", "GET", "api.staging.localhost", "/", "", map[string]string{"Traceparent": "00-<script>"}, map[string]any{"trace_id": nil}},
	} {
		before := len(p.lines(t))
		r := w.request(test.method, test.host, test.path, strings.NewReader(test.body))
		for name, v := range test.header {
			r.Header.Set(name, v)
		}
		w.do(r)
		await(t, "the line of "+test.name, func() bool { return len(p.lines(t)) > before })
		line := p.lines(t)[before]
		for name, want := range test.want {
			if line[name] != want {
				t.Errorf("%s: %s is %v, want %v", test.name, name, line[name], want)
			}
		}
		if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["time"])); err != nil || time.Since(at) > time.Minute {
			t.Errorf("%s: time is %v", test.name, line["time"])
		}
		head, _ := line["response_ms"].(float64)
		if whole, _ := line["duration_ms"].(float64); head <= 0 || whole < head || line["aborted"] != nil {
			t.Errorf("%s: the head came after %v ms and the end after %v, aborted: %v", test.name, head, whole, line["aborted"])
		}
	}
	if strings.Contains(p.buf.String(), "secret") {
		t.Error("a query was logged")
	}
}

func TestAccessLogOfTunnels(t *testing.T) {
	w, p := logged(t, 1)
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		b := make([]byte, 4)
		_, _ = io.ReadFull(buffer, b)
		_, _ = conn.Write(bytes.Repeat(b, 2))
	}))
	c := w.dial()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: api.staging.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	answer := bufio.NewReader(c)
	res, err := http.ReadResponse(answer, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.WriteString(c, "ping")
	if b, err := io.ReadAll(answer); err != nil || !strings.HasSuffix(string(b), "pingping") {
		t.Fatalf("got %q, %v", b, err)
	}
	await(t, "the line", func() bool { return len(p.lines(t)) == 1 })
	if line := p.lines(t)[0]; line["status"] != 101.0 || line["bytes_in"] != 4.0 || line["bytes_out"] != 8.0 {
		t.Errorf("%v", line)
	}
}

func TestAccessLogOfAbortedAnswers(t *testing.T) {
	w, p := logged(t, 0)
	arrived := make(chan struct{})
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/waits" {
			close(arrived)
			<-r.Context().Done()
			return
		}
		rw.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(rw, "half")
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	}))
	if res, err := client.Do(w.request(http.MethodGet, "api", "/breaks", nil)); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	await(t, "the line", func() bool { return len(p.lines(t)) == 1 })
	if line := p.lines(t)[0]; line["aborted"] != true || line["status"] != 200.0 {
		t.Errorf("%v", line)
	}
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-arrived
		leave()
	}()
	if res, err := client.Do(w.request(http.MethodGet, "api", "/waits", nil).WithContext(ctx)); err == nil {
		_ = res.Body.Close()
	}
	await(t, "the line", func() bool { return len(p.lines(t)) == 2 })
	if line := p.lines(t)[1]; line["aborted"] != true || line["status"] != 0.0 || line["refusal"] != "client_gone" {
		t.Errorf("%v", line)
	}
}

// Of good requests a share is written; of bad ones, all.
func TestAccessLogSamples(t *testing.T) {
	w, p := logged(t, 0.5)
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}))
	for range 200 {
		w.get("api", "/")
	}
	for range 20 {
		w.get("api", "/bad")
		w.get("unknown.example.com", "/")
	}
	count := func(status float64) (n int) {
		for _, line := range p.lines(t) {
			if line["status"] == status {
				n++
			}
		}
		return n
	}
	await(t, "the lines of bad requests", func() bool { return count(500) == 20 && count(404) == 20 })
	if n := count(200); n < 50 || n > 150 {
		t.Errorf("%d of 200 good requests were written, want about half", n)
	}
}

// stuck is a disk that does not answer until it is let go.
type stuck struct{ release chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.release
	return len(p), nil
}

func TestAccessLogBlocksNobody(t *testing.T) {
	s := stuck{make(chan struct{})}
	l := NewAccessLog(s, 1, slog.New(slog.DiscardHandler))
	b := NewBalancer(Config{Domain: testDomain, Logger: slog.New(slog.DiscardHandler), AccessLog: l})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		l.Run(ctx)
		close(ended)
	}()
	r, _ := http.NewRequest(http.MethodGet, "http://unknown.example.com/", nil)
	for range maxLogQueue + 2000 {
		b.ServeHTTP(blank{http.Header{}}, r)
	}
	if l.dropped.Load() == 0 {
		t.Error("nothing was dropped")
	}
	cancel()
	close(s.release)
	<-ended
}

// blank is an answer that nobody reads.
type blank struct{ header http.Header }

func (b blank) Header() http.Header       { return b.header }
func (blank) Write(p []byte) (int, error) { return len(p), nil }
func (blank) WriteHeader(int)             {}

// broken is a disk that is full for a while.
type broken struct {
	paper
	full atomic.Bool
}

func (b *broken) Write(p []byte) (int, error) {
	if b.full.Load() {
		return 0, errors.New("no space left")
	}
	return b.paper.Write(p)
}

func TestAccessLogGoesOnAfterErrors(t *testing.T) {
	out := &broken{}
	out.full.Store(true)
	var told paper
	l := NewAccessLog(out, 1, slog.New(slog.NewTextHandler(&told, nil)))
	go l.Run(t.Context())
	for k := range 3 {
		l.lines <- []byte("{}\n")
		await(t, "the failure", func() bool { return l.dropped.Load() == uint64(k+1) })
	}
	told.mu.Lock()
	if n := strings.Count(told.buf.String(), "no space left"); n != 1 {
		t.Errorf("the error was told %d times", n)
	}
	told.mu.Unlock()
	out.full.Store(false)
	l.lines <- []byte(`{"n": 1}` + "\n")
	await(t, "the line", func() bool { return len(out.lines(t)) == 1 })
}

func BenchmarkAccessLog(b *testing.B) {
	l := NewAccessLog(io.Discard, 1, slog.New(slog.DiscardHandler))
	go l.Run(b.Context())
	r, _ := http.NewRequest(http.MethodGet, "http://unknown.example.com/some/path", nil)
	r.RemoteAddr = "127.0.0.1:1"
	for b.Loop() {
		l.record(blank{http.Header{}}, r, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	}
}
