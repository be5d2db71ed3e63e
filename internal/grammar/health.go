package grammar

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Types of a health check: what is done to see whether an instance is well.
const (
	// HealthHTTP requests a path.
	HealthHTTP = "http"
	// HealthTCP makes a connection.
	HealthTCP = "tcp"
	// HealthCommand runs a command inside the container.
	HealthCommand = "command"
	// HealthImage goes by the image's own HEALTHCHECK, which the engine runs.
	HealthImage = "image"
)

// Bounds of a health check.
const (
	// MaxExpectedStatus bounds the ranges of statuses that pass.
	MaxExpectedStatus = 16
	// MaxHealthHeaders bounds the headers that a check sends.
	MaxHealthHeaders = 16
	// MaxHealthHeaderValue bounds the value of each, in bytes.
	MaxHealthHeaderValue = 1024
	// MaxHealthWords bounds the words of a check's command.
	MaxHealthWords = 64
	// MaxHealthWord bounds each of them, in bytes.
	MaxHealthWord = 4096
	// quickestCheck is the longest time, in seconds, between two checks of an
	// instance that has not settled.
	quickestCheck = 1
)

// HealthCheck says how to see whether an instance is well. Times are whole
// seconds. What was stored before there were types has none, and is an HTTP check
// that one passed check makes healthy.
type HealthCheck struct {
	Type string `json:"type,omitempty"`
	// Endpoint is the path that an HTTP check requests.
	Endpoint string `json:"endpoint,omitempty"`
	// Port is what an HTTP or TCP check connects to; zero means the first of the container's ports.
	Port int `json:"port,omitempty"`
	// ExpectedStatus are the statuses that pass, such as "200" or "200-399"; none means 200 to 399.
	ExpectedStatus []string `json:"expected_status,omitempty"`
	// Headers are sent with an HTTP check; Host names the host that it asks for.
	Headers map[string]string `json:"headers,omitempty"`
	// Command is run inside the container, without a shell.
	Command  []string `json:"command,omitempty"`
	Interval int      `json:"interval"`
	Timeout  int      `json:"timeout"`
	// Retries is how many failed checks in a row make an instance unhealthy.
	Retries int `json:"retries"`
	// Rise is how many passed checks in a row make an instance healthy.
	Rise        int `json:"rise,omitempty"`
	StartPeriod int `json:"start_period,omitempty"`
}

// Kind is the check's type, also of one that was stored before there were any.
func (h HealthCheck) Kind() string {
	if h.Type == "" {
		return HealthHTTP
	}
	return h.Type
}

// NeedsPort reports whether the check connects to a port of the container.
func (h HealthCheck) NeedsPort() bool { return h.Kind() == HealthHTTP || h.Kind() == HealthTCP }

// Fall is how many failed checks in a row make an instance unhealthy. With the
// image's own check it is one: the engine has counted already.
func (h HealthCheck) Fall() int {
	if h.Kind() == HealthImage {
		return 1
	}
	return max(h.Retries, 1)
}

// Passes is how many passed checks in a row make an instance healthy; see Fall.
func (h HealthCheck) Passes() int {
	if h.Kind() == HealthImage {
		return 1
	}
	return max(h.Rise, 1)
}

// Normal is the check with all that it leaves out filled in, so that two that
// mean the same are equal.
func (h HealthCheck) Normal() HealthCheck {
	h.Type, h.Rise = h.Kind(), max(h.Rise, 1)
	if len(h.ExpectedStatus) == 0 && h.Type == HealthHTTP {
		h.ExpectedStatus = []string{"200-399"}
	}
	return h
}

// Expects reports whether an answer of a status passes.
func (h HealthCheck) Expects(status int) bool {
	return slices.ContainsFunc(h.Normal().ExpectedStatus, func(s string) bool {
		low, high, err := StatusRange(s)
		return err == nil && low <= status && status <= high
	})
}

var statusPattern = regexp.MustCompile(`^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$`)

// StatusRange reads statuses of HTTP: "200", or "200-399" with both ends.
func StatusRange(s string) (low, high int, err error) {
	m := statusPattern.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, fmt.Errorf("%q is neither a status nor a range of them; write 200 or 200-399", s)
	}
	low, _ = strconv.Atoi(m[1])
	high = low
	if m[2] != "" {
		high, _ = strconv.Atoi(m[2])
	}
	if high < low {
		return 0, 0, fmt.Errorf("%q is the wrong way round; write %s-%s", s, m[2], m[1])
	}
	return low, high, nil
}

// connectionHeaders belong to the connection, or say how the request is framed.
var connectionHeaders = []string{
	"connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

// HealthHeaderName checks the name of a header that a health check sends.
func HealthHeaderName(s string) error {
	switch {
	case !tokenPattern.MatchString(s):
		return fmt.Errorf("%q is not the name of a header; write for example Host or X-Probe", s)
	case slices.Contains(connectionHeaders, strings.ToLower(s)):
		return fmt.Errorf("%q belongs to the connection, which wedsyncd makes as it has to; leave it out", s)
	}
	return nil
}

// HealthHeaderValue checks the value of a header that a health check sends. It
// is not repeated in errors: it may be a token.
func HealthHeaderValue(s string) error {
	switch {
	case len(s) > MaxHealthHeaderValue:
		return fmt.Errorf("is %d bytes long; at most %d are allowed", len(s), MaxHealthHeaderValue)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return errors.New("has control characters; write one line of text")
	case strings.TrimSpace(s) != s:
		return errors.New("begins or ends with white space; take it away")
	}
	return nil
}

// hostHeader checks the value of a Host header: a host, with or without a port.
func hostHeader(s string) error {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.Atoi(port); err != nil || Port(n) != nil {
			return fmt.Errorf("has the port %q; write for example shop.example.com:8080", port)
		}
		host = h
	}
	if !domainPattern.MatchString(host) && net.ParseIP(strings.Trim(host, "[]")) == nil || len(host) > 253 {
		return errors.New("is not a host; write for example shop.example.com")
	}
	return nil
}

