package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"

	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic/certificates"
)

// certificatesFolder, in the data directory, has copies of certificates that were
// ordered, for times without the database.
const certificatesFolder = "certificates"

// TrafficTLS says how requests come in over TLS.
type TrafficTLS struct {
	// Listen is the balancer's address for TLS; empty for none.
	Listen string
	// Certificates is a folder of NAME.crt and NAME.key; empty for none.
	Certificates string
	// Redirect sends requests without TLS for hosts that have a certificate there.
	Redirect bool
	// RedirectPort is the port that they are sent to; 0 for that of Listen.
	RedirectPort int
	ACME         ACME
}

// ACME says where certificates for the hosts of routes come from.
type ACME struct {
	// Enabled agrees to the terms of the authority, and has it asked.
	Enabled bool
	// Email is told to the authority; empty for none.
	Email string
	// Directory is the URL of the authority's directory; empty for Let's Encrypt's.
	Directory string
	// RootFile has the certificates, in PEM, that the authority's own are signed by; empty for the system's.
	RootFile string
}

// check finds everything that is wrong with it.
func (t TrafficTLS) check() []error {
	var errs []error
	if t.Listen == "" {
		if t.Certificates != "" || t.Redirect || t.ACME.Enabled {
			errs = append(errs, errors.New("certificates, redirects and ACME need an address for TLS; give one with --traffic-tls-listen or WEDSYNC_TRAFFIC_TLS_LISTEN"))
		}
		return errs
	}
	if t.Certificates == "" && !t.ACME.Enabled {
		errs = append(errs, errors.New("an address for TLS needs certificates; give a folder with --traffic-tls-certificates, or have them ordered with --traffic-acme"))
	}
	if t.RedirectPort < 0 || t.RedirectPort > 65535 {
		errs = append(errs, fmt.Errorf("redirect port %d is not between 0 and 65535", t.RedirectPort))
	}
	return append(errs, t.ACME.check()...)
}

func (a ACME) check() []error {
	if !a.Enabled {
		return nil
	}
	var errs []error
	if u, err := url.Parse(a.Directory); a.Directory != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		errs = append(errs, fmt.Errorf("ACME directory %q is not a URL that begins with https://", a.Directory))
	}
	if p, err := mail.ParseAddress(a.Email); a.Email != "" && (err != nil || p.Address != a.Email) {
		errs = append(errs, fmt.Errorf("ACME email %q is not a mail address such as ops@example.com", a.Email))
	}
	return errs
}

// roots are the certificates that the authority's own are signed by; nil for the system's.
func (a ACME) roots() (*x509.CertPool, error) {
	if a.RootFile == "" {
		return nil, nil //nolint:nilnil // crypto/x509 takes it for the system's
	}
	text, err := os.ReadFile(a.RootFile)
	if err != nil {
		return nil, fmt.Errorf("read root certificates of the ACME authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read root certificates of the ACME authority: %s has no certificate in PEM", a.RootFile)
	}
	return pool, nil
}

// listen takes the balancer's address for TLS; nil where there is none.
func (t TrafficTLS) listen(ctx context.Context) (net.Listener, error) {
	if t.Listen == "" {
		return nil, nil //nolint:nilnil // no listener is wanted
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", t.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for traffic with TLS: %w; choose another address with --traffic-tls-listen or WEDSYNC_TRAFFIC_TLS_LISTEN", err)
	}
	return listener, nil
}

// secure prepares a balancer for TLS, where it listens for that. The result is
// what orders certificates; nil where nobody does.
func (c Config) secure(b *traffic.Balancer, plain, secure net.Listener, store certificates.Store) (*certificates.ACME, error) {
	t := c.Traffic.TLS
	if secure == nil {
		return nil, nil //nolint:nilnil // nobody is asked
	}
	tc := traffic.TLSConfig{Certificates: t.Certificates, Redirect: t.Redirect, RedirectPort: t.RedirectPort}
	if tc.RedirectPort == 0 {
		if a, ok := secure.Addr().(*net.TCPAddr); ok {
			tc.RedirectPort = a.Port
		}
	}
	var acme *certificates.ACME
	if t.ACME.Enabled {
		roots, err := t.ACME.roots()
		if err != nil {
			return nil, err
		}
		acme, err = certificates.New(certificates.Config{
			Directory: t.ACME.Directory, Roots: roots, Email: t.ACME.Email, Store: store, Folder: filepath.Join(c.DataDir, certificatesFolder), Managed: b.Managed,
			Plain: plain.Addr(), TLS: secure.Addr(), Logger: c.Logger,
		})
		if err != nil {
			return nil, err
		}
		tc.Issuer = acme
	}
	return acme, b.UseTLS(tc)
}
