package metrics

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// rollUpEvery is the time between two looks whether something can be rolled up.
	rollUpEvery = time.Minute
	// maintainEvery is the time between two rounds of what days decide on.
	maintainEvery = time.Hour
)

// Retention is how long metrics are kept.
type Retention struct {
	// Samples is of samples and of what was posted; Rollups5m and Rollups1h are of
	// roll-ups. Partitions are dropped whole: up to a day, or a month of the last, is
	// kept longer.
	Samples, Rollups5m, Rollups1h time.Duration
}

// since is from when on metrics are kept.
func (r Retention) since(now time.Time) fleet.MetricRetention {
	return fleet.MetricRetention{Samples: now.Add(-r.Samples), Rollups5m: now.Add(-r.Rollups5m), Rollups1h: now.Add(-r.Rollups1h)}
}

// Maintainer keeps house in the database.
type Maintainer struct {
	Store     Housekeeping
	Retention Retention
	Logger    *slog.Logger
}

// Run keeps house until the context ends.
func (m *Maintainer) Run(ctx context.Context) error {
	ctx = fleet.AsSystem(ctx)
	ticker := time.NewTicker(rollUpEvery)
	defer ticker.Stop()
	var maintained time.Time
	for {
		now := time.Now()
		full := now.Sub(maintained) >= maintainEvery
		if err := m.runOnce(ctx, now, full); err != nil {
			if ctx.Err() == nil {
				m.Logger.Warn("cannot keep house in the database, trying again in a minute", "error", err)
			}
		} else if full {
			maintained = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// runOnce rolls up what can be; a full round also makes partitions and drops those
// whose time is over. One part that fails does not keep the others from being done.
func (m *Maintainer) runOnce(ctx context.Context, now time.Time, full bool) error {
	var errs []error
	if full {
		errs = append(errs, m.Store.Maintain(ctx))
	}
	errs = append(errs, repeat(ctx, func() (bool, error) { return m.Store.RollUp(ctx, now) }))
	if full {
		errs = append(errs, repeat(ctx, func() (bool, error) { return m.drop(ctx, now) }))
	}
	return errors.Join(errs...)
}

func (m *Maintainer) drop(ctx context.Context, now time.Time) (more bool, err error) {
	name, err := m.Store.DropMetrics(ctx, m.Retention.since(now))
	if err == nil && name != "" {
		m.Logger.Info("dropped old metrics", "partition", name)
	}
	return name != "", err
}

// repeat calls f until it says that there is no more to do.
func repeat(ctx context.Context, f func() (more bool, err error)) error {
	for {
		more, err := f()
		if err != nil || !more || ctx.Err() != nil {
			return err
		}
	}
}
