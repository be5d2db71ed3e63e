package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Database says where the state is kept.
type Database struct {
	// URL is the DSN of the database; empty means a Postgres of the daemon's own in the data directory.
	URL string
	// MigrateURL is the DSN of the schema's owner, where URL names an unprivileged role.
	MigrateURL string
}

// Config is all that a Daemon needs to know.
type Config struct {
	// Listen is the address of the API.
	Listen string
	// Traffic is how requests of the services' users come in.
	Traffic Traffic
	// DNSListen is the address at which services are found by DNS; empty for none.
	DNSListen string
	// DataDir holds the daemon's files: keys, the first administrator's token, its own Postgres.
	DataDir  string
	Database Database
	// BootstrapToken is the first administrator's token; empty means one is made
	// once and kept in <DataDir>/admin.token.
	BootstrapToken string
	// SecretKey, 64 hexadecimal digits, encrypts registry credentials and certificates; empty
	// means one is made once and kept in <DataDir>/secret.key. Daemons that share a database need the same.
	SecretKey string
	// Environments are the names that may be deployed into.
	Environments []string
	// HostPorts is the range, from and to, that published ports are taken from.
	HostPorts [2]int
	// Resync is the time between two full comparisons with the engine.
	Resync  time.Duration
	Version string
	Logger  *slog.Logger
}

// DefaultDataDir is /var/lib/wedsyncd for root, and below the user's state directory otherwise.
func DefaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/wedsyncd"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "wedsyncd")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "wedsyncd")
	}
	return "wedsyncd-data"
}

// Check finds everything that is wrong with a configuration.
func (c Config) Check() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("data directory must not be empty"))
	}
	if len(c.Environments) == 0 {
		errs = append(errs, errors.New("environments must not be empty; the default is development,staging,production"))
	}
	for k, e := range c.Environments {
		if err := grammar.Name(e); err != nil {
			errs = append(errs, fmt.Errorf("environment %w", err))
		}
		if slices.Contains(c.Environments[:k], e) {
			errs = append(errs, fmt.Errorf("environment %q is named twice", e))
		}
	}
	if c.HostPorts[0] < 1024 || c.HostPorts[1] > 65535 || c.HostPorts[0] > c.HostPorts[1] {
		errs = append(errs, fmt.Errorf("host ports %d-%d are no range within 1024-65535", c.HostPorts[0], c.HostPorts[1]))
	}
	if c.Database.MigrateURL != "" && c.Database.URL == "" {
		errs = append(errs, errors.New("a database URL for migrations needs the database URL beside it"))
	}
	if c.Resync < time.Second {
		errs = append(errs, fmt.Errorf("resync interval %s is below one second", c.Resync))
	}
	errs = append(errs, c.Traffic.check()...)
	if err := errors.Join(errs...); err != nil {
		return fleet.Errorf(fleet.ErrInvalid, "%v", err)
	}
	return nil
}
