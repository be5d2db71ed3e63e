package health

import (
	"context"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is what health monitoring needs of the database.
type Store interface {
	// HealthTargets lists the running instances that have a health check.
	HealthTargets(ctx context.Context) ([]fleet.HealthTarget, error)
	// RecordHealth writes verdicts, in one transaction, with an event for each that changed.
	RecordHealth(ctx context.Context, updates []fleet.HealthUpdate) error
}
