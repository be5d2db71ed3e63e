package postgres

import (
	"context"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

const (
	// rollupGrace is how long after the end of a bucket its last samples may be written.
	rollupGrace = 10 * time.Second
	// rollupSpan bounds what one transaction rolls up.
	rollupSpan = time.Hour

	resolution5m, resolution1h = "5m", "1h"

	dropPartition = "SELECT coalesce(wedsync_drop_metric_partition($1, $2, $3), '')"
	// hurry has a statement give up soon that others would queue behind.
	hurry = "SET LOCAL lock_timeout = '1s'"
)

// RollUp implements metrics.Store. The buckets before the watermark are made anew
// too, for the sake of what came late; nothing is counted twice. A watermark of the
// future comes back to the present: what is measured until it has come would be in
// no roll-up.
func (s *Store) RollUp(ctx context.Context, now time.Time) (more bool, err error) {
	err = s.write(ctx, "roll metrics up", func(t *transaction) error {
		have, err := t.MetricSources(ctx)
		if err != nil {
			return err
		}
		if have.RolledUp5m.Unix() == 0 {
			first, err := t.FirstSample(ctx)
			if err != nil {
				return err
			}
			have.RolledUp5m = later(first, have.Rollups5mSince).Truncate(fiveMinutes)
			have.RolledUp1h = have.RolledUp5m.Truncate(time.Hour)
		}
		ready := now.Add(-rollupGrace).Truncate(fiveMinutes)
		if have.RolledUp5m.After(now) { // the clock has been put back
			have.RolledUp5m = ready.Add(-rollupSpan)
			have.RolledUp1h = have.RolledUp5m.Truncate(time.Hour)
		}
		to := earlier(ready, have.RolledUp5m.Add(rollupSpan))
		if !to.After(have.RolledUp5m) {
			return nil
		}
		more = to.Before(ready)
		from := later(have.RolledUp5m.Add(-fiveMinutes), have.Rollups5mSince)
		if _, err := t.RollUp5m(ctx, dbsqlc.RollUp5mParams{FromAt: from, ToAt: to}); err != nil {
			return err
		}
		if err := t.SetWatermark(ctx, dbsqlc.SetWatermarkParams{Resolution: resolution5m, RolledUpTo: to}); err != nil {
			return err
		}
		return t.rollUpHours(ctx, have.RolledUp1h, to.Truncate(time.Hour))
	})
	return more, err
}

// rollUpHours makes the buckets of an hour up to a time, from those of five minutes.
func (t *transaction) rollUpHours(ctx context.Context, done, to time.Time) error {
	if !to.After(done) {
		return nil
	}
	if _, err := t.RollUp1h(ctx, dbsqlc.RollUp1hParams{FromAt: done.Add(-time.Hour), ToAt: to}); err != nil {
		return err
	}
	return t.SetWatermark(ctx, dbsqlc.SetWatermarkParams{Resolution: resolution1h, RolledUpTo: to})
}

// DropMetrics implements metrics.Store. What is not rolled up yet stays. The
// decisions that went by the metrics go with the longest kept of them, and those that
// changed nothing with the samples.
func (s *Store) DropMetrics(ctx context.Context, keep fleet.MetricRetention) (dropped string, err error) {
	err = s.write(ctx, "drop old metrics", func(t *transaction) error {
		have, err := t.MetricSources(ctx)
		if err != nil {
			return err
		}
		if _, err := t.PruneDecisions(ctx, dbsqlc.PruneDecisionsParams{Changes: keep.Rollups1h, Others: keep.Samples}); err != nil {
			return err
		}
		if _, err := t.tx.Exec(ctx, hurry); err != nil {
			return err
		}
		return t.tx.QueryRow(ctx, dropPartition, earlier(keep.Samples, have.RolledUp5m), earlier(keep.Rollups5m, have.RolledUp1h), keep.Rollups1h).Scan(&dropped)
	})
	return dropped, err
}
