package autoscale_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

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

// with is a state with changes.
func with(s fleet.ScalingState, changes ...func(*fleet.ScalingState)) fleet.ScalingState {
	for _, c := range changes {
		c(&s)
	}
	return s
}

// unsettled adds replicas that are wanted already and have not settled yet.
func unsettled(n int) func(*fleet.ScalingState) {
	return func(s *fleet.ScalingState) {
		s.Replicas += n
		for range n {
			s.Instances = append(s.Instances, fleet.ScalingInstance{Values: map[fleet.MetricKey]float64{cpuKey: 100}})
		}
	}
}

// stopped adds replicas that are wanted and will not come back by themselves.
func stopped(n int) func(*fleet.ScalingState) {
	return func(s *fleet.ScalingState) {
		s.Replicas += n
		for range n {
			s.Instances = append(s.Instances, fleet.ScalingInstance{Down: true, Values: map[fleet.MetricKey]float64{cpuKey: 100}})
		}
	}
}

// silent adds settled replicas without a metric.
func silent(n int, values ...float64) func(*fleet.ScalingState) {
	return func(s *fleet.ScalingState) {
		s.Replicas += n
		for k := range n {
			i := fleet.ScalingInstance{Settled: true}
			if k < len(values) {
				i.Values = map[fleet.MetricKey]float64{cpuKey: values[k]}
			}
			s.Instances = append(s.Instances, i)
		}
	}
}

func changed(ago time.Duration, before, after int) func(*fleet.ScalingState) {
	return func(s *fleet.ScalingState) {
		s.Changes = append(s.Changes, fleet.ReplicaChange{At: noon.Add(-ago), Before: before, After: after})
	}
}

func recommended(ago time.Duration, replicas int) func(*fleet.ScalingState) {
	return func(s *fleet.ScalingState) {
		s.Recommendations = append(slices.Clone(s.Recommendations), fleet.Recommendation{At: noon.Add(-ago), Replicas: replicas})
	}
}

// failed says that so many scalings in a row have failed, the last of them that long ago.
func failed(ago time.Duration, inARow int) func(*fleet.ScalingState) {
	return func(s *fleet.ScalingState) {
		s.Failure = &fleet.ScalingFailure{DeploymentID: "d6", At: noon.Add(-ago), InARow: inARow}
	}
}

func busy(own bool) func(*fleet.ScalingState) {
	return func(s *fleet.ScalingState) { s.Busy, s.Scaling = "d7", own }
}

func times(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }

// on is a state with a further metric on every replica.
func on(metric, name string, v float64) func(*fleet.ScalingState) {
	return func(s *fleet.ScalingState) {
		for k := range s.Instances {
			s.Instances[k].Values[fleet.MetricKey{Metric: metric, Name: name}] = v
		}
	}
}

// Windows that are open and closed at noon: 13:00 in London.
var (
	openNow = func(least, most int) fleet.ScalingPolicy {
		return scheduled("saturday", "0 6 * * 6", "0 14 * * 6", least, most)
	}
	closedNow = func(least, most int) fleet.ScalingPolicy {
		return scheduled("sunday", "0 6 * * 0", "0 14 * * 0", least, most)
	}
)

