package autoscale_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the machine of the tests may have none

	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// noon is on a Saturday.
var noon = time.Date(2026, time.June, 6, 12, 0, 0, 0, time.UTC)

var cpuKey = fleet.MetricKey{Metric: grammar.MetricCPU}

// tracking is a policy that keeps cpu at a target, with the defaults of one.
func tracking(name string, target float64, change ...func(*grammar.Scaling)) fleet.ScalingPolicy {
	p := fleet.ScalingPolicy{ID: "id-" + name, Name: name, Enabled: true, Rules: grammar.Scaling{
		Type: grammar.Horizontal, Metric: grammar.MetricCPU, Target: &target,
		ScaleDownCooldown: 300, StabilizationWindow: 300, ScalePeriod: 60,
	}}
	for _, c := range change {
		c(&p.Rules)
	}
	return p
}

// stepping is a policy of thresholds and adjustments.
func stepping(name string, up, down float64, add, remove int, change ...func(*grammar.Scaling)) fleet.ScalingPolicy {
	return tracking(name, 0, append([]func(*grammar.Scaling){func(r *grammar.Scaling) {
		r.Target, r.ScaleUpThreshold, r.ScaleDownThreshold = nil, &up, &down
		r.ScaleUpAdjustment, r.ScaleDownAdjustment, r.ScaleUpCooldown = &add, &remove, 300
	}}, change...)...)
}

// scheduled is a policy whose window is open from one cron expression to the other.
func scheduled(name, start, end string, least, most int) fleet.ScalingPolicy {
	return fleet.ScalingPolicy{ID: "id-" + name, Name: name, Enabled: true, Rules: grammar.Scaling{
		Type: grammar.Scheduled, ScheduleStart: start, ScheduleEnd: end, TimeZone: "Europe/London",
		MinReplicas: &least, MaxReplicas: &most, ScalePeriod: 60,
	}}
}

func by(metric, name string) func(*grammar.Scaling) {
	return func(r *grammar.Scaling) { r.Metric, r.MetricName = metric, name }
}

func between(least, most int) func(*grammar.Scaling) {
	return func(r *grammar.Scaling) { r.MinReplicas, r.MaxReplicas = &least, &most }
}

// settled are the replicas of a workload with a cpu of each.
func settled(cpu ...float64) []fleet.ScalingInstance {
	var list []fleet.ScalingInstance
	for _, v := range cpu {
		list = append(list, fleet.ScalingInstance{Settled: true, Values: map[fleet.MetricKey]float64{cpuKey: v}})
	}
	return list
}

// state is a workload of settled replicas whose window has nothing but small
// recommendations in it.
func state(cpu []float64, policies ...fleet.ScalingPolicy) fleet.ScalingState {
	return fleet.ScalingState{
		Workload: fleet.Workload{DefinitionID: "api", Environment: "staging"}, DefinitionName: "api",
		Range:    fleet.Scaling{MinReplicas: 1, MaxReplicas: 20, TargetCPU: 70, TargetMemory: 80},
		Policies: policies, Replicas: len(cpu), Instances: settled(cpu...),
		Recommendations: []fleet.Recommendation{{At: noon.Add(-time.Hour), Replicas: 1}},
	}
}

func TestDecide(t *testing.T) {
	ago := func(d time.Duration) *time.Time { at := noon.Add(-d); return &at }
	tests := []struct {
		name    string
		state   func() fleet.ScalingState
		outcome fleet.ScalingOutcome
		wanted  int64
		limited int64
		limit   string
		policy  string
		reason  string
	}{
		{name: "over the target", state: func() fleet.ScalingState { return state([]float64{90, 95, 88.6}, tracking("cpu", 70)) },
			outcome: fleet.OutcomeScaledUp, wanted: 4, limited: 4, policy: "cpu",
			reason: "cpu is 91.2 % on average over 3 replicas, above the target of 70 %: 4 replicas wanted; from 3 to 4 replicas"},
	}
	_ = ago
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := autoscale.Decide(noon, tc.state()).Decision
			if d.Outcome != tc.outcome || d.Wanted != tc.wanted || d.Limited != tc.limited || d.Limit != tc.limit || d.PolicyName != tc.policy {
				t.Errorf("Decide = %s, wanted %d, limited %d by %q, policy %q; want %s, %d, %d, %q, %q\n%s", d.Outcome, d.Wanted, d.Limited, d.Limit, d.PolicyName,
					tc.outcome, tc.wanted, tc.limited, tc.limit, tc.policy, d.Reason)
			}
			if tc.reason != "" && d.Reason != tc.reason {
				t.Errorf("reason\n\t%s\nwant\n\t%s", d.Reason, tc.reason)
			}
		})
	}
}
