// Command run runs a command, such as "go test ./...", on a machine that has a
// real Postgres, a real Docker Engine and the pinned OpenTofu and Terraform. It
// uses what is there, installs and starts what is not, tells the command by
// environment variables where to find it, and ends what it started when the
// command ends, however that is. Its exit code is the command's.
//
//	go run ./internal/testenv/run -- go test ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// options are the flags of the command.
type options struct {
	CLI          bool          `name:"cli" default:"true" negatable:"" help:"Build the pinned OpenTofu and Terraform first, so that no test's time limit has to allow for it."`
	Peers        bool          `help:"Install what benchmarks compare with: docker-compose."`
	Balancers    bool          `help:"Install what BenchmarkPeers compares with: HAProxy, nginx, Caddy, and wrk."`
	Grace        time.Duration `default:"30s" help:"How long the command may take to end after a signal, before it is killed."`
	RemoveImages bool          `help:"Remove the demo images that tests loaded into an Engine that was there before. Not while other tests run on it."`
	Command      []string      `arg:"" passthrough:"" help:"Command to run, after --."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("run"), kong.Description("Runs a command beside a real Postgres, Docker Engine and CLIs."))
	if o.Command[0] == "--" {
		o.Command = o.Command[1:]
	}
	if len(o.Command) == 0 {
		fmt.Fprintln(os.Stderr, "run: name a command to run after --, for example: go test ./...")
		os.Exit(2)
	}
	ctx, stop := terminated(context.Background())
	code := run(ctx, o)
	stop()
	os.Exit(code)
}

// run prepares, runs the command and cleans up; a panic on the way changes
// nothing about the cleaning up.
func run(ctx context.Context, o options) (code int) {
	surroundings := &surroundings{progress: os.Stderr, removeImages: o.RemoveImages}
	defer func() {
		if err := surroundings.end(); err != nil {
			fmt.Fprintln(os.Stderr, "run:", err)
			code = max(code, 1)
		}
	}()
	if err := surroundings.prepare(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		return 1
	}
	code, err := execute(ctx, o, surroundings.env())
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
	}
	return code
}

// errSignal is why the context of run ends: somebody wants the command to end.
var errSignal = errors.New("told to stop")

// terminated is a context that ends at the first signal to stop, or when the
// starter of this process is gone: "go run" that is killed passes nothing on.
func terminated(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	starter := os.Getppid()
	ticker := time.NewTicker(time.Second)
	go func() {
		for {
			select {
			case s := <-signals:
				cancel(fmt.Errorf("%w by signal %s", errSignal, s))
			case <-ticker.C:
				if os.Getppid() != starter {
					cancel(fmt.Errorf("%w: the process that started this one has ended", errSignal))
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		ticker.Stop()
		cancel(nil)
	}
}

// execute runs the command in a process group of its own and returns its exit
// code. When the context ends, the whole group is told to, and killed after the
// grace period, so that no test binary outlives the run.
func execute(ctx context.Context, o options, env []string) (int, error) {
	cmd := exec.CommandContext(ctx, o.Command[0], o.Command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	group := func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) }
	cmd.Cancel = func() error { return group(syscall.SIGTERM) }
	cmd.WaitDelay = o.Grace
	err := cmd.Run()
	if cmd.Process != nil {
		_ = group(syscall.SIGKILL) // what the command left; mostly there is nothing
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case ctx.Err() != nil:
		return 130, fmt.Errorf("run %s: %w", o.Command[0], context.Cause(ctx))
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	default:
		return 1, fmt.Errorf("run %s: %w", o.Command[0], err)
	}
}
