package health

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	s = time.Second
	// never stands for a streak that has not begun or is broken.
	never = time.Duration(-1)
	// known is the age of a run that the tracker takes over.
	known = 5 * s

	unknown   = fleet.HealthUnknown
	healthy   = fleet.HealthHealthy
	unhealthy = fleet.HealthUnhealthy
)

var start = time.Date(2026, time.June, 6, 12, 0, 0, 0, time.UTC)

// result is what a check finds so long after the start, and what follows from it.
type result struct {
	at            time.Duration
	ok            bool // the check passes
	verdict       fleet.Health
	since         time.Duration
	changed, news bool
	settled       bool
}

func (r result) of() (age time.Duration, _ fleet.HealthResult) {
	status := unhealthy
	if r.ok {
		status = healthy
	}
	return r.at, fleet.HealthResult{Timestamp: start.Add(r.at), Status: status}
}

// taking is the result of a check that took so long.
func (r result) taking(d time.Duration) (age time.Duration, _ fleet.HealthResult) {
	age, found := r.of()
	found.ResponseTime = d.Seconds() * 1000
	return age, found
}

// target has a check every 10 s, of which 3 in a row condemn, and settles in 5 s.
func target(initial fleet.Health, since time.Duration) fleet.HealthTarget {
	t := fleet.HealthTarget{
		Check:     fleet.HealthCheck{Interval: 10, Timeout: 1, Retries: 3},
		StartedAt: start, Health: initial, Settling: 5 * s,
	}
	if since != never {
		t.HealthySince = new(start.Add(since))
	}
	return t
}

