package traffic

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// sweepEvery is how often is looked for endpoints that have fallen silent.
	sweepEvery = time.Second
	// underWay is how long a heartbeat may take from the daemon that got it into the database.
	underWay = 2 * flushEvery
	// longestGap is the time between two answers of the database in which it is taken
	// to have been there. TTLs are longer than it, with underWay.
	longestGap = 3 * time.Second
	// sameSweep is how long an endpoint that went still counts for its service: those
	// that fall silent together expire within the time between two of their heartbeats.
	sameSweep = time.Minute
	// probesAtOnce bounds the probes under way.
	probesAtOnce = 64
)

// Expire says which endpoints have been silent for longer than their TTL, counted
// from since where that is later than their last heartbeat: before it, heartbeats
// could not be written. They expire, unless with those that are gone already they
// are more than half of their service; then they are doubtful, for it may be the way
// to here that is broken. endpoints are all those of their services, which lie next
// to each other; gone counts those that expired a moment ago.
func Expire(endpoints []fleet.Endpoint, gone map[fleet.Service]int, since, now time.Time) (expired, doubtful []fleet.Endpoint) {
	for group := range byService(endpoints) {
		var silent []fleet.Endpoint
		for _, e := range group {
			if e.External() && now.Sub(later(e.LastHeartbeat, since)) > e.TTL+underWay {
				silent = append(silent, e)
			}
		}
		before := gone[group[0].Service()]
		if 2*(len(silent)+before) > len(group)+before {
			doubtful = append(doubtful, silent...)
		} else {
			expired = append(expired, silent...)
		}
	}
	return expired, doubtful
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Sweeper takes external endpoints out of the registry whose heartbeats stay away.
// It is for the leader alone.
type Sweeper struct {
	store ExpiryStore
	log   *slog.Logger
	// probe asks an endpoint whether it is there.
	probe func(context.Context, fleet.Endpoint) error
}

// NewSweeper makes a sweeper; Run sets it to work.
func NewSweeper(store ExpiryStore, log *slog.Logger) *Sweeper {
	return &Sweeper{store: store, log: log, probe: newProber().probe}
}

// Run sweeps until ctx ends. Nobody expires within one TTL of its beginning, nor of
// the database's return.
func (s *Sweeper) Run(ctx context.Context) error {
	ctx = fleet.AsSystem(ctx)
	t := &term{Sweeper: s, left: make(map[fleet.Service][]time.Time)}
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	away := false
	for {
		err := t.sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !away:
			s.log.Warn("cannot look for silent endpoints; none expires", "error", err)
		case err == nil && away:
			s.log.Info("looking for silent endpoints again")
		}
		away = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// term is one time of leading.
type term struct {
	*Sweeper

	// since is from when on the database has answered without a gap, by its own clock;
	// answered is when it did last, by this daemon's. Zero: it did not.
	since, answered time.Time
	// left are the times at which endpoints of a service expired, within sameSweep.
	left map[fleet.Service][]time.Time
}

// sweep looks once, and acts.
func (t *term) sweep(ctx context.Context) error {
	err := t.look(ctx)
	t.answered = time.Now()
	if err != nil {
		t.answered = time.Time{}
	}
	return err
}

func (t *term) look(ctx context.Context) error {
	endpoints, now, err := t.store.Overdue(ctx)
	if err != nil {
		return err
	}
	if t.answered.IsZero() || time.Since(t.answered) > longestGap {
		t.since = now
	}
	expired, doubtful := Expire(endpoints, t.gone(now), t.since, now)
	if err := t.expire(ctx, now, expiries(expired)); err != nil || len(doubtful) == 0 {
		return err
	}
	dead, alive := t.ask(ctx, doubtful)
	t.log.Warn("more than half of a service has fallen silent; asked each before it goes", "silent", len(doubtful), "answered", len(alive))
	if err := t.expire(ctx, now, dead); err != nil || len(alive) == 0 {
		return err
	}
	return t.store.RecordHeartbeats(ctx, alive)
}

// gone counts the endpoints that expired a moment ago.
func (t *term) gone(now time.Time) map[fleet.Service]int {
	gone := make(map[fleet.Service]int)
	for s, times := range t.left {
		for len(times) > 0 && now.Sub(times[0]) > sameSweep {
			times = times[1:]
		}
		if t.left[s] = times; len(times) == 0 {
			delete(t.left, s)
			continue
		}
		gone[s] = len(times)
	}
	return gone
}

func expiries(endpoints []fleet.Endpoint) []fleet.Expiry {
	list := make([]fleet.Expiry, len(endpoints))
	for n, e := range endpoints {
		list[n].EndpointID = e.ID
	}
	return list
}

func (t *term) expire(ctx context.Context, now time.Time, list []fleet.Expiry) error {
	if len(list) == 0 {
		return nil
	}
	gone, err := t.store.ExpireEndpoints(ctx, list)
	for _, e := range gone {
		t.left[e.Service()] = append(t.left[e.Service()], now)
		t.log.Info("endpoint expired", "service", e.ServiceName, "environment", e.Environment, "endpoint", e.ID, "url", e.URL, "last_heartbeat", e.LastHeartbeat)
	}
	return err
}

// ask probes endpoints. An answer counts as a heartbeat that says nothing about health.
func (t *term) ask(ctx context.Context, doubtful []fleet.Endpoint) (dead []fleet.Expiry, alive []fleet.Heartbeat) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(probesAtOnce)
	for _, e := range doubtful {
		group.Go(func() error {
			err := t.probe(ctx, e)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				dead = append(dead, fleet.Expiry{EndpointID: e.ID, Probe: err.Error()})
			} else {
				alive = append(alive, fleet.Heartbeat{EndpointID: e.ID, At: time.Now()})
			}
			return nil
		})
	}
	_ = group.Wait() // no probe fails the group
	if ctx.Err() != nil {
		return nil, nil // what did not answer had no time to
	}
	return dead, alive
}
