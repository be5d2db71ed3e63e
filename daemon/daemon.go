package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/wedsync/terraform-provider-wedsync/daemon/access"
	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/discovery"
	"github.com/wedsync/terraform-provider-wedsync/daemon/docker"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/health"
	"github.com/wedsync/terraform-provider-wedsync/daemon/httpapi"
	"github.com/wedsync/terraform-provider-wedsync/daemon/metrics"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic"
)

// drainTime bounds how long requests under way are waited for at the end.
const drainTime = 10 * time.Second

// Daemon is a wedsyncd that has not been started yet, or runs, or has ended.
type Daemon struct {
	config   Config
	listener net.Listener // of the API
	traffic  net.Listener
	secure   net.Listener // for traffic with TLS; nil for none
	// directory is what is told of the services, by DNS among others.
	directory *discovery.Directory
	dns       *discovery.DNS // nil without an address
}

// New checks the configuration, takes the addresses of API and traffic and
// prepares the data directory. Nothing else is touched before Run.
func New(ctx context.Context, c Config) (*Daemon, error) {
	if err := prepare(c); err != nil {
		return nil, err
	}
	d := &Daemon{config: c, directory: discovery.NewDirectory()}
	if err := d.listen(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// listen takes the addresses.
func (d *Daemon) listen(ctx context.Context) (err error) {
	c := d.config
	if d.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Listen); err != nil {
		return fmt.Errorf("listen for the API: %w; choose another address with --listen or WEDSYNC_LISTEN", err)
	}
	if d.traffic, err = c.Traffic.listen(ctx); err != nil {
		return err
	}
	if d.secure, err = c.Traffic.TLS.listen(ctx); err != nil || c.DNSListen == "" {
		return err
	}
	if d.dns, err = discovery.ListenDNS(ctx, c.DNSListen, d.directory); err != nil {
		return fmt.Errorf("%w; choose another address with --dns-listen or WEDSYNC_DNS_LISTEN", err)
	}
	return nil
}

// close gives the addresses back.
func (d *Daemon) close() error {
	for _, l := range []net.Listener{d.listener, d.traffic, d.secure} {
		if l != nil {
			_ = l.Close() // or its server has
		}
	}
	if d.dns != nil {
		return d.dns.Close()
	}
	return nil
}

// prepare checks a configuration and makes the data directory. Others may pass
// through it, to the socket of the daemon's own Postgres, but not list it.
func prepare(c Config) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.DataDir, 0o711); err != nil {
		return fmt.Errorf("make data directory: %w; choose another with --data-dir or WEDSYNC_DATA_DIR", err)
	}
	return nil
}

// Addr is the address of the API.
func (d *Daemon) Addr() string { return d.listener.Addr().String() }

// TrafficAddr is the address of the balancer; empty without one.
func (d *Daemon) TrafficAddr() string {
	if d.traffic == nil {
		return ""
	}
	return d.traffic.Addr().String()
}

// Run works until the context ends, then ends in order: requests under way are
// answered, the loops stop, and the daemon's own Postgres with them. Containers
// go on running.
func (d *Daemon) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, d.close()) }()
	c, log := d.config, d.config.Logger
	db, err := c.reach(ctx, log, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.stop()) }()
	if err := db.migrate(ctx, log); err != nil {
		return err
	}
	p, err := d.assemble(ctx, db)
	if err != nil {
		return err
	}
	defer p.close()
	log.Info("wedsyncd is ready", "address", d.Addr(), "traffic", d.TrafficAddr(), "tls", c.Traffic.TLS.Listen, "dns", d.config.DNSListen, "version", c.Version, "data_dir", c.DataDir, "engine", p.engine.Host())
	return p.run(ctx, d.listener, db)
}

// parts are the daemon's parts, wired together.
type parts struct {
	log        *slog.Logger
	store      *postgres.Store
	engine     *docker.Engine
	controller *deploy.Controller
	monitor    *health.Monitor
	collector  *metrics.Collector
	maintainer *metrics.Maintainer
	autoscaler *autoscale.Controller
	handler    http.Handler
	balance    *balance
	registry   *traffic.Registry
	heartbeats *traffic.Heartbeats
	sweeper    *traffic.Sweeper
	directory  *discovery.Directory
	dns        *discovery.DNS // nil without an address
}

func (p *parts) close() {
	_ = p.engine.Close()
	p.store.Close()
}

// assemble opens the store and wires everything that works on it.
func (d *Daemon) assemble(ctx context.Context, db *database) (_ *parts, err error) {
	c, log := d.config, d.config.Logger
	store, err := c.open(ctx, db)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			store.Close()
		}
	}()
	installation, err := store.Installation(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the installation's name: %w", err)
	}
	engine, err := docker.New(docker.Config{Installation: installation, Logger: log})
	if err != nil {
		return nil, err
	}
	tokens := access.NewTokens(store)
	secret, err := c.bootstrapToken()
	if err != nil {
		return nil, err
	}
	if err := tokens.EnsureBootstrap(ctx, secret); err != nil {
		return nil, err
	}
	return d.wire(store, engine, tokens)
}

