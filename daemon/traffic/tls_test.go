package traffic

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	made int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool(), made: 1}
	a.pool.AddCert(cert)
	return a
}

// pair writes DIR/NAME.crt and DIR/NAME.key for hosts, and returns the serial number.
func (a *authority) pair(t testing.TB, dir, name string, hosts ...string) int64 {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.made++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.made), DNSNames: hosts, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
	write(t, filepath.Join(dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return a.made
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secureWorld is a world with TLS beside the plain listener.
type secureWorld struct {
	*world
	*authority
	dir     string
	tlsAddr string
}

func newSecureWorld(t testing.TB, set func(*TLSConfig), pairs ...[]string) *secureWorld {
	t.Helper()
	w := idleWorld(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}})
	s := &secureWorld{world: w, authority: newAuthority(t), dir: t.TempDir()}
	for k, hosts := range pairs {
		s.pair(t, s.dir, fmt.Sprintf("pair-%d", k), hosts...)
	}
	c := TLSConfig{Certificates: s.dir}
	if set != nil {
		set(&c)
	}
	if err := s.UseTLS(c); err != nil {
		t.Fatal(err)
	}
	s.security.pairs.every = 5 * time.Millisecond
	s.addr = s.serve(s.Serve)
	s.tlsAddr = s.serve(s.ServeTLS)
	return s
}

// browser is a client that finds every host at the balancer.
func (s *secureWorld) browser(h2 bool) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.tlsAddr)
		},
		TLSClientConfig: &tls.Config{RootCAs: s.pool}, ForceAttemptHTTP2: h2,
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: client.CheckRedirect}
}

// connect is a connection with a handshake for a name.
func (s *secureWorld) connect(name string, protocols ...string) (*tls.Conn, error) {
	raw, err := net.Dial("tcp", s.tlsAddr)
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(patience))
	c := tls.Client(raw, &tls.Config{RootCAs: s.pool, ServerName: name, NextProtos: protocols, InsecureSkipVerify: name == ""})
	return c, c.Handshake()
}

func TestSpeaksTLS(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"*.staging.localhost"}, []string{"shop.example.com"})
	s.instance("api", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"), " ", r.Host)
	}))
	s.route("api", "shop.example.com", nil)
	for _, h2 := range []bool{false, true} {
		for _, host := range []string{"api.staging.localhost", "shop.example.com"} {
			res, err := s.browser(h2).Get("https://" + host + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			body := whole(t, res)
			if want := "https " + host; body != want || (res.ProtoMajor == 2) != h2 {
				t.Errorf("%s: got %q by %s, want %q", host, body, res.Proto, want)
			}
		}
	}
}

func TestPicksCertificateByName(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"*.example.com"}, []string{"shop.example.com", "example.org"})
	for name, serial := range map[string]int64{
		"a.example.com": 2, "shop.example.com": 3, "SHOP.example.com": 3, "example.org": 3,
		"a.b.example.com": 0, "example.com": 0, "other.org": 0, "": 0, "com": 0,
	} {
		c, err := s.connect(name)
		if serial == 0 {
			if err == nil || !strings.HasSuffix(err.Error(), "tls: unrecognized name") {
				t.Errorf("%q: %v, want the alert unrecognized_name", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if got := c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != serial {
			t.Errorf("%q: certificate %d, want %d", name, got, serial)
		}
	}
}

func TestOnlyCertificateIsForNamelessClients(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"example.org"})
	if _, err := s.connect(""); err != nil {
		t.Error(err)
	}
	if _, err := s.connect("other.org"); err == nil {
		t.Error("a certificate was shown for a name that it is not for")
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"example.org"})
	c, err := tls.Dial("tcp", s.tlsAddr, &tls.Config{RootCAs: s.pool, ServerName: "example.org", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 was spoken")
	}
}

