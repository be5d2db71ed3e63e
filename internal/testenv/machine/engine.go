package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/docker/client"
)

// EngineHost is the address at which every Docker client looks for the Engine.
func EngineHost() string {
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		return host
	}
	return client.DefaultDockerHost
}

// SocketOf is the path of the unix socket in an Engine's address: where an Engine
// can be started. Others than those of this machine can't be.
func SocketOf(host string) (string, error) {
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return "", fmt.Errorf("start Docker Engine: none answers at %s, as DOCKER_HOST asks; start it there, or unset DOCKER_HOST to use this machine's", host)
	}
	return socket, nil
}

// maxSocketPath is the longest path that a unix socket can have.
const maxSocketPath = 107

// shutdownPatience is how long an Engine may take to stop its containers and end.
const shutdownPatience = 45 * time.Second

// EngineAnswers returns nil if an Engine answers at the address.
func EngineAnswers(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cli, err := dial(host)
	if err != nil {
		return err
	}
	defer cli.Close()
	if _, err := cli.Ping(ctx); err != nil {
		return fmt.Errorf("reach Docker Engine at %s: %w", host, err)
	}
	return nil
}

// Engine is a Docker Engine of our own. All of its files are below one folder.
type Engine struct {
	// Host is its address, for DOCKER_HOST.
	Host string
	// Namespace is where it and its containers have their network; nil for the machine's own.
	Namespace *Namespace

	process *Process
	dir     string
	crashed bool // its containers may live without it
}

