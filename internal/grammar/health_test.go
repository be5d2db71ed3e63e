package grammar_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func TestHealthCheckFaults(t *testing.T) {
	type check = grammar.HealthCheck
	many := make(map[string]string)
	for n := range grammar.MaxHealthHeaders + 1 {
		many[fmt.Sprintf("X-Probe-%d", n)] = "1"
	}
	header := func(name, value string) check {
		return check{Endpoint: "/", Headers: map[string]string{name: value}}
	}
	tests := []struct {
		name    string
		check   check
		noPorts bool
		want    map[string]string // what the message has, by field
	}{
		{"an HTTP check without a type", check{Endpoint: "/health"}, false, nil},
		{"everything", check{Type: "http", Endpoint: "/health?full=1", Port: 8080, ExpectedStatus: []string{"200", "301-302"},
			Headers: map[string]string{"Host": "shop.example.com:8080", "Authorization": "Bearer abc"}, Rise: 2}, true, nil},
		{"tcp", check{Type: "tcp"}, false, nil},
		{"command", check{Type: "command", Command: []string{"/app", "", "-v"}}, true, nil},
		{"image", check{Type: "image"}, true, nil},
		{"an address as host", header("host", "[fd00::1]:8080"), false, nil},
		{"another type", check{Type: "grpc", Command: []string{"x"}}, false, map[string]string{"type": "use http, tcp, command or image"}},
		{"nothing", check{}, false, map[string]string{"endpoint": "/health"}},
		{"a relative path", check{Endpoint: "health"}, false, map[string]string{"endpoint": "slash"}},
		{"no port", check{Endpoint: "/"}, true, map[string]string{"port": "network_config.ports"}},
		{"tcp without a port", check{Type: "tcp"}, true, map[string]string{"port": "network_config.ports"}},
		{"tcp with what HTTP needs", check{Type: "tcp", Endpoint: "/", ExpectedStatus: []string{"x"}, Headers: map[string]string{"a b": ""}}, false,
			map[string]string{"endpoint": "set type to http", "expected_status": "set type to http", "headers": "set type to http"}},
		{"image with a port and a command", check{Type: "image", Port: 80, Command: []string{"x"}}, false,
			map[string]string{"port": "http or tcp", "command": "set type to command"}},
		{"a command without the type", check{Endpoint: "/", Command: []string{"x"}}, false, map[string]string{"command": "set type to command"}},
		{"command without one", check{Type: "command"}, false, map[string]string{"command": "list the program"}},
		{"command without a program", check{Type: "command", Command: []string{""}}, false, map[string]string{"command[0]": "program"}},
		{"command with bad words", check{Type: "command", Command: []string{"x", "a\x00b", strings.Repeat("a", grammar.MaxHealthWord+1)}}, false,
			map[string]string{"command[1]": "zero byte", "command[2]": "4096"}},
		{"command with too many words", check{Type: "command", Command: slices.Repeat([]string{"x"}, grammar.MaxHealthWords+1)}, false, map[string]string{"command": "at most 64"}},
		{"bad statuses", check{Endpoint: "/", ExpectedStatus: []string{"600", "20x", "300-200", "200-"}}, false, map[string]string{
			"expected_status[0]": "200-399", "expected_status[1]": "200-399", "expected_status[2]": "200-300", "expected_status[3]": "200-399"}},
		{"too many statuses", check{Endpoint: "/", ExpectedStatus: slices.Repeat([]string{"200"}, grammar.MaxExpectedStatus+1)}, false, map[string]string{"expected_status": "at most 16"}},
		{"too many headers", check{Endpoint: "/", Headers: many}, false, map[string]string{"headers": "at most 16"}},
		{"a bad header", header("a b", "1"), false, map[string]string{"headers.a b": `"a b"`}},
		{"a header of the connection", header("Content-Length", "1"), false, map[string]string{"headers.Content-Length": "leave it out"}},
		{"a header twice", check{Endpoint: "/", Headers: map[string]string{"X-A": "1", "x-a": "2"}}, false, map[string]string{"headers.x-a": "X-A"}},
		{"a header with two lines", header("X-A", "1\r\nX-B: 2"), false, map[string]string{"headers.X-A": "one line"}},
		{"a header with a space behind", header("X-A", "1 "), false, map[string]string{"headers.X-A": "white space"}},
		{"a long header", header("X-A", strings.Repeat("a", grammar.MaxHealthHeaderValue+1)), false, map[string]string{"headers.X-A": "1024"}},
		{"a bad host", header("Host", "http://shop.example.com/"), false, map[string]string{"headers.Host": "shop.example.com"}},
		{"a host with a bad port", header("Host", "shop.example.com:0"), false, map[string]string{"headers.Host": "port"}},
		{"a timeout beyond the interval", check{Endpoint: "/", Timeout: 31}, false, map[string]string{"timeout": "30 s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.check.Interval = 30; tt.check.Timeout == 0 {
				tt.check.Timeout = 10
			}
			ports := []int{8080}
			if tt.noPorts {
				ports = nil
			}
			got := make(map[string]string)
			for _, f := range tt.check.Faults(ports) {
				got[f.Field] = f.Err.Error()
			}
			if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(tt.want))) {
				t.Fatalf("faults %v, want at %v", got, tt.want)
			}
			for field, part := range tt.want {
				if !strings.Contains(got[field], part) {
					t.Errorf("%s %s; want %q in it", field, got[field], part)
				}
			}
		})
	}
}

