package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

const (
	// startLimit bounds how long wedsyncd may take until it is ready, with the
	// making of its Postgres.
	startLimit = time.Minute
	// stopGrace is how long wedsyncd may take to end, with its Postgres.
	stopGrace = 45 * time.Second
)

func (d *demo) dataDir() string   { return d.path("data") }
func (d *demo) daemonLog() string { return d.path("logs", "wedsyncd.log") }
func (d *demo) daemonPID() string { return d.path("wedsyncd.json") }
func (d *demo) tokenFile() string { return filepath.Join(d.dataDir(), "admin.token") }
func (d *demo) endpoint() string  { return "http://" + d.Listen }

// ensureDaemon starts wedsyncd unless the one that runs is of the same build and
// listens where it should.
func (d *demo) ensureDaemon(ctx context.Context, l *line) error {
	process, err := machine.Load(d.daemonPID())
	if err != nil {
		return err
	}
	want := d.wanted()
	if process != nil && process.Program == want && d.ready(ctx) == nil {
		return l.found(d.endpoint())
	}
	if process != nil {
		fmt.Fprintln(l, "restarting it, as its program, address or state is not what it should be")
		if err := process.Stop(stopGrace); err != nil {
			return err
		}
	}
	if err := machine.CheckPortFree(d.Listen); err != nil {
		return fmt.Errorf("start wedsyncd: %w; choose another address, for example WEDSYNC_LISTEN=127.0.0.1:7366 make demo", err)
	}
	if err := machine.CheckPortFree(d.TrafficListen); err != nil {
		return fmt.Errorf("start wedsyncd: %w; choose another address, for example WEDSYNC_TRAFFIC_LISTEN=127.0.0.1:7380 make demo", err)
	}
	if err := d.startDaemon(ctx, want); err != nil {
		return err
	}
	return l.did(d.endpoint())
}

// wanted tells a daemon of this build and these addresses from others.
func (d *demo) wanted() string {
	return strings.Join([]string{d.fingerprint("wedsyncd"), d.Listen, d.TrafficListen}, " ")
}

// startDaemon starts wedsyncd and waits until it is ready.
func (d *demo) startDaemon(ctx context.Context, fingerprint string) error {
	cmd := exec.Command(d.path("bin", "wedsyncd"), "serve", "--data-dir", d.dataDir(), "--listen", d.Listen, "--traffic-listen", d.TrafficListen)
	cmd.Env = append(withoutSettings(os.Environ()), "DOCKER_HOST="+d.engine)
	process, err := machine.Start(cmd, d.daemonLog(), d.daemonPID(), fingerprint)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	go func() {
		select {
		case <-process.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := machine.Await(ctx, 50*time.Millisecond, d.ready); err != nil {
		return fmt.Errorf("start wedsyncd: %w; the last lines of %s are:\n%s", err, d.daemonLog(), machine.Tail(d.daemonLog(), 10))
	}
	return nil
}

// withoutSettings drops the settings of another wedsyncd and of Terraform from the environment.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, "WEDSYNC_") || strings.HasPrefix(v, "TF_")
	})
}

// ready asks wedsyncd whether it is.
func (d *demo) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.endpoint()+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask wedsyncd whether it is ready: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask wedsyncd whether it is ready: %w", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("wedsyncd is not ready: %s", resp.Status)
	}
	return nil
}

// token is the first administrator's token.
func (d *demo) token() (string, error) {
	data, err := os.ReadFile(d.tokenFile())
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

func (d *demo) client() (*client.Client, error) {
	token, err := d.token()
	if err != nil {
		return nil, err
	}
	return client.New(d.endpoint(), token, client.WithUserAgent("wedsync-demo"))
}

// stopDaemon ends wedsyncd, and a Postgres that outlived it because it was killed.
func (d *demo) stopDaemon(ctx context.Context) (stopped bool, err error) {
	process, err := machine.Load(d.daemonPID())
	if err != nil {
		return false, err
	}
	if process != nil {
		if err := process.Stop(stopGrace); err != nil {
			return false, err
		}
	}
	orphan, err := testenv.StopPostgres(ctx, d.dataDir())
	return process != nil || orphan, err
}

// psql is the command that reads the database as its owner, whom row level
// security does not bind.
func (d *demo) psql() string {
	return "psql -h " + filepath.Join(d.dataDir(), "postgres", "run") + " -U wedsync wedsync"
}
