package discovery

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// resolverGrace is how long a resolver, and whoever asked it, may go on using
	// a record that is gone: its TTL, and as much again for answers on their way.
	resolverGrace = 2 * ttl * time.Second
	// catalogLifetime is how long a client of Consul's API is taken to go by an
	// answer, if it does not wait for the next: such clients poll every few seconds.
	catalogLifetime = time.Minute
	// maxWaiters bounds the requests that wait for a change.
	maxWaiters = 1024
)

// Directory is what is registered, as of the newest snapshot that it received.
// All of its methods may be called at the same time.
type Directory struct {
	current atomic.Pointer[snapshot]
	waiters atomic.Int64
	// base is added to indexes that leave the process. It is later at each start, so
	// that an index which a client kept from an earlier run is never mistaken for one of this run.
	base uint64

	// held is until when somebody may still hold an answer, in nanoseconds since 1970.
	held atomic.Int64

	closing sync.Once
	closed  chan struct{}

	mu sync.Mutex // for writers of current, and for left
	// left holds when instances were taken out, until resolverGrace is over.
	left map[string]time.Time
}

// NewDirectory makes a Directory that knows nothing yet.
func NewDirectory() *Directory {
	d := &Directory{
		base:   uint64(time.Now().UnixMilli()),
		closed: make(chan struct{}),
		left:   make(map[string]time.Time),
	}
	d.current.Store(unknown())
	return d
}

// Receive takes over a snapshot. The index rises by one when it differs in
// something that can be seen from outside; heartbeats and the like do not count.
// The snapshot must not be changed afterwards.
func (d *Directory) Receive(t fleet.Traffic) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.current.Load()
	next := old.successor(t.Endpoints)
	if next == nil {
		return
	}
	d.noteLeavers(old, next)
	d.current.Store(next)
	close(old.superseded)
}

// noteLeavers keeps when instances left, and forgets those that no resolver can remember.
func (d *Directory) noteLeavers(old, next *snapshot) {
	now := time.Now()
	for id, at := range d.left {
		if now.Sub(at) >= resolverGrace || next.instances[id] {
			delete(d.left, id)
		}
	}
	for id := range old.instances {
		if !next.instances[id] {
			d.left[id] = now
		}
	}
}

// Drained reports whether the instance has been out of the directory for so long
// that nobody can still be led to it by an answer given before: 2 s, twice the
// TTL of a DNS record, or no time at all where nobody has asked of late. An
// instance that was never seen is drained.
func (d *Directory) Drained(instanceID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current.Load().instances[instanceID] {
		return false
	}
	at, leaving := d.left[instanceID]
	return !leaving || time.Since(at) >= resolverGrace || d.waiters.Load() == 0 && time.Now().UnixNano() >= d.held.Load()
}

// told notes an answer that who asked may go by for a while.
func (d *Directory) told(lasts time.Duration) {
	until := time.Now().Add(lasts).UnixNano()
	for {
		held := d.held.Load()
		if held >= until || d.held.CompareAndSwap(held, until) {
			return
		}
	}
}

// Index is 0 before the first snapshot, 1 with it, and one more with each change since.
func (d *Directory) Index() uint64 { return d.current.Load().index }

// Wait returns the index once it differs from the given one, or what it is when
// the timeout or the context ends. It returns at once while 1,024 others wait,
// and after Close.
func (d *Directory) Wait(ctx context.Context, index uint64, timeout time.Duration) uint64 {
	return d.wait(ctx, timeout, func(s *snapshot) bool { return s.index != index }).index
}

// wait is Wait for any condition on the newest snapshot, which it returns.
func (d *Directory) wait(ctx context.Context, timeout time.Duration, reached func(*snapshot) bool) *snapshot {
	s := d.current.Load()
	if reached(s) || timeout <= 0 {
		return s
	}
	defer d.waiters.Add(-1)
	if d.waiters.Add(1) > maxWaiters {
		return s
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for !reached(s) {
		select {
		case <-s.superseded:
			s = d.current.Load()
		case <-timer.C:
			return s
		case <-ctx.Done():
			return s
		case <-d.closed:
			return s
		}
	}
	return s
}

// Close has everyone who waits answered, now and from now on, so that a server
// that shuts down need not wait for them. The directory can still be read.
func (d *Directory) Close() { d.closing.Do(func() { close(d.closed) }) }
