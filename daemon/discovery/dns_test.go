package discovery_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/discovery"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

func instance(id, service, environment, url string) fleet.Endpoint {
	return fleet.Endpoint{
		ID: id, InstanceID: id, ServiceName: service, Environment: environment, URL: url,
		Healthy: true, Weight: fleet.MaxWeight, ImageTag: "v1", DeploymentID: "d1",
	}
}

func directory(endpoints ...fleet.Endpoint) *discovery.Directory {
	d := discovery.NewDirectory()
	d.Receive(fleet.Traffic{Endpoints: endpoints})
	return d
}

// serveDNS answers on loopback until the test ends.
func serveDNS(t *testing.T, d *discovery.Directory) (address string) {
	t.Helper()
	server, err := discovery.ListenDNS(t.Context(), "127.0.0.1:0", d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run has not returned")
		}
	})
	return server.Addr()
}

// digger is the program dig, and the server that it asks.
type digger struct{ path, host, port string }

func newDigger(t *testing.T, address string) digger {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return digger{path: testenv.Dig(t), host: host, port: port}
}

// ask is what dig says; the configuration of the machine's own resolver is not used.
func (d digger) ask(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"-r", "@" + d.host, "-p", d.port, "+norecurse", "+tries=2", "+time=5"}, args...)
	out, err := exec.CommandContext(t.Context(), d.path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// short are the lines of dig +short, sorted.
func (d digger) short(t *testing.T, args ...string) []string {
	t.Helper()
	lines := strings.Fields(strings.ReplaceAll(d.ask(t, append(args, "+short")...), " ", "_"))
	slices.Sort(lines)
	return lines
}

func TestDig(t *testing.T) {
	d := directory(
		instance("a1", "api", "staging", "http://172.18.0.4:8080"),
		instance("a2", "api", "staging", "http://172.18.0.5:8080"),
		instance("a6", "api", "staging", "http://[fd00::6]:8080"),
	)
	dig := newDigger(t, serveDNS(t, d))
	answers := []struct {
		args []string
		want []string
	}{
		{[]string{"api.staging.wedsync", "A"}, []string{"172.18.0.4", "172.18.0.5"}},
		{[]string{"api.staging.wedsync", "AAAA"}, []string{"fd00::6"}},
		{[]string{"a2.api.staging.wedsync", "A"}, []string{"172.18.0.5"}},
		{[]string{"_api._tcp.staging.wedsync", "SRV"}, []string{
			"0_100_8080_a1.api.staging.wedsync.", "0_100_8080_a2.api.staging.wedsync.", "0_100_8080_a6.api.staging.wedsync.",
		}},
		{[]string{"api.staging.wedsync", "ANY"}, []string{`"RFC8482"_""`}},
		{[]string{"wedsync", "NS"}, []string{"ns.wedsync."}},
		{[]string{"ns.wedsync", "A"}, []string{"127.0.0.1"}},
		{[]string{"api.staging.wedsync", "TXT"}, nil},
	}
	said := []struct {
		args []string
		want []string
	}{
		{[]string{"api.staging.wedsync", "A"}, []string{"status: NOERROR", "flags: qr aa;", "EDNS: version: 0", "udp: 1232"}},
		{[]string{"db.staging.wedsync", "A"}, []string{"status: NXDOMAIN", "SOA\tns.wedsync. hostmaster.wedsync. 1 1 1 1 1"}},
		{[]string{"aPi.stAging.weDsync", "A"}, []string{";aPi.stAging.weDsync.", "\naPi.stAging.weDsync."}},
		{[]string{"example.com", "A"}, []string{"status: REFUSED"}},
		{[]string{"+opcode=NOTIFY", "api.staging.wedsync"}, []string{"status: NOTIMP"}},
		{[]string{"+edns=1", "+noednsnegotiation", "api.staging.wedsync"}, []string{"status: BADVERS"}},
		{[]string{"+noedns", "api.staging.wedsync", "A"}, []string{"status: NOERROR", "ADDITIONAL: 0"}},
	}
	for _, transport := range []string{"+notcp", "+tcp"} {
		for _, tc := range answers {
			if got := dig.short(t, append(tc.args, transport)...); !slices.Equal(got, tc.want) {
				t.Errorf("dig %v %s = %q, want %q", tc.args, transport, got, tc.want)
			}
		}
		for _, tc := range said {
			out := dig.ask(t, append(tc.args, transport)...)
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("dig %v %s does not say %q:\n%s", tc.args, transport, want, out)
				}
			}
		}
	}
	d.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{instance("a3", "api", "staging", "http://172.18.0.9:8080")}})
	if got := dig.short(t, "api.staging.wedsync", "A"); !slices.Equal(got, []string{"172.18.0.9"}) {
		t.Errorf("after a change dig says %q", got)
	}
}

