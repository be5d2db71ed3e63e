package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// portTries bounds how many host ports are tried for one container port.
	portTries = 5
	// tailLines is how many of its last lines a failed instance leaves in the deployment's errors.
	tailLines = 20
	// maxErrors bounds the errors stored with a deployment.
	maxErrors = 10
)

// executor does steps. Each may be done twice without harm.
type executor struct {
	store   Store
	engine  Engine
	log     *slog.Logger
	starts  chan struct{} // bounds the containers that are created or started at once, over all workloads
	stops   chan struct{} // bounds those that are stopped or removed at once
	started func()
	epoch   int64
}

// decide does the steps that only write rows, in their order, and reports
// whether it has written any.
func (x *executor) decide(ctx context.Context, state fleet.WorkloadState, steps []Step) (wrote bool, err error) {
	var additions []Step
	for _, s := range steps {
		switch s.Kind {
		case StepKeep:
			err = x.keep(ctx, state, s.Instance)
		case StepDrain:
			err = x.drain(ctx, s.Instance)
		case StepAdd:
			additions = append(additions, s)
		case StepSetWeight:
			err = x.setWeight(ctx, state, s.Weight)
		case StepComplete:
			err = x.complete(ctx, state)
		case StepFail:
			err = x.fail(ctx, state, s)
		default:
			continue
		}
		if err != nil {
			return wrote, fmt.Errorf("%s: %w", s, err)
		}
		wrote = true
	}
	if err := x.add(ctx, state, additions); err != nil {
		return wrote, fmt.Errorf("%s: %w", StepAdd, err)
	}
	return wrote, nil
}

// work is what a step asks of the engine: what it is about, so that no two ever
// work on the same, how many of its kind may go on at once, and what to do. It is
// nil for a step that asks nothing.
func (x *executor) work(state fleet.WorkloadState, s Step) (about string, slots chan struct{}, do func(context.Context) error) {
	switch s.Kind {
	case StepPull:
		return "image " + state.Target.ImageDigest, nil, func(ctx context.Context) error { return x.pull(ctx, state) }
	case StepCreate, StepStart, StepRestart, StepResize:
		return s.Instance.ID, x.starts, func(ctx context.Context) error { return x.one(ctx, state, s) }
	case StepStop, StepRemove:
		return s.Instance.ID, x.stops, func(ctx context.Context) error { return x.one(ctx, state, s) }
	default:
		return "", nil, nil
	}
}

// one does a step on a single instance.
func (x *executor) one(ctx context.Context, state fleet.WorkloadState, s Step) error {
	switch s.Kind {
	case StepCreate:
		return x.create(ctx, state, s.Instance, 0)
	case StepStart:
		return x.start(ctx, state, s.Instance, 0)
	case StepRestart:
		if due, err := x.condemned(ctx, state, s); err != nil || !due {
			return err
		}
		if err := x.engine.StopContainer(ctx, s.Instance.ContainerID, stopTimeout(state, s.Instance), s.Instance.Force); err != nil {
			return err
		}
		return x.start(ctx, state, s.Instance, 0)
	case StepResize:
		return x.resize(ctx, state, s.Instance)
	case StepStop:
		if due, err := x.condemned(ctx, state, s); err != nil || !due {
			return err
		}
		return x.stop(ctx, state, s.Instance)
	default:
		return x.remove(ctx, state, s)
	}
}

// condemned reports whether a run may be ended. One that is to end because it is
// unhealthy is counted first; it goes on when it has recovered or ended meanwhile,
// and while the engine does not answer.
func (x *executor) condemned(ctx context.Context, state fleet.WorkloadState, s Step) (bool, error) {
	if !ill(s.Instance) {
		return true, nil
	}
	if fresh, err := x.upToDate(ctx, state, s.Instance); err != nil || !fresh {
		return false, err
	}
	due := false
	_, err := x.store.UpdateInstance(ctx, s.Instance.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		if due = ill(*row) && row.StartedAt.Equal(*s.Instance.StartedAt); !due {
			return nil, nil
		}
		return observeIll(row, s.Reason), nil
	})
	return due && err == nil, err
}

