package grammar_test

import (
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func TestCPU(t *testing.T) {
	tests := []struct {
		in   string
		want int64 // zero: refused
	}{
		{"500m", 500}, {"1000m", 1000}, {"1", 1000}, {"0.5", 500}, {"0.01", 10}, {"10m", 10}, {"2.125", 2125},
		{"1024", 1024000}, {"1024000m", 1024000}, {"1.0", 1000}, {"007", 7000}, {"10.0m", 10},
		{"", 0}, {"0", 0}, {"9m", 0}, {"0.001", 0}, {"0.0005", 0}, {"1.5m", 0}, {"12.5m", 0}, {"1024.001", 0}, {"1025", 0},
		{"-1", 0}, {"+1", 0}, {"1 ", 0}, {" 1", 0}, {"1e3", 0}, {"1k", 0}, {"1M", 0}, {".5", 0}, {"5.", 0}, {"1,5", 0}, {"½", 0}, {"1m\n", 0},
		{"0x10", 0}, {"1_000m", 0}, {strings.Repeat("9", 50), 0}, {"0." + strings.Repeat("0", 50) + "1", 0}, {"١", 0},
	}
	for _, tc := range tests {
		check(t, "CPU", tc.in, tc.want, func() (int64, error) { return grammar.CPU(tc.in) })
	}
}

func TestBytes(t *testing.T) {
	tests := []struct {
		in   string
		want int64 // zero: refused
	}{
		{"1", 1}, {"1B", 1}, {"1K", 1 << 10}, {"1Ki", 1 << 10}, {"1KiB", 1 << 10}, {"1KB", 1 << 10}, {"1kb", 1 << 10},
		{"512Mi", 512 << 20}, {"512M", 512 << 20}, {"2Gi", 2 << 30}, {"10GB", 10 << 30}, {"1.5Gi", 3 << 29}, {"0.5Ki", 512},
		{"1024Ti", 1 << 50}, {"1125899906842624", 1 << 50},
		{"", 0}, {"0", 0}, {"0Gi", 0}, {"1025Ti", 0}, {"1Pi", 0}, {"1X", 0}, {"0.3", 0}, {"0.0001Ki", 0}, {"-1Gi", 0}, {"1 Gi", 0},
		{"Gi", 0}, {"1Gi ", 0}, {"1e3", 0}, {"1Gib/s", 0}, {strings.Repeat("9", 50), 0}, {"99999999999999999999Ti", 0},
	}
	for _, tc := range tests {
		check(t, "Bytes", tc.in, tc.want, func() (int64, error) { return grammar.Bytes(tc.in) })
	}
}

func TestMemory(t *testing.T) {
	tests := []struct {
		in   string
		want int64 // zero: refused
	}{
		{"6Mi", 6 << 20}, {"6291456", 6 << 20}, {"512Mi", 512 << 20},
		{"5Mi", 0}, {"6291455", 0}, {"1", 0}, {"big", 0},
	}
	for _, tc := range tests {
		check(t, "Memory", tc.in, tc.want, func() (int64, error) { return grammar.Memory(tc.in) })
	}
}

func check(t *testing.T, what, in string, want int64, read func() (int64, error)) {
	t.Helper()
	got, err := read()
	if want == 0 && (err == nil || got != 0) {
		t.Errorf("%s(%q) = %d, %v; want an error", what, in, got, err)
	}
	if want != 0 && (err != nil || got != want) {
		t.Errorf("%s(%q) = %d, %v; want %d", what, in, got, err, want)
	}
}

func TestImageReference(t *testing.T) {
	tests := []struct {
		registry, name, tag string
		want                string // empty: refused
	}{
		{"", "nginx", "latest", "nginx:latest"},
		{"", "wedsync/api", "v1.4.2", "wedsync/api:v1.4.2"},
		{"", "registry.example.com:5000/wedsync/api", "v1", "registry.example.com:5000/wedsync/api:v1"},
		{"registry.example.com", "wedsync/api", "v1", "registry.example.com/wedsync/api:v1"},
		{"https://registry.example.com/", "wedsync/api", "v1", "registry.example.com/wedsync/api:v1"},
		{"http://127.0.0.1:5000", "api", "v1", "127.0.0.1:5000/api:v1"},
		{"registry.example.com", "registry.example.com/wedsync/api", "v1", "registry.example.com/wedsync/api:v1"},
		{"localhost:5000", "a/b/c_d-e.f", "A_b.c-1", "localhost:5000/a/b/c_d-e.f:A_b.c-1"},
		{"a.example.com", "b.example.com:5000/x", "v1", ""},
		{"", "", "v1", ""}, {"", "nginx", "", ""}, {"", "Nginx", "v1", ""}, {"", "nginx:1", "v1", ""},
		{"", "nginx@sha256:" + strings.Repeat("a", 64), "v1", ""}, {"", "nginx", "-v", ""}, {"", "nginx", "v:1", ""},
		{"", "nginx", strings.Repeat("v", 129), ""}, {"", strings.Repeat("a/", 130) + "a", "v1", ""},
		{"", strings.Repeat("a", 64), "v1", ""}, // reads as the id of an image
		{"", "../x", "v1", ""}, {"", "a//b", "v1", ""}, {"", "a b", "v1", ""}, {"", "https://x/y", "v1", ""},
		{"registry", "x", "v1", ""}, {"ftp://x.example.com", "x", "v1", ""}, {"x.example.com/path", "x", "v1", ""}, {"user@x.example.com", "x", "v1", ""},
		{"http://", "x", "v1", ""}, {"x.example.com:port", "x", "v1", ""},
	}
	for _, tc := range tests {
		got, err := grammar.ImageReference(tc.registry, tc.name, tc.tag)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("ImageReference(%q, %q, %q) = %q, %v; want %q", tc.registry, tc.name, tc.tag, got, err, tc.want)
		}
	}
}

