package testenv

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/embedded"
)

// StopPostgres ends the server in a data directory whose starter was killed and
// could not: it takes it over, as the next daemon would, and ends it in good
// order. It reports whether there was one.
func StopPostgres(ctx context.Context, dataDir string) (stopped bool, err error) {
	if _, err := os.Stat(filepath.Join(dataDir, "postgres", "data", "postmaster.pid")); err != nil {
		return false, nil //nolint:nilerr // none has been started
	}
	server, err := embedded.Start(ctx, embedded.Config{DataDir: dataDir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return false, fmt.Errorf("stop Postgres: %w", err)
	}
	return true, server.Stop()
}
