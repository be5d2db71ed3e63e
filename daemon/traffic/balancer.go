package traffic

import (
	"log/slog"
	"maps"
	"net/http/httputil"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Config is what a Balancer is made of.
type Config struct {
	// Domain is what the services' own hosts end with: SERVICE.ENVIRONMENT.<Domain>.
	Domain string
	// TrustedProxies are the addresses whose X-Forwarded headers are believed.
	TrustedProxies []netip.Prefix
	// AccessLog gets a line for each request; nil for none.
	AccessLog *AccessLog
	Logger    *slog.Logger
}

// Balancer answers requests with the instances of the services. It is an
// http.Handler, a Receiver and a Meter.
type Balancer struct {
	domain  string
	trusted []netip.Prefix
	log     *slog.Logger
	proxy   *httputil.ReverseProxy
	table   atomic.Pointer[table]
	idle    chan struct{}
	refused refusals
	// roundabout has net/http's client carry everything: tests compare the two ways.
	roundabout bool
	// ending has clients told to make new connections; connections are those that there are.
	ending      atomic.Bool
	connections atomic.Int64
	access      *AccessLog // nil for none
	// security is nil without TLS.
	security *security

	mu       sync.Mutex
	backends map[backendKey]*backend
	leaving  map[*backend]bool
	measured time.Time
}

// backendKey tells an endpoint from a later one of another address.
type backendKey struct{ id, url string }

// NewBalancer makes a balancer that knows no service yet.
func NewBalancer(c Config) *Balancer {
	b := &Balancer{
		domain: c.Domain, trusted: c.TrustedProxies, log: c.Logger, access: c.AccessLog, idle: make(chan struct{}, 1),
		backends: make(map[backendKey]*backend), leaving: make(map[*backend]bool), measured: time.Now(),
	}
	b.table.Store(newTable(b.domain, nil, nil))
	b.proxy = b.newProxy()
	return b
}

// Idle tells that an instance that drains has no request any more.
func (b *Balancer) Idle() <-chan struct{} { return b.idle }

// Receive implements Receiver. Requests see the old table or the new one, whole.
func (b *Balancer) Receive(t fleet.Traffic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := make(map[backendKey]*backend, len(t.Endpoints))
	services := make(map[serviceKey][]fleet.Endpoint)
	for _, s := range t.Services {
		services[serviceKey{s.Name, s.Environment}] = nil
	}
	for _, e := range t.Endpoints {
		key := backendKey{e.ID, e.URL}
		known, ok := b.backends[key]
		if !ok {
			made, err := newBackend(e, b.tellIdle)
			if err != nil {
				b.log.Warn("cannot use an endpoint", "error", err)
				continue
			}
			known = made
		}
		known.reach.follow(e.Healthy)
		kept[key] = known
		k := serviceKey{e.ServiceName, e.Environment}
		services[k] = append(services[k], e)
	}
	before := b.table.Load()
	pools := make(map[serviceKey]*pool, len(services))
	for k, endpoints := range services {
		pools[k] = newPool(k, endpoints, t.Splits, kept, before.pools[k])
	}
	b.table.Store(newTable(b.domain, t.Routes, pools))
	b.retire(kept)
}

// retire lets go of the backends that are not in the table any more. It comes
// after the table, so that who is turned away finds another one.
func (b *Balancer) retire(kept map[backendKey]*backend) {
	for key, old := range b.backends {
		old.links.prune(false)
		if kept[key] != old {
			old.drain()
			b.leaving[old] = true
		}
	}
	b.backends = kept
	b.sweep()
}

// sweep forgets the backends whose requests have ended.
func (b *Balancer) sweep() {
	for old := range b.leaving {
		if old.inFlight.Load() == 0 {
			old.close()
			delete(b.leaving, old)
		}
	}
}

// newPool is the pool of a service's healthy endpoints. Where it shares out as
// before, the cycle goes on where it was.
func newPool(k serviceKey, endpoints []fleet.Endpoint, splits []fleet.Split, backends map[backendKey]*backend, before *pool) *pool {
	healthy := slices.DeleteFunc(sorted(endpoints), func(e fleet.Endpoint) bool { return !e.Healthy })
	weights, incoming := shares(healthy, splits)
	var all, canaries, others []member
	for n, e := range healthy {
		m := backends[backendKey{e.ID, e.URL}]
		all = append(all, member{m, weights[n]})
		own := member{m, int64(e.Weight) * scale}
		if incoming[n] {
			canaries = append(canaries, own)
		} else {
			others = append(others, own)
		}
	}
	p := &pool{service: k.service, environment: k.environment, all: newRing(all), budget: newBudget()}
	if len(canaries) > 0 {
		p.incoming, p.before = newRing(canaries), newRing(others)
	}
	if before == nil {
		return p
	}
	if p.sameAs(before) {
		return before
	}
	p.budget = before.budget
	return p
}

func (b *Balancer) tellIdle() {
	select {
	case b.idle <- struct{}{}:
	default:
	}
}

// Drained implements Receiver.
func (b *Balancer) Drained(instanceID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep()
	for old := range b.leaving {
		if old.endpoint.InstanceID == instanceID {
			return false
		}
	}
	return true
}

// Loads implements Meter.
func (b *Balancer) Loads() []fleet.Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	elapsed := now.Sub(b.measured).Seconds()
	b.measured = now
	var loads []fleet.Load
	for _, m := range b.backends {
		r := m.since()
		l := fleet.Load{
			ServiceName: m.endpoint.ServiceName, Environment: m.endpoint.Environment, EndpointID: m.endpoint.ID,
			InFlight: int(m.inFlight.Load()), P50: r.quantile(0.5), P95: r.quantile(0.95), P99: r.quantile(0.99), MeasuredAt: now.UTC(),
		}
		if elapsed > 0 {
			l.RequestRate, l.ErrorRate = float64(r.total())/elapsed, float64(r.answers[5]+r.answers[0])/elapsed
		}
		loads = append(loads, l)
	}
	return loads
}

// everyBackend lists the backends, those that drain among them.
func (b *Balancer) everyBackend() []*backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Values(b.backends)), maps.Keys(b.leaving))
}