func TestDecide(t *testing.T) {
	const up, down, none, limited = fleet.OutcomeScaledUp, fleet.OutcomeScaledDown, fleet.OutcomeNoChange, fleet.OutcomeLimited
	tests := []struct {
		name    string
		state   fleet.ScalingState
		outcome fleet.ScalingOutcome
		wanted  int64
		limited int64
		limit   string
		policy  string
		reason  string // empty: not looked at
	}{
		// The formula.
		{"over the target", state([]float64{90, 95, 88.6}, tracking("cpu", 70)), up, 4, 4, "", "cpu",
			"cpu is 91.2 % on average over 3 replicas, above the target of 70 %: 4 replicas wanted; from 3 to 4 replicas"},
		{"under the target", state(times(6, 35), tracking("cpu", 70)), down, 3, 3, "", "cpu",
			"cpu is 35 % on average over 6 replicas, below the target of 70 %: 3 replicas wanted; from 6 to 3 replicas"},
		{"within the tolerance, above", state(times(3, 77), tracking("cpu", 70)), none, 3, 3, "", "cpu",
			"cpu is 77 % on average over 3 replicas, within 10 % of the target of 70 %"},
		{"within the tolerance, below", state(times(3, 63), tracking("cpu", 70)), none, 3, 3, "", "cpu", ""},
		{"just beyond it", state(times(3, 77.1), tracking("cpu", 70)), up, 4, 4, "", "cpu", ""},
		{"just beyond it, rounded up to what there is", state(times(3, 62.9), tracking("cpu", 70)), none, 3, 3, "", "cpu", ""},
		{"a quotient that is whole stays so", state(times(1, 0.3), tracking("x", 0.1)), up, 3, 3, "", "x", ""},
		{"the definition's target", with(state(times(2, 100), tracking("cpu", 0, func(r *grammar.Scaling) { r.Target = nil }))), up, 3, 3, "", "cpu", ""},
		{"idle keeps one", with(state(times(4, 0), tracking("cpu", 70)), func(s *fleet.ScalingState) { s.Range.MinReplicas = 0 }), down, 1, 1, "", "cpu", ""},
		{"no target", state(times(4, 10), tracking("rate", 0, by("request_rate", ""), func(r *grammar.Scaling) { r.Target = nil })), none, 4, 4, "", "", ""},
		{"a target of zero", with(state(times(4, 10), tracking("cpu", 0))), none, 4, 4, "", "",
			`policy "cpu" has no target for cpu; it stays at 4 replicas`},
		{"request rate", with(state(times(2, 0), tracking("rate", 50, by("request_rate", ""))), on("request_rate", "", 120.55)), up, 5, 5, "", "rate",
			"request_rate is 120.6 requests/s on average over 2 replicas, above the target of 50 requests/s: 5 replicas wanted; from 2 to 5 replicas"},
		{"response time", with(state(times(2, 0), tracking("p95", 200, by("response_time", ""))), on("response_time", "", 300)), up, 3, 3, "", "p95", ""},
		{"custom", with(state(times(2, 0), tracking("queue", 10, by("custom", "queue_depth"))), on("custom", "queue_depth", 25)), up, 5, 5, "", "queue",
			"queue_depth is 25 on average over 2 replicas, above the target of 10: 5 replicas wanted; from 2 to 5 replicas"},
		{"another custom metric is none", with(state(times(2, 0), tracking("queue", 10, by("custom", "queue_depth"))), on("custom", "other", 25)), none, 2, 2, "", "",
			"no settled replica has a recent sample of queue_depth; it stays at 2 replicas"},

		// Thresholds.
		{"above the threshold", state(times(2, 85), stepping("cpu", 80, 20, 3, 1)), up, 5, 5, "", "cpu",
			"cpu is 85 % on average over 2 replicas, above scale_up_threshold 80 %: 5 replicas wanted; from 2 to 5 replicas"},
		{"at the threshold", state(times(3, 80), stepping("cpu", 80, 20, 3, 1)), none, 3, 3, "", "cpu",
			"cpu is 80 % on average over 3 replicas, between the thresholds"},
		{"below the threshold", state(times(3, 19.9), stepping("cpu", 80, 20, 3, 2)), down, 1, 1, "", "cpu", ""},
		{"below it by a large step", state(times(3, 19.9), stepping("cpu", 80, 20, 3, 20)), down, 1, 1, "", "cpu", ""},
		{"at the lower threshold", state(times(3, 20), stepping("cpu", 80, 20, 3, 2)), none, 3, 3, "", "cpu", ""},
		{"threshold and cooldown", with(state(times(2, 85), stepping("cpu", 80, 20, 3, 1)), changed(100*time.Second, 1, 2)), limited, 5, 2, fleet.LimitScaleUpCooldown, "cpu",
			"cpu is 85 % on average over 2 replicas, above scale_up_threshold 80 %: 5 replicas wanted; scale_up_cooldown holds for another 200 s, after the change 100 s ago; it stays at 2 replicas"},
		{"threshold, but new ones come", with(state(times(2, 85), stepping("cpu", 80, 20, 3, 1)), unsettled(1)), none, 3, 3, "", "cpu",
			"cpu is 85 % on average over 2 replicas, above scale_up_threshold 80 %, but not with 1 more at zero"},

		// Who counts.
		{"unsettled ones count as zero upwards", with(state(times(2, 100), tracking("cpu", 50)), unsettled(1)), up, 4, 4, "", "cpu",
			"cpu is 100 % on average over 2 replicas, above the target of 50 % even with 1 more at zero: 4 replicas wanted; from 3 to 4 replicas"},
		{"unsettled ones turn the direction", with(state(times(2, 100), tracking("cpu", 70)), unsettled(2)), none, 4, 4, "", "cpu",
			"cpu is 100 % on average over 2 replicas, above the target of 70 %, but not with 2 more at zero"},
		{"unsettled ones are left out downwards", with(state(times(2, 35), tracking("cpu", 70)), unsettled(2)), down, 2, 2, "", "cpu", ""},
		{"replicas that there are not yet count alike", with(state(times(2, 100), tracking("cpu", 70)), func(s *fleet.ScalingState) { s.Replicas = 4 }), none, 4, 4, "", "cpu", ""},
		{"what is down takes no share and keeps its place", with(state(times(2, 100), tracking("cpu", 70)), stopped(2)), up, 5, 5, "", "cpu",
			"cpu is 100 % on average over 2 replicas (2 of 4 replicas are stopped or failed), above the target of 70 %: 5 replicas wanted; from 4 to 5 replicas"},
		{"what is down beside what comes in a moment", with(state(times(2, 100), tracking("cpu", 50)), stopped(1), unsettled(1)), up, 5, 5, "", "cpu",
			"cpu is 100 % on average over 2 replicas (1 of 4 replicas is stopped or failed), above the target of 50 % even with 1 more at zero: 5 replicas wanted; from 4 to 5 replicas"},
		{"what is down is not enough, within the bounds", with(state(times(2, 100), tracking("cpu", 70, between(1, 4))), stopped(2)), limited, 5, 4, fleet.LimitMaxReplicas, "cpu", ""},
		{"what is down keeps its place downwards", with(state(times(4, 35), tracking("cpu", 70)), stopped(2)), down, 4, 4, "", "cpu", ""},
		{"idle keeps one beside what is down", with(state(times(2, 0), tracking("cpu", 70)), stopped(2)), down, 3, 3, "", "cpu", ""},
		{"enough without what is down", with(state(times(2, 70), tracking("cpu", 70)), stopped(2)), none, 4, 4, "", "cpu",
			"cpu is 70 % on average over 2 replicas (2 of 4 replicas are stopped or failed), within 10 % of the target of 70 %"},
		{"all are down", with(state(nil, tracking("cpu", 70)), stopped(3)), none, 3, 3, "", "",
			"no settled replica has a recent sample of cpu (3 of 3 replicas are stopped or failed); it stays at 3 replicas"},
		{"threshold without what is down", with(state(times(3, 100), stepping("cpu", 80, 30, 2, 1)), stopped(1)), up, 6, 6, "", "cpu", ""},
		{"below a threshold with what is down", with(state(times(2, 10), stepping("cpu", 80, 30, 2, 3)), stopped(2)), down, 3, 3, "", "cpu", ""},
		{"a missing metric counts as zero upwards", with(state(times(2, 100), tracking("cpu", 50)), silent(1)), up, 4, 4, "", "cpu", ""},
		{"a missing metric forbids less", with(state(times(3, 10), tracking("cpu", 70)), silent(1)), limited, 1, 4, fleet.LimitMissingMetrics, "cpu",
			"cpu is 10 % on average over 3 replicas, below the target of 70 %: 1 replica wanted; none is removed while a replica's metric is missing; it stays at 4 replicas"},
		{"no number is a missing metric", with(state(times(3, 10), tracking("cpu", 70)), silent(1, math.NaN())), limited, 1, 4, fleet.LimitMissingMetrics, "cpu", ""},
		{"infinity is one too", with(state(times(1, 10), tracking("cpu", 70)), silent(1, math.Inf(1))), limited, 1, 2, fleet.LimitMissingMetrics, "cpu", ""},
		{"huge numbers are many replicas", state(times(3, math.MaxFloat64), tracking("cpu", 1e-300)), up, 1_000_000, 20, fleet.LimitDefinitionRange, "cpu", ""},
		{"a negative metric is idle", with(state(times(3, 0), tracking("q", 5, by("custom", "q"))), on("custom", "q", -7)), down, 1, 1, "", "q", ""},
		{"nobody has a metric", with(state(nil, tracking("cpu", 70)), silent(3)), none, 3, 3, "", "", ""},
		{"nobody has settled", with(state(nil, tracking("cpu", 70)), unsettled(3)), none, 3, 3, "", "", ""},
		{"nobody is there", with(state(nil, tracking("cpu", 70)), func(s *fleet.ScalingState) { s.Replicas = 3 }), none, 3, 3, "", "", ""},
		{"scaled to zero by hand", with(state(nil, tracking("cpu", 70)), func(s *fleet.ScalingState) { s.Range.MinReplicas = 0 }), none, 0, 0, "", "",
			"no replica runs, so that nothing is measured; it stays at 0 replicas"},

		// Several policies.
		{"the largest wins", with(state(times(4, 35), tracking("cpu", 70), tracking("rate", 50, by("request_rate", ""))), on("request_rate", "", 80)), up, 7, 7, "", "rate", ""},
		{"the largest wins downwards", with(state(times(8, 17.5), tracking("cpu", 70), tracking("rate", 50, by("request_rate", ""))), on("request_rate", "", 30)), down, 5, 5, "", "rate", ""},
		{"one that is content", with(state(times(4, 70), tracking("cpu", 70), tracking("rate", 50, by("request_rate", ""))), on("request_rate", "", 1)), none, 4, 4, "", "cpu", ""},
		{"one without a metric forbids less", state(times(4, 10), tracking("cpu", 70), tracking("rate", 50, by("request_rate", ""))), limited, 1, 4, fleet.LimitMissingMetrics, "cpu", ""},
		{"one without a metric allows more", state(times(4, 140), tracking("cpu", 70), tracking("rate", 50, by("request_rate", ""))), up, 8, 8, "", "cpu", ""},

		// Limits downwards.
		{"stabilization window", with(state(times(6, 35), tracking("cpu", 70)), recommended(200*time.Second, 5), recommended(100*time.Second, 3)), down, 3, 5, fleet.LimitStabilization, "cpu",
			"cpu is 35 % on average over 6 replicas, below the target of 70 %: 3 replicas wanted; up to 5 recommended within the last 300 s; from 6 to 5 replicas"},
		{"stabilization window that keeps all", with(state(times(6, 35), tracking("cpu", 70)), recommended(10*time.Minute, 9), recommended(299*time.Second, 3)), limited, 3, 6, fleet.LimitStabilization, "cpu", ""},
		{"stabilization window that is over", with(state(times(6, 35), tracking("cpu", 70)), recommended(10*time.Minute, 9), recommended(300*time.Second, 3)), down, 3, 3, "", "cpu", ""},
		{"a recommendation holds until the next one", with(state(times(6, 35), tracking("cpu", 70)), recommended(10*time.Minute, 9)), limited, 3, 6, fleet.LimitStabilization, "cpu", ""},
		{"the first evaluation keeps what there is", with(state(times(6, 35), tracking("cpu", 70)), func(s *fleet.ScalingState) { s.Recommendations = nil }), limited, 3, 6, fleet.LimitStabilization, "cpu", ""},
		{"no stabilization window", with(state(times(6, 35), tracking("cpu", 70, func(r *grammar.Scaling) { r.StabilizationWindow = 0 })), recommended(100*time.Second, 9)), down, 3, 3, "", "cpu", ""},
		{"cooldown downwards", with(state(times(6, 35), tracking("cpu", 70)), changed(299*time.Second, 2, 6)), limited, 3, 6, fleet.LimitScaleDownCooldown, "cpu", ""},
		{"cooldown downwards is over", with(state(times(6, 35), tracking("cpu", 70)), changed(300*time.Second, 2, 6)), down, 3, 3, "", "cpu", ""},
		{"a change that was none has no cooldown", with(state(times(6, 35), tracking("cpu", 70)), changed(10*time.Second, 6, 6)), down, 3, 3, "", "cpu", ""},
		{"a change before the clock was put back", with(state(times(6, 35), tracking("cpu", 70)), changed(-299*time.Second, 7, 6)), limited, 3, 6, fleet.LimitScaleDownCooldown, "cpu",
			"cpu is 35 % on average over 6 replicas, below the target of 70 %: 3 replicas wanted; scale_down_cooldown holds for another 599 s, after the change 299 s ahead of the clock; it stays at 6 replicas"},
		{"a change before the clock was put back by more than the cooldown", with(state(times(6, 35), tracking("cpu", 70)), changed(-time.Hour, 7, 6)), down, 3, 3, "", "cpu", ""},
		{"a recommendation before the clock was put back", with(state(times(6, 35), tracking("cpu", 70)), recommended(-time.Hour, 5)), down, 3, 5, fleet.LimitStabilization, "cpu", ""},
		{"removed before the clock was put back", with(state(times(9, 7), tracking("cpu", 70, func(r *grammar.Scaling) { r.MaxScaleDown, r.ScaleDownCooldown = 3, 0 })), changed(-30*time.Second, 10, 9)), down, 1, 7, fleet.LimitMaxScaleDown, "cpu", ""},
		{"at most so many removed", with(state(times(9, 7), tracking("cpu", 70, func(r *grammar.Scaling) { r.MaxScaleDown, r.ScaleDownCooldown = 3, 0 })), changed(30*time.Second, 10, 9)), down, 1, 7, fleet.LimitMaxScaleDown, "cpu",
			"cpu is 7 % on average over 9 replicas, below the target of 70 %: 1 replica wanted; at most 3 removed within 60 s, of which 1 are; from 9 to 7 replicas"},
		{"none left to remove", with(state(times(9, 7), tracking("cpu", 70, func(r *grammar.Scaling) { r.MaxScaleDown, r.ScaleDownCooldown = 3, 0 })), changed(30*time.Second, 14, 9)), limited, 1, 9, fleet.LimitMaxScaleDown, "cpu", ""},
		{"removed before the period", with(state(times(9, 7), tracking("cpu", 70, func(r *grammar.Scaling) { r.MaxScaleDown, r.ScaleDownCooldown = 3, 0 })), changed(60*time.Second, 14, 9)), down, 1, 6, fleet.LimitMaxScaleDown, "cpu", ""},
		{"rate, then cooldown", with(state(times(9, 7), tracking("cpu", 70, func(r *grammar.Scaling) { r.MaxScaleDown = 3 })), changed(100*time.Second, 10, 9)), limited, 1, 9, fleet.LimitScaleDownCooldown, "cpu", ""},

		// Limits upwards.
		{"cooldown upwards", with(state(times(2, 100), tracking("cpu", 50, func(r *grammar.Scaling) { r.ScaleUpCooldown = 60 })), changed(59*time.Second, 3, 2)), limited, 4, 2, fleet.LimitScaleUpCooldown, "cpu", ""},
		{"a change before the clock was put back delays no adding", with(state(times(4, 100), stepping("cpu", 80, 30, 2, 1)), changed(-time.Second, 3, 4)), up, 6, 6, "", "cpu", ""},
		{"added before the clock was put back", with(state(times(4, 200), tracking("cpu", 50, func(r *grammar.Scaling) { r.MaxScaleUp = 4 })), changed(-30*time.Second, 3, 4)), up, 16, 8, fleet.LimitMaxScaleUp, "cpu", ""},
		{"none upwards by default", with(state(times(2, 100), tracking("cpu", 50)), changed(time.Second, 1, 2)), up, 4, 4, "", "cpu", ""},
		{"at most so many added", with(state(times(4, 200), tracking("cpu", 50, func(r *grammar.Scaling) { r.MaxScaleUp = 4 })), changed(30*time.Second, 3, 4)), up, 16, 7, fleet.LimitMaxScaleUp, "cpu", ""},

		// Bounds.
		{"at most, of the policy", state(times(4, 200), tracking("cpu", 50, between(2, 6))), up, 16, 6, fleet.LimitMaxReplicas, "cpu",
			"cpu is 200 % on average over 4 replicas, above the target of 50 %: 16 replicas wanted; at most 6, max_replicas of policy \"cpu\"; from 4 to 6 replicas"},
		{"at most, and there already", state(times(6, 200), tracking("cpu", 50, between(2, 6))), limited, 24, 6, fleet.LimitMaxReplicas, "cpu", ""},
		{"at least, of the policy", state(times(4, 1), tracking("cpu", 50, between(2, 6))), down, 1, 2, fleet.LimitMinReplicas, "cpu", ""},
		{"at most, of the definition", state(times(4, 400), tracking("cpu", 50)), up, 32, 20, fleet.LimitDefinitionRange, "cpu", ""},
		{"the definition's range is narrower", state(times(4, 400), tracking("cpu", 50, between(2, 60))), up, 32, 20, fleet.LimitDefinitionRange, "cpu", ""},
		{"below the bounds", with(state(times(2, 70), tracking("cpu", 70, between(4, 6))), changed(time.Second, 5, 2)), up, 2, 4, fleet.LimitMinReplicas, "cpu", ""},
		{"above the policy's most", state(times(9, 70), tracking("cpu", 70, between(4, 6))), down, 9, 6, fleet.LimitMaxReplicas, "cpu",
			"cpu is 70 % on average over 9 replicas, within 10 % of the target of 70 %; at most 6, max_replicas of policy \"cpu\"; from 9 to 6 replicas"},
		{"above it, and the stabilization window keeps it", with(state(times(9, 70), tracking("cpu", 70, between(4, 6))), recommended(time.Second, 9)), limited, 9, 9, fleet.LimitStabilization, "cpu",
			"cpu is 70 % on average over 9 replicas, within 10 % of the target of 70 %; at most 6, max_replicas of policy \"cpu\"; up to 9 recommended within the last 300 s; it stays at 9 replicas"},
		{"above it, and down to what was recommended", with(state(times(9, 70), tracking("cpu", 70, between(4, 6))), recommended(time.Second, 8)), down, 9, 8, fleet.LimitMaxReplicas, "cpu", ""},
		{"above it in mid-cooldown", with(state(times(9, 70), tracking("cpu", 70, between(4, 6))), changed(time.Second, 8, 9)), limited, 9, 9, fleet.LimitScaleDownCooldown, "cpu", ""},
		{"above it, at most so many removed", state(times(9, 70), tracking("cpu", 70, between(4, 6), func(r *grammar.Scaling) { r.MaxScaleDown = 1 })), down, 9, 8, fleet.LimitMaxReplicas, "cpu", ""},
		{"above it, and more would be wanted", with(state(times(9, 140), tracking("cpu", 70, between(4, 6))), recommended(time.Second, 9)), limited, 18, 9, fleet.LimitMaxReplicas, "cpu", ""},
		{"above it, and a metric is missing", with(state(times(8, 70), tracking("cpu", 70, between(4, 6))), silent(1)), limited, 9, 9, fleet.LimitMissingMetrics, "cpu", ""},
		{"above it without metrics", with(state(nil, tracking("cpu", 70, between(4, 6))), silent(9)), limited, 9, 9, fleet.LimitMissingMetrics, "",
			"no settled replica has a recent sample of cpu; at most 6, max_replicas of policy \"cpu\"; none is removed while a replica's metric is missing; it stays at 9 replicas"},
		{"above the definition's most, whatever cooldown and window say", with(state(times(9, 70), tracking("cpu", 70, between(4, 6))), recommended(time.Second, 9), changed(time.Second, 8, 9),
			func(s *fleet.ScalingState) { s.Range.MaxReplicas = 8 }), down, 9, 8, fleet.LimitDefinitionRange, "cpu", ""},
		{"above the definition's most without metrics", with(state(nil, tracking("cpu", 70)), silent(9), func(s *fleet.ScalingState) { s.Range.MaxReplicas = 6 }), down, 9, 6, fleet.LimitDefinitionRange, "", ""},
		{"the largest bounds of several policies", with(state(times(4, 400), tracking("cpu", 50, between(1, 5)), tracking("rate", 50, by("request_rate", ""), between(3, 8))), on("request_rate", "", 1)), up, 32, 8, fleet.LimitMaxReplicas, "cpu", ""},
		{"zero by hand below a policy's least", with(state(nil, tracking("cpu", 70, between(2, 6))), func(s *fleet.ScalingState) { s.Range.MinReplicas = 0 }), up, 0, 2, fleet.LimitMinReplicas, "", ""},

		// Windows.
		{"a window opens", state(times(2, 35), tracking("cpu", 70), openNow(8, 16)), up, 8, 8, "", "saturday",
			`the window of policy "saturday" is open until Sat 6 Jun 2026 14:00 BST: 8 replicas wanted; from 2 to 8 replicas`},
		{"a window opens in mid-cooldown", with(state(times(2, 35), tracking("cpu", 70, func(r *grammar.Scaling) { r.ScaleUpCooldown = 300 }), openNow(8, 16)), changed(time.Second, 3, 2)), up, 8, 8, "", "saturday", ""},
		{"reactive beyond a window's least", state(times(8, 100), tracking("cpu", 70), openNow(8, 16)), up, 12, 12, "", "cpu", ""},
		{"a window's most", state(times(8, 200), tracking("cpu", 70, between(1, 20)), openNow(8, 16)), up, 23, 16, fleet.LimitSchedule, "cpu", ""},
		{"a window's most below the policy's least", state(times(8, 70), tracking("cpu", 70, between(4, 20)), openNow(1, 2)), down, 8, 2, fleet.LimitSchedule, "cpu", ""},
		{"a window beyond the definition's range", state(times(8, 70), tracking("cpu", 70), openNow(30, 40)), up, 20, 20, "", "saturday", ""},
		{"two windows: the largest of both", state(times(8, 0), openNow(3, 9), scheduled("season", "0 0 1 4 *", "0 0 1 10 *", 5, 6)), down, 5, 5, "", "season", ""},
		{"a window beside a cooldown", with(state(times(2, 140), tracking("cpu", 70, func(r *grammar.Scaling) { r.ScaleUpCooldown = 300 }), openNow(3, 16)), changed(time.Second, 3, 2)), up, 3, 3, "", "saturday", ""},
		{"each policy has its own cooldown", with(state(times(4, 140), tracking("cpu", 70, func(r *grammar.Scaling) { r.ScaleUpCooldown = 300 }), tracking("rate", 50, by("request_rate", ""))),
			on("request_rate", "", 80), changed(time.Second, 3, 4)), up, 7, 7, "", "rate", ""},
		{"each policy has its own window", with(state(times(8, 7), tracking("cpu", 70), tracking("rate", 50, by("request_rate", ""), func(r *grammar.Scaling) { r.StabilizationWindow = 0 })),
			on("request_rate", "", 20), recommended(10*time.Second, 6)), down, 1, 6, fleet.LimitStabilization, "cpu", ""},
		{"a window closes, and the stabilization window keeps it", with(state(times(8, 7), tracking("cpu", 70), closedNow(8, 16)), recommended(100*time.Second, 8)), limited, 1, 8, fleet.LimitStabilization, "cpu", ""},
		{"a window closes above the policy's most, and the stabilization window keeps it", with(state(times(15, 65), tracking("cpu", 70, between(2, 8)), closedNow(15, 16)), recommended(time.Second, 15)), limited, 15, 15, fleet.LimitStabilization, "cpu", ""},
		{"a window closed above the policy's most long ago", state(times(15, 65), tracking("cpu", 70, between(2, 8)), closedNow(15, 16)), down, 15, 8, fleet.LimitMaxReplicas, "cpu", ""},
		{"a closed window wants nothing", state(times(8, 7), tracking("cpu", 70), closedNow(8, 16)), down, 1, 1, "", "cpu", ""},
		{"schedules alone, closed", state(times(8, 7), closedNow(8, 16)), down, 1, 1, "", "",
			"no window is open: 1 replica wanted, the definition's min_replicas; from 8 to 1 replica"},
		{"schedules alone, open", state(times(2, 7), openNow(8, 16)), up, 8, 8, "", "saturday", ""},
		{"a window lifts from zero", with(state(nil, tracking("cpu", 70), openNow(8, 16)), func(s *fleet.ScalingState) { s.Range.MinReplicas = 0 }), up, 8, 8, "", "saturday", ""},
		{"a window of zero switches off", with(state(times(2, 70), tracking("cpu", 70), openNow(0, 0)), recommended(300*time.Second, 0), func(s *fleet.ScalingState) { s.Range.MinReplicas = 0 }), down, 2, 0, fleet.LimitSchedule, "cpu", ""},
		{"a window above, and a metric is missing", with(state(nil, tracking("cpu", 70), openNow(2, 16)), silent(5)), limited, 2, 5, fleet.LimitMissingMetrics, "saturday", ""},

		// What keeps all as it is.
		{"a deployment in progress", with(state(times(2, 140), tracking("cpu", 70)), busy(false)), limited, 4, 2, fleet.LimitDeploymentInProgress, "cpu",
			"cpu is 140 % on average over 2 replicas, above the target of 70 %: 4 replicas wanted; deployment d7 is in progress; it stays at 2 replicas"},
		{"a deployment in progress, nothing wanted", with(state(times(2, 70), tracking("cpu", 70)), busy(false)), none, 2, 2, "", "cpu", ""},
		{"a deployment in progress, out of bounds", with(state(times(2, 70), tracking("cpu", 70, between(4, 6))), busy(false)), limited, 2, 2, fleet.LimitDeploymentInProgress, "cpu", ""},
		{"its own adding of replicas may add more", with(state(times(2, 250), tracking("cpu", 70)), busy(true), unsettled(2)), up, 8, 8, "", "cpu", ""},
		{"its own adding of replicas removes none", with(state(times(4, 7), tracking("cpu", 70)), busy(true)), limited, 1, 4, fleet.LimitDeploymentInProgress, "cpu", ""},
		{"a scaling failed", with(state(times(2, 140), tracking("cpu", 70)), failed(59*time.Second, 1)), limited, 4, 2, fleet.LimitFailedScaling, "cpu",
			"cpu is 140 % on average over 2 replicas, above the target of 70 %: 4 replicas wanted; scaling d6 has failed, and none is tried until 12:00:01 UTC; it stays at 2 replicas"},
		{"a scaling failed a while ago", with(state(times(2, 140), tracking("cpu", 70)), failed(time.Minute, 1)), up, 4, 4, "", "cpu", ""},
		{"a scaling failed, out of bounds", with(state(times(2, 70), tracking("cpu", 70, between(4, 6))), failed(time.Second, 1)), limited, 2, 2, fleet.LimitFailedScaling, "cpu", ""},
		{"three failed in a row", with(state(times(2, 140), tracking("cpu", 70)), failed(239*time.Second, 3)), limited, 4, 2, fleet.LimitFailedScaling, "cpu",
			"cpu is 140 % on average over 2 replicas, above the target of 70 %: 4 replicas wanted; 3 scalings in a row have failed, d6 the last, and none is tried until 12:00:01 UTC; it stays at 2 replicas"},
		{"three failed in a row a while ago", with(state(times(2, 140), tracking("cpu", 70)), failed(240*time.Second, 3)), up, 4, 4, "", "cpu", ""},
		{"as many failed as are counted", with(state(times(2, 140), tracking("cpu", 70)), failed(30*time.Minute-time.Second, fleet.MostFailures)), limited, 4, 2, fleet.LimitFailedScaling, "cpu", ""},
		{"as many failed as are counted, half an hour ago", with(state(times(2, 140), tracking("cpu", 70)), failed(30*time.Minute, fleet.MostFailures)), up, 4, 4, "", "cpu", ""},
		{"a scaling failed before the clock was put back", with(state(times(2, 140), tracking("cpu", 70)), failed(-time.Second, 1)), up, 4, 4, "", "cpu", ""},
		{"one failed before the clock was put back, and fewer are wanted", with(state(times(6, 35), tracking("cpu", 70)), failed(-time.Second, 1)), limited, 3, 6, fleet.LimitFailedScaling, "cpu", ""},
		{"one failed before the clock was put back by more than that, and fewer are wanted", with(state(times(6, 35), tracking("cpu", 70)), failed(-time.Hour, 1)), down, 3, 3, "", "cpu", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			v := autoscale.Decide(noon, tc.state)
			d := v.Decision
			if d.Outcome != tc.outcome || d.Wanted != tc.wanted || d.Limited != tc.limited || d.Limit != tc.limit || d.PolicyName != tc.policy {
				t.Errorf("Decide = %s, wanted %d, limited %d by %q, policy %q; want %s, %d, %d, %q, %q\n%s", d.Outcome, d.Wanted, d.Limited, d.Limit, d.PolicyName,
					tc.outcome, tc.wanted, tc.limited, tc.limit, tc.policy, d.Reason)
			}
			if tc.reason != "" && d.Reason != tc.reason {
				t.Errorf("reason\n\t%s\nwant\n\t%s", d.Reason, tc.reason)
			}
			if d.Current != int64(tc.state.Replicas) || v.Replicas != int(tc.limited) || v.Scale != (v.Replicas != tc.state.Replicas) {
				t.Errorf("current %d, verdict %d (scale %v) of %d replicas", d.Current, v.Replicas, v.Scale, tc.state.Replicas)
			}
			if len(d.Inputs) != len(tc.state.Policies) {
				t.Errorf("%d inputs of %d policies", len(d.Inputs), len(tc.state.Policies))
			}
			if _, err := json.Marshal(d); err != nil {
				t.Errorf("encode decision: %v", err)
			}
		})
	}
}

