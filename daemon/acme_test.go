package daemon_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/miekg/dns"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
	"github.com/wedsync/terraform-provider-wedsync/internal/tools"
)

// authority is Pebble, Let's Encrypt's ACME server for tests, in a process of its own.
type authority struct {
	listen, manage string
	// directory is the URL of its API.
	directory string
	rootFile  string // of the certificate of its API
	roots     *x509.CertPool
	log       *printed
}

// printed is what a process has printed.
type printed struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

func (p *printed) count(s string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.buf.String(), s)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}

// issued is how many certificates it has given out, ordered how many it was asked for.
func (a *authority) issued() int  { return a.log.count("Issued certificate serial") }
func (a *authority) ordered() int { return a.log.count("Added order ") }

// newAuthority is an authority that does not run yet.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{
		listen: "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t)), manage: "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t)), log: &printed{}, roots: x509.NewCertPool(),
		rootFile: filepath.Join(t.TempDir(), "api.crt"),
	}
	a.directory = "https://" + a.listen + "/dir"
	selfSigned(t, a.rootFile, a.keyFile())
	return a
}

func (a *authority) keyFile() string { return strings.TrimSuffix(a.rootFile, "crt") + "key" }

// start starts the authority. It finds every host on loopback, and asks there at the two ports.
func (a *authority) start(t *testing.T, httpPort, tlsPort int) {
	t.Helper()
	program, err := tools.Path(t.Context(), tools.Pebble, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": a.listen, "managementListenAddress": a.manage, "certificate": a.rootFile, "privateKey": a.keyFile(),
		"httpPort": httpPort, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(a.rootFile), "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-config", file, "-dnsserver", loopbackDNS(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	cmd.Stdout, cmd.Stderr = a.log, a.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of Pebble:\n%s", a.log)
		}
	})
	eventually(t, "the authority answers", func() bool {
		root, ok := fetch(a.rootFile, "https://"+a.manage+"/roots/0")
		return ok && a.roots.AppendCertsFromPEM(root)
	})
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

func fetch(rootFile, url string) ([]byte, bool) {
	text, err := os.ReadFile(rootFile)
	if err != nil {
		return nil, false
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	res, err := c.Get(url)
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return body, err == nil && res.StatusCode == http.StatusOK
}

// selfSigned writes a certificate for 127.0.0.1, and hosts, that vouches for itself.
func selfSigned(t *testing.T, crt, key string, hosts ...string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: hosts, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{crt: {Type: "CERTIFICATE", Bytes: raw}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// loopbackDNS answers over TCP that every name is 127.0.0.1, and returns its address.
func loopbackDNS(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if len(q.Question) == 1 && q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
			}}
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return l.Addr().String()
}

// visit asks for a host at an address with TLS, and returns what it says and the
// serial number of its certificate.
func visit(a *authority, address, host string) (body, serial string, err error) {
	c := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: a.roots}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}}
	res, err := c.Get("https://" + host + "/")
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), res.TLS.PeerCertificates[0].SerialNumber.String(), err
}

