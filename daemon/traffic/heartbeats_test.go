package traffic

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// beating runs heartbeats over rows in a bubble; after f it ends them.
func beating(t *testing.T, f func(*Heartbeats, *rows), after func(*rows)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := rowsOf()
		h := NewHeartbeats(store, noLog)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx) }()
		synctest.Wait()
		f(h, store)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		after(store)
	})
}

func nothing(*rows) {}

func TestHeartbeatsAreBatched(t *testing.T) {
	beating(t, func(h *Heartbeats, r *rows) {
		for range 50 {
			for _, id := range []string{"a", "b", "c"} {
				h.Beat(fleet.Heartbeat{EndpointID: id, Status: fleet.HeartbeatPassing, At: time.Now()}, false)
			}
			pass(10 * time.Millisecond)
		}
		if r.copied().writes != 0 {
			t.Errorf("%d writes within half a second", r.copied().writes)
		}
		pass(600 * time.Millisecond)
		if r.copied().writes != 1 || len(r.copied().endpoints) != 3 {
			t.Errorf("%d writes of %v, want one of three", r.copied().writes, r.copied().endpoints)
		}
		pass(5 * time.Second)
		if r.copied().writes != 1 {
			t.Errorf("%d writes, though nothing came", r.copied().writes)
		}
	}, nothing)
}

func TestNewsHurries(t *testing.T) {
	beating(t, func(h *Heartbeats, r *rows) {
		began := time.Now()
		for range 100 {
			h.Beat(fleet.Heartbeat{EndpointID: "a", Status: fleet.HeartbeatCritical, At: time.Now()}, true)
			pass(time.Millisecond)
		}
		if r.copied().healthy["a"] != fleet.HeartbeatCritical {
			t.Errorf("after %s it is %q", time.Since(began), r.copied().healthy["a"])
		}
		if r.copied().writes > 6 {
			t.Errorf("%d writes within a tenth of a second", r.copied().writes)
		}
	}, nothing)
}

// TestHeartbeatsWithoutDatabase: the newest of each endpoint is kept, and written when
// the database is back.
func TestHeartbeatsWithoutDatabase(t *testing.T) {
	beating(t, func(h *Heartbeats, r *rows) {
		r.set(errAway)
		var last time.Time
		for range 1000 {
			last = time.Now()
			h.Beat(fleet.Heartbeat{EndpointID: "a", Status: fleet.HeartbeatPassing, At: last}, false)
			h.Beat(fleet.Heartbeat{EndpointID: "b", Status: fleet.HeartbeatCritical, At: last}, false)
			pass(100 * time.Millisecond)
		}
		h.mu.Lock()
		kept := len(h.pending)
		h.mu.Unlock()
		if kept != 2 {
			t.Errorf("%d are kept, want 2", kept)
		}
		r.set(nil)
		pass(time.Second)
		if r.copied().writes != 1 || !r.copied().endpoints["a"].LastHeartbeat.Equal(last) || r.copied().healthy["b"] != fleet.HeartbeatCritical {
			t.Errorf("written %d times: %v %v, want the beat of %s", r.copied().writes, r.copied().endpoints, r.copied().healthy, last)
		}
	}, nothing)
}

func TestOlderHeartbeatsSayNothing(t *testing.T) {
	beating(t, func(h *Heartbeats, r *rows) {
		now := time.Now()
		h.Beat(fleet.Heartbeat{EndpointID: "a", Status: fleet.HeartbeatPassing, At: now}, false)
		h.Beat(fleet.Heartbeat{EndpointID: "a", Status: fleet.HeartbeatCritical, At: now.Add(-time.Second)}, false)
		pass(time.Second)
		if r.copied().healthy["a"] != fleet.HeartbeatPassing {
			t.Errorf("it is %q", r.copied().healthy["a"])
		}
	}, nothing)
}

func TestLastHeartbeatsAreWritten(t *testing.T) {
	beating(t, func(h *Heartbeats, _ *rows) {
		h.Beat(fleet.Heartbeat{EndpointID: "a", Status: fleet.HeartbeatPassing, At: time.Now()}, false)
	}, func(r *rows) {
		if r.copied().writes != 1 {
			t.Errorf("%d writes at the end, want one", r.copied().writes)
		}
	})
}
