// Command wedsyncd runs containers that are declared in Terraform, on Docker, and
// keeps their state in Postgres.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/wedsync/terraform-provider-wedsync/daemon"
)

// version is set when a release is built.
var version = "dev"

// options are shared by all commands.
type options struct {
	DataDir            string   `help:"Directory of the daemon's files: keys, the first administrator's token, its own Postgres." env:"WEDSYNC_DATA_DIR" default:"${data_dir}" type:"path"`
	DatabaseURL        string   `name:"database-url" help:"DSN of the database. Empty: a Postgres of the daemon's own in the data directory." env:"WEDSYNC_DATABASE_URL"`
	MigrateDatabaseURL string   `name:"migrate-database-url" help:"DSN of the schema's owner, where --database-url names an unprivileged role." env:"WEDSYNC_MIGRATE_DATABASE_URL"`
	Environments       []string `help:"Environments that may be deployed into." env:"WEDSYNC_ENVIRONMENTS" default:"development,staging,production"`
	SecretKeyFile      string   `help:"File with 64 hexadecimal digits that encrypt registry credentials and certificates. Empty: secret.key in the data directory, made when missing." env:"WEDSYNC_SECRET_KEY_FILE" type:"path"`
	LogLevel           string   `help:"Least level of log lines (${enum})." env:"WEDSYNC_LOG_LEVEL" default:"info" enum:"debug,info,warn,error"`
	LogFormat          string   `help:"Form of log lines (${enum})." env:"WEDSYNC_LOG_FORMAT" default:"text" enum:"text,json"`
}

