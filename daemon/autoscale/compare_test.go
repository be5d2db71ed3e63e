package autoscale_test

import (
	"flag"
	"fmt"
	"math"
	"sort"
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

var printTable = flag.Bool("scaling-table", false, "print what came of the comparison with the autoscaler of Kubernetes")

const (
	leastReplicas = 2 // as production has it
	mostReplicas  = 30
)

// newOurs is one policy with the defaults of target tracking, and schedules.
func newOurs(schedules ...fleet.ScalingPolicy) *ours {
	return &ours{
		policies: append([]fleet.ScalingPolicy{tracking("cpu", goal*100)}, schedules...),
		bounds:   fleet.Scaling{MinReplicas: leastReplicas, MaxReplicas: mostReplicas},
	}
}

func newHPA(least int) *hpa { return &hpa{target: goal, least: least, most: mostReplicas} }

// reactive are the traces that nobody knows beforehand.
var reactive = []string{"step", "ramp", "square", "noise", "flash-crowd", "oscillation"}

// seasonal are those that people know: who runs a wedding planner knows Saturdays.
var seasonal = []struct {
	trace     string
	schedules []fleet.ScalingPolicy
}{
	{"daily", []fleet.ScalingPolicy{
		inUTC(scheduled("work", "55 8 * * *", "0 17 * * *", 10, mostReplicas)),
	}},
	{"weekly", []fleet.ScalingPolicy{
		inUTC(scheduled("saturday", "55 7 * * 6", "0 14 * * 6", 15, mostReplicas)),
	}},
}

func inUTC(p fleet.ScalingPolicy) fleet.ScalingPolicy {
	p.Rules.TimeZone = "UTC"
	return p
}

// began is the number of replicas that suffices at the beginning of a trace.
func began(loads []float64) int { return max(leastReplicas, int(math.Ceil(loads[0]/goal))) }

// TestBesideHPA replays the traces through Decide and through the algorithm of
// Kubernetes' autoscaler, on the same plant.
func TestBesideHPA(t *testing.T) {
	var table strings.Builder
	row := func(format string, args ...any) { fmt.Fprintf(&table, format+"\n", args...) }
	row("Nothing known beforehand. Target 70 %%, %d to %d replicas; over: seconds above the target by more than 10 %%.", leastReplicas, mostReplicas)
	row("HPA and Decide: the same metrics and decisions every 15 s. At 1 s: Decide with metrics and decisions every second.")
	row("")
	row("| trace | replica-hours: HPA | Decide | ratio | at 1 s | over: HPA | Decide | at 1 s | changes: HPA | Decide | at 1 s |")
	row("|---|---|---|---|---|---|---|---|---|---|---|")
	for _, name := range reactive {
		loads := loadTrace(t, name)
		theirs := samePlant.run(loads, began(loads), newHPA(leastReplicas))
		same := samePlant.run(loads, began(loads), newOurs())
		fast := fastPlant.run(loads, began(loads), newOurs())
		row("| %s | %.1f | %.1f | %.2f | %.1f | %d | %d | %d | %d | %d | %d |", name, theirs.hours, same.hours, same.hours/theirs.hours, fast.hours,
			theirs.over, same.over, fast.over, theirs.changes, same.changes, fast.changes)
		if same.over > theirs.over || fast.over > theirs.over {
			t.Errorf("%s: %d s over the target, at 1 s %d s, the other autoscaler %d s", name, same.over, fast.over, theirs.over)
		}
	}
	row("")
	row("Known beforehand: schedules beside the same policy, deciding every 15 s. The HPA has no schedules. Set alike, it")
	row("is late at the beginning of each peak. To be over the target no longer than Decide, it needs a lower target or a")
	row("minimum, which hold all week; the cheapest of these was looked for (its target and minimum stand behind the hours).")
	row("The ratio is to that one.")
	row("")
	row("| trace | replica-hours: HPA, set alike | HPA, as good | Decide | ratio | over: HPA, set alike | HPA, as good | Decide | changes: HPA, set alike | HPA, as good | Decide |")
	row("|---|---|---|---|---|---|---|---|---|---|---|")
	for _, s := range seasonal {
		loads := loadTrace(t, s.trace)
		mine := samePlant.run(loads, began(loads), newOurs(s.schedules...))
		alike := samePlant.run(loads, began(loads), newHPA(leastReplicas))
		good := asGood(loads, mine.over)
		row("| %s | %.1f | %.1f (%.0f %%, %d) | %.1f | %.2f | %d | %d | %d | %d | %d | %d |", s.trace, alike.hours, good.hours, good.target*100, good.least,
			mine.hours, mine.hours/good.hours, alike.over, good.over, mine.over, alike.changes, good.changes, mine.changes)
		if mine.over > alike.over {
			t.Errorf("%s: %d s over the target, the other autoscaler %d s", s.trace, mine.over, alike.over)
		}
		if mine.hours > 0.9*good.hours {
			t.Errorf("%s: %.1f replica-hours, more than 90 %% of %.1f", s.trace, mine.hours, good.hours)
		}
	}
	if *printTable {
		fmt.Println(table.String())
	}
}

// rival is the other autoscaler as it has to be set to be over the target no longer.
type rival struct {
	outcome
	target float64
	least  int
}

// asGood is the cheapest way to set the other autoscaler so that it is over the
// target no longer than that: with a lower target, a higher minimum, or both.
func asGood(loads []float64, over int) rival {
	best := rival{outcome: outcome{hours: math.Inf(1)}}
	for target := goal; target > 0.2; target -= 0.05 {
		try := func(least int) outcome {
			a := newHPA(least)
			a.target = target
			return samePlant.run(loads, max(least, began(loads)), a)
		}
		// More at least is over the target for less time.
		least := leastReplicas + sort.Search(mostReplicas-leastReplicas, func(n int) bool { return try(leastReplicas+n).over <= over })
		if o := try(least); o.over <= over && o.hours < best.hours {
			best = rival{o, target, least}
		}
	}
	return best
}

// TestOscillationIsLeftAlone: a load that swings around the target for an hour, by
// as much as may be and faster than the stabilization window, makes two changes at
// most.
func TestOscillationIsLeftAlone(t *testing.T) {
	for _, p := range []plant{samePlant, fastPlant} {
		for _, swing := range []float64{0.1, 0.2, 0.5} {
			for _, period := range []float64{10, 60, 150, 290} {
				for _, replicas := range []float64{1, 4, 10} {
					var loads []float64
					for at := range hour {
						loads = append(loads, replicas*goal*(1+swing*math.Sin(2*math.Pi*float64(at)/period)))
					}
					if o := p.run(loads, int(replicas), newOurs()); o.changes > 2 {
						t.Errorf("every %d s: %g replicas, a swing of %g %% in %g s: %d changes in an hour", p.period, replicas, swing*100, period, o.changes)
					}
				}
			}
		}
	}
}
