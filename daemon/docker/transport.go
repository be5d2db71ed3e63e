package docker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/docker/docker/client"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// fencedTransport asks the fence of a request's context before each write to the
// engine of a request that may change something, immediately before the system
// call: what a daemon was stopped before, it does not do when it goes on.
type fencedTransport struct {
	base *http.Transport
}

// fenced is the option that puts the fence between the client and its transport,
// which the options for address and TLS must have configured before.
//
// The client then no longer knows its transport: the scheme is told here, and
// idle connections are closed by the Engine. Hijacked connections, of which the
// Engine makes none (see startCommand), would pass the fence, and would miss TLS.
func (t *fencedTransport) fenced(c *client.Client) error {
	h := c.HTTPClient()
	base, ok := h.Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("fence requests: the client's transport is a %T", h.Transport)
	}
	t.base = base
	dial := base.DialContext
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &fencedConn{Conn: conn}, nil
	}
	scheme := "http"
	if base.TLSClientConfig != nil {
		scheme = "https"
	}
	h.Transport = t
	return errors.Join(client.WithScheme(scheme)(c), client.WithHTTPClient(h)(c))
}

// RoundTrip sends a request on a connection that has the request's fence.
func (t *fencedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	fence := func() error { return nil }
	if mayChange(r.Method) {
		fence = func() error { return fleet.Fence(ctx) }
	}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { guard(info.Conn, fence) }}
	return t.base.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, trace)))
}

func mayChange(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// guard has a connection ask another fence from now on.
func guard(c net.Conn, fence func() error) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if f, ok := c.(*fencedConn); ok {
		f.fence.Store(&fence)
	}
}

// fencedConn is a connection to the engine, used by one request at a time.
type fencedConn struct {
	net.Conn
	fence atomic.Pointer[func() error] // nil until a request has the connection
}

// Write writes unless the fence refuses.
func (c *fencedConn) Write(b []byte) (int, error) {
	if fence := c.fence.Load(); fence != nil {
		if err := (*fence)(); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}
