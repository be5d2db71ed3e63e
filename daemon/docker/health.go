package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// maxOutput bounds, in bytes, what is kept of the output of a health command.
	maxOutput = 4 << 10
	// endTimeout bounds what is done about a command whose time has run out.
	endTimeout = 5 * time.Second
	// endPause is the time between two looks at whether a command has ended.
	endPause = 10 * time.Millisecond
	// cannotExec begins what the engine says of a command that it could not begin.
	cannotExec = "OCI runtime exec failed"
)

// RunCommand runs a command inside a running container, without a shell, and
// returns what has become of it when it has ended or the context has. A command
// that has not ended by then is killed, if the engine runs on this machine and
// this process may do so; the engine itself has no means to end one. Until such a
// command is gone no other is begun in its container.
func (e *Engine) RunCommand(ctx context.Context, containerID string, command []string) (fleet.CommandResult, error) {
	if busy, err := e.commandRuns(ctx, containerID); err != nil || busy {
		return fleet.CommandResult{Busy: busy}, err
	}
	made, err := e.client.ContainerExecCreate(ctx, containerID, container.ExecOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return fleet.CommandResult{}, e.translate(ctx, "prepare command", err)
	}
	stream, err := e.startCommand(ctx, made.ID)
	if missing := new(missingError); errors.As(err, missing) {
		return fleet.CommandResult{Missing: true, Output: missing.text}, nil
	}
	if err != nil {
		if lost(err) { // the engine may have begun it all the same, or be about to
			_, _ = e.endLate(ctx, containerID, made.ID)
		}
		return fleet.CommandResult{}, e.translate(ctx, "start command", err)
	}
	defer func() { _ = stream.Close() }()
	var out head
	_, _ = stdcopy.StdCopy(&out, &out, stream) // it ends with the command, with the context, or with the engine, which the next call tells
	return e.commandResult(ctx, containerID, made.ID, out.String())
}

// missingError is what the engine says of a command that the container cannot run.
type missingError struct{ text string }

func (e missingError) Error() string { return e.text }

// startCommand begins a prepared command and returns its output. The engine's
// client would take the connection over, past the fence and without TLS; a plain
// request is answered with the same stream.
func (e *Engine) startCommand(ctx context.Context, id string) (io.ReadCloser, error) {
	host, err := client.ParseHostURL(e.client.DaemonHost())
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "http", Host: host.Host, Path: path.Join("/", host.Path, "v"+e.client.ClientVersion(), "exec", id, "start")}
	if host.Scheme != "tcp" {
		u.Path, u.Host = path.Join("/", "v"+e.client.ClientVersion(), "exec", id, "start"), client.DummyHost
	}
	if e.transport.base.TLSClientConfig != nil {
		u.Scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(`{"Detach":false,"Tty":false}`))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := e.client.HTTPClient().Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, startRefusal(res)
}

// startRefusal is the engine's reason not to begin a command.
func startRefusal(res *http.Response) error {
	var refusal struct {
		Message string `json:"message"`
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxOutput))
	if err != nil {
		return err
	}
	if json.Unmarshal(text, &refusal) != nil || refusal.Message == "" {
		refusal.Message = string(text)
	}
	switch {
	case strings.Contains(refusal.Message, cannotExec), strings.Contains(refusal.Message, "executable file not found"):
		return missingError{refusal.Message}
	case res.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w", refusal.Message, cerrdefs.ErrNotFound)
	case res.StatusCode == http.StatusConflict:
		return fmt.Errorf("%s: %w", refusal.Message, cerrdefs.ErrConflict)
	}
	return errors.New(refusal.Message)
}

// head keeps the first maxOutput bytes that are written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := maxOutput - h.Len(); room > 0 {
		_, _ = h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// commandResult tells what has become of a command whose output has ended, or
// whose time has run out.
func (e *Engine) commandResult(ctx context.Context, containerID, id, output string) (fleet.CommandResult, error) {
	found, err := e.awaitCommand(ctx, id, hasEnded)
	if ctx.Err() != nil && (err != nil || !hasEnded(found)) {
		if found, err = e.endLate(ctx, containerID, id); err == nil && found.Running {
			return fleet.CommandResult{TimedOut: true, Output: output}, nil
		}
	}
	switch {
	case err != nil:
		return fleet.CommandResult{}, e.translate(context.WithoutCancel(ctx), "inspect command", err)
	case found.Pid == 0 && !strings.HasPrefix(output, cannotExec):
		return fleet.CommandResult{}, fleet.Errorf(fleet.ErrUnavailable, "start command: the Docker Engine at %s did not begin it in time", e.Host())
	}
	return fleet.CommandResult{ExitCode: found.ExitCode, Missing: strings.HasPrefix(output, cannotExec), Output: output}, nil
}

