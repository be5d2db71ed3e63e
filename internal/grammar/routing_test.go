package grammar_test

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// fields are those at fault.
func fields(faults []grammar.Fault) []string {
	var names []string
	for _, f := range faults {
		names = append(names, f.Field)
	}
	return names
}

func TestRoutingFaults(t *testing.T) {
	tests := []struct {
		name string
		set  func(*grammar.Routing)
		want []string
	}{
		{"defaults", func(*grammar.Routing) {}, nil},
		{"everything", func(r *grammar.Routing) {
			*r = grammar.Routing{
				Strategy: grammar.LeastRequests, StickyCookie: "a", CanaryHeader: "X-A", CanaryCookie: "b", StripPrefix: true, RequireTLS: true, MaxBodySize: "1",
				MaxHeaderSize: "1Ki", ResponseTimeout: 1, IdleTimeout: grammar.MaxTrafficSeconds, MaxRequests: grammar.MaxRequestsBound,
			}
		}, nil},
		{"nothing", func(r *grammar.Routing) { *r = grammar.Routing{} },
			[]string{"strategy", "max_body_size", "max_header_size", "response_timeout", "idle_timeout", "max_requests"}},
		{"strategy", func(r *grammar.Routing) { r.Strategy = "random" }, []string{"strategy"}},
		{"names", func(r *grammar.Routing) { r.StickyCookie, r.CanaryCookie, r.CanaryHeader = "a b", "c;d", "Host" },
			[]string{"sticky_cookie", "canary_cookie", "canary_header"}},
		{"one cookie for both", func(r *grammar.Routing) { r.StickyCookie, r.CanaryCookie = "a", "a" }, []string{"canary_cookie"}},
		{"sizes", func(r *grammar.Routing) { r.MaxBodySize, r.MaxHeaderSize = "much", "65537" }, []string{"max_body_size", "max_header_size"}},
		{"small head", func(r *grammar.Routing) { r.MaxHeaderSize = "1023" }, []string{"max_header_size"}},
		{"below the bounds", func(r *grammar.Routing) { r.ResponseTimeout, r.IdleTimeout, r.MaxRequests = 0, 0, 0 },
			[]string{"response_timeout", "idle_timeout", "max_requests"}},
		{"above the bounds", func(r *grammar.Routing) {
			r.ResponseTimeout, r.IdleTimeout = grammar.MaxTrafficSeconds+1, grammar.MaxTrafficSeconds+1
			r.MaxRequests = grammar.MaxRequestsBound + 1
		}, []string{"response_timeout", "idle_timeout", "max_requests"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			r := grammar.DefaultRouting()
			tc.set(&r)
			if got := fields(r.Faults()); !slices.Equal(got, tc.want) {
				t.Errorf("faults at %v, want %v", got, tc.want)
			}
		})
	}
}

func TestRouteFaults(t *testing.T) {
	tests := []struct {
		name            string
		hosts, prefixes []string
		want            []string
	}{
		{"the service's own", nil, []string{"/"}, nil},
		{"several", []string{"a.example.com", "b.example.com"}, []string{"/", "/api"}, nil},
		{"no path", nil, nil, []string{"path_prefixes"}},
		{"bad ones", []string{"A.example.com", "b.example.com", "c:1"}, []string{"/", "x"}, []string{"hosts[0]", "hosts[2]", "path_prefixes[1]"}},
		{"twice", []string{"a.example.com", "a.example.com"}, []string{"/a", "/b", "/a"}, []string{"hosts[1]", "path_prefixes[2]"}},
		{"too many", make([]string, grammar.MaxHosts+1), make([]string, grammar.MaxPathPrefixes+1), []string{"hosts", "path_prefixes"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := fields(grammar.RouteFaults(tc.hosts, tc.prefixes)); !slices.Equal(got, tc.want) {
				t.Errorf("faults at %v, want %v", got, tc.want)
			}
		})
	}
}

