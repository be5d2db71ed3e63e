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
	"github.com/wedsync/terraform-provider-wedsync/daemon/metrics"
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
	Resync time.Duration
	// Metrics is how often instances are measured, and how long that is kept.
	Metrics Metrics
	Version string
	Logger  *slog.Logger
}

// Metrics is how often instances are measured, and how long that is kept.
type Metrics struct {
	Interval  time.Duration
	Retention metrics.Retention
}

// DefaultMetrics measures twice a minute, and keeps samples for two days, roll-ups to
// five minutes for a month and to an hour for more than a year.
func DefaultMetrics() Metrics {
	const day = 24 * time.Hour
	return Metrics{Interval: 30 * time.Second, Retention: metrics.Retention{Samples: 2 * day, Rollups5m: 30 * day, Rollups1h: 400 * day}}
}

// check finds what is wrong: each resolution has to be kept as long as the finer one.
func (m Metrics) check() (errs []error) {
	if m.Interval < metrics.MinInterval {
		errs = append(errs, fmt.Errorf("metrics interval %s is below one second", m.Interval))
	}
	if m.Interval > maxMetricsInterval {
		errs = append(errs, fmt.Errorf("metrics interval %s is above %s, the length of the shortest roll-up", m.Interval, maxMetricsInterval))
	}
	r := m.Retention
	if r.Samples < 24*time.Hour {
		errs = append(errs, fmt.Errorf("metrics retention %s is below 24h", r.Samples))
	}
	if r.Rollups5m < r.Samples {
		errs = append(errs, fmt.Errorf("retention %s of roll-ups to five minutes is below that of samples, %s", r.Rollups5m, r.Samples))
	}
	if r.Rollups1h < r.Rollups5m {
		errs = append(errs, fmt.Errorf("retention %s of roll-ups to an hour is below that of roll-ups to five minutes, %s", r.Rollups1h, r.Rollups5m))
	}
	return errs
}

// maxMetricsInterval bounds the time between two samples: a bucket has one at least.
const maxMetricsInterval = 5 * time.Minute

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
	errs = append(errs, c.Metrics.check()...)
	errs = append(errs, c.Traffic.check()...)
	if err := errors.Join(errs...); err != nil {
		return fleet.Errorf(fleet.ErrInvalid, "%v", err)
	}
	return nil
}
