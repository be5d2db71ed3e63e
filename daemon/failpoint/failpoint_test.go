package failpoint_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/failpoint"
)

// reads are the calls that change nothing, and so have no boundaries.
var reads = []string{
	"FindReplay", "Definition", "RegistryCredentials", "Deployment", "StableBefore", "Instance",
	"Workloads", "LoadWorkload", "LiveInstances", "Network", "Networks",
	"ResolveImage", "InspectContainer", "ListContainers", "Events", "LogTail", "Node",
}

// TestEveryChangeHasBoundaries calls each method of both interfaces over nothing,
// which panics behind the first boundary. A method that is new must be given
// boundaries, or be listed as reading.
func TestEveryChangeHasBoundaries(t *testing.T) {
	file := filepath.Join(t.TempDir(), "failpoint")
	trap := failpoint.New(file)
	for _, decorated := range []reflect.Value{
		reflect.ValueOf(new(trap.Store(nil))).Elem(), reflect.ValueOf(new(trap.Engine(nil))).Elem(),
	} {
		for k := range decorated.Type().NumMethod() {
			name := decorated.Type().Method(k).Name
			arm(t, file, 9, failpoint.Kill)
			callOverNothing(decorated.Method(k))
			var want []string
			if !slices.Contains(reads, name) {
				want = []string{"before:" + name}
			}
			if got := passed(t, file); !slices.Equal(got, want) {
				t.Errorf("%s passes the boundaries %q, want %q", name, got, want)
			}
			if _, err := failpoint.Disarm(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func callOverNothing(method reflect.Value) {
	defer func() { _ = recover() }() // there is nothing to be called
	arguments := make([]reflect.Value, method.Type().NumIn())
	for k := range arguments {
		arguments[k] = reflect.Zero(method.Type().In(k))
	}
	method.Call(arguments)
}

func arm(t *testing.T, file string, n int, action failpoint.Action) {
	t.Helper()
	if err := failpoint.Arm(file, n, action); err != nil {
		t.Fatal(err)
	}
}

func passed(t *testing.T, file string) []string {
	t.Helper()
	names, err := failpoint.Passed(file)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// still is a store and an engine that do nothing, successfully.
type still struct {
	deploy.Store
	deploy.Engine
}

func (still) ReleasePort(context.Context, string, int) (int, error) { return 7, nil }

func (still) RemoveContainer(context.Context, string) error { return nil }

// act passes three boundaries, and prints a line behind each.
func act(file string) {
	trap := failpoint.New(file)
	port, err := trap.Store(still{}).ReleasePort(context.Background(), "", 0)
	if port != 7 || err != nil {
		panic("the result has been lost")
	}
	_, _ = os.Stdout.WriteString("released\n")
	_ = trap.Engine(still{}).RemoveContainer(context.Background(), "")
	_, _ = os.Stdout.WriteString("removed\n")
}

const child = "FAILPOINT_TEST_CHILD"

func TestMain(m *testing.M) {
	if file := os.Getenv(child); file != "" {
		act(file)
		return
	}
	os.Exit(m.Run())
}

// passer is this program, to pass the boundaries of a file in a process of its own.
func passer(t *testing.T, file string, out *strings.Builder) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), child+"="+file)
	cmd.Stdout = out
	return cmd
}

func TestKillsAtTheBoundary(t *testing.T) {
	tests := []struct {
		n       int
		printed string
		names   []string
	}{
		{1, "", []string{"before:ReleasePort"}},
		{2, "", []string{"before:ReleasePort", "after:ReleasePort"}},
		{4, "released\n", []string{"before:ReleasePort", "after:ReleasePort", "before:RemoveContainer", "after:RemoveContainer"}},
	}
	for _, tt := range tests {
		file := filepath.Join(t.TempDir(), "failpoint")
		arm(t, file, tt.n, failpoint.Kill)
		var out strings.Builder
		cmd := passer(t, file, &out)
		_ = cmd.Run()
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !ok || status.Signal() != syscall.SIGKILL {
			t.Errorf("at %d: the process ended with %s, want killed", tt.n, cmd.ProcessState)
		}
		if out.String() != tt.printed {
			t.Errorf("at %d: it printed %q, want %q", tt.n, out.String(), tt.printed)
		}
		if got := passed(t, file); !slices.Equal(got, tt.names) {
			t.Errorf("at %d: it passed %q, want %q", tt.n, got, tt.names)
		}
		if waiting, err := failpoint.Disarm(file); waiting || err != nil {
			t.Errorf("at %d: still waiting: %v (%v)", tt.n, waiting, err)
		}
	}
}

func TestHoldsAtTheBoundary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "failpoint")
	arm(t, file, 2, failpoint.Hold)
	var out strings.Builder
	cmd := passer(t, file, &out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the process is not held: %v (%v)", status, err)
	}
	if got := passed(t, file); len(got) != 2 {
		t.Errorf("held behind %q, want two boundaries", got)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := "released\nremoved\n"; out.String() != want {
		t.Errorf("it printed %q, want %q", out.String(), want)
	}
}

func TestUnarmedPassesInSilence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "failpoint")
	act(file)
	if got := passed(t, file); len(got) != 0 {
		t.Errorf("passed %q", got)
	}
}

func TestRefusesWhatItCannotRead(t *testing.T) {
	for _, text := range []string{"", "kill", "0 kill", "-1 kill", "3", "3 sing"} {
		t.Run(text, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "failpoint")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if recover() == nil {
					t.Error("it went on")
				}
			}()
			act(file)
		})
	}
}
