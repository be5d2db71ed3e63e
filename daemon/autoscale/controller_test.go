package autoscale

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// rows is a Store in memory with one workload of one policy.
type rows struct {
	state     fleet.ScalingState
	usage     []fleet.UsageBucket
	asked     int // how often for usage
	decisions []fleet.ScalingDecision
	records   []fleet.ScalingRecord
	refuse    error // what a record that begins a deployment is refused with
	evaluated []time.Time
	unread    error // what reading the usage fails with
}

func (r *rows) ScalingStates(_ context.Context, now time.Time, fresh fleet.Freshness) ([]fleet.ScalingState, error) {
	if fresh.Samples <= 0 || fresh.Posted < fresh.Samples {
		return nil, errors.New("nothing would be fresh")
	}
	r.evaluated = append(r.evaluated, now)
	s := r.state
	s.Policies = slices.Clone(s.Policies)
	return []fleet.ScalingState{s}, nil
}

func (r *rows) UsageHistory(context.Context, fleet.Workload, time.Time) ([]fleet.UsageBucket, error) {
	r.asked++
	return r.usage, r.unread
}

func (r *rows) RecordScaling(_ context.Context, record fleet.ScalingRecord) error {
	if r.refuse != nil && record.Deployment != nil {
		return r.refuse
	}
	r.records = append(r.records, record)
	r.decisions = append(r.decisions, record.Decisions...)
	for _, p := range record.Prolonged {
		k := slices.IndexFunc(r.decisions, func(d fleet.ScalingDecision) bool { return d.ID == p.ID })
		p.Evaluations, p.LastEvaluatedAt = r.decisions[k].Evaluations+p.More, p.Until
		r.decisions[k] = p.ScalingDecision
	}
	if record.Recommendations != nil {
		r.state.Recommendations = record.Recommendations
	}
	if d := record.Deployment; d != nil {
		r.state.Changes = append(r.state.Changes, fleet.ReplicaChange{At: record.At, Before: r.state.Replicas, After: d.After})
		r.state.Target, r.state.Replicas = *d, d.After
	}
	return nil
}

func (r *rows) LatestDecisions(_ context.Context, after time.Time) ([]fleet.ScalingDecision, error) {
	if last := len(r.decisions) - 1; last >= 0 && r.decisions[last].LastEvaluatedAt.After(after) {
		return r.decisions[last:], nil
	}
	return nil, nil
}

// load gives each of n settled replicas that much of its processor.
func (r *rows) load(n int, cpu float64) {
	r.state.Instances = nil
	for range n {
		r.state.Instances = append(r.state.Instances, fleet.ScalingInstance{
			ID: "i", Settled: true, Values: map[fleet.MetricKey]float64{{Metric: grammar.MetricCPU}: cpu},
		})
	}
}

func tracked(cpu float64) *rows {
	r := &rows{state: fleet.ScalingState{
		Workload: fleet.Workload{DefinitionID: "d", Environment: "staging"}, DefinitionName: "api",
		Range: fleet.Scaling{MinReplicas: 1, MaxReplicas: 10}, Replicas: 2,
		Target: fleet.Deployment{ID: "live", DefinitionID: "d", Environment: "staging", After: 2, Type: fleet.TypeDeploy, Status: fleet.DeploymentCompleted},
		Policies: []fleet.ScalingPolicy{{ID: "p", Name: "cpu", DefinitionID: "d", Environment: "staging", Enabled: true, Rules: grammar.Scaling{
			Type: grammar.Horizontal, Metric: grammar.MetricCPU, Target: new(50.0), StabilizationWindow: 300, ScaleDownCooldown: 300, ScalePeriod: 60,
		}}},
	}}
	r.load(2, cpu)
	return r
}

// controlled runs a controller over a store, woken each second, for that long.
func controlled(t *testing.T, r *rows, span time.Duration) (scaled int) {
	t.Helper()
	return driven(t, r, time.Second, int(span/time.Second), func(int) {})
}

// driven runs a controller over a store, woken so many times at an interval; what is
// before each is known of its number.
func driven(t *testing.T, r *rows, interval time.Duration, n int, before func(k int)) (scaled int) {
	t.Helper()
	c := NewController(Config{
		Store: r, Logger: slog.New(slog.DiscardHandler), Interval: interval,
		Scaled: func(fleet.Workload) { scaled++ },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	for k := range n {
		synctest.Wait() // no evaluation is under way
		before(k)
		c.Wake()
		time.Sleep(interval)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return scaled
}

func TestControllerFoldsWhatStaysTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(50)
		controlled(t, r, time.Minute)
		controlled(t, r, time.Minute) // another daemon goes on with the same row
		if len(r.decisions) != 1 {
			t.Fatalf("%d decisions of two quiet minutes: %+v", len(r.decisions), r.decisions)
		}
		d := r.decisions[0]
		if d.Outcome != fleet.OutcomeNoChange || d.Evaluations < 90 || d.LastEvaluatedAt.Sub(d.DecidedAt) < 100*time.Second {
			t.Errorf("%+v; want one that stands for nearly two minutes", d)
		}
	})
}