func TestFitsHealthCheck(t *testing.T) {
	tests := []struct {
		name     string
		check    grammar.HealthCheck
		verdict  int
		contains string
	}{
		{"until it is condemned", grammar.HealthCheck{Interval: 30, Retries: 3, StartPeriod: 5}, 95, "interval 30 × retries 3"},
		{"until it is well", grammar.HealthCheck{Interval: 1, Retries: 1, Rise: 20, StartPeriod: 5}, 25, "rise 20"},
		{"the image's own", grammar.HealthCheck{Type: "image", Interval: 30, Retries: 3, Rise: 50}, 30, "interval 30 × retries 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := grammar.DefaultRollout(true)
			r.HealthyDeadline = tt.verdict + 1
			if err := r.FitsHealthCheck(tt.check); err != nil {
				t.Errorf("a deadline above %d s: %v", tt.verdict, err)
			}
			r.HealthyDeadline = tt.verdict
			if err := r.FitsHealthCheck(tt.check); err == nil || !strings.Contains(err.Error(), tt.contains) {
				t.Errorf("a deadline of %d s: %v, want %q", tt.verdict, err, tt.contains)
			}
		})
	}
}

// FuzzStatusRange asks that what is accepted is in order and within what HTTP has.
func FuzzStatusRange(f *testing.F) {
	seed(f, "200", "200-399", "100-599", "600", "399-200")
	f.Fuzz(func(t *testing.T, s string) {
		low, high, err := grammar.StatusRange(s)
		explained(t, s, err)
		if err == nil && (low < 100 || high > 599 || low > high) {
			t.Errorf("%q is %d to %d", s, low, high)
		}
	})
}

// FuzzHealthHeader asks that what is accepted fits into one line of a request.
func FuzzHealthHeader(f *testing.F) {
	seed(f, "Host", "X-Probe", "Content-Length", "Bearer abc", "tab\there")
	f.Fuzz(func(t *testing.T, s string) {
		refuses(t, s, []parser{{"HealthHeaderName", grammar.HealthHeaderName(s), 128, " \t\r\n\x00:"}})
		err := grammar.HealthHeaderValue(s)
		explained(t, s, err)
		if err == nil && (len(s) > grammar.MaxHealthHeaderValue || strings.ContainsAny(s, "\r\n\x00")) {
			t.Errorf("a value of %q is accepted", s)
		}
	})
}