// Faults checks every field of a health check and the rules between them, with
// the container's ports. Bounds of whole numbers are left to those who read them.
func (h HealthCheck) Faults(ports []int) []Fault {
	var faults []Fault
	refuse := func(field string, err error) {
		if err != nil {
			faults = append(faults, Fault{Field: field, Err: err})
		}
	}
	switch h.Kind() {
	case HealthHTTP:
		h.checkRequest(refuse)
	case HealthCommand:
		h.checkCommand(refuse)
	case HealthTCP, HealthImage:
	default:
		refuse("type", fmt.Errorf("%q is not a type of health check; use http, tcp, command or image", h.Type))
		return faults
	}
	h.checkForeign(refuse)
	if h.NeedsPort() && h.Port == 0 && len(ports) == 0 {
		refuse("port", errors.New("is needed: give it, or list the container's ports in network_config.ports"))
	}
	if h.Timeout > h.Interval {
		refuse("timeout", fmt.Errorf("of %d s is longer than the interval of %d s; use 1 to %d", h.Timeout, h.Interval, h.Interval))
	}
	return faults
}

// checkRequest checks what an HTTP check sends and expects.
func (h HealthCheck) checkRequest(refuse func(string, error)) {
	if h.Endpoint == "" {
		refuse("endpoint", errors.New("is needed by a check of type http: give a path such as /health, or set type to tcp, command or image"))
	} else {
		refuse("endpoint", HTTPPath(h.Endpoint))
	}
	if n := len(h.ExpectedStatus); n > MaxExpectedStatus {
		refuse("expected_status", fmt.Errorf("has %d entries; at most %d are allowed", n, MaxExpectedStatus))
	}
	for k, s := range h.ExpectedStatus {
		_, _, err := StatusRange(s)
		refuse(fmt.Sprintf("expected_status[%d]", k), err)
	}
	if n := len(h.Headers); n > MaxHealthHeaders {
		refuse("headers", fmt.Errorf("has %d entries; at most %d are allowed", n, MaxHealthHeaders))
		return
	}
	seen := make(map[string]string, len(h.Headers))
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		folded := strings.ToLower(name)
		if other, ok := seen[folded]; ok {
			refuse("headers."+name, fmt.Errorf("is the same header as %s; give it once", other))
		}
		seen[folded] = name
		refuse("headers."+name, HealthHeaderName(name))
		err := HealthHeaderValue(h.Headers[name])
		if err == nil && folded == "host" {
			err = hostHeader(h.Headers[name])
		}
		refuse("headers."+name, err)
	}
}

// checkCommand checks what a check runs.
func (h HealthCheck) checkCommand(refuse func(string, error)) {
	switch n := len(h.Command); {
	case n == 0:
		refuse("command", errors.New(`is needed by a check of type command: list the program and its arguments, such as ["/app", "check"]`))
	case n > MaxHealthWords:
		refuse("command", fmt.Errorf("has %d words; at most %d are allowed", n, MaxHealthWords))
	case h.Command[0] == "":
		refuse("command[0]", errors.New("must not be empty; it is the program to run, such as /app"))
	}
	for k, word := range h.Command {
		field := fmt.Sprintf("command[%d]", k)
		switch {
		case len(word) > MaxHealthWord:
			refuse(field, fmt.Errorf("is %d bytes long; at most %d are allowed", len(word), MaxHealthWord))
		case strings.ContainsRune(word, 0):
			refuse(field, errors.New("has a zero byte, which no program can be given"))
		}
	}
}

// checkForeign refuses what another type of check would need, as it would be ignored.
func (h HealthCheck) checkForeign(refuse func(string, error)) {
	kind := h.Kind()
	for _, f := range []struct {
		field string
		given bool
		types []string
	}{
		{"endpoint", h.Endpoint != "", []string{HealthHTTP}},
		{"port", h.Port != 0, []string{HealthHTTP, HealthTCP}},
		{"expected_status", len(h.ExpectedStatus) > 0, []string{HealthHTTP}},
		{"headers", len(h.Headers) > 0, []string{HealthHTTP}},
		{"command", len(h.Command) > 0, []string{HealthCommand}},
	} {
		if f.given && !slices.Contains(f.types, kind) {
			refuse(f.field, fmt.Errorf("means nothing to a check of type %s; leave it out, or set type to %s", kind, strings.Join(f.types, " or ")))
		}
	}
}

// Verdict is how long the check may take, in seconds, until it has a verdict: to
// condemn what never passes, or to find well what passes from the end of its
// start period on.
func (h HealthCheck) Verdict() int {
	return h.StartPeriod + max(h.Interval*h.Fall(), min(h.Interval, quickestCheck)*h.Passes())
}
