package health

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// at is a target at an address.
func at(t *testing.T, address net.Addr, check fleet.HealthCheck) fleet.HealthTarget {
	t.Helper()
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	check.Interval, check.Timeout, check.Retries = 5, 5, 1
	return fleet.HealthTarget{InstanceID: "i", ContainerID: "c", Address: host, Port: number, Check: check}
}

func TestHTTPCheck(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.URL.Query().Get("status"))
		if err != nil {
			t.Error(err)
		}
		if want := r.URL.Query().Get("host"); want != "" && r.Host != want {
			status = http.StatusMisdirectedRequest
		}
		if want := r.URL.Query().Get("probe"); r.Header.Get("X-Probe") != want {
			status = http.StatusForbidden
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	tests := []struct {
		name     string
		endpoint string
		expected []string
		headers  map[string]string
		want     fleet.Health
	}{
		{"a good status", "/?status=204", nil, nil, healthy},
		{"a redirect, which is not followed", "/?status=302", nil, nil, healthy},
		{"a fault of ours", "/?status=400", nil, nil, unhealthy},
		{"a fault of the service", "/?status=500", nil, nil, unhealthy},
		{"the expected status", "/?status=401", []string{"401"}, nil, healthy},
		{"one of the expected ranges", "/?status=429", []string{"200-299", "429-430"}, nil, healthy},
		{"the end of a range", "/?status=299", []string{"200-299"}, nil, healthy},
		{"a status that is not expected", "/?status=200", []string{"204"}, nil, unhealthy},
		{"a host", "/?status=200&host=shop.example.com", nil, map[string]string{"host": "shop.example.com"}, healthy},
		{"another header", "/?status=200&probe=yes", nil, map[string]string{"X-Probe": "yes"}, healthy},
		{"without the header", "/?status=200&probe=yes", nil, nil, unhealthy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := at(t, server.Listener.Addr(), fleet.HealthCheck{Endpoint: tt.endpoint, ExpectedStatus: tt.expected, Headers: tt.headers})
			got := newProber(nil).probe(t.Context(), target)
			if got.Status != tt.want || !strings.Contains(got.Details, "GET "+tt.endpoint) {
				t.Errorf("%s: %s, want %s", got.Status, got.Details, tt.want)
			}
			for _, value := range tt.headers {
				if strings.Contains(strings.TrimPrefix(got.Details, "GET "+tt.endpoint), value) {
					t.Errorf("the details tell a header: %s", got.Details)
				}
			}
		})
	}
}

func TestTCPCheck(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := at(t, listener.Addr(), fleet.HealthCheck{Type: grammar.HealthTCP})
	if got := newProber(nil).probe(t.Context(), target); got.Status != healthy || !strings.Contains(got.Details, "accepted") {
		t.Errorf("a port that listens: %+v", got)
	}
	_ = listener.Close()
	if got := newProber(nil).probe(t.Context(), target); got.Status != unhealthy || !strings.Contains(got.Details, "connection refused") {
		t.Errorf("a port that does not: %+v", got)
	}
}

// TestOwnFaultIsNoVerdict: a daemon that has run out of something condemns nobody.
func TestOwnFaultIsNoVerdict(t *testing.T) {
	for _, err := range []error{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		wrapped := &net.OpError{Op: "dial", Err: err}
		if got := unanswered("connection to port 80", wrapped, 1); got.health != unknown {
			t.Errorf("%v: %s, %s", err, got.health, got.details)
		}
	}
	if got := unanswered("connection to port 80", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 1); got.health != unhealthy {
		t.Errorf("refused: %s", got.health)
	}
}

// TestHeldUpIsNoVerdict: a daemon that stood still for longer than the timeout condemns nobody.
func TestHeldUpIsNoVerdict(t *testing.T) {
	for _, tt := range []struct {
		found outcome
		late  bool
		want  fleet.Health
	}{
		{failed("no answer within 1 s"), true, unknown},
		{failed("no answer within 1 s"), false, unhealthy},
		{passed("status 200"), true, healthy},
	} {
		if got := tt.found.unless(tt.late, 3*s); got.health != tt.want || !strings.Contains(got.details, tt.found.details) {
			t.Errorf("%s, late %v: %s, %s; want %s", tt.found.health, tt.late, got.health, got.details, tt.want)
		}
	}
}

// pretence is an engine that says what it is told to.
type pretence struct {
	result fleet.CommandResult
	image  fleet.ImageHealth
	err    error
}

func (p pretence) RunCommand(context.Context, string, []string) (fleet.CommandResult, error) {
	return p.result, p.err
}

func (p pretence) ImageHealth(context.Context, string) (fleet.ImageHealth, error) {
	return p.image, p.err
}

func TestChecksInsideTheContainer(t *testing.T) {
	down := errors.New("the engine does not answer")
	long := strings.Repeat("é", maxDetails)
	tests := []struct {
		name    string
		kind    string
		engine  pretence
		want    fleet.Health
		details string
	}{
		{"command passes", grammar.HealthCommand, pretence{result: fleet.CommandResult{Output: "all is well\n"}}, healthy, "command /check: exit code 0: all is well"},
		{"command fails", grammar.HealthCommand, pretence{result: fleet.CommandResult{ExitCode: 3}}, unhealthy, "command /check: exit code 3"},
		{"command is slow", grammar.HealthCommand, pretence{result: fleet.CommandResult{TimedOut: true}}, unhealthy, "has not ended within 5 s"},
		{"command of before is slow", grammar.HealthCommand, pretence{result: fleet.CommandResult{Busy: true}}, unhealthy, "has not ended yet"},
		{"command is missing", grammar.HealthCommand, pretence{result: fleet.CommandResult{Missing: true, Output: "no such file"}}, unhealthy, "cannot be run in this container: no such file"},
		{"command cannot be asked for", grammar.HealthCommand, pretence{err: down}, unknown, "the engine does not answer"},
		{"command says much", grammar.HealthCommand, pretence{result: fleet.CommandResult{Output: long}}, healthy, "…"},
		{"command says what is no text", grammar.HealthCommand, pretence{result: fleet.CommandResult{Output: "a\xff\x00b"}}, healthy, "a\uFFFD\uFFFDb"},
		{"image is healthy", grammar.HealthImage, pretence{image: fleet.ImageHealth{Health: healthy, Output: "ok"}}, healthy, "HEALTHCHECK of the image: healthy: ok"},
		{"image is unhealthy", grammar.HealthImage, pretence{image: fleet.ImageHealth{Health: unhealthy}}, unhealthy, "HEALTHCHECK of the image: unhealthy"},
		{"image is starting", grammar.HealthImage, pretence{image: fleet.ImageHealth{Health: unknown}}, unknown, "starting"},
		{"image has none", grammar.HealthImage, pretence{image: fleet.ImageHealth{Missing: true}}, unhealthy, "the image has no HEALTHCHECK"},
		{"image cannot be asked for", grammar.HealthImage, pretence{err: down}, unknown, "the engine does not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := fleet.HealthTarget{ContainerID: "c", Check: fleet.HealthCheck{Type: tt.kind, Command: []string{"/check"}, Timeout: 5}}
			got := newProber(tt.engine).probe(t.Context(), target)
			if got.Status != tt.want || !strings.Contains(got.Details, tt.details) {
				t.Errorf("%s: %s; want %s, %s", got.Status, got.Details, tt.want, tt.details)
			}
			if len(got.Details) > maxDetails || !utf8.ValidString(got.Details) || strings.Contains(got.Details, "\x00") {
				t.Errorf("%d bytes of details: %q", len(got.Details), got.Details)
			}
		})
	}
}
