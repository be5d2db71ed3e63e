package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
)

// LetsEncrypt is the directory of the authority that is asked where none is named.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// pause is how long a host for which no certificate could be had is left alone:
// authorities count failures, and shut out who has many.
const pause = 5 * time.Minute

const (
	// cleanEvery is the time between two rounds of removing what has expired,
	// and expiredFor how long that has to be over.
	cleanEvery = 24 * time.Hour
	expiredFor = 14 * 24 * time.Hour
)

// maxWaiting bounds the clients that wait for certificates.
const maxWaiting = 512

// maxCached bounds the certificates that are kept in memory.
const maxCached = 10000

// Config is what an ACME is made of.
type Config struct {
	// Directory is the URL of the authority's directory; LetsEncrypt when empty.
	Directory string
	// Roots are trusted beside nothing else when the authority is spoken to; nil for the system's.
	Roots *x509.CertPool
	// Email is told to the authority; empty for none.
	Email string
	// Store keeps certificates, keys and accounts.
	Store Store
	// Folder has copies of the certificates that were used here, with their keys,
	// mode 0600: they are served while Store is away.
	Folder string
	// Managed reports whether certificates may be had for a host.
	Managed func(host string) bool
	// Plain and TLS are the addresses at which requests and handshakes come in.
	Plain, TLS net.Addr
	Logger     *slog.Logger
}

// ACME gets certificates. It implements traffic.Issuer.
type ACME struct {
	config  *certmagic.Config
	issuer  *certmagic.ACMEIssuer
	cache   *certmagic.Cache
	managed func(string) bool
	log     *slog.Logger
	waiting chan struct{} // clients without a certificate yet

	mu     sync.Mutex
	failed map[string]time.Time // when the last try of a host failed
}

// New prepares an ACME, which has to be run; nobody is asked for anything yet.
func New(c Config) (*ACME, error) {
	plainHost, plainPort, err := split(c.Plain)
	if err != nil {
		return nil, err
	}
	tlsHost, tlsPort, err := split(c.TLS)
	if err != nil {
		return nil, err
	}
	log := newZap(c.Logger)
	a := &ACME{managed: c.Managed, log: c.Logger, waiting: make(chan struct{}, maxWaiting), failed: make(map[string]time.Time)}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		Capacity:         maxCached, Logger: log,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: NewStorage(c.Store), LocalCache: &certmagic.FileStorage{Path: c.Folder}, Logger: log,
		OnDemand: &certmagic.OnDemandConfig{DecisionFunc: a.decide},
	})
	directory := c.Directory
	if directory == "" {
		directory = LetsEncrypt
	}
	a.issuer = certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA: directory, Email: c.Email, Agreed: true, TrustedRoots: c.Roots, Logger: log,
		// Our listeners have these addresses already; certmagic tries them, and then leaves the challenges to us.
		ListenHost: plainHost, AltHTTPPort: plainPort, AltTLSALPNPort: tlsPort,
		// It connects to the one host that it knows of.
		DisableTLSALPNChallenge: plainHost != tlsHost,
	})
	a.config.Issuers = []certmagic.Issuer{once{a.issuer, a}}
	return a, nil
}

// split is the host and port of a listener; the host is empty for all addresses.
func split(addr net.Addr) (string, int, error) {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "", 0, fmt.Errorf("read address %s: %w", addr, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return "", 0, fmt.Errorf("read address %s: %w", addr, err)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return host, n, nil
}

// Run removes from the store, once a day, what has long expired, until ctx ends.
func (a *ACME) Run(ctx context.Context) {
	defer a.cache.Stop()
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := a.clean(ctx, expiredFor); err != nil && ctx.Err() == nil {
				a.log.Warn("cannot remove old certificates", "error", err)
			}
		}
	}
}

func (a *ACME) clean(ctx context.Context, old time.Duration) error {
	o := certmagic.CleanStorageOptions{Logger: a.config.Logger, OCSPStaples: true, ExpiredCerts: true, ExpiredCertGracePeriod: old}
	return errors.Join(certmagic.CleanStorage(ctx, a.config.Storage, o), certmagic.CleanStorage(ctx, a.config.LocalCache, o))
}

var (
	errUnmanaged = errors.New("no route has this host")
	errPaused    = errors.New("the last try failed a moment ago")
	errBusy      = errors.New("too many clients wait for certificates")
)

// decide says whether a host may have a certificate. What has been got already is
// forgotten when it says no.
func (a *ACME) decide(_ context.Context, host string) error {
	if !a.managed(host) {
		return errUnmanaged
	}
	return nil
}

// once is an issuer that asks the authority once for what a client waits for, and
// then leaves it alone for a while.
type once struct {
	*certmagic.ACMEIssuer

	acme *ACME
}

// Issue implements certmagic.Issuer.
func (o once) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	host := ""
	if len(csr.DNSNames) > 0 {
		host = csr.DNSNames[0]
	}
	if o.acme.paused(host) {
		return nil, certmagic.ErrNoRetry{Err: errPaused}
	}
	issued, err := o.ACMEIssuer.Issue(ctx, csr)
	o.acme.note(host, err)
	if err != nil {
		return nil, certmagic.ErrNoRetry{Err: err}
	}
	return issued, nil
}

func (a *ACME) paused(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.failed[host]
	return ok && time.Since(at) < pause
}

// note remembers what became of an order, and forgets the failures that are over.
func (a *ACME) note(host string, err error) {
	if err == nil {
		a.log.Info("got a certificate", "host", host)
	} else {
		a.log.Warn("cannot get a certificate; it is tried again when a client asks for the host, but not at once", "host", host, "pause", pause, "error", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for h, at := range a.failed {
		if time.Since(at) >= pause {
			delete(a.failed, h)
		}
	}
	if err != nil {
		a.failed[host] = time.Now()
	} else {
		delete(a.failed, host)
	}
}

// Certificate implements traffic.Issuer.
func (a *ACME) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	challenge := len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmez.ACMETLS1Protocol
	if !challenge && len(a.cache.AllMatchingCertificates(strings.ToLower(hello.ServerName))) == 0 {
		select {
		case a.waiting <- struct{}{}:
			defer func() { <-a.waiting }()
		default:
			return nil, errBusy
		}
	}
	return a.config.GetCertificate(hello)
}

// Challenge implements traffic.Issuer.
func (a *ACME) Challenge(w http.ResponseWriter, r *http.Request) bool {
	return a.issuer.HandleHTTPChallenge(w, r)
}
