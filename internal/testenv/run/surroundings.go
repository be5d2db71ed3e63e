package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
	"github.com/wedsync/terraform-provider-wedsync/internal/tools"
)

// envPostgres names the variable that tells tests of a Postgres server that is there.
const envPostgres = "WEDSYNC_TEST_POSTGRES_URL"

const (
	folderPattern = "wedsync-run-*"
	ownerFile     = "run.json"
	engineDir     = "docker"
	engineSocket  = "docker.sock"
	postgresDir   = "postgres"
	tempDir       = "tmp"
)

// surroundings are what the command finds when it runs.
type surroundings struct {
	progress io.Writer
	dir      string
	postgres string
	docker   string
	stops    []func() error

	removeImages bool
}

// prepare makes sure of everything; end must be called whether it succeeds or not.
func (s *surroundings) prepare(ctx context.Context, o options) error {
	requirements := []machine.Requirement{machine.DockerEngine, machine.Namespaces, machine.Dig}
	if o.Peers {
		requirements = append(requirements, machine.DockerCompose)
	}
	if o.Balancers {
		requirements = append(requirements, machine.Balancers)
	}
	s.postgres = os.Getenv(envPostgres)
	if s.postgres == "" {
		requirements = append(requirements, machine.Postgres)
	}
	if err := machine.Install(ctx, s.progress, requirements...); err != nil {
		return err
	}
	s.sweep(ctx)
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := s.findDocker(ctx); err != nil {
		return err
	}
	if err := s.findPostgres(ctx); err != nil {
		return err
	}
	if !o.CLI {
		return nil
	}
	for _, name := range []string{tools.OpenTofu, tools.Terraform} {
		if _, err := tools.Path(ctx, name, s.progress); err != nil {
			return err
		}
	}
	return nil
}

func (s *surroundings) makeDir() (err error) {
	if s.dir, err = os.MkdirTemp("", folderPattern); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := machine.RecordSelf(filepath.Join(s.dir, ownerFile)); err != nil {
		return err
	}
	// Postgres under root's tests runs as another user, who must get through.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Mkdir(s.temp(), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(s.temp(), 0o777|os.ModeSticky); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// temp is the command's folder for temporary files. It goes with the run, and
// what a test that was killed left with it.
func (s *surroundings) temp() string { return filepath.Join(s.dir, tempDir) }

func (s *surroundings) findDocker(ctx context.Context) error {
	s.docker = machine.EngineHost()
	if machine.EngineAnswers(ctx, s.docker) == nil {
		if s.removeImages {
			s.stops = append(s.stops, s.clearImages)
		}
		return nil
	}
	engine, err := machine.StartEngine(ctx, filepath.Join(s.dir, engineDir), filepath.Join(s.dir, engineSocket))
	if err != nil {
		return err
	}
	s.stops = append(s.stops, engine.Stop)
	s.docker = engine.Host
	fmt.Fprintf(s.progress, "started a Docker Engine at %s\n", engine.Host)
	return nil
}

func (s *surroundings) clearImages() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return testenv.RemoveDemoImages(ctx)
}

func (s *surroundings) findPostgres(ctx context.Context) error {
	if s.postgres != "" {
		return nil
	}
	url, stop, err := testenv.StartPostgres(ctx, filepath.Join(s.dir, postgresDir))
	if err != nil {
		return err
	}
	s.stops = append(s.stops, stop)
	s.postgres = url
	fmt.Fprintf(s.progress, "started a Postgres server in %s\n", s.dir)
	return nil
}

// env are the variables that tell the command where everything is.
func (s *surroundings) env() []string {
	return []string{envPostgres + "=" + s.postgres, "DOCKER_HOST=" + s.docker, "TMPDIR=" + s.temp()}
}

// end stops what prepare started, last first, and removes its files.
func (s *surroundings) end() error {
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i]())
	}
	if s.dir != "" {
		errs = append(errs, testenv.StopEngines(s.temp()))
		if err := os.RemoveAll(s.dir); err != nil {
			errs = append(errs, fmt.Errorf("remove files: %w", err))
		}
	}
	return errors.Join(errs...)
}
