package failpoint

import (
	"context"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Engine is an engine whose changes have boundaries.
func (t *Trap) Engine(e deploy.Engine) deploy.Engine { return engine{e, t} }

type engine struct {
	deploy.Engine // what only reads

	trap *Trap
}

func (e engine) EnsureImage(ctx context.Context, digest string, credentials *fleet.RegistryCredentials) error {
	return boundedError(e.trap, "EnsureImage", func() error { return e.Engine.EnsureImage(ctx, digest, credentials) })
}

func (e engine) EnsureContainer(ctx context.Context, spec fleet.ContainerSpec) (id string, warnings []string, err error) {
	id, err = bounded(e.trap, "EnsureContainer", func() (made string, err error) {
		made, warnings, err = e.Engine.EnsureContainer(ctx, spec)
		return made, err
	})
	return id, warnings, err
}

func (e engine) StartContainer(ctx context.Context, containerID string) error {
	return boundedError(e.trap, "StartContainer", func() error { return e.Engine.StartContainer(ctx, containerID) })
}

func (e engine) ResizeContainer(ctx context.Context, containerID string, r fleet.Resources) error {
	return boundedError(e.trap, "ResizeContainer", func() error { return e.Engine.ResizeContainer(ctx, containerID, r) })
}

func (e engine) StopContainer(ctx context.Context, containerID string, timeoutSeconds int, force bool) error {
	return boundedError(e.trap, "StopContainer", func() error { return e.Engine.StopContainer(ctx, containerID, timeoutSeconds, force) })
}

func (e engine) RemoveContainer(ctx context.Context, containerID string) error {
	return boundedError(e.trap, "RemoveContainer", func() error { return e.Engine.RemoveContainer(ctx, containerID) })
}

func (e engine) EnsureNetwork(ctx context.Context, n fleet.Network) error {
	return boundedError(e.trap, "EnsureNetwork", func() error { return e.Engine.EnsureNetwork(ctx, n) })
}

func (e engine) RemoveNetwork(ctx context.Context, n fleet.Network) error {
	return boundedError(e.trap, "RemoveNetwork", func() error { return e.Engine.RemoveNetwork(ctx, n) })
}

func (e engine) RemoveStrayNetworks(ctx context.Context, keep []fleet.Network) error {
	return boundedError(e.trap, "RemoveStrayNetworks", func() error { return e.Engine.RemoveStrayNetworks(ctx, keep) })
}
