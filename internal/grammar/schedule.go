package grammar

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // time zones are known on machines that have no list of them

	"github.com/netresearch/go-cron"
)

// scheduleYears is how far ahead a schedule must fire for the first time.
const scheduleYears = 5

var schedulePattern = regexp.MustCompile(`^[0-9A-Za-z*/,? -]*$`)

// schedules reads the five fields of crontab(5). A day is one that the day of the
// month or the day of the week names, where both are restricted, as cron has it.
var schedules = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom).
	WithMaxSearchYears(scheduleYears)

// Schedule checks a cron expression of five fields (minute, hour, day of the month,
// month, day of the week) that fires within five years in the time zone.
func Schedule(expression, zone string) error {
	_, err := scheduleIn(expression, zone)
	return err
}

func scheduleIn(expression, zone string) (scheduler, error) {
	location, err := location(zone)
	if err != nil {
		location = time.UTC // which TimeZone refuses under its own name
	}
	return schedule(expression, location)
}

// TimeZone checks the name of a time zone, such as "Europe/London".
func TimeZone(name string) error {
	_, err := location(name)
	return err
}

func location(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is not the name of a time zone; write one such as Europe/London or UTC", name)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone that is known; write one such as Europe/London or UTC", name)
	}
	return location, nil
}

// schedule is what an expression means.
func schedule(expression string, zone *time.Location) (scheduler, error) {
	const right = `write minute, hour, day of the month, month and day of the week, for example "0 6 * 4-9 6"`
	switch fields := strings.Fields(expression); {
	case strings.HasPrefix(expression, "@"):
		return nil, fmt.Errorf("%q is not a cron expression of five fields; %s", expression, right)
	case len(expression) > 256:
		return nil, fmt.Errorf("is %d characters long; %s", len(expression), right)
	case strings.Contains(expression, "="):
		return nil, fmt.Errorf("%q names a time zone; write the five fields alone, and the zone as time_zone", expression)
	case !schedulePattern.MatchString(expression):
		return nil, fmt.Errorf("%q has characters that no cron expression has; %s", expression, right)
	case len(fields) != 5:
		return nil, fmt.Errorf("%q has %d fields instead of five; %s", expression, len(fields), right)
	}
	// In lower case, as the parser takes the H of THU for one of Jenkins' hashes.
	parsed, err := schedules.Parse(strings.ToLower(expression))
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression: %w; %s", expression, err, right)
	}
	fires, ok := parsed.(scheduler)
	if !ok || fires.Next(time.Now().In(zone)).IsZero() {
		return nil, fmt.Errorf("%q never fires within %d years; name a day that there is", expression, scheduleYears)
	}
	return fires, nil
}

// Window is a time that comes back: open from each start to the next end.
type Window struct {
	start, end scheduler
	zone       *time.Location
}

// scheduler is when something happens, after and before a time.
type scheduler interface {
	Next(after time.Time) time.Time
	Prev(before time.Time) time.Time
}

// NewWindow makes a window of two cron expressions and the name of a time zone.
func NewWindow(start, end, zone string) (Window, error) {
	w := Window{}
	var err error
	if w.zone, err = location(zone); err != nil {
		return Window{}, fmt.Errorf("time_zone %w", err)
	}
	if w.start, err = schedule(start, w.zone); err != nil {
		return Window{}, fmt.Errorf("schedule_start %w", err)
	}
	if w.end, err = schedule(end, w.zone); err != nil {
		return Window{}, fmt.Errorf("schedule_end %w", err)
	}
	if sameTimes(w.start, w.end) {
		return Window{}, errors.New("schedule_end names the same times as schedule_start, so that the window is over as it opens")
	}
	return w, nil
}

// sameTimes reports whether two schedules name the same times, however they are written.
func sameTimes(a, b scheduler) bool {
	one, ok := a.(*cron.SpecSchedule)
	other, also := b.(*cron.SpecSchedule)
	return ok && also && reflect.DeepEqual(unmarked(*one), unmarked(*other))
}