// TestACME gets certificates from a real authority by either challenge, keeps them
// over a restart and shares them between daemons.
func TestACME(t *testing.T) {
	closed := testenv.FreePort(t)
	for name, test := range map[string]struct {
		tlsHost  string
		httpPort int // 0: the daemon's
	}{
		// Where the two listeners have different hosts, only HTTP-01 is used.
		"http-01":     {tlsHost: "127.0.0.2"},
		"tls-alpn-01": {tlsHost: "127.0.0.1", httpPort: closed},
	} {
		t.Run(name, func(t *testing.T) {
			a, tlsPort := newAuthority(t), testenv.FreePort(t)
			secure := net.JoinHostPort(test.tlsHost, strconv.Itoa(tlsPort))
			settings := []string{
				"WEDSYNC_TRAFFIC_ACME=true", "WEDSYNC_TRAFFIC_ACME_EMAIL=ops@example.com", "WEDSYNC_TRAFFIC_ACME_CA=" + a.directory,
				"WEDSYNC_TRAFFIC_ACME_CA_ROOT=" + a.rootFile, "WEDSYNC_TRAFFIC_REDIRECT=true",
			}
			f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithEnvironment(append(settings, "WEDSYNC_TRAFFIC_TLS_LISTEN="+secure)...))}
			f.client = f.Client(t)
			httpPort := test.httpPort
			if httpPort == 0 {
				httpPort = portOf(t, f.Traffic)
			}
			a.start(t, httpPort, tlsPort)
			f.answers(t, "shop", "hello")
			if _, err := f.client.CreateRoute(t.Context(), api.CreateRouteRequest{
				Name: "shop", Environment: "staging", ServiceName: "shop", Hosts: []string{"shop.example.com"},
			}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the route is known", func() bool {
				return statusOf(t, f.Traffic, "shop.example.com") == http.StatusPermanentRedirect
			})
			body, serial, err := visit(a, secure, "shop.example.com")
			if err != nil || body != "hello" {
				t.Fatalf("got %q, %v", body, err)
			}
			if !servedChallenge(f.Log(), name) {
				t.Errorf("the authority has not asked by %s", name)
			}
			if _, _, err := visit(a, secure, "unknown.example.com"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("a host of no route: %v", err)
			}
			if _, _, err := visit(a, secure, "shop.staging.localhost"); err == nil {
				t.Error("the daemon's own host got a certificate")
			}
			issued, ordered := a.issued(), a.ordered()
			f.Stop()
			// The copy in the data directory serves, too, when the database does not.
			f.query(t, `WITH moved AS (UPDATE certificates SET key = 'away/' || key RETURNING 1) SELECT count(*) FROM moved`)
			f.Start(t)
			eventually(t, "the route is known again", func() bool {
				return statusOf(t, f.Traffic, "shop.example.com") == http.StatusPermanentRedirect
			})
			if body, again, err := visit(a, secure, "shop.example.com"); err != nil || body != "hello" || again != serial {
				t.Errorf("after a restart, without the database's: %q, %v, certificate %s, want %s", body, err, again, serial)
			}
			f.query(t, `WITH moved AS (UPDATE certificates SET key = substr(key, 6) WHERE key LIKE 'away/%' RETURNING 1) SELECT count(*) FROM moved`)
			second := net.JoinHostPort(test.tlsHost, strconv.Itoa(testenv.FreePort(t)))
			other := f.Another(t, testenv.WithEnvironment(append(settings, "WEDSYNC_TRAFFIC_TLS_LISTEN="+second)...))
			eventually(t, "the route is known to the second daemon", func() bool {
				return statusOf(t, other.Traffic, "shop.example.com") == http.StatusPermanentRedirect
			})
			if body, again, err := visit(a, second, "shop.example.com"); err != nil || body != "hello" || again != serial {
				t.Errorf("at the second daemon: %q, %v, certificate %s, want %s", body, err, again, serial)
			}
			if a.issued() != issued || a.ordered() != ordered || issued != 1 {
				t.Errorf("issued %d, then %d certificates; ordered %d, then %d", issued, a.issued(), ordered, a.ordered())
			}
			f.checkCopies(t)
			if found := f.keysInClear(t); found > 0 {
				t.Errorf("%d private keys are stored as they are", found)
			}
		})
	}
}

// servedChallenge reports whether a daemon's log tells of an answer to a challenge.
func servedChallenge(log, kind string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "served key authentication") && strings.Contains(line, "challenge="+kind) {
			return true
		}
	}
	return false
}

