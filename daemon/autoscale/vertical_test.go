package autoscale_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// vertical is a policy that resizes, with the defaults of one.
func vertical(metric, least, most string) fleet.ScalingPolicy {
	return fleet.ScalingPolicy{ID: "id-" + metric, Name: metric, Enabled: true, Rules: grammar.Scaling{
		Type: grammar.Vertical, Metric: metric, MinLimit: least, MaxLimit: most, ScaleUpCooldown: 300, ScaleDownCooldown: 300,
	}}
}

// used is usage of which the newest is five minutes old, and the others are older by
// five minutes each; oldest first.
func used(cores, megabytes float64, n int) []fleet.UsageBucket {
	list := make([]fleet.UsageBucket, n)
	for k := range list {
		list[k] = fleet.UsageBucket{At: noon.Add(-time.Duration(n-k) * 5 * time.Minute), CPUCores: cores, MemoryMB: megabytes}
	}
	return list
}

func TestVertical(t *testing.T) {
	const resized, none, limited = fleet.OutcomeResized, fleet.OutcomeNoChange, fleet.OutcomeLimited
	const mebi = 1 << 20
	cpu, memory := vertical("cpu", "100m", "2"), vertical("memory", "64Mi", "1Gi")
	sized := func(p fleet.ScalingPolicy, cpu, memory string, usage []fleet.UsageBucket, changes ...func(*fleet.ScalingState)) fleet.ScalingState {
		s := state(times(2, 70), p)
		s.Limits, s.Usage = fleet.Resources{CPU: cpu, Memory: memory, Storage: "1Gi"}, usage
		return with(s, changes...)
	}
	resizedAgo := func(d time.Duration) func(*fleet.ScalingState) {
		return func(s *fleet.ScalingState) { s.Resized = new(noon.Add(-d)) }
	}
	tests := []struct {
		name                     string
		state                    fleet.ScalingState
		outcome                  fleet.ScalingOutcome
		current, wanted, limited int64
		limit                    string
		resize                   string // the limit after it; empty for none
		reason                   string
	}{
		{"cpu lowered", sized(cpu, "1", "256Mi", used(0.3, 0, 24)), resized, 1000, 350, 350, "", "350m",
			"cpu: 300m sufficed 90 % of the time, with 15 % more 350m; from 1000m to 350m"},
		{"cpu raised", sized(cpu, "500m", "256Mi", used(0.9, 0, 24)), resized, 500, 1040, 1040, "", "1040m", ""},
		{"within the tolerance", sized(cpu, "500m", "256Mi", used(0.47, 0, 24)), none, 500, 500, 500, "", "",
			"cpu: 470m sufficed 90 % of the time, with 15 % more 550m; within 10 % of what it is"},
		{"memory lowered", sized(memory, "1", "512Mi", used(0, 200, 24)), resized, 512 * mebi, 230 * mebi, 230 * mebi, "", "230Mi", ""},
		{"memory raised", sized(memory, "1", "128Mi", used(0, 200.5, 24)), resized, 128 * mebi, 231 * mebi, 231 * mebi, "", "231Mi", ""},
		{"the last hour's highest use counts", sized(memory, "1", "512Mi", append(used(0, 100, 24), fleet.UsageBucket{At: noon.Add(-4 * time.Minute), MemoryMB: 300})),
			resized, 512 * mebi, 345 * mebi, 345 * mebi, "", "345Mi",
			"memory: 100Mi sufficed 90 % of the time, with 15 % more 115Mi; up to 300Mi within the last hour, with 15 % more 345Mi; from 512Mi to 345Mi"},
		{"an older one does not", sized(memory, "1", "512Mi", append([]fleet.UsageBucket{{At: noon.Add(-61 * time.Minute), MemoryMB: 300}}, used(0, 100, 12)...)),
			resized, 512 * mebi, 115 * mebi, 115 * mebi, "", "115Mi", ""},
		{"at least min_limit", sized(cpu, "1", "256Mi", used(0.01, 0, 24)), resized, 1000, 20, 100, fleet.LimitMinLimit, "100m", ""},
		{"at most max_limit", sized(cpu, "1", "256Mi", used(3, 0, 24)), resized, 1000, 3450, 2000, fleet.LimitMaxLimit, "2000m",
			"cpu: 3000m sufficed 90 % of the time, with 15 % more 3450m; at most max_limit 2000m; from 1000m to 2000m"},
		{"at most, and there already", sized(cpu, "2", "256Mi", used(3, 0, 24)), limited, 2000, 3450, 2000, fleet.LimitMaxLimit, "", ""},
		{"above the bounds", sized(cpu, "3", "256Mi", used(2.6, 0, 1), resizedAgo(time.Second)), resized, 3000, 3000, 2000, fleet.LimitMaxLimit, "2000m", ""},
		{"memory above the bounds, unknown", sized(memory, "1", "2Gi", nil), limited, 2048 * mebi, 2048 * mebi, 2048 * mebi, fleet.LimitMissingMetrics, "",
			"no usage of memory is known; at most max_limit 1024Mi; but it is not known what is in use; it stays at 2048Mi"},
		{"memory below the bounds, unknown", sized(memory, "1", "32Mi", nil), resized, 32 * mebi, 32 * mebi, 64 * mebi, fleet.LimitMinLimit, "64Mi", ""},
		{"memory not measured", sized(memory, "1", "512Mi", used(0.3, math.NaN(), 288)), none, 512 * mebi, 512 * mebi, 512 * mebi, "", "", "no usage of memory is known"},
		{"memory not measured lately", sized(memory, "1", "512Mi", append(used(0, 400, 40)[:4], used(0, math.NaN(), 36)...)),
			limited, 512 * mebi, 460 * mebi, 512 * mebi, fleet.LimitHistory, "", ""},
		{"much of it known, but not lately", sized(memory, "1", "512Mi", append(used(0, 100, 88)[:48], used(0, math.NaN(), 40)...)),
			limited, 512 * mebi, 115 * mebi, 512 * mebi, fleet.LimitMissingMetrics, "",
			"memory: 100Mi sufficed 90 % of the time, with 15 % more 115Mi; nothing is known of the last hour, and nothing is lowered without; it stays at 512Mi"},
		{"cpu not measured", sized(cpu, "1", "256Mi", used(math.NaN(), 100, 24)), none, 1000, 1000, 1000, "", "", "no usage of cpu is known"},
		{"above the bounds, unknown", sized(cpu, "3", "256Mi", nil), resized, 3000, 3000, 2000, fleet.LimitMaxLimit, "2000m", ""},
		{"memory above the bounds, but in use", sized(memory, "1", "2Gi", used(0, 1000, 24)), resized, 2048 * mebi, 1150 * mebi, 1150 * mebi, "", "1150Mi", ""},
		{"memory in use is not taken away", sized(memory, "1", "1100Mi", used(0, 1000, 24)), limited, 1100 * mebi, 1100 * mebi, 1100 * mebi, fleet.LimitMaxLimit, "", ""},
		{"too little known to lower", sized(cpu, "1", "256Mi", used(0.3, 0, 11)), limited, 1000, 350, 1000, fleet.LimitHistory, "",
			"cpu: 300m sufficed 90 % of the time, with 15 % more 350m; only 55 minutes are known, and 60 are needed; it stays at 1000m"},
		{"enough to raise", sized(cpu, "500m", "256Mi", used(0.9, 0, 1)), resized, 500, 1040, 1040, "", "1040m", ""},
		{"nothing lately", sized(cpu, "1", "256Mi", []fleet.UsageBucket{
			{At: noon.Add(-3 * time.Hour), CPUCores: 0.3}, {At: noon.Add(-2 * time.Hour), CPUCores: 0.3},
		}), limited, 1000, 350, 1000, fleet.LimitHistory, "", ""},
		{"much, but nothing lately", sized(cpu, "1", "256Mi", func() []fleet.UsageBucket {
			list := used(0.3, 0, 100)
			return list[:80]
		}()), limited, 1000, 350, 1000, fleet.LimitMissingMetrics, "", ""},
		{"nothing known", sized(cpu, "1", "256Mi", nil), none, 1000, 1000, 1000, "", "", "no usage of cpu is known"},
		{"no limit, nothing known", sized(cpu, "", "256Mi", nil), none, 0, 0, 0, "", "", ""},
		{"no limit gets one", sized(cpu, "", "256Mi", used(0.3, 0, 24)), resized, 0, 350, 350, "", "350m",
			"cpu: 300m sufficed 90 % of the time, with 15 % more 350m; from no limit to 350m"},
		{"no limit gets none too early", sized(cpu, "", "256Mi", used(0.3, 0, 6)), limited, 0, 350, 0, fleet.LimitHistory, "", ""},
		{"cooldown", sized(cpu, "1", "256Mi", used(0.3, 0, 24), resizedAgo(299*time.Second)), limited, 1000, 350, 1000, fleet.LimitScaleDownCooldown, "", ""},
		{"cooldown is over", sized(cpu, "1", "256Mi", used(0.3, 0, 24), resizedAgo(300*time.Second)), resized, 1000, 350, 350, "", "350m", ""},
		{"cooldown upwards", sized(cpu, "500m", "256Mi", used(0.9, 0, 24), resizedAgo(299*time.Second)), limited, 500, 1040, 500, fleet.LimitScaleUpCooldown, "", ""},
		{"a deployment in progress", sized(cpu, "1", "256Mi", used(0.3, 0, 24), busy(true)), limited, 1000, 350, 1000, fleet.LimitDeploymentInProgress, "", ""},
		{"the metric of a horizontal policy", with(sized(cpu, "1", "256Mi", used(0.3, 0, 24)), func(s *fleet.ScalingState) {
			s.Policies = append(s.Policies, tracking("cpu", 70))
		}), none, 1000, 1000, 1000, "", "", ""},
		{"idle", sized(cpu, "1", "256Mi", used(0, 0, 24)), resized, 1000, 10, 100, fleet.LimitMinLimit, "100m", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			v := autoscale.Decide(noon, tc.state)
			if len(v.Resizes) != 1 {
				t.Fatalf("%d decisions, want one", len(v.Resizes))
			}
			d := v.Resizes[0]
			if d.Outcome != tc.outcome || d.Current != tc.current || d.Wanted != tc.wanted || d.Limited != tc.limited || d.Limit != tc.limit {
				t.Errorf("Decide = %s from %d, wanted %d, limited %d by %q; want %s, %d, %d, %d, %q\n%s", d.Outcome, d.Current, d.Wanted, d.Limited, d.Limit,
					tc.outcome, tc.current, tc.wanted, tc.limited, tc.limit, d.Reason)
			}
			if tc.reason != "" && d.Reason != tc.reason {
				t.Errorf("reason\n\t%s\nwant\n\t%s", d.Reason, tc.reason)
			}
			want := tc.state.Limits
			if tc.resize != "" && d.Unit == fleet.UnitBytes {
				want.Memory = tc.resize
			} else if tc.resize != "" {
				want.CPU = tc.resize
			}
			if got := v.Resize; (got != nil) != (tc.resize != "") || got != nil && *got != want {
				t.Errorf("limits %+v, want %+v", got, want)
			}
			if _, err := json.Marshal(d); err != nil {
				t.Errorf("encode decision: %v", err)
			}
		})
	}
}

