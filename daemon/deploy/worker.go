package deploy

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// maxRounds bounds how often one pass plans anew before it lets others run.
const maxRounds = 50

// errNothingLeft: the workload has neither a target nor instances.
var errNothingLeft = errors.New("nothing left to look after")

// worker looks after one workload. Its one goroutine decides everything; what
// the engine takes its time for goes on beside it, one thing at a time for each
// instance, so that a slow pull or stop keeps nobody from noticing a crash.
type worker struct {
	workload fleet.Workload
	store    Store
	exec     *executor
	engine   Engine
	log      *slog.Logger
	retire   func(*worker) bool
	signal   chan struct{}
	work     sync.WaitGroup // what goes on beside

	mu       sync.Mutex
	reports  map[string]fleet.ContainerEvent // instance id → newest report not yet looked at
	attempts map[string]*attempt             // what is worked on → how that goes
}

// attempt is work that goes on, or that has failed and is to be tried again.
type attempt struct {
	underWay bool
	backoff  *backoff
	again    time.Time
	told     string // the last failure that was logged
}

func newWorker(c *Controller, w fleet.Workload, epoch int64) *worker {
	log := c.log.With("definition", w.DefinitionID, "environment", w.Environment)
	return &worker{
		workload: w,
		store:    c.store,
		engine:   c.engine,
		log:      log,
		retire:   c.retire,
		exec:     &executor{store: c.store, engine: c.engine, log: log, starts: c.starts, stops: c.stops, started: c.started, epoch: epoch},
		signal:   make(chan struct{}, 1),
		reports:  make(map[string]fleet.ContainerEvent),
		attempts: make(map[string]*attempt),
	}
}

// wake has the worker make a pass; it never blocks.
func (w *worker) wake(reports []fleet.ContainerEvent) {
	w.mu.Lock()
	for _, e := range reports {
		w.reports[e.InstanceID] = e
	}
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// run makes a pass whenever it is woken or a plan's time has come, and tries
// again, ever less often, while the store or the engine is unavailable.
func (w *worker) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer w.work.Wait()
	backoff := newBackoff(lastRetry)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.signal:
		case <-timer.C:
		}
		recheck, err := w.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errNothingLeft):
			if w.retire(w) {
				return nil
			}
		case err != nil:
			w.log.Warn("cannot converge the workload, trying again", "error", err)
			timer.Reset(backoff.delay())
		case !recheck.IsZero():
			backoff.reset()
			timer.Reset(max(time.Until(recheck), time.Millisecond))
		default:
			backoff.reset()
			timer.Stop()
		}
	}
}

// pass brings the facts up to date, plans, decides, and begins what the plan asks
// of the engine, until there is nothing left to decide now. It returns when to
// look again although nothing happened.
func (w *worker) pass(ctx context.Context) (time.Time, error) {
	for range maxRounds {
		busy := w.underWay() // before the state is read: what ends after this is in a later state only
		state, err := w.store.LoadWorkload(ctx, w.workload)
		if err != nil {
			return time.Time{}, err
		}
		if state.Target == nil && len(state.Instances) == 0 && len(busy) == 0 {
			return time.Time{}, errNothingLeft
		}
		changed, err := w.observe(ctx, state, busy)
		if err != nil {
			return time.Time{}, err
		}
		if changed {
			continue
		}
		outline := Plan(state, time.Now())
		if err := w.exec.progress(ctx, state, outline.Progress); err != nil {
			return time.Time{}, err
		}
		again := w.begin(ctx, state, outline.Steps, busy)
		wrote, err := w.exec.decide(ctx, state, outline.Steps)
		if err != nil {
			return time.Time{}, err
		}
		if !wrote {
			return earlier(outline.Recheck, again), nil
		}
	}
	return time.Now(), nil
}

// earlier is the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// underWay is what is worked on at present.
func (w *worker) underWay() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	busy := make(map[string]bool)
	for about, a := range w.attempts {
		if a.underWay {
			busy[about] = true
		}
	}
	return busy
}

// begin begins the steps that ask something of the engine, but for what is
// worked on and what has failed a moment ago; it returns when the latter may be
// tried again.
func (w *worker) begin(ctx context.Context, state fleet.WorkloadState, steps []Step, busy map[string]bool) (again time.Time) {
	wanted := make(map[string]bool)
	defer w.forget(wanted)
	for _, s := range steps {
		about, slots, do := w.exec.work(state, s)
		wanted[about] = true
		if do == nil || busy[about] {
			continue
		}
		if at, wait := w.attempt(about, s.Kind); wait {
			again = earlier(again, at)
			continue
		}
		w.work.Go(func() { w.carryOut(ctx, s, about, slots, do) })
	}
	return again
}

