package traffic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of handshakes.
const (
	// handshakeTimeout is how long a client may take to agree on a connection.
	handshakeTimeout = 5 * time.Second
	// issueTimeout is how long a client waits for a certificate that is being ordered.
	issueTimeout = time.Minute
	// maxHandshakes bounds the handshakes under way. The next ones wait in the kernel.
	maxHandshakes = 4096
)

// acmeTLS is the protocol of TLS-ALPN-01 (RFC 8737).
const acmeTLS = "acme-tls/1"

// Issuer gets certificates for hosts.
type Issuer interface {
	// Certificate is the certificate for a handshake. Where there is none yet it is
	// ordered, which takes a while.
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Challenge answers a request by which an authority asks whether a host is
	// here; false when the request is none.
	Challenge(http.ResponseWriter, *http.Request) bool
}

// TLSConfig says which certificates the balancer has, and who has to use them.
type TLSConfig struct {
	// Certificates is a folder of NAME.crt and NAME.key; empty for none.
	Certificates string
	// Issuer gets certificates for the hosts of routes that have none there; nil for nobody.
	Issuer Issuer
	// Redirect sends requests without TLS to where they have it.
	Redirect bool
	// RedirectPort is the port they are sent to.
	RedirectPort int
}

// security is what the balancer knows of certificates.
type security struct {
	TLSConfig

	pairs  *keyPairs
	config *tls.Config
	// done and failed count handshakes.
	done, failed atomic.Uint64
}

// UseTLS makes the balancer ready for ServeTLS. It comes before anything is served.
func (b *Balancer) UseTLS(c TLSConfig) error {
	pairs, err := openKeyPairs(c.Certificates, b.log)
	if err != nil {
		return err
	}
	s := &security{TLSConfig: c, pairs: pairs}
	s.config = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: b.certificate}
	if c.Issuer != nil {
		s.config.NextProtos = append(s.config.NextProtos, acmeTLS)
	}
	b.security = s
	return nil
}

// Managed reports whether a host's certificate is the issuer's matter: a route has
// it, it is none of the services' own, and no certificate is given for it.
func (b *Balancer) Managed(host string) bool {
	s := b.security
	if s == nil || s.Issuer == nil || under(host, b.domain) || len(s.pairs.now.Load().find(host)) > 0 {
		return false
	}
	_, ok := b.table.Load().hosts[host]
	return ok
}

// secures reports whether a host has a certificate, or is to get one.
func (b *Balancer) secures(host string) bool {
	return len(b.security.pairs.now.Load().find(host)) > 0 || b.Managed(host)
}

// certificate finds the certificate for a handshake. Without one the client is
// told that the name is not known here.
func (b *Balancer) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s := b.security
	host := serverName(hello.ServerName)
	challenge := s.Issuer != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmeTLS
	if !challenge {
		if c := s.pairs.now.Load().pick(host, hello); c != nil {
			return c, nil
		}
	}
	if !b.Managed(host) {
		return nil, nil //nolint:nilnil // crypto/tls takes it for "unrecognized name"
	}
	_ = hello.Conn.SetDeadline(time.Now().Add(issueTimeout))
	c, err := s.Issuer.Certificate(hello)
	_ = hello.Conn.SetDeadline(time.Now().Add(handshakeTimeout))
	return c, err
}

