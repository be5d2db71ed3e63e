package traffic

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func TestLeads(t *testing.T) {
	w := newWorld(t)
	w.instance("api", says("api"))
	w.instance("shop", says("shop"))
	w.route("shop", "shop.example.com", nil)
	w.route("api", "shop.example.com", nil, "/api", "/api/v2")
	w.route("api", "api.staging.localhost.evil.example", nil)
	tests := []struct {
		host, path string
		status     int
		body       string
	}{
		{"api", "/", 200, "api"},
		{"API.Staging.LocalHost:80", "/x", 200, "api"},
		{"api.staging.localhost.", "/x", 200, "api"},
		{"shop", "/", 200, "shop"},
		{"shop.example.com", "/", 200, "shop"},
		{"shop.example.com", "/apix", 200, "shop"},
		{"shop.example.com", "/api", 200, "api"},
		{"shop.example.com", "/api/v2/x", 200, "api"},
		{"shop.example.com", "/%61pi/x", 200, "api"},
		{"api.production.localhost", "/", 404, ""},
		{"other.example.com", "/", 404, ""},
		{"localhost", "/", 404, ""},
		{"shop.example.com", "/api/../x", 400, ""},
		{"shop.example.com", "/api/%2e%2e/x", 400, ""},
		{"shop.example.com", "/api/..%2fx", 400, ""},
		{"shop.example.com", "/a%5c..%5cx", 400, ""},
		{"shop.example.com", "/a%00", 400, ""},
	}
	for _, tt := range tests {
		status, body := w.get(tt.host, tt.path)
		if status != tt.status || tt.body != "" && body != tt.body {
			t.Errorf("%s%s: %d %q, want %d %q", tt.host, tt.path, status, body, tt.status, tt.body)
		}
	}
}

