package docker

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/containerd/errdefs"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Messages of the real engines, 20.10 to 28.
func TestReason(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"plain":       {"Error response from daemon: No such container: x", "No such container: x"},
		"runc of old": {`Error response from daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "/nope": stat /nope: no such file or directory: unknown`, `exec: "/nope": stat /nope: no such file or directory`},
		"runc now":    {`Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "/nope": no such file or directory: unknown`, `exec: "/nope": no such file or directory`},
		"port":        {"Error response from daemon: driver failed programming external connectivity on endpoint demo-1 (7e2d): Bind for 127.0.0.1:80 failed: port is already allocated", "Bind for 127.0.0.1:80 failed: port is already allocated"},
		"port now":    {"Error response from daemon: failed to set up container networking: driver failed programming external connectivity on endpoint demo-1 (7e2d): Bind for 127.0.0.1:80 failed: port is already allocated", "Bind for 127.0.0.1:80 failed: port is already allocated"},
		"inner":       {"Error response from daemon: not a directory: unknown: Are you sure?", "not a directory: Are you sure?"},
		"own words":   {"something else", "something else"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := reason(errors.New(tt.text)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if got := reason(errors.New(strings.Repeat("é", 2000))); len(got) > 1100 || !utf8.ValidString(got) {
		t.Errorf("a long message became %d bytes", len(got))
	}
}

func TestTranslate(t *testing.T) {
	e := unreachable(t)
	tests := map[string]struct {
		err  error
		want error
	}{
		"not found":   {fmt.Errorf("x: %w", errdefs.ErrNotFound), fleet.ErrNotFound},
		"conflict":    {fmt.Errorf("x: %w", errdefs.ErrConflict), fleet.ErrConflict},
		"invalid":     {fmt.Errorf("x: %w", errdefs.ErrInvalidArgument), fleet.ErrRefused},
		"forbidden":   {fmt.Errorf("x: %w", errdefs.ErrPermissionDenied), fleet.ErrRefused},
		"unavailable": {fmt.Errorf("x: %w", errdefs.ErrUnavailable), fleet.ErrUnavailable},
		"cut off":     {fmt.Errorf("x: %w", io.ErrUnexpectedEOF), fleet.ErrUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { wantKind(t, e.translate(t.Context(), "do it", tt.err), tt.want) })
	}
	if err := e.translate(t.Context(), "do it", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	internal := e.translate(t.Context(), "do it", errors.New("boom"))
	for _, kind := range []error{fleet.ErrNotFound, fleet.ErrConflict, fleet.ErrRefused, fleet.ErrUnavailable} {
		if errors.Is(internal, kind) {
			t.Errorf("an internal error became %q", kind)
		}
	}
	if internal.Error() != "do it: boom" {
		t.Errorf("got %q", internal)
	}
}

func TestStartError(t *testing.T) {
	tests := map[string]struct {
		text string
		want error
	}{
		"allocated":  {"Bind for 127.0.0.1:80 failed: port is already allocated", fleet.ErrPortTaken},
		"in use":     {"Error starting userland proxy: listen tcp4 127.0.0.1:80: bind: address already in use", fleet.ErrPortTaken},
		"in use now": {"failed to bind host port for 127.0.0.1:80:172.18.0.2:80/tcp: address already in use", fleet.ErrPortTaken},
		"desktop":    {"Ports are not available: exposing port TCP 127.0.0.1:80", fleet.ErrPortTaken},
		"no program": {`OCI runtime create failed: exec: "/x": no such file or directory: unknown`, fleet.ErrRefused},
		"no user":    {"unable to find user x: no matching entries in passwd file", fleet.ErrRefused},
		"mount":      {`OCI runtime create failed: error mounting "/a" to rootfs at "/b": not a directory: unknown`, fleet.ErrRefused},
		"runtime":    {"OCI runtime create failed: cgroup something: unknown", fleet.ErrRefused},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { wantKind(t, startError(errors.New(tt.text)), tt.want) })
	}
	if err := startError(errors.New("no space left on device")); errors.Is(err, fleet.ErrRefused) {
		t.Errorf("a full disk became a refusal: %v", err)
	}
}
