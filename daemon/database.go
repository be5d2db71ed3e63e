package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/wedsync/terraform-provider-wedsync/daemon/access"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/embedded"
)

// database is where the state is kept, ready to be opened.
type database struct {
	ownerURL string // migrates
	url      string // everything else
	stop     func() error
}

// reach finds the configured database, or starts the daemon's own. attach takes
// the running one of another process as it is, without stopping it in the end.
func (c Config) reach(ctx context.Context, log *slog.Logger, attach bool) (database, error) {
	if c.Database.URL != "" {
		owner := c.Database.MigrateURL
		if owner == "" {
			owner = c.Database.URL
		}
		return database{ownerURL: owner, url: c.Database.URL, stop: func() error { return nil }}, nil
	}
	start := embedded.Start
	if attach {
		start = embedded.Attach
	}
	server, err := start(ctx, embedded.Config{DataDir: c.DataDir, Logger: log})
	if errors.Is(err, embedded.ErrNotInstalled) {
		return database{}, fmt.Errorf("%w; or name a database with --database-url", err)
	}
	if err != nil {
		return database{}, fmt.Errorf("start the daemon's own Postgres: %w", err)
	}
	return database{ownerURL: server.OwnerURL(), url: server.AppURL(), stop: server.Stop}, nil
}

// migrate brings the schema up to date; daemons that start together take turns.
func (d database) migrate(ctx context.Context, log *slog.Logger) error {
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