func TestSessionsAreResumed(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"api.staging.localhost"})
	s.instance("api", says("hello"))
	cache := tls.NewLRUClientSessionCache(8)
	for k := range 2 {
		c, err := tls.Dial("tcp", s.tlsAddr, &tls.Config{RootCAs: s.pool, ServerName: "api.staging.localhost", ClientSessionCache: cache})
		if err != nil {
			t.Fatal(err)
		}
		if status := exchangeOn(t, c, "GET / HTTP/1.1\r\nHost: api.staging.localhost\r\n\r\n"); status != 200 {
			t.Errorf("status %d", status)
		}
		if resumed := c.ConnectionState().DidResume; resumed != (k == 1) {
			t.Errorf("connection %d: resumed is %t", k, resumed)
		}
		_ = c.Close()
	}
}

// whole reads an answer to its end.
func whole(t testing.TB, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// exchangeOn sends bytes and reads the status of the answer; 0 for none.
func exchangeOn(t testing.TB, c net.Conn, request string) int {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestRefusesDoubtfulMessagesWithinTLS(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"api.staging.localhost"})
	var asked atomic.Int32
	s.instance("api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	const host = "Host: api.staging.localhost\r\n"
	for name, request := range map[string]string{
		"length beside chunks":   "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":            "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"folded line":            "GET / HTTP/1.1\r\n" + host + "X-A: 1\r\n 2\r\n\r\n",
		"bare line feed":         "GET / HTTP/1.1\r\n" + host + "X-A: 1\n\r\n",
		"HTTP/2 without ALPN":    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HTTP/2 and then HTTP/1": "PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n" + host + "X-A: 1\n\n",
	} {
		for _, protocols := range [][]string{nil, {"http/1.1"}} {
			c, err := s.connect("api.staging.localhost", protocols...)
			if err != nil {
				t.Fatal(err)
			}
			if status := exchangeOn(t, c, request); status != http.StatusBadRequest {
				t.Errorf("%s: status %d, want 400", name, status)
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the instance was asked %d times", n)
	}
}

// A host is not reached over the certificate of another one.
func TestMisdirected(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"a.example.com", "b.example.com"}, []string{"*.example.org"})
	s.instance("api", says("hello"))
	for _, h := range []string{"a.example.com", "b.example.com", "a.example.org", "b.example.org", "plain.example.net"} {
		s.route("api", h, nil)
	}
	for _, test := range []struct {
		name, host string
		status     int
	}{
		{"a.example.com", "a.example.com", 200},
		{"a.example.com", "A.example.com:443", 200},
		{"a.example.com", "b.example.com", 200},
		{"a.example.org", "b.example.org", 200},
		{"a.example.com", "a.example.org", 421},
		{"a.example.org", "a.example.com", 421},
		{"a.example.org", "plain.example.net", 421},
		{"a.example.org", "a.b.example.org", 421},
		{"a.example.org", "bad host", 400},
	} {
		c, err := s.connect(test.name, "http/1.1")
		if err != nil {
			t.Fatal(err)
		}
		if status := exchangeOn(t, c, "GET / HTTP/1.1\r\nHost: "+test.host+"\r\n\r\n"); status != test.status {
			t.Errorf("host %q over the certificate of %q: status %d, want %d", test.host, test.name, status, test.status)
		}
	}
	r, _ := http.NewRequest(http.MethodGet, "https://a.example.com/", nil)
	r.Host = "a.example.org"
	res, err := s.browser(true).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusMisdirectedRequest || res.ProtoMajor != 2 {
		t.Errorf("by HTTP/2: status %d by %s, want 421", res.StatusCode, res.Proto)
	}
}

func TestSlowHandshakesBlockNobody(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"api.staging.localhost"})
	s.instance("api", says("hello"))
	for k := range 200 {
		c, err := net.Dial("tcp", s.tlsAddr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if k%2 == 0 {
			_, _ = c.Write([]byte{22, 3, 1, 2, 0}) // and never more of it
		}
	}
	// Behind those that never end their handshake nobody would be served within patience.
	res, err := s.browser(true).Get("https://api.staging.localhost/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestSlowHandshakesEnd(t *testing.T) {
	t.Parallel()
	s := newSecureWorld(t, nil, []string{"example.org"})
	c, err := net.Dial("tcp", s.tlsAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the end of the connection", err)
	}
}

func TestTellsPlainClients(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"example.org"})
	res, err := client.Get("http://" + s.tlsAddr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", res.StatusCode)
	}
}