// A route of one environment cannot take the own host of a service of another.
func TestOwnHostsStay(t *testing.T) {
	w := newWorld(t)
	w.instance("api", says("api"))
	w.instance("thief", says("thief"))
	w.route("thief", "api.staging.localhost", nil, "/", "/pay")
	for _, path := range []string{"/", "/pay"} {
		if _, body := w.get("api", path); body != "api" {
			t.Errorf("%s went to %q", path, body)
		}
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	seen := make(chan *http.Request, 1)
	w.instance("api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r }))
	r := w.request(http.MethodGet, "api", "/a%20b?q=1;2&x", nil)
	for name, v := range map[string]string{
		"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil", "Forwarded": "for=6.6.6.6", "X-Forwarded-Prefix": "/evil",
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate": "a=1", "X-Request-Id": "wedding-1", "Connection": "X-Hop", "X-Hop": "1",
	} {
		r.Header.Set(name, v)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	got := <-seen
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "api.staging.localhost", "X-Forwarded-Prefix": "",
		"Forwarded":   "for=127.0.0.1;host=api.staging.localhost;proto=http",
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate": "a=1", "X-Request-Id": "wedding-1", "X-Hop": "",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if got.Host != "api.staging.localhost" || got.RequestURI != "/a%20b?q=1;2&x" {
		t.Errorf("instance saw %s%s", got.Host, got.RequestURI)
	}
	if id := res.Header.Get("X-Request-Id"); id != "wedding-1" {
		t.Errorf("answer's request id is %q", id)
	}
}

// A route that requires TLS sends clients there, but for those of a proxy that has had it.
func TestRequiresTLS(t *testing.T) {
	w := idleWorld(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	w.addr = w.serve(w.Serve)
	w.instance("api", says("ok"))
	w.route("api", "a.example", func(r *grammar.Routing) { r.RequireTLS = true })
	for proto, want := range map[string]int{"": 308, "http": 308, "https": 200} {
		r := w.request(http.MethodGet, "a.example", "/b%20c?d=e", nil)
		if proto != "" {
			r.Header.Set("X-Forwarded-Proto", proto)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		location := ""
		if want == 308 {
			location = "https://a.example/b%20c?d=e"
		}
		if res.StatusCode != want || res.Header.Get("Location") != location {
			t.Errorf("forwarded by %q: %d to %q", proto, res.StatusCode, res.Header.Get("Location"))
		}
	}
}

func TestStripsPrefix(t *testing.T) {
	w := newWorld(t)
	w.instance("api", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.RequestURI, " ", r.Header.Get("X-Forwarded-Prefix"))
	}))
	w.route("api", "a.example", func(r *grammar.Routing) { r.StripPrefix = true }, "/api")
	for path, want := range map[string]string{"/api": "/ /api", "/api/x%2Fy?q": "/x%2Fy?q /api", "/%61pi/x": "/x /api"} {
		if _, got := w.get("a.example", path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// refusalOf checks that an answer is a problem, and returns its detail.
func refusalOf(t *testing.T, res *http.Response) string {
	t.Helper()
	var p struct {
		Status            int
		Detail, RequestID string
	}
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || p.Status != res.StatusCode || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("answer %d is no problem: %+v, %v", res.StatusCode, p, err)
	}
	return p.Detail
}

func TestNobody(t *testing.T) {
	w := newWorld(t)
	id := w.instance("api", says("api"))
	w.change(id, func(e *fleet.Endpoint) { e.Healthy = false })
	res, err := client.Do(w.request(http.MethodGet, "api", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if detail := refusalOf(t, res); res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || !strings.Contains(detail, "no healthy instance") {
		t.Errorf("got %d, Retry-After %q, %q", res.StatusCode, res.Header.Get("Retry-After"), detail)
	}
	w.change(id, func(e *fleet.Endpoint) { e.Healthy, e.Weight = true, 0 })
	if status, _ := w.get("api", "/"); status != 503 {
		t.Errorf("an instance of weight 0 answered: %d", status)
	}
}

func TestLimitsRequestsAtATime(t *testing.T) {
	w := newWorld(t)
	enter, leave := make(chan struct{}), make(chan struct{})
	w.instance("api", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		enter <- struct{}{}
		<-leave
	}))
	w.route("api", "a.example", func(r *grammar.Routing) { r.MaxRequests = 1 })
	first := make(chan int)
	go func() {
		res, err := client.Do(w.request(http.MethodGet, "a.example", "/", nil))
		if err != nil {
			first <- 0
			return
		}
		_ = res.Body.Close()
		first <- res.StatusCode
	}()
	<-enter
	res, err := client.Do(w.request(http.MethodGet, "a.example", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(refusalOf(t, res), "max_requests") {
		t.Errorf("second request: %d", res.StatusCode)
	}
	close(leave)
	if status := <-first; status != 200 {
		t.Errorf("first request: %d", status)
	}
}

func TestBoundsRequests(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	w.instance("api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	w.route("api", "a.example", func(r *grammar.Routing) { r.MaxBodySize, r.MaxHeaderSize = "1Ki", "1Ki" })
	r := w.request(http.MethodPost, "a.example", "/", strings.NewReader(strings.Repeat("x", 1025)))
	if status, _ := w.do(r); status != 413 {
		t.Errorf("body of a known size: %d", status)
	}
	r = w.request(http.MethodGet, "a.example", "/", nil)
	r.Header.Set("X-Long", strings.Repeat("x", 1025))
	if status, _ := w.do(r); status != 431 {
		t.Errorf("header: %d", status)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the instance was asked %d times", n)
	}
	r = w.request(http.MethodPost, "a.example", "/", io.MultiReader(strings.NewReader(strings.Repeat("x", 4000))))
	if status, _ := w.do(r); status != 413 {
		t.Errorf("body of an unknown size: %d", status)
	}
	r = w.request(http.MethodPost, "a.example", "/", strings.NewReader(strings.Repeat("x", 1024)))
	if status, _ := w.do(r); status != 200 {
		t.Errorf("body at the limit: %d", status)
	}
}

func TestEndsWhatStandsStill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-release
		case "/still":
			_, _ = io.WriteString(rw, "begin")
			_ = http.NewResponseController(rw).Flush()
			<-release
		default:
			_, _ = io.Copy(io.Discard, r.Body)
		}
	}))
	t.Cleanup(func() { close(release) }) // before the instance's server waits for its requests
	w.route("api", "begin.example", func(r *grammar.Routing) { r.ResponseTimeout = 1 })
	if status, _ := w.get("begin.example", "/slow"); status != 504 {
		t.Errorf("answer that does not begin: %d", status)
	}
	w.route("api", "a.example", func(r *grammar.Routing) { r.IdleTimeout = 1 })
	res, err := client.Do(w.request(http.MethodGet, "a.example", "/still", nil))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if string(b) != "begin" || err == nil {
		t.Errorf("answer that stands still: %q, %v", b, err)
	}
	conn := w.dial()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nabc")
	res, err = http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 408 || !res.Close {
		t.Errorf("body that does not come: %d, close %v", res.StatusCode, res.Close)
	}
}

func (w *world) dial() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// An instance may answer before the request's body has come. The answer arrives,
// and what comes of the body is never taken for a request.
func TestAnswersBeforeTheBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked atomic.Int32
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_ = http.NewResponseController(rw).EnableFullDuplex() // it does not wait for the rest
		rw.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(rw, "no")
	}))
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: api.staging.localhost\r\n\r\n"
	big := strings.Repeat("x", 1<<20)
	for name, request := range map[string]string{
		"no body follows":    "POST / HTTP/1.1\r\nHost: api.staging.localhost\r\nContent-Length: 1048576\r\n\r\n",
		"half of it follows": "POST / HTTP/1.1\r\nHost: api.staging.localhost\r\nContent-Length: 1048576\r\n\r\n" + big[:1<<19],
		"it waits":           "POST / HTTP/1.1\r\nHost: api.staging.localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n",
		"a request in it":    "POST / HTTP/1.1\r\nHost: api.staging.localhost\r\nContent-Length: 1048576\r\n\r\n" + strings.Repeat(smuggled, 100),
		"chunks":             "POST / HTTP/1.1\r\nHost: api.staging.localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := asked.Load()
			conn := w.dial()
			go func() { _, _ = io.WriteString(conn, request) }()
			reader := bufio.NewReader(conn)
			res, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(res.Body); err != nil || string(b) != "no" || res.StatusCode != 403 {
				t.Fatalf("answer: %d %q, %v", res.StatusCode, b, err)
			}
			if rest, _ := io.ReadAll(reader); len(rest) > 0 {
				t.Errorf("after the answer came %q", rest)
			}
			if n := asked.Load() - before; n != 1 {
				t.Errorf("the instance was asked %d times", n)
			}
		})
	}
}

