package traffic

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// exchange is one request and its answer.
type exchange struct {
	match
	started   time.Time
	requestID string
	forwarded forwarded
	watch     watch
	upload    *upload     // nil without a body
	header    http.Header // of the answer to the client
	// ring is where the instance is looked for, and sticky the one that the client
	// was at before.
	ring   *ring
	sticky *backend
	// backend is the one that answers; nil until it does.
	backend *backend
	// retries is how many instances were tried in vain, and tunnelIn and tunnelOut
	// what has gone through a connection of another protocol, for the access log.
	retries             int
	tunnelIn, tunnelOut atomic.Int64
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// choice says which backends may be picked.
type choice struct {
	now   time.Time
	most  int64
	tried []*backend
	// anyway picks those that are ejected too.
	anyway bool
}

func (c *choice) usable(b *backend) bool {
	return !b.draining.Load() && b.inFlight.Load() < c.most && (c.anyway || !b.ejected(c.now)) &&
		(len(c.tried) == 0 || !slices.Contains(c.tried, b))
}

// pick is an instance that has not been tried and that the request is counted at;
// nil when there is none.
func (x *exchange) pick(tried []*backend) *backend {
	c := choice{now: time.Now(), most: int64(x.limits.MaxRequests), tried: tried}
	if x.sticky != nil && c.usable(x.sticky) && x.sticky.enter() {
		return x.sticky
	}
	for _, anyway := range []bool{false, true} {
		c.anyway = anyway
		for {
			var b *backend
			if x.limits.Strategy == grammar.LeastRequests {
				b = x.ring.lessBusy(c.usable)
			} else {
				b = x.ring.next(c.usable)
			}
			if b == nil {
				break
			}
			if b.enter() {
				return b
			}
		}
	}
	return nil
}

// nobody is why no instance could be picked.
func (x *exchange) nobody() refusal {
	if len(x.ring.members) == 0 {
		return refuseNobody
	}
	return refuseBusy
}

// answering is the answer's body; whatever comes of it keeps the request from expiring.
type answering struct {
	io.ReadCloser

	x *exchange
}

func (a *answering) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	a.x.watch.answered()
	return n, err
}

// tunnel is the connection to an instance that has switched protocols.
type tunnel struct {
	io.ReadWriteCloser

	x *exchange
}

func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Read(p)
	t.x.watch.answered()
	t.x.tunnelOut.Add(int64(n))
	return n, err
}

// Write counts before it writes: the instance may answer, and end the connection,
// before the write has returned.
func (t *tunnel) Write(p []byte) (int, error) {
	t.x.watch.answered()
	t.x.tunnelIn.Add(int64(len(p)))
	n, err := t.ReadWriteCloser.Write(p)
	t.x.tunnelIn.Add(int64(n - len(p)))
	return n, err
}

// RoundTrip sends a request of the proxy's to an instance; see offer.
func (b *Balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	x := exchangeOf(req.Context())
	res, err := b.offer(x, req, x.send)
	if err != nil {
		return nil, err
	}
	if !isStatus(res.StatusCode) {
		return nil, errors.Join(errStatus, res.Body.Close())
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		res.Body = &answering{res.Body, x}
		return res, nil
	}
	conn, ok := res.Body.(io.ReadWriteCloser)
	if !ok || req.Header.Get("Upgrade") == "" || !strings.EqualFold(req.Header.Get("Upgrade"), res.Header.Get("Upgrade")) {
		return nil, errors.Join(errProtocol, res.Body.Close())
	}
	// From here on the connection is not HTTP any more, and must not be before.
	release(req.Context())
	res.Body = &tunnel{conn, x}
	return res, nil
}

// offer sends a request to an instance; to another one where the first could not
// be connected to, or broke off and the request may be repeated. The instance that
// answers counts the request until the exchange ends.
func (b *Balancer) offer(x *exchange, req *http.Request, send func(*http.Request, *backend) (*http.Response, error)) (*http.Response, error) {
	x.pool.budget.earn()
	var tried []*backend
	var last error
	for {
		m := x.pick(tried)
		if m == nil {
			if x.renew(b.table.Load(), req) {
				continue
			}
			if last != nil {
				return nil, last
			}
			return nil, refused{x.nobody()}
		}
		res, err := send(req, m)
		if err == nil {
			x.backend = m
			x.watch.answered()
			m.count(res.StatusCode, time.Since(x.started))
			b.judge(x.pool, m, res.StatusCode)
			return res, nil
		}
		m.leave()
		if x.watch.ended() || req.Context().Err() != nil {
			return nil, err
		}
		connected := !unconnected(err)
		if connected || !m.reach.lost() { // else it is known
			b.blame(x.pool, m, connected)
		}
		last = err
		tried = append(tried, m)
		if len(tried) >= maxTries || connected && !x.again(req, err, tried) {
			return nil, err
		}
		m.retries.Add(1)
		x.retries++
		x.renew(b.table.Load(), req)
	}
}

