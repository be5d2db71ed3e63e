package discovery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// instance is a healthy endpoint of something that wedsyncd runs.
func instance(id, service, environment, url string) fleet.Endpoint {
	return fleet.Endpoint{
		ID: id, InstanceID: id, ServiceName: service, Environment: environment, URL: url,
		Healthy: true, Weight: fleet.MaxWeight, ImageTag: "v1", DeploymentID: "d1",
	}
}

// external is a healthy endpoint of something that it does not run.
func external(id, service, environment, url string) fleet.Endpoint {
	e := instance(id, service, environment, url)
	e.InstanceID, e.DeploymentID, e.ImageTag, e.TTL = "", "", "", time.Minute
	return e
}

func with(e fleet.Endpoint, change func(*fleet.Endpoint)) fleet.Endpoint {
	change(&e)
	return e
}

func traffic(endpoints ...fleet.Endpoint) fleet.Traffic { return fleet.Traffic{Endpoints: endpoints} }

func received(endpoints ...fleet.Endpoint) *Directory {
	d := NewDirectory()
	d.Receive(traffic(endpoints...))
	return d
}

func TestIndex(t *testing.T) {
	a, b := instance("a", "api", "staging", "http://10.0.0.1:80"), instance("b", "api", "staging", "http://10.0.0.2:80")
	web := instance("w", "web", "production", "http://10.0.0.3:80")
	changed := func(change func(*fleet.Endpoint)) fleet.Traffic { return traffic(with(a, change), b, web) }
	tests := []struct {
		name  string
		next  fleet.Traffic
		rises bool
	}{
		{"the same", traffic(a, b, web), false},
		{"another order", traffic(web, b, a), false},
		{"a heartbeat", changed(func(e *fleet.Endpoint) { e.LastHeartbeat = time.Now() }), false},
		{"what cannot be seen", changed(func(e *fleet.Endpoint) { e.HealthCheckURL, e.TTL, e.DefinitionID = "http://x/", 1, "y" }), false},
		{"draining, splits and routes", fleet.Traffic{Endpoints: []fleet.Endpoint{a, b, web}, Draining: []string{"x"}, Splits: []fleet.Split{{}}, Routes: []fleet.Route{{}}}, false},
		{"a URL that leads nowhere", traffic(a, b, web, instance("z", "z", "staging", "http://")), false},
		{"health", changed(func(e *fleet.Endpoint) { e.Healthy = false }), true},
		{"weight", changed(func(e *fleet.Endpoint) { e.Weight = 5 }), true},
		{"address", changed(func(e *fleet.Endpoint) { e.URL = "http://10.0.0.9:80" }), true},
		{"port", changed(func(e *fleet.Endpoint) { e.URL = "http://10.0.0.1:81" }), true},
		{"scheme", changed(func(e *fleet.Endpoint) { e.URL = "https://10.0.0.1:80" }), true},
		{"image", changed(func(e *fleet.Endpoint) { e.ImageTag = "v2" }), true},
		{"deployment", changed(func(e *fleet.Endpoint) { e.DeploymentID = "d2" }), true},
		{"metadata", changed(func(e *fleet.Endpoint) { e.Metadata = map[string]string{"a": "b"} }), true},
		{"one more", traffic(a, b, web, instance("c", "api", "staging", "http://10.0.0.4:80")), true},
		{"one less", traffic(a, web), true},
		{"none", traffic(), true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDirectory()
			if got := d.Index(); got != 0 {
				t.Errorf("index before the first snapshot = %d, want 0", got)
			}
			d.Receive(traffic(a, b, web))
			if got := d.Index(); got != 1 {
				t.Errorf("first index = %d, want 1", got)
			}
			d.Receive(tc.next)
			want := uint64(1)
			if tc.rises {
				want = 2
			}
			if got := d.Index(); got != want {
				t.Errorf("index = %d, want %d", got, want)
			}
		})
	}
}

func TestFirstSnapshotIsEmpty(t *testing.T) {
	d := NewDirectory()
	d.Receive(fleet.Traffic{})
	d.Receive(fleet.Traffic{})
	if got := d.Index(); got != 1 {
		t.Errorf("index = %d, want 1", got)
	}
}