func TestStreamsBothWays(t *testing.T) {
	w := newWorld(t)
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(rw)
		_ = c.EnableFullDuplex()
		_ = c.Flush()
		b := make([]byte, 16)
		for {
			n, err := r.Body.Read(b)
			_, _ = rw.Write(bytes.ToUpper(b[:n]))
			_ = c.Flush()
			if err != nil {
				return
			}
		}
	}))
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(proto, func(t *testing.T) {
			var p http.Protocols
			p.SetHTTP1(proto == "HTTP/1.1")
			p.SetUnencryptedHTTP2(proto == "HTTP/2")
			c := &http.Client{Transport: &http.Transport{Protocols: &p}}
			in, out := io.Pipe()
			res, err := c.Do(w.request(http.MethodPost, "api", "/", in))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			got := make([]byte, 5)
			for range 3 {
				if _, err := io.WriteString(out, "hello"); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "HELLO" {
					t.Fatalf("echo %q, %v", got, err)
				}
			}
			_ = out.Close()
			if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
				t.Errorf("end: %q, %v", rest, err)
			}
		})
	}
}

// Large bodies are not kept on the way.
func TestLargeBodies(t *testing.T) {
	w := newWorld(t)
	w.instance("api", echo)
	const size = 64 << 20
	res, err := client.Do(w.request(http.MethodPost, "api", "/", io.LimitReader(zeros{}, size)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUpgrades(t *testing.T) {
	w := newWorld(t)
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		conn, brw, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = brw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = brw.Flush()
		_, _ = io.Copy(conn, brw)
	}))
	conn := w.dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: api.staging.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(conn)
	res, err := http.ReadResponse(reader, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("%v, %v", res, err)
	}
	for _, text := range []string{"GET / \n folded\r\r\n", "\x00\x81\r\n"} { // what no head would get away with
		_, _ = io.WriteString(conn, text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(reader, got); err != nil || string(got) != text {
			t.Fatalf("echo of %q: %q, %v", text, got, err)
		}
	}
}

func TestServerSentEvents(t *testing.T) {
	w := newWorld(t)
	next := make(chan struct{})
	w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		for k := range 3 {
			_, _ = fmt.Fprintf(rw, "data: %d\n\n", k)
			_ = http.NewResponseController(rw).Flush()
			<-next
		}
	}))
	res, err := client.Do(w.request(http.MethodGet, "api", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for k := range 3 { // each event arrives before the next is made
		if !lines.Scan() || lines.Text() != "data: "+strconv.Itoa(k) {
			t.Fatalf("event %d: %q", k, lines.Text())
		}
		lines.Scan()
		next <- struct{}{}
	}
}

// An instance that cannot be connected to costs no request, whatever its method,
// and is left alone after the first.
func TestConnectErrorsAreRetried(t *testing.T) {
	w := newWorld(t)
	w.instance("api", echo)
	w.instance("api", says("x"))
	w.remove("api-1")
	dead := w.endpoint("api", "http://"+closedAddress(t))
	b := w.backendOf(dead)
	for k := range 20 {
		tried, until := b.read().answers[0], b.until.Load()
		if status, body := w.do(w.request(http.MethodPost, "api", "/", strings.NewReader("hello"))); status != 200 || body != "hello" {
			t.Fatalf("request %d: %d %q", k, status, body)
		}
		if n := b.read().answers[0]; n != tried && time.Now().UnixNano() < until {
			t.Errorf("request %d tried the dead instance, which was to be left alone", k)
		}
	}
	if b.read().answers[0] == 0 || b.until.Load() == 0 {
		t.Error("the dead instance was never tried, or not left alone")
	}
}

func (w *world) backendOf(id string) *backend {
	w.t.Helper()
	for _, b := range w.everyBackend() {
		if b.endpoint.ID == id {
			return b
		}
	}
	w.t.Fatalf("there is no backend %s", id)
	return nil
}

func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// breaks answers nothing and ends the connection.
func breaks(asked *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	})
}

