package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// MinServerVersion is the oldest Postgres that has views with the rights of
// their reader, which row level security needs here.
const MinServerVersion = 15

// migrations is the tree of migration files.
func migrations() (fs.FS, error) { return fs.Sub(migrationFiles, "migrations") }

// Migrate brings the schema up to date. The URL's login must own the database's
// public schema and be allowed to create the role wedsync_app, or be a member of
// it already. Daemons that migrate at the same time take turns; migrations only go
// forward.
func Migrate(ctx context.Context, ownerURL string, log *slog.Logger) error {
	return migrateTo(ctx, ownerURL, math.MaxInt64, log)
}

// migrateTo applies the migrations up to a version.
func migrateTo(ctx context.Context, ownerURL string, version int64, log *slog.Logger) (err error) {
	config, err := connConfig(ownerURL)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkServer(ctx, db); err != nil {
		return err
	}
	provider, err := newProvider(db)
	if err != nil {
		return err
	}
	results, err := provider.UpTo(ctx, version)
	for _, r := range results {
		log.Info("migrated the database", "version", r.Source.Version, "duration", r.Duration)
	}
	if err != nil {
		return fmt.Errorf("apply migrations: %w", migrationCause(err))
	}
	return nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := migrations()
	if err != nil {
		return nil, err
	}
	// Others finish within seconds, or there is something to look at.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120), lock.WithUnlockTimeout(1, 10))
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker), goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// migrationCause is the database's own error, without goose's listing of what it had done before.
func migrationCause(err error) error {
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil {
		return fmt.Errorf("migration %d: %w", partial.Failed.Source.Version, partial.Err)
	}
	return err
}

func checkServer(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&version); err != nil {
		return translate("connect to the database", err)
	}
	if version < MinServerVersion {
		return fmt.Errorf("the database server is Postgres %d; wedsyncd needs Postgres %d or newer", version, MinServerVersion)
	}
	return nil
}

// schemaVersion is the version that this program's migrations lead to.
func schemaVersion() (int64, error) {
	files, err := migrations()
	if err != nil {
		return 0, err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("read migrations: %w", err)
		}
		newest = max(newest, v)
	}
	return newest, nil
}

// SchemaHash names the schema that Migrate makes: it changes with every migration.
func SchemaHash() (string, error) {
	files, err := migrations()
	if err != nil {
		return "", err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return "", fmt.Errorf("read migrations: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(b), b)
	}
	return hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// connConfig is how every connection of ours is made.
func connConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	configure(config)
	return config, nil
}

func configure(config *pgx.ConnConfig) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "wedsyncd"
	}
	config.RuntimeParams["search_path"] = "public"
	config.RuntimeParams["timezone"] = "UTC"
}

// errURL leaves out the URL and the parser's message: both may hold the password.
var errURL = errors.New("the database URL cannot be read; write it as postgres://user:password@host:5432/database")
