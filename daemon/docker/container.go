package docker

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// namePatience bounds the wait for a name that the engine has given to a
	// container that it is still creating for an earlier call, or still removing.
	namePatience = 15 * time.Second
	namePause    = 50 * time.Millisecond
)

// EnsureContainer creates the instance's container on its networks, or adopts
// the one that an earlier call created under the same name. It does not pull.
func (e *Engine) EnsureContainer(ctx context.Context, spec fleet.ContainerSpec) (string, []string, error) {
	if err := checkIsolation(spec); err != nil {
		return "", nil, err
	}
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()

	e.joining.RLock()
	defer e.joining.RUnlock()
	networks, err := e.networksOf(call, spec)
	if err != nil {
		return "", nil, err
	}
	until := time.Now().Add(namePatience)
	for {
		id, warnings, err := e.create(call, spec, networks)
		if !cerrdefs.IsConflict(err) {
			return id, warnings, e.createError(ctx, spec, err)
		}
		id, err = e.adopt(call, spec, networks)
		if err != nil || id != "" {
			return id, nil, e.createError(ctx, spec, err)
		}
		if time.Now().After(until) {
			return "", nil, fleet.Errorf(fleet.ErrUnavailable, "create container %s: the engine is still busy with an earlier container of that name", spec.Instance.Name)
		}
		select {
		case <-time.After(namePause):
		case <-call.Done():
			return "", nil, e.createError(ctx, spec, call.Err())
		}
	}
}

// networksOf makes sure of the networks that the container joins, the first one first.
func (e *Engine) networksOf(ctx context.Context, spec fleet.ContainerSpec) ([]engineNetwork, error) {
	if len(spec.Networks) == 0 {
		n, err := e.defaultNetwork(ctx, spec.Instance.Environment)
		if err != nil {
			return nil, err
		}
		return []engineNetwork{n}, nil
	}
	list := make([]engineNetwork, 0, len(spec.Networks))
	for _, n := range spec.Networks {
		found, err := e.namedNetwork(ctx, n)
		if err != nil {
			return nil, err
		}
		list = append(list, found)
	}
	return list, nil
}

// create makes the container and connects it to all networks, or leaves nothing.
func (e *Engine) create(ctx context.Context, spec fleet.ContainerSpec, networks []engineNetwork) (string, []string, error) {
	config := containerConfig(spec, e.installation, networks[0])
	host := hostConfig(spec, e.installation, networks[0])
	joined := networkingConfig(spec, networks[0])

	var warnings []string
	made, err := e.client.ContainerCreate(ctx, config, host, joined, nil, spec.Instance.Name)
	if err != nil && host.StorageOpt != nil && refusesStorage(err) {
		warnings = append(warnings, fmt.Sprintf("the storage limit %s is not enforced: %s", spec.Spec.Resources.Storage, reason(err)))
		host.StorageOpt = nil
		made, err = e.client.ContainerCreate(ctx, config, host, joined, nil, spec.Instance.Name)
	}
	if err != nil {
		return "", nil, err
	}
	warnings = append(warnings, made.Warnings...)
	if err := e.connect(ctx, made.ID, spec, networks[1:]); err != nil {
		after, cancel := afterwards(ctx)
		defer cancel()
		if undo := e.RemoveContainer(after, made.ID); undo != nil {
			e.log.Warn("container left half made", "container", made.ID, "instance", spec.Instance.ID, "error", undo)
		}
		return "", nil, err
	}
	return made.ID, warnings, nil
}

// refusesStorage reports whether a creation failed for the limit of the writable
// layer alone. Each storage driver words that in its own way, but all name the option.
func refusesStorage(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "storage-opt") || strings.Contains(text, "storage opt") || strings.Contains(text, "quota")
}

func (e *Engine) connect(ctx context.Context, id string, spec fleet.ContainerSpec, networks []engineNetwork) error {
	for _, n := range networks {
		if err := e.client.NetworkConnect(ctx, n.ID, id, endpoint(spec)); err != nil && !alreadyConnected(err) {
			return fmt.Errorf("connect network %s: %w", n.Name, err)
		}
	}
	return nil
}

