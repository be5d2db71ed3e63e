package autoscale

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

const (
	// samplesBack is how many intervals of the metrics an evaluation looks back: one
	// sample alone would be noise, and more would be late.
	samplesBack = 2
	// postedBack is how long a posted metric counts: others post as they please.
	postedBack = 90 * time.Second
	// resizeEvery is how often vertical policies are evaluated: their history hardly changes sooner.
	resizeEvery = time.Minute
	// usageBack is how far back vertical policies look; older use weighs next to nothing.
	usageBack = 8 * 24 * time.Hour
	// idleEvery is how often is looked whether there are policies, while there are none.
	idleEvery = 5 * time.Second
	// usageTimeout bounds how long the history of one workload may keep all others waiting.
	usageTimeout = 5 * time.Second
	// bridged is how many intervals without an evaluation, or how long at least, a row
	// of decisions goes on for: a restart, or another leader.
	bridged, bridgedAtLeast = 4, time.Minute
)

// Config is what a Controller is made of.
type Config struct {
	Store  Store
	Logger *slog.Logger
	// Interval is the time between two samples of the metrics.
	Interval time.Duration
	// Scaled is called after a workload has been given another number of replicas or
	// other limits.
	Scaled func(fleet.Workload)
}

// Controller evaluates all policies whenever there are new samples, and at its
// interval without such: schedules need none.
type Controller struct {
	store    Store
	log      *slog.Logger
	interval time.Duration
	scaled   func(fleet.Workload)
	woken    chan struct{}
	folds    map[subject]*fold
	resized  map[fleet.Workload]time.Time // when vertical policies were last evaluated
	idle     time.Time                    // when there were no policies; zero while there are
}

// NewController makes a Controller; Run sets it to work.
func NewController(c Config) *Controller {
	return &Controller{store: c.Store, log: c.Logger, interval: c.Interval, scaled: c.Scaled, woken: make(chan struct{}, 1)}
}

// Wake has the policies evaluated soon, because there are new samples.
func (c *Controller) Wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// Run evaluates until the context ends.
func (c *Controller) Run(ctx context.Context) error {
	ctx = fleet.AsSystem(ctx)
	c.folds, c.resized, c.idle = nil, make(map[fleet.Workload]time.Time), time.Time{} // another daemon may have led since the last Run
	late := c.interval + c.interval/2
	timer := time.NewTimer(late)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.woken:
		case <-timer.C:
		}
		if err := c.runOnce(ctx, time.Now().UTC()); err != nil && ctx.Err() == nil {
			c.log.Warn("cannot evaluate the scaling policies, trying again", "error", err)
		}
		timer.Reset(late)
	}
}

// runOnce evaluates the policies of all workloads. One whose evaluation cannot be
// written keeps no other from its own.
func (c *Controller) runOnce(ctx context.Context, now time.Time) error {
	if now.Sub(c.idle) < idleEvery {
		return nil
	}
	if c.folds == nil {
		if err := c.recall(ctx, now); err != nil {
			return err
		}
	}
	fresh := fleet.Freshness{Samples: samplesBack * c.interval, Posted: max(samplesBack*c.interval, postedBack)}
	states, err := c.store.ScalingStates(ctx, now, fresh)
	if err != nil {
		return err
	}
	if c.idle = (time.Time{}); len(states) == 0 {
		c.idle = now
	}
	var failed error
	for _, s := range states {
		failed = errors.Join(failed, c.carryOut(ctx, now, s, decideReplicas(now, s)))
	}
	c.resizeAll(ctx, now, states)
	return failed
}

// recall takes up the decisions of the daemon that led before.
func (c *Controller) recall(ctx context.Context, now time.Time) error {
	decisions, err := c.store.LatestDecisions(ctx, now.Add(-c.gap(fleet.UnitBytes)))
	if err != nil {
		return err
	}
	c.folds = make(map[subject]*fold, len(decisions))
	for _, d := range decisions {
		c.folds[subjectOf(d)] = newFold(d)
	}
	return nil
}

// gap is how long after an evaluation nothing more is known of what it came to.
func (c *Controller) gap(unit string) time.Duration {
	every := c.interval
	if unit != fleet.UnitReplicas {
		every = max(every, resizeEvery)
	}
	return max(bridged*every, bridgedAtLeast)
}

