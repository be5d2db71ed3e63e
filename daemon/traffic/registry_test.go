package traffic

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func superseded(r fleet.Registry) bool {
	select {
	case <-r.Superseded:
		return true
	default:
		return false
	}
}

func TestRegistry(t *testing.T) {
	r := NewRegistry()
	unread := r.Current()
	if unread.Index != 0 || unread.Closed || superseded(unread) {
		t.Errorf("before anything was read: %+v", unread)
	}
	now := time.Now()
	api, web := endpointOf("api", 0, 0, time.Minute, now), endpointOf("web", 0, 0, time.Minute, now)
	receive := func(endpoints ...fleet.Endpoint) fleet.Registry {
		r.Receive(fleet.Traffic{Endpoints: endpoints})
		return r.Current()
	}
	first := receive()
	if first.Index < uint64(now.UnixMilli()) || !superseded(unread) {
		t.Errorf("the first has index %d; before %d", first.Index, unread.Index)
	}
	both := receive(api, web)
	if both.Index != first.Index+1 || len(both.Services) != 2 || both.Services[0].Index != both.Index || !superseded(first) {
		t.Errorf("two services have come: %+v", both)
	}
	beaten := api
	beaten.LastHeartbeat = now.Add(time.Second)
	beaten.Metadata = map[string]string{}
	same := receive(beaten, web)
	if same.Index != both.Index || superseded(both) {
		t.Errorf("a heartbeat is a change: %d after %d", same.Index, both.Index)
	}
	if got, ok := r.Endpoint("api-0"); !ok || !got.LastHeartbeat.Equal(beaten.LastHeartbeat) || !same.Services[0].Endpoints[0].LastHeartbeat.Equal(beaten.LastHeartbeat) {
		t.Errorf("the newest heartbeat is not there: %+v", got)
	}
	for name, change := range map[string]func(*fleet.Endpoint){
		"health":   func(e *fleet.Endpoint) { e.Healthy = !e.Healthy },
		"weight":   func(e *fleet.Endpoint) { e.Weight++ },
		"metadata": func(e *fleet.Endpoint) { e.Metadata = map[string]string{"zone": "eu"} },
		"TTL":      func(e *fleet.Endpoint) { e.TTL += time.Second },
		"check":    func(e *fleet.Endpoint) { e.HealthCheckURL = "http://10.0.0.1/health" },
	} {
		before := r.Current()
		change(&beaten)
		after := receive(beaten, web)
		if after.Index != before.Index+1 || after.Services[0].Index != after.Index || after.Services[1].Index != both.Index || !superseded(before) {
			t.Errorf("%s: %+v after %+v", name, after, before)
		}
	}
	before := r.Current()
	if left := receive(web); left.Index != before.Index+1 || len(left.Services) != 1 || !superseded(before) {
		t.Errorf("one has gone: %+v", left)
	}
	if _, ok := r.Endpoint("api-0"); ok {
		t.Error("an endpoint that has gone is there")
	}
	open := r.Current()
	r.Close()
	r.Close()
	if !superseded(open) || !r.Current().Closed {
		t.Error("it is not closed")
	}
	if last := receive(api); !last.Closed || len(last.Services) != 1 || last.Services[0].Name != "web" {
		t.Errorf("after its end it is %+v", last)
	}
}

// TestRegistryDrains: an instance waits a moment for those who watch.
func TestRegistryDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry()
		one := endpointOf("api", 0, 0, time.Minute, time.Now())
		come := func() { r.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{one}}) }
		vanish := func() { r.Receive(fleet.Traffic{}) }
		wants := func(when string, want bool) {
			t.Helper()
			if got := r.Drained(one.ID); got != want {
				t.Errorf("%s: drained %t, want %t", when, got, want)
			}
		}
		wants("never seen", true)
		come()
		wants("there", false)
		time.Sleep(watcherGrace)
		vanish()
		wants("gone, and nobody watches", true)
		leave := r.Watch()
		come()
		vanish()
		wants("gone while somebody watches", false)
		time.Sleep(watcherGrace)
		wants("a moment later", true)
		come()
		vanish()
		leave()
		wants("the watcher has just gone", false)
		time.Sleep(watcherGrace)
		wants("a moment after that", true)
		vanish()
		if len(r.left) != 0 {
			t.Errorf("%v are kept", r.left)
		}
	})
}
