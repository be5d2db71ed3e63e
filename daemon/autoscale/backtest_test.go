package autoscale_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// measurements are points every step with the cpu of two replicas together.
func measurements(step time.Duration, sums ...float64) []fleet.WorkloadPoint {
	var points []fleet.WorkloadPoint
	for k, sum := range sums {
		points = append(points, fleet.WorkloadPoint{At: noon.Add(time.Duration(k) * step), Instances: 2,
			Values: map[fleet.MetricKey]fleet.WorkloadValue{cpuKey: {Sum: sum, Mean: sum / 2}}})
	}
	return points
}

// told are the actions of a replay, by the minute.
func told(actions []autoscale.Action) string {
	var list []string
	for _, a := range actions {
		text := fmt.Sprintf("%g: %d to %d", a.At.Sub(noon).Minutes(), a.From, a.To)
		if a.Limit != "" {
			text += " by " + a.Limit
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func TestBacktest(t *testing.T) {
	r := autoscale.Replay{
		Policies: []fleet.ScalingPolicy{tracking("cpu", 70, between(1, 6))}, Range: fleet.Scaling{MinReplicas: 1, MaxReplicas: 20},
		Settling: 10 * time.Second,
		// Two replicas: idle, then as much as four and a half of them can do, then idle.
		Points: measurements(time.Minute, 100, 100, 300, 450, 450, 300, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100),
	}
	got, err := autoscale.Backtest(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := "2: 2 to 5, 3: 5 to 6 by max_replicas, 10: 6 to 5 by stabilization_window, 15: 5 to 2"; told(got.Actions) != want {
		t.Errorf("actions %s, want %s", told(got.Actions), want)
	}
	if got.Actions[0].Policy != "cpu" || !strings.Contains(got.Actions[0].Reason, "above the target of 70 %") {
		t.Errorf("action %+v", got.Actions[0])
	}
	// At minute 2 two replicas had 150 % each; at minute 3 five had 90 %, with six 75 %.
	if got.OverTarget != 2*time.Minute || got.ActualOverTarget != 4*time.Minute {
		t.Errorf("over the target for %s, actually %s; want 2m and 4m", got.OverTarget, got.ActualOverTarget)
	}
	if hours := float64(2*2+5+6*7+5*5+2*2) / 60; math.Abs(got.ReplicaHours-hours) > 1e-9 {
		t.Errorf("%g replica-hours, want %g", got.ReplicaHours, hours)
	}
	if math.Abs(got.ActualReplicaHours-34./60) > 1e-9 || got.Highest != 6 || got.Lowest != 2 || got.Evaluations != 17 {
		t.Errorf("result %+v", got)
	}
}

// TestBacktestSettling: what has not settled takes no share of the load.
func TestBacktestSettling(t *testing.T) {
	r := autoscale.Replay{
		Policies: []fleet.ScalingPolicy{tracking("cpu", 70)}, Range: fleet.Scaling{MinReplicas: 1, MaxReplicas: 20},
		Settling: 2 * time.Minute, Points: measurements(time.Minute, 200, 200, 200, 200),
	}
	got, err := autoscale.Backtest(r)
	if err != nil {
		t.Fatal(err)
	}
	if told(got.Actions) != "0: 2 to 3" || got.OverTarget != 2*time.Minute {
		t.Errorf("actions %s, over the target for %s; want 2 to 3 at once, which helps after two minutes", told(got.Actions), got.OverTarget)
	}
}

// TestBacktestDisturbsNothing: nothing is removed while replicas are being added.
func TestBacktestDisturbsNothing(t *testing.T) {
	r := autoscale.Replay{
		Policies: []fleet.ScalingPolicy{tracking("cpu", 70, func(r *grammar.Scaling) { r.StabilizationWindow, r.ScaleDownCooldown = 0, 0 })},
		Range:    fleet.Scaling{MinReplicas: 1, MaxReplicas: 20}, Settling: 3 * time.Minute, Points: measurements(time.Minute, 400, 70, 70, 70, 70),
	}
	got, err := autoscale.Backtest(r)
	if err != nil {
		t.Fatal(err)
	}
	if told(got.Actions) != "0: 2 to 6, 3: 6 to 1" {
		t.Errorf("actions %s, want the first to settle before the second", told(got.Actions))
	}
}

func TestBacktestMetrics(t *testing.T) {
	shared := fleet.MetricKey{Metric: grammar.MetricRequestRate}
	slow := fleet.MetricKey{Metric: grammar.MetricResponseTime}
	for name, tc := range map[string]struct {
		key     fleet.MetricKey
		measure fleet.WorkloadValue
		policy  fleet.ScalingPolicy
		want    string
	}{
		// 400 requests/s of four replicas, 50 for each: eight.
		"shared out": {shared, fleet.WorkloadValue{Sum: 400, Mean: 100}, tracking("rate", 50, by("request_rate", "")), "0: 4 to 8"},
		// 300 ms with four are 200 ms with six.
		"in inverse proportion": {slow, fleet.WorkloadValue{Sum: 1200, Mean: 300}, tracking("p95", 200, by("response_time", "")), "0: 4 to 6"},
		"no number":             {shared, fleet.WorkloadValue{Sum: math.NaN(), Mean: math.NaN()}, tracking("rate", 50, by("request_rate", "")), ""},
		"another metric":        {shared, fleet.WorkloadValue{Sum: 400, Mean: 100}, tracking("cpu", 50), ""},
		"thresholds":            {shared, fleet.WorkloadValue{Sum: 400, Mean: 100}, stepping("rate", 90, 10, 2, 1, by("request_rate", "")), "0: 4 to 6"},
		"a schedule":            {shared, fleet.WorkloadValue{Sum: 400, Mean: 100}, openNow(7, 8), "0: 4 to 7"},
	} {
		t.Run(name, func(t *testing.T) {
			r := autoscale.Replay{Policies: []fleet.ScalingPolicy{tc.policy}, Range: fleet.Scaling{MinReplicas: 1, MaxReplicas: 20}}
			for k := range 5 {
				r.Points = append(r.Points, fleet.WorkloadPoint{At: noon.Add(time.Duration(k) * time.Minute), Instances: 4, Values: map[fleet.MetricKey]fleet.WorkloadValue{tc.key: tc.measure}})
			}
			got, err := autoscale.Backtest(r)
			if err != nil {
				t.Fatal(err)
			}
			if told(got.Actions) != tc.want {
				t.Errorf("actions %q, want %q", told(got.Actions), tc.want)
			}
		})
	}
}

func TestBacktestBounds(t *testing.T) {
	policies := []fleet.ScalingPolicy{tracking("cpu", 70)}
	for name, r := range map[string]autoscale.Replay{
		"too many points": {Policies: policies, Points: make([]fleet.WorkloadPoint, autoscale.MaxBacktestPoints+1)},
		"too many":        {Policies: policies, Replicas: 1001},
		"out of order":    {Policies: policies, Points: []fleet.WorkloadPoint{{At: noon}, {At: noon.Add(-time.Second)}}},
	} {
		if _, err := autoscale.Backtest(r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, err := autoscale.Backtest(autoscale.Replay{Policies: policies}); err != nil || got.Evaluations != 0 {
		t.Errorf("nothing measured: %+v, %v", got, err)
	}
	if got, err := autoscale.Backtest(autoscale.Replay{Policies: policies, Points: measurements(time.Minute, 100)}); err != nil || got.Evaluations != 1 {
		t.Errorf("one point: %+v, %v", got, err)
	}
	// None reported anything for a while: nothing is removed.
	gap := measurements(time.Minute, 100, 0, 0, 0)
	for k := range gap[1:] {
		gap[k+1].Instances, gap[k+1].Values = 0, nil
	}
	got, err := autoscale.Backtest(autoscale.Replay{Policies: policies, Range: fleet.Scaling{MinReplicas: 1, MaxReplicas: 20}, Points: gap})
	if err != nil || len(got.Actions) != 0 || got.Lowest != 2 {
		t.Errorf("a gap: %+v, %v", got, err)
	}
}

// TestBacktestOfManyReplicas: a year of hundreds of replicas does not overflow.
func TestBacktestOfManyReplicas(t *testing.T) {
	r := autoscale.Replay{Policies: []fleet.ScalingPolicy{tracking("cpu", 70)}, Range: fleet.Scaling{MinReplicas: 1, MaxReplicas: 1000}}
	const replicas, hours = 400, 400 * 24
	for k := range hours {
		r.Points = append(r.Points, fleet.WorkloadPoint{At: noon.Add(time.Duration(k) * time.Hour), Instances: replicas,
			Values: map[fleet.MetricKey]fleet.WorkloadValue{cpuKey: {Sum: 70 * replicas, Mean: 70}}})
	}
	got, err := autoscale.Backtest(r)
	if err != nil || got.ReplicaHours != replicas*hours || got.ActualReplicaHours != replicas*hours {
		t.Errorf("%g replica-hours, actually %g, %v; want %d", got.ReplicaHours, got.ActualReplicaHours, err, replicas*hours)
	}
}