// pull makes the target's image available, whatever number of replicas wants it,
// and notes that it is. One that cannot be had fails the deployment at once.
func (x *executor) pull(ctx context.Context, state fleet.WorkloadState) error {
	if err := x.ensureImage(ctx, *state.Target); err != nil {
		if permanent(err) {
			return x.fail(ctx, state, Step{Kind: StepFail, Reason: err.Error()})
		}
		return errors.Join(err, x.trouble(ctx, state, err))
	}
	now := time.Now().UTC()
	return x.end(ctx, state.Target.ID, func(row *fleet.Deployment) []fleet.Event {
		row.State.PulledAt, row.State.ProgressAt, row.State.Trouble = &now, &now, ""
		return nil
	})
}

func (x *executor) ensureImage(ctx context.Context, d fleet.Deployment) error {
	credentials, err := x.store.RegistryCredentials(ctx, d.DefinitionID)
	if err != nil && !errors.Is(err, fleet.ErrNotFound) {
		return fmt.Errorf("read registry credentials: %w", err)
	}
	return x.engine.EnsureImage(ctx, d.ImageDigest, credentials)
}

// trouble keeps the reason why the image takes so long, for those who wonder.
func (x *executor) trouble(ctx context.Context, state fleet.WorkloadState, cause error) error {
	if state.Target.State.Trouble == cause.Error() {
		return nil
	}
	return x.end(ctx, state.Target.ID, func(row *fleet.Deployment) []fleet.Event {
		row.State.Trouble = cause.Error()
		return nil
	})
}

// permanent reports whether repeating a call would change nothing.
func permanent(err error) bool {
	return errors.Is(err, fleet.ErrRefused) || errors.Is(err, fleet.ErrImageNotFound) || errors.Is(err, fleet.ErrPortTaken)
}

// keep makes an instance the target's, under the number that it has there.
func (x *executor) keep(ctx context.Context, state fleet.WorkloadState, i fleet.Instance) error {
	_, err := x.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		row.DeploymentID, row.DrainingSince, row.Replica = state.Target.ID, nil, i.Replica
		return nil, nil
	})
	return err
}

// drain takes an instance out of service.
func (x *executor) drain(ctx context.Context, i fleet.Instance) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	_, err := x.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		if row.DrainingSince == nil {
			row.DrainingSince = &now
		}
		return nil, nil
	})
	return err
}

// setWeight shifts requests between the old and the new replicas.
func (x *executor) setWeight(ctx context.Context, state fleet.WorkloadState, weight int) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return x.end(ctx, state.Target.ID, func(row *fleet.Deployment) []fleet.Event {
		row.State.Weight, row.State.WeightAt, row.State.ProgressAt = &weight, &now, &now
		e := deploymentEvent(*row, fleet.EventDeploymentShifted, "")
		e.Data["traffic_weight"] = weight
		return []fleet.Event{e}
	})
}

// add writes the intent to run new replicas. A rollout for which too few host
// ports are left fails at once.
func (x *executor) add(ctx context.Context, state fleet.WorkloadState, steps []Step) error {
	if len(steps) == 0 {
		return nil
	}
	instances := make([]fleet.Instance, len(steps))
	for k, s := range steps {
		instances[k] = newInstance(*state.Target, state.Limits, s.Instance.Replica)
	}
	_, err := x.store.AddInstances(ctx, instances)
	if permanent(err) && state.Target.Status == fleet.DeploymentInProgress {
		return x.fail(ctx, state, Step{Kind: StepFail, Instance: steps[0].Instance, Reason: err.Error()})
	}
	return err
}

// newInstance is the intent to run a replica of a deployment, with limits of its
// own where a policy has set some.
func newInstance(d fleet.Deployment, limits fleet.Resources, replica int) fleet.Instance {
	id := uuid.Must(uuid.NewV7()).String()
	i := fleet.Instance{
		ID:             id,
		DefinitionID:   d.DefinitionID,
		DefinitionName: d.Spec.Name,
		ServiceName:    d.Spec.ServiceName,
		DeploymentID:   d.ID,
		Environment:    d.Environment,
		Name:           fleet.InstanceName(d.Spec.Name, d.Environment, replica, id),
		ImageTag:       d.ImageTag,
		ImageDigest:    d.ImageDigest,
		Current:        fleet.StatusPending,
		Desired:        fleet.StatusRunning,
		Health:         fleet.HealthUnknown,
		Replica:        replica,
	}
	if granted := d.Spec.Resources.With(limits); granted != d.Spec.Resources {
		i.Limits = &granted
	}
	if d.Spec.Network.PublishPorts {
		i.Ports = make(map[int]int)
		for _, port := range d.Spec.Network.Ports {
			i.Ports[port] = 0
		}
	}
	return i
}

