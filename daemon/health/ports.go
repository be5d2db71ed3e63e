package health

import (
	"context"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is what health monitoring needs of the database.
type Store interface {
	// HealthTargets lists the running instances that have a health check.
	HealthTargets(ctx context.Context) ([]fleet.HealthTarget, error)
	// RecordHealth writes verdicts, in one transaction, with an event for each that
	// changed. ErrInvalid says that one of them can never be written.
	RecordHealth(ctx context.Context, updates []fleet.HealthUpdate) error
}

// Engine is what health monitoring needs of the container engine. An error of
// either says nothing about the container's health.
type Engine interface {
	// RunCommand runs a command inside a running container and waits for its end, or
	// for the context's: then it ends the command where it can. A container has one
	// such command at a time.
	RunCommand(ctx context.Context, containerID string, command []string) (fleet.CommandResult, error)
	// ImageHealth is the verdict of the image's own HEALTHCHECK.
	ImageHealth(ctx context.Context, containerID string) (fleet.ImageHealth, error)
}
