package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// TestLogs: what certmagic logs arrives in slog, its daily work at level debug.
func TestLogs(t *testing.T) {
	var out bytes.Buffer
	log := newZap(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.With(zap.String("host", "a.example.com")).Info("obtaining", zap.Int("attempt", 2), zap.Strings("names", []string{"x", "y"}))
	log.Named("obtain").Warn("slow")
	log.With(zap.Any("storage", NewStorage(empty{}))).Info("cleaning")
	log.Error("failed", zap.Error(errors.New("no luck")))
	for _, want := range []string{
		`level=DEBUG msg="acme: obtaining" host=a.example.com attempt=2 names="[x y]"`, `level=WARN msg="acme: slow"`, `msg="acme: cleaning" storage=database`, `level=ERROR msg="acme: failed" error="no luck"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, &out)
		}
	}
	out.Reset()
	newZap(slog.New(slog.NewTextHandler(&out, nil))).Info("obtaining")
	if out.Len() > 0 {
		t.Errorf("at level info there is %q", &out)
	}
}

// empty is a Store without anything in it.
type empty struct{ Store }

func (empty) LoadCertificate(_ context.Context, key string) ([]byte, error) {
	return nil, fmt.Errorf("load %s: %w", key, fleet.ErrNotFound)
}

func newTestACME(t *testing.T, plain, secure string) *ACME {
	t.Helper()
	addr := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a, err := New(Config{
		Store: empty{}, Folder: t.TempDir(), Managed: func(host string) bool { return host == "shop.example.com" }, Plain: addr(plain), TLS: addr(secure),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.cache.Stop)
	return a
}

func TestChallengesByAddress(t *testing.T) {
	for _, test := range []struct {
		plain, secure, host string
		alpn                bool
	}{
		{"0.0.0.0:80", "[::]:443", "", true},
		{"127.0.0.1:80", "127.0.0.1:443", "127.0.0.1", true},
		{"127.0.0.1:80", "0.0.0.0:443", "127.0.0.1", false},
	} {
		i := newTestACME(t, test.plain, test.secure).issuer
		if i.ListenHost != test.host || i.DisableTLSALPNChallenge == test.alpn || i.AltHTTPPort != 80 || i.AltTLSALPNPort != 443 {
			t.Errorf("%s and %s: host %q, TLS-ALPN-01 %t, ports %d and %d", test.plain, test.secure, i.ListenHost, !i.DisableTLSALPNChallenge, i.AltHTTPPort, i.AltTLSALPNPort)
		}
		if i.CA != LetsEncrypt {
			t.Errorf("the authority is %s", i.CA)
		}
	}
}

func TestAsksForManagedHostsOnly(t *testing.T) {
	a := newTestACME(t, "127.0.0.1:80", "127.0.0.1:443")
	c, _ := net.Pipe()
	_, err := a.Certificate(&tls.ClientHelloInfo{ServerName: "other.example.com", Conn: c})
	if !errors.Is(err, errUnmanaged) {
		t.Errorf("%v, want %v", err, errUnmanaged)
	}
}

func TestBoundsWhoWaits(t *testing.T) {
	a := newTestACME(t, "127.0.0.1:80", "127.0.0.1:443")
	for range maxWaiting {
		a.waiting <- struct{}{}
	}
	c, _ := net.Pipe()
	if _, err := a.Certificate(&tls.ClientHelloInfo{ServerName: "shop.example.com", Conn: c}); !errors.Is(err, errBusy) {
		t.Errorf("%v, want %v", err, errBusy)
	}
}

// TestPauses: after a failure a host is left alone for a while, and then forgotten.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &ACME{log: slog.New(slog.DiscardHandler), failed: make(map[string]time.Time)}
		a.note("a.example.com", errors.New("no luck"))
		_, err := once{acme: a}.Issue(t.Context(), &x509.CertificateRequest{DNSNames: []string{"a.example.com"}})
		var last certmagic.ErrNoRetry
		if !errors.Is(err, errPaused) || !errors.As(err, &last) {
			t.Errorf("%v, want %v, without another try", err, errPaused)
		}
		if a.paused("b.example.com") {
			t.Error("another host is left alone too")
		}
		time.Sleep(pause)
		if a.paused("a.example.com") {
			t.Error("the pause has no end")
		}
		a.note("b.example.com", errors.New("no luck"))
		if len(a.failed) != 1 {
			t.Errorf("remembers %v", a.failed)
		}
		a.note("b.example.com", nil)
		if len(a.failed) != 0 {
			t.Errorf("remembers %v", a.failed)
		}
	})
}