// unmarked is a schedule without the marks by which the library knows what was written
// as an asterisk: they make a difference only to whether a day must be one that both
// its fields name, or either.
func unmarked(s cron.SpecSchedule) cron.SpecSchedule {
	const asterisk = 1 << 63
	s.DowOrDom = (s.Dom|s.Dow)&asterisk == 0
	for _, field := range []*uint64{&s.Minute, &s.Hour, &s.Dom, &s.Month, &s.Dow} {
		*field &^= asterisk
	}
	return s
}

// At reports whether the window is open at a time, and when, in the window's time
// zone, it closes or opens next; zero for not within five years. It opens and
// closes with the first moment of the minute that a schedule names. A time that
// the clock leaps over in spring comes as much later; of one that comes twice in
// autumn the first counts.
func (w Window) At(now time.Time) (open bool, until time.Time) {
	now = now.In(w.zone)
	if start := last(w.start, now); !start.IsZero() && !start.Before(last(w.end, now)) {
		return true, w.closes(now)
	}
	return false, next(w.start, now)
}

// reopenings bounds how often a window is looked past the end of that opens again
// at the same moment.
const reopenings = 10

// closes is when an open window closes: with an end that no start coincides with, as
// can be on the day on which the clock leaps over one of them.
func (w Window) closes(now time.Time) time.Time {
	end := next(w.end, now)
	for range reopenings {
		if end.IsZero() || !last(w.start, end).Equal(end) {
			break
		}
		end = next(w.end, end)
	}
	return end
}

// The library's own ways over the days that are an hour shorter or longer depend on
// where it is asked from, so it is asked about clocks on the wall, which know no
// such days; what they mean is decided here.

// leap is more than any clock is put forward or back.
const leap = 3 * time.Hour

// next is when a schedule fires first after a time; zero for not within five years.
func next(s scheduler, now time.Time) time.Time {
	wall := onTheWall(now)
	if leaps(now) {
		wall = wall.Add(-leap)
	}
	var found time.Time
	for wall = s.Next(wall); !wall.IsZero(); wall = s.Next(wall) {
		at := meant(wall, now.Location())
		if at.After(now) && (found.IsZero() || at.Before(found)) {
			found = at
		}
		if !found.IsZero() && (!leaps(found) || wall.Sub(onTheWall(found)) > leap) {
			break
		}
	}
	return found
}

// last is when a schedule last fired, now included; zero for not within five years.
func last(s scheduler, now time.Time) time.Time {
	wall := onTheWall(now).Truncate(time.Second).Add(time.Second) // which is not included
	if leaps(now) {
		wall = wall.Add(leap)
	}
	var found time.Time
	for wall = s.Prev(wall); !wall.IsZero(); wall = s.Prev(wall) {
		at := meant(wall, now.Location())
		if !at.After(now) && at.After(found) {
			found = at
		}
		if !found.IsZero() && (!leaps(found) || onTheWall(found).Sub(wall) > leap) {
			break
		}
	}
	return found
}

// leaps reports whether a clock is put forward or back near a time.
func leaps(t time.Time) bool {
	_, before := t.Add(-2 * leap).Zone()
	_, after := t.Add(2 * leap).Zone()
	return before != after
}

// onTheWall is what a clock shows at a time, as if it were one of UTC.
func onTheWall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// meant is the time at which the clock of a zone first shows what it shows on the
// wall; where it never does, as many minutes after the leap as that is.
func meant(wall time.Time, zone *time.Location) time.Time {
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	early := wall.Add(-time.Duration(before) * time.Second).In(zone)
	late := wall.Add(-time.Duration(after) * time.Second).In(zone)
	if !onTheWall(early).Equal(wall) && onTheWall(late).Equal(wall) {
		return late
	}
	return early
}
