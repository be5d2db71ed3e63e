package traffic

import (
	"cmp"
	"net"
	"slices"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// serviceKey names a service in an environment.
type serviceKey struct{ service, environment string }

// table decides which pool a request goes to. It is immutable.
type table struct {
	// hosts are the matches of each host, longest path prefix first.
	hosts map[string][]match
	pools map[serviceKey]*pool
}

// match leads the paths below a prefix to a pool. The pool has nobody in it, and
// is never nil, where the service has no endpoint.
type match struct {
	prefix string
	pool   *pool
	limits limits
	// route is the route's name; empty for a service's own host.
	route string
}

// limits is a route's settings, read.
type limits struct {
	grammar.Routing

	maxBody, maxHeader int64
}

func readLimits(r grammar.Routing) limits {
	body, _ := grammar.Bytes(r.MaxBodySize)
	header, _ := grammar.Bytes(r.MaxHeaderSize)
	return limits{Routing: r, maxBody: body, maxHeader: header}
}

// ownHost is the host that a service has without any route.
func ownHost(k serviceKey, domain string) string {
	return k.service + "." + k.environment + "." + domain
}

// newTable builds the table of routes and pools. A service's own host leads to it
// whatever other routes say, unless a route of that service takes it over.
func newTable(domain string, routes []fleet.Route, pools map[serviceKey]*pool) *table {
	t := &table{hosts: make(map[string][]match), pools: pools}
	for _, r := range routes {
		k := serviceKey{r.ServiceName, r.Environment}
		p, ok := pools[k]
		if !ok {
			p = emptyPool(k)
		}
		hosts := r.Hosts
		if len(hosts) == 0 {
			hosts = []string{ownHost(k, domain)}
		}
		for _, h := range hosts {
			if len(r.Hosts) > 0 && under(h, domain) {
				continue
			}
			for _, prefix := range r.PathPrefixes {
				t.hosts[h] = append(t.hosts[h], match{prefix: prefix, pool: p, limits: readLimits(r.Settings), route: r.Name})
			}
		}
	}
	plain := readLimits(grammar.DefaultRouting())
	for k, p := range pools {
		own := ownHost(k, domain)
		if !slices.ContainsFunc(t.hosts[own], func(m match) bool { return m.prefix == "/" }) {
			t.hosts[own] = append(t.hosts[own], match{prefix: "/", pool: p, limits: plain})
		}
	}
	for _, matches := range t.hosts {
		slices.SortFunc(matches, func(a, b match) int {
			return cmp.Or(cmp.Compare(len(b.prefix), len(a.prefix)), cmp.Compare(a.prefix, b.prefix))
		})
	}
	return t
}

func emptyPool(k serviceKey) *pool {
	return &pool{service: k.service, environment: k.environment, all: newRing(nil), budget: newBudget()}
}

// under reports whether a host is below the domain of the services' own hosts.
func under(host, domain string) bool { return strings.HasSuffix(host, "."+domain) }

// find is the match of a host and a path.
func (t *table) find(host, path string) (match, bool) {
	for _, m := range t.hosts[host] {
		if covers(m.prefix, path) {
			return m, true
		}
	}
	return match{}, false
}

// covers reports whether a path is the prefix or below it.
func covers(prefix, path string) bool {
	if prefix == "/" {
		return strings.HasPrefix(path, "/")
	}
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// hostName is the name in a Host header, in lower case, without port and without
// the dot at the end of an absolute name; false when it is none.
func hostName(header string) (string, bool) {
	host := header
	if strings.ContainsRune(header, ':') {
		h, _, err := net.SplitHostPort(header)
		if err != nil {
			return "", false
		}
		host = h
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 || host[0] == '.' || host[len(host)-1] == '.' || strings.Contains(host, "..") {
		return "", false
	}
	for k := range len(host) {
		c := host[k]
		if c >= 'A' && c <= 'Z' {
			return hostName(strings.ToLower(host))
		}
		if !hostByte(c) {
			return "", false
		}
	}
	return host, true
}

func hostByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
}
