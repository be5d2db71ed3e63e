package metrics

import (
	"context"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is what the Collector needs of the database.
type Store interface {
	// MetricTargets lists the running instances.
	MetricTargets(ctx context.Context) ([]fleet.MetricTarget, error)
	// Loads are what all balancers measured in their last second.
	Loads(ctx context.Context) ([]fleet.Load, error)
	// RecordSamples writes all of them or none.
	RecordSamples(ctx context.Context, samples []fleet.Sample) error
	// RecordUsage notes what instances use at present, by their identifiers, and tells
	// for which it did: it passes those by that somebody else is changing.
	RecordUsage(ctx context.Context, usage map[string]fleet.Usage) (written []string, err error)
	// WorkloadCounts tells how many replicas workloads want and have.
	WorkloadCounts(ctx context.Context) ([]fleet.WorkloadCount, error)
}

// Engine is what the Collector needs of the container engine.
type Engine interface {
	// Stats reads what containers have used, in their order. It holds on to what makes
	// the next reading cheap, until it is called without the container: without any,
	// it lets go of everything.
	Stats(ctx context.Context, containerIDs []string) []fleet.ContainerStats
	// DiskUsage is the size of the writable layers of some containers in bytes, by the
	// containers' identifiers; nil for all. It takes its time.
	DiskUsage(ctx context.Context, containerIDs []string) (map[string]int64, error)
	// Machine is what containers without limits have; ErrUnavailable.
	Machine(ctx context.Context) (fleet.Machine, error)
}

// Housekeeping is what the Maintainer needs of the database. Each call may be repeated.
type Housekeeping interface {
	// Maintain makes the coming days' partitions, and forgets what is old besides metrics.
	Maintain(ctx context.Context) error
	// RollUp rolls up what is complete by now, a limited stretch at a time: more says
	// that there is more to do at once.
	RollUp(ctx context.Context, now time.Time) (more bool, err error)
	// DropMetrics drops one partition whose end is not to be kept, and tells its name;
	// none when there is no such partition.
	DropMetrics(ctx context.Context, keep fleet.MetricRetention) (dropped string, err error)
}
