package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic"
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
}

// check finds everything that is wrong with it.
func (t Traffic) check() []error {
	var errs []error
	if err := grammar.Host(t.Domain); err != nil {
		errs = append(errs, fmt.Errorf("traffic domain %w", err))
	}
	if t.DrainTime < 0 || t.DrainTime > grammar.MaxTrafficSeconds*time.Second {
		errs = append(errs, fmt.Errorf("traffic drain time %s is not between 0 and one day", t.DrainTime))
	}
	return errs
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
	balancer *traffic.Balancer // nil where another process balances
	follower *traffic.Follower
	drain    time.Duration
}

// newBalance makes the balancer and what keeps it up to date. others get the same
// snapshots. Without a listener there is no balancer, only the others.
func (c Config) newBalance(listener net.Listener, store traffic.Store, others ...traffic.Receiver) *balance {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	f := traffic.FollowerConfig{Store: store, Receivers: others, Name: name, Logger: c.Logger}
	b := &balance{listener: listener, drain: c.Traffic.DrainTime}
	if listener != nil {
		b.balancer = traffic.NewBalancer(traffic.Config{Domain: c.Traffic.Domain, TrustedProxies: c.Traffic.TrustedProxies, Logger: c.Logger})
		f.Receivers = append([]traffic.Receiver{b.balancer}, others...)
		f.Meter, f.Idle = b.balancer, b.balancer.Idle()
	}
	b.follower = traffic.NewFollower(f)
	return b
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

func (b *balance) serve(ctx context.Context) error {
	if b.balancer == nil {
		<-ctx.Done()
		return nil
	}
	return b.balancer.Serve(ctx, b.listener, b.drain)
}
