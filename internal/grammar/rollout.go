package grammar

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Strategies of a deployment.
const (
	RollingUpdate = "rolling_update"
	BlueGreen     = "blue_green"
	Canary        = "canary"
)

// Bounds of a rollout's settings.
const (
	// MaxRolloutSeconds bounds every time of a rollout: one day.
	MaxRolloutSeconds = 24 * 60 * 60
	// MaxCanarySteps bounds the steps of a canary.
	MaxCanarySteps = 20
)

// Rollout says how a deployment replaces what runs. Times are whole seconds.
type Rollout struct {
	// MaxSurge is how many replicas may run beyond the wanted number while a
	// rolling update goes on; a number or a percentage of the wanted number, rounded up.
	MaxSurge string `json:"max_surge"`
	// MaxUnavailable is how many replicas may be missing meanwhile; rounded down.
	MaxUnavailable string `json:"max_unavailable"`
	// StartFirst starts a new replica before the old one is stopped. Without it
	// the old one is stopped first, for what cannot run twice at the same time.
	StartFirst bool `json:"start_first"`
	// MinHealthyTime is how long every check of a new replica must pass without a break.
	MinHealthyTime int `json:"min_healthy_time"`
	// HealthyDeadline is how long a new replica may take from its start until it
	// has been healthy for MinHealthyTime.
	HealthyDeadline int `json:"healthy_deadline"`
	// ProgressDeadline is how long the rollout may go on without another replica becoming healthy.
	ProgressDeadline int `json:"progress_deadline"`
	// CanarySteps are the shares that a canary takes before it takes everything.
	CanarySteps []CanaryStep `json:"canary_steps"`
	// AutoPromote cuts over without being asked, once the new replicas are healthy
	// and the last canary step is over.
	AutoPromote bool `json:"auto_promote"`
	// KeepWarmTime is how long the old replicas go on running after a cut-over.
	KeepWarmTime int `json:"keep_warm_time"`
	// DrainTime is how long an old replica goes on running after it has been taken
	// out of service, so that its requests can end.
	DrainTime int `json:"drain_time"`
}

// CanaryStep is one share of a canary and how long it is watched.
type CanaryStep struct {
	// Weight is the share of the requests, in percent, 1 to 99.
	Weight int `json:"weight"`
	// Pause is how long the step lasts once its replicas are healthy.
	Pause int `json:"pause"`
}

// DefaultRollout is the rollout of those who say nothing. startFirst decides
// what may surge and what may be missing.
func DefaultRollout(startFirst bool) Rollout {
	r := Rollout{
		MaxSurge: "25%", MaxUnavailable: "0", StartFirst: true,
		MinHealthyTime: 10, HealthyDeadline: 300, ProgressDeadline: 600,
		CanarySteps: []CanaryStep{{Weight: 10, Pause: 60}, {Weight: 50, Pause: 60}},
		AutoPromote: true, KeepWarmTime: 30, DrainTime: 30,
	}
	if !startFirst {
		r.StartFirst, r.MaxSurge, r.MaxUnavailable = false, "0", "1"
	}
	return r
}

// Surge is MaxSurge of a number of replicas.
func (r Rollout) Surge(replicas int) int {
	n, _ := Share(r.MaxSurge)
	return n.of(replicas, true)
}

// Unavailable is MaxUnavailable of a number of replicas. Where both it and Surge
// would be nothing, it is one, since nothing could ever be replaced.
func (r Rollout) Unavailable(replicas int) int {
	n, _ := Share(r.MaxUnavailable)
	if u := n.of(replicas, false); u > 0 || r.Surge(replicas) > 0 {
		return u
	}
	return 1
}

// Proportion is a number of replicas, or a percentage of them.
type Proportion struct {
	Number  int
	Percent bool
}

func (p Proportion) of(replicas int, up bool) int {
	switch {
	case !p.Percent:
		return p.Number
	case up:
		return (replicas*p.Number + 99) / 100
	default:
		return replicas * p.Number / 100
	}
}

var sharePattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,3})(%?)$`)

// Share reads a number of replicas, "2", or a percentage of them, "25%".
func Share(s string) (Proportion, error) {
	m := sharePattern.FindStringSubmatch(s)
	if m == nil {
		return Proportion{}, fmt.Errorf("%q is neither a number of replicas nor a percentage of them; write 2 or 25%%", s)
	}
	n, err := strconv.Atoi(m[1])
	percent := m[2] != ""
	switch {
	case err != nil:
		return Proportion{}, fmt.Errorf("%q is not a number: %w", s, err)
	case percent && n > 100:
		return Proportion{}, fmt.Errorf("%q is above 100%%", s)
	case n > MaxReplicas:
		return Proportion{}, fmt.Errorf("%q is above the maximum of %d replicas", s, MaxReplicas)
	}
	return Proportion{Number: n, Percent: percent}, nil
}

// Fault is what is wrong with one field of several that belong together.
type Fault struct {
	// Field is a path within them, such as "canary_steps[1].weight".
	Field string
	Err   error
}

// Faults checks every field of a rollout and the rules between them.
func (r Rollout) Faults() []Fault {
	var faults []Fault
	refuse := func(field string, err error) {
		if err != nil {
			faults = append(faults, Fault{Field: field, Err: err})
		}
	}
	_, err := Share(r.MaxSurge)
	refuse("max_surge", err)
	_, err = Share(r.MaxUnavailable)
	refuse("max_unavailable", err)
	for _, t := range []struct {
		field      string
		value, min int
	}{
		{"min_healthy_time", r.MinHealthyTime, 0}, {"healthy_deadline", r.HealthyDeadline, 1},
		{"progress_deadline", r.ProgressDeadline, 1}, {"keep_warm_time", r.KeepWarmTime, 0}, {"drain_time", r.DrainTime, 0},
	} {
		refuse(t.field, within(t.value, t.min, MaxRolloutSeconds, "seconds"))
	}
	r.checkCanarySteps(refuse)
	if len(faults) == 0 {
		r.checkTogether(refuse)
	}
	return faults
}

func within(n, least, most int, unit string) error {
	if n < least || n > most {
		return fmt.Errorf("%d is not between %d and %d %s", n, least, most, unit)
	}
	return nil
}

func (r Rollout) checkCanarySteps(refuse func(string, error)) {
	if len(r.CanarySteps) > MaxCanarySteps {
		refuse("canary_steps", fmt.Errorf("are %d steps; at most %d are allowed", len(r.CanarySteps), MaxCanarySteps))
	}
	last := 0
	for k, s := range r.CanarySteps {
		field := fmt.Sprintf("canary_steps[%d]", k)
		switch {
		case s.Weight < 1 || s.Weight > 99:
			refuse(field+".weight", fmt.Errorf("%d is not between 1 and 99 percent; all requests follow after the last step by themselves", s.Weight))
		case s.Weight <= last:
			refuse(field+".weight", fmt.Errorf("%d is not above %d, the weight of the step before", s.Weight, last))
		}
		last = max(last, s.Weight)
		refuse(field+".pause", within(s.Pause, 0, MaxRolloutSeconds, "seconds"))
	}
}

func (r Rollout) checkTogether(refuse func(string, error)) {
	surge, _ := Share(r.MaxSurge)
	unavailable, _ := Share(r.MaxUnavailable)
	switch {
	case r.StartFirst && surge.Number == 0:
		refuse("max_surge", errors.New("must not be 0 with start_first, as no new replica could start; allow at least 1, or set start_first to false"))
	case !r.StartFirst && surge.Number > 0:
		refuse("max_surge", fmt.Errorf("%q does not fit start_first = false, which stops an old replica before it starts the new one; leave it out or set it to 0", r.MaxSurge))
	case !r.StartFirst && unavailable.Number == 0:
		refuse("max_unavailable", errors.New("must not be 0 with start_first = false, as no old replica could be stopped; allow at least 1"))
	}
	if r.HealthyDeadline <= r.MinHealthyTime {
		refuse("healthy_deadline", fmt.Errorf("%d s is not longer than min_healthy_time, %d s: no replica could meet it", r.HealthyDeadline, r.MinHealthyTime))
	}
	if r.ProgressDeadline < r.HealthyDeadline {
		refuse("progress_deadline", fmt.Errorf("%d s is shorter than healthy_deadline, %d s, which would never be reached", r.ProgressDeadline, r.HealthyDeadline))
	}
}

// FitsHealthCheck refuses a healthy deadline that a health check outlasts: the
// rollout would be judged before the check has a verdict.
func (r Rollout) FitsHealthCheck(h HealthCheck) error {
	verdict := h.Verdict()
	if r.HealthyDeadline > verdict {
		return nil
	}
	how := fmt.Sprintf("interval %d × retries %d", h.Interval, h.Fall())
	if verdict > h.StartPeriod+h.Interval*h.Fall() {
		how = fmt.Sprintf("rise %d × %d", h.Passes(), quickestCheck)
	}
	return fmt.Errorf("%d s is not longer than the %d s that the health check needs for its verdict (start_period %d + %s); raise it above %d, or check more often",
		r.HealthyDeadline, verdict, h.StartPeriod, how, verdict)
}