// resizeAll evaluates the vertical policies that are due. They come after what is
// urgent: a history that cannot be read, or takes long, costs the vertical policies
// of its own workload one turn, and those of others at most a delay.
func (c *Controller) resizeAll(ctx context.Context, now time.Time, states []fleet.ScalingState) {
	due := slices.DeleteFunc(states, func(s fleet.ScalingState) bool {
		return now.Sub(c.resized[s.Workload]) < resizeEvery ||
			!slices.ContainsFunc(s.Policies, func(p fleet.ScalingPolicy) bool { return p.Rules.Type == grammar.Vertical })
	})
	slices.SortStableFunc(due, func(a, b fleet.ScalingState) int { return c.resized[a.Workload].Compare(c.resized[b.Workload]) })
	began := time.Now()
	for _, s := range due {
		if time.Since(began) >= c.interval {
			return // the others are still due at the next evaluation, after what is urgent by then
		}
		c.resized[s.Workload] = now
		if err := c.resize(ctx, now, s); err != nil && ctx.Err() == nil {
			c.log.Warn("cannot evaluate vertical scaling policies, trying again in "+resizeEvery.String(),
				"definition", s.DefinitionName, "environment", s.Environment, "error", err)
		}
	}
}

// resize evaluates the vertical policies of one workload.
func (c *Controller) resize(ctx context.Context, now time.Time, s fleet.ScalingState) error {
	reading, done := context.WithTimeout(ctx, usageTimeout)
	defer done()
	var err error
	if s.Usage, err = c.store.UsageHistory(reading, s.Workload, now.Add(-usageBack)); err != nil {
		return err
	}
	var v Verdict
	decideLimits(now, s, &v)
	return c.carryOut(ctx, now, s, v)
}

// carryOut writes what came of an evaluation. Where the deployment is refused that it
// asks for, that is what came of it.
func (c *Controller) carryOut(ctx context.Context, now time.Time, s fleet.ScalingState, v Verdict) error {
	r, decisions := record(now, s, v)
	err := c.write(ctx, r, decisions)
	if r.Deployment != nil && errors.Is(err, fleet.ErrInvalid) {
		if last := c.folds[subjectOf(decisions[0])]; last == nil || last.decision.Limit != fleet.LimitRefused {
			c.log.Warn("cannot scale, trying again at each evaluation", "definition", s.DefinitionName, "environment", s.Environment, "error", err)
		}
		r.Deployment, decisions[0] = nil, refused(decisions[0], err)
		err = c.write(ctx, r, decisions)
	}
	if errors.Is(err, fleet.ErrConflict) {
		return nil // somebody deployed meanwhile: the next evaluation sees that
	}
	return err
}

// write writes a record with its decisions: those that differ from the last one about
// their subject, and from time to time how long the last one has gone on.
func (c *Controller) write(ctx context.Context, r fleet.ScalingRecord, decisions []fleet.ScalingDecision) error {
	folds := make([]*fold, len(decisions))
	for k, d := range decisions {
		folds[k] = c.folds[subjectOf(d)].next(&r, d, r.At, c.gap(d.Unit))
	}
	if !empty(r) {
		if err := c.store.RecordScaling(ctx, r); err != nil {
			return err
		}
	}
	for _, f := range folds {
		c.folds[subjectOf(f.decision)] = f
	}
	if r.Deployment != nil || r.Limits != nil {
		c.scaled(r.Workload)
	}
	return nil
}

// record is what a verdict asks to write, and its decisions.
func record(now time.Time, s fleet.ScalingState, v Verdict) (fleet.ScalingRecord, []fleet.ScalingDecision) {
	r := fleet.ScalingRecord{Workload: s.Workload, Base: s.Target.ID, At: now.Round(0)} // rows go by the clock
	if v.Resize != nil {
		r.Limits = new(changed(s.Limits, *v.Resize))
	}
	if v.Recommended {
		r.Recommendations = v.Recommendations
	}
	if v.Decision == nil {
		return r, v.Resizes
	}
	decision := *v.Decision
	if v.Scale {
		deployment := s.Target.Scaled(v.Replicas, decision.Reason)
		deployment.ID = newID()
		r.Deployment, decision.DeploymentID = &deployment, deployment.ID
	}
	return r, append([]fleet.ScalingDecision{decision}, v.Resizes...)
}

// changed is what of the limits is not as before.
func changed(before, after fleet.Resources) (r fleet.Resources) {
	if after.CPU != before.CPU {
		r.CPU = after.CPU
	}
	if after.Memory != before.Memory {
		r.Memory = after.Memory
	}
	return r
}

// newID makes identifiers that sort by time of creation.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

func empty(r fleet.ScalingRecord) bool {
	return len(r.Decisions) == 0 && len(r.Prolonged) == 0 && r.Recommendations == nil && r.Deployment == nil && r.Limits == nil
}