func TestTracker(t *testing.T) {
	condemning := func(initial fleet.Health, since time.Duration) fleet.HealthTarget {
		t := target(initial, since)
		t.Check.Retries = 1
		return t
	}
	forgiving := target(unknown, never)
	forgiving.Check.StartPeriod = 60
	rising := func(initial fleet.Health) fleet.HealthTarget {
		t := target(initial, never)
		t.Check.Rise = 3
		return t
	}
	image := func(initial fleet.Health, since time.Duration) fleet.HealthTarget {
		t := target(initial, since)
		t.Check.Type, t.Check.Rise = "image", 5
		return t
	}
	instant := target(unknown, never)
	instant.Settling = 0
	tests := []struct {
		name    string
		target  fleet.HealthTarget
		results []result
	}{
		{"healthy with the first pass, settled with the one that ends the settling time", target(unknown, never), []result{
			{s, true, healthy, s, true, true, false},
			{3 * s, true, healthy, s, false, false, false},
			{6 * s, true, healthy, s, false, true, true},
			{16 * s, true, healthy, s, false, false, true},
		}},
		{"settled at once without a settling time", instant, []result{{s, true, healthy, s, true, true, true}}},
		{"one failure breaks the streak and starts the clock again", target(unknown, never), []result{
			{s, true, healthy, s, true, true, false},
			{5 * s, false, healthy, never, false, true, false},
			{6 * s, true, healthy, 6 * s, false, true, false},
			{10 * s, true, healthy, 6 * s, false, false, false},
			{11 * s, true, healthy, 6 * s, false, true, true},
		}},
		{"a settled one has to settle again after a break", target(healthy, 0), []result{
			{10 * s, true, healthy, 0, false, true, true},
			{20 * s, false, healthy, never, false, true, false},
			{21 * s, false, healthy, never, false, false, false},
			{22 * s, true, healthy, 22 * s, false, true, false},
			{27 * s, true, healthy, 22 * s, false, true, true},
		}},
		{"quick failures count once per interval", target(unknown, never), []result{
			{0, false, unknown, never, false, false, false},
			{s, false, unknown, never, false, false, false},
			{8 * s, false, unknown, never, false, false, false},
			{10 * s, false, unknown, never, false, false, false},
			{20 * s, false, unknown, never, false, false, false},
			{29 * s, false, unhealthy, never, true, true, false},
		}},
		{"one that is not ready within the first interval is not condemned", condemning(unknown, never), []result{
			{0, false, unknown, never, false, false, false},
			{s, false, unknown, never, false, false, false},
			{9 * s, true, healthy, 9 * s, true, true, false},
			{9*s + 1, false, unhealthy, never, true, true, false},
		}},
		{"one that is not ready by its end is", condemning(unknown, never), []result{
			{10*s - 1, false, unknown, never, false, false, false},
			{10 * s, false, unhealthy, never, true, true, false},
		}},
		{"a check that comes early counts", target(healthy, 0), []result{
			{10 * s, false, healthy, never, false, true, false},
			{19 * s, false, healthy, never, false, false, false},
			{28 * s, false, unhealthy, never, true, true, false},
		}},
		{"the start period forgives", forgiving, []result{
			{10 * s, false, unknown, never, false, false, false},
			{30 * s, false, unknown, never, false, false, false},
			{50 * s, false, unknown, never, false, false, false},
			{60 * s, false, unknown, never, false, false, false},
			{70 * s, false, unknown, never, false, false, false},
			{80 * s, false, unknown, never, false, false, false},
			{90 * s, false, unhealthy, never, true, true, false},
		}},
		{"failures count anew after a pass", target(healthy, 0), []result{
			{10 * s, false, healthy, never, false, true, false},
			{20 * s, false, healthy, never, false, false, false},
			{30 * s, true, healthy, 30 * s, false, true, false},
			{31 * s, false, healthy, never, false, true, false},
			{41 * s, false, healthy, never, false, false, false},
			{51 * s, false, unhealthy, never, true, true, false},
		}},
		{"every failure condemns where one is enough", condemning(healthy, 0), []result{
			{10 * s, false, unhealthy, never, true, true, false},
			{20 * s, true, healthy, 20 * s, true, true, false},
			{21 * s, false, unhealthy, never, true, true, false},
		}},
		{"the engine's verdict counts at once", image(healthy, 0), []result{
			{10 * s, false, unhealthy, never, true, true, false},
			{20 * s, true, healthy, 20 * s, true, true, false},
		}},
		{"the engine's first verdict too", image(unknown, never), []result{
			{s, false, unhealthy, never, true, true, false},
		}},
		{"healthy once so many checks in a row have passed", rising(unknown), []result{
			{s, true, unknown, s, false, true, false},
			{2 * s, true, unknown, s, false, false, false},
			{3 * s, false, unknown, never, false, true, false},
			{4 * s, true, unknown, 4 * s, false, true, false},
			{5 * s, true, unknown, 4 * s, false, false, false},
			{6 * s, true, healthy, 4 * s, true, true, false},
			{9 * s, true, healthy, 4 * s, false, true, true},
		}},
		{"one pass too few does not cure", rising(unhealthy), []result{
			{10 * s, true, unhealthy, 10 * s, false, true, false},
			{20 * s, true, unhealthy, 10 * s, false, false, false},
			{30 * s, false, unhealthy, never, false, true, false},
			{40 * s, true, unhealthy, 40 * s, false, true, false},
			{50 * s, true, unhealthy, 40 * s, false, false, false},
			{60 * s, true, healthy, 40 * s, true, true, true},
		}},
		{"recovers", target(unhealthy, never), []result{
			{s, true, healthy, s, true, true, false},
			{6 * s, true, healthy, s, false, true, true},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker(tt.target, known)
			for _, r := range tt.results {
				changed, news := tr.record(r.of())
				if changed != r.changed || news != r.news || tr.verdict != r.verdict || tr.settled() != r.settled {
					t.Fatalf("after %s: %s, changed %v, news %v, settled %v; want %+v", r.at, tr.verdict, changed, news, tr.settled(), r)
				}
				since := never
				if tr.since != nil {
					since = tr.since.wall.Sub(start)
				}
				if since != r.since {
					t.Fatalf("after %s: every check has passed since %s, want %s", r.at, since, r.since)
				}
			}
			if len(tr.recent) > keptResults {
				t.Errorf("keeps %d results, want at most %d", len(tr.recent), keptResults)
			}
		})
	}
}

