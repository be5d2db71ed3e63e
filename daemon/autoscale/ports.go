package autoscale

import (
	"context"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is what the autoscaler needs of the database.
type Store interface {
	// ScalingStates are those of all workloads that are deployed and have an enabled
	// policy, but for Usage; samples older than fresh count as missing.
	ScalingStates(ctx context.Context, now time.Time, fresh fleet.Freshness) ([]fleet.ScalingState, error)
	// UsageHistory is what the replicas of a workload have used since a time, oldest first.
	UsageHistory(ctx context.Context, w fleet.Workload, since time.Time) ([]fleet.UsageBucket, error)
	// RecordScaling writes what an evaluation came to, all of it or nothing.
	// ErrConflict when it would change a workload of which something else is wanted
	// by now than the evaluation saw.
	RecordScaling(ctx context.Context, r fleet.ScalingRecord) error
	// LatestDecisions are the last ones of each workload, one for each unit, of those
	// that were evaluated after a time.
	LatestDecisions(ctx context.Context, after time.Time) ([]fleet.ScalingDecision, error)
}
