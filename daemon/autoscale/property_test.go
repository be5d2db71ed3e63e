package autoscale_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// rounds is how many random states each property is tried with.
const rounds = 5_000

// one is one of several.
func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// anyPolicies are one to four policies of any kind that the grammar allows.
func anyPolicies(r *rand.Rand) []fleet.ScalingPolicy {
	metrics := []func(*grammar.Scaling){by("cpu", ""), by("memory", ""), by("request_rate", ""), by("response_time", ""), by("custom", "queue")}
	var list []fleet.ScalingPolicy
	for k := range 1 + r.IntN(4) {
		name := string('a' + rune(k))
		rules := func(s *grammar.Scaling) {
			s.ScaleUpCooldown, s.ScaleDownCooldown = one(r, 0, 30, 300), one(r, 0, 60, 300)
			s.StabilizationWindow = one(r, 0, 1, 60, 300)
			s.MaxScaleUp, s.MaxScaleDown, s.ScalePeriod = one(r, 0, 0, 1, 4), one(r, 0, 0, 1, 4), one(r, 15, 60)
			if r.IntN(3) == 0 {
				least := r.IntN(6)
				between(least, least+r.IntN(10))(s)
			}
		}
		switch r.IntN(4) {
		case 0:
			down := 10 + 20*r.Float64()
			list = append(list, stepping(name, down+40*r.Float64(), down, 1+r.IntN(4), 1+r.IntN(4), one(r, metrics...), rules))
		case 1:
			least := r.IntN(10)
			list = append(list, scheduled(name, one(r, "0 6 * * 6", "0 6 * * 0", "*/10 * * * *"), one(r, "0 14 * * 6", "5-59/10 * * * *", "0 0 1 1 *"), least, least+r.IntN(10)))
		default:
			list = append(list, tracking(name, 30+70*r.Float64(), one(r, metrics...), rules))
		}
	}
	return list
}

// anyInstances have any metrics, or lack them, or have not settled.
func anyInstances(r *rand.Rand, n int) []fleet.ScalingInstance {
	list := make([]fleet.ScalingInstance, n)
	for k := range list {
		list[k] = fleet.ScalingInstance{Settled: r.IntN(5) > 0, Down: r.IntN(8) == 0, Values: map[fleet.MetricKey]float64{}}
		for _, key := range []fleet.MetricKey{cpuKey, {Metric: "memory"}, {Metric: "request_rate"}, {Metric: "response_time"}, {Metric: "custom", Name: "queue"}} {
			if r.IntN(12) > 0 {
				list[k].Values[key] = one(r, r.Float64()*200, r.Float64()*200, r.Float64()*200, r.Float64()*100, 0, math.NaN(), math.Inf(1), math.MaxFloat64)
			}
		}
	}
	return list
}

// anyState is one that the store might give.
func anyState(r *rand.Rand) fleet.ScalingState {
	s := state(nil, anyPolicies(r)...)
	s.Range.MinReplicas = r.IntN(4)
	s.Range.MaxReplicas = s.Range.MinReplicas + 1 + r.IntN(15)
	s.Replicas = r.IntN(20)
	s.Instances = anyInstances(r, max(0, s.Replicas+one(r, 0, 0, 0, -1, 1)))
	s.Recommendations = nil
	for _, ago := range []int{700, 400, 200, 100, 20} {
		if r.IntN(2) == 0 {
			recommended(time.Duration(ago)*time.Second, r.IntN(20))(&s)
		}
		if r.IntN(4) == 0 {
			changed(time.Duration(ago)*time.Second, r.IntN(20), r.IntN(20))(&s)
		}
	}
	if r.IntN(10) == 0 {
		failed(time.Duration(r.IntN(120))*time.Second, 1+r.IntN(fleet.MostFailures))(&s)
	}
	if r.IntN(6) == 0 {
		busy(r.IntN(2) == 0)(&s)
	}
	return s
}

// always checks a property of random states; it names the seed of one that lacks it.
func always(t *testing.T, check func(t *testing.T, r *rand.Rand, s fleet.ScalingState)) {
	t.Helper()
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 266))
		s := anyState(r)
		check(t, r, s)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestAlwaysWithinTheRange(t *testing.T) {
	always(t, func(t *testing.T, _ *rand.Rand, s fleet.ScalingState) {
		v := autoscale.Decide(noon, s)
		kept := v.Decision.Limit == fleet.LimitDeploymentInProgress || v.Decision.Limit == fleet.LimitFailedScaling
		if !kept && (v.Replicas < s.Range.MinReplicas || v.Replicas > s.Range.MaxReplicas) {
			t.Errorf("%d replicas, out of %d to %d: %s", v.Replicas, s.Range.MinReplicas, s.Range.MaxReplicas, v.Decision.Reason)
		}
		if kept && v.Replicas != s.Replicas {
			t.Errorf("kept at %d replicas instead of %d", v.Replicas, s.Replicas)
		}
	})
}