// TestTrackerPauses: what the daemon knows when it begins decides the pace too.
func TestTrackerPauses(t *testing.T) {
	brief := target(unknown, never)
	brief.Check.Interval, brief.Settling = 1, 60*s
	checked := func(since, at time.Duration) fleet.HealthTarget {
		t := target(healthy, since)
		t.CheckedAt = start.Add(at)
		return t
	}
	tests := []struct {
		name        string
		target      fleet.HealthTarget
		results     []result
		takes       time.Duration
		least, most time.Duration // of the pause once it grows no more
	}{
		{"not passed yet", target(unknown, never), nil, 0, s, s},
		{"failing at first", target(unknown, never), []result{{at: s}, {at: 2 * s}}, 0, s, s},
		{"so that one falls on the first that counts", target(unknown, never), []result{{at: s}, {at: 9700 * time.Millisecond}}, 0, 300 * time.Millisecond, 300 * time.Millisecond},
		{"never longer than the interval", brief, []result{{at: s, ok: true}}, 0, s, s},
		{"until it has settled", target(unknown, never), []result{{at: s, ok: true}, {at: 3 * s, ok: true}}, 0, s, s},
		{"no longer than it takes to settle", target(unknown, never), []result{{at: s, ok: true}, {at: 5800 * time.Millisecond, ok: true}}, 0, 200 * time.Millisecond, 200 * time.Millisecond},
		{"at its interval once settled", target(unknown, never), []result{{at: s, ok: true}, {at: 6 * s, ok: true}}, 0, 9 * s, 10 * s},
		{"after a break", target(healthy, 0), []result{{at: 60 * s, ok: true}, {at: 70 * s}}, 0, s, s},
		{"after a break, until it has settled again", target(healthy, 0), []result{{at: 60 * s}, {at: 70 * s, ok: true}}, 0, s, s},
		{"so that one that takes as long ends before the next counts", target(healthy, 0), []result{{at: 10 * s}}, 4 * s, s, s},
		{"and otherwise begins as that counts", target(healthy, 0), []result{{at: 10 * s}}, 5 * s, 4 * s, 4 * s},
		{"which is at once after one that took longer", target(healthy, 0), []result{{at: 10 * s}}, 10 * s, 0, 0},
		{"but of one that is not in service none is put off", target(unknown, never), []result{{at: 10 * s}}, 5 * s, s, s},
		{"at its interval once unhealthy", target(healthy, 0), []result{{at: 10 * s}, {at: 20 * s}, {at: 30 * s}}, 0, 9 * s, 10 * s},
		{"known to be unhealthy", target(unhealthy, never), nil, 0, 9 * s, 10 * s},
		{"known to have settled", checked(0, 5*s), nil, 0, 9 * s, 10 * s},
		{"known to be settling", checked(0, 2*s), nil, 0, s, s},
		{"known to have broken its streak", target(healthy, never), nil, 0, s, s},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker(tt.target, known)
			for _, r := range tt.results {
				tr.record(r.taking(tt.takes))
			}
			if tr.slow() {
				if first := tr.delay(); first < 0 || first >= tr.interval() {
					t.Errorf("the first check comes after %s, want any part of %s", first, tr.interval())
				}
			} else if first := tr.delay(); first != 0 {
				t.Errorf("somebody waits for the first check, which comes after %s", first)
			}
			last := time.Duration(0)
			for range 20 {
				pause := tr.pause()
				if pause > tt.most || pause < last && pause < tt.least {
					t.Fatalf("pause %s after %s, want it to grow up to %s", pause, last, tt.most)
				}
				last = pause
			}
			if last < tt.least {
				t.Errorf("pause %s, want at least %s", last, tt.least)
			}
		})
	}
}

// TestTrackerLeavesOutWhatSaysNothing: a check that could not be made breaks no
// streak, ends none, and does not count, but is kept.
func TestTrackerLeavesOutWhatSaysNothing(t *testing.T) {
	tr := newTracker(target(healthy, 0), known)
	nothing := func(at time.Duration) (age time.Duration, _ fleet.HealthResult) {
		return at, fleet.HealthResult{Timestamp: start.Add(at), Status: unknown, Details: "the engine does not answer"}
	}
	for n := range 10 {
		if changed, news := tr.record(nothing(time.Duration(n) * 10 * s)); changed || news {
			t.Fatalf("changed %v, news %v", changed, news)
		}
	}
	if tr.verdict != healthy || tr.since == nil || tr.settled() || tr.checkedAt() != nil || len(tr.recent) != keptResults {
		t.Errorf("after checks that say nothing: %s since %v, settled %v, checked at %v", tr.verdict, tr.since, tr.settled(), tr.checkedAt())
	}
	tr.record(result{at: 100 * s}.of())
	tr.record(nothing(110 * s))
	tr.record(result{at: 120 * s}.of())
	if tr.verdict != healthy {
		t.Errorf("%s after two failures of three", tr.verdict)
	}
	tr.record(result{at: 130 * s}.of())
	if tr.verdict != unhealthy || !tr.checkedAt().Equal(start.Add(130*s)) {
		t.Errorf("%s after three failures, checked at %v", tr.verdict, tr.checkedAt())
	}
}

// TestWorstCase: what fails from just after a check on is condemned within as many
// intervals as it has retries, and a timeout, whether it is refused at once or hangs.
// One that now does this and now that may take a timeout longer for each retry.
func TestWorstCase(t *testing.T) {
	for _, c := range []fleet.HealthCheck{
		{Interval: 5, Retries: 4, Timeout: 2},
		{Interval: 5, Retries: 4, Timeout: 5},
		{Interval: 10, Retries: 3, Timeout: 2},
		{Interval: 10, Retries: 3, Timeout: 10},
		{Interval: 30, Retries: 3, Timeout: 10},
		{Interval: 30, Retries: 3, Timeout: 30},
		{Interval: 24, Retries: 5, Timeout: 11},
		{Interval: 30, Retries: 1, Timeout: 30},
		{Interval: 2, Retries: 3, Timeout: 2},
		{Interval: 1, Retries: 10, Timeout: 1},
		{Interval: 3600, Retries: 2, Timeout: 60},
	} {
		timeout := time.Duration(c.Timeout) * s
		promised := time.Duration(c.Interval*c.Retries)*s + timeout
		for name, tt := range map[string]struct {
			takes func() time.Duration
			most  time.Duration
		}{
			"hangs":      {func() time.Duration { return timeout }, promised},
			"is refused": {func() time.Duration { return 0 }, promised},
			"either": {func() time.Duration { return time.Duration(rand.N(2)) * timeout },
				promised + time.Duration(c.Retries-1)*timeout},
		} {
			t.Run(fmt.Sprintf("%d %d %d %s", c.Interval, c.Retries, c.Timeout, name), func(t *testing.T) {
				for range 500 {
					if took := condemnedAfter(c, tt.takes); took > tt.most {
						t.Fatalf("unhealthy after %s, want %s at most", took, tt.most)
					}
				}
			})
		}
	}
}

