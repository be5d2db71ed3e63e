package traffic

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// pollEvery is how often the registry is read although nothing was told of a change.
	pollEvery = 5 * time.Second
	// beatEvery is how often a follower says that it is there.
	beatEvery = 3 * time.Second
	// measureEvery is how often loads are written, and idleEvery how often so of an
	// endpoint that goes on having none: what was written holds for ten seconds.
	measureEvery, idleEvery = time.Second, 5 * time.Second
	// recheckEvery is how often is looked whether what drains has drained.
	recheckEvery = 50 * time.Millisecond
	// unfollowTime bounds the last word of a follower.
	unfollowTime = 2 * time.Second
)

// FollowerConfig is what a Follower is made of.
type FollowerConfig struct {
	Store Store
	// Receivers get every snapshot, in this order.
	Receivers []Receiver
	// Meter is asked for loads once a second; nil for none.
	Meter Meter
	// Idle tells that something may have drained; nil for nobody to tell.
	Idle <-chan struct{}
	// Name is what the follower is called in the database, for those who look there.
	Name   string
	Logger *slog.Logger
}

// Follower keeps receivers up to date with the registry, and tells it what has
// drained. While the database is away, receivers keep what they have.
type Follower struct {
	FollowerConfig

	id string
	// waiting are the instances that drain and have not been reported.
	waiting  []string
	reported map[string]bool
	beat     time.Time
	away     bool
	// checking says that the wait for something to drain goes on.
	checking bool
	// idle is when it was last written of endpoints that they have no load.
	idle map[string]time.Time
}

// NewFollower makes a follower; Run sets it to work.
func NewFollower(c FollowerConfig) *Follower {
	return &Follower{FollowerConfig: c, id: uuid.NewString(), reported: make(map[string]bool)}
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	ctx = fleet.AsSystem(ctx)
	changes := f.Store.TrafficChanges(ctx)
	poll, measure, recheck := time.NewTicker(pollEvery), time.NewTicker(measureEvery), time.NewTicker(recheckEvery)
	defer poll.Stop()
	defer measure.Stop()
	defer recheck.Stop()
	f.attend(ctx, f.load(ctx))
	f.checking = true // as a ticker begins
	for {
		f.keepChecking(recheck)
		var err error
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-changes:
			if !ok {
				changes = nil
				continue
			}
			err = f.load(ctx)
		case <-poll.C:
			err = f.load(ctx)
		case <-measure.C:
			err = f.measure(ctx)
		case <-f.Idle:
			err = f.report(ctx)
		case <-recheck.C:
			err = f.report(ctx)
		}
		f.attend(ctx, err)
	}
}

// keepChecking has the ticker tick while something drains, and no longer: at rest it
// would be most of what wakes the process.
func (f *Follower) keepChecking(recheck *time.Ticker) {
	switch draining := len(f.waiting) > 0; {
	case draining && !f.checking:
		recheck.Reset(recheckEvery)
		f.checking = true
	case !draining && f.checking:
		recheck.Stop()
		f.checking = false
	}
}

// Leave says that the follower has ended: nothing has to wait for it any more. It
// is called when the last request has been answered.
func (f *Follower) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(fleet.AsSystem(context.WithoutCancel(ctx)), unfollowTime)
	defer cancel()
	return f.Store.Unfollow(ctx, f.id)
}

// attend logs when the database goes away and when it is back.
func (f *Follower) attend(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !f.away:
		f.away = true
		f.Logger.Warn("cannot follow the registry; traffic goes on as it was", "error", err)
	case err == nil && f.away:
		f.away = false
		f.Logger.Info("following the registry again")
	}
}

// load says that the follower is there, reads a snapshot and hands it on. An
// instance that drains waits for who is there: so that comes first.
func (f *Follower) load(ctx context.Context) error {
	if time.Since(f.beat) >= beatEvery {
		if err := f.Store.Follow(ctx, f.id, f.Name); err != nil {
			return err
		}
		f.beat = time.Now()
	}
	t, err := f.Store.Traffic(ctx)
	if err != nil {
		return err
	}
	for _, r := range f.Receivers {
		r.Receive(t)
	}
	f.expect(t.Draining)
	return f.report(ctx)
}

// expect notes what drains, and forgets what does not any more.
func (f *Follower) expect(draining []string) {
	for id := range f.reported {
		if !slices.Contains(draining, id) {
			delete(f.reported, id)
		}
	}
	f.waiting = slices.DeleteFunc(slices.Clone(draining), func(id string) bool { return f.reported[id] })
}

// report tells the registry which instances nobody uses any more.
func (f *Follower) report(ctx context.Context) error {
	var drained []string
	for _, id := range f.waiting {
		if f.drained(id) {
			drained = append(drained, id)
		}
	}
	if len(drained) == 0 {
		return nil
	}
	if err := f.Store.RecordDrained(ctx, f.id, drained); err != nil {
		return err
	}
	for _, id := range drained {
		f.reported[id] = true
	}
	f.waiting = slices.DeleteFunc(f.waiting, func(id string) bool { return f.reported[id] })
	return nil
}

func (f *Follower) drained(id string) bool {
	for _, r := range f.Receivers {
		if !r.Drained(id) {
			return false
		}
	}
	return true
}

// measure writes what the last second brought.
func (f *Follower) measure(ctx context.Context) error {
	if f.Meter == nil {
		return nil
	}
	news, idle := f.news(f.Meter.Loads(), time.Now())
	if len(news) > 0 {
		if err := f.Store.RecordLoads(ctx, f.id, news); err != nil {
			return err
		}
	}
	f.idle = idle
	return nil
}

// news leaves out the endpoints of which it was written a moment ago that they have no
// load, and still have none; idle is when it was last written of each once news is.
func (f *Follower) news(loads []fleet.Load, now time.Time) (news []fleet.Load, idle map[string]time.Time) {
	idle = make(map[string]time.Time, len(loads))
	for _, l := range loads {
		told, known := f.idle[l.EndpointID]
		switch none := l.RequestRate == 0 && l.InFlight == 0; {
		case none && known && now.Sub(told) < idleEvery:
			idle[l.EndpointID] = told
			continue
		case none:
			idle[l.EndpointID] = now
		}
		news = append(news, l)
	}
	return news, idle
}