// TestTexts goes through the parsers that only accept or refuse.
func TestTexts(t *testing.T) {
	second := func(_ any, err error) error { return err }
	tests := []struct {
		name     string
		parse    func(string) error
		accepted []string
		refused  []string
	}{
		{"Name", grammar.Name,
			[]string{"a", "0", "wedding-api", "a--b", strings.Repeat("a", 63)},
			[]string{"", "-a", "a-", "A", "a_b", "a.b", "a b", "ä", "a\n", strings.Repeat("a", 64)}},
		{"ImageName", grammar.ImageName,
			[]string{"nginx", "wedsync/api", "localhost/x", "registry.example.com:5000/a/b", "Registry.example.com/a", "docker.io/library/nginx"},
			[]string{"", "A/b", "Wedsync/api", "registry.example.com/A", "nginx:1", "a/", "/a", "a b", strings.Repeat("a", 256)}},
		{"ImageTag", grammar.ImageTag,
			[]string{"v1", "latest", "_x", "1.2.3-rc.1", strings.Repeat("v", 128)},
			[]string{"", ".x", "-x", "a/b", "a:b", "a b", "ä", "a\n", strings.Repeat("v", 129)}},
		{"Registry", func(s string) error { return second(grammar.Registry(s)) },
			[]string{"registry.example.com", "127.0.0.1:5000", "localhost:5000", "https://r.example.com/", "[::1]:5000"},
			[]string{"", "registry", "https://", "r.example.com/x", "r.example.com?x", "a b.example.com", "ftp://r.example.com"}},
		{"EnvVar", grammar.EnvVar,
			[]string{"A", "_", "LOG_LEVEL", "a.b-c", strings.Repeat("A", 256)},
			[]string{"", "1A", "A=B", "A B", "A\x00", "ä", "A\n", strings.Repeat("A", 257)}},
		{"Label", grammar.Label,
			[]string{"team", "com.example.team", "a/b", "wedsync", "wedsyncx.a"},
			[]string{"", "wedsync.instance", "wedsync.", "Team", "a b", ".a", "a.", "a_b"[:2] + "=", strings.Repeat("a", 129)}},
		{"HTTPPath", grammar.HTTPPath,
			[]string{"/", "/health", "/health?full=1", "/a%20b"},
			[]string{"", "health", "/a b", "/a\r\nHost: x", "/a#b", "http://x/", "/" + strings.Repeat("a", 1024)}},
		{"ContainerPath", grammar.ContainerPath,
			[]string{"/data", "/var/lib/app", "/a b"},
			[]string{"", "/", "data", "/a/", "/a/../b", "/a//b", "/a:b", "/a\x00"}},
		{"VolumeSource", grammar.VolumeSource,
			[]string{"/srv/data", "app-data", "A_1.x", "ab"},
			[]string{"", "a", "./data", "../data", "-data", "/a/", "/a:ro", "a:b", "data\n", "/a\x00"}},
		{"HeaderName", grammar.HeaderName,
			[]string{"X-Wedding-Preview", "x_1", "a", "Accept", strings.Repeat("a", 128)},
			[]string{"", "Host", "COOKIE", "x-forwarded-for", "Te", "a b", "a:b", "ä", "a\n", strings.Repeat("a", 129)}},
		{"CookieName", grammar.CookieName,
			[]string{"wedding_session", "__Host-id", "a.b", strings.Repeat("a", 128)},
			[]string{"", "a=b", "a;b", "a b", `"a"`, "ä", "a\n", strings.Repeat("a", 129)}},
		{"Host", grammar.Host,
			[]string{"shop.example.com", "localhost", "a-b.c", "xn--bcher-kva.example", "10.0.0.1"},
			[]string{"", "Shop.example.com", "shop.example.com:80", "::1", "*.example.com", "shop.example.com.", "a_b.c", "-a.b", "http://a.b", "a b", "bücher.example", strings.Repeat("a.", 127) + "a"}},
		{"PathPrefix", grammar.PathPrefix,
			[]string{"/", "/api", "/api/v1", "/a.b/~c", "/a:b", "/" + strings.Repeat("a", 1023)},
			[]string{"", "api", "/api/", "//", "/a//b", "/a/../b", "/.", "/a b", "/a?b", "/a#b", "/a%20b", "/ä", "/a\n", "/" + strings.Repeat("a", 1024)}},
		{"MetadataKey", grammar.MetadataKey,
			[]string{"zone", "Zone_1", "traefik.http.routers.a.rule", "a/b", "0", strings.Repeat("a", 128)},
			[]string{"", "a b", "-a", ".a", "a=b", "ä", "a\n", strings.Repeat("a", 129)}},
		{"HealthCheckURL", grammar.HealthCheckURL,
			[]string{"http://10.20.0.7:8080/health?full=1", "https://example.com", "http://[::1]:80/"},
			[]string{"", "/health", "10.20.0.7:80", "ftp://a/b", "http://", "http:///health", "http://u@a/", "http://u:p@a/", "http://a/#b", "http://a:x/", "http://a b/", "http://a/\n"}},
		{"EndpointURL", grammar.EndpointURL,
			[]string{"http://10.20.0.7:8080", "https://db.example.com:443", "http://[fd00::2]:80", "http://localhost:1"},
			[]string{"", "10.20.0.7:8080", "http://10.20.0.7", "ftp://a.b:80", "http://a.b:80/", "http://a.b:80?x", "http://u@a.b:80", "http://a.b:0", "http://a.b:65536", "http://a.b:080", "http://:80", "http://a b:80", "http://fd00::2:80", "http://[10.0.0.1]:80", "http://[a.b]:80"}},
		{"User", grammar.User,
			[]string{"app", "0", "10001:10001", "app:staff", "_x", "svc$"},
			[]string{"", ":", "app:", ":1", "a b", "App", "1:2:3", "-1", "app\n"}},
		{"Subnet", func(s string) error { return second(grammar.Subnet(s)) },
			[]string{"10.20.0.0/24", "0.0.0.0/0", "fd00:20::/64", "10.0.0.1/32"},
			[]string{"", "10.20.0.0", "10.20.0.1/24", "10.20.0.0/33", "x/24", "fe80::1%eth0/64", "10.20.0.0/024"}},
		{"Address", func(s string) error { return second(grammar.Address(s)) },
			[]string{"10.20.0.1", "::1", "fd00::1"},
			[]string{"", "10.20.0", "10.20.0.256", "fe80::1%eth0", "ns1", "10.20.0.01"}},
		{"Domain", grammar.Domain,
			[]string{"example", "weddings.internal", "a-b.c"},
			[]string{"", ".", "a.", ".a", "a..b", "-a", "a_b", "a b", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a"}},
		{"DNSOption", grammar.DNSOption,
			[]string{"rotate", "ndots:2", "single-request-reopen"},
			[]string{"", "NDOTS", "ndots:", "ndots:x", "a b", "ndots:2\n"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for _, s := range tc.accepted {
				if err := tc.parse(s); err != nil {
					t.Errorf("%q is refused: %v", s, err)
				}
			}
			for _, s := range tc.refused {
				if err := tc.parse(s); err == nil {
					t.Errorf("%q is accepted", s)
				}
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	for n, ok := range map[int]bool{-1: false, 0: false, 1: true, 65535: true, 65536: false} {
		if err := grammar.Port(n); (err == nil) != ok {
			t.Errorf("Port(%d): %v", n, err)
		}
	}
	tests := []struct {
		n, least int
		ok       bool
	}{{0, 0, true}, {-1, 0, false}, {0, 1, false}, {1, 1, true}, {1000, 0, true}, {1001, 0, false}}
	for _, tc := range tests {
		if err := grammar.Replicas(tc.n, tc.least); (err == nil) != tc.ok {
			t.Errorf("Replicas(%d, %d): %v", tc.n, tc.least, err)
		}
	}
}

func TestGateway(t *testing.T) {
	tests := []struct {
		gateway, subnet string
		ok              bool
	}{
		{"10.20.0.1", "10.20.0.0/24", true},
		{"fd00:20::1", "fd00:20::/64", true},
		{"10.21.0.1", "10.20.0.0/24", false},
		{"fd00:20::1", "10.20.0.0/24", false},
		{"10.20.0.1", "", false},
		{"x", "10.20.0.0/24", false},
		{"10.20.0.1", "bad", true}, // the subnet's own check reports it
	}
	for _, tc := range tests {
		if err := grammar.Gateway(tc.gateway, tc.subnet); (err == nil) != tc.ok {
			t.Errorf("Gateway(%q, %q): %v", tc.gateway, tc.subnet, err)
		}
	}
}

// TestMessages asks that a refusal repeats what was given and shows what would be right.
func TestMessages(t *testing.T) {
	second := func(_ any, err error) error { return err }
	tests := []struct {
		err   error
		parts []string
	}{
		{second(grammar.CPU("1x")), []string{`"1x"`, "500m"}},
		{second(grammar.Bytes("1X")), []string{`"1X"`, `"X"`, "Mi"}},
		{second(grammar.Memory("1Mi")), []string{`"1Mi"`, "6Mi"}},
		{grammar.Name("A"), []string{`"A"`, "wedding-api"}},
		{grammar.Name(strings.Repeat("a", 64)), []string{"64", "63"}},
		{grammar.ImageName("Nginx"), []string{"upper-case", "wedsync/api"}},
		{grammar.ImageName("nginx:1"), []string{"image_tag"}},
		{second(grammar.Subnet("10.20.0.1/24")), []string{"10.20.0.0/24"}},
		{grammar.Gateway("10.21.0.1", "10.20.0.0/24"), []string{"10.21.0.1", "10.20.0.0/24"}},
		{grammar.Label("wedsync.x"), []string{"reserved"}},
		{grammar.HeaderName("Host"), []string{`"Host"`, "X-Wedding-Preview"}},
		{grammar.HeaderName("a b"), []string{`"a b"`, "X-Wedding-Preview"}},
		{grammar.CookieName("a b"), []string{`"a b"`, "wedding_session"}},
		{grammar.Host("Shop.example.com"), []string{`"shop.example.com"`}},
		{grammar.Host("a.example.com:80"), []string{"port", "shop.example.com"}},
		{grammar.PathPrefix("/api/"), []string{`write "/api"`}},
		{grammar.PathPrefix("api"), []string{"slash", "/api"}},
		{grammar.MetadataKey("a b"), []string{`"a b"`, "zone"}},
		{grammar.HealthCheckURL("ftp://a/b"), []string{`"ftp://a/b"`, "http://10.20.0.7:8080/health"}},
		{grammar.EndpointURL("a:1"), []string{"http://10.20.0.7:8080"}},
	}
	for _, tc := range tests {
		for _, part := range tc.parts {
			if tc.err == nil || !strings.Contains(tc.err.Error(), part) {
				t.Errorf("%v lacks %q", tc.err, part)
			}
		}
	}
}