// forget drops the failed attempts at what is not wanted any more.
func (w *worker) forget(wanted map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for about, a := range w.attempts {
		if !a.underWay && !wanted[about] {
			delete(w.attempts, about)
		}
	}
}

// hasten tries again at once what has failed, because the engine is back.
func (w *worker) hasten() {
	w.mu.Lock()
	for _, a := range w.attempts {
		a.again = time.Time{}
		a.backoff.reset()
	}
	w.mu.Unlock()
	w.wake(nil)
}

// attempt notes that work begins, unless it has to wait until the time that it
// returns. What is tried again sooner does not wait for what has failed and is not.
func (w *worker) attempt(about string, kind StepKind) (at time.Time, wait bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.attempts[about]
	if last := patience(kind); !ok || a.backoff.last != last {
		a = &attempt{backoff: newBackoff(last)}
		w.attempts[about] = a
	}
	if time.Now().Before(a.again) {
		return a.again, true
	}
	a.underWay = true
	return time.Time{}, false
}

// carryOut does what a step asks of the engine, and has the worker look at what has become of it.
func (w *worker) carryOut(ctx context.Context, s Step, about string, slots chan struct{}, do func(context.Context) error) {
	err := inSlot(ctx, slots, do)
	if news := w.ended(about, err); news && ctx.Err() == nil {
		w.log.Warn("cannot do a step, trying again", "step", s.String(), "error", err)
	}
	w.wake(nil)
}

// ended notes how work has ended, and reports whether it failed in another way than
// the last time.
func (w *worker) ended(about string, err error) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.attempts[about]
	if err == nil {
		delete(w.attempts, about)
		return false
	}
	news = a.told != err.Error()
	a.told = err.Error()
	a.underWay, a.again = false, time.Now().Add(a.backoff.delay())
	return news
}

// inSlot bounds how many of a kind go on at the same time.
func inSlot(ctx context.Context, slots chan struct{}, do func(context.Context) error) error {
	if slots == nil {
		return do(ctx)
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-slots }()
	return do(ctx)
}

// observe looks at the containers that the engine reported about and writes what
// has changed. It reports whether the state has to be read anew. What is worked
// on is looked at when that has ended: it is no news that a container stops
// which is being stopped.
func (w *worker) observe(ctx context.Context, state fleet.WorkloadState, busy map[string]bool) (changed bool, err error) {
	reports := w.takeReports(busy)
	for _, i := range state.Instances {
		e, ok := reports[i.ID]
		if !ok || known(i, e) {
			continue
		}
		wrote, err := w.look(ctx, state, i)
		if err != nil {
			w.wake(values(reports)) // keep what was not looked at for the next try
			return changed, err
		}
		changed = changed || wrote
	}
	return changed, nil
}

func values(reports map[string]fleet.ContainerEvent) []fleet.ContainerEvent {
	var list []fleet.ContainerEvent
	for _, e := range reports {
		list = append(list, e)
	}
	return list
}

// takeReports are the reports about what is not worked on.
func (w *worker) takeReports(busy map[string]bool) map[string]fleet.ContainerEvent {
	w.mu.Lock()
	defer w.mu.Unlock()
	reports := make(map[string]fleet.ContainerEvent)
	for id, e := range w.reports {
		if !busy[id] {
			reports[id] = e
			delete(w.reports, id)
		}
	}
	return reports
}

// look compares one instance with its container.
func (w *worker) look(ctx context.Context, state fleet.WorkloadState, i fleet.Instance) (wrote bool, err error) {
	if i.ContainerID == "" {
		return false, nil // its create step finds the container by name
	}
	c, err := w.engine.InspectContainer(ctx, i.ContainerID)
	if err != nil {
		return false, err
	}
	checked := hasCheck(state, i)
	preview := i
	if len(Observe(&preview, c, checked, time.Now())) == 0 && preview.IPAddress == i.IPAddress {
		return false, nil
	}
	_, err = w.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		return Observe(row, c, checked, time.Now()), nil
	})
	if errors.Is(err, fleet.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// hasCheck reports whether the instance's deployment has a health check.
func hasCheck(state fleet.WorkloadState, i fleet.Instance) bool {
	d, ok := state.Deployments[i.DeploymentID]
	return ok && d.Spec.HealthCheck != nil
}