func TestReloadsCertificates(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"a.example.com"}, []string{"b.example.com"})
	shown := func(name string) int64 {
		c, err := s.connect(name)
		if err != nil {
			return 0
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := shown("a.example.com"); got != 2 {
		t.Fatalf("certificate %d", got)
	}
	renewed := s.pair(t, s.dir, "pair-0", "a.example.com")
	await(t, "the renewed certificate", func() bool { return shown("a.example.com") == renewed })
	added := s.pair(t, s.dir, "more", "c.example.com")
	await(t, "the new certificate", func() bool { return shown("c.example.com") == added })
	write(t, filepath.Join(s.dir, "pair-0.crt"), "no certificate")
	if err := os.Remove(filepath.Join(s.dir, "pair-1.crt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, "pair-1.key")); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the certificate that was removed", func() bool { return shown("b.example.com") == 0 })
	if got := shown("a.example.com"); got != renewed {
		t.Errorf("after a bad file certificate %d is shown, want the one before, %d", got, renewed)
	}
}

func TestRefusesBadPairsAtStart(t *testing.T) {
	a := newAuthority(t)
	for name, test := range map[string]struct {
		spoil func(dir string)
		want  string
	}{
		"no folder":      {func(dir string) { _ = os.RemoveAll(dir) }, "no such file"},
		"no key":         {func(dir string) { _ = os.Remove(filepath.Join(dir, "x.key")) }, "x.crt and .key"},
		"no certificate": {func(dir string) { _ = os.Remove(filepath.Join(dir, "x.crt")) }, "x.crt and .key"},
		"another's key": {func(dir string) {
			a.pair(t, dir, "y", "b.example.com")
			_ = os.Rename(filepath.Join(dir, "y.key"), filepath.Join(dir, "x.key"))
			_ = os.Remove(filepath.Join(dir, "y.crt"))
		}, "private key does not match"},
		"no host": {func(dir string) { a.pair(t, dir, "x") }, "is for no host"},
	} {
		dir := filepath.Join(t.TempDir(), "certificates")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		a.pair(t, dir, "x", "a.example.com")
		test.spoil(dir)
		err := newWorld(t).UseTLS(TLSConfig{Certificates: dir})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, test.want)
		}
	}
}

// asker is an Issuer that answers challenges only.
type asker struct{}

func (asker) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("not today")
}

func (asker) Challenge(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/known") {
		return false
	}
	_, _ = io.WriteString(w, "proof")
	return true
}

func TestRedirects(t *testing.T) {
	s := newSecureWorld(t, func(c *TLSConfig) {
		c.Redirect, c.RedirectPort, c.Issuer = true, 8443, asker{}
	}, []string{"shop.example.com", "own.staging.localhost"})
	s.instance("own", says("plain"))
	s.route("own", "shop.example.com", nil)
	s.route("own", "managed.example.com", nil)
	for _, test := range []struct {
		method, host, path string
		status             int
		want               string
	}{
		{"GET", "shop.example.com", "/a%20b?x=1&y=%2F", 308, "https://shop.example.com:8443/a%20b?x=1&y=%2F"},
		{"POST", "SHOP.example.com:80", "/", 308, "https://shop.example.com:8443/"},
		{"GET", "shop.example.com", "//evil.example.net/", 308, "https://shop.example.com:8443//evil.example.net/"},
		{"GET", "managed.example.com", "/", 308, "https://managed.example.com:8443/"},
		{"GET", "own.staging.localhost", "/", 308, "https://own.staging.localhost:8443/"},
		{"GET", "managed.example.com", "/.well-known/acme-challenge/known", 200, "proof"},
		{"GET", "managed.example.com", "/.well-known/acme-challenge/else", 200, "plain"},
		{"GET", "shop.example.com", "/.well-known/acme-challenge/known", 200, "plain"},
		{"GET", "unknown.example.com", "/", 404, ""},
	} {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", test.method, test.path, test.host)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body := whole(t, res)
		got := res.Header.Get("Location")
		if got == "" {
			got = body
		}
		if res.StatusCode != test.status || test.want != "" && got != test.want {
			t.Errorf("%s %s%s: %d %q, want %d %q", test.method, test.host, test.path, res.StatusCode, got, test.status, test.want)
		}
	}
}