// errHalfStarted is why a container that was started and does not run is made anew.
var errHalfStarted = errors.New("the engine ended while it started the container, which is made anew")

// create makes the instance's container and starts it. What the engine refuses
// for good makes the instance failed. tries counts the host ports that were taken.
func (x *executor) create(ctx context.Context, state fleet.WorkloadState, i fleet.Instance, tries int) error {
	d, ok := state.Deployments[i.DeploymentID]
	if !ok {
		return fmt.Errorf("deployment %s is unknown: %w", i.DeploymentID, fleet.ErrNotFound)
	}
	networks, err := joined(d.Spec, state.Networks, i.Environment)
	if err != nil {
		return x.refused(ctx, i, err)
	}
	if i.Limits != nil {
		d.Spec.Resources = *i.Limits
	}
	spec := fleet.ContainerSpec{Instance: i, Spec: d.Spec, Networks: networks, Epoch: x.epoch}
	id, warnings, err := x.engine.EnsureContainer(ctx, spec)
	if errors.Is(err, fleet.ErrImageNotFound) { // somebody has pruned it
		if err = x.ensureImage(ctx, d); err == nil {
			id, warnings, err = x.engine.EnsureContainer(ctx, spec)
		}
	}
	if err != nil {
		return x.refused(ctx, i, err)
	}
	for _, w := range warnings {
		x.log.Warn("the engine warned about a container", "instance", i.Name, "warning", w)
	}
	i.ContainerID = id
	return x.start(ctx, state, i, tries)
}

// joined are the networks that an instance joins, in order.
func joined(s fleet.Spec, networks map[string]fleet.Network, environment string) ([]fleet.Network, error) {
	var list []fleet.Network
	for _, names := range [][]string{s.Network.InternalNetworks, s.Network.ExternalNetworks} {
		for _, name := range names {
			n, ok := networks[name]
			if !ok {
				return nil, fleet.Errorf(fleet.ErrRefused, "environment %s has no network %q", environment, name)
			}
			list = append(list, n)
		}
	}
	return list, nil
}

// start starts the instance's container and writes what has become of it. A
// host port that a foreign process holds is exchanged for another.
func (x *executor) start(ctx context.Context, state fleet.WorkloadState, i fleet.Instance, tries int) error {
	err := x.engine.StartContainer(ctx, i.ContainerID)
	switch {
	case errors.Is(err, fleet.ErrNotFound):
		return x.gone(ctx, state, i, err)
	case errors.Is(err, fleet.ErrPortTaken) && len(i.Ports) > 0:
		return x.otherPorts(ctx, state, i, tries, err)
	case err != nil:
		return x.refused(ctx, i, err)
	}
	c, err := x.engine.InspectContainer(ctx, i.ContainerID)
	if err != nil {
		return err
	}
	if c.State == fleet.ContainerCreated {
		if err := x.engine.RemoveContainer(ctx, i.ContainerID); err != nil {
			return err
		}
		return x.gone(ctx, state, i, errHalfStarted)
	}
	if err := x.record(ctx, state, i, c); err != nil {
		return err
	}
	x.started()
	return nil
}

// gone writes that the instance's container is no more, so that another is made,
// and returns why, so that an engine that loses every container has pauses.
func (x *executor) gone(ctx context.Context, state fleet.WorkloadState, i fleet.Instance, why error) error {
	return errors.Join(why, x.record(ctx, state, i, fleet.Container{ID: i.ContainerID, State: fleet.ContainerGone, Error: why.Error()}))
}

// record writes what the engine says of an instance's container.
func (x *executor) record(ctx context.Context, state fleet.WorkloadState, i fleet.Instance, c fleet.Container) error {
	checked := hasCheck(state, i)
	_, err := x.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		if row.ContainerID == "" && c.State == fleet.ContainerGone {
			row.ContainerID = c.ID
		}
		return Observe(row, c, checked, time.Now()), nil
	})
	return err
}

