package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestReadConfig(t *testing.T) {
	tests := map[string]struct {
		env  func(string) string
		want string // part of the error, empty for none
	}{
		"defaults": {env(), ""},
		"all set": {env("PORT", "9000", "START_DELAY", "2s", "HEALTH_DELAY", "10ms", "HEALTH_PATTERN", "++-", "FAIL_HEALTH", "true",
			"HANG", "true", "CRASH_AFTER", "1m", "LEAK", "64", "IGNORE_SIGTERM", "true"), ""},
		"port no number":     {env("PORT", "http"), `PORT is "http"`},
		"port zero":          {env("PORT", "0"), `PORT is "0"`},
		"port too large":     {env("PORT", "65536"), `PORT is "65536"`},
		"delay without unit": {env("START_DELAY", "5"), `START_DELAY is "5"`},
		"negative delay":     {env("HEALTH_DELAY", "-1s"), `HEALTH_DELAY is "-1s"`},
		"delay too long":     {env("CRASH_AFTER", "11m"), `CRASH_AFTER is "11m"`},
		"no flag":            {env("FAIL_HEALTH", "maybe"), `FAIL_HEALTH is "maybe"`},
		"no pattern":         {env("HEALTH_PATTERN", "yes"), `HEALTH_PATTERN is "yes"`},
		"leak too fast":      {env("LEAK", "1025"), `LEAK is "1025"; write a whole number from 0 to 1024`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := readConfig(tt.env)
			switch {
			case tt.want == "" && err != nil:
				t.Fatalf("readConfig: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("error %v does not say %s", err, tt.want)
			}
		})
	}
}

func TestReadConfigNamesEveryFault(t *testing.T) {
	_, err := readConfig(env("PORT", "x", "START_DELAY", "y", "FAIL_HEALTH", "z"))
	for _, name := range []string{"PORT", "START_DELAY", "FAIL_HEALTH"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not name %s", err, name)
		}
	}
}

func TestRequests(t *testing.T) {
	exited := -1
	a := newApp(config{version: "v7", hostname: "box", environment: "staging", instance: "i-1"}, quiet(), func(code int) { exited = code })
	tests := map[string]struct {
		target string
		status int
		body   string
	}{
		"root":            {"/", 200, `"version":"v7"`},
		"root names host": {"/", 200, `"hostname":"box"`},
		"root names env":  {"/", 200, `"environment":"staging"`},
		"root names id":   {"/", 200, `"instance":"i-1"`},
		"version":         {"/version", 200, "v7\n"},
		"health":          {"/health", 200, `"status":"ok"`},
		"slow":            {"/slow?ms=1", 200, `"ms":1`},
		"slow too long":   {"/slow?ms=60001", 400, "from 0 to 60000"},
		"slow no number":  {"/slow?ms=x", 400, `ms is \"x\"`},
		"fail":            {"/fail", 500, "as asked"},
		"fail teapot":     {"/fail?status=418", 418, "as asked"},
		"fail success":    {"/fail?status=200", 400, "from 400 to 599"},
		"burn":            {"/burn?ms=1&cores=2", 200, `"cores":2`},
		"burn cores":      {"/burn?cores=65", 400, "from 1 to 64"},
		"burn ms":         {"/burn?ms=0", 400, "from 1 to 60000"},
		"alloc":           {"/alloc?mb=1", 200, `"mb":1`},
		"alloc too much":  {"/alloc?mb=16385", 400, "from 1 to 16384"},
		"alloc too long":  {"/alloc?s=601", 400, "from 0 to 600"},
		"exit bad code":   {"/exit?code=256", 400, "from 0 to 255"},
		"events":          {"/events?ms=2&every=1", 200, "id: 1\ndata: v7\n\nevent: end\ndata: v7\n\n"},
		"events endless":  {"/events?ms=60001", 400, "from 0 to 60000"},
		"events no pause": {"/events?every=0", 400, "from 1 to 60000"},
		"no WebSocket":    {"/ws", 426, "WebSocket protocol violation"},
		"unknown":         {"/nothing", 404, "not found"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			a.routes().ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.target, nil))
			if w.Header().Get("Demo-Version") != "v7" || w.Header().Get("Demo-Hostname") != "box" {
				t.Errorf("the header does not say who answers: %v", w.Header())
			}
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("%s: %d %s; want %d with %s", tt.target, w.Code, w.Body, tt.status, tt.body)
			}
		})
	}
	if exited != -1 {
		t.Errorf("exited with %d without being asked", exited)
	}
	w := httptest.NewRecorder()
	a.routes().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/exit?code=3", nil))
	if w.Code != http.StatusAccepted || exited != 3 {
		t.Errorf("exit: %d, code %d; want 202, code 3", w.Code, exited)
	}
}