// TestUsageFades: what is older counts less, half after each day.
func TestUsageFades(t *testing.T) {
	s := state(times(2, 70), vertical("cpu", "", ""))
	s.Limits.CPU = "4"
	at := func(days int, cores float64, n int) {
		for range n {
			s.Usage = append(s.Usage, fleet.UsageBucket{At: noon.AddDate(0, 0, -days), CPUCores: cores})
		}
	}
	// Eight days ago each weighs 1/256: 512 of them as much as two of now, which is
	// less than a tenth of what 19 of now are.
	at(8, 3, 512)
	at(0, 1, 19)
	if d := autoscale.Decide(noon, s).Resizes[0]; d.Wanted != 1150 {
		t.Errorf("old usage decides: %d wanted", d.Wanted)
	}
	s.Usage = nil
	at(8, 3, 512)
	at(0, 1, 17)
	if d := autoscale.Decide(noon, s).Resizes[0]; d.Wanted != 3450 {
		t.Errorf("a tenth is forgotten: %d wanted", d.Wanted)
	}
}

// TestBothResources resizes them together.
func TestBothResources(t *testing.T) {
	s := state(times(2, 70), vertical("cpu", "", ""), vertical("memory", "", ""), tracking("rate", 50, by("request_rate", "")))
	s.Limits, s.Usage = fleet.Resources{CPU: "1", Memory: "512Mi"}, used(0.3, 100, 24)
	v := autoscale.Decide(noon, s)
	if len(v.Resizes) != 2 || v.Resize == nil || *v.Resize != (fleet.Resources{CPU: "350m", Memory: "115Mi"}) || v.Decision == nil {
		t.Errorf("Decide = %+v, limits %+v", v.Resizes, v.Resize)
	}
}