// otherPorts removes the container, leases other host ports and creates it anew
// with them, a bounded number of times.
func (x *executor) otherPorts(ctx context.Context, state fleet.WorkloadState, i fleet.Instance, tries int, cause error) error {
	if tries >= portTries {
		return x.refused(ctx, i, cause)
	}
	if err := x.engine.RemoveContainer(ctx, i.ContainerID); err != nil {
		return err
	}
	i.ContainerID, i.Ports = "", maps.Clone(i.Ports)
	for port := range i.Ports {
		host, err := x.store.ReleasePort(ctx, i.ID, port)
		if err != nil {
			return x.refused(ctx, i, fmt.Errorf("lease another host port: %w", err))
		}
		i.Ports[port] = host
	}
	return x.create(ctx, state, i, tries+1)
}

// refused gives a permanent failure to the instance; any other error goes back,
// to be tried again, and is only noted.
func (x *executor) refused(ctx context.Context, i fleet.Instance, cause error) error {
	if !permanent(cause) {
		return errors.Join(cause, x.note(ctx, i, cause))
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	_, err := x.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		row.ContainerID, row.Current, row.Error = i.ContainerID, fleet.StatusFailed, cause.Error()
		row.RecentExits = remembered(row.RecentExits, now)
		e := event(*row, fleet.EventFailed, nil)
		e.Error = row.Error
		return []fleet.Event{e}, nil
	})
	return err
}

// note keeps the reason why a step has to be repeated, for those who wonder what takes so long.
func (x *executor) note(ctx context.Context, i fleet.Instance, cause error) error {
	if ctx.Err() != nil || errors.Is(cause, fleet.ErrUnavailable) {
		return nil //nolint:nilerr // the cause passes by itself
	}
	_, err := x.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		row.Error = cause.Error()
		return nil, nil
	})
	return err
}

func (x *executor) stop(ctx context.Context, state fleet.WorkloadState, i fleet.Instance) error {
	if i.ContainerID == "" {
		_, err := x.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
			row.Current = fleet.StatusStopped
			return []fleet.Event{event(*row, fleet.EventStopped, nil)}, nil
		})
		return err
	}
	if err := x.engine.StopContainer(ctx, i.ContainerID, stopTimeout(state, i), i.Force); err != nil {
		return err
	}
	c, err := x.engine.InspectContainer(ctx, i.ContainerID)
	if err != nil {
		return err
	}
	return x.record(ctx, state, i, c)
}

// remove stops and removes the instance's container, under its name where a
// crash kept its id from being written, and ends the instance.
func (x *executor) remove(ctx context.Context, state fleet.WorkloadState, s Step) error {
	i := s.Instance
	container := i.ContainerID
	if container == "" {
		container = i.Name
	}
	if err := x.engine.StopContainer(ctx, container, stopTimeout(state, i), i.Force); err != nil {
		return err
	}
	if err := x.engine.RemoveContainer(ctx, container); err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	_, err := x.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		if row.Current == fleet.StatusTerminated {
			return nil, nil
		}
		row.Current, row.Desired = fleet.StatusTerminated, fleet.StatusTerminated
		row.IPAddress, row.Health, row.HealthySince, row.SettledAt, row.StoppedAt = "", fleet.HealthUnknown, nil, nil, &now
		return []fleet.Event{event(*row, fleet.EventTerminated, map[string]any{"reason": s.Reason})}, nil
	})
	return err
}

// resize changes what a running container may use, and writes what it may now.
func (x *executor) resize(ctx context.Context, state fleet.WorkloadState, i fleet.Instance) error {
	own := state.Deployments[i.DeploymentID].Spec.Resources
	granted := granted(state, i)
	if err := x.engine.ResizeContainer(ctx, i.ContainerID, granted); err != nil {
		return err
	}
	_, err := x.store.UpdateInstance(ctx, i.ID, func(row *fleet.Instance) ([]fleet.Event, error) {
		if row.Limits = nil; granted != own {
			row.Limits = &granted
		}
		return []fleet.Event{event(*row, fleet.EventResized, map[string]any{"cpu": granted.CPU, "memory": granted.Memory})}, nil
	})
	return err
}

// stopTimeout is the grace in seconds between the stop signal and the kill.
func stopTimeout(state fleet.WorkloadState, i fleet.Instance) int {
	if d, ok := state.Deployments[i.DeploymentID]; ok && d.Spec.Runtime.StopTimeout > 0 {
		return d.Spec.Runtime.StopTimeout
	}
	return fleet.DefaultStopTimeout
}
