package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

	process *Process
	dir     string
}

// StartEngine starts a Docker Engine, as root, that keeps everything below dir
// and listens on socket.
func StartEngine(ctx context.Context, dir, socket string) (*Engine, error) {
	dockerd := program("dockerd")
	switch {
	case dockerd == "":
		return nil, errors.New("start Docker Engine: this machine lacks the program dockerd; install Debian's package docker.io")
	case os.Geteuid() != 0:
		return nil, errors.New("start Docker Engine: only root can start it; start it (\"sudo systemctl start docker\") or run this command as root")
	}
	if err := mountCgroups(ctx); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("start Docker Engine: %w", err)
	}
	e := &Engine{Host: "unix://" + socket, dir: dir}
	cmd := exec.Command(dockerd,
		"--host", e.Host,
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "run"),
		"--pidfile", filepath.Join(dir, "dockerd.pid"))
	cmd.Env = withSystemPath(os.Environ())
	var err error
	if e.process, err = Start(cmd, e.log(), e.record(), ""); err != nil {
		return nil, err
	}
	if err := e.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// FindEngine returns the Engine that an earlier StartEngine with that folder
// started, nil if it does not run.
func FindEngine(dir, socket string) (*Engine, error) {
	e := &Engine{Host: "unix://" + socket, dir: dir}
	process, err := Load(e.record())
	if process == nil || err != nil {
		return nil, err
	}
	e.process = process
	return e, nil
}

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
		return fmt.Errorf("start Docker Engine: %w; the last lines of its log are:\n%s", err, Tail(e.log(), 10))
	}
	return nil
}

// Stop ends the Engine with its containers and removes all that it left.
func (e *Engine) Stop() error {
	if err := e.process.Stop(45 * time.Second); err != nil {
		return err
	}
	if err := unmountBelow(e.dir); err != nil {
		return err
	}
	removeNetworkTraces()
	if err := os.RemoveAll(e.dir); err != nil {
		return fmt.Errorf("remove Docker Engine's files: %w", err)
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