func TestControllerScalesWithItsExplanation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(100)
		if scaled := controlled(t, r, 3*time.Second); scaled != 1 {
			t.Errorf("scaled %d times", scaled)
		}
		first := r.records[0]
		d := first.Deployment
		if d == nil || d.After != 4 || d.Type != fleet.TypeScale || first.Base != "live" || d.ID == "" {
			t.Fatalf("begins %+v upon %s", d, first.Base)
		}
		if why := first.Decisions[0]; why.DeploymentID != d.ID || why.Outcome != fleet.OutcomeScaledUp || why.Current != 2 || why.Limited != 4 || why.PolicyID != "p" {
			t.Errorf("explained by %+v", why)
		}
	})
}

// Somebody deployed between the reading and the writing: the next evaluation sees that.
func TestControllerGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(100)
		r.refuse = fleet.ErrConflict
		if scaled := controlled(t, r, 3*time.Second); scaled != 0 || len(r.decisions) != 0 {
			t.Errorf("scaled %d times, explained by %+v", scaled, r.decisions)
		}
		r.refuse = nil
		if scaled := controlled(t, r, 3*time.Second); scaled != 1 {
			t.Errorf("scaled %d times afterwards", scaled)
		}
	})
}

func TestControllerResizesOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(50)
		r.state.Policies = append(r.state.Policies, fleet.ScalingPolicy{ID: "v", Name: "memory", DefinitionID: "d", Environment: "staging", Enabled: true,
			Rules: grammar.Scaling{Type: grammar.Vertical, Metric: grammar.MetricMemory, MinLimit: "64Mi", MaxLimit: "1Gi"}})
		r.state.Limits = fleet.Resources{CPU: "1", Memory: "128Mi"}
		for at := time.Now().Add(-2 * time.Hour); at.Before(time.Now()); at = at.Add(5 * time.Minute) {
			r.usage = append(r.usage, fleet.UsageBucket{At: at, CPUCores: 0.1, MemoryMB: 400})
		}
		controlled(t, r, 150*time.Second)
		if r.asked != 3 {
			t.Errorf("asked for the history %d times in two minutes and a half", r.asked)
		}
		k := slices.IndexFunc(r.records, func(x fleet.ScalingRecord) bool { return x.Limits != nil })
		if k < 0 || r.records[k].Limits.Memory != "460Mi" || r.records[k].Limits.CPU != "" {
			t.Errorf("records %+v; want 460Mi of memory, which is 400 and 15 %%, and nothing of cpu", r.records)
		}
	})
}

// TestHistoryThatCannotBeRead: it costs the vertical policies a turn, and no other
// policy anything.
func TestHistoryThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(50)
		r.state.Policies = append(r.state.Policies, fleet.ScalingPolicy{ID: "v", Name: "memory", DefinitionID: "d", Environment: "staging", Enabled: true,
			Rules: grammar.Scaling{Type: grammar.Vertical, Metric: grammar.MetricMemory, MinLimit: "64Mi", MaxLimit: "1Gi"}})
		r.unread = errors.New("it takes too long")
		scaled := driven(t, r, time.Second, 150, func(k int) {
			if k == 10 {
				r.load(2, 100)
			}
		})
		if scaled != 1 || r.asked != 3 {
			t.Errorf("scaled %d times, and asked for the history %d times in two minutes and a half; want once and three times", scaled, r.asked)
		}
	})
}

// TestRefusedScaling: what cannot be begun is explained by a row, until it can.
func TestRefusedScaling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(100)
		r.refuse = fleet.Errorf(fleet.ErrInvalid, `environment staging has no network "backend"`)
		if scaled := controlled(t, r, time.Minute); scaled != 0 || len(r.decisions) != 1 {
			t.Fatalf("scaled %d times, explained by %+v", scaled, r.decisions)
		}
		d := r.decisions[0]
		if d.Outcome != fleet.OutcomeLimited || d.Limit != fleet.LimitRefused || d.Wanted != 4 || d.Limited != 2 || d.DeploymentID != "" || d.Evaluations < 50 ||
			!strings.HasSuffix(d.Reason, `from 2 to 4 replicas; refused: environment staging has no network "backend"; it stays at 2 replicas`) {
			t.Errorf("%+v", d)
		}
		r.refuse = nil
		if scaled := controlled(t, r, 3*time.Second); scaled != 1 {
			t.Errorf("scaled %d times once it can be begun", scaled)
		}
	})
}
