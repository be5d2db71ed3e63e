package traffic

import (
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// watcherGrace is how long a watcher may take to act on what it was told.
const watcherGrace = time.Second

// Registry is a receiver that keeps what is registered for whoever asks, in
// memory. All of its methods may be called at the same time.
type Registry struct {
	current atomic.Pointer[registered]

	mu sync.Mutex // for writers of current, and for what follows
	// left holds when endpoints left, until watcherGrace is over.
	left map[string]time.Time
	// watchers is how many there are; unwatched is when there was last one.
	watchers  int
	unwatched time.Time
}

// registered is what is registered as of one moment; never changed, but that
// superseded is closed when there is a newer one.
type registered struct {
	fleet.Registry
	superseded chan struct{}
	// known are the services by name, and endpoints those by identifier.
	known     map[fleet.Service]fleet.RegisteredService
	endpoints map[string]fleet.Endpoint
}

// NewRegistry makes a Registry that knows nothing yet.
func NewRegistry() *Registry {
	r := &Registry{left: make(map[string]time.Time)}
	r.current.Store(newRegistered(make(chan struct{})))
	return r
}

func newRegistered(superseded chan struct{}) *registered {
	return &registered{
		Registry: fleet.Registry{Superseded: superseded}, superseded: superseded,
		known: make(map[fleet.Service]fleet.RegisteredService), endpoints: make(map[string]fleet.Endpoint),
	}
}

// Receive takes over a snapshot. The index rises where something other than
// heartbeats differs. It begins with the time of day, so that one of an earlier
// run is never mistaken for one of this run.
func (r *Registry) Receive(t fleet.Traffic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.current.Load()
	if old.Closed {
		return
	}
	index := old.Index + 1
	if old.Index == 0 {
		index = uint64(time.Now().UnixMilli())
	}
	next, changed := old.successor(t.Endpoints, index)
	r.noteLeavers(old, next)
	if !changed && old.Index > 0 {
		next.Index, next.superseded, next.Superseded = old.Index, old.superseded, old.superseded
		r.current.Store(next)
		return
	}
	r.current.Store(next)
	close(old.superseded)
}

// successor is the registry of endpoints, and whether a service of it differs.
// Services that do not keep their index.
func (g *registered) successor(endpoints []fleet.Endpoint, index uint64) (next *registered, changed bool) {
	next = newRegistered(make(chan struct{}))
	next.Index = index
	for group := range byService(endpoints) {
		s := fleet.RegisteredService{Service: group[0].Service(), Index: index, Endpoints: group}
		if was, ok := g.known[s.Service]; ok && slices.EqualFunc(was.Endpoints, group, sameEndpoint) {
			s.Index = was.Index
		} else {
			changed = true
		}
		next.Services = append(next.Services, s)
		next.known[s.Service] = s
		for _, e := range group {
			next.endpoints[e.ID] = e
		}
	}
	return next, changed || len(next.Services) != len(g.Services)
}

// byService yields the endpoints of each service, which lie next to each other.
func byService(endpoints []fleet.Endpoint) iter.Seq[[]fleet.Endpoint] {
	return func(yield func([]fleet.Endpoint) bool) {
		for len(endpoints) > 0 {
			n := 1
			for n < len(endpoints) && endpoints[n].Service() == endpoints[0].Service() {
				n++
			}
			if !yield(endpoints[:n:n]) {
				return
			}
			endpoints = endpoints[n:]
		}
	}
}

// sameEndpoint reports whether two states of endpoints differ in nothing but heartbeats.
func sameEndpoint(a, b fleet.Endpoint) bool {
	if !maps.Equal(a.Metadata, b.Metadata) {
		return false
	}
	a.Metadata, a.LastHeartbeat = b.Metadata, b.LastHeartbeat
	return reflect.DeepEqual(a, b)
}

// noteLeavers keeps when endpoints left, for as long as it matters.
func (r *Registry) noteLeavers(old, next *registered) {
	now := time.Now()
	for id, at := range r.left {
		if _, back := next.endpoints[id]; back || now.Sub(at) >= watcherGrace {
			delete(r.left, id)
		}
	}
	for id := range old.endpoints {
		if _, there := next.endpoints[id]; !there {
			r.left[id] = now
		}
	}
}

// Drained reports whether nobody can still use an instance because of what was told
// here: one that watches may take a moment to act on the news.
func (r *Registry) Drained(instanceID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.current.Load().endpoints[instanceID]; there {
		return false
	}
	at, leaving := r.left[instanceID]
	return !leaving || time.Since(at) >= watcherGrace || r.watchers == 0 && time.Since(r.unwatched) >= watcherGrace
}

// Watch says that somebody goes by what changes here, until leave is called.
func (r *Registry) Watch() (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.watchers--
		r.unwatched = time.Now()
	}
}

// Current is what is registered now.
func (r *Registry) Current() fleet.Registry { return r.current.Load().Registry }

// Endpoint is the endpoint of that identifier, if there is one.
func (r *Registry) Endpoint(id string) (fleet.Endpoint, bool) {
	e, ok := r.current.Load().endpoints[id]
	return e, ok
}

// Close has everyone who waits for something newer go on, and says that nothing
// will come. What is known can still be read.
func (r *Registry) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.current.Load()
	if old.Closed {
		return
	}
	last := *old
	last.Closed = true
	r.current.Store(&last)
	close(old.superseded)
}
