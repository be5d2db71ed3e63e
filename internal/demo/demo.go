package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
	"github.com/wedsync/terraform-provider-wedsync/internal/tools"
)

// defaultListen and defaultTrafficListen are wedsyncd's own defaults.
const (
	defaultListen        = "127.0.0.1:7266"
	defaultTrafficListen = "127.0.0.1:7280"
)

// record is what the demonstration must know about itself at its next run. It
// is written before anything that it tells of is done.
type record struct {
	Listen        string `json:"listen"`
	TrafficListen string `json:"traffic_listen,omitempty"`
	// CLI is the OpenTofu or Terraform program that wrote the state.
	CLI string `json:"cli,omitempty"`
	// Installation is the label of wedsyncd's containers and networks.
	Installation string `json:"installation,omitempty"`
	// BuiltImages are image references that were not in the Engine before.
	BuiltImages []string `json:"built_images,omitempty"`
}

// demo is the demonstration on this machine.
type demo struct {
	root string // of the repository
	dir  string // of all files of the demonstration
	record
	steps *stepper

	engine string // DOCKER_HOST
}

// open finds the folders and reads what an earlier run recorded.
func open(o options) (*demo, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("start demonstration: it runs on Linux; on %s install Docker, Postgres 15 and OpenTofu, and follow \"Run wedsyncd as a service\" in docs/operations/install.md", runtime.GOOS)
	}
	root, err := tools.Root()
	if err != nil {
		return nil, err
	}
	d := &demo{root: root, dir: o.Dir, steps: newStepper(os.Stdout)}
	if d.dir == "" {
		if d.dir, err = stateDir(); err != nil {
			return nil, err
		}
	}
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	if err := d.load(); err != nil {
		return nil, err
	}
	d.Listen = cmp.Or(o.Listen, d.Listen, defaultListen)
	d.TrafficListen = cmp.Or(o.TrafficListen, d.TrafficListen, defaultTrafficListen)
	for name, address := range map[string]string{"WEDSYNC_LISTEN": d.Listen, "WEDSYNC_TRAFFIC_LISTEN": d.TrafficListen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("read %s: %q is not an address with a port; write for example 127.0.0.1:7366", name, address)
		}
	}
	return d, nil
}

// stateDir is outside of the repository. Root's is not below /root, because the
// user under which Postgres runs then can't pass through there.
func stateDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/wedsync-demo", nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "wedsync-demo"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find folder: %w; set WEDSYNC_DEMO_DIR", err)
	}
	return filepath.Join(home, ".local", "state", "wedsync-demo"), nil
}

func (d *demo) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

func (d *demo) load() error {
	data, err := os.ReadFile(d.path("demo.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	if err := json.Unmarshal(data, &d.record); err != nil {
		return fmt.Errorf("read record %s: %w", d.path("demo.json"), err)
	}
	return nil
}

// save replaces the record, whole or not at all.
func (d *demo) save() error {
	data, err := json.MarshalIndent(d.record, "", "  ")
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	partial := d.path("demo.json.partial")
	if err := os.WriteFile(partial, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := os.Rename(partial, d.path("demo.json")); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// makeDirs makes the folders; others may pass through, as Postgres must, but not look.
func (d *demo) makeDirs() error {
	for _, dir := range []string{d.dir, d.path("bin"), d.path("logs")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("make folder: %w; set WEDSYNC_DEMO_DIR to one that can be written", err)
		}
	}
	return nil
}

// up does every step that is not done, in order, and shows what runs.
func (d *demo) up(ctx context.Context, began time.Time) error {
	if err := d.makeDirs(); err != nil {
		return err
	}
	if err := d.save(); err != nil {
		return err
	}
	steps := []struct {
		title string
		do    func(context.Context, *line) error
	}{
		{"Docker Engine and Postgres", d.ensureMachine},
		{"OpenTofu or Terraform", d.ensureCLI},
		{"build wedsyncd and the provider", d.build},
		{"start wedsyncd", d.ensureDaemon},
		{"image " + demoImage, d.ensureImage},
		{"apply examples/quickstart", d.apply},
	}
	for _, s := range steps {
		if err := d.steps.run(ctx, s.title, s.do); err != nil {
			return err
		}
	}
	if err := d.show(ctx); err != nil {
		return err
	}
	if d.steps.changed {
		d.steps.say("\nReady in %s. \"make demo\" again changes nothing; \"make demo-down\" removes it all.", time.Since(began).Round(time.Second))
	} else {
		d.steps.say("\nNothing changed: all of it was there. \"make demo-down\" removes it all.")
	}
	return nil
}

func (d *demo) ensureMachine(ctx context.Context, l *line) error {
	if err := machine.Install(ctx, l, machine.DockerEngine, machine.Postgres); err != nil {
		return err
	}
	d.engine = machine.EngineHost()
	if machine.EngineAnswers(ctx, d.engine) == nil {
		return l.found(d.engine)
	}
	socket, err := machine.SocketOf(d.engine)
	if err != nil {
		return err
	}
	engine, err := machine.StartEngine(ctx, d.path("docker"), socket)
	if err != nil {
		return err
	}
	return l.did("started the Engine at " + engine.Host)
}
