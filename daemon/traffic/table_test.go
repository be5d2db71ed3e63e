package traffic

import (
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func TestHostName(t *testing.T) {
	for header, want := range map[string]string{
		"a.example": "a.example", "A.Example": "a.example", "a.example.": "a.example", "a.example:80": "a.example", "A.example.:80": "a.example",
		"127.0.0.1:80": "127.0.0.1", "a_b.example": "a_b.example",
		"": "", ".": "", "..": "", "a..": "", ".a": "", "a..b": "", ":80": "", "[::1]:80": "", "[::1]": "", "a b": "", "a/b": "", "a@b": "", "ä.example": "", "a:b:c": "", strings.Repeat("a", 254): "",
	} {
		got, ok := hostName(header)
		if got != want && ok || ok != (want != "") {
			t.Errorf("%q is host %q, %v, want %q", header, got, ok, want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		prefix, path string
		want         bool
	}{
		{"/", "/", true}, {"/", "/x", true}, {"/", "*", false}, {"/api", "/api", true}, {"/api", "/api/", true}, {"/api", "/api/x", true},
		{"/api", "/apix", false}, {"/api", "/", false}, {"/api/v1", "/api", false},
	} {
		if got := covers(tt.prefix, tt.path); got != tt.want {
			t.Errorf("%q covers %q: %v", tt.prefix, tt.path, got)
		}
	}
}

// FuzzRouting: whatever a request's host and path are, it is led to a service of
// the environment that the host belongs to, or to none.
func FuzzRouting(f *testing.F) {
	for _, s := range [][2]string{
		{"api.staging.localhost", "/"}, {"API.PRODUCTION.localhost.:80", "/pay"}, {"shop.example.com", "/api/x"}, {"shop.example.com", "/api/..%2f"},
		{"api.production.localhost", "//x"}, {"staging.api.production.localhost", "/"}, {"[::1]", "/"},
	} {
		f.Add(s[0], s[1])
	}
	routes := []fleet.Route{
		{Name: "a", Environment: "production", ServiceName: "shop", Hosts: []string{"shop.example.com"}, PathPrefixes: []string{"/"}, Settings: grammar.DefaultRouting()},
		{Name: "b", Environment: "production", ServiceName: "api", Hosts: []string{"shop.example.com"}, PathPrefixes: []string{"/api"}, Settings: grammar.DefaultRouting()},
		{Name: "c", Environment: "staging", ServiceName: "api", Hosts: []string{"api.production.localhost", "staging.example.com"}, PathPrefixes: []string{"/", "/pay"}, Settings: grammar.DefaultRouting()},
	}
	pools := make(map[serviceKey]*pool)
	for _, k := range []serviceKey{{"api", "staging"}, {"api", "production"}, {"shop", "production"}} {
		pools[k] = emptyPool(k)
	}
	table := newTable("localhost", routes, pools)
	f.Fuzz(func(t *testing.T, header, path string) {
		host, ok := hostName(header)
		if !ok {
			return
		}
		if again, ok := hostName(host); !ok || again != host {
			t.Fatalf("%q is %q, which is %q", header, host, again)
		}
		m, ok := table.find(host, path)
		if !ok {
			return
		}
		want := "production"
		if strings.HasSuffix(host, ".staging.localhost") || host == "staging.example.com" {
			want = "staging"
		}
		if m.pool.environment != want || !covers(m.prefix, path) {
			t.Errorf("%q %q went to %s of %s by %q", header, path, m.pool.service, m.pool.environment, m.prefix)
		}
	})
}