// What a trusted proxy has taken out of TLS is not sent back to it.
func TestRedirectsNoProxies(t *testing.T) {
	s := newSecureWorld(t, func(c *TLSConfig) { c.Redirect, c.RedirectPort = true, 443 }, []string{"shop.example.com"})
	s.instance("own", says("plain"))
	s.route("own", "shop.example.com", nil)
	for from, want := range map[string]int{"127.0.0.2:1": 200, "127.0.0.3:1": 308} {
		r := httptest.NewRequest(http.MethodGet, "http://shop.example.com/", nil)
		r.RemoteAddr = from
		r.Header.Set("X-Forwarded-Proto", "https")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("from %s: status %d, want %d", from, w.Code, want)
		}
		if l := w.Header().Get("Location"); want == 308 && l != "https://shop.example.com/" {
			t.Errorf("redirected to %q", l)
		}
	}
}

func TestManagedHosts(t *testing.T) {
	s := newSecureWorld(t, func(c *TLSConfig) { c.Issuer = asker{} }, []string{"*.given.example.com"})
	s.instance("api", says("hello"))
	for _, h := range []string{"shop.example.com", "a.given.example.com"} {
		s.route("api", h, nil)
	}
	for host, want := range map[string]bool{
		"shop.example.com": true, "a.given.example.com": false, "api.staging.localhost": false, "unknown.example.com": false, "": false,
	} {
		if got := s.Managed(host); got != want {
			t.Errorf("%q: managed is %t, want %t", host, got, want)
		}
	}
	s.traffic.Routes = nil
	s.Receive(s.traffic)
	if s.Managed("shop.example.com") {
		t.Error("the host of a route that has gone is managed")
	}
}

// rawCodec passes messages as they are.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "raw" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// A stream of gRPC's own client over TLS goes both ways, message by message.
func TestStreamsGRPCOverTLS(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"grpc.staging.localhost"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		for {
			var m []byte
			if err := stream.RecvMsg(&m); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			m = append([]byte("echo "), m...)
			if err := stream.SendMsg(&m); err != nil {
				return err
			}
		}
	}))
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	s.endpoint("grpc", "http://"+l.Addr().String())
	conn, err := grpc.NewClient("passthrough:///"+s.tlsAddr, grpc.WithAuthority("grpc.staging.localhost"),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: s.pool, ServerName: "grpc.staging.localhost"})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test.Echo/Talk", grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	for k := range 20 {
		m := []byte(fmt.Sprint(k))
		if err := stream.SendMsg(&m); err != nil {
			t.Fatal(err)
		}
		var got []byte
		if err := stream.RecvMsg(&got); err != nil || string(got) != "echo "+string(m) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var end []byte
	if err := stream.RecvMsg(&end); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
}

// Both listeners end with their context, and requests under way are waited for.
func TestServeTLSEnds(t *testing.T) {
	s := newSecureWorld(t, nil, []string{"slow.staging.localhost"})
	entered, finish := make(chan struct{}), make(chan struct{})
	s.instance("slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-finish
		_, _ = io.WriteString(w, "whole")
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.tlsAddr = l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(ctx, l, 10*time.Second) }()
	answered := make(chan string, 1)
	go func() {
		browser := s.browser(true)
		res, err := browser.Get("https://slow.staging.localhost/")
		if err != nil {
			answered <- err.Error()
			return
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		browser.CloseIdleConnections() // which the server would wait for
		answered <- string(body)
	}()
	<-entered
	cancel()
	await(t, "the listener's end", func() bool {
		c, err := net.Dial("tcp", s.tlsAddr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	close(finish)
	if got := <-answered; got != "whole" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
