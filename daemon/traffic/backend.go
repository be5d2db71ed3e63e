package traffic

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// connectTimeout is how long an instance may take to accept a connection. Tests
// raise it: what waits it out shows by that.
var connectTimeout = 3 * time.Second

// Bounds of connections to instances.
const (
	// idleUpstream is how long an unused connection to an instance is kept. It is
	// shorter than servers commonly keep theirs, so that they do not close one that
	// is about to be used.
	idleUpstream = 4 * time.Second
	// maxIdle bounds the unused connections that are kept for each instance.
	maxIdle = 256
)

// backend is one endpoint, for as long as it is registered under one URL.
type backend struct {
	endpoint fleet.Endpoint
	url      *url.URL
	// token names it in sticky cookies, and tells nothing else.
	token string
	// plain speaks HTTP/1.1, or HTTP/2 where TLS negotiates it; clear speaks HTTP/2
	// without TLS.
	plain, clear *http.Transport
	// links are the balancer's own connections, for simple requests.
	links links
	dial  func(context.Context) (net.Conn, error)

	// reach ends when the instance turns out to be unhealthy.
	reach reach

	inFlight atomic.Int64
	draining atomic.Bool
	// idle is called when the last request of one that drains has ended.
	idle func()
	meter
	ejection
}

// newBackend refuses an endpoint whose URL cannot be one.
func newBackend(e fleet.Endpoint, idle func()) (*backend, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" {
		return nil, fleet.Errorf(fleet.ErrInvalid, "endpoint %s has the URL %q, which has no host", e.ID, e.URL)
	}
	sum := sha256.Sum256([]byte(e.ID))
	b := &backend{endpoint: e, url: u, token: hex.EncodeToString(sum[:8]), idle: idle}
	b.reach.follow(true)
	b.plain, b.clear = newTransport(&b.reach), newTransport(&b.reach)
	b.dial = dialer(u, &b.reach)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	b.clear.Protocols = &protocols
	return b, nil
}

// reach is whether an instance can be reached, as far as the registry knows. An
// instance that has died often refuses no connection: nobody answers, and who
// tries would wait for connectTimeout. So what is being tried ends when the registry
// says that it is unhealthy, and goes on to another one.
type reach struct {
	mu   sync.Mutex
	ctx  context.Context
	lose context.CancelFunc
}

// follow notes whether the registry takes the instance for healthy.
func (r *reach) follow(healthy bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !healthy {
		r.lose()
	} else if r.ctx == nil || r.ctx.Err() != nil {
		r.ctx, r.lose = context.WithCancel(context.Background())
	}
}

// now is a context that ends when the instance is lost.
func (r *reach) now() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ctx
}

// lost reports whether the instance cannot be reached any more.
func (r *reach) lost() bool { return r.now().Err() != nil }

// dial makes a connection, unless the instance is lost before it has come about.
func (r *reach) dial(ctx context.Context, how func(context.Context, string, string) (net.Conn, error), network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.now(), cancel)()
	return how(ctx, network, address)
}

// dialer makes connections of the balancer's own to a URL's host.
func dialer(u *url.URL, r *reach) func(context.Context) (net.Conn, error) {
	d := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	how := d.DialContext
	if u.Scheme == "https" {
		how = (&tls.Dialer{NetDialer: d, Config: &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}}).DialContext
	}
	return func(ctx context.Context) (net.Conn, error) { return r.dial(ctx, how, "tcp", u.Host) }
}

// newTransport makes connections for one instance. Nothing is compressed,
// followed or cached on the way, and no proxy of the environment is asked.
func newTransport(r *reach) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return r.dial(ctx, dialer.DialContext, network, address)
		},
		DisableCompression:     true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleUpstream,
		TLSHandshakeTimeout:    connectTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        4 << 10,
		ReadBufferSize:         4 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// enter counts a request in, unless the backend drains.
func (b *backend) enter() bool {
	b.inFlight.Add(1)
	if b.draining.Load() {
		b.leave()
		return false
	}
	return true
}

// leave counts a request out.
func (b *backend) leave() {
	if b.inFlight.Add(-1) == 0 && b.draining.Load() {
		b.idle()
	}
}

// drain lets no new request in. It returns at once.
func (b *backend) drain() { b.draining.Store(true) }

// close closes what connections are left and not in use.
func (b *backend) close() {
	b.links.prune(true)
	b.plain.CloseIdleConnections()
	b.clear.CloseIdleConnections()
}

// Passive ejection: an instance that fails is left alone for a while, ever longer
// while it goes on.
const (
	// failuresToEject is how many failed answers in a row eject an instance. One
	// connection that cannot be made does at once.
	failuresToEject = 5
	firstEjection   = time.Second
	lastEjection    = time.Minute
	// forgiveAfter is how long an instance has to answer well to begin anew.
	forgiveAfter = time.Minute
)

// ejection is what the requests of late say of a backend.
type ejection struct {
	// until is the end of the ejection in nanoseconds since 1970, zero for none: it
	// is asked for every request, without a lock.
	until atomic.Int64

	// failing is how many answers failed in a row.
	failing atomic.Int32

	mu    sync.Mutex
	times int // how often it has been ejected
	ended time.Time
}

// ejected reports whether the backend is to be left alone now.
func (e *ejection) ejected(now time.Time) bool {
	until := e.until.Load()
	return until != 0 && now.UnixNano() < until
}

// succeed notes a good answer.
func (e *ejection) succeed() {
	if e.failing.Load() != 0 {
		e.failing.Store(0)
	}
}

// fail notes a failed answer and reports whether it is one too many.
func (e *ejection) fail() bool { return e.failing.Add(1) >= failuresToEject }

// eject leaves the backend alone for a time that doubles.
func (e *ejection) eject(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.ended) > forgiveAfter {
		e.times = 0
	}
	d := lastEjection
	if e.times < 10 {
		d = min(firstEjection<<e.times, lastEjection)
	}
	e.times++
	e.ended = now.Add(d)
	e.failing.Store(0)
	e.until.Store(e.ended.UnixNano())
	return d
}
