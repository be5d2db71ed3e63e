package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var loadSlow = flag.Duration("load-slow", 2*time.Second, "how long the slow requests, and the streams, of a load take")

const (
	// loadBeat is the time between two messages of a stream.
	loadBeat = 100 * time.Millisecond
	// loadPatience is how long a request may take beyond what it is meant to.
	loadPatience = 30 * time.Second
	// shownFailures bounds the failures that are kept to be shown.
	shownFailures = 40
)

// loadKind is a kind of requests that a load makes.
type loadKind struct {
	name    string
	callers int           // for each host
	every   time.Duration // a caller begins a request this often; 0 for one after the other
	do      func(context.Context, *caller, *loadCall) error
}

// loadKinds are what a balancer can drop: requests short and slow, with and
// without bodies, and streams of every protocol.
var loadKinds = []loadKind{
	{"GET", 4, 100 * time.Millisecond, get},
	{"GET over HTTP/2", 1, 100 * time.Millisecond, getOverHTTP2},
	{"POST", 2, 100 * time.Millisecond, post},
	{"slow GET", 2, 0, slowGet},
	{"slow POST", 1, 0, slowPost},
	{"events", 2, 0, serverSent},
	{"WebSocket", 2, 0, webSocket},
	{"gRPC", 2, 100 * time.Millisecond, unary},
	{"gRPC stream", 2, 0, stream},
}

// loadCall is one request, or one stream. The load's lock guards it.
type loadCall struct {
	kind, host string
	began      time.Time
	// instance is the host name in the answer's header; empty until that has come.
	instance string
	// failed is why it did, and ended when; empty while it goes on, or if it went well.
	failed string
	ended  time.Time
}

func (c *loadCall) String() string {
	from := "before its answer began"
	if c.instance != "" {
		from = "by " + c.instance
	}
	return fmt.Sprintf("%s %s of %s, begun %s earlier, %s: %s", c.ended.UTC().Format("15:04:05.000"), c.kind, c.host,
		c.ended.Sub(c.began).Round(time.Millisecond), from, c.failed)
}

// load makes requests through a balancer without a break, and counts.
type load struct {
	address string
	slow    time.Duration
	client  *http.Client // keeps its connections
	second  *http.Client // over HTTP/2
	dials   atomic.Int64
	stop    chan struct{}
	ended   sync.Once
	callers sync.WaitGroup

	mu     sync.Mutex
	made   map[string]int           // ended, by kind
	wrong  map[string]int           // of them failed
	most   map[string]time.Duration // longest, by kind
	served map[string]int           // by host and version
	active map[*loadCall]bool
	failed []*loadCall // the first of them
	conns  []*grpc.ClientConn
}

// newLoad makes a load on the balancer at an address that ends with the test, at
// the latest. It calls nobody yet.
func newLoad(t testing.TB, address string) *load {
	l := &load{
		address: address, slow: *loadSlow, stop: make(chan struct{}), made: make(map[string]int), wrong: make(map[string]int),
		most: make(map[string]time.Duration), served: make(map[string]int), active: make(map[*loadCall]bool),
	}
	dialer := new(net.Dialer)
	transport := &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 1000,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			l.dials.Add(1)
			return dialer.DialContext(ctx, network, address)
		},
	}
	second := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	second.Protocols.SetUnencryptedHTTP2(true)
	l.client, l.second = &http.Client{Transport: transport}, &http.Client{Transport: second}
	t.Cleanup(func() {
		l.end()
		for _, conn := range l.conns {
			_ = conn.Close()
		}
		transport.CloseIdleConnections()
		second.CloseIdleConnections()
	})
	return l
}

// end lets every request end and makes no more.
func (l *load) end() {
	l.ended.Do(func() { close(l.stop) })
	l.callers.Wait()
}

// caller calls a host, one request after the other.
type caller struct {
	*load
	host string
	conn *grpc.ClientConn
}

