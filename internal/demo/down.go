package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

// down takes away all that up made, the other way round. A step that fails does
// not keep the next from trying; but files stay as long as something may still
// need them.
func (d *demo) down(ctx context.Context) error {
	if _, err := os.Stat(d.path("demo.json")); errors.Is(err, os.ErrNotExist) {
		d.steps.say("Nothing to remove: no demonstration has been started with %s.", d.dir)
		return nil
	}
	d.engine = machine.EngineHost()
	steps := []struct {
		title string
		do    func(context.Context, *line) error
	}{
		{"destroy examples/quickstart", d.destroy},
		{"stop wedsyncd and its Postgres", d.endDaemon},
		{"remove what is left in the Engine", d.clearEngine},
		{"stop the Docker Engine", d.endEngine},
	}
	var errs []error
	for _, s := range steps {
		errs = append(errs, d.steps.run(ctx, s.title, s.do))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w\nThe files in %s stay, so that \"make demo-down\" can be run again", err, d.dir)
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("remove files: %w", err)
	}
	d.steps.say("\nRemoved: containers, networks, images, processes and the folder %s.", d.dir)
	d.steps.say("Installed packages stay, and so do Go's caches and the tools built into them.")
	return nil
}

// destroy lets wedsyncd take its containers down in good order, where it still can.
func (d *demo) destroy(ctx context.Context, l *line) error {
	if _, err := os.Stat(d.path("terraform.tfstate")); errors.Is(err, os.ErrNotExist) {
		return l.found("nothing was applied")
	}
	err := d.revive(ctx)
	var done outcome
	if err == nil {
		done, err = d.terraform(ctx, l, "destroy")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		fmt.Fprintf(l, "not possible: %v\n", err)
		return l.did("removing its containers directly instead")
	}
	return l.did(done.String())
}

// revive starts what destroying needs, after a restart of the machine for example.
func (d *demo) revive(ctx context.Context) error {
	if err := d.reviveEngine(ctx); err != nil {
		return err
	}
	if d.ready(ctx) == nil {
		return nil
	}
	if _, err := d.stopDaemon(ctx); err != nil {
		return err
	}
	return d.startDaemon(ctx, d.wanted())
}

func (d *demo) reviveEngine(ctx context.Context) error {
	if machine.EngineAnswers(ctx, d.engine) == nil {
		return nil
	}
	socket, err := machine.SocketOf(d.engine)
	if err != nil {
		return err
	}
	_, err = machine.StartEngine(ctx, d.path("docker"), socket)
	return err
}

func (d *demo) endDaemon(ctx context.Context, l *line) error {
	stopped, err := d.stopDaemon(ctx)
	if err != nil {
		return err
	}
	if !stopped {
		return l.found("neither runs")
	}
	return l.did("stopped")
}

// clearEngine removes our containers and networks, should there be any, and the image that up built.
func (d *demo) clearEngine(ctx context.Context, l *line) error {
	if _, err := os.Stat(d.path("docker")); err == nil {
		// Our own Engine, were it killed, has left containers running that it alone can end.
		if err := d.reviveEngine(ctx); err != nil {
			return err
		}
	}
	if machine.EngineAnswers(ctx, d.engine) != nil {
		return l.found("no Engine runs")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if d.Installation != "" {
		if err := testenv.ClearInstallation(ctx, d.Installation); err != nil {
			return err
		}
	}
	for _, image := range d.BuiltImages {
		if err := machine.RemoveImage(ctx, d.engine, image); err != nil {
			return err
		}
	}
	return l.did("nothing is left")
}

// endEngine ends the Engine if it was up that started it.
func (d *demo) endEngine(ctx context.Context, l *line) error {
	socket, err := machine.SocketOf(d.engine)
	if err != nil {
		return l.found("not ours, left alone")
	}
	engine, err := machine.FindEngine(d.path("docker"), socket)
	if err != nil {
		return err
	}
	if engine == nil {
		return l.found("not ours, left alone")
	}
	if err := engine.Stop(); err != nil {
		return err
	}
	return l.did("stopped")
}