// StartEngine starts a Docker Engine, as root, that keeps everything below dir
// and listens on socket.
func StartEngine(ctx context.Context, dir, socket string) (*Engine, error) {
	e := &Engine{Host: "unix://" + socket, dir: dir}
	if err := e.prepare(ctx); err != nil {
		return nil, err
	}
	if err := e.Resume(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// StartPrivateEngine starts a Docker Engine, as root, that keeps everything below
// dir, its socket too, and has a network namespace of its own: it shares neither
// bridges nor firewall rules with another Engine and can be restarted at will.
func StartPrivateEngine(ctx context.Context, dir string) (*Engine, error) {
	// The kernel bounds the paths of sockets; this is the longest that the Engine makes.
	if longest := filepath.Join(dir, "run", "containerd", "containerd-debug.sock"); len(longest) > maxSocketPath {
		return nil, fmt.Errorf("start Docker Engine: its folder %s is %d characters too deep for its sockets; set TMPDIR to a shorter path",
			dir, len(longest)-maxSocketPath)
	}
	e := &Engine{Host: privateHost(dir), dir: dir}
	if err := e.prepare(ctx); err != nil {
		return nil, err
	}
	var err error
	if e.Namespace, err = makeNamespace(ctx, filepath.Join(dir, namespaceFile)); err == nil {
		err = e.Resume(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Engine) prepare(ctx context.Context) error {
	switch {
	case program("dockerd") == "":
		return errors.New("start Docker Engine: this machine lacks the program dockerd; install Debian's package docker.io")
	case os.Geteuid() != 0:
		return errors.New("start Docker Engine: only root can start it; start it (\"sudo systemctl start docker\") or run this command as root")
	}
	if err := mountCgroups(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(e.dir, 0o711); err != nil {
		return fmt.Errorf("start Docker Engine: %w", err)
	}
	return nil
}

// Shutdown ends the Engine in good order, with its containers, until Resume.
func (e *Engine) Shutdown() error { return e.process.Stop(shutdownPatience) }

// Crash kills the Engine, until Resume. Its containers run on meanwhile; an
// Engine that was not told otherwise stops them when it comes back.
func (e *Engine) Crash() error {
	e.crashed = true
	containerd, err := os.ReadFile(filepath.Join(e.dir, "run", "containerd", "containerd.pid"))
	if err != nil {
		return fmt.Errorf("crash Docker Engine: %w", err)
	}
	if err := e.process.Kill(); err != nil {
		return err
	}
	// The kernel kills its containerd with it. An Engine that is started before that
	// has gone would wait for it.
	ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	proc := filepath.Join("/proc", string(bytes.TrimSpace(containerd)))
	return Await(ctx, 5*time.Millisecond, func(context.Context) error {
		if _, err := os.Stat(proc); err == nil {
			return fmt.Errorf("crash Docker Engine: its containerd, %s, does not end", proc)
		}
		return nil
	})
}

// Resume starts the Engine, which must not run, and waits until it answers.
func (e *Engine) Resume(ctx context.Context) error {
	// One that was killed has left its number, which another process may have by now.
	pidFile := filepath.Join(e.dir, "dockerd.pid")
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("start Docker Engine: %w", err)
	}
	cmd := e.Namespace.Command(program("dockerd"),
		"--host", e.Host,
		"--data-root", filepath.Join(e.dir, "data"), "--exec-root", filepath.Join(e.dir, "run"),
		"--pidfile", pidFile)
	cmd.Env = withSystemPath(os.Environ())
	process, err := Start(cmd, e.log(), e.record(), "")
	if err != nil {
		return err
	}
	e.process = process
	if err := e.awaitReady(ctx); err != nil {
		return err
	}
	e.crashed = false
	return nil
}

// FindEngine returns the Engine that an earlier StartEngine with that folder
// started, nil if it does not run.
func FindEngine(dir, socket string) (*Engine, error) {
	return find(&Engine{Host: "unix://" + socket, dir: dir})
}

// FindPrivateEngine returns the Engine that an earlier StartPrivateEngine with that
// folder started, whether it runs or not: it may have been left after a crash, with
// containers that live.
func FindPrivateEngine(dir string) (*Engine, error) {
	e := &Engine{Host: privateHost(dir), Namespace: &Namespace{file: filepath.Join(dir, namespaceFile)}, dir: dir}
	running, err := find(e)
	e.crashed = running == nil
	return e, err
}

func find(e *Engine) (*Engine, error) {
	process, err := Load(e.record())
	if process == nil || err != nil {
		return nil, err
	}
	e.process = process
	return e, nil
}

// privateHost is the address of a private Engine.
func privateHost(dir string) string { return "unix://" + filepath.Join(dir, "docker.sock") }

// LogTail is the last lines of the Engine's log.
func (e *Engine) LogTail(lines int) string { return Tail(e.log(), lines) }

func (e *Engine) log() string    { return filepath.Join(e.dir, "dockerd.log") }
func (e *Engine) record() string { return filepath.Join(e.dir, "dockerd.json") }

func (e *Engine) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	go func() {
		select {
		case <-e.process.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	err := Await(ctx, 50*time.Millisecond, func(ctx context.Context) error { return EngineAnswers(ctx, e.Host) })
	if err != nil {
		return fmt.Errorf("start Docker Engine: %w; the last lines of its log are:\n%s", err, e.LogTail(10))
	}
	return nil
}

// Stop ends the Engine with its containers and removes all that it left.
func (e *Engine) Stop() error {
	var revived error
	if e.crashed { // only an Engine ends the containers of one that has crashed
		ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
		defer cancel()
		revived = e.Resume(ctx)
	}
	if e.process != nil {
		if err := e.process.Stop(shutdownPatience); err != nil {
			return err
		}
	}
	e.Namespace.disconnect()
	if err := unmountBelow(e.dir); err != nil {
		return err
	}
	if e.Namespace == nil {
		removeNetworkTraces()
	}
	if err := os.RemoveAll(e.dir); err != nil {
		return fmt.Errorf("remove Docker Engine's files: %w", errors.Join(err, revived))
	}
	// The socket is gone already unless the Engine was killed; the folders go if nobody uses them.
	for _, path := range []string{strings.TrimPrefix(e.Host, "unix://"), "/run/docker/plugins", "/run/docker"} {
		_ = os.Remove(path)
	}
	return nil
}

// mountCgroups mounts the control groups on a machine whose init system did not.
func mountCgroups(ctx context.Context) error {
	const root = "/sys/fs/cgroup"
	entries, err := os.ReadDir(root)
	if err == nil && len(entries) > 0 {
		return nil
	}
	mount := program("cgroupfs-mount")
	if mount == "" {
		return fmt.Errorf("start Docker Engine: no control groups are mounted at %s; install Debian's package cgroupfs-mount", root)
	}
	if out, err := exec.CommandContext(ctx, mount).CombinedOutput(); err != nil {
		return fmt.Errorf("mount control groups: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// withSystemPath lets dockerd find iptables and runc where PATH lacks the system folders.
func withSystemPath(env []string) []string {
	return append(env, "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
}

// Tail is the last lines of a file.
func Tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
