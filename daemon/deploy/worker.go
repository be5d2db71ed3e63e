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

// worker looks after one workload. All that is done to its instances is done by
// its one goroutine, so that no two steps ever fight over a container.
type worker struct {
	workload fleet.Workload
	store    Store
	exec     *executor
	engine   Engine
	log      *slog.Logger
	retire   func(*worker) bool
	signal   chan struct{}

	mu      sync.Mutex
	reports map[string]fleet.ContainerEvent // instance id → newest report not yet looked at
}

func newWorker(c *Controller, w fleet.Workload, epoch int64) *worker {
	log := c.log.With("definition", w.DefinitionID, "environment", w.Environment)
	return &worker{
		workload: w,
		store:    c.store,
		engine:   c.engine,
		log:      log,
		retire:   c.retire,
		exec:     &executor{store: c.store, engine: c.engine, log: log, slots: c.slots, started: c.started, epoch: epoch},
		signal:   make(chan struct{}, 1),
		reports:  make(map[string]fleet.ContainerEvent),
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
	backoff := newBackoff()
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

// pass brings the facts up to date and plans and executes until there is
// nothing left to do now. It returns when to look again although nothing happened.
func (w *worker) pass(ctx context.Context) (time.Time, error) {
	for range maxRounds {
		state, err := w.store.LoadWorkload(ctx, w.workload)
		if err != nil {
			return time.Time{}, err
		}
		if state.Target == nil && len(state.Instances) == 0 {
			return time.Time{}, errNothingLeft
		}
		changed, err := w.observe(ctx, state)
		if err != nil {
			return time.Time{}, err
		}
		if changed {
			continue
		}
		outline := Plan(state, time.Now())
		if !changes(outline.Steps) {
			return outline.Recheck, w.exec.progress(ctx, state, outline)
		}
		if err := w.exec.do(ctx, state, outline); err != nil {
			return time.Time{}, err
		}
	}
	return time.Now(), nil
}

func changes(steps []Step) bool {
	for _, s := range steps {
		if s.Kind != StepAwaitHealthy {
			return true
		}
	}
	return false
}

// observe looks at the containers that the engine reported about and writes what
// has changed. It reports whether the state has to be read anew.
func (w *worker) observe(ctx context.Context, state fleet.WorkloadState) (changed bool, err error) {
	reports := w.takeReports()
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

func (w *worker) takeReports() map[string]fleet.ContainerEvent {
	w.mu.Lock()
	defer w.mu.Unlock()
	reports := w.reports
	w.reports = make(map[string]fleet.ContainerEvent)
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
	if len(Observe(&preview, c, checked)) == 0 && preview.IPAddress == i.IPAddress {
		return false, nil
	}
	_, err = w.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		return Observe(row, c, checked), nil
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
