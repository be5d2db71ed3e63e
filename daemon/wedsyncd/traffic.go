package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"

	"github.com/wedsync/terraform-provider-wedsync/daemon"
)

// replaceTimeout bounds how long a new process may take until it serves; the old
// one goes on meanwhile, and if it is not met.
const replaceTimeout = 30 * time.Second

// trafficCommand runs the balancer alone.
type trafficCommand struct {
	trafficOptions
	TrafficMetricsListen string `name:"metrics-listen" help:"Address of /metrics for Prometheus, which asks for no token. Empty: none." env:"WEDSYNC_TRAFFIC_METRICS_LISTEN"`
	PidFile              string `help:"File with the process that serves: it changes when SIGHUP replaces the process." env:"WEDSYNC_TRAFFIC_PID_FILE" type:"path"`
}

// Run serves until SIGTERM. SIGHUP starts the program anew, from what its file
// holds now, and hands the sockets over: the new process serves before this one
// stops to, and this one answers what it has begun.
func (t *trafficCommand) Run(ctx context.Context, o *options) error {
	c, err := o.config()
	if err != nil {
		return err
	}
	if t.TrafficListen == "" {
		return errors.New("the balancer needs an address; give it with --traffic-listen or WEDSYNC_TRAFFIC_LISTEN")
	}
	if c.Traffic, err = t.trafficConfig(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	upgrader, err := tableflip.New(tableflip.Options{UpgradeTimeout: replaceTimeout, PIDFile: t.PidFile})
	if err != nil {
		return fmt.Errorf("prepare to be replaced: %w", err)
	}
	defer upgrader.Stop()
	go replaceOnHangup(upgrader, c)
	sockets, err := t.sockets(upgrader)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-upgrader.Exit()
		cancel()
	}()
	return daemon.RunTraffic(ctx, c, sockets, upgrader.Ready)
}

// sockets takes over what a process before has, or opens it.
func (t *trafficCommand) sockets(u *tableflip.Upgrader) (s daemon.Sockets, err error) {
	open := func(address, flag string) (net.Listener, error) {
		l, err := u.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen at %s: %w; choose another address with %s", address, err, flag)
		}
		return l, nil
	}
	for _, socket := range []struct {
		listener      *net.Listener
		address, flag string
	}{
		{&s.Traffic, t.TrafficListen, "--traffic-listen"}, {&s.Secure, t.TrafficTLSListen, "--traffic-tls-listen"},
		{&s.Metrics, t.TrafficMetricsListen, "--metrics-listen"},
	} {
		if socket.address == "" {
			continue
		}
		if *socket.listener, err = open(socket.address, socket.flag); err != nil {
			return s, err
		}
	}
	return s, nil
}

func replaceOnHangup(u *tableflip.Upgrader, c daemon.Config) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	for range hangups {
		if err := u.Upgrade(); err != nil {
			c.Logger.Error("cannot be replaced; going on", "error", err)
		}
	}
}