func TestBurnUsesProcessorTime(t *testing.T) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	newApp(config{}, quiet(), nil).routes().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/burn?ms=50&cores=4", nil))
	if got := used() - before; got < 200*time.Millisecond {
		t.Errorf("%s of processor time used, want 50 ms on each of four cores", got)
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	newApp(config{}, quiet(), nil).routes().ServeHTTP(httptest.NewRecorder(), // ends with its client
		httptest.NewRequestWithContext(ctx, http.MethodGet, "/burn?ms=60000", http.NoBody))
}

func TestHealthFollowsKnobs(t *testing.T) {
	get := func(a *app) int {
		w := httptest.NewRecorder()
		a.routes().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/health", nil))
		return w.Code
	}
	synctest.Test(t, func(t *testing.T) {
		starting := newApp(config{startDelay: 5 * time.Second}, quiet(), nil)
		if code := get(starting); code != 503 {
			t.Errorf("while it starts: %d", code)
		}
		time.Sleep(5 * time.Second)
		if code := get(starting); code != 200 {
			t.Errorf("when it has started: %d", code)
		}
		if code := get(newApp(config{failHealth: true}, quiet(), nil)); code != 503 {
			t.Errorf("with FAIL_HEALTH: %d", code)
		}
		flapping := newApp(config{healthPattern: "+-"}, quiet(), nil)
		if codes := []int{get(flapping), get(flapping), get(flapping), get(flapping)}; !slices.Equal(codes, []int{200, 503, 200, 503}) {
			t.Errorf("with HEALTH_PATTERN +-: %v", codes)
		}
		began := time.Now()
		if code := get(newApp(config{healthDelay: time.Second}, quiet(), nil)); code != 200 || time.Since(began) != time.Second {
			t.Errorf("with HEALTH_DELAY: %d after %s", code, time.Since(began))
		}
	})
}

func TestHangAnswersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		w := httptest.NewRecorder()
		answered := false
		go func() {
			newApp(config{hang: true}, quiet(), nil).routes().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/health", http.NoBody))
			answered = true
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if answered {
			t.Errorf("answered with %d", w.Code)
		}
		leave()
		synctest.Wait()
		if !answered || w.Body.Len() != 0 {
			t.Errorf("after the client has left: ended %v, body %q", answered, w.Body)
		}
	})
}

func TestLeakTakesMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		go newApp(config{leak: 20}, quiet(), nil).leak(ctx)
		time.Sleep(time.Second - time.Millisecond)
		synctest.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		stop()
	})
	if taken := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20; taken < 19 || taken > 25 {
		t.Errorf("%d MB taken in a second of LEAK=20", taken)
	}
}

func TestIgnoreSIGTERM(t *testing.T) {
	t.Cleanup(func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM) // ends that it is ignored
		signal.Stop(signals)
	})
	ended, end := context.WithCancel(t.Context())
	end()
	run(ended, env(), quiet(), nil)
	if signal.Ignored(syscall.SIGTERM) {
		t.Error("SIGTERM is ignored without being asked")
	}
	run(ended, env("IGNORE_SIGTERM", "true"), quiet(), nil)
	if !signal.Ignored(syscall.SIGTERM) {
		t.Error("SIGTERM is not ignored with IGNORE_SIGTERM")
	}
}

func TestServeFinishesRequestsWhenTold(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	address := listener.Addr().String()
	// The request itself asks to stop and returns only when the server has begun
	// to: nobody can connect any more.
	exit := func(int) {
		stop()
		for refused := false; !refused; {
			conn, err := net.Dial("tcp", address)
			if refused = err != nil; !refused {
				conn.Close()
			}
		}
	}
	code := make(chan int, 1)
	go func() { code <- serve(ctx, listener, config{version: "v1"}, quiet(), exit) }()
	answer, err := http.Get("http://" + address + "/exit?code=4")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(body), `"code":4`) {
		t.Errorf("the request under way got %q, %v", body, err)
	}
	if c := <-code; c != 0 {
		t.Errorf("exit code %d", c)
	}
}

func TestCrashAfter(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var lines lockedLines
	code := make(chan int, 1)
	serve(ctx, listener, config{crashAfter: time.Millisecond}, slog.New(slog.NewJSONHandler(&lines, nil)), func(c int) {
		code <- c
		stop()
	})
	if c := <-code; c != 1 {
		t.Errorf("exit code %d", c)
	}
	if !lines.has(t, "crashing, as CRASH_AFTER asks") {
		t.Error("no log line says that it crashes")
	}
}