func TestBrokenAnswersAreRetriedWhereThatIsSafe(t *testing.T) {
	tests := []struct {
		name, method, body, key string
		safe                    bool
	}{
		{"get", http.MethodGet, "", "", true},
		{"put", http.MethodPut, "body", "", true},
		{"post", http.MethodPost, "body", "", false},
		{"post with a key", http.MethodPost, "body", "k1", true},
		{"large put", http.MethodPut, strings.Repeat("x", maxKept+1), "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			var asked atomic.Int32
			w.instance("api", breaks(&asked))
			w.instance("api", echo)
			failed := 0
			for range 4 {
				r := w.request(tt.method, "api", "/", strings.NewReader(tt.body))
				if tt.key != "" {
					r.Header.Set("Idempotency-Key", tt.key)
				}
				switch status, body := w.do(r); {
				case status == 502:
					failed++
				case status != 200 || body != tt.body:
					t.Fatalf("%d %q", status, body)
				}
			}
			if n := int(asked.Load()); n == 0 || tt.safe && failed > 0 || !tt.safe && failed != n {
				t.Errorf("%d of 4 failed, the broken instance was asked %d times", failed, n)
			}
		})
	}
}

// Retries stay within a fifth of the requests, beside a small reserve.
func TestRetriesHaveABudget(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	for range 4 {
		w.instance("api", breaks(&asked))
	}
	const requests = 100
	for range requests {
		if status, _ := w.get("api", "/"); status != 502 {
			t.Fatalf("status %d", status)
		}
	}
	if n := int(asked.Load()); n <= requests || n > requests+retryReserve+requests/5 {
		t.Errorf("%d requests became %d", requests, n)
	}
}

func TestFailingInstancesAreEjected(t *testing.T) {
	w := newWorld(t)
	fails := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) })
	for range 3 {
		w.instance("api", fails)
	}
	w.instance("api", says("ok"))
	most := 0 // at a time: an ejection ends, and begins anew
	for range 100 {
		w.get("api", "/")
		ejected := 0
		for _, b := range w.everyBackend() {
			if b.ejected(time.Now()) {
				ejected++
			}
		}
		most = max(most, ejected)
	}
	if most != 2 {
		t.Errorf("%d of 4 instances were ejected, want half", most)
	}

	w = newWorld(t)
	w.instance("api", fails)
	for range 20 {
		w.get("api", "/")
	}
	if b := w.backendOf("api-0"); b.ejected(time.Now()) {
		t.Error("the only instance is ejected")
	}
}