// TestServiceIndexes: a change moves its own service's index, its environment's
// and no other, and none ever falls.
func TestServiceIndexes(t *testing.T) {
	api := instance("a", "api", "staging", "http://10.0.0.1:80")
	web := instance("w", "web", "production", "http://10.0.0.2:80")
	sick := with(web, func(e *fleet.Endpoint) { e.Healthy = false })
	all := func(string) bool { return true }
	d := NewDirectory()
	steps := []struct {
		name                     string
		endpoints                []fleet.Endpoint
		api, web, staging, whole uint64
	}{
		{"both come", []fleet.Endpoint{api, web}, 1, 1, 1, 1},
		{"web is unhealthy", []fleet.Endpoint{api, sick}, 1, 2, 1, 2},
		{"api goes", []fleet.Endpoint{sick}, 3, 2, 3, 3},
		{"web goes", nil, 4, 4, 3, 4},
		{"api comes back", []fleet.Endpoint{api}, 5, 4, 5, 5},
	}
	for _, step := range steps {
		d.Receive(traffic(step.endpoints...))
		v := view{snapshot: d.current.Load(), sees: all}
		staging := view{snapshot: v.snapshot, sees: func(e string) bool { return e == "staging" }}
		got := []uint64{v.lastChangeOf("api.staging"), v.lastChangeOf("web.production"), staging.lastChange(), v.lastChange()}
		want := []uint64{step.api, step.web, step.staging, step.whole}
		if !slices.Equal(got, want) {
			t.Errorf("%s: indexes of api, web, staging and all = %v, want %v", step.name, got, want)
		}
	}
}

func TestDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := instance("a", "api", "staging", "http://10.0.0.1:80"), instance("b", "api", "staging", "http://10.0.0.2:80")
		d := NewDirectory()
		expect := func(when string, want bool) {
			t.Helper()
			if got := d.Drained("a"); got != want {
				t.Errorf("%s: Drained = %v, want %v", when, got, want)
			}
		}
		expect("before the first snapshot", true)
		d.Receive(traffic(b))
		expect("never seen", true)
		d.Receive(traffic(a, b))
		expect("registered", false)
		d.Receive(traffic(b))
		expect("out, and nobody has ever asked", true)
		d.Receive(traffic(a, b))
		Told(d, 24*time.Hour)
		time.Sleep(time.Hour)
		d.Receive(traffic(with(a, func(e *fleet.Endpoint) { e.Healthy, e.Weight = false, 0 }), b))
		expect("registered, and nothing is sent there", false)
		d.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{b}, Draining: []string{"a"}})
		expect("just out", false)
		time.Sleep(2*time.Second - time.Nanosecond)
		expect("almost 2 s out", false)
		d.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{b}, Draining: []string{"a"}})
		expect("another snapshot", false)
		time.Sleep(time.Nanosecond)
		expect("2 s out", true)

		d.Receive(traffic(a, b))
		expect("back in service", false)
		d.Receive(traffic(b))
		time.Sleep(time.Second)
		d.Receive(traffic(a, b))
		d.Receive(traffic(b))
		time.Sleep(time.Second)
		expect("1 s after it went for the second time", false)
		time.Sleep(time.Second)
		expect("2 s after it went for the second time", true)
	})
}

// TestLeaversAreForgotten: what is remembered of instances that left is bounded by
// what leaves in two seconds.
func TestLeaversAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDirectory()
		for k := range 100 {
			id := fmt.Sprint("i", k)
			d.Receive(traffic(instance(id, "api", "staging", "http://10.0.0.1:80")))
			time.Sleep(time.Second)
		}
		if n := len(d.left); n > 3 {
			t.Errorf("%d instances that left are remembered, want 3 at most", n)
		}
	})
}

