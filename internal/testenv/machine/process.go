package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a process that goes on when its starter ends. The kernel hands out
// process identifiers again, so a record holds the start time too: only both
// together name one process.
type Process struct {
	PID int `json:"pid"`
	// StartTicks is the start time in clock ticks since the machine started.
	StartTicks uint64 `json:"start_ticks"`
	// Boot tells one run of the machine from the next.
	Boot string `json:"boot"`
	// Program is a fingerprint of the executable, by the starter's own choice.
	Program string `json:"program,omitempty"`

	exited chan struct{}
}

// Start starts the command in a session of its own, so that no terminal's
// signals reach it, with its output appended to the file log. The record stands
// in the file record before Start returns.
func Start(cmd *exec.Cmd, log, record, fingerprint string) (*Process, error) {
	name := filepath.Base(cmd.Path)
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{PID: cmd.Process.Pid, Program: fingerprint, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its end is seen in its log and its record
		close(p.exited)
	}()
	if err := p.identify(); err != nil {
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("start %s: it ended at once; its log is %s", name, log)
	}
	if err := p.write(record); err != nil {
		_ = cmd.Process.Kill()
		return nil, err
	}
	return p, nil
}

// Identify is the process that has the identifier at present.
func Identify(pid int) (*Process, error) {
	p := &Process{PID: pid}
	if err := p.identify(); err != nil {
		return nil, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return p, nil
}

// RecordSelf writes a record of this process, by which another can tell whether
// it has ended.
func RecordSelf(record string) error {
	p, err := Identify(os.Getpid())
	if err != nil {
		return err
	}
	return p.write(record)
}

func (p *Process) write(record string) error {
	data, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(record, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("record process: %w", err)
	}
	return nil
}

// Load reads a record that Start wrote. It returns nil when there is none, or
// when the process that it names has ended.
func Load(record string) (*Process, error) {
	data, err := os.ReadFile(record)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read process record: %w", err)
	}
	p := new(Process)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("read process record %s: %w", record, err)
	}
	if !p.Running() {
		return nil, nil
	}
	return p, nil
}

func (p *Process) identify() (err error) {
	if p.Boot, err = bootID(); err != nil {
		return err
	}
	p.StartTicks, err = startTicks(p.PID)
	return err
}

// Running reports whether exactly this process still runs.
func (p *Process) Running() bool {
	boot, err := bootID()
	if err != nil || boot != p.Boot {
		return false
	}
	ticks, err := startTicks(p.PID)
	return err == nil && ticks == p.StartTicks
}

// Exited is closed when the process ends; only for the process that started it.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stop asks the process to end and waits for it; after the grace period it is killed.
func (p *Process) Stop(grace time.Duration) error {
	if err := p.End(syscall.SIGTERM, grace); err == nil {
		return nil
	}
	return p.Kill()
}

// Kill ends the process at once, and waits for that.
func (p *Process) Kill() error { return p.End(syscall.SIGKILL, 10*time.Second) }

// End sends the process a signal, if it runs, and waits until it has ended.
func (p *Process) End(sig syscall.Signal, patience time.Duration) error {
	if !p.Running() {
		return nil
	}
	if err := syscall.Kill(p.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end process %d: %w", p.PID, err)
	}
	if !p.awaitEnd(patience) {
		return fmt.Errorf("end process %d: signal %s did not end it within %s", p.PID, sig, patience)
	}
	return nil
}

func (p *Process) awaitEnd(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return Await(ctx, 20*time.Millisecond, func(context.Context) error {
		if p.Running() {
			return errors.New("it still runs")
		}
		return nil
	}) == nil
}

// Await tries until try succeeds or the context ends; then it returns the last error of try.
func Await(ctx context.Context, pause time.Duration, try func(context.Context) error) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
}

// startTicks is field 22 of /proc/PID/stat; a zombie counts as ended.
func startTicks(pid int) (uint64, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(fields[statStart], 10, 64)
}

// Held reports whether a process is stopped by a signal.
func Held(pid int) bool {
	fields, err := stat(pid)
	return err == nil && fields[statState] == "T"
}

// Fields of /proc/PID/stat behind the name.
const (
	statState = 0
	statStart = 19
)

// stat is the fields of /proc/PID/stat behind the name; a zombie counts as ended.
func stat(pid int) ([]string, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	// The second field, the name in parentheses, may hold spaces and parentheses.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) <= statStart || fields[statState] == "Z" || fields[statState] == "X" {
		return nil, os.ErrProcessDone
	}
	return fields, nil
}