// TestDigComesBackOverTCP: an answer too long for UDP is marked, and whole over TCP.
func TestDigComesBackOverTCP(t *testing.T) {
	endpoints := make([]fleet.Endpoint, 500)
	for k := range endpoints {
		endpoints[k] = instance(fmt.Sprint("i", k), "api", "staging", fmt.Sprintf("http://10.0.%d.%d:80", k/250, k%250+1))
	}
	dig := newDigger(t, serveDNS(t, directory(endpoints...)))
	if out := dig.ask(t, "+ignore", "+notcp", "api.staging.wedsync", "A"); !strings.Contains(out, "flags: qr aa tc;") {
		t.Errorf("an answer of 500 addresses is not marked truncated over UDP:\n%s", out)
	}
	for _, args := range [][]string{{"A"}, {"SRV"}, {"A", "+bufsize=600"}, {"A", "+noedns"}} {
		if got := dig.short(t, append([]string{"api.staging.wedsync"}, args...)...); len(got) != 500 {
			t.Errorf("dig %v has %d records, want 500", args, len(got))
		}
	}
}

// TestGoResolver: Go's own resolver finds addresses and SRV as a program would.
func TestGoResolver(t *testing.T) {
	address := serveDNS(t, directory(instance("a1", "api", "staging", "http://172.18.0.4:8080")))
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	hosts, err := resolver.LookupHost(t.Context(), "api.staging.wedsync.")
	if err != nil || !slices.Equal(hosts, []string{"172.18.0.4"}) {
		t.Errorf("LookupHost = %v, %v", hosts, err)
	}
	_, records, err := resolver.LookupSRV(t.Context(), "api", "tcp", "staging.wedsync.")
	if err != nil || len(records) != 1 || records[0].Target != "a1.api.staging.wedsync." || records[0].Port != 8080 {
		t.Errorf("LookupSRV = %v, %v", records, err)
	}
	_, err = resolver.LookupHost(t.Context(), "db.staging.wedsync.")
	if dnsErr := (*net.DNSError)(nil); !asDNSError(err, &dnsErr) || !dnsErr.IsNotFound {
		t.Errorf("LookupHost of an unknown name: %v", err)
	}
}

func asDNSError(err error, target **net.DNSError) bool {
	e, ok := err.(*net.DNSError) //nolint:errorlint // the resolver documents this very type
	*target = e
	return ok
}

// TestMalformedMessages: what no resolver sends is refused or dropped, and the
// next query is answered.
func TestMalformedMessages(t *testing.T) {
	address := serveDNS(t, directory(instance("a1", "api", "staging", "http://172.18.0.4:8080")))
	dig := newDigger(t, address)
	conn, err := new(net.Dialer).DialContext(t.Context(), "udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, message := range [][]byte{
		{}, {1}, make([]byte, 11), make([]byte, 12), bytes.Repeat([]byte{0xff}, 1000), bytes.Repeat([]byte{0xc0, 0x0c}, 600),
		append([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 0xc0, 0x0c, 0, 1, 0, 1), // a name that points at itself
	} {
		if _, err := conn.Write(message); err != nil {
			t.Fatal(err)
		}
	}
	for _, transport := range []string{"+notcp", "+tcp"} {
		if got := dig.short(t, "api.staging.wedsync", transport); !slices.Equal(got, []string{"172.18.0.4"}) {
			t.Errorf("dig %s = %q", transport, got)
		}
	}
}

// TestIdleConnections: who opens a connection and says nothing, or stops amid a
// message, is cut off and keeps nobody out.
func TestIdleConnections(t *testing.T) {
	address := serveDNS(t, directory(instance("a1", "api", "staging", "http://172.18.0.4:8080")))
	var conns []net.Conn
	for k := range 300 { // more than may be open
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if k%2 == 0 {
			_ = binary.Write(conn, binary.BigEndian, uint16(100))
		}
		conns = append(conns, conn)
	}
	if got := newDigger(t, address).short(t, "+tcp", "+time=20", "api.staging.wedsync"); !slices.Equal(got, []string{"172.18.0.4"}) {
		t.Errorf("dig beside 300 idle connections = %q", got)
	}
	for _, conn := range conns[:2] {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("an idle connection was not closed: %v", err)
		}
	}
}

func TestListenDNS(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, address := range []string{taken.Addr().String(), "127.0.0.1", "nowhere.invalid:53"} {
		if _, err := discovery.ListenDNS(t.Context(), address, directory()); err == nil || !strings.HasPrefix(err.Error(), "listen for DNS: ") {
			t.Errorf("listening at %s: %v", address, err)
		}
	}
	packets, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", taken.Addr().String())
	if err != nil {
		t.Fatalf("the UDP socket of an attempt that failed is still open: %v", err)
	}
	packets.Close()
}

// TestRunFails: a socket that breaks ends Run with an error, and the other one with it.
func TestRunFails(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets.Close()
	if err := discovery.NewDNS(packets, listener, directory()).Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "answer DNS: ") {
		t.Errorf("Run on a closed socket: %v", err)
	}
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String()); err == nil {
		t.Error("the other socket is still open")
	}
}