// FuzzRoutingNames: what is accepted goes into a head, a URL or a look-up as it is.
func FuzzRoutingNames(f *testing.F) {
	seed(f, "X-Wedding-Preview", "wedding_session", "shop.example.com", "/api/v1", "http://10.20.0.7:8080", "/", "http://[::1]:80", "/a/../b", "x-request-id")
	f.Fuzz(func(t *testing.T, s string) {
		refuses(t, s, []parser{
			{"HeaderName", grammar.HeaderName(s), 128, ":;=,/ \t\r\n\x00\""},
			{"CookieName", grammar.CookieName(s), 128, ":;=,/ \t\r\n\x00\""},
			{"Host", grammar.Host(s), 253, "ABCXYZ:/_*@ \r\n\x00"},
			{"PathPrefix", grammar.PathPrefix(s), 1024, "%?#\\ \r\n\x00"},
			{"EndpointURL", grammar.EndpointURL(s), 1 << 20, "@?#% \r\n\x00"},
			{"HealthCheckURL", grammar.HealthCheckURL(s), 1 << 20, "\r\n\x00"},
			{"MetadataKey", grammar.MetadataKey(s), 128, "=:@?#% \r\n\x00\""},
		})
		if grammar.Host(s) == nil && grammar.Domain(s) != nil {
			t.Errorf("%q is a host but no domain", s)
		}
		if grammar.PathPrefix(s) == nil && (s[0] != '/' || s != "/" && path.Clean(s) != s || grammar.HTTPPath(s) != nil) {
			t.Errorf("PathPrefix accepts %q", s)
		}
		if grammar.EndpointURL(s) == nil {
			if u, err := url.Parse(s); err != nil || u.Port() == "" || u.Hostname() == "" || u.String() != s || u.Path != "" {
				t.Errorf("EndpointURL accepts %q, which reads as %v, %v", s, u, err)
			}
		}
	})
}

// FuzzRouting: a routing is refused by field, once for each; what is accepted has
// bytes that can be read.
func FuzzRouting(f *testing.F) {
	f.Add("round_robin", "session", "X-Preview", "preview", "1Gi", "64Ki", 60, 300, 1024)
	f.Add("least_requests", "", "", "", "1", "1Ki", 1, 86400, 1)
	f.Add("", "a", "Host", "a", "1Pi", "1Mi", 0, 86401, -1)
	f.Fuzz(func(t *testing.T, strategy, sticky, header, cookie, body, head string, response, idle, most int) {
		r := grammar.Routing{
			Strategy: strategy, StickyCookie: sticky, CanaryHeader: header, CanaryCookie: cookie, MaxBodySize: body, MaxHeaderSize: head,
			ResponseTimeout: response, IdleTimeout: idle, MaxRequests: most,
		}
		faults := r.Faults()
		for _, fault := range faults {
			explained(t, fault.Field, fault.Err)
		}
		if len(faults) > 0 {
			return
		}
		n, err := grammar.Bytes(head)
		if _, bodyErr := grammar.Bytes(body); err != nil || bodyErr != nil || n > grammar.MaxHeaderBytes {
			t.Errorf("%+v is accepted: %v, %v", r, err, bodyErr)
		}
		if response < 1 || idle < 1 || most < 1 || max(response, idle) > grammar.MaxTrafficSeconds || most > grammar.MaxRequestsBound {
			t.Errorf("%+v is accepted", r)
		}
		if sticky != "" && sticky == cookie {
			t.Errorf("%+v is accepted with one cookie for two", r)
		}
	})
}

// FuzzRouteFaults: what is accepted holds every host and path once, each fine by itself.
func FuzzRouteFaults(f *testing.F) {
	for _, s := range [][2]string{{"", "/"}, {"a.example.com b.example.com", "/ /api"}, {"a.b a.b", "/a /a"}, {"A", ""}, {strings.Repeat("a ", 70), strings.Repeat("/ ", 70)}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		hosts, prefixes := strings.Fields(a), strings.Fields(b)
		faults := grammar.RouteFaults(hosts, prefixes)
		for _, fault := range faults {
			explained(t, fault.Field, fault.Err)
		}
		sound := len(hosts) <= grammar.MaxHosts && len(prefixes) > 0 && len(prefixes) <= grammar.MaxPathPrefixes &&
			!slices.ContainsFunc(hosts, func(s string) bool { return grammar.Host(s) != nil }) &&
			!slices.ContainsFunc(prefixes, func(s string) bool { return grammar.PathPrefix(s) != nil }) &&
			once(hosts) && once(prefixes)
		if sound != (len(faults) == 0) {
			t.Errorf("%q and %q: %v", hosts, prefixes, faults)
		}
	})
}

// once reports whether no text is there twice.
func once(list []string) bool {
	sorted := slices.Sorted(slices.Values(list))
	return len(slices.Compact(sorted)) == len(list)
}
