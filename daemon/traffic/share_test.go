package traffic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func TestShares(t *testing.T) {
	old := func(weight int) fleet.Endpoint {
		return fleet.Endpoint{InstanceID: "i", DefinitionID: "d", Environment: "staging", DeploymentID: "old", Weight: weight}
	}
	next := func(weight int) fleet.Endpoint {
		e := old(weight)
		e.DeploymentID = "next"
		return e
	}
	tests := []struct {
		name      string
		endpoints []fleet.Endpoint
		percent   int // below zero: no deployment in progress
		want      []float64
	}{
		{"equal", []fleet.Endpoint{old(100), old(100)}, -1, []float64{50, 50}},
		{"by weight", []fleet.Endpoint{old(100), old(25), old(0)}, -1, []float64{80, 20, 0}},
		{"canary has its percentage whatever its number", []fleet.Endpoint{old(100), old(100), old(100), next(100)}, 10, []float64{30, 30, 30, 10}},
		{"canaries share by their weights", []fleet.Endpoint{old(100), next(100), next(50)}, 30, []float64{70, 20, 10}},
		{"before its first step a deployment gets nothing", []fleet.Endpoint{old(100), next(100)}, 0, []float64{100, 0}},
		{"nor when nobody else is left", []fleet.Endpoint{next(100)}, 0, []float64{0}},
		{"cut over", []fleet.Endpoint{old(100), next(100)}, 100, []float64{0, 100}},
		{"cut over to nobody", []fleet.Endpoint{old(100)}, 100, []float64{100}},
		{"old side is gone", []fleet.Endpoint{next(100), next(100)}, 10, []float64{50, 50}},
		{"canary side is gone", []fleet.Endpoint{old(100)}, 50, []float64{100}},
		{"old side has no weight", []fleet.Endpoint{old(0), next(100)}, 10, []float64{0, 100}},
		{"canary of weight 0", []fleet.Endpoint{old(100), next(0)}, 50, []float64{100, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var splits []fleet.Split
			if tt.percent >= 0 {
				splits = []fleet.Split{{DefinitionID: "d", Environment: "staging", DeploymentID: "next", Weight: tt.percent}}
			}
			weights, _ := shares(tt.endpoints, splits)
			total := int64(0)
			for _, w := range weights {
				total += w
			}
			for k, w := range weights {
				got := 0.0
				if total > 0 {
					got = 100 * float64(w) / float64(total)
				}
				if got < tt.want[k]-0.01 || got > tt.want[k]+0.01 {
					t.Errorf("endpoint %d has %.3f %%, want %.3f", k, got, tt.want[k])
				}
			}
		})
	}
}

// Another workload of the same service, and another environment, are not touched by a split.
func TestSharesOfOthers(t *testing.T) {
	weights, incoming := shares([]fleet.Endpoint{
		{InstanceID: "a", DefinitionID: "d", Environment: "staging", DeploymentID: "old", Weight: 100},
		{InstanceID: "b", DefinitionID: "d", Environment: "staging", DeploymentID: "next", Weight: 100},
		{InstanceID: "c", DefinitionID: "other", Environment: "staging", DeploymentID: "x", Weight: 100},
		{ID: "external", Environment: "staging", Weight: 100},
	}, []fleet.Split{{DefinitionID: "d", Environment: "staging", DeploymentID: "next", Weight: 25}})
	if want := []int64{75 * scale, 25 * scale, 100 * scale, 100 * scale}; !slices.Equal(weights, want) {
		t.Errorf("weights %v, want %v", weights, want)
	}
	if want := []bool{false, true, false, false}; !slices.Equal(incoming, want) {
		t.Errorf("incoming %v, want %v", incoming, want)
	}
}

func ringOf(weights ...int64) *ring {
	var members []member
	for k, w := range weights {
		b, err := newBackend(fleet.Endpoint{ID: fmt.Sprint(k), URL: "http://127.0.0.1:1"}, func() {})
		if err != nil {
			panic(err)
		}
		members = append(members, member{b, w})
	}
	return newRing(members)
}

