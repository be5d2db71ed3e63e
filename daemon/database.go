package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/access"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/embedded"
)

// restartPause is the time between two tries to start the daemon's own Postgres again.
const restartPause = 2 * time.Second

// database is where the state is kept, ready to be opened.
type database struct {
	ownerURL string // migrates
	url      string // everything else
	log      *slog.Logger
	// own is the daemon's own server and start makes it; nil where the database is somebody else's.
	own   *embedded.Server
	start func(context.Context) (*embedded.Server, error)
}

// reach finds the configured database, or starts the daemon's own. attach takes
// the running one of another process as it is, without stopping it in the end.
func (c Config) reach(ctx context.Context, log *slog.Logger, attach bool) (*database, error) {
	if c.Database.URL != "" {
		owner := c.Database.MigrateURL
		if owner == "" {
			owner = c.Database.URL
		}
		return &database{ownerURL: owner, url: c.Database.URL, log: log}, nil
	}
	start := embedded.Start
	if attach {
		start = embedded.Attach
	}
	d := &database{log: log, start: func(ctx context.Context) (*embedded.Server, error) {
		return start(ctx, embedded.Config{DataDir: c.DataDir, Logger: log})
	}}
	var err error
	d.own, err = d.start(ctx)
	if errors.Is(err, embedded.ErrNotInstalled) {
		return nil, fmt.Errorf("%w; or name a database with --database-url", err)
	}
	if err != nil {
		return nil, fmt.Errorf("start the daemon's own Postgres: %w", err)
	}
	d.ownerURL, d.url = d.own.OwnerURL(), d.own.AppURL()
	return d, nil
}

// stop ends the daemon's own server.
func (d *database) stop() error {
	if d.own == nil {
		return nil
	}
	return d.own.Stop()
}

// keep starts the daemon's own server again whenever it ends by itself, until
// the context ends. Requests meanwhile are answered as unavailable.
func (d *database) keep(ctx context.Context) error {
	for d.own != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-d.own.Done():
		}
		d.log.Error("the daemon's own Postgres has ended by itself; starting it again")
		_ = d.own.Stop() // lets go of the data directory
		for {
			server, err := d.start(ctx)
			if err == nil {
				d.own = server
				break
			}
			d.log.Error("cannot start the daemon's own Postgres again; trying once more", "error", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(restartPause):
			}
		}
	}
	return nil
}

// migrate brings the schema up to date; daemons that start together take turns.
func (d *database) migrate(ctx context.Context, log *slog.Logger) error {
	if err := postgres.Migrate(ctx, d.ownerURL, log); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// Migrate brings the schema up to date and does nothing else.
func Migrate(ctx context.Context, c Config) (err error) {
	if err := prepare(c); err != nil {
		return err
	}
	db, err := c.reach(ctx, c.Logger, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.stop()) }()
	return db.migrate(ctx, c.Logger)
}

// WithTokens opens the database for work on tokens, as the daemon itself. A
// daemon that runs on it is not disturbed.
func WithTokens(ctx context.Context, c Config, do func(context.Context, *access.Tokens) error) (err error) {
	if err := prepare(c); err != nil {
		return err
	}
	db, err := c.reach(ctx, c.Logger, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.stop()) }()
	if err := db.migrate(ctx, c.Logger); err != nil {
		return err
	}
	store, err := c.open(ctx, db)
	if err != nil {
		return err
	}
	defer store.Close()
	return do(fleet.AsSystem(ctx), access.NewTokens(store))
}
