package deploy

import (
	"context"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is what deploying needs of the database. Every method acts for the
// principal of the context's call and writes its audit events in the same
// transaction.
type Store interface {
	// FindReplay returns the identifier that an earlier mutation under the call's
	// idempotency key produced. ErrIdempotencyMismatch if that was another request.
	FindReplay(ctx context.Context) (id string, found bool, err error)
	// Definition reads an active definition; ErrNotFound.
	Definition(ctx context.Context, id string) (fleet.Definition, error)
	// RegistryCredentials are nil when the definition has none.
	RegistryCredentials(ctx context.Context, definitionID string) (*fleet.RegistryCredentials, error)
	// CreateDeployment makes d the workload's target and supersedes a deployment
	// that is still in progress; both rows say so. It sets ID (when empty), Before,
	// StartedBy and StartedAt.
	CreateDeployment(ctx context.Context, d fleet.Deployment) (fleet.Deployment, error)
	Deployment(ctx context.Context, id string) (fleet.Deployment, error)
	// UpdateDeployment reads, changes and writes a deployment that is in progress,
	// under a row lock. Status completed makes it live (or, for a removal, leaves
	// nothing live and no target), and what a completed rollback has undone is
	// rolled_back from then on; any other end makes the live one the target again.
	UpdateDeployment(ctx context.Context, id string, change func(*fleet.Deployment) ([]fleet.Event, error)) (fleet.Deployment, error)
	// SteerDeployment is UpdateDeployment for a user's wish, which takes part in
	// idempotency, or for an end that calls for a rollback. A rollback that is not
	// nil begins in the same transaction, as the deployment that undoes this one.
	SteerDeployment(ctx context.Context, id string, change func(*fleet.Deployment) ([]fleet.Event, error), rollback *fleet.Deployment) (fleet.Deployment, error)
	// StableBefore is the newest deployment of d's workload before d that completed,
	// was not rolled back and is no removal; ErrNotFound.
	StableBefore(ctx context.Context, d fleet.Deployment) (fleet.Deployment, error)

	Instance(ctx context.Context, id string) (fleet.Instance, error)
	// AddInstances writes the intent to create instances. It leases host ports for
	// those whose Ports has keys with value zero and returns the rows as written.
	// Rows whose id is there already stay as they are. ErrPortTaken when too few
	// host ports are left.
	AddInstances(ctx context.Context, instances []fleet.Instance) ([]fleet.Instance, error)
	// UpdateInstance reads, changes and writes an instance under a row lock; a
	// change that leaves the instance as it was writes nothing. An instance that
	// becomes terminated gives back its host ports.
	UpdateInstance(ctx context.Context, id string, change func(*fleet.Instance) ([]fleet.Event, error)) (fleet.Instance, error)
	// RequestAction is UpdateInstance for a user's action: it takes part in idempotency.
	RequestAction(ctx context.Context, id string, change func(*fleet.Instance) ([]fleet.Event, error)) (fleet.Instance, error)
	// ReleasePort gives the instance another host port for a container port,
	// because a foreign process holds the leased one. ErrPortTaken when none is left.
	ReleasePort(ctx context.Context, instanceID string, containerPort int) (hostPort int, err error)

	// Workloads lists every workload that has a target or an instance that is not terminated.
	Workloads(ctx context.Context) ([]fleet.Workload, error)
	LoadWorkload(ctx context.Context, w fleet.Workload) (fleet.WorkloadState, error)
	// LiveInstances lists every instance that is not terminated.
	LiveInstances(ctx context.Context) ([]fleet.Instance, error)

	Network(ctx context.Context, id string) (fleet.Network, error)
	// Networks lists all active networks.
	Networks(ctx context.Context) ([]fleet.Network, error)
	// CreateNetwork inserts the row and calls apply before it commits; an error of apply leaves nothing.
	CreateNetwork(ctx context.Context, n fleet.Network, apply func(context.Context, fleet.Network) error) (fleet.Network, error)
	// UpdateNetwork changes the row under a lock and calls apply before it commits.
	UpdateNetwork(ctx context.Context, id string, change func(*fleet.Network) error, apply func(ctx context.Context, before, after fleet.Network) error) (fleet.Network, error)
	// DeleteNetwork marks the row deleted and calls apply before it commits.
	// ErrInUse if a deployed definition names the network.
	DeleteNetwork(ctx context.Context, id string, apply func(context.Context, fleet.Network) error) error
}

// Engine is what deploying needs of the container engine. All methods may be
// repeated without harm.
type Engine interface {
	// ResolveImage pins a reference to content: "repository@sha256:…", or the image
	// id where only the engine has it. ErrImageNotFound, ErrUnavailable.
	ResolveImage(ctx context.Context, reference string, policy string, credentials *fleet.RegistryCredentials) (digest string, err error)
	// EnsureImage pulls pinned content unless the engine has it.
	EnsureImage(ctx context.Context, digest string, credentials *fleet.RegistryCredentials) error
	// EnsureContainer creates the instance's container, or finds the one that an
	// earlier call created, and returns its id. It creates the environment's
	// default network when that is needed. ErrRefused, ErrImageNotFound.
	EnsureContainer(ctx context.Context, spec fleet.ContainerSpec) (containerID string, warnings []string, err error)
	// StartContainer starts it unless it runs. ErrPortTaken, ErrRefused, ErrNotFound.
	StartContainer(ctx context.Context, containerID string) error
	// ResizeContainer changes the processor and memory that a running container may
	// use, without a restart. ErrRefused, ErrNotFound.
	ResizeContainer(ctx context.Context, containerID string, r fleet.Resources) error
	// StopContainer sends the stop signal, waits, then kills; force kills at once.
	// A container that does not run or does not exist is no error.
	StopContainer(ctx context.Context, containerID string, timeoutSeconds int, force bool) error
	// RemoveContainer removes it with its anonymous volumes, running or not. One that does not exist is no error.
	RemoveContainer(ctx context.Context, containerID string) error
	// InspectContainer returns State ContainerGone, not an error, when there is none.
	InspectContainer(ctx context.Context, containerID string) (fleet.Container, error)
	// ListContainers lists all containers of this installation, running or not, with
	// their names, labels and states.
	ListContainers(ctx context.Context) ([]fleet.Container, error)
	// Events streams changes of this installation's containers until the context
	// ends or the engine is lost; the error channel then yields once.
	Events(ctx context.Context) (<-chan fleet.ContainerEvent, <-chan error)
	// LogTail returns the last lines that the container wrote.
	LogTail(ctx context.Context, containerID string, lines int) ([]fleet.LogLine, error)
	// Node is the name of the machine.
	Node(ctx context.Context) (string, error)

	// EnsureNetwork creates the network unless it is there. ErrRefused names the engine's reason.
	EnsureNetwork(ctx context.Context, n fleet.Network) error
	// RemoveNetwork removes it; one that is not there is no error. ErrInUse while containers are attached.
	RemoveNetwork(ctx context.Context, n fleet.Network) error
	// RemoveStrayNetworks removes networks of this installation that are neither
	// in keep nor default networks of an environment in use, and have no container.
	RemoveStrayNetworks(ctx context.Context, keep []fleet.Network) error
}