// TestGivenCertificates: files instead of an authority, redirects and the access log.
func TestGivenCertificates(t *testing.T) {
	dir := t.TempDir()
	crt := filepath.Join(dir, "services.crt")
	selfSigned(t, crt, filepath.Join(dir, "services.key"), "*.staging.localhost")
	a := &authority{roots: x509.NewCertPool()}
	text, err := os.ReadFile(crt)
	if err != nil || !a.roots.AppendCertsFromPEM(text) {
		t.Fatal("cannot trust the certificate", err)
	}
	port, accessLog := testenv.FreePort(t), filepath.Join(t.TempDir(), "access.log")
	secure := "127.0.0.1:" + strconv.Itoa(port)
	f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithEnvironment(
		"WEDSYNC_TRAFFIC_TLS_LISTEN="+secure, "WEDSYNC_TRAFFIC_TLS_CERTIFICATES="+dir, "WEDSYNC_TRAFFIC_REDIRECT=true",
		"WEDSYNC_TRAFFIC_REDIRECT_PORT=8443", "WEDSYNC_TRAFFIC_ACCESS_LOG="+accessLog, "WEDSYNC_TRAFFIC_ACCESS_LOG_SAMPLE=0.999999999",
	))}
	f.answers(t, "shop", "hello")
	eventually(t, "the service is known", func() bool {
		body, _, err := visit(a, secure, "shop.staging.localhost")
		return err == nil && body == "hello"
	})
	if status := statusOf(t, f.Traffic, "shop.staging.localhost"); status != http.StatusPermanentRedirect {
		t.Errorf("without TLS: status %d, want 308", status)
	}
	f.Stop()
	lines, err := os.ReadFile(accessLog)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"proto":"HTTP/2.0","tls":true,"status":200,`, `"tls":false,"status":308,`, `"service":"shop","environment":"staging"`} {
		if !bytes.Contains(lines, []byte(want)) {
			t.Errorf("the access log is without %s:\n%s", want, lines)
		}
	}
	// A certificate that cannot be read ends a daemon that starts.
	if err := os.WriteFile(crt, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Launch(t)
	select {
	case <-f.Exited():
	case <-time.After(patience):
		t.Fatal("it runs without its certificate")
	}
	if !strings.Contains(f.Log(), "read certificates: pair "+strings.TrimSuffix(crt, ".crt")) {
		t.Errorf("the log does not tell of the certificate:\n%s", f.Log())
	}
}

// TestACMESharesChallenges: the authority may meet another daemon than the one
// that asked it, and clients of all daemons wait for one order.
func TestACMESharesChallenges(t *testing.T) {
	a := newAuthority(t)
	settings := []string{
		"WEDSYNC_TRAFFIC_ACME=true", "WEDSYNC_TRAFFIC_ACME_CA=" + a.directory, "WEDSYNC_TRAFFIC_ACME_CA_ROOT=" + a.rootFile,
	}
	// Different hosts leave HTTP-01 alone.
	first, second := "127.0.0.2:"+strconv.Itoa(testenv.FreePort(t)), "127.0.0.2:"+strconv.Itoa(testenv.FreePort(t))
	f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithEnvironment(append(settings, "WEDSYNC_TRAFFIC_TLS_LISTEN="+first)...))}
	f.client = f.Client(t)
	other := f.Another(t, testenv.WithEnvironment(append(settings, "WEDSYNC_TRAFFIC_TLS_LISTEN="+second)...))
	a.start(t, portOf(t, other.Traffic), 1)
	f.answers(t, "shop", "hello")
	if _, err := f.client.CreateRoute(t.Context(), api.CreateRouteRequest{
		Name: "shop", Environment: "staging", ServiceName: "shop", Hosts: []string{"shop.example.com"},
	}); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{f.Traffic, other.Traffic} {
		eventually(t, "the route is known", func() bool { return statusOf(t, address, "shop.example.com") == http.StatusOK })
	}
	serials := make(chan string)
	for k := range 6 {
		go func() {
			_, serial, err := visit(a, []string{first, second}[k%2], "shop.example.com")
			if err != nil {
				serial = err.Error()
			}
			serials <- serial
		}()
	}
	serial := <-serials
	for range 5 {
		if other := <-serials; other != serial {
			t.Errorf("got the certificates %s and %s", serial, other)
		}
	}
	if n := a.issued(); n != 1 {
		t.Errorf("issued %d certificates, want one", n)
	}
}

// TestACMELeavesFailedHostsAlone: an authority that has refused a host is not
// asked again by the next client, and plain requests go on.
func TestACMELeavesFailedHostsAlone(t *testing.T) {
	a := newAuthority(t)
	secure := "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
	f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithEnvironment(
		"WEDSYNC_TRAFFIC_ACME=true", "WEDSYNC_TRAFFIC_ACME_CA="+a.directory, "WEDSYNC_TRAFFIC_ACME_CA_ROOT="+a.rootFile,
		"WEDSYNC_TRAFFIC_TLS_LISTEN="+secure,
	))}
	f.client = f.Client(t)
	closed := testenv.FreePort(t)
	a.start(t, closed, closed)
	f.answers(t, "shop", "hello")
	if _, err := f.client.CreateRoute(t.Context(), api.CreateRouteRequest{
		Name: "shop", Environment: "staging", ServiceName: "shop", Hosts: []string{"shop.example.com"},
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the route is known", func() bool { return statusOf(t, f.Traffic, "shop.example.com") == http.StatusOK })
	if _, _, err := visit(a, secure, "shop.example.com"); err == nil {
		t.Fatal("there is a certificate")
	}
	ordered := a.ordered()
	if ordered == 0 {
		t.Fatal("the authority was not asked")
	}
	for range 5 {
		if _, _, err := visit(a, secure, "shop.example.com"); err == nil {
			t.Fatal("there is a certificate")
		}
	}
	if n := a.ordered(); n != ordered {
		t.Errorf("%d orders after the first client, %d after others", ordered, n)
	}
	if status := statusOf(t, f.Traffic, "shop.example.com"); status != http.StatusOK {
		t.Errorf("without TLS: status %d", status)
	}
}

// answers registers a server of the test's as the service's only endpoint in staging.
func (f *fixture) answers(t *testing.T, service, text string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	t.Cleanup(s.Close)
	f.query(t, `INSERT INTO service_registry (service_name, environment, endpoint_url, ttl_seconds) VALUES ($1, 'staging', $2, 3600) RETURNING 1`, service, s.URL)
}

// checkCopies: what is in the data directory of certificates is its owner's only.
func (f *fixture) checkCopies(t *testing.T) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(filepath.Join(f.DataDir, "certificates"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		if strings.HasSuffix(path, ".key") {
			keys++
		}
		return err
	})
	if err != nil || keys != 1 {
		t.Errorf("%d keys are in the data directory, %v", keys, err)
	}
}

// keysInClear counts the private keys that can be read from the database.
func (f *fixture) keysInClear(t *testing.T) int {
	t.Helper()
	return f.query(t, `SELECT count(*) FILTER (WHERE position('PRIVATE KEY'::bytea IN value) > 0) + 1000 * (count(*) = 0)::int FROM certificates`)
}

// query is the number that a statement returns.
func (f *fixture) query(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.DB.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// statusOf is the status of a host's answer without TLS.
func statusOf(t *testing.T, address, host string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}