// renew looks who the service's instances are now; false when it is known already.
// All that there were when the request came may have left since: a moment ago by a
// cut-over, or long ago where one that was slow to answer broke off.
func (x *exchange) renew(t *table, r *http.Request) bool {
	p := t.pools[serviceKey{x.pool.service, x.pool.environment}]
	if p == nil || p == x.pool {
		return false
	}
	x.pool = p
	x.choose(r)
	return true
}

// send offers the request to one instance, by way of net/http.
func (x *exchange) send(req *http.Request, b *backend) (*http.Response, error) {
	out := req.WithContext(req.Context())
	u := *req.URL
	u.Scheme, u.Host = b.url.Scheme, b.url.Host
	out.URL = &u
	out.Body, out.GetBody = nil, nil
	if x.upload != nil {
		a, ok := x.upload.begin()
		if !ok {
			return nil, errOver
		}
		out.Body = a
		if x.upload.keep {
			out.GetBody = x.upload.again
		}
	}
	if b.url.Scheme == "http" && isGRPC(req) {
		return b.clear.RoundTrip(out)
	}
	return b.plain.RoundTrip(out)
}

// isGRPC reports whether a request is of gRPC, which needs HTTP/2.
func isGRPC(r *http.Request) bool {
	const kind = "application/grpc"
	t := r.Header["Content-Type"]
	return r.ProtoMajor == 2 && len(t) > 0 && len(t[0]) >= len(kind) && t[0][:len(kind)] == kind
}

// again reports whether a request that broke off may be sent once more: repeating
// it changes nothing, its body can be sent again, and the service has retries left.
func (x *exchange) again(req *http.Request, err error, tried []*backend) bool {
	if len(tried) > 1 || !idempotent(req) || errors.Is(err, errBodySize) {
		return false
	}
	return x.pool.budget.spend()
}

// idempotent reports whether a request may be repeated: its method says so (RFC
// 9110, section 9.2.2), or its client, by a key.
func idempotent(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	default:
		return r.Header.Get("Idempotency-Key") != ""
	}
}

// unconnected reports whether an error is of a connection that could not be made,
// so that the instance has seen nothing of the request.
func unconnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// judge notes an answer, and leaves an instance alone that fails too often.
func (b *Balancer) judge(p *pool, m *backend, status int) {
	if status < http.StatusInternalServerError || status == http.StatusNotImplemented {
		m.succeed()
	} else if m.fail() {
		b.eject(p, m)
	}
}

// blame notes an attempt without an answer.
func (b *Balancer) blame(p *pool, m *backend, connected bool) {
	if !connected || m.fail() {
		b.eject(p, m)
	}
	m.count(0, 0)
}

// eject leaves an instance alone for a while, unless half of the service's are
// already, or it is the last.
func (b *Balancer) eject(p *pool, m *backend) {
	now := time.Now()
	ejected := 0
	for _, other := range p.all.members {
		if other.backend != m && other.backend.ejected(now) {
			ejected++
		}
	}
	if m.ejected(now) || 2*(ejected+1) > len(p.all.members) {
		return
	}
	d := m.eject(now)
	m.ejections.Add(1)
	b.log.Warn("an instance fails and gets no requests for a while",
		"service", p.service, "environment", p.environment, "endpoint", m.endpoint.URL, "instance", m.endpoint.InstanceID, "duration", d)
}

// refused is an error that carries an answer of the balancer's own.
type refused struct{ refusal }

func (r refused) Error() string { return r.detail }

// explain is the answer for an error of a request that has none.
func (x *exchange) explain(err error) refusal {
	var own refused
	cause := x.watch.cause()
	switch {
	case errors.As(err, &own):
		return own.refusal
	case errors.Is(err, errBodySize):
		return refuseBody
	case errors.Is(cause, errLateBody):
		return refuseLate
	case errors.Is(cause, errSlow):
		return refuseSlow
	case unconnected(err):
		return refuseConnect
	default:
		return refuseBroken
	}
}