// on waits until a host is answered, and begins to call it, until the load ends.
func (l *load) on(t testing.TB, host string) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+l.address, grpc.WithAuthority(host), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.conns = append(l.conns, conn)
	l.mu.Unlock()
	c := &caller{load: l, host: host, conn: conn}
	eventually(t, "the balancer answers for "+host, func() bool { return c.version(t) != "" })
	for _, k := range loadKinds {
		for range k.callers {
			l.callers.Go(func() { c.work(k) })
		}
	}
}

// version is the version that answers a request for the host; empty without a good answer.
func (c *caller) version(t testing.TB) string {
	t.Helper()
	res, err := c.request(t.Context(), http.MethodGet, "/", http.NoBody, c.client)
	if err != nil {
		return ""
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return ""
	}
	return res.Header.Get("Demo-Version")
}

// work makes requests of a kind until the load ends.
func (c *caller) work(k loadKind) {
	always := make(chan time.Time)
	close(always)
	var beat <-chan time.Time = always
	if k.every > 0 {
		ticker := time.NewTicker(k.every)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
		select {
		case <-c.stop:
			return
		case <-beat:
		}
		select {
		case <-c.stop:
			return
		default:
			c.one(k)
		}
	}
}

// one makes one request. Its bound is a cancellation: a deadline would be told to
// a gRPC server, which then ends the stream by itself.
func (c *caller) one(k loadKind) {
	ctx, cancel := context.WithCancelCause(context.Background())
	bound := time.AfterFunc(c.slow+loadPatience, func() { cancel(errors.New("it never ended")) })
	call := &loadCall{kind: k.name, host: c.host, began: time.Now()}
	c.mu.Lock()
	c.active[call] = true
	c.mu.Unlock()
	err := k.do(ctx, c, call)
	if cause := context.Cause(ctx); cause != nil {
		err = errors.Join(cause, err)
	}
	bound.Stop()
	cancel(nil)
	c.count(call, err)
}

func (l *load) count(call *loadCall, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.active, call)
	call.ended = time.Now()
	l.made[call.kind]++
	l.most[call.kind] = max(l.most[call.kind], call.ended.Sub(call.began))
	if err == nil {
		return
	}
	call.failed = err.Error()
	l.wrong[call.kind]++
	if len(l.failed) < shownFailures {
		l.failed = append(l.failed, call)
	}
}

// answered notes who answers a request.
func (l *load) answered(call *loadCall, version, instance string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	call.instance = instance
	l.served[call.host+" "+version]++
}

// underWay are the requests under way.
func (l *load) underWay() map[*loadCall]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.active)
}

// total is how many requests have ended, and how many of them failed.
func (l *load) total() (made, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, n := range l.made {
		made, failed = made+n, failed+l.wrong[kind]
	}
	return made, failed
}

// failures are the failures in words, the first of them.
func (l *load) failures() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, call := range l.failed {
		fmt.Fprintf(&b, "\n\t%s", call)
	}
	return b.String()
}

// table is the requests by kind.
func (l *load) table() string {
	made, failed := l.total()
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s %9s %7s %9s\n", "requests", "made", "failed", "longest")
	for _, k := range loadKinds {
		fmt.Fprintf(&b, "%-16s %9d %7d %9s\n", k.name, l.made[k.name], l.wrong[k.name], l.most[k.name].Round(time.Millisecond))
	}
	fmt.Fprintf(&b, "%-16s %9d %7d, over %d connections of HTTP/1.1", "all", made, failed, l.dials.Load())
	return b.String()
}

// request makes a request to the caller's host.
func (c *caller) request(ctx context.Context, method, path string, body io.Reader, client *http.Client) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.address+path, body)
	if err != nil {
		return nil, err
	}
	req.Host = c.host
	return client.Do(req)
}

// open makes a request and expects a good answer, of which the body is left to be read.
func (c *caller) open(ctx context.Context, call *loadCall, method, path string, body io.Reader, client *http.Client) (*http.Response, error) {
	res, err := c.request(ctx, method, path, body, client)
	if err != nil {
		return nil, err
	}
	if err := c.good(call, res, http.StatusOK); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res, nil
}