// Over one cycle each backend gets exactly its share, wherever the cycle begins.
func TestRoundRobinIsFair(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		weights := make([]int64, 1+r.IntN(8))
		cycle := int64(0)
		for k := range weights {
			weights[k] = int64(r.IntN(20))
			cycle += weights[k]
		}
		if cycle == 0 {
			continue
		}
		ring := ringOf(weights...)
		c := &choice{now: time.Now(), most: 1}
		picks := make([]int, 3*cycle)
		for k := range picks {
			if _, err := fmt.Sscan(ring.next(c.usable).endpoint.ID, &picks[k]); err != nil {
				t.Fatal(err)
			}
		}
		for from := range 2 * cycle {
			counts := make([]int64, len(weights))
			for _, k := range picks[from : from+cycle] {
				counts[k]++
			}
			if !slices.Equal(counts, weights) {
				t.Fatalf("seed %d: from %d on one cycle gives %v, want %v", seed, from, counts, weights)
			}
		}
	}
}

// A change of another endpoint's weight does not begin the cycle of a service anew.
func TestTheCycleGoesOn(t *testing.T) {
	w := newWorld(t)
	for _, s := range "abc" {
		w.instance("api", says(string(s)))
	}
	other := w.instance("other", says("x"))
	var got strings.Builder
	for k := range 9 {
		_, body := w.get("api", "/")
		got.WriteString(body)
		w.change(other, func(e *fleet.Endpoint) { e.Weight = 50 + k })
	}
	if first := got.String()[:3]; got.String() != strings.Repeat(first, 3) {
		t.Errorf("requests went to %s", got.String())
	}
}

func TestPowerOfTwoChoices(t *testing.T) {
	ring := ringOf(100, 100, 100, 0)
	ring.members[0].backend.inFlight.Store(50)
	c := &choice{now: time.Now(), most: 5000}
	counts := make(map[string]int)
	for range 3000 {
		b := ring.lessBusy(c.usable)
		b.enter()
		counts[b.endpoint.ID]++
	}
	if counts["3"] != 0 {
		t.Errorf("an endpoint of weight 0 got %d requests", counts["3"])
	}
	for _, m := range ring.members { // nobody is far from a third of all, those of before included
		if n := m.backend.inFlight.Load(); n < 1000 || n > 1035 {
			t.Errorf("endpoint %s has %d requests", m.backend.endpoint.ID, n)
		}
	}
	single := ringOf(100)
	if b := single.lessBusy(c.usable); b == nil || single.lessBusy((&choice{now: time.Now(), most: 0}).usable) != nil {
		t.Error("one endpoint: not picked, or picked although it is full")
	}
}

func TestBucketsAndQuantiles(t *testing.T) {
	for k, b := range buckets {
		at := time.Duration(b * 1e9)
		if got := bucketOf(at); got != k {
			t.Errorf("%v is in bucket %d, want %d", at, got, k)
		}
		if got := bucketOf(at + at/1000 + 1000); got != k+1 {
			t.Errorf("just above %v is in bucket %d, want %d", at, got, k+1)
		}
	}
	var m meter
	for k := range 1000 {
		m.count(200, time.Duration(k+1)*time.Millisecond)
	}
	r := m.since()
	for q, want := range map[float64]float64{0.5: 500, 0.95: 950, 0.99: 990} {
		if got := r.quantile(q); got < want || got > want*1.25 {
			t.Errorf("quantile %v is %v ms, want %v to a quarter more", q, got, want)
		}
	}
	if r := m.since(); r.total() != 0 || r.quantile(0.5) != 0 {
		t.Errorf("nothing came since, but %+v", r)
	}
}

func TestEjectionGrows(t *testing.T) {
	var e ejection
	now := time.Now()
	var times []time.Duration
	for range 9 {
		d := e.eject(now)
		times = append(times, d)
		if !e.ejected(now) || e.ejected(now.Add(d)) {
			t.Fatalf("ejected for %v: %v at once, %v after it", d, e.ejected(now), e.ejected(now.Add(d)))
		}
		now = now.Add(d)
	}
	if times[0] != firstEjection || times[1] != 2*firstEjection || times[8] != lastEjection {
		t.Errorf("ejections take %v", times)
	}
	if d := e.eject(now.Add(2 * forgiveAfter)); d != firstEjection {
		t.Errorf("after a good time the ejection takes %v", d)
	}
}
