package autoscale

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// bound is a least or a largest number of replicas, with whose it is.
type bound struct {
	replicas int
	limit    string
	whose    string
}

// bounds are within the definition's range, whose upper end is the ceiling. Below
// least and above ceiling is nothing, at once; what is above most comes down to it as
// whatever is removed.
type bounds struct{ least, most, ceiling bound }

// boundsOf are the bounds that hold: those of the open windows, else those of the
// horizontal policies, each the largest; and never more than the definition allows.
func boundsOf(r fleet.Scaling, horizontal []fleet.ScalingPolicy, windows []window) bounds {
	ceiling := bound{max(r.MinReplicas, r.MaxReplicas), fleet.LimitDefinitionRange, "the definition's max_replicas"}
	definition := bounds{least: bound{r.MinReplicas, fleet.LimitDefinitionRange, "the definition's min_replicas"}, most: ceiling, ceiling: ceiling}
	var least, most []bound
	of := func(p fleet.ScalingPolicy, leastLimit, mostLimit string) {
		low, high := definition.least, definition.most
		if p.Rules.MinReplicas != nil {
			low = bound{*p.Rules.MinReplicas, leastLimit, fmt.Sprintf("min_replicas of policy %q", p.Name)}
		}
		if p.Rules.MaxReplicas != nil {
			high = bound{*p.Rules.MaxReplicas, mostLimit, fmt.Sprintf("max_replicas of policy %q", p.Name)}
		}
		least, most = append(least, low), append(most, high)
	}
	for _, w := range windows {
		if w.open {
			of(w.policy, fleet.LimitSchedule, fleet.LimitSchedule)
		}
	}
	if len(least) == 0 {
		for _, p := range horizontal {
			of(p, fleet.LimitMinReplicas, fleet.LimitMaxReplicas)
		}
	}
	if len(least) == 0 {
		return definition
	}
	byReplicas := func(a, b bound) int { return cmp.Compare(a.replicas, b.replicas) }
	b := bounds{
		least: within(slices.MaxFunc(least, byReplicas), definition), most: within(slices.MaxFunc(most, byReplicas), definition), ceiling: ceiling,
	}
	if b.most.replicas < b.least.replicas {
		b.most = b.least
	}
	return b
}

// within is a bound that the definition allows.
func within(b bound, definition bounds) bound {
	switch {
	case b.replicas < definition.least.replicas:
		return definition.least
	case b.replicas > definition.most.replicas:
		return definition.most
	default:
		return b
	}
}

// window is a scheduled policy at a moment.
type window struct {
	policy fleet.ScalingPolicy
	open   bool
	until  time.Time
	fault  string
}

// windowsAt are the windows of scheduled policies.
func windowsAt(now time.Time, scheduled []fleet.ScalingPolicy) []window {
	windows := make([]window, 0, len(scheduled))
	for _, p := range scheduled {
		w := window{policy: p}
		var err error
		if w.open, w.until, err = openAt(now, p.Rules); err != nil {
			w.fault = err.Error()
		}
		windows = append(windows, w)
	}
	return windows
}

// wish is what a scheduled policy wants: its least number of replicas while its
// window is open, and nothing otherwise.
func (w window) wish(r fleet.Scaling) wish {
	is := wish{policy: w.policy, known: w.open}
	is.reading = fleet.ScalingReading{PolicyID: w.policy.ID, PolicyName: w.policy.Name}
	until := "for good"
	if !w.until.IsZero() {
		until = "until " + w.until.Format("Mon 2 Jan 2006 15:04 MST")
	}
	switch {
	case w.fault != "":
		is.reading.Note = "its schedule cannot be read: " + w.fault
	case !w.open:
		is.reading.Note = "its window is closed " + until
	default:
		is.replicas = boundsOf(r, nil, []window{w}).least.replicas
		is.reading.Note = "its window is open " + until
		is.because = fmt.Sprintf("the window of policy %q is open %s: %s wanted", w.policy.Name, until, replicas(is.replicas))
	}
	is.reading.Wanted = int64(is.replicas)
	return is
}

// restWish is what schedules alone want while none of their windows is open.
func restWish(b bounds) wish {
	return wish{
		replicas: b.least.replicas, known: true,
		because: fmt.Sprintf("no window is open: %s wanted, %s", replicas(b.least.replicas), b.least.whose),
	}
}

// schedule is what makes a window.
type schedule struct{ start, end, zone string }

// known is a window, and what it was at a time and is until it changes.
type known struct {
	grammar.Window
	from, until time.Time
	open        bool
}

// parsed are the windows that were asked for lately: a pure function's memory, as
// reading schedules takes longer than all the rest of a decision.
var parsed = struct {
	sync.Mutex
	windows map[schedule]*known
}{windows: map[schedule]*known{}}

// mostParsed bounds the memory of windows.
const mostParsed = 1000

// openAt reports whether the window of a scheduled policy is open, and until when
// it stays so.
func openAt(now time.Time, r grammar.Scaling) (open bool, until time.Time, err error) {
	key := schedule{r.ScheduleStart, r.ScheduleEnd, r.TimeZone}
	parsed.Lock()
	defer parsed.Unlock()
	k := parsed.windows[key]
	if k == nil {
		w, err := grammar.NewWindow(r.ScheduleStart, r.ScheduleEnd, r.TimeZone)
		if err != nil {
			return false, time.Time{}, err
		}
		if len(parsed.windows) >= mostParsed {
			clear(parsed.windows)
		}
		k = &known{Window: w}
		parsed.windows[key] = k
	}
	if now.Before(k.from) || !now.Before(k.until) {
		k.from = now
		k.open, k.until = k.At(now)
	}
	return k.open, k.until, nil
}