// good notes who has answered, and is an error unless the answer has the status.
func (c *caller) good(call *loadCall, res *http.Response, status int) error {
	if res.StatusCode != status {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return fmt.Errorf("%s: %s", res.Status, text)
	}
	version, instance := res.Header.Get("Demo-Version"), res.Header.Get("Demo-Hostname")
	if version == "" || instance == "" {
		return fmt.Errorf("the header does not say who answers: %v", res.Header)
	}
	c.answered(call, version, instance)
	return nil
}

// exact makes a request and expects that answer.
func (c *caller) exact(ctx context.Context, call *loadCall, method, path string, body io.Reader, want []byte, client *http.Client) error {
	res, err := c.open(ctx, call, method, path, body, client)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("after %d bytes of the answer: %w", len(got), err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("answered with %d other bytes than the %d wanted: %.80q", len(got), len(want), got)
	}
	return nil
}

func get(ctx context.Context, c *caller, call *loadCall) error {
	return c.getVersion(ctx, call, c.client)
}

func getOverHTTP2(ctx context.Context, c *caller, call *loadCall) error {
	return c.getVersion(ctx, call, c.second)
}

// getVersion expects the body to say the version that the header says.
func (c *caller) getVersion(ctx context.Context, call *loadCall, client *http.Client) error {
	res, err := c.open(ctx, call, http.MethodGet, "/version", http.NoBody, client)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if want := res.Header.Get("Demo-Version") + "\n"; string(got) != want {
		return fmt.Errorf("answered with %q, want %q", got, want)
	}
	return nil
}

// bodySizes are around the bounds of what the balancer keeps of a body.
var bodySizes = []int{1, 100, 4 << 10, 64 << 10, 64<<10 + 1, 256 << 10}

// post sends a body and expects it back. Every other one is sent without its length.
func post(ctx context.Context, c *caller, call *loadCall) error {
	sent := bytes.Repeat([]byte{byte('a' + rand.N(26))}, bodySizes[rand.N(len(bodySizes))])
	var body io.Reader = bytes.NewReader(sent)
	if rand.N(2) == 0 {
		body = struct{ io.Reader }{body}
	}
	return c.exact(ctx, call, http.MethodPost, "/echo", body, sent, c.client)
}

func slowGet(ctx context.Context, c *caller, call *loadCall) error {
	ms := strconv.FormatInt(c.slow.Milliseconds(), 10)
	return c.exact(ctx, call, http.MethodGet, "/slow?ms="+ms, http.NoBody, []byte(`{"ms":`+ms+"}\n"), c.client)
}

// slowPost sends a body piece by piece and expects each piece back before it sends
// the next.
func slowPost(ctx context.Context, c *caller, call *loadCall) error {
	body, send := io.Pipe()
	pieces := make(chan string, 1)
	var sending sync.WaitGroup
	sending.Go(func() {
		for p := range pieces {
			_, _ = io.WriteString(send, p)
		}
		_ = send.Close()
	})
	done := sync.OnceFunc(func() { close(pieces) })
	defer func() {
		_ = body.CloseWithError(errors.New("the request is over"))
		done()
		sending.Wait()
	}()
	pieces <- piece(0) // an answer need not begin before its request has
	res, err := c.open(ctx, call, http.MethodPost, "/echo", body, c.client)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n := 0
	if err := c.paced(func() error {
		if n > 0 {
			pieces <- piece(n)
		}
		got := make([]byte, len(piece(n)))
		if _, err := io.ReadFull(res.Body, got); err != nil {
			return fmt.Errorf("piece %d: %w", n, err)
		}
		if string(got) != piece(n) {
			return fmt.Errorf("piece %d came back as %q", n, got)
		}
		n++
		return nil
	}); err != nil {
		return err
	}
	done()
	return atEnd(res.Body)
}

// atEnd expects nothing more to come.
func atEnd(r io.Reader) error {
	rest, err := io.ReadAll(r)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%.80q came", rest)
	}
	if err != nil {
		return fmt.Errorf("after the end: %w", err)
	}
	return nil
}

func piece(n int) string { return fmt.Sprintf("piece %08d\n", n) }

