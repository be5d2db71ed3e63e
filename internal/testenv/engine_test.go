package testenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

func TestPrivateEngineIsRestarted(t *testing.T) {
	dir := engines(t)
	t.Run("engine", func(t *testing.T) {
		e := PrivateEngine(t)
		c := e.Client(t)
		id := runDemo(t, e, c)
		tests := []struct {
			name string
			end  func(testing.TB)
		}{{"shut down", e.Shutdown}, {"crashed", e.Crash}}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				if err := c.ContainerStart(t.Context(), id, container.StartOptions{}); err != nil {
					t.Fatal(err)
				}
				pid := state(t, c, id).Pid
				tt.end(t)
				if crashed := tt.name == "crashed"; lives(pid) != crashed {
					t.Errorf("the container lives: %v, want %v", !crashed, crashed)
				}
				e.Resume(t)
				if now := state(t, c, id); now.Running || lives(pid) {
					t.Errorf("the container has survived the Engine's restart: %s", now.Status)
				}
			})
		}
		if err := c.ContainerStart(t.Context(), id, container.StartOptions{}); err != nil {
			t.Fatal(err)
		}
		e.Crash(t) // the end of the test has that to clear away
	})
	assertNothingOf(t, dir)
}

func TestPrivateEnginesAreApart(t *testing.T) {
	dir := engines(t)
	t.Run("engines", func(t *testing.T) {
		a, b := PrivateEngine(t), PrivateEngine(t)
		if a.address() == b.address() || a.Host == b.Host {
			t.Fatalf("both are at %s and %s", a.address(), a.Host)
		}
		for _, e := range []*EngineHandle{a, b} {
			c := e.Client(t)
			id := runDemo(t, e, c)
			list, err := c.ContainerList(t.Context(), container.ListOptions{})
			if err != nil || len(list) != 1 || list[0].ID != id {
				t.Errorf("%s has %d containers (%v), want its own alone", e.Host, len(list), err)
			}
		}
	})
	assertNothingOf(t, dir)
}

// TestStopEngines ends what a test that was killed has left: an Engine that runs,
// and one that it had crashed.
func TestStopEngines(t *testing.T) {
	dir := engines(t)
	for _, crash := range []bool{false, true} {
		engine, err := machine.StartPrivateEngine(t.Context(), filepath.Join(dir, strings.Replace(enginePattern, "*", strconv.FormatBool(crash), 1)))
		if err != nil {
			t.Fatal(err)
		}
		e := &EngineHandle{Host: engine.Host, engine: engine}
		runDemo(t, e, e.Client(t))
		if crash {
			e.Crash(t)
		}
	}
	if err := StopEngines(dir); err != nil {
		t.Fatal(err)
	}
	assertNothingOf(t, dir)
}

// engines is a folder for the private Engines of this test, with a path short
// enough for their sockets.
func engines(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	return dir
}

func runDemo(t *testing.T, e *EngineHandle, c *client.Client) (id string) {
	t.Helper()
	made, err := c.ContainerCreate(t.Context(), &container.Config{Image: e.DemoImage(t, "v1")}, nil, nil, nil, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func state(t *testing.T, c *client.Client, id string) *container.State {
	t.Helper()
	found, err := c.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return found.State
}

func lives(pid int) bool {
	_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	return err == nil
}

// noProcessNames is an error while the command of a process holds a text.
func noProcessNames(text string) error {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range commands {
		if command, err := os.ReadFile(name); err == nil && strings.Contains(string(command), text) {
			return fmt.Errorf("a process is left: %s", strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return nil
}

// assertNothingOf looks for processes, mounts, interfaces and files of private Engines below dir.
func assertNothingOf(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := machine.Await(ctx, 10*time.Millisecond, func(context.Context) error { return noProcessNames(dir) }); err != nil {
		t.Error(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), dir) {
		t.Errorf("something is left mounted below %s", dir)
	}
	if folders, _ := filepath.Glob(filepath.Join(dir, enginePattern)); len(folders) > 0 {
		t.Errorf("files are left: %v", folders)
	}
}
