package docker

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// bridge is the engine's default network. It is made anew at every start of the
	// engine that no container has outlived, and so tells when that was.
	bridge = "bridge"
	// endGrace is how long after its start an engine may write down the end of what
	// it found dead.
	endGrace = 10 * time.Second
)

// InspectContainer tells where a container is; State is ContainerGone when the
// engine does not have it, is removing it, or has it for another installation.
func (e *Engine) InspectContainer(ctx context.Context, containerID string) (fleet.Container, error) {
	c, err := e.inspect(ctx, containerID)
	if err != nil || c.State != fleet.ContainerExited {
		return c, err
	}
	start, err := e.started(ctx)
	c.EngineStopped = endedWithEngine(c, start)
	return c, err
}

// inspect is InspectContainer, but does not tell whether the engine ended the container.
func (e *Engine) inspect(ctx context.Context, containerID string) (fleet.Container, error) {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	gone := fleet.Container{ID: containerID, State: fleet.ContainerGone}
	if containerID == "" {
		return gone, nil
	}
	found, err := e.client.ContainerInspect(call, containerID)
	if cerrdefs.IsNotFound(err) {
		return gone, nil
	}
	if err != nil {
		return fleet.Container{}, e.translate(ctx, "inspect container", err)
	}
	node, err := e.Node(ctx)
	if err != nil {
		return fleet.Container{}, err
	}
	c := inspected(found, node)
	if c.State == fleet.ContainerGone || found.Config.Labels[fleet.LabelInstallation] != e.installation {
		return gone, nil
	}
	return c, nil
}

// ListContainers lists all containers of this installation, running or not, with
// what a listing tells of them: names, labels, states. For the rest one is inspected.
// One that is being removed is left out.
func (e *Engine) ListContainers(ctx context.Context) ([]fleet.Container, error) {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	summaries, err := e.client.ContainerList(call, container.ListOptions{All: true, Filters: e.ours()})
	if err != nil {
		return nil, e.translate(ctx, "list containers", err)
	}
	node, err := e.Node(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]fleet.Container, 0, len(summaries))
	for _, s := range summaries {
		if c := summarised(s, node); c.State != fleet.ContainerGone {
			list = append(list, c)
		}
	}
	return list, nil
}

// started asks, over a new connection, when the engine was started; the zero time
// if it doesn't tell, because it has no default network.
//
// An engine that is being stopped goes on answering over the connections that it
// has, so the containers that it stops are seen to exit while it is still the old
// one; but it takes no new connection from before the first of them stops. So the
// question goes over a new one, after an exit was seen: it fails, or the next engine
// answers it.
func (e *Engine) started(ctx context.Context) (time.Time, error) {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	n, err := e.fresh.NetworkInspect(call, bridge, network.InspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return time.Time{}, nil
	}
	return n.Created, e.translate(ctx, "tell when the engine was started", err)
}

// endedWithEngine reports whether a container has exited because the engine was
// stopped or restarted, or the machine with it: its run began before the engine's
// present start, and did not outlive that.
func endedWithEngine(c fleet.Container, start time.Time) bool {
	return c.State == fleet.ContainerExited && !start.IsZero() && !c.StartedAt.IsZero() &&
		c.StartedAt.Before(start) && !c.FinishedAt.After(start.Add(endGrace))
}

// ours selects what belongs to this installation.
func (e *Engine) ours(labels ...string) filters.Args {
	args := filters.NewArgs(filters.Arg("label", fleet.LabelInstallation+"="+e.installation))
	for _, l := range labels {
		args.Add("label", l)
	}
	return args
}

func labelled(labels map[string]string) fleet.Container {
	epoch, _ := strconv.ParseInt(labels[fleet.LabelEpoch], 10, 64)
	return fleet.Container{
		InstanceID:   labels[fleet.LabelInstance],
		DefinitionID: labels[fleet.LabelDefinition],
		DeploymentID: labels[fleet.LabelDeployment],
		Environment:  labels[fleet.LabelEnvironment],
		Epoch:        epoch,
	}
}

// summarised is what a listing tells about a container.
func summarised(s container.Summary, node string) fleet.Container {
	c := labelled(s.Labels)
	c.ID, c.Node, c.State = s.ID, node, stateOf(s.State)
	if len(s.Names) > 0 {
		c.Name = strings.TrimPrefix(s.Names[0], "/")
	}
	c.CreatedAt = time.Unix(s.Created, 0).UTC()
	return c
}

// inspected is all that the engine tells about a container.
func inspected(found container.InspectResponse, node string) fleet.Container {
	c := labelled(found.Config.Labels)
	c.ID, c.Node = found.ID, node
	c.Name = strings.TrimPrefix(found.Name, "/")
	c.CreatedAt = engineTime(found.Created)
	if s := found.State; s != nil {
		c.State = stateOf(s.Status)
		c.ExitCode, c.OOMKilled, c.Error = s.ExitCode, s.OOMKilled, s.Error
		c.StartedAt, c.FinishedAt = engineTime(s.StartedAt), engineTime(s.FinishedAt)
		if s.Running && !c.StartedAt.After(c.FinishedAt) {
			// An engine that died while it started the container hears of its process
			// and of nothing else: it runs without a start, and without a network.
			c.State = fleet.ContainerCreated
		}
	}
	c.Ports = publishedPorts(found)
	if found.NetworkSettings != nil {
		c.IPAddress = address(found.NetworkSettings.Networks, found.Config.Labels[fleet.LabelNetwork])
	}
	return c
}

// stateOf reduces the engine's states to those that matter. Restarting cannot
// be, as no container has a restart policy; a dead one is a removal that failed.
func stateOf(status container.ContainerState) fleet.ContainerState {
	switch status {
	case container.StateCreated:
		return fleet.ContainerCreated
	case container.StateRunning:
		return fleet.ContainerRunning
	case container.StatePaused:
		return fleet.ContainerPaused
	case container.StateRemoving:
		return fleet.ContainerGone
	default:
		return fleet.ContainerExited
	}
}

// engineTime reads a time of the engine, whose year 1 means never.
func engineTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t.UTC()
}

// publishedPorts are the ports as they are bound now; of a container that does
// not run, as they will be.
func publishedPorts(found container.InspectResponse) map[int]int {
	if found.NetworkSettings != nil && found.State != nil && found.State.Running {
		return boundPorts(found.NetworkSettings.Ports)
	}
	if found.HostConfig != nil {
		return boundPorts(found.HostConfig.PortBindings)
	}
	return map[int]int{}
}

// address is the container's address on its first network, or else on the
// first in alphabetical order that gives it one.
func address(networks map[string]*network.EndpointSettings, primary string) string {
	names := append([]string{primary}, slices.Sorted(maps.Keys(networks))...)
	for _, name := range names {
		n := networks[name]
		switch {
		case n == nil:
		case n.IPAddress != "":
			return n.IPAddress
		case n.GlobalIPv6Address != "":
			return n.GlobalIPv6Address
		}
	}
	return ""
}
