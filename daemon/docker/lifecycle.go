package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// ambiguousTries bounds how often a start is tried while two networks have one name.
const ambiguousTries = 50

// isFleet reports whether the error has been translated already.
func isFleet(err error) bool {
	var e *fleet.Error
	return errors.As(err, &e)
}

// StartContainer starts the container unless it runs; a paused one goes on.
// ErrPortTaken, ErrRefused with the engine's reason, or ErrNotFound, also when
// the container can never start again, because its network is gone or the engine
// died while it was started: it is removed then, so that EnsureContainer makes another.
func (e *Engine) StartContainer(ctx context.Context, containerID string) error {
	if containerID == "" {
		return fleet.Errorf(fleet.ErrNotFound, "start container: the instance has none yet")
	}
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	err := e.start(call, containerID)
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "paused container"):
		return e.translate(ctx, "unpause container", e.client.ContainerUnpause(call, containerID))
	case unstartable(err):
		after, cancel := afterwards(ctx)
		defer cancel()
		if undo := e.RemoveContainer(after, containerID); undo != nil {
			return undo
		}
		return fleet.Errorf(fleet.ErrNotFound, "start container: %s; the container was removed", reason(err))
	case lost(err) || ctx.Err() != nil:
		return e.translate(ctx, "start container", err)
	default:
		return startError(err)
	}
}

// start starts a container, again while its network's name stands for two: see stepAside.
func (e *Engine) start(ctx context.Context, containerID string) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for tries := 1; ; tries++ {
		err := e.client.ContainerStart(ctx, containerID, container.StartOptions{})
		if err == nil || tries == ambiguousTries || !strings.Contains(err.Error(), "is ambiguous") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// unstartable reports whether the container itself is beyond repair.
func unstartable(err error) bool {
	text := err.Error()
	return cerrdefs.IsNotFound(err) && strings.Contains(text, "network ") ||
		strings.Contains(text, "is marked for removal") || halfStarted(text)
}

// halfStarted reports whether the container's identifier is in use already, below
// the engine: it died while it started the container, which runs somewhere or
// has left something, and the engine does not know. It says so in the words of
// its client of containerd, of containerd, or of runc.
func halfStarted(text string) bool {
	return strings.Contains(text, "id already in use") || strings.Contains(text, "container with given ID already exists") ||
		strings.Contains(text, "task ") && strings.Contains(text, "already exists")
}

// startError says why the engine could not start a container.
func startError(err error) error {
	text := reason(err)
	switch {
	case strings.Contains(text, "port is already allocated"), strings.Contains(text, "address already in use"),
		strings.Contains(text, "Ports are not available"):
		return fleet.Errorf(fleet.ErrPortTaken, "start container: another process holds the host port: %s", text)
	case cerrdefs.IsNotFound(err) && strings.Contains(text, "No such container"):
		return fleet.Errorf(fleet.ErrNotFound, "start container: %s", text)
	case commandFault(text):
		return fleet.FieldErrorf(fleet.ErrRefused, "runtime_config", "the container's command cannot be run: %s; check entrypoint, command and user against the image", text)
	case strings.Contains(text, "error mounting"), strings.Contains(text, "error while creating mount source path"),
		strings.Contains(text, "not a directory"):
		return fleet.FieldErrorf(fleet.ErrRefused, "volume_mounts", "a volume cannot be mounted: %s", text)
	case kindOf(err) != nil, strings.Contains(err.Error(), "OCI runtime create failed"):
		return fleet.Errorf(fleet.ErrRefused, "start container: %s", text)
	default:
		return fmt.Errorf("start container: %s", text)
	}
}

// commandFault reports whether the image has no such program or user.
func commandFault(text string) bool {
	return strings.Contains(text, "exec: ") || strings.HasPrefix(text, "exec ") ||
		strings.Contains(text, "no command specified") || strings.Contains(text, "No command specified") ||
		strings.Contains(text, "unable to find user") || strings.Contains(text, "unable to find group") ||
		strings.Contains(text, "no matching entries in passwd file") || strings.Contains(text, "no users found")
}

// ResizeContainer changes what the container may use, running or not. An engine
// refuses a memory limit below what it uses (ErrRefused).
func (e *Engine) ResizeContainer(ctx context.Context, containerID string, r fleet.Resources) error {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	memory := r.MemoryBytes()
	_, err := e.client.ContainerUpdate(call, containerID, container.UpdateConfig{Resources: container.Resources{
		NanoCPUs: r.NanoCPUs(), Memory: memory, MemorySwap: memory,
	}})
	switch {
	case err == nil:
		return nil
	case cerrdefs.IsNotFound(err):
		return fleet.Errorf(fleet.ErrNotFound, "resize container: %s", reason(err))
	case lost(err) || ctx.Err() != nil:
		return e.translate(ctx, "resize container", err)
	default:
		return fleet.Errorf(fleet.ErrRefused, "resize container to cpu %s, memory %s: %s", r.CPU, r.Memory, reason(err))
	}
}

// StopContainer asks the container to stop, waits timeoutSeconds and kills it
// then; force kills at once. One that does not run or does not exist is no error.
func (e *Engine) StopContainer(ctx context.Context, containerID string, timeoutSeconds int, force bool) error {
	if containerID == "" {
		return nil
	}
	if force {
		return e.kill(ctx, containerID)
	}
	if timeoutSeconds < 0 {
		timeoutSeconds = 0
	}
	call, cancel := bounded(ctx, time.Duration(timeoutSeconds)*time.Second+callTimeout)
	defer cancel()
	err := e.client.ContainerStop(call, containerID, container.StopOptions{Timeout: &timeoutSeconds})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return e.translate(ctx, "stop container", err)
}

// kill ends the container and returns when it has ended.
func (e *Engine) kill(ctx context.Context, containerID string) error {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	ended, failed := e.client.ContainerWait(call, containerID, container.WaitConditionNotRunning)
	err := e.client.ContainerKill(call, containerID, "SIGKILL")
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) && strings.Contains(err.Error(), "is not running") {
		return nil
	}
	if err != nil {
		return e.translate(ctx, "kill container", err)
	}
	select {
	case <-ended:
		return nil
	case err := <-failed:
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		return e.translate(ctx, "kill container", err)
	}
}

// RemoveContainer removes the container with its anonymous volumes, running or
// not, and returns when the engine has forgotten it. One that does not exist is
// no error.
func (e *Engine) RemoveContainer(ctx context.Context, containerID string) error {
	if containerID == "" {
		return nil
	}
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	e.forgetCommand(containerID)
	err := e.client.ContainerRemove(call, containerID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case err == nil, cerrdefs.IsNotFound(err):
		return nil
	case cerrdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress"):
		return e.awaitRemoval(ctx, call, containerID)
	default:
		return e.translate(ctx, "remove container", err)
	}
}

// awaitRemoval waits for the removal that somebody else has begun.
func (e *Engine) awaitRemoval(ctx, call context.Context, containerID string) error {
	removed, failed := e.client.ContainerWait(call, containerID, container.WaitConditionRemoved)
	select {
	case <-removed:
		return nil
	case err := <-failed:
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		return e.translate(ctx, "remove container", err)
	}
}