func TestAlwaysExplained(t *testing.T) {
	always(t, func(t *testing.T, _ *rand.Rand, s fleet.ScalingState) {
		d := autoscale.Decide(noon, s).Decision
		if _, err := json.Marshal(d); err != nil {
			t.Errorf("encode decision: %v", err)
		}
		if d.Reason == "" || len(d.Inputs) != len(s.Policies) {
			t.Errorf("reason %q, %d inputs of %d policies", d.Reason, len(d.Inputs), len(s.Policies))
		}
		if changes := d.Outcome == fleet.OutcomeScaledUp || d.Outcome == fleet.OutcomeScaledDown; changes != (d.Limited != d.Current) {
			t.Errorf("%s from %d to %d", d.Outcome, d.Current, d.Limited)
		}
		if held := d.Wanted != d.Limited; held && d.Limit == "" || d.Limit != "" && !held && d.Outcome != fleet.OutcomeLimited {
			t.Errorf("%d of %d wanted by the limit %q: %s", d.Limited, d.Wanted, d.Limit, d.Reason)
		}
		if d.Outcome == fleet.OutcomeNoChange && d.Limit != "" {
			t.Errorf("no change because of the limit %q", d.Limit)
		}
	})
}

func TestMissingMetricsNeverScaleDown(t *testing.T) {
	always(t, func(t *testing.T, r *rand.Rand, s fleet.ScalingState) {
		horizontal := slices.DeleteFunc(slices.Clone(s.Policies), func(p fleet.ScalingPolicy) bool { return p.Rules.Type == grammar.Scheduled })
		if len(horizontal) == 0 || len(s.Instances) == 0 || s.Replicas == 0 {
			return
		}
		gone := r.IntN(len(s.Instances))
		s.Instances[gone].Settled, s.Instances[gone].Down = true, false
		delete(s.Instances[gone].Values, horizontal[r.IntN(len(horizontal))].Key())
		s.Range.MaxReplicas = 50 // which holds at once
		if v := autoscale.Decide(noon, s); v.Replicas < s.Replicas {
			t.Errorf("from %d to %d replicas: %s", s.Replicas, v.Replicas, v.Decision.Reason)
		}
	})
}

// TestMoreLoadIsNeverFewerReplicas raises one metric of one replica.
func TestMoreLoadIsNeverFewerReplicas(t *testing.T) {
	always(t, func(t *testing.T, r *rand.Rand, s fleet.ScalingState) {
		if len(s.Instances) == 0 {
			return
		}
		before := autoscale.Decide(noon, s)
		key := s.Policies[r.IntN(len(s.Policies))].Key()
		values := s.Instances[r.IntN(len(s.Instances))].Values
		value, ok := values[key]
		if !ok || math.IsNaN(value) || math.IsInf(value, 0) {
			return
		}
		values[key] = value + r.Float64()*100
		if after := autoscale.Decide(noon, s); after.Replicas < before.Replicas {
			t.Errorf("%s from %g to %g: %d replicas instead of %d\n%s\n%s", key.Metric, value, values[key],
				after.Replicas, before.Replicas, before.Decision.Reason, after.Decision.Reason)
		}
	})
}

// TestWhatIsDownKeepsItsPlace: beside replicas that are down as many more are wanted as
// without them.
func TestWhatIsDownKeepsItsPlace(t *testing.T) {
	always(t, func(t *testing.T, r *rand.Rand, s fleet.ScalingState) {
		s.Policies = slices.DeleteFunc(s.Policies, func(p fleet.ScalingPolicy) bool { return !p.Rules.Tracks() })
		s.Instances = slices.DeleteFunc(s.Instances, func(i fleet.ScalingInstance) bool { return i.Down })
		s.Replicas = len(s.Instances)
		if len(s.Policies) == 0 || s.Replicas == 0 {
			return
		}
		const gone = 3
		with := s
		with.Replicas += gone
		with.Instances = slices.Clone(s.Instances)
		for range gone {
			with.Instances = slices.Insert(with.Instances, r.IntN(len(with.Instances)+1), fleet.ScalingInstance{Down: true})
		}
		alone, beside := autoscale.Decide(noon, s).Decision, autoscale.Decide(noon, with).Decision
		for k, p := range s.Policies {
			if a, b := alone.Inputs[k].Wanted, beside.Inputs[k].Wanted; b != a+gone {
				t.Errorf("policy %q wants %d replicas, and %d with %d that are down: %s", p.Name, a, b, gone, beside.Reason)
			}
		}
	})
}