func TestSticky(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c"} {
		w.instance("api", says(name))
	}
	w.route("api", "a.example", func(r *grammar.Routing) { r.StickyCookie = "at" })
	res, err := client.Do(w.request(http.MethodGet, "a.example", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	cookie := res.Cookies()[0]
	if !cookie.HttpOnly || cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || strings.Contains(cookie.Value, "api") {
		t.Errorf("cookie %v", cookie)
	}
	at := string(b)
	visit := func() string {
		r := w.request(http.MethodGet, "a.example", "/", nil)
		r.AddCookie(cookie)
		_, body := w.do(r)
		return body
	}
	for range 10 {
		if got := visit(); got != at {
			t.Fatalf("the client went from %s to %s", at, got)
		}
	}
	w.change("api-"+strconv.Itoa(strings.Index("abc", at)), func(e *fleet.Endpoint) { e.Weight = 0 })
	if got := visit(); got == at {
		t.Error("an instance of weight 0 got a request")
	}
}

func TestCanary(t *testing.T) {
	w := newWorld(t)
	w.instance("api", says("old"))
	w.change(w.instance("api", says("new")), func(e *fleet.Endpoint) { e.DeploymentID = "next" })
	w.route("api", "a.example", func(r *grammar.Routing) { r.CanaryHeader, r.CanaryCookie = "X-Preview", "preview" })
	for _, weight := range []int{0, 10, 50, 100} {
		w.traffic.Splits = []fleet.Split{{DefinitionID: "d", Environment: "staging", DeploymentID: "next", Weight: weight}}
		w.Receive(w.traffic)
		news := 0
		for range 100 {
			if _, body := w.get("a.example", "/"); body == "new" {
				news++
			}
		}
		if news != weight {
			t.Errorf("at %d %%: %d of 100 requests", weight, news)
		}
		for value, want := range map[string]string{"always": "new", "never": "old"} {
			r := w.request(http.MethodGet, "a.example", "/", nil)
			r.Header.Set("X-Preview", value)
			if _, body := w.do(r); body != want {
				t.Errorf("at %d %%, header %s: %s", weight, value, body)
			}
			r = w.request(http.MethodGet, "a.example", "/", nil)
			r.AddCookie(&http.Cookie{Name: "preview", Value: value})
			if _, body := w.do(r); body != want {
				t.Errorf("at %d %%, cookie %s: %s", weight, value, body)
			}
		}
	}
	w.traffic.Splits[0].Weight = 0
	w.Receive(w.traffic)
	r := w.request(http.MethodGet, "api", "/", nil)
	r.Header.Set("X-Preview", "always")
	if _, body := w.do(r); body != "old" {
		t.Error("a host whose route names no header let a client choose")
	}
}

// A deregistered instance gets no new request, ends those that it has, and has
// drained when the last has ended, not before.
func TestDrains(t *testing.T) {
	w := newWorld(t)
	enter, leave := make(chan struct{}), make(chan struct{})
	id := w.instance("api", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		enter <- struct{}{}
		<-leave
		_, _ = io.WriteString(rw, "old")
	}))
	first := make(chan string)
	go func() {
		_, body := w.get("api", "/")
		first <- body
	}()
	<-enter
	old := w.backendOf(id)
	w.endpoint("api", "http://"+closedAddress(t))
	w.remove(id)
	w.instance("api", says("new"))
	for range 10 {
		if status, body := w.get("api", "/"); status != 200 || body != "new" {
			t.Fatalf("after deregistration: %d %q", status, body)
		}
	}
	if w.Drained(id) {
		t.Fatal("drained while a request is under way")
	}
	close(leave)
	if body := <-first; body != "old" {
		t.Errorf("the request under way got %q", body)
	}
	select {
	case <-w.Idle():
	case <-time.After(patience):
		t.Fatal("nobody was told")
	}
	if !w.Drained(id) {
		t.Error("not drained after the last request")
	}
	old.links.mu.Lock()
	defer old.links.mu.Unlock()
	if len(old.links.idle) != 0 || !old.links.closed {
		t.Errorf("%d connections to it are kept", len(old.links.idle))
	}
}

// While instances come and go under load, none fails.
func TestChurn(t *testing.T) {
	w := newWorld(t)
	serve := func() string {
		return w.instance("api", echo)
	}
	serve()
	serve()
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error)
	for k := range 8 {
		go func() {
			for n := 0; ctx.Err() == nil; n++ {
				method := []string{http.MethodGet, http.MethodPost}[k%2]
				req, err := http.NewRequest(method, "http://"+w.addr+"/", strings.NewReader("hello"))
				if err != nil {
					results <- err
					return
				}
				req.Host = "api.staging.localhost"
				res, err := client.Do(req)
				if err != nil {
					results <- err
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != 200 {
					results <- fmt.Errorf("status %d", res.StatusCode)
					return
				}
			}
			results <- nil
		}()
	}
	for range 100 {
		serve()
		oldest := w.traffic.Endpoints[0].ID
		w.remove(oldest)
		await(t, "the oldest to drain", func() bool { return w.Drained(oldest) })
	}
	cancel()
	for range 8 {
		if err := <-results; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}
