package deploy

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Config is what a Controller is made of.
type Config struct {
	Store  Store
	Engine Engine
	Logger *slog.Logger
	// Resync is the time between two full comparisons with the engine; zero means 30 s.
	Resync time.Duration
	// StrayGrace is how long a container of ours that no row knows is left alone
	// before it is removed; zero means 10 min.
	StrayGrace time.Duration
	// Parallel bounds how many containers are started at the same time, and how many
	// are stopped, four times as many since stopping is mostly waiting; zero means 8.
	Parallel int
	// Started is called when an instance has started, so that its health is checked at once.
	Started func()
}

// Controller keeps every workload as its target wants it.
type Controller struct {
	store    Store
	engine   Engine
	log      *slog.Logger
	resync   time.Duration
	grace    time.Duration
	starts   chan struct{}
	stops    chan struct{}
	started  func()
	strays   map[string]time.Time // container id → first seen; used by the resync loop only
	mu       sync.Mutex
	workers  map[fleet.Workload]*worker
	group    *errgroup.Group // nil while the controller does not run
	groupCtx context.Context
	epoch    int64
}

// NewController makes a controller; Run sets it to work.
func NewController(c Config) *Controller {
	started := c.Started
	if started == nil {
		started = func() {}
	}
	return &Controller{
		store:   c.Store,
		engine:  c.Engine,
		log:     c.Logger,
		resync:  orDefault(c.Resync, 30*time.Second),
		grace:   orDefault(c.StrayGrace, 10*time.Minute),
		starts:  make(chan struct{}, orDefault(c.Parallel, 8)),
		stops:   make(chan struct{}, 4*orDefault(c.Parallel, 8)),
		started: started,
	}
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Run works until the context ends. Only the leader runs it; epoch is the
// number of its election. changes tells which workloads were changed through the
// API; it may lose some, which the resync makes good.
func (c *Controller) Run(ctx context.Context, epoch int64, changes <-chan fleet.Workload) error {
	ctx = fleet.AsSystem(ctx)
	group, ctx := errgroup.WithContext(ctx)
	c.mu.Lock()
	c.workers = make(map[fleet.Workload]*worker)
	c.group, c.groupCtx, c.epoch = group, ctx, epoch
	c.strays = make(map[string]time.Time)
	c.mu.Unlock()

	group.Go(func() error { return c.follow(ctx) })
	group.Go(func() error { return c.relay(ctx, changes) })
	err := group.Wait()

	c.mu.Lock()
	c.group, c.workers = nil, nil
	c.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// relay wakes the workloads that the API changed.
func (c *Controller) relay(ctx context.Context, changes <-chan fleet.Workload) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case w, ok := <-changes:
			if !ok {
				changes = nil
				continue
			}
			c.Wake(w)
		}
	}
}

// Wake has a workload looked at soon. It does nothing while the controller does not run.
func (c *Controller) Wake(w fleet.Workload) { c.wake(w, nil) }

// wake also hands over what the engine reported, to be compared with the rows first.
func (c *Controller) wake(w fleet.Workload, reports []fleet.ContainerEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.group == nil || c.groupCtx.Err() != nil {
		return
	}
	worker, ok := c.workers[w]
	if !ok {
		worker = newWorker(c, w, c.epoch)
		c.workers[w] = worker
		ctx := c.groupCtx
		c.group.Go(func() error { return worker.run(ctx) })
	}
	worker.wake(reports)
}

// hasten has every worker try again at once what has failed.
func (c *Controller) hasten() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		w.hasten()
	}
}

// retire forgets a worker that has nothing left to look after, unless it was
// woken meanwhile, and reports whether it did.
func (c *Controller) retire(w *worker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(w.signal) > 0 {
		return false
	}
	delete(c.workers, w.workload)
	return true
}

// follow keeps up with the engine: events as they come, a full resync at the
// start, after every interruption and in regular intervals.
func (c *Controller) follow(ctx context.Context) error {
	backoff := newBackoff(lastSubscription)
	for ctx.Err() == nil {
		err := c.followOnce(ctx, backoff)
		if ctx.Err() != nil {
			break
		}
		c.log.Warn("lost the engine's events, subscribing again", "error", err)
		backoff.wait(ctx)
	}
	return ctx.Err()
}

// followOnce subscribes before it lists, so that nothing falls between the two.
func (c *Controller) followOnce(ctx context.Context, backoff *backoff) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, lost := c.engine.Events(ctx)
	if err := c.resyncOnce(ctx, true); err != nil {
		return err
	}
	backoff.reset()
	c.hasten()
	ticker := time.NewTicker(c.resync)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case e, ok := <-events:
			if !ok {
				return <-lost
			}
			c.wake(e.Workload, []fleet.ContainerEvent{e})
		case <-ticker.C:
			if err := c.resyncOnce(ctx, false); err != nil {
				c.log.Warn("cannot compare with the engine", "error", err)
			}
		}
	}
}