// TestTheLargestWins compares what comes of all policies with what comes of each alone.
func TestTheLargestWins(t *testing.T) {
	always(t, func(t *testing.T, _ *rand.Rand, s fleet.ScalingState) {
		for k := range s.Policies {
			s.Policies[k].Rules.MinReplicas, s.Policies[k].Rules.MaxReplicas = nil, nil // whose bounds are another matter
		}
		all := autoscale.Decide(noon, s)
		most := -1
		for _, p := range s.Policies {
			alone := s
			alone.Policies = []fleet.ScalingPolicy{p}
			v := autoscale.Decide(noon, alone)
			if v.Decision.PolicyName == "" && (p.Rules.Type == grammar.Scheduled || s.Replicas == 0) {
				continue // it has no say
			}
			most = max(most, v.Replicas)
		}
		if most >= 0 && all.Replicas < most {
			t.Errorf("together %d replicas, the largest alone %d: %s", all.Replicas, most, all.Decision.Reason)
		}
	})
}

func TestBusyNeverChanges(t *testing.T) {
	always(t, func(t *testing.T, _ *rand.Rand, s fleet.ScalingState) {
		s.Busy, s.Scaling = "d1", false
		if v := autoscale.Decide(noon, s); v.Scale || v.Replicas != s.Replicas {
			t.Errorf("from %d to %d replicas amid a deployment", s.Replicas, v.Replicas)
		}
		s.Scaling = true
		if v := autoscale.Decide(noon, s); v.Replicas < s.Replicas {
			t.Errorf("from %d to %d replicas while some are added", s.Replicas, v.Replicas)
		}
	})
}

// TestTheSameAgain: the same state gives the same verdict, is not written to, and
// what comes of the verdict gives the same again within the same moment.
func TestTheSameAgain(t *testing.T) {
	always(t, func(t *testing.T, _ *rand.Rand, s fleet.ScalingState) {
		recommendations := slices.Clone(s.Recommendations)
		first, second := autoscale.Decide(noon, s), autoscale.Decide(noon, s)
		if !reflect.DeepEqual(first, second) {
			t.Errorf("the same state, but %+v and %+v", first, second)
		}
		if !slices.Equal(recommendations, s.Recommendations) {
			t.Error("the state was written to")
		}
		s.Recommendations = first.Recommendations
		again := autoscale.Decide(noon, s)
		if again.Recommended || again.Replicas != first.Replicas || again.Decision.Reason != first.Decision.Reason {
			t.Errorf("carried over: %+v, before: %+v", again.Decision, first.Decision)
		}
	})
}

// TestLimitsStayWithinBounds does the same for what a replica may use.
func TestLimitsStayWithinBounds(t *testing.T) {
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 266))
		s := state(nil, vertical("cpu", "200m", "2"), vertical("memory", "100Mi", "1Gi"))
		s.Limits = fleet.Resources{CPU: one(r, "", "100m", "500m", "4"), Memory: one(r, "", "50Mi", "500Mi", "4Gi")}
		s.Usage = used(r.Float64()*4, r.Float64()*880, r.IntN(40)) // with the margin, less than a GiB
		if r.IntN(2) == 0 {
			s.Resized = new(noon.Add(-time.Duration(r.IntN(600)) * time.Second))
		}
		v := autoscale.Decide(noon, s)
		for _, d := range v.Resizes {
			least, most := int64(200), int64(2000)
			if d.Unit == fleet.UnitBytes {
				least, most = 100<<20, 1<<30
			}
			blind := len(s.Usage) == 0 && d.Unit == fleet.UnitBytes && d.Limited == d.Current && d.Limit == fleet.LimitMissingMetrics
			if d.Limited != 0 && (d.Limited < least || d.Limited > most) && d.Limit != fleet.LimitMaxLimit && !blind {
				t.Fatalf("seed %d: %d %s, out of %d to %d: %s", seed, d.Limited, d.Unit, least, most, d.Reason)
			}
		}
	}
}
