package deploy

import (
	"context"
	"fmt"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// resyncOnce compares the rows with everything that the engine has: networks are
// made again, workloads whose instances differ are woken, all others too, since a
// pass without work costs one query, and containers that no row knows are removed
// after a grace period. After a gap in the events every running container is
// looked at, because a listing does not tell that one was restarted meanwhile.
func (c *Controller) resyncOnce(ctx context.Context, gap bool) error {
	containers, err := c.engine.ListContainers(ctx)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	instances, err := c.store.LiveInstances(ctx)
	if err != nil {
		return fmt.Errorf("list instances: %w", err)
	}
	if err := c.resyncNetworks(ctx); err != nil {
		return err
	}
	workloads, err := c.store.Workloads(ctx)
	if err != nil {
		return fmt.Errorf("list workloads: %w", err)
	}
	reports := differences(instances, containers, gap)
	for _, w := range workloads {
		c.wake(w, reports[w])
	}
	c.removeStrays(ctx, strays(instances, containers))
	return nil
}

// differences are reports about the instances whose row and container do not agree.
func differences(instances []fleet.Instance, containers []fleet.Container, gap bool) map[fleet.Workload][]fleet.ContainerEvent {
	byID := make(map[string]fleet.Container, len(containers))
	for _, c := range containers {
		byID[c.ID] = c
	}
	reports := make(map[fleet.Workload][]fleet.ContainerEvent)
	for _, i := range instances {
		if i.ContainerID == "" || agrees(i, byID[i.ContainerID], gap) {
			continue
		}
		w := fleet.Workload{DefinitionID: i.DefinitionID, Environment: i.Environment}
		reports[w] = append(reports[w], fleet.ContainerEvent{InstanceID: i.ID, ContainerID: i.ContainerID, Workload: w})
	}
	return reports
}

// agrees reports whether a listed container is where its instance's row says it is.
func agrees(i fleet.Instance, c fleet.Container, gap bool) bool {
	switch c.State {
	case fleet.ContainerExited:
		return i.Current == fleet.StatusStopped || i.Current == fleet.StatusFailed
	case fleet.ContainerRunning:
		return i.Current == fleet.StatusRunning && !gap
	default:
		return false
	}
}

// strays are containers of this installation that no instance stands for.
func strays(instances []fleet.Instance, containers []fleet.Container) []fleet.Container {
	known := make(map[string]bool, len(instances))
	for _, i := range instances {
		known[i.ID] = true
	}
	var list []fleet.Container
	for _, c := range containers {
		if !known[c.InstanceID] {
			list = append(list, c)
		}
	}
	return list
}

// removeStrays removes the strays that have been seen for the grace period.
func (c *Controller) removeStrays(ctx context.Context, found []fleet.Container) {
	seen := make(map[string]time.Time, len(found))
	now := time.Now()
	for _, stray := range found {
		first, ok := c.strays[stray.ID]
		if !ok {
			first = now
			c.log.Warn("found a container of this installation that no instance stands for; it is removed after the grace period",
				"container", stray.Name, "grace", c.grace)
		}
		seen[stray.ID] = first
		if now.Sub(first) < c.grace {
			continue
		}
		if err := c.engine.RemoveContainer(ctx, stray.ID); err != nil {
			c.log.Warn("cannot remove a stray container", "container", stray.Name, "error", err)
			continue
		}
		delete(seen, stray.ID)
		c.log.Info("removed a stray container", "container", stray.Name)
	}
	c.strays = seen
}

// resyncNetworks makes the networks that the engine lacks and removes those that no row knows.
func (c *Controller) resyncNetworks(ctx context.Context) error {
	networks, err := c.store.Networks(ctx)
	if err != nil {
		return fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks {
		if err := c.engine.EnsureNetwork(ctx, n); err != nil {
			c.log.Warn("cannot make a network again", "network", n.EngineName(), "error", err)
		}
	}
	if err := c.engine.RemoveStrayNetworks(ctx, networks); err != nil {
		c.log.Warn("cannot remove stray networks", "error", err)
	}
	return nil
}
