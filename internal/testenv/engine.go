package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

const (
	// enginePattern are the folders of private Engines, below the one for temporary
	// files: short, as the paths of sockets must be.
	enginePattern = "wedsync-e-*"
	// enginePatience bounds the start of a private Engine.
	enginePatience = 2 * time.Minute
)

// EngineHandle is a Docker Engine of one test, which may end, kill and start it
// again: nobody else uses it. It has a network namespace of its own, so its
// containers can be reached by daemons on it, and not by the test.
type EngineHandle struct {
	// Host is its address, for DOCKER_HOST.
	Host string

	engine *machine.Engine
}

// PrivateEngine starts an Engine that ends with the test, and everything on it. It
// needs root. When the test fails, the end of its log is printed.
func PrivateEngine(tb testing.TB) *EngineHandle {
	tb.Helper()
	dir, err := os.MkdirTemp("", enginePattern)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), enginePatience)
	defer cancel()
	engine, err := machine.StartPrivateEngine(ctx, dir)
	if err != nil {
		tb.Fatal(errors.Join(err, os.RemoveAll(dir)))
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the last lines of the Engine's log:\n%s", engine.LogTail(40))
		}
		if err := engine.Stop(); err != nil {
			tb.Errorf("stop private Engine: %v", err)
		}
	})
	return &EngineHandle{Host: engine.Host, engine: engine}
}

// Shutdown ends the Engine in good order: it stops its containers.
func (e *EngineHandle) Shutdown(tb testing.TB) {
	tb.Helper()
	if err := e.engine.Shutdown(); err != nil {
		tb.Fatal(err)
	}
}

// Crash kills the Engine with SIGKILL: its containers run on, until it is started
// again and stops them.
func (e *EngineHandle) Crash(tb testing.TB) {
	tb.Helper()
	if err := e.engine.Crash(); err != nil {
		tb.Fatal(err)
	}
}

// Resume starts the Engine after Shutdown or Crash and waits until it answers.
func (e *EngineHandle) Resume(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), enginePatience)
	defer cancel()
	if err := e.engine.Resume(ctx); err != nil {
		tb.Fatal(err)
	}
}

// command is a command in the Engine's network namespace, and address how its
// listener is reached from outside.
func (e *EngineHandle) command(path string, args ...string) *exec.Cmd {
	return e.engine.Namespace.Command(path, args...)
}

func (e *EngineHandle) address() string { return e.engine.Namespace.Address }

// DemoImage is [DemoImage] for this Engine.
func (e *EngineHandle) DemoImage(tb testing.TB, version string, options ...ImageOption) (reference string) {
	tb.Helper()
	return demoImage(tb, e.Host, version, options)
}

// Client is a client of the Engine.
func (e *EngineHandle) Client(tb testing.TB) *client.Client {
	tb.Helper()
	c, err := engineClientAt(e.Host)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// StopEngines ends the private Engines of tests that were killed and could not,
// whose folders are below dir, and removes what they left.
func StopEngines(dir string) error {
	folders, err := filepath.Glob(filepath.Join(dir, enginePattern))
	errs := []error{err}
	for _, folder := range folders {
		engine, err := machine.FindPrivateEngine(folder)
		if err == nil {
			err = engine.Stop()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("stop private Engine: %w", err))
		}
	}
	return errors.Join(errs...)
}