// condemnedAfter is how long a settled instance has been failing when it is unhealthy.
func condemnedAfter(c fleet.HealthCheck, takes func() time.Duration) time.Duration {
	fault := rand.N(100 * s)
	target := target(healthy, 0)
	target.Check, target.CheckedAt = c, start.Add(known)
	tr := newTracker(target, known)
	tr.delay() // from here on at the interval's pace
	tr.record(result{at: fault, ok: true}.of())
	for at := fault; ; {
		at += tr.rest(start.Add(at))
		took := takes()
		changed, _ := tr.record(result{at: at}.taking(took))
		if at += took; changed {
			return at - fault
		}
	}
}

// TestTrackerWhileTheClockIsSet: where the clock on the wall stands says nothing about
// an instance.
func TestTrackerWhileTheClockIsSet(t *testing.T) {
	for name, set := range map[string]time.Duration{"not": 0, "back": -time.Hour, "forward": time.Hour} {
		t.Run(name, func(t *testing.T) {
			record := func(tr *tracker, r result) {
				at, found := r.of()
				found.Timestamp = found.Timestamp.Add(set)
				tr.record(at, found)
			}
			ill := newTracker(target(healthy, 0), known)
			for k, want := range []fleet.Health{healthy, healthy, unhealthy} {
				record(ill, result{at: time.Duration(10+10*k) * s})
				if ill.verdict != want {
					t.Errorf("%s after %d failures", ill.verdict, k+1)
				}
			}
			fresh := newTracker(target(unknown, never), 0)
			for at := time.Duration(0); at < 30*s; at += s {
				record(fresh, result{at: at})
			}
			if record(fresh, result{at: 29 * s}); fresh.verdict != unhealthy {
				t.Errorf("%s after 30 s of failures", fresh.verdict)
			}
			settling := newTracker(target(healthy, 4*s), known)
			record(settling, result{at: 6 * s, ok: true})
			if settling.settled() {
				t.Error("settled within 2 s of 5")
			}
			record(settling, result{at: 9 * s, ok: true})
			if !settling.settled() {
				t.Error("not settled within 5 s of 5")
			}
			if since, want := settling.since.wall, settling.last.wall.Add(-5*s); set < 0 && !since.Equal(want) {
				t.Errorf("the streak began at %s, want %s by the clock as it is", since, want)
			}
		})
	}
}

// TestTrackerOfAnotherClock: a run whose start, or checks, are yet to come by this
// clock began now.
func TestTrackerOfAnotherClock(t *testing.T) {
	future := target(healthy, time.Hour)
	future.CheckedAt = start.Add(2 * time.Hour)
	tr := newTracker(future, 0)
	if tr.settled() || tr.since.age != 0 || tr.last.age != 0 {
		t.Errorf("streak of %+v, last check %+v", tr.since, tr.last)
	}
	tr.record(result{at: 5 * s, ok: true}.of())
	if !tr.settled() || !tr.since.wall.Equal(start) {
		t.Errorf("settled: %v, with a streak of %+v", tr.settled(), tr.since)
	}
}

// TestTrackerKnowsWhatHasSettledOnce: a break changes nothing of it.
func TestTrackerKnowsWhatHasSettledOnce(t *testing.T) {
	tr := newTracker(target(unknown, never), 0)
	want := []time.Duration{never, never, 6 * s, 6 * s, 6 * s, 6 * s}
	for k, r := range []result{
		{at: s, ok: true}, {at: 3 * s, ok: true}, {at: 6 * s, ok: true}, {at: 16 * s}, {at: 17 * s, ok: true}, {at: 30 * s, ok: true},
	} {
		changed, _ := tr.record(r.of())
		at, u := never, tr.update(target(unknown, never), changed)
		if u.SettledAt != nil {
			at = u.SettledAt.Sub(start)
		}
		if at != want[k] {
			t.Errorf("after %s settled at %s, want %s", r.at, at, want[k])
		}
	}
}
