package health

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

const (
	// refreshEvery is how often the list of targets is read although nothing was announced.
	refreshEvery = 5 * time.Second
	// settle collects announcements and verdicts that come close together, and
	// settleOld verdicts that nobody waits for.
	settle, settleOld = 10 * time.Millisecond, time.Second
	// unchangedEvery is how often results that changed nothing are written.
	unchangedEvery = 15 * time.Second
	// probesAtOnce bounds the checks under way, and commandsAtOnce those that run in
	// containers, apart: each is a new process, and some work for the engine, and
	// many that hang must not keep the others from being made.
	probesAtOnce, commandsAtOnce = 64, 8
	// batch bounds the verdicts written in one transaction.
	batch = 500
)

// Config is what a Monitor is made of.
type Config struct {
	Store  Store
	Engine Engine
	Logger *slog.Logger
	// Changed is called after something was written that a rollout may wait for: a
	// verdict that changed, or a streak of passed checks that began, was long
	// enough, or broke.
	Changed func(fleet.Workload)
}

// Monitor checks the health of all running instances.
type Monitor struct {
	store    Store
	log      *slog.Logger
	changed  func(fleet.Workload)
	prober   *prober
	poked    chan struct{}
	verdicts chan verdict
	slots    chan struct{}
	commands chan struct{}
}

// verdict is an update on its way to the store.
type verdict struct {
	update   fleet.HealthUpdate
	workload fleet.Workload
	news     bool // the workload is to be told
}

// NewMonitor makes a Monitor; Run sets it to work.
func NewMonitor(c Config) *Monitor {
	return &Monitor{
		store:    c.Store,
		log:      c.Logger,
		changed:  c.Changed,
		prober:   newProber(c.Engine),
		poked:    make(chan struct{}, 1),
		slots:    make(chan struct{}, probesAtOnce),
		commands: make(chan struct{}, commandsAtOnce),
	}
}

// Poke has the list of instances read soon, because one was started.
func (m *Monitor) Poke() {
	select {
	case m.poked <- struct{}{}:
	default:
	}
}

// Run checks until the context ends.
func (m *Monitor) Run(ctx context.Context) error {
	ctx = fleet.AsSystem(ctx)
	m.verdicts = make(chan verdict, batch) // those of an earlier Run are out of date: another daemon may have led since
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.record(ctx) })
	group.Go(func() error { return m.supervise(ctx) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// run is one run of an instance: after a restart it is another one.
type run struct {
	instance string
	started  int64
	settling time.Duration // a new deployment that keeps the instance may want another
}

// supervise keeps one watcher for each run of an instance.
func (m *Monitor) supervise(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	watched := make(map[run]context.CancelFunc)
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		if targets, err := m.store.HealthTargets(ctx); err != nil {
			if ctx.Err() == nil {
				m.log.Warn("cannot list the instances to check", "error", err)
			}
		} else {
			m.adopt(ctx, group, watched, targets)
		}
		select {
		case <-ctx.Done():
			_ = group.Wait()
			return ctx.Err()
		case <-ticker.C:
		case <-m.poked:
			sleep(ctx, settle)
		}
	}
}

// adopt starts watchers for new runs and ends those of runs that are over.
func (m *Monitor) adopt(ctx context.Context, group *errgroup.Group, watched map[run]context.CancelFunc, targets []fleet.HealthTarget) {
	current := make(map[run]bool, len(targets))
	for _, t := range targets {
		key := run{instance: t.InstanceID, started: t.StartedAt.UnixNano(), settling: t.Settling}
		current[key] = true
		if _, ok := watched[key]; ok || t.Fault == nil && t.Check.NeedsPort() && (t.Address == "" || t.Port == 0) {
			continue
		}
		watchCtx, cancel := context.WithCancel(ctx)
		watched[key] = cancel
		if t.Fault != nil {
			m.log.Error("cannot check an instance", "instance", t.InstanceID, "error", t.Fault)
			continue
		}
		group.Go(func() error {
			m.watch(watchCtx, t)
			return nil
		})
	}
	for key, cancel := range watched {
		if !current[key] {
			cancel()
			delete(watched, key)
		}
	}
}

// watch checks one run of an instance until its context ends.
func (m *Monitor) watch(ctx context.Context, t fleet.HealthTarget) {
	since := time.Now()
	age := max(0, since.Sub(t.StartedAt)) // by another's clock; from here on by one that nobody can set
	tracker := newTracker(t, age)
	written := age - unchangedEvery
	sleep(ctx, tracker.delay())
	for ctx.Err() == nil {
		result, began, ok := m.check(ctx, t)
		if !ok {
			return
		}
		at := age + began.Sub(since)
		changed, news := tracker.record(at, result)
		if news || at-written >= unchangedEvery {
			written = at
			m.submit(ctx, verdict{workload: t.Workload, news: news, update: tracker.update(t, changed)})
		}
		sleep(ctx, tracker.rest(time.Now()))
	}
}

// check probes within the bound of checks under way, and tells when it began to;
// false says that the run is over.
func (m *Monitor) check(ctx context.Context, t fleet.HealthTarget) (result fleet.HealthResult, began time.Time, ok bool) {
	slots := m.slots
	if t.Check.Kind() == grammar.HealthCommand {
		slots = m.commands
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return result, began, false
	}
	defer func() { <-slots }()
	began = time.Now()
	result = m.prober.probe(ctx, t)
	return result, began, ctx.Err() == nil
}

func (m *Monitor) submit(ctx context.Context, v verdict) {
	select {
	case m.verdicts <- v:
	case <-ctx.Done():
	}
}

// record writes verdicts in batches.
func (m *Monitor) record(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case v := <-m.verdicts:
			m.write(ctx, m.collect(ctx, v))
		}
	}
}

// collect waits a moment for more verdicts to write together; a longer one until there
// is news.
func (m *Monitor) collect(ctx context.Context, first verdict) []verdict {
	list, news := []verdict{first}, first.news
	timer := time.NewTimer(settleOld)
	defer timer.Stop()
	if news {
		timer.Reset(settle)
	}
	for len(list) < batch {
		select {
		case v := <-m.verdicts:
			list = append(list, v)
			if v.news && !news {
				news = true
				timer.Reset(settle)
			}
		case <-timer.C:
			return list
		case <-ctx.Done():
			return list
		}
	}
	return list
}

// write writes verdicts, and tries again until they are written or the context ends.
// One that can never be written is left out, so that it does not hold up the others.
func (m *Monitor) write(ctx context.Context, list []verdict) {
	for ctx.Err() == nil {
		err := m.writeOnce(ctx, list)
		switch {
		case err == nil, ctx.Err() != nil:
			return
		case !errors.Is(err, fleet.ErrInvalid):
			m.log.Warn("cannot write health verdicts, trying again", "verdicts", len(list), "error", err)
			sleep(ctx, time.Second)
		case len(list) > 1:
			for k := range list {
				m.write(ctx, list[k:k+1])
			}
			return
		default:
			m.log.Error("cannot write a health verdict, leaving it out", "instance", list[0].update.InstanceID, "error", err)
			return
		}
	}
}

func (m *Monitor) writeOnce(ctx context.Context, list []verdict) error {
	updates := make([]fleet.HealthUpdate, len(list))
	woken := make(map[fleet.Workload]bool)
	for k, v := range list {
		updates[k] = v.update
		if v.news {
			woken[v.workload] = true
		}
	}
	if err := m.store.RecordHealth(ctx, updates); err != nil {
		return err
	}
	for w := range woken {
		m.changed(w)
	}
	return nil
}

// sleep waits for the time, or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