func TestWait(t *testing.T) {
	api := traffic(instance("a", "api", "staging", "http://10.0.0.1:80"))
	tests := []struct {
		name  string
		index uint64
		act   func(d *Directory, cancel func())
		after time.Duration
		want  uint64
	}{
		{"a change", 1, func(d *Directory, _ func()) { d.Receive(api) }, time.Second, 2},
		{"a snapshot without a change", 1, func(d *Directory, _ func()) { d.Receive(fleet.Traffic{}) }, time.Minute, 1},
		{"nothing", 1, func(*Directory, func()) {}, time.Minute, 1},
		{"an index of the past", 0, func(*Directory, func()) {}, 0, 1},
		{"an index of another daemon", 77, func(*Directory, func()) {}, 0, 1},
		{"the context", 1, func(_ *Directory, cancel func()) { cancel() }, time.Second, 1},
		{"the end", 1, func(d *Directory, _ func()) { d.Close(); d.Close() }, time.Second, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := received()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second, func() { tc.act(d, cancel) })
				began := time.Now()
				got := d.Wait(ctx, tc.index, time.Minute)
				if took := time.Since(began); got != tc.want || took != tc.after {
					t.Errorf("Wait = %d after %s, want %d after %s", got, took, tc.want, tc.after)
				}
				if n := d.waiters.Load(); n != 0 {
					t.Errorf("%d waiters are left", n)
				}
			})
		})
	}
}

func TestWaitersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := received()
		var group sync.WaitGroup
		for range maxWaiters {
			group.Go(func() { d.Wait(t.Context(), 1, time.Hour) })
		}
		synctest.Wait()
		began := time.Now()
		if got := d.Wait(t.Context(), 1, time.Hour); got != 1 || time.Since(began) > 0 {
			t.Errorf("one waiter too many gets %d after %s, want 1 at once", got, time.Since(began))
		}
		d.Receive(traffic(instance("a", "api", "staging", "http://10.0.0.1:80")))
		group.Wait()
		if time.Since(began) > 0 {
			t.Errorf("the waiters were answered after %s, want at once", time.Since(began))
		}
		time.AfterFunc(time.Minute, d.Close)
		d.Wait(t.Context(), 2, time.Hour)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the next one waited %s, want 1m0s", took)
		}
	})
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	d := NewDirectory()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for k := range 200 {
				d.Receive(traffic(instance(fmt.Sprint("i", k%7), "api", "staging", "http://10.0.0.1:80")))
				d.Drained("i1")
				d.Wait(t.Context(), d.Index(), time.Microsecond)
			}
		})
	}
	group.Wait()
}

func TestEntries(t *testing.T) {
	tests := []struct {
		url, scheme, host string
		port              int
		numeric, ok       bool
	}{
		{"http://172.18.0.4:8080", "http", "172.18.0.4", 8080, true, true},
		{"http://[fd00::4]:8080", "http", "fd00::4", 8080, true, true},
		{"http://[::ffff:10.0.0.1]:8080", "http", "::ffff:10.0.0.1", 8080, true, true},
		{"https://api.example.com", "https", "api.example.com", 443, false, true},
		{"http://api.example.com/path", "http", "api.example.com", 80, false, true},
		{"tcp://api.example.com:5432", "tcp", "api.example.com", 5432, false, true},
		{"tcp://api.example.com", "", "", 0, false, false},
		{"http://api.example.com:0", "", "", 0, false, false},
		{"http://api.example.com:70000", "", "", 0, false, false},
		{"http://:80", "", "", 0, false, false},
		{"api:80", "", "", 0, false, false},
		{"", "", "", 0, false, false},
		{"http://[", "", "", 0, false, false},
	}
	for _, tc := range tests {
		e, ok := newEntry(instance("a", "api", "staging", tc.url))
		if ok != tc.ok {
			t.Errorf("%q is an entry: %v, want %v", tc.url, ok, tc.ok)
		}
		if !ok || !tc.ok {
			continue
		}
		if e.scheme != tc.scheme || e.host != tc.host || e.port != tc.port || e.addr.IsValid() != tc.numeric {
			t.Errorf("%q reads as %s, %s, %d, %v", tc.url, e.scheme, e.host, e.port, e.addr)
		}
	}
}