// endLate ends a command whose time has run out and returns how it was found. One
// that the engine has not begun yet is waited for: the engine cannot be told to
// forget it.
func (e *Engine) endLate(ctx context.Context, containerID, id string) (container.ExecInspect, error) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	found, err := e.awaitCommand(after, id, hasBegun)
	if err == nil && found.Running {
		e.endCommand(after, containerID, found)
	}
	return found, err
}

// hasBegun reports whether the engine knows a command's process, or will not begin it any more.
func hasBegun(x container.ExecInspect) bool { return x.Pid != 0 || hasEnded(x) }

// hasEnded reports whether a command has ended, or could not be begun.
func hasEnded(x container.ExecInspect) bool { return !x.Running && (x.Pid != 0 || x.ExitCode != 0) }

// awaitCommand waits until what the engine says of a command is as wanted, which
// may be a little after the command's output has ended, and returns the last that
// it said when ctx ends before.
func (e *Engine) awaitCommand(ctx context.Context, id string, wanted func(container.ExecInspect) bool) (container.ExecInspect, error) {
	ticker := time.NewTicker(endPause)
	defer ticker.Stop()
	var last container.ExecInspect
	for {
		found, err := e.client.ContainerExecInspect(ctx, id)
		switch {
		case err != nil && ctx.Err() != nil && last.ExecID != "":
			return last, nil
		case err != nil || wanted(found):
			return found, err
		}
		last = found
		select {
		case <-ctx.Done():
			return last, nil
		case <-ticker.C:
		}
	}
}

// commandRuns reports whether a command that has outlived its time still runs in
// a container, and tries again to end it.
func (e *Engine) commandRuns(ctx context.Context, containerID string) (bool, error) {
	e.unendedMu.Lock()
	id, ok := e.unended[containerID]
	e.unendedMu.Unlock()
	if !ok {
		return false, nil
	}
	found, err := e.client.ContainerExecInspect(ctx, id)
	switch {
	case cerrdefs.IsNotFound(err), err == nil && !found.Running:
		e.forgetCommand(containerID)
		return false, nil
	case err != nil:
		return false, e.translate(ctx, "inspect command", err)
	}
	return !e.endCommand(ctx, containerID, found), nil
}

// forgetCommand says that no command is left in a container.
func (e *Engine) forgetCommand(containerID string) {
	e.unendedMu.Lock()
	defer e.unendedMu.Unlock()
	delete(e.unended, containerID)
}

// endCommand kills a command with its process group, and reports whether it has
// ended; one that has not is remembered.
func (e *Engine) endCommand(ctx context.Context, containerID string, x container.ExecInspect) bool {
	if !e.unkind && e.ownsProcess(ctx, containerID, x.Pid) && syscall.Kill(-x.Pid, syscall.SIGKILL) == nil {
		if found, err := e.awaitCommand(ctx, x.ExecID, hasEnded); err == nil && !found.Running {
			e.forgetCommand(containerID)
			return true
		}
	}
	e.unendedMu.Lock()
	defer e.unendedMu.Unlock()
	e.unended[containerID] = x.ExecID
	return false
}

// ownsProcess reports whether a process that the engine names is one that this
// process sees under the same number, inside the container: it has the mounts of
// the container's first process, which are not those of this one. An engine on
// another machine, or in another PID namespace, names processes that are strangers here.
func (e *Engine) ownsProcess(ctx context.Context, containerID string, pid int) bool {
	if pid <= 1 || !strings.HasPrefix(e.client.DaemonHost(), "unix://") {
		return false
	}
	found, err := e.client.ContainerInspect(ctx, containerID)
	if err != nil || found.State == nil || found.State.Pid <= 1 {
		return false
	}
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return false
	}
	first, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", found.State.Pid))
	if err != nil || first == own {
		return false
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	return err == nil && its == first
}

// ImageHealth is what the engine says of the HEALTHCHECK of the container's image.
func (e *Engine) ImageHealth(ctx context.Context, containerID string) (fleet.ImageHealth, error) {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	found, err := e.client.ContainerInspect(call, containerID)
	if err != nil {
		return fleet.ImageHealth{}, e.translate(ctx, "inspect container", err)
	}
	if found.State == nil || !found.State.Running {
		return fleet.ImageHealth{}, fleet.Errorf(fleet.ErrConflict, "the container does not run")
	}
	h := found.State.Health
	if h == nil || h.Status == container.NoHealthcheck || h.Status == "" {
		return fleet.ImageHealth{Missing: true}, nil
	}
	verdict := fleet.ImageHealth{Health: fleet.HealthUnknown}
	switch h.Status {
	case container.Healthy:
		verdict.Health = fleet.HealthHealthy
	case container.Unhealthy:
		verdict.Health = fleet.HealthUnhealthy
	}
	if n := len(h.Log); n > 0 && h.Log[n-1] != nil {
		verdict.Output = h.Log[n-1].Output[:min(len(h.Log[n-1].Output), maxOutput)]
	}
	return verdict, nil
}
