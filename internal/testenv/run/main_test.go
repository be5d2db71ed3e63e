package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

func TestExecuteReturnsTheExitCode(t *testing.T) {
	for _, code := range []int{0, 1, 7} {
		o := options{Command: []string{"sh", "-c", "exit " + strconv.Itoa(code)}, Grace: time.Second}
		if got, err := execute(t.Context(), o, nil); got != code || err != nil {
			t.Errorf("execute = %d, %v; want %d", got, err, code)
		}
	}
}

func TestExecuteTellsOfAProgramThatIsNotThere(t *testing.T) {
	code, err := execute(t.Context(), options{Command: []string{"no-such-program"}}, nil)
	if code != 1 || err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("execute = %d, %v; want 1 and an error that names the program", code, err)
	}
}

func TestExecuteEndsEveryDescendant(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		script := `trap "" TERM; sh -c 'trap "" TERM; echo $$ >"$PIDFILE.new"; mv "$PIDFILE.new" "$PIDFILE"; sleep 600' & wait; wait`
		code, _ := execute(ctx, options{Command: []string{"sh", "-c", script}, Grace: 50 * time.Millisecond}, []string{"PIDFILE=" + pidFile})
		ended <- code
	}()
	var pid int
	err := machine.Await(t.Context(), 5*time.Millisecond, func(context.Context) error {
		data, err := os.ReadFile(pidFile)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if code := <-ended; code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	err = machine.Await(t.Context(), 5*time.Millisecond, func(context.Context) error {
		if syscall.Kill(pid, 0) == nil {
			return errors.New("the descendant lives")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEndStopsInReverseAndRemovesFiles(t *testing.T) {
	var stopped []string
	broken := errors.New("does not stop")
	s := &surroundings{dir: t.TempDir()}
	s.stops = []func() error{
		func() error { stopped = append(stopped, "first"); return nil },
		func() error { stopped = append(stopped, "second"); return broken },
	}
	if err := s.end(); !errors.Is(err, broken) {
		t.Errorf("end = %v, want the error of the second", err)
	}
	if strings.Join(stopped, " ") != "second first" {
		t.Errorf("stopped %v, want the second first", stopped)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("files are left: %v", err)
	}
}
