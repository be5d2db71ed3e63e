package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic/certificates"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Traffic says how requests of the services' users come in.
type Traffic struct {
	// Listen is the address of the balancer; empty where it runs as a process of its own.
	Listen string
	// Domain is what the services' own hosts end with: SERVICE.ENVIRONMENT.<Domain>.
	Domain string
	// TrustedProxies are networks whose X-Forwarded headers are believed.
	TrustedProxies []netip.Prefix
	// DrainTime is how long requests under way may go on when the balancer ends.
	DrainTime time.Duration
	TLS       TrafficTLS
	AccessLog AccessLog
}

// AccessLog says where a line for each request is written.
type AccessLog struct {
	// Path is a file that is appended to, or "-" for standard output; empty for no log.
	Path string
	// Sample is the share of requests that is written, from 0 to 1. Those that ended badly always are.
	Sample float64
}

// check finds everything that is wrong with it.
func (t Traffic) check() []error {
	var errs []error
	if t.Listen == "" && t.TLS.Listen != "" {
		errs = append(errs, errors.New("an address for TLS is of no use where another process balances; leave --traffic-tls-listen to wedsyncd traffic"))
	}
	if err := grammar.Host(t.Domain); err != nil {
		errs = append(errs, fmt.Errorf("traffic domain %w", err))
	}
	if t.DrainTime < 0 || t.DrainTime > grammar.MaxTrafficSeconds*time.Second {
		errs = append(errs, fmt.Errorf("traffic drain time %s is not between 0 and one day", t.DrainTime))
	}
	if s := t.AccessLog.Sample; t.AccessLog.Path != "" && !(s >= 0 && s <= 1) { // nor NaN
		errs = append(errs, fmt.Errorf("share of requests in the access log %v is not between 0 and 1", s))
	}
	return append(errs, t.TLS.check()...)
}

// open opens the log; nil where there is none.
func (a AccessLog) open(log *slog.Logger) (*traffic.AccessLog, io.Closer, error) {
	switch a.Path {
	case "":
		return nil, io.NopCloser(nil), nil
	case "-":
		return traffic.NewAccessLog(os.Stdout, a.Sample, log), io.NopCloser(nil), nil
	}
	f, err := os.OpenFile(a.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, nil, fmt.Errorf("open access log: %w; choose another file with --traffic-access-log or WEDSYNC_TRAFFIC_ACCESS_LOG", err)
	}
	return traffic.NewAccessLog(f, a.Sample, log), f, nil
}

// listen takes the balancer's address.
func (t Traffic) listen(ctx context.Context) (net.Listener, error) {
	if t.Listen == "" {
		return nil, nil //nolint:nilnil // no address, no listener
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", t.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for traffic: %w; choose another address with --traffic-listen or WEDSYNC_TRAFFIC_LISTEN", err)
	}
	return listener, nil
}

// balance is the part of the daemon that requests of the services' users go through.
type balance struct {
	listener net.Listener
	secure   net.Listener      // for TLS; nil for none
	balancer *traffic.Balancer // nil where another process balances
	follower *traffic.Follower
	drain    time.Duration
	acme     *certificates.ACME // nil for none
	access   *traffic.AccessLog // nil for none
	file     io.Closer          // of the access log
}

// balanceStore is what a balance needs of the database.
type balanceStore interface {
	traffic.Store
	certificates.Store
}

// newBalance makes the balancer and what keeps it up to date. others get the same
// snapshots. Without a listener there is no balancer, only the others.
func (c Config) newBalance(listener, secure net.Listener, store balanceStore, others ...traffic.Receiver) (*balance, error) {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	f := traffic.FollowerConfig{Store: store, Receivers: others, Name: name, Logger: c.Logger}
	if listener == nil {
		return &balance{follower: traffic.NewFollower(f)}, nil
	}
	access, file, err := c.Traffic.AccessLog.open(c.Logger)
	if err != nil {
		return nil, err
	}
	b := traffic.NewBalancer(traffic.Config{Domain: c.Traffic.Domain, TrustedProxies: c.Traffic.TrustedProxies, AccessLog: access, Logger: c.Logger})
	acme, err := c.secure(b, listener, secure, store)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.Receivers = append([]traffic.Receiver{b}, others...)
	f.Meter, f.Idle = b, b.Idle()
	return &balance{
		listener: listener, secure: secure, balancer: b, drain: c.Traffic.DrainTime, acme: acme, access: access, file: file,
		follower: traffic.NewFollower(f),
	}, nil
}

// serve answers requests at all listeners until ctx ends, and writes the access log until the last is answered.
func (b *balance) serve(ctx context.Context) error {
	if b.balancer == nil {
		<-ctx.Done()
		return nil
	}
	logging, stop := context.WithCancel(context.WithoutCancel(ctx))
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		if b.access != nil {
			b.access.Run(logging)
		}
	}()
	if b.acme != nil {
		go b.acme.Run(logging)
	}
	group, serving := errgroup.WithContext(ctx)
	group.Go(func() error { return b.balancer.Serve(serving, b.listener, b.drain) })
	if b.secure != nil {
		group.Go(func() error { return b.balancer.ServeTLS(serving, b.secure, b.drain) })
	}
	err := group.Wait()
	stop()
	<-logged
	return errors.Join(err, b.file.Close())
}

// run serves until ctx ends. The follower goes on while the last requests are
// answered, and leaves when they have been: what drains waits for it until then.
func (b *balance) run(ctx context.Context) error {
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	followed := make(chan error, 1)
	go func() { followed <- b.follower.Run(following) }()
	err := b.serve(ctx)
	stop()
	err = errors.Join(err, <-followed)
	if left := b.follower.Leave(ctx); left != nil && !errors.Is(left, fleet.ErrUnavailable) {
		err = errors.Join(err, fmt.Errorf("leave the registry: %w", left))
	}
	return err
}