// serverName is a name of a handshake as it is looked up.
func serverName(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// ServeTLS is Serve for a listener on which clients begin with a handshake of TLS.
func (b *Balancer) ServeTLS(ctx context.Context, listener net.Listener, drainTime time.Duration) error {
	if b.security == nil {
		return errors.New("serve traffic with TLS: there are no certificates")
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go b.security.pairs.watch(watching)
	server := b.newServer()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	server.Protocols = &protocols
	return b.serveUntil(ctx, server, newDoor(listener, b), drainTime)
}

// door is a listener that gives out connections once their handshakes are done:
// those of HTTP/2 as *tls.Conn, from which net/http learns what they speak, and all
// others behind strict, which has to see what is inside. It does the handshakes
// itself, each on its own, so that a slow client keeps nobody waiting.
type door struct {
	net.Listener

	balancer *Balancer
	slots    chan struct{}
	ready    chan entrance
	open     context.Context //nolint:containedctx // it ends with the listener, not with a call
	shut     context.CancelFunc
}

// entrance is what Accept returns.
type entrance struct {
	conn net.Conn
	err  error
}

func newDoor(l net.Listener, b *Balancer) *door {
	d := &door{Listener: l, balancer: b, slots: make(chan struct{}, maxHandshakes), ready: make(chan entrance)}
	d.open, d.shut = context.WithCancel(context.Background())
	go d.admit()
	return d
}

// Accept waits for a connection that is ready.
func (d *door) Accept() (net.Conn, error) {
	select {
	case e := <-d.ready:
		return e.conn, e.err
	case <-d.open.Done():
		return nil, net.ErrClosed
	}
}

// Close ends the handshakes under way too.
func (d *door) Close() error {
	d.shut()
	return d.Listener.Close()
}

// admit accepts connections. Errors go to the server, which knows how to go on:
// the next try waits until it asks again.
func (d *door) admit() {
	for d.open.Err() == nil {
		conn, err := d.Listener.Accept()
		if err != nil {
			d.give(entrance{err: err})
			continue
		}
		select {
		case d.slots <- struct{}{}:
		case <-d.open.Done():
			_ = conn.Close()
			return
		}
		go func() {
			c := d.greet(conn)
			<-d.slots
			if c == nil || !d.give(entrance{conn: c}) {
				_ = conn.Close()
			}
		}()
	}
}

// give hands something to the server; false once there is none any more.
func (d *door) give(e entrance) bool {
	select {
	case d.ready <- e:
		return true
	case <-d.open.Done():
		return false
	}
}

// greet does the handshake. It returns nil for what is to be closed.
func (d *door) greet(raw net.Conn) net.Conn {
	s := d.balancer.security
	c := tls.Server(raw, s.config)
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := c.HandshakeContext(d.open); err != nil {
		s.failed.Add(1)
		tellPlain(err)
		return nil
	}
	s.done.Add(1)
	_ = raw.SetDeadline(time.Time{})
	state := c.ConnectionState()
	if state.DidResume && !d.balancer.secures(serverName(state.ServerName)) {
		return nil // the session is older than what is known of the host
	}
	switch state.NegotiatedProtocol {
	case acmeTLS:
		return nil // the handshake was all
	case "h2":
		return c
	default:
		return &strict{Conn: c, tls: true, serverName: state.ServerName, frame: framing{spoken: true}}
	}
}

// tellPlain answers a client that speaks HTTP without TLS.
func tellPlain(err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && plainHTTP(record.RecordHeader) {
		_, _ = fmt.Fprint(record.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks HTTPS only.\n")
	}
}

// plainHTTP reports whether what came instead of a handshake begins a request.
func plainHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	default:
		return false
	}
}

// Refusals of what comes the wrong way.
var refuseMisdirected = refusal{
	status: http.StatusMisdirectedRequest, kind: "misdirected",
	detail: "the certificate of this connection is not for the request's host; use a connection of its own for that",
}

// gate answers requests before they are led to a service: those of certificate
// authorities, those that have to come with TLS, and those that came over the
// connection of another host. It reports whether it did.
func (b *Balancer) gate(w http.ResponseWriter, r *http.Request) bool {
	s := b.security
	host, ok := hostName(r.Host)
	if !ok {
		return false // and refused later
	}
	if name, over := nameOfConnection(r); over {
		if s.reaches(serverName(name), host) {
			return false
		}
		b.refuse(w, r, refuseMisdirected, requestID(r))
		return true
	}
	if strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
		return b.Managed(host) && s.Issuer.Challenge(w, r)
	}
	if !s.Redirect || !strings.HasPrefix(r.URL.Path, "/") || b.readForwarded(r).proto == "https" {
		return false
	}
	if !b.secures(host) {
		return false
	}
	b.redirect(w, r, host)
	return true
}

// nameOfConnection is the name that the client asked for in the handshake, and
// whether there was one.
func nameOfConnection(r *http.Request) (string, bool) {
	if r.TLS != nil {
		return r.TLS.ServerName, true
	}
	c, ok := r.Context().Value(connKey{}).(*strict)
	if !ok || !c.tls {
		return "", false
	}
	return c.serverName, true
}

// reaches reports whether requests for a host may come over a connection that was
// made with a name: it is the same, or a certificate for the one is for the other
// too. Clients use a connection for all hosts of its certificate (RFC 9113, section 9.1.1).
func (s *security) reaches(name, host string) bool {
	if name == host {
		return true
	}
	for _, c := range s.pairs.now.Load().find(name) {
		if c.Leaf.VerifyHostname(host) == nil {
			return true
		}
	}
	return false
}

// httpsPort is where clients look for TLS.
const httpsPort = 443

// redirect sends a client to the same place with TLS: the balancer's own, or that
// of a proxy before it.
func (b *Balancer) redirect(w http.ResponseWriter, r *http.Request, host string) {
	if s := b.security; s != nil && s.RedirectPort != httpsPort {
		host = net.JoinHostPort(host, strconv.Itoa(s.RedirectPort))
	}
	h := w.Header()
	h["X-Request-Id"] = []string{requestID(r)}
	h.Set("Location", "https://"+host+r.URL.RequestURI())
	h.Set("Content-Length", "0")
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		h.Set("Connection", "close")
	}
	w.WriteHeader(http.StatusPermanentRedirect)
}
