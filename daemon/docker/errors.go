package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// translate turns an error of the engine's client into one of package fleet.
// The action, such as "stop container", begins the message. A caller that gave up
// gets its context's error; one whose time ran out learns that the engine was too
// slow for it.
func (e *Engine) translate(ctx context.Context, action string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", action, ctx.Err())
	}
	if ctx.Err() != nil {
		return e.unavailable(ctx.Err())
	}
	if lost(err) {
		return e.unavailable(err)
	}
	kind := kindOf(err)
	if kind == nil {
		return fmt.Errorf("%s: %s", action, reason(err))
	}
	return fleet.Errorf(kind, "%s: %s", action, reason(err))
}

// kindOf is the sentinel for the class that the engine gave its error, nil for
// an internal error, of which only the message tells what it is.
func kindOf(err error) error {
	switch {
	case cerrdefs.IsNotFound(err):
		return fleet.ErrNotFound
	case cerrdefs.IsConflict(err):
		return fleet.ErrConflict
	case cerrdefs.IsInvalidArgument(err), cerrdefs.IsPermissionDenied(err), cerrdefs.IsNotImplemented(err):
		return fleet.ErrRefused
	case cerrdefs.IsUnavailable(err):
		return fleet.ErrUnavailable
	default:
		return nil
	}
}

// lost reports whether the engine gave no answer at all.
func lost(err error) bool {
	var network net.Error
	return client.IsErrConnectionFailed(err) ||
		errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network)
}

func (e *Engine) unavailable(err error) error {
	text := err.Error()
	var refused *fleet.Error
	switch {
	case errors.As(err, &refused):
		return refused // by the fence: nothing was sent
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("call engine: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fleet.Errorf(fleet.ErrUnavailable, "the Docker Engine at %s did not answer in time; check that it is not overloaded or hung", e.Host())
	case strings.Contains(text, "permission denied"):
		return fleet.Errorf(fleet.ErrUnavailable, "wedsyncd may not use the Docker Engine at %s; run it as root or as a member of the group docker", e.Host())
	case strings.Contains(text, "too old") || strings.Contains(text, "too new"):
		return fleet.Errorf(fleet.ErrUnavailable, "the Docker Engine at %s speaks another API version than wedsyncd; Engine 20.10 or newer is needed: %s", e.Host(), reason(err))
	default:
		return fleet.Errorf(fleet.ErrUnavailable, "the Docker Engine at %s cannot be reached; check that Docker runs and that DOCKER_HOST is right", e.Host())
	}
}

// noise is what engine, shim and runtime put in front of the reason proper.
var noise = regexp.MustCompile(`^(?:Error response from daemon|failed to create shim task|failed to create shim|` +
	`failed to create task for container|OCI runtime create failed|runc create failed|runc did not terminate successfully|` +
	`container_linux\.go:\d+|process_linux\.go:\d+|rootfs_linux\.go:\d+|unable to start container process|` +
	`starting container process caused|container init caused|error during container init|exit status \d+|` +
	`driver failed programming external connectivity on endpoint [^:]*|` +
	`failed to set up container networking|invalid mount config for type "[a-z]+"): ?`)

// reason is the part of an engine error that tells a person something.
func reason(err error) string {
	text := strings.TrimSpace(err.Error())
	for {
		shorter := noise.ReplaceAllString(text, "")
		if shorter == text || shorter == "" {
			break
		}
		text = shorter
	}
	text = strings.ReplaceAll(strings.TrimSuffix(text, ": unknown"), ": unknown: ", ": ")
	const longest = 1000
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
