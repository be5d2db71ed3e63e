package traffic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Bounds of clients' connections.
const (
	// headerTimeout is how long a client may take for the head of a request.
	headerTimeout = 10 * time.Second
	// idleClient is how long an unused connection of a client is kept.
	idleClient = 75 * time.Second
	// departureTime is how long clients may take to leave by themselves when the
	// balancer ends.
	departureTime = 5 * time.Second
	// maxStreams bounds the requests that one connection of HTTP/2 carries at a time.
	maxStreams = 250
)

// Serve answers requests on a listener until ctx ends. It then takes no new
// connection, tells the clients of those that it has to make new ones, and leaves
// requests under way the drain time to end; what remains is closed.
func (b *Balancer) Serve(ctx context.Context, listener net.Listener, drainTime time.Duration) error {
	return b.serveUntil(ctx, b.newServer(), strictListener{listener}, drainTime)
}

func (b *Balancer) serveUntil(ctx context.Context, server *http.Server, listener net.Listener, drainTime time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve traffic: %w", err)
	case <-ctx.Done():
	}
	b.ending.Store(true)
	_ = listener.Close() // who replaces this process has one of its own
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	b.awaitDepartures(stopCtx)
	err := server.Shutdown(stopCtx)
	b.awaitTunnels(stopCtx)
	if err != nil {
		return errors.Join(fmt.Errorf("end traffic: %w", err), server.Close())
	}
	return nil
}

// awaitDepartures gives clients the time to leave by themselves: a connection that
// is closed while nothing is under way may be about to be used.
func (b *Balancer) awaitDepartures(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, departureTime)
	defer cancel()
	ticker := time.NewTicker(recheckEvery)
	defer ticker.Stop()
	for b.connections.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// countConnections keeps account of the connections that the server has.
func (b *Balancer) countConnections(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		b.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		b.connections.Add(-1)
	default:
	}
}

// awaitTunnels waits for the connections that have changed to another protocol,
// which the server does not know any more.
func (b *Balancer) awaitTunnels(ctx context.Context) {
	ticker := time.NewTicker(recheckEvery)
	defer ticker.Stop()
	for b.inFlight() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// inFlight is the number of requests under way at all instances.
func (b *Balancer) inFlight() (n int64) {
	for _, m := range b.everyBackend() {
		n += m.inFlight.Load()
	}
	return n
}

func (b *Balancer) newServer() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           b,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleClient,
		MaxHeaderBytes:    grammar.MaxHeaderBytes,
		Protocols:         &protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ConnContext:       connContext,
		ConnState:         b.countConnections,
		ErrorLog:          slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
}
