package docker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// strayGrace keeps a network that was just made: its row in the database may
// not be committed yet.
const strayGrace = time.Minute

// EnsureNetwork creates the network unless it is there. One that is there with
// other settings is made anew, or is ErrInUse while containers are attached.
// ErrRefused names the engine's reason.
func (e *Engine) EnsureNetwork(ctx context.Context, n fleet.Network) error {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	options := networkOptions(n, e.installation)
	found, ok, err := e.findNetwork(call, n)
	if err != nil {
		return e.translate(ctx, "find network", err)
	}
	if ok && found.Labels[labelSettings] == options.Labels[labelSettings] {
		return nil
	}
	if ok {
		if err := e.removeUnused(ctx, found, n.Name); err != nil {
			return err
		}
	}
	_, err = e.namedNetwork(call, n)
	return err
}

// RemoveNetwork removes the network; one that is not there is no error. ErrInUse
// while a container is attached to it, running or not.
func (e *Engine) RemoveNetwork(ctx context.Context, n fleet.Network) error {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	found, ok, err := e.findNetwork(call, n)
	if err != nil {
		return e.translate(ctx, "find network", err)
	}
	if !ok {
		return nil
	}
	return e.removeUnused(ctx, found, n.Name)
}

// RemoveStrayNetworks removes networks of this installation that have no
// container and are not in keep, default networks of unused environments among
// them. A named network that was made within the last minute stays.
func (e *Engine) RemoveStrayNetworks(ctx context.Context, keep []fleet.Network) error {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	list, err := e.client.NetworkList(call, network.ListOptions{Filters: e.ours()})
	if err != nil {
		return e.translate(ctx, "list networks", err)
	}
	kept := map[string]bool{}
	for _, n := range keep {
		kept[n.ID] = true
	}
	for _, n := range list {
		if !stray(n, kept, time.Now()) {
			continue
		}
		if err := e.removeUnused(ctx, n, n.Name); err != nil && !errors.Is(err, fleet.ErrInUse) {
			return err
		}
	}
	return nil
}

// stray reports whether a network may go once it has no container.
func stray(n network.Summary, kept map[string]bool, now time.Time) bool {
	id := n.Labels[fleet.LabelNetwork]
	if id == "" {
		return true
	}
	return !kept[id] && now.Sub(n.Created) > strayGrace
}

// removeUnused removes a network unless containers refer to it, while no
// container is being given one.
func (e *Engine) removeUnused(ctx context.Context, n network.Summary, name string) error {
	e.joining.Lock()
	defer e.joining.Unlock()
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	return e.removeUnattached(call, n, name)
}

// removeUnattached removes a network unless containers refer to it. Engines let a
// network go that only stopped containers refer to; those could never start again.
func (e *Engine) removeUnattached(ctx context.Context, n network.Summary, name string) error {
	// A container that has never run knows its network by name alone.
	attached, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(
		filters.Arg("network", n.ID), filters.Arg("network", n.Name))})
	if err != nil {
		return e.translate(ctx, "list containers of network "+name, err)
	}
	if len(attached) > 0 {
		return fleet.Errorf(fleet.ErrInUse, "network %s has %d attached container(s), among them %s; remove them first", name, len(attached), nameOf(attached[0]))
	}
	err = e.client.NetworkRemove(ctx, n.ID)
	switch {
	case err == nil, cerrdefs.IsNotFound(err):
		return nil
	case strings.Contains(err.Error(), "active endpoints"):
		return fleet.Errorf(fleet.ErrInUse, "network %s still has attached containers: %s", name, reason(err))
	default:
		return e.translate(ctx, "remove network "+name, err)
	}
}

func nameOf(s container.Summary) string {
	if len(s.Names) == 0 {
		return s.ID
	}
	return strings.TrimPrefix(s.Names[0], "/")
}

// findNetwork finds a network of this installation by the identifier in its label.
func (e *Engine) findNetwork(ctx context.Context, n fleet.Network) (network.Summary, bool, error) {
	list, err := e.client.NetworkList(ctx, network.ListOptions{Filters: e.ours(fleet.LabelNetwork + "=" + n.ID)})
	if err != nil || len(list) == 0 {
		return network.Summary{}, false, err
	}
	return oldest(list), true, nil
}

// findDefault finds the default network of an environment: the one without an identifier.
func (e *Engine) findDefault(ctx context.Context, environment string) (network.Summary, bool, error) {
	list, err := e.client.NetworkList(ctx, network.ListOptions{Filters: e.ours(fleet.LabelEnvironment + "=" + environment)})
	if err != nil {
		return network.Summary{}, false, err
	}
	list = slices.DeleteFunc(list, func(n network.Summary) bool { return n.Labels[fleet.LabelNetwork] != "" })
	if len(list) == 0 {
		return network.Summary{}, false, nil
	}
	return oldest(list), true, nil
}

// oldest decides between networks that two daemons made at the same moment.
func oldest(list []network.Summary) network.Summary {
	return slices.MinFunc(list, func(a, b network.Summary) int { return a.Created.Compare(b.Created) })
}

// namedNetwork finds or creates a network; ErrRefused if it is another environment's.
func (e *Engine) namedNetwork(ctx context.Context, n fleet.Network) (engineNetwork, error) {
	find := func(ctx context.Context) (network.Summary, bool, error) { return e.findNetwork(ctx, n) }
	found, err := e.sharedNetwork(ctx, "named "+n.ID, n, find)
	if err != nil {
		return engineNetwork{}, err
	}
	if environment := found.Labels[fleet.LabelEnvironment]; environment != n.Environment {
		return engineNetwork{}, fleet.FieldErrorf(fleet.ErrRefused, "network_config", "the engine's network %s belongs to environment %s, not to %s", found.Name, environment, n.Environment)
	}
	return engineNetwork{ID: found.ID, Name: found.Name}, nil
}

// defaultNetwork finds or creates the network of instances that name none. It is
// a bridge of its own: the engine's default one would join all environments.
func (e *Engine) defaultNetwork(ctx context.Context, environment string) (engineNetwork, error) {
	n := fleet.Network{Type: fleet.NetworkExternal, Environment: environment}
	find := func(ctx context.Context) (network.Summary, bool, error) { return e.findDefault(ctx, environment) }
	found, err := e.sharedNetwork(ctx, "default "+environment, n, find)
	return engineNetwork{ID: found.ID, Name: found.Name}, err
}

// sharedNetwork finds or creates a network once for all callers that want it now.
func (e *Engine) sharedNetwork(ctx context.Context, key string, n fleet.Network, find func(context.Context) (network.Summary, bool, error)) (network.Summary, error) {
	done := e.networks.DoChan(key, func() (any, error) {
		call, cancel := e.shared(ctx, callTimeout)
		defer cancel()
		found, ok, err := find(call)
		if err != nil {
			return network.Summary{}, e.translate(e.background, "find network", err)
		}
		if ok {
			return found, nil
		}
		return e.createNetwork(call, n)
	})
	select {
	case result := <-done:
		found, _ := result.Val.(network.Summary)
		return found, result.Err
	case <-ctx.Done():
		return network.Summary{}, e.translate(ctx, "find network", ctx.Err())
	}
}
