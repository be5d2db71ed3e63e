package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/embedded"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic"
)

const (
	// snapshotFile, in the data directory, is what the balancer last knew.
	snapshotFile = "traffic.json"
	// openEvery is the time between two tries to open the database.
	openEvery = time.Second
)

// Sockets are what a balancer in a process of its own serves at.
type Sockets struct {
	Traffic net.Listener
	// Secure is for TLS; nil for none.
	Secure net.Listener
	// Metrics is for Prometheus, without a token; nil for none.
	Metrics net.Listener
}

// RunTraffic runs the balancer, and nothing else of the daemon, until ctx ends. It
// begins with what a process before it last knew, whether the database can be
// reached or not, and calls ready once it serves.
func RunTraffic(ctx context.Context, c Config, s Sockets, ready func() error) error {
	if err := prepare(c); err != nil {
		return err
	}
	store := &lateStore{open: c.openRunning}
	defer store.close()
	path := filepath.Join(c.DataDir, snapshotFile)
	b, err := c.newBalance(s.Traffic, s.Secure, store, traffic.NewSnapshotFile(path, c.Logger))
	if err != nil {
		return err
	}
	switch last, found, err := traffic.ReadSnapshot(path); {
	case err != nil:
		c.Logger.Warn("beginning without the last snapshot", "error", err)
	case found:
		b.balancer.Receive(last)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.run(groupCtx) })
	if s.Metrics != nil {
		group.Go(func() error { return serve(groupCtx, s.Metrics, metricsHandler(b.balancer), c.Logger) })
	}
	c.Logger.Info("the balancer is ready", "address", s.Traffic.Addr().String(), "version", c.Version, "data_dir", c.DataDir)
	if err := ready(); err != nil {
		return fmt.Errorf("tell that the balancer is ready: %w", err)
	}
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func metricsHandler(c prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// openRunning opens the configured database, or the daemon's own one where another
// process runs it.
func (c Config) openRunning(ctx context.Context) (*postgres.Store, error) {
	db := &database{url: c.Database.URL}
	if db.url == "" {
		var err error
		if db.url, err = embedded.AppURL(c.DataDir); err != nil {
			return nil, err
		}
	}
	return c.open(ctx, db)
}

// lateStore is a store that is opened when it can be.
type lateStore struct {
	open func(context.Context) (*postgres.Store, error)

	mu    sync.Mutex
	store *postgres.Store
	tried time.Time
	err   error // of the last try
}

// get is the store, if it can be opened; one try a second is made.
func (l *lateStore) get(ctx context.Context) (*postgres.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store == nil && time.Since(l.tried) >= openEvery {
		l.store, l.err = l.open(ctx)
		l.tried = time.Now()
	}
	return l.store, l.err
}

func (l *lateStore) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil {
		l.store.Close()
	}
}

// with does something with the store, if it can be opened.
func (l *lateStore) with(ctx context.Context, do func(*postgres.Store) error) error {
	s, err := l.get(ctx)
	if err != nil {
		return err
	}
	return do(s)
}

// Traffic implements traffic.Store.
func (l *lateStore) Traffic(ctx context.Context) (t fleet.Traffic, err error) {
	err = l.with(ctx, func(s *postgres.Store) error {
		t, err = s.Traffic(ctx)
		return err
	})
	return t, err
}

// TrafficChanges implements traffic.Store.
func (l *lateStore) TrafficChanges(ctx context.Context) <-chan struct{} {
	changes := make(chan struct{}, 1)
	go func() {
		defer close(changes)
		ticker := time.NewTicker(openEvery)
		defer ticker.Stop()
		for {
			if s, err := l.get(ctx); err == nil {
				pass(s.TrafficChanges(ctx), changes)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return changes
}

func pass(from <-chan struct{}, to chan<- struct{}) {
	for range from {
		select {
		case to <- struct{}{}:
		default:
		}
	}
}

// Follow implements traffic.Store.
func (l *lateStore) Follow(ctx context.Context, followerID, name string) error {
	return l.with(ctx, func(s *postgres.Store) error { return s.Follow(ctx, followerID, name) })
}

// Unfollow implements traffic.Store.
func (l *lateStore) Unfollow(ctx context.Context, followerID string) error {
	return l.with(ctx, func(s *postgres.Store) error { return s.Unfollow(ctx, followerID) })
}

// RecordDrained implements traffic.Store.
func (l *lateStore) RecordDrained(ctx context.Context, followerID string, instanceIDs []string) error {
	return l.with(ctx, func(s *postgres.Store) error { return s.RecordDrained(ctx, followerID, instanceIDs) })
}

// RecordLoads implements traffic.Store.
func (l *lateStore) RecordLoads(ctx context.Context, followerID string, loads []fleet.Load) error {
	return l.with(ctx, func(s *postgres.Store) error { return s.RecordLoads(ctx, followerID, loads) })
}

// StoreCertificate implements certificates.Store.
func (l *lateStore) StoreCertificate(ctx context.Context, key string, value []byte) error {
	return l.with(ctx, func(s *postgres.Store) error { return s.StoreCertificate(ctx, key, value) })
}

// LoadCertificate implements certificates.Store.
func (l *lateStore) LoadCertificate(ctx context.Context, key string) (value []byte, err error) {
	err = l.with(ctx, func(s *postgres.Store) error {
		value, err = s.LoadCertificate(ctx, key)
		return err
	})
	return value, err
}

// ListCertificates implements certificates.Store.
func (l *lateStore) ListCertificates(ctx context.Context, key string) (list []fleet.StoredCertificate, err error) {
	err = l.with(ctx, func(s *postgres.Store) error {
		list, err = s.ListCertificates(ctx, key)
		return err
	})
	return list, err
}

// DeleteCertificates implements certificates.Store.
func (l *lateStore) DeleteCertificates(ctx context.Context, key string) error {
	return l.with(ctx, func(s *postgres.Store) error { return s.DeleteCertificates(ctx, key) })
}

// LeaseCertificates implements certificates.Store.
func (l *lateStore) LeaseCertificates(ctx context.Context, name, holder string, lease time.Duration) (taken bool, err error) {
	err = l.with(ctx, func(s *postgres.Store) error {
		taken, err = s.LeaseCertificates(ctx, name, holder, lease)
		return err
	})
	return taken, err
}

// ReleaseCertificates implements certificates.Store.
func (l *lateStore) ReleaseCertificates(ctx context.Context, name, holder string) error {
	return l.with(ctx, func(s *postgres.Store) error { return s.ReleaseCertificates(ctx, name, holder) })
}