// paced does something at every beat until the time of a slow request is over.
func (c *caller) paced(do func() error) error {
	beat := time.NewTicker(loadBeat)
	defer beat.Stop()
	for range max(1, int(c.slow/loadBeat)) {
		<-beat.C
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// serverSent expects server-sent events, complete and in order.
func serverSent(ctx context.Context, c *caller, call *loadCall) error {
	path := fmt.Sprintf("/events?ms=%d&every=%d", c.slow.Milliseconds(), loadBeat.Milliseconds())
	res, err := c.open(ctx, call, http.MethodGet, path, http.NoBody, c.client)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var want strings.Builder
	data := "data: " + res.Header.Get("Demo-Version") + "\n\n"
	for n := range int(c.slow / loadBeat) {
		fmt.Fprintf(&want, "id: %d\n%s", n, data)
	}
	want.WriteString("event: end\n" + data)
	in := bufio.NewReader(res.Body)
	for line := range strings.Lines(want.String()) {
		got, err := in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("instead of %q: %w", line, err)
		}
		if got != line {
			return fmt.Errorf("%q came instead of %q", got, line)
		}
	}
	return atEnd(in)
}

// webSocket expects back each message that it sends.
func webSocket(ctx context.Context, c *caller, call *loadCall) error {
	conn, res, err := websocket.Dial(ctx, "ws://"+c.address+"/ws", &websocket.DialOptions{HTTPClient: c.client, Host: c.host}) //nolint:bodyclose // its body is the WebSocket
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	if err := c.good(call, res, http.StatusSwitchingProtocols); err != nil {
		return err
	}
	n := 0
	if err := c.paced(func() error {
		if err := conn.Write(ctx, websocket.MessageText, []byte(piece(n))); err != nil {
			return fmt.Errorf("message %d: %w", n, err)
		}
		_, got, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("answer %d: %w", n, err)
		}
		if string(got) != piece(n) {
			return fmt.Errorf("message %d came back as %q", n, got)
		}
		n++
		return nil
	}); err != nil {
		return err
	}
	return conn.Close(websocket.StatusNormalClosure, "")
}

// greeted notes who has answered a gRPC.
func (c *caller) greeted(call *loadCall, header metadata.MD) error {
	version, instance := header.Get("demo-version"), header.Get("demo-hostname")
	if len(version) != 1 || len(instance) != 1 {
		return fmt.Errorf("the header does not say who answers: %v", header)
	}
	c.answered(call, version[0], instance[0])
	return nil
}

func unary(ctx context.Context, c *caller, call *loadCall) error {
	var header metadata.MD
	sent, got := piece(rand.N(1_000_000)), new(wrapperspb.StringValue)
	if err := c.conn.Invoke(ctx, "/wedsync.demo.Echo/Say", wrapperspb.String(sent), got, grpc.Header(&header)); err != nil {
		return err
	}
	if got.GetValue() != sent {
		return fmt.Errorf("%q was answered with %q", sent, got.GetValue())
	}
	return c.greeted(call, header)
}

// stream expects back each message that it sends over a stream of gRPC.
func stream(ctx context.Context, c *caller, call *loadCall) error {
	s, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/wedsync.demo.Echo/Chat")
	if err != nil {
		return err
	}
	n := 0
	got := new(wrapperspb.StringValue)
	receive := func() error {
		if err := s.RecvMsg(got); err != nil {
			return fmt.Errorf("answer %d: %w", n, err)
		}
		if got.GetValue() != piece(n) {
			return fmt.Errorf("message %d came back as %q", n, got.GetValue())
		}
		return nil
	}
	if err := c.paced(func() error {
		if err := s.SendMsg(wrapperspb.String(piece(n))); err != nil && !errors.Is(err, io.EOF) { // RecvMsg says why it has ended
			return fmt.Errorf("message %d: %w", n, err)
		}
		if err := receive(); err != nil {
			return err
		}
		if n == 0 {
			header, err := s.Header()
			if err == nil {
				err = c.greeted(call, header)
			}
			if err != nil {
				return err
			}
		}
		n++
		return nil
	}); err != nil {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	if err := s.RecvMsg(got); !errors.Is(err, io.EOF) {
		return fmt.Errorf("at the end of the stream: %w", err)
	}
	return nil
}