func alreadyConnected(err error) bool {
	return strings.Contains(err.Error(), "already exists in network") || strings.Contains(err.Error(), "already attached to network")
}

// adopt returns the container that holds the instance's name, if it is the
// instance's own and still fits. An unusable one of the instance is removed and
// the id is empty; a container of somebody else is an error.
func (e *Engine) adopt(ctx context.Context, spec fleet.ContainerSpec, networks []engineNetwork) (string, error) {
	found, err := e.client.ContainerInspect(ctx, spec.Instance.Name)
	if cerrdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	labels := found.Config.Labels
	if labels[fleet.LabelInstance] != spec.Instance.ID || labels[fleet.LabelInstallation] != e.installation {
		return "", fleet.Errorf(fleet.ErrRefused, "the container name %s is taken by %s; rename or remove that container", spec.Instance.Name, owner(found.ID, labels))
	}
	if !reusable(found, spec, networks[0]) {
		return "", e.RemoveContainer(ctx, found.ID)
	}
	return found.ID, e.connect(ctx, found.ID, spec, missing(found, networks[1:]))
}

// owner says who has a container, for a person who has to find it.
func owner(id string, labels map[string]string) string {
	who := "container " + id[:min(12, len(id))]
	switch {
	case labels[fleet.LabelInstallation] != "":
		return who + " of the wedsyncd installation " + labels[fleet.LabelInstallation]
	case labels["com.docker.compose.project"] != "":
		return who + " of the Compose project " + labels["com.docker.compose.project"]
	default:
		return who + ", which wedsyncd did not create"
	}
}

// reusable reports whether a container can serve as the instance's: it runs, or
// it can be started as the specification has it now. Host ports change when a
// foreign process took one, and a network that was removed and made again has
// another id.
func reusable(found container.InspectResponse, spec fleet.ContainerSpec, primary engineNetwork) bool {
	if found.State == nil || found.State.Dead || found.State.Status == container.StateRemoving {
		return false
	}
	if found.State.Running {
		return true
	}
	return string(found.HostConfig.NetworkMode) == primary.ID &&
		maps.Equal(boundPorts(found.HostConfig.PortBindings), spec.Instance.Ports)
}

func boundPorts(bindings nat.PortMap) map[int]int {
	ports := map[int]int{}
	for inside, outside := range bindings {
		for _, b := range outside {
			n, _ := strconv.Atoi(b.HostPort)
			ports[inside.Int()] = n
		}
	}
	return ports
}

// missing are the networks that the container has not joined.
func missing(found container.InspectResponse, networks []engineNetwork) []engineNetwork {
	var list []engineNetwork
	var joined map[string]*network.EndpointSettings
	if found.NetworkSettings != nil {
		joined = found.NetworkSettings.Networks
	}
	for _, n := range networks {
		if joined[n.Name] == nil {
			list = append(list, n)
		}
	}
	return list
}

// createError translates an error of creating or adopting.
func (e *Engine) createError(ctx context.Context, spec fleet.ContainerSpec, err error) error {
	switch {
	case err == nil:
		return nil
	case isFleet(err):
		return err
	case cerrdefs.IsNotFound(err) && strings.Contains(strings.ToLower(err.Error()), "no such image"):
		return fleet.FieldErrorf(fleet.ErrImageNotFound, "image_name", "the engine does not have the image %s; it may have been pruned, so deploy again", spec.Instance.ImageDigest)
	case cerrdefs.IsNotFound(err):
		return fleet.Errorf(fleet.ErrRefused, "create container %s: %s", spec.Instance.Name, reason(err))
	case strings.Contains(err.Error(), "bind source path does not exist"):
		_, source, _ := strings.Cut(reason(err), "does not exist: ")
		return fleet.FieldErrorf(fleet.ErrRefused, "volume_mounts", "the host directory %s does not exist; create it on the machine, or name a volume instead", source)
	default:
		return e.translate(ctx, "create container "+spec.Instance.Name, err)
	}
}
