package grammar

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Strategies of a balancer.
const (
	// RoundRobin gives each endpoint its share in turn, smoothly.
	RoundRobin = "round_robin"
	// LeastRequests gives a request to the less busy of two endpoints drawn at random.
	LeastRequests = "least_requests"
)

// Bounds of a route.
const (
	// MaxHosts bounds the hosts of a route.
	MaxHosts = 64
	// MaxPathPrefixes bounds the path prefixes of a route.
	MaxPathPrefixes = 64
	// MaxTrafficSeconds bounds every time of a route: one day.
	MaxTrafficSeconds = 24 * 60 * 60
	// MaxHeaderBytes bounds the head of every request.
	MaxHeaderBytes = 64 << 10
	// MaxRequestsBound bounds the requests that one instance may be given at a time.
	MaxRequestsBound = 1_000_000
)

// Routing says how a route's requests are shared out and bounded. Times are whole seconds.
type Routing struct {
	// Strategy is RoundRobin or LeastRequests.
	Strategy string `json:"strategy"`
	// StickyCookie names the cookie that keeps a client at one instance; empty for none.
	StickyCookie string `json:"sticky_cookie,omitempty"`
	// CanaryHeader and CanaryCookie name a header and a cookie by which a client
	// chooses, while a deployment goes on, between its replicas ("always") and those
	// that were there before ("never"); empty for none.
	CanaryHeader string `json:"canary_header,omitempty"`
	CanaryCookie string `json:"canary_cookie,omitempty"`
	// StripPrefix takes the path prefix away before the request goes on.
	StripPrefix bool `json:"strip_prefix,omitempty"`
	// RequireTLS sends requests that came without TLS back, to come with it.
	RequireTLS bool `json:"require_tls,omitempty"`
	// MaxBodySize bounds a request's body, such as "64Mi".
	MaxBodySize string `json:"max_body_size"`
	// MaxHeaderSize bounds a request's head, at most 64Ki.
	MaxHeaderSize string `json:"max_header_size"`
	// ResponseTimeout is how long an instance may take until its answer begins.
	ResponseTimeout int `json:"response_timeout"`
	// IdleTimeout is how long a request or an answer may stand still on its way.
	IdleTimeout int `json:"idle_timeout"`
	// MaxRequests is how many requests one instance is given at a time.
	MaxRequests int `json:"max_requests"`
}

// DefaultRouting is the routing of those who say nothing.
func DefaultRouting() Routing {
	return Routing{
		Strategy: RoundRobin, MaxBodySize: "1Gi", MaxHeaderSize: "64Ki",
		ResponseTimeout: 60, IdleTimeout: 300, MaxRequests: 1024,
	}
}

var (
	tokenPattern  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$")
	prefixPattern = regexp.MustCompile(`^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*$`)
)

// reservedHeaders are those that the balancer itself reads or writes.
var reservedHeaders = []string{
	"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive",
	"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id", "traceparent", "tracestate", "cookie",
}

// HeaderName checks the name of a header that a user may give a meaning to.
func HeaderName(s string) error {
	switch {
	case !tokenPattern.MatchString(s):
		return fmt.Errorf("%q is not the name of a header; write for example X-Wedding-Preview", s)
	case slices.Contains(reservedHeaders, strings.ToLower(s)):
		return fmt.Errorf("%q has a meaning already; choose a name of your own, for example X-Wedding-Preview", s)
	}
	return nil
}

// CookieName checks the name of a cookie.
func CookieName(s string) error {
	if !tokenPattern.MatchString(s) {
		return fmt.Errorf("%q is not the name of a cookie; write for example wedding_session", s)
	}
	return nil
}

// Host checks a host name that a route answers to: lower case, no port, no wildcard.
func Host(s string) error {
	switch {
	case s != strings.ToLower(s):
		return fmt.Errorf("%q has upper-case letters; host names are compared in lower case, write %q", s, strings.ToLower(s))
	case strings.Contains(s, ":"):
		return fmt.Errorf("%q holds a port or is an address of IPv6; write the host name alone, for example shop.example.com", s)
	case !domainPattern.MatchString(s) || len(s) > 253:
		return fmt.Errorf("%q is not a host name; write for example shop.example.com", s)
	}
	return nil
}

// PathPrefix checks a path prefix: "/", or whole segments such as "/api/v1". It
// fits a path that is equal to it or goes on below it.
func PathPrefix(s string) error {
	invalid := func(why string) error {
		return fmt.Errorf("%q is not a path prefix: %s; write for example /api", s, why)
	}
	switch {
	case !strings.HasPrefix(s, "/"):
		return invalid("it does not begin with a slash")
	case len(s) > 1024:
		return invalid("it is longer than 1024 characters")
	case s == "/":
		return nil
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q ends with a slash; write %q, which fits what is below it too", s, strings.TrimRight(s, "/"))
	case !prefixPattern.MatchString(s):
		return invalid("it has characters that a path writes in another way")
	}
	for segment := range strings.SplitSeq(s[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return invalid("it has an empty segment, . or ..")
		}
	}
	return nil
}