func TestRunRefusesBadConfiguration(t *testing.T) {
	if code := run(t.Context(), env("PORT", "nope"), quiet(), nil); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}

// lockedLines are log lines; slog's handler writes one at a time, and they are
// read after the server has ended.
type lockedLines struct{ text strings.Builder }

func (l *lockedLines) Write(p []byte) (int, error) { return l.text.Write(p) }

func (l *lockedLines) has(t *testing.T, message string) bool {
	t.Helper()
	for line := range strings.Lines(l.text.String()) {
		var record struct {
			Message string `json:"msg"`
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Message == message {
			return true
		}
	}
	return false
}

// serving is a server that runs, until the function that stops it is called; that
// returns its exit code.
func serving(t *testing.T) (address string, stop func() int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- serve(ctx, listener, config{version: "v1", hostname: "box"}, quiet(), nil) }()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-code
	})
	t.Cleanup(func() { stop() })
	return listener.Addr().String(), stop
}

func TestEchoAnswersWhileTheBodyComes(t *testing.T) {
	address, _ := serving(t)
	for _, major := range []int{1, 2} {
		t.Run("HTTP/"+strconv.Itoa(major), func(t *testing.T) {
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(major == 1)
			transport.Protocols.SetUnencryptedHTTP2(major == 2)
			defer transport.CloseIdleConnections()
			body, send := io.Pipe()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/echo", body)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(send, "one") }()
			res, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			for _, next := range []string{"two", "three"} {
				if n, err := io.CopyN(io.Discard, res.Body, 3); err != nil {
					t.Fatalf("answered %d bytes: %v", n, err)
				}
				if _, err := io.WriteString(send, next); err != nil {
					t.Fatal(err)
				}
			}
			send.Close()
			if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "three" {
				t.Errorf("the rest is %q, %v", rest, err)
			}
			if res.ProtoMajor != major {
				t.Errorf("answered with %s", res.Proto)
			}
		})
	}
}

func TestWebSocketEndsInGoodOrder(t *testing.T) {
	address, stop := serving(t)
	c, _, err := websocket.Dial(t.Context(), "ws://"+address+"/ws", nil) //nolint:bodyclose // its body is the WebSocket
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for _, message := range []string{"one", "two"} {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, answer, err := c.Read(t.Context()); err != nil || string(answer) != message {
			t.Fatalf("%q was answered with %q, %v", message, answer, err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := c.Read(context.Background())
		ended <- err
	}()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := <-ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the WebSocket ended with %v", err)
	}
}

func TestGRPC(t *testing.T) {
	address, stop := serving(t)
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var header metadata.MD
	answer := new(wrapperspb.StringValue)
	if err := conn.Invoke(t.Context(), "/wedsync.demo.Echo/Say", wrapperspb.String("hello"), answer, grpc.Header(&header)); err != nil || answer.GetValue() != "hello" {
		t.Errorf("Say answers %q, %v", answer.GetValue(), err)
	}
	if !slices.Equal(header.Get("demo-version"), []string{"v1"}) {
		t.Errorf("the header is %v", header)
	}
	if s, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil || s.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health is %v, %v", s.GetStatus(), err)
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/wedsync.demo.Echo/Chat")
	if err != nil {
		t.Fatal(err)
	}
	say := func(message string) {
		t.Helper()
		if err := stream.SendMsg(wrapperspb.String(message)); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(answer); err != nil || answer.GetValue() != message {
			t.Errorf("%q was answered with %q, %v", message, answer.GetValue(), err)
		}
	}
	say("one")
	stopped := make(chan int, 1)
	go func() { stopped <- stop() }()
	for refused := false; !refused; { // it has begun to stop
		c, err := net.Dial("tcp", address)
		if refused = err != nil; !refused {
			c.Close()
		}
	}
	say("two")
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(answer); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestCheck(t *testing.T) {
	var status atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, "as told")
	}))
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"PORT": port}[name] }
	for _, tt := range []struct{ status, code int }{{200, 0}, {503, 1}, {302, 1}} {
		status.Store(int64(tt.status))
		var out strings.Builder
		if code := check(t.Context(), getenv, &out); code != tt.code || out.String() != "as told" {
			t.Errorf("with status %d: exit code %d, %q; want %d", tt.status, code, out.String(), tt.code)
		}
	}
	server.Close()
	if code := check(t.Context(), getenv, io.Discard); code != 1 {
		t.Errorf("without a server: exit code %d, want 1", code)
	}
	if code := check(t.Context(), func(string) string { return "x" }, io.Discard); code != 2 {
		t.Errorf("with a bad port: exit code %d, want 2", code)
	}
}
