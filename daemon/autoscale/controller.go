package autoscale

import (
	"context"
	"errors"
	"log/slog"
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
	// prolongEvery is how often a decision that goes on is written.
	prolongEvery = 10 * time.Second
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

// subject is what decisions follow each other about.
type subject struct {
	fleet.Workload
	unit string
}

// fold is a decision that is written and the equal evaluations since.
type fold struct {
	decision fleet.ScalingDecision
	more     int
	last     time.Time
	written  time.Time
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
		if err := c.recall(ctx); err != nil {
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
		if err := c.evaluate(ctx, now, s); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// recall takes up the decisions of the daemon that led before.
func (c *Controller) recall(ctx context.Context) error {
	decisions, err := c.store.LatestDecisions(ctx)
	if err != nil {
		return err
	}
	c.folds = make(map[subject]*fold, len(decisions))
	for _, d := range decisions {
		c.folds[subjectOf(d)] = &fold{decision: d, last: d.LastEvaluatedAt, written: d.LastEvaluatedAt}
	}
	return nil
}

func subjectOf(d fleet.ScalingDecision) subject {
	return subject{fleet.Workload{DefinitionID: d.DefinitionID, Environment: d.Environment}, d.Unit}
}

// evaluate decides on one workload and writes what came of it.
func (c *Controller) evaluate(ctx context.Context, now time.Time, s fleet.ScalingState) error {
	if err := c.completeUsage(ctx, now, &s); err != nil {
		return err
	}
	r, decisions := record(now, s, Decide(now, s))
	folds := c.foldAll(&r, decisions, now)
	if empty(r) {
		c.adopt(folds)
		return nil
	}
	switch err := c.store.RecordScaling(ctx, r); {
	case errors.Is(err, fleet.ErrConflict):
		return nil // somebody deployed meanwhile: the next evaluation sees that
	case err != nil:
		return err
	}
	c.adopt(folds)
	if r.Deployment != nil || r.Limits != nil {
		c.scaled(s.Workload)
	}
	return nil
}

// completeUsage reads what vertical policies go by, if it is time to evaluate
// them, and takes them out otherwise.
func (c *Controller) completeUsage(ctx context.Context, now time.Time, s *fleet.ScalingState) error {
	var others []fleet.ScalingPolicy
	for _, p := range s.Policies {
		if p.Rules.Type != grammar.Vertical {
			others = append(others, p)
		}
	}
	switch {
	case len(others) == len(s.Policies):
		return nil
	case now.Sub(c.resized[s.Workload]) < resizeEvery:
		s.Policies = others
		return nil
	}
	usage, err := c.store.UsageHistory(ctx, s.Workload, now.Add(-usageBack))
	if err != nil {
		return err
	}
	s.Usage, c.resized[s.Workload] = usage, now
	return nil
}

// record is what a verdict asks to write, and its decisions.
func record(now time.Time, s fleet.ScalingState, v Verdict) (fleet.ScalingRecord, []fleet.ScalingDecision) {
	r := fleet.ScalingRecord{Workload: s.Workload, Base: s.Target.ID, At: now}
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

// foldAll adds to a record what has to be written of the decisions: those that
// differ from the last one about their subject, and from time to time how long
// the last one has gone on. It returns the folds as they are once that is written.
func (c *Controller) foldAll(r *fleet.ScalingRecord, decisions []fleet.ScalingDecision, now time.Time) []*fold {
	folds := make([]*fold, len(decisions))
	for k, d := range decisions {
		last, ok := c.folds[subjectOf(d)]
		if ok && Folds(last.decision, d) {
			next := *last
			next.more, next.last = next.more+1, now
			if now.Sub(next.written) >= prolongEvery {
				r.Prolonged = append(r.Prolonged, fleet.ProlongedDecision{ID: last.decision.ID, More: next.more, At: now})
				next.more, next.written = 0, now
			}
			folds[k] = &next
			continue
		}
		if ok && last.more > 0 {
			r.Prolonged = append(r.Prolonged, fleet.ProlongedDecision{ID: last.decision.ID, More: last.more, At: last.last})
		}
		d.ID, d.Evaluations, d.DecidedAt, d.LastEvaluatedAt = newID(), 1, now, now
		r.Decisions = append(r.Decisions, d)
		folds[k] = &fold{decision: d, last: now, written: now}
	}
	return folds
}

func (c *Controller) adopt(folds []*fold) {
	for _, f := range folds {
		c.folds[subjectOf(f.decision)] = f
	}
}

func empty(r fleet.ScalingRecord) bool {
	return len(r.Decisions) == 0 && len(r.Prolonged) == 0 && r.Recommendations == nil && r.Deployment == nil && r.Limits == nil
}