func (c Config) open(ctx context.Context, db *database) (*postgres.Store, error) {
	key, err := c.secretKey()
	if err != nil {
		return nil, err
	}
	store, err := postgres.Open(ctx, postgres.Config{URL: db.url, SecretKey: key, HostPortMin: c.HostPorts[0], HostPortMax: c.HostPorts[1], Logger: c.Logger})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return store, nil
}

// wire connects the loops: a container that was started is checked at once, a
// verdict that changed wakes the workload, and so does what the API accepts; new
// samples wake the autoscaler, and its decisions the workload.
func (d *Daemon) wire(store *postgres.Store, engine *docker.Engine, tokens *access.Tokens) (_ *parts, err error) {
	c := d.config
	p := &parts{log: c.Logger, store: store, engine: engine, directory: d.directory, dns: d.dns}
	p.monitor = health.NewMonitor(health.Config{Store: store, Engine: engine, Logger: c.Logger, Changed: func(w fleet.Workload) { p.controller.Wake(w) }})
	p.autoscaler = autoscale.NewController(autoscale.Config{Store: store, Logger: c.Logger, Interval: c.Metrics.Interval, Scaled: func(w fleet.Workload) { p.controller.Wake(w) }})
	p.collector = metrics.NewCollector(metrics.Config{Store: store, Engine: engine, Interval: c.Metrics.Interval, Logger: c.Logger, Written: p.autoscaler.Wake})
	p.maintainer = &metrics.Maintainer{Store: store, Retention: c.Metrics.Retention, Logger: c.Logger}
	deployStore, deployEngine := withFailpoints(store, engine)
	started := func() { p.monitor.Poke(); p.collector.Poke() }
	p.controller = deploy.NewController(deploy.Config{Store: deployStore, Engine: deployEngine, Logger: c.Logger, Resync: c.Resync, Started: started})
	p.registry, p.heartbeats, p.sweeper = traffic.NewRegistry(), traffic.NewHeartbeats(store, c.Logger), traffic.NewSweeper(store, c.Logger)
	if p.balance, err = c.newBalance(d.traffic, d.secure, store, d.directory, p.registry); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	if p.balance.balancer != nil {
		registry.MustRegister(p.balance.balancer)
	}
	registry.MustRegister(p.collector)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.handler = httpapi.New(httpapi.Config{
		Store:         store,
		Deployer:      deploy.NewService(deployStore, deployEngine, p.controller.Wake),
		Engine:        engine,
		Authenticator: tokens,
		Registry:      p.registry,
		Heartbeats:    p.heartbeats,
		Environments:  c.Environments,
		Domain:        c.Traffic.Domain,
		Discovery:     p.directory.Handler(),
		Metrics:       registry,
		Logger:        c.Logger,
		Version:       c.Version,
	})
	return p, nil
}

// run serves API and traffic, and leads as soon as no other daemon does.
func (p *parts) run(ctx context.Context, listener net.Listener, db *database) error {
	group, groupCtx := errgroup.WithContext(ctx)
	beating, silence := context.WithCancel(context.WithoutCancel(groupCtx))
	group.Go(func() error {
		defer silence() // when the last heartbeat that the API can get is there
		return serve(groupCtx, listener, p.handler, p.log, p.directory.Close, p.registry.Close)
	})
	group.Go(func() error { return p.heartbeats.Run(beating) })
	if p.dns != nil {
		group.Go(func() error { return p.dns.Run(groupCtx) })
	}
	group.Go(func() error { return p.balance.run(groupCtx) })
	group.Go(func() error { return p.store.Lead(groupCtx, p.lead) })
	group.Go(func() error { return db.keep(groupCtx) })
	err := group.Wait()
	if ctx.Err() == nil {
		return err
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		p.log.Warn("ended while something was wrong", "error", err)
	}
	return nil
}

// lead does what only one daemon on a database may do.
func (p *parts) lead(ctx context.Context, epoch int64) error {
	p.log.Info("leading", "epoch", epoch)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.controller.Run(ctx, epoch, p.store.Changes(ctx)) })
	group.Go(func() error { return p.monitor.Run(ctx) })
	group.Go(func() error { return p.sweeper.Run(ctx) })
	group.Go(func() error { return p.collector.Run(ctx) })
	group.Go(func() error { return p.autoscaler.Run(ctx) })
	group.Go(func() error { return p.maintainer.Run(ctx) })
	return group.Wait()
}

// serve answers requests until the context ends and those under way are answered.
// ending are called first, to have those answered that only wait for something.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger, ending ...func()) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      5 * time.Minute, // a deploy may have to ask a slow registry
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	for _, f := range ending {
		server.RegisterOnShutdown(f)
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil {
		return errors.Join(fmt.Errorf("end the API: %w", err), server.Close())
	}
	return nil
}
