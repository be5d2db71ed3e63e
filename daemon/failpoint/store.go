package failpoint

import (
	"context"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is a store whose changes have boundaries.
func (t *Trap) Store(s deploy.Store) deploy.Store { return store{s, t} }

type store struct {
	deploy.Store // what only reads

	trap *Trap
}

// bounded makes a call between its two boundaries.
func bounded[T any](t *Trap, name string, call func() (T, error)) (T, error) {
	t.pass("before:" + name)
	result, err := call()
	t.pass("after:" + name)
	return result, err
}

// boundedError is bounded for a call that returns nothing but an error.
func boundedError(t *Trap, name string, call func() error) error {
	_, err := bounded(t, name, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

type (
	changeDeployment = func(*fleet.Deployment) ([]fleet.Event, error)
	changeInstance   = func(*fleet.Instance) ([]fleet.Event, error)
)

func (s store) CreateDeployment(ctx context.Context, d fleet.Deployment) (fleet.Deployment, error) {
	return bounded(s.trap, "CreateDeployment", func() (fleet.Deployment, error) { return s.Store.CreateDeployment(ctx, d) })
}

func (s store) UpdateDeployment(ctx context.Context, id string, change changeDeployment) (fleet.Deployment, error) {
	return bounded(s.trap, "UpdateDeployment", func() (fleet.Deployment, error) { return s.Store.UpdateDeployment(ctx, id, change) })
}

func (s store) SteerDeployment(ctx context.Context, id string, change changeDeployment, rollback *fleet.Deployment) (fleet.Deployment, error) {
	return bounded(s.trap, "SteerDeployment", func() (fleet.Deployment, error) { return s.Store.SteerDeployment(ctx, id, change, rollback) })
}

func (s store) AddInstances(ctx context.Context, instances []fleet.Instance) ([]fleet.Instance, error) {
	return bounded(s.trap, "AddInstances", func() ([]fleet.Instance, error) { return s.Store.AddInstances(ctx, instances) })
}

func (s store) UpdateInstance(ctx context.Context, id string, change changeInstance) (fleet.Instance, error) {
	return bounded(s.trap, "UpdateInstance", func() (fleet.Instance, error) { return s.Store.UpdateInstance(ctx, id, change) })
}

func (s store) RequestAction(ctx context.Context, id string, change changeInstance) (fleet.Instance, error) {
	return bounded(s.trap, "RequestAction", func() (fleet.Instance, error) { return s.Store.RequestAction(ctx, id, change) })
}

func (s store) ReleasePort(ctx context.Context, instanceID string, containerPort int) (int, error) {
	return bounded(s.trap, "ReleasePort", func() (int, error) { return s.Store.ReleasePort(ctx, instanceID, containerPort) })
}

func (s store) CreateNetwork(ctx context.Context, n fleet.Network, apply func(context.Context, fleet.Network) error) (fleet.Network, error) {
	return bounded(s.trap, "CreateNetwork", func() (fleet.Network, error) { return s.Store.CreateNetwork(ctx, n, apply) })
}

func (s store) UpdateNetwork(ctx context.Context, id string, change func(*fleet.Network) error, apply func(ctx context.Context, before, after fleet.Network) error) (fleet.Network, error) {
	return bounded(s.trap, "UpdateNetwork", func() (fleet.Network, error) { return s.Store.UpdateNetwork(ctx, id, change, apply) })
}

func (s store) DeleteNetwork(ctx context.Context, id string, apply func(context.Context, fleet.Network) error) error {
	return boundedError(s.trap, "DeleteNetwork", func() error { return s.Store.DeleteNetwork(ctx, id, apply) })
}
