package autoscale_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// rows are what a store keeps of a workload: all that survives a daemon.
type rows struct {
	mu              sync.Mutex
	replicas        int
	changes         []fleet.ReplicaChange
	recommendations []byte // as JSON, like the real ones
	decisions       []fleet.ScalingDecision
}

// read is a state as a daemon that knows nothing else reads it. load is in
// replicas at 100 %; those that came within the last settling time do not count.
func (r *rows) read(t *testing.T, now time.Time, load float64, policies []fleet.ScalingPolicy) fleet.ScalingState {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := fleet.ScalingState{
		Workload: fleet.Workload{DefinitionID: "api", Environment: "staging"}, DefinitionName: "api",
		Range: fleet.Scaling{MinReplicas: 1, MaxReplicas: 20, TargetCPU: 70}, Policies: policies,
		Replicas: r.replicas, Changes: slices.Clone(r.changes),
	}
	if r.recommendations != nil {
		if err := json.Unmarshal(r.recommendations, &s.Recommendations); err != nil {
			t.Errorf("read recommendations: %v", err)
		}
	}
	const settling = 10 * time.Second
	settled := r.replicas
	for _, c := range r.changes {
		if now.Sub(c.At) < settling {
			settled = min(settled, c.Before)
		}
	}
	for k := range r.replicas {
		s.Instances = append(s.Instances, fleet.ScalingInstance{
			Settled: k < settled, Values: map[fleet.MetricKey]float64{cpuKey: min(100, 100*load/float64(settled))},
		})
	}
	return s
}

// write is the one transaction of an evaluation.
func (r *rows) write(t *testing.T, now time.Time, v autoscale.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v.Recommended {
		encoded, err := json.Marshal(v.Recommendations)
		if err != nil {
			t.Errorf("write recommendations: %v", err)
		}
		r.recommendations = encoded
	}
	if v.Scale {
		r.changes = append(r.changes, fleet.ReplicaChange{At: now, Before: r.replicas, After: v.Replicas})
		r.replicas = v.Replicas
	}
	if last := len(r.decisions) - 1; last >= 0 && autoscale.Folds(r.decisions[last], *v.Decision) {
		r.decisions[last].Evaluations++
		r.decisions[last].LastEvaluatedAt = v.Decision.LastEvaluatedAt
		return
	}
	r.decisions = append(r.decisions, *v.Decision)
}

// run is a daemon's loop until it is killed. A daemon that is killed amid an
// evaluation has read, and perhaps decided, but not written: dies says at which.
func run(ctx context.Context, t *testing.T, r *rows, load func(time.Time) float64, policies []fleet.ScalingPolicy, dies func() bool) {
	for {
		// All daemons evaluate on the same seconds, so that their inputs are the same.
		timer := time.NewTimer(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		for {
			now := time.Now()
			v := autoscale.Decide(now, r.read(t, now, load(now), policies))
			if !dies() {
				r.write(t, now, v)
				break
			}
			// The next daemon begins with what was read from the rows, at once.
		}
	}
}

// TestRestartsDecideTheSame kills the daemon at random moments, in mid-cooldown, in
// mid-window and amid evaluations, and compares its rows with those of one that ran
// through.
func TestRestartsDecideTheSame(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 266))
			policies := []fleet.ScalingPolicy{tracking("cpu", 70), scheduled("tea", "20 * * * *", "35 * * * *", 4, 16)}
			policies[0].Rules.ScaleUpCooldown = one(r, 0, 45)
			policies[0].Rules.MaxScaleDown = one(r, 0, 2)
			if seed%3 == 0 {
				policies[0] = stepping("cpu", 80, 30, 2, 1)
			}
			began, phase := time.Now(), r.Float64()*10
			load := func(now time.Time) float64 {
				at := now.Sub(began).Seconds()
				return 5 + 4*math.Sin(phase+at/400) + 1.5*math.Sin(at/37)
			}
			through, killed := &rows{replicas: 3}, &rows{replicas: 3}
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Minute)
			defer cancel()
			var wait sync.WaitGroup
			wait.Go(func() { run(ctx, t, through, load, policies, func() bool { return false }) })
			kills := 0
			wait.Go(func() {
				for ctx.Err() == nil {
					life, kill := context.WithTimeout(ctx, time.Duration(1+r.Int64N(200e9))) // hardly ever a whole second
					run(life, t, killed, load, policies, func() bool { return r.IntN(50) == 0 })
					kill()
					kills++
				}
			})
			wait.Wait()
			if kills < 20 || len(through.changes) < 4 {
				t.Fatalf("%d kills and %d changes say nothing", kills, len(through.changes))
			}
			compare(t, through, killed)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

func compare(t *testing.T, a, b *rows) {
	t.Helper()
	if !slices.Equal(a.changes, b.changes) {
		t.Errorf("changes\n%v\nand after restarts\n%v", a.changes, b.changes)
	}
	if string(a.recommendations) != string(b.recommendations) {
		t.Errorf("recommendations\n%s\nand after restarts\n%s", a.recommendations, b.recommendations)
	}
	one, err := json.Marshal(a.decisions)
	if err != nil {
		t.Fatal(err)
	}
	other, err := json.Marshal(b.decisions)
	if err != nil {
		t.Fatal(err)
	}
	if string(one) != string(other) {
		t.Errorf("%d decisions, and after restarts %d others", len(a.decisions), len(b.decisions))
	}
}