// TestReadings looks at what a decision keeps of what the policies saw.
func TestReadings(t *testing.T) {
	s := with(state(times(2, 100), tracking("cpu", 50), stepping("rate", 80, 20, 1, 1, by("request_rate", "")), closedNow(8, 16)), silent(1), unsettled(1))
	got, err := json.MarshalIndent(autoscale.Decide(noon, s).Decision.Inputs, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	want := `[
	{
		"policy_id": "id-cpu",
		"policy_name": "cpu",
		"metric": "cpu",
		"value": 100,
		"target": 50,
		"counted": 2,
		"missing": 1,
		"unsettled": 1,
		"wanted": 4
	},
	{
		"policy_id": "id-rate",
		"policy_name": "rate",
		"metric": "request_rate",
		"counted": 0,
		"missing": 3,
		"unsettled": 1,
		"wanted": 4,
		"note": "no settled replica has a recent sample"
	},
	{
		"policy_id": "id-sunday",
		"policy_name": "sunday",
		"counted": 0,
		"missing": 0,
		"unsettled": 0,
		"wanted": 0,
		"note": "its window is closed until Sun 7 Jun 2026 06:00 BST"
	}
]`
	if string(got) != want {
		t.Errorf("inputs\n%s\nwant\n%s", got, want)
	}
}

// TestReadingOfAnotherPolicy: what keeps a policy from what it wants is told, even
// where another one decides.
func TestReadingOfAnotherPolicy(t *testing.T) {
	s := with(state(times(2, 140), tracking("cpu", 70, func(r *grammar.Scaling) { r.ScaleUpCooldown = 300 }), openNow(3, 16)), changed(time.Second, 3, 2))
	d := autoscale.Decide(noon, s).Decision
	const note = "scale_up_cooldown holds for another 299 s, after the change 1 s ago"
	if d.Inputs[0].Wanted != 4 || d.Inputs[0].Note != note {
		t.Errorf("reading %+v, want 4 replicas wanted and the note %q", d.Inputs[0], note)
	}
}

func TestNoPolicy(t *testing.T) {
	if v := autoscale.Decide(noon, state(times(3, 100))); v.Decision != nil || v.Scale || v.Recommended || v.Resize != nil || v.Resizes != nil {
		t.Errorf("Decide without policies = %+v, want nothing", v)
	}
	vertical := fleet.ScalingPolicy{Name: "memory", Rules: grammar.Scaling{Type: grammar.Vertical, Metric: grammar.MetricMemory}}
	if v := autoscale.Decide(noon, state(times(30, 100), vertical)); v.Decision != nil || v.Scale {
		t.Errorf("a vertical policy decided on the number of replicas: %+v", v.Decision)
	}
}

// TestRecommendations goes through evaluations, one after the other, of a policy
// whose window of 300 s has slots of 10 s.
func TestRecommendations(t *testing.T) {
	s := state(times(4, 70), tracking("cpu", 70))
	s.Recommendations = nil
	steps := []struct {
		at      int // seconds
		cpu     float64
		changed bool
		want    string
	}{
		{0, 35, true, "0:4"}, // the first recommends what there is
		{1, 140, true, "0:8"},
		{9, 70, false, "0:8"},
		{10, 70, true, "0:8 10:4"},
		{19, 100, true, "0:8 10:6"},
		{20, 100, false, "0:8 10:6"}, // the same again
		{300, 35, true, "0:8 10:6 300:2"},
		{309, 35, false, "0:8 10:6 300:2"},
		{310, 35, true, "10:6 300:2"}, // 8 held until 10
		{600, 35, true, "300:2"},
		{3600, 35, false, "300:2"},
		{3700, 140, true, "300:2 3700:8"},
		{100, 35, true, "100:8"}, // the clock was put back: what is yet to come was recommended now
		{110, 35, true, "100:8 110:2"},
		{411, 35, true, "110:2"},
	}
	for _, step := range steps {
		now := noon.Add(time.Duration(step.at) * time.Second)
		s.Instances = settled(times(4, step.cpu)...)
		v := autoscale.Decide(now, s)
		var got []string
		for _, r := range v.Recommendations {
			got = append(got, fmt.Sprintf("%d:%d", int(r.At.Sub(noon).Seconds()), r.Replicas))
		}
		if text := strings.Join(got, " "); text != step.want || v.Recommended != step.changed {
			t.Errorf("after %d s: %s (changed %v), want %s (%v)", step.at, text, v.Recommended, step.want, step.changed)
		}
		s.Recommendations = v.Recommendations
	}
}

func TestFolds(t *testing.T) {
	base := *autoscale.Decide(noon, state(times(6, 200), tracking("cpu", 50, between(2, 6)))).Decision
	if base.Outcome != fleet.OutcomeLimited {
		t.Fatalf("outcome %s", base.Outcome)
	}
	later := *autoscale.Decide(noon.Add(time.Minute), state(times(6, 199), tracking("cpu", 50, between(2, 6)))).Decision
	if !autoscale.Folds(base, later) {
		t.Error("the same a minute later is another decision")
	}
	for name, change := range map[string]func(*fleet.ScalingDecision){
		"outcome": func(d *fleet.ScalingDecision) { d.Outcome = fleet.OutcomeNoChange },
		"policy":  func(d *fleet.ScalingDecision) { d.PolicyID = "other" },
		"current": func(d *fleet.ScalingDecision) { d.Current++ },
		"limited": func(d *fleet.ScalingDecision) { d.Limited++ },
		"limit":   func(d *fleet.ScalingDecision) { d.Limit = fleet.LimitSchedule },
		"unit":    func(d *fleet.ScalingDecision) { d.Unit = fleet.UnitBytes },
		"place":   func(d *fleet.ScalingDecision) { d.Environment = "production" },
	} {
		other := base
		change(&other)
		if autoscale.Folds(base, other) {
			t.Errorf("decisions of another %s fold", name)
		}
	}
	more := base
	more.Wanted++
	if !autoscale.Folds(base, more) {
		t.Error("more is wanted and held back by the same limit, and it is another decision")
	}
	scaled := base
	scaled.Outcome = fleet.OutcomeScaledUp
	if autoscale.Folds(scaled, scaled) {
		t.Error("two changes fold")
	}
}