// EndpointURL checks the URL of an endpoint that wedsyncd does not run: scheme,
// host and port, and nothing else.
func EndpointURL(s string) error {
	scheme, rest, ok := strings.Cut(s, "://")
	invalid := fmt.Errorf("%q is not the URL of an endpoint; write scheme, host and port, for example http://10.20.0.7:8080", s)
	if !ok || scheme != "http" && scheme != "https" {
		return invalid
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil || host == "" {
		return invalid
	}
	if n, err := strconv.Atoi(port); err != nil || Port(n) != nil || strconv.Itoa(n) != port {
		return invalid
	}
	address, err := Address(host)
	inBrackets := strings.HasPrefix(rest, "[")
	if err == nil && address.Is6() == inBrackets || err != nil && !inBrackets && domainPattern.MatchString(host) {
		return nil
	}
	return invalid
}

// MaxMetadata bounds the metadata of an endpoint, and MaxMetadataValue each value.
const (
	MaxMetadata      = 64
	MaxMetadataValue = 1024
)

var metadataPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$`)

// MetadataKey checks the key of an entry of an endpoint's metadata.
func MetadataKey(s string) error {
	if !metadataPattern.MatchString(s) {
		return fmt.Errorf("%q is not a key of metadata; use letters, digits, dots, slashes, hyphens and underscores, for example zone", s)
	}
	return nil
}

// HealthCheckURL checks the URL by which an endpoint that wedsyncd does not run is
// asked whether it is there.
func HealthCheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q cannot be requested; write a URL of http or https without user and fragment, for example http://10.20.0.7:8080/health", s)
	}
	return nil
}

// Faults checks every field of a routing and the rules between them.
func (r Routing) Faults() []Fault {
	var faults []Fault
	refuse := func(field string, err error) {
		if err != nil {
			faults = append(faults, Fault{Field: field, Err: err})
		}
	}
	if r.Strategy != RoundRobin && r.Strategy != LeastRequests {
		refuse("strategy", fmt.Errorf("%q is not a strategy; use %s or %s", r.Strategy, RoundRobin, LeastRequests))
	}
	r.checkNames(refuse)
	_, err := Bytes(r.MaxBodySize)
	refuse("max_body_size", err)
	n, err := Bytes(r.MaxHeaderSize)
	if err == nil && (n < 1<<10 || n > MaxHeaderBytes) {
		err = fmt.Errorf("%q is not between 1Ki and 64Ki", r.MaxHeaderSize)
	}
	refuse("max_header_size", err)
	refuse("response_timeout", within(r.ResponseTimeout, 1, MaxTrafficSeconds, "seconds"))
	refuse("idle_timeout", within(r.IdleTimeout, 1, MaxTrafficSeconds, "seconds"))
	refuse("max_requests", within(r.MaxRequests, 1, MaxRequestsBound, "requests"))
	return faults
}

// checkNames checks the names of cookies and headers.
func (r Routing) checkNames(refuse func(string, error)) {
	for _, n := range []struct {
		field, value string
		check        func(string) error
	}{
		{"sticky_cookie", r.StickyCookie, CookieName}, {"canary_cookie", r.CanaryCookie, CookieName}, {"canary_header", r.CanaryHeader, HeaderName},
	} {
		if n.value != "" {
			refuse(n.field, n.check(n.value))
		}
	}
	if r.StickyCookie != "" && r.StickyCookie == r.CanaryCookie {
		refuse("canary_cookie", errors.New("is the same as sticky_cookie; one cookie cannot mean both"))
	}
}

// RouteFaults checks hosts and path prefixes of a route.
func RouteFaults(hosts, prefixes []string) []Fault {
	faults := listFaults("hosts", hosts, MaxHosts, Host)
	if len(prefixes) == 0 {
		return append(faults, Fault{Field: "path_prefixes", Err: errors.New(`must not be empty; write ["/"] for every path`)})
	}
	return append(faults, listFaults("path_prefixes", prefixes, MaxPathPrefixes, PathPrefix)...)
}

// listFaults checks each of a list, their number, and that none is there twice.
func listFaults(field string, list []string, most int, check func(string) error) []Fault {
	if len(list) > most {
		return []Fault{{Field: field, Err: fmt.Errorf("are %d; at most %d are allowed", len(list), most)}}
	}
	var faults []Fault
	for k, s := range list {
		err := check(s)
		if err == nil && slices.Contains(list[:k], s) {
			err = fmt.Errorf("%q is there twice", s)
		}
		if err != nil {
			faults = append(faults, Fault{Field: fmt.Sprintf("%s[%d]", field, k), Err: err})
		}
	}
	return faults
}