type cli struct {
	options
	Serve   serveCommand   `cmd:"" help:"Run the daemon."`
	Traffic trafficCommand `cmd:"" help:"Run the balancer alone, beside a daemon that serves without one."`
	Migrate migrateCommand `cmd:"" help:"Bring the database schema up to date, and nothing else."`
	Token   tokenCommands  `cmd:"" help:"Create, list and revoke API tokens."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

type serveCommand struct {
	Listen    string        `help:"Address of the API." env:"WEDSYNC_LISTEN" default:"127.0.0.1:7266"`
	HostPorts string        `help:"Range of host ports that published ports are taken from." env:"WEDSYNC_HOST_PORTS" default:"20000-29999"`
	Resync    time.Duration `help:"Time between two full comparisons with the engine." env:"WEDSYNC_RESYNC" default:"1m"`
	DNSListen string        `name:"dns-listen" help:"Address at which services are found by DNS, in the zone wedsync, such as 127.0.0.1:7253. Empty: none." env:"WEDSYNC_DNS_LISTEN"`
	metricsOptions
	trafficOptions
}

// metricsOptions are the flags of what instances use.
type metricsOptions struct {
	MetricsInterval          time.Duration `help:"Time between two measurements of what instances use; 1s at least." env:"WEDSYNC_METRICS_INTERVAL" default:"30s"`
	MetricsRetention         time.Duration `help:"How long measurements and posted metrics are kept; 24h at least." env:"WEDSYNC_METRICS_RETENTION" default:"48h"`
	MetricsRollup5mRetention time.Duration `name:"metrics-rollup-5m-retention" help:"How long means of five minutes are kept." env:"WEDSYNC_METRICS_ROLLUP_5M_RETENTION" default:"720h"`
	MetricsRollup1hRetention time.Duration `name:"metrics-rollup-1h-retention" help:"How long means of an hour are kept." env:"WEDSYNC_METRICS_ROLLUP_1H_RETENTION" default:"9600h"`
}

func (o metricsOptions) metricsConfig() daemon.Metrics {
	m := daemon.Metrics{Interval: o.MetricsInterval}
	m.Retention.Samples, m.Retention.Rollups5m, m.Retention.Rollups1h = o.MetricsRetention, o.MetricsRollup5mRetention, o.MetricsRollup1hRetention
	return m
}

// trafficOptions are the flags of what leads requests to services.
type trafficOptions struct {
	TrafficListen         string        `help:"Address that requests to services come in at. Empty, with serve: the balancer runs as a process of its own." env:"WEDSYNC_TRAFFIC_LISTEN" default:"127.0.0.1:7280"`
	TrafficDomain         string        `help:"Domain of the services' own hosts, SERVICE.ENVIRONMENT.DOMAIN." env:"WEDSYNC_TRAFFIC_DOMAIN" default:"localhost"`
	TrafficTrustedProxies []string      `help:"Networks, such as 10.0.0.0/8, whose X-Forwarded headers are believed." env:"WEDSYNC_TRAFFIC_TRUSTED_PROXIES"`
	TrafficDrainTime      time.Duration `help:"How long requests under way may go on when the daemon ends." env:"WEDSYNC_TRAFFIC_DRAIN_TIME" default:"30s"`

	TrafficTLSListen       string `name:"traffic-tls-listen" help:"Address that requests to services come in at over TLS, such as :443. Empty: none." env:"WEDSYNC_TRAFFIC_TLS_LISTEN"`
	TrafficTLSCertificates string `name:"traffic-tls-certificates" help:"Folder of certificates, NAME.crt beside NAME.key. It is read again when it changes." env:"WEDSYNC_TRAFFIC_TLS_CERTIFICATES" type:"path"`
	TrafficRedirect        bool   `help:"Redirect requests without TLS where the host has a certificate." env:"WEDSYNC_TRAFFIC_REDIRECT"`
	TrafficRedirectPort    int    `help:"Port that clients are redirected to. 0: that of --traffic-tls-listen." env:"WEDSYNC_TRAFFIC_REDIRECT_PORT" default:"0"`
	TrafficACME            bool   `name:"traffic-acme" help:"Order certificates for the hosts of routes by ACME. This agrees to the terms of the authority." env:"WEDSYNC_TRAFFIC_ACME"`
	TrafficACMEEmail       string `name:"traffic-acme-email" help:"Mail address that the authority is told." env:"WEDSYNC_TRAFFIC_ACME_EMAIL"`
	TrafficACMECA          string `name:"traffic-acme-ca" help:"URL of the authority's directory. Empty: Let's Encrypt's." env:"WEDSYNC_TRAFFIC_ACME_CA"`
	TrafficACMECARoot      string `name:"traffic-acme-ca-root" help:"File with the certificates, in PEM, that a private authority's own are signed by." env:"WEDSYNC_TRAFFIC_ACME_CA_ROOT" type:"path"`

	TrafficAccessLog       string  `help:"File that gets a line of JSON for each request, or - for standard output. Empty: none." env:"WEDSYNC_TRAFFIC_ACCESS_LOG"`
	TrafficAccessLogSample float64 `help:"Share of requests, 0 to 1, that the access log has. Requests that ended badly are always there." env:"WEDSYNC_TRAFFIC_ACCESS_LOG_SAMPLE" default:"1"`
}

func (o trafficOptions) trafficConfig() (daemon.Traffic, error) {
	t := daemon.Traffic{
		Listen: o.TrafficListen, Domain: o.TrafficDomain, DrainTime: o.TrafficDrainTime,
		TLS: daemon.TrafficTLS{
			Listen: o.TrafficTLSListen, Certificates: o.TrafficTLSCertificates, Redirect: o.TrafficRedirect, RedirectPort: o.TrafficRedirectPort,
			ACME: daemon.ACME{Enabled: o.TrafficACME, Email: o.TrafficACMEEmail, Directory: o.TrafficACMECA, RootFile: o.TrafficACMECARoot},
		},
		AccessLog: daemon.AccessLog{Path: o.TrafficAccessLog, Sample: o.TrafficAccessLogSample},
	}
	for _, s := range o.TrafficTrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return t, fmt.Errorf("trusted proxy %q is not a network in CIDR form, such as 10.0.0.0/8", s)
		}
		t.TrustedProxies = append(t.TrustedProxies, p)
	}
	return t, nil
}

// collectAt is GOGC unless the environment says otherwise: at rest, collecting
// garbage is a tenth of what the daemon costs, and it lives on a few MiB.
const collectAt = 150

func (s *serveCommand) Run(ctx context.Context, o *options) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	c, err := o.config()
	if err != nil {
		return err
	}
	if c.HostPorts, err = portRange(s.HostPorts); err != nil {
		return err
	}
	if c.Traffic, err = s.trafficConfig(); err != nil {
		return err
	}
	c.Listen, c.DNSListen, c.Resync, c.Metrics = s.Listen, s.DNSListen, s.Resync, s.metricsConfig()
	// The token is taken from the environment only, so that no process list shows it.
	c.BootstrapToken = os.Getenv("WEDSYNC_BOOTSTRAP_TOKEN")
	d, err := daemon.New(ctx, c)
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

func portRange(s string) ([2]int, error) {
	from, to, ok := strings.Cut(s, "-")
	low, errLow := strconv.Atoi(from)
	high, errHigh := strconv.Atoi(to)
	if !ok || errLow != nil || errHigh != nil {
		return [2]int{}, fmt.Errorf("host ports %q are no range; write for example 20000-29999", s)
	}
	return [2]int{low, high}, nil
}

type migrateCommand struct{}

func (*migrateCommand) Run(ctx context.Context, o *options) error {
	c, err := o.config()
	if err != nil {
		return err
	}
	return daemon.Migrate(ctx, c)
}

type versionCommand struct{}

func (*versionCommand) Run() error {
	_, err := fmt.Println("wedsyncd", version)
	return err
}

// config is the configuration that all commands share.
func (o *options) config() (daemon.Config, error) {
	c := daemon.Config{
		DataDir:      o.DataDir,
		Database:     daemon.Database{URL: o.DatabaseURL, MigrateURL: o.MigrateDatabaseURL},
		Environments: o.Environments,
		HostPorts:    [2]int{20000, 29999},
		Traffic:      daemon.Traffic{Domain: "localhost"},
		Resync:       time.Minute,
		Metrics:      daemon.DefaultMetrics(),
		Version:      version,
		Logger:       o.logger(),
	}
	if o.SecretKeyFile != "" {
		key, err := os.ReadFile(o.SecretKeyFile)
		if err != nil {
			return c, fmt.Errorf("read secret key: %w", err)
		}
		c.SecretKey = strings.TrimSpace(string(key))
	}
	return c, nil
}

func (o *options) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.LogLevel)) // kong has checked it
	h := &slog.HandlerOptions{Level: level}
	if o.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, h))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, h))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c,
		kong.Name("wedsyncd"),
		kong.Description("Containers declared in Terraform, run on Docker, remembered in Postgres."),
		kong.UsageOnError(),
		kong.Vars{"data_dir": daemon.DefaultDataDir()},
	)
	k.BindTo(ctx, (*context.Context)(nil))
	k.Bind(&c.options)
	if err := k.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "wedsyncd:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}
