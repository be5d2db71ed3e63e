package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxQueries bounds the answers that are made at the same time; a datagram beyond it is dropped.
	maxQueries = 256
	// maxConnections bounds the open TCP connections; more wait to be accepted.
	maxConnections = 256
	// ioTimeout bounds the reading of a query and the writing of its answer, and
	// idleTimeout how long a connection stays without one.
	ioTimeout, idleTimeout = 2 * time.Second, 5 * time.Second
	// stopTimeout bounds the wait for answers under way at the end.
	stopTimeout = 2 * time.Second
	// portAttempts is how often a port is sought that is free for both UDP and TCP.
	portAttempts = 16
)

// DNS answers for the zone wedsync., over UDP and TCP. It knows no principals:
// whoever reaches its address sees all environments.
type DNS struct {
	directory *Directory
	packets   net.PacketConn
	listener  net.Listener
	slots     chan struct{}
	queries   atomic.Uint32
}

// NewDNS makes a server on sockets that are open. Run closes them.
func NewDNS(packets net.PacketConn, listener net.Listener, d *Directory) *DNS {
	return &DNS{directory: d, packets: packets, listener: listener, slots: make(chan struct{}, maxQueries)}
}

// ListenDNS opens both sockets at the address, such as 127.0.0.1:7253, for NewDNS.
// Port 0 stands for any that is free for both.
func ListenDNS(ctx context.Context, address string, d *Directory) (*DNS, error) {
	var errs error
	for range portAttempts {
		packets, listener, err := listen(ctx, address)
		if err == nil {
			return NewDNS(packets, listener, d), nil
		}
		errs = err
		if _, port, splitErr := net.SplitHostPort(address); splitErr != nil || port != "0" {
			break
		}
	}
	return nil, fmt.Errorf("listen for DNS: %w", errs)
}

func listen(ctx context.Context, address string) (net.PacketConn, net.Listener, error) {
	var config net.ListenConfig
	packets, err := config.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, nil, err
	}
	listener, err := config.Listen(ctx, "tcp", packets.LocalAddr().String())
	if err != nil {
		return nil, nil, errors.Join(err, packets.Close())
	}
	return packets, listener, nil
}

// Addr is the address that it answers at, the same for UDP and TCP.
func (s *DNS) Addr() string { return s.packets.LocalAddr().String() }

// Close closes the sockets of a server that was not run, or not to its end.
func (s *DNS) Close() error {
	closed := errors.Join(s.packets.Close(), s.listener.Close())
	if errors.Is(closed, net.ErrClosed) {
		return nil
	}
	return closed
}

// Run answers until the context ends, which is no error.
func (s *DNS) Run(ctx context.Context) error {
	servers := []*dns.Server{
		{PacketConn: s.packets, UDPSize: maxDatagram},
		{Listener: newBounded(s.listener, maxConnections)},
	}
	started, failed := make(chan struct{}, len(servers)), make(chan error, len(servers))
	for _, server := range servers {
		server.Handler = dns.HandlerFunc(s.serve)
		server.MsgAcceptFunc = accept
		server.ReadTimeout, server.WriteTimeout = ioTimeout, ioTimeout
		server.IdleTimeout = func() time.Duration { return idleTimeout }
		server.NotifyStartedFunc = func() { started <- struct{}{} }
		go func() { failed <- server.ActivateAndServe() }()
	}
	err := awaitEnd(ctx, len(servers), started, failed)
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, server := range servers {
		// Who still sends then is cut off; the sockets are closed in any case.
		_ = server.ShutdownContext(stopCtx)
	}
	_ = s.packets.Close()
	_ = s.listener.Close()
	return err
}

// awaitEnd waits until all have started and the context has ended, or one failed.
func awaitEnd(ctx context.Context, servers int, started <-chan struct{}, failed <-chan error) error {
	done := (<-chan struct{})(nil) // a server cannot be stopped before it has started
	for {
		select {
		case <-started:
			if servers--; servers == 0 {
				done = ctx.Done()
			}
		case err := <-failed:
			return fmt.Errorf("answer DNS: %w", err)
		case <-done:
			return nil
		}
	}
}

// accept lets all queries through to respond, which answers what is wrong with
// them; those that only the parser could refuse are left to the library.
func accept(h dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	switch opcode := int(h.Bits>>11) & 0xF; {
	case h.Bits&response != 0:
		return dns.MsgIgnore
	case opcode != dns.OpcodeQuery:
		return dns.MsgRejectNotImplemented
	case h.Qdcount != 1 || h.Ancount > 0 || h.Nscount > 1 || h.Arcount > 2:
		return dns.MsgReject
	}
	return dns.MsgAccept
}

func (s *DNS) serve(w dns.ResponseWriter, req *dns.Msg) {
	_, udp := w.LocalAddr().(*net.UDPAddr)
	if udp {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		default:
			return
		}
	}
	// Resolvers ask for A and AAAA in pairs: a turn for each query would show the
	// same half of the turns to all of one kind.
	turn := int(s.queries.Add(1) / 2)
	q := question{snapshot: s.directory.current.Load(), local: addressOf(w.LocalAddr()), turn: turn}
	if resp := respond(req, q, udp); resp != nil {
		s.directory.told(resolverGrace)
		_ = w.WriteMsg(resp) // who asked has gone, or asks again
	}
}

// addressOf is the address without its port, if it is a particular one.
func addressOf(a net.Addr) netip.Addr {
	addrPort, err := netip.ParseAddrPort(a.String())
	if err != nil || addrPort.Addr().IsUnspecified() {
		return netip.Addr{}
	}
	return addrPort.Addr().Unmap().WithZone("")
}

// bounded is a listener that accepts no more than a number of open connections.
type bounded struct {
	net.Listener
	slots   chan struct{}
	closing sync.Once
	closed  chan struct{}
}

func newBounded(l net.Listener, connections int) *bounded {
	return &bounded{Listener: l, slots: make(chan struct{}, connections), closed: make(chan struct{})}
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &boundedConn{Conn: conn, release: sync.OnceFunc(func() { <-b.slots })}, nil
}

func (b *bounded) Close() error {
	b.closing.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
