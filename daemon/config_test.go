package daemon_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon"
)

// good is a configuration without a fault.
func good(dir string) daemon.Config {
	return daemon.Config{
		Listen: "127.0.0.1:0", DataDir: dir, Environments: []string{"staging"}, HostPorts: [2]int{20000, 29999}, Resync: time.Minute,
		Metrics: daemon.DefaultMetrics(), Traffic: daemon.Traffic{Listen: "127.0.0.1:0", Domain: "localhost"}, Logger: slog.New(slog.DiscardHandler),
	}
}

func TestChecksTraffic(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*daemon.Traffic)
		want   string // of the error; empty for none
	}{
		"no TLS": {func(*daemon.Traffic) {}, ""},
		"given certificates": {func(c *daemon.Traffic) {
			c.TLS = daemon.TrafficTLS{Listen: ":443", Certificates: "/etc/tls", Redirect: true}
		}, ""},
		"ACME":                     {func(c *daemon.Traffic) { c.TLS = daemon.TrafficTLS{Listen: ":443", ACME: daemon.ACME{Enabled: true}} }, ""},
		"certificates without TLS": {func(c *daemon.Traffic) { c.TLS.Certificates = "/etc/tls" }, "--traffic-tls-listen"},
		"redirect without TLS":     {func(c *daemon.Traffic) { c.TLS.Redirect = true }, "--traffic-tls-listen"},
		"ACME without TLS":         {func(c *daemon.Traffic) { c.TLS.ACME.Enabled = true }, "--traffic-tls-listen"},
		"TLS without certificates": {func(c *daemon.Traffic) { c.TLS.Listen = ":443" }, "--traffic-tls-certificates"},
		"redirect to no port": {func(c *daemon.Traffic) {
			c.TLS = daemon.TrafficTLS{Listen: ":443", Certificates: "x", RedirectPort: 65536}
		}, "65536"},
		"authority without TLS":       {func(c *daemon.Traffic) { c.TLS = acme(daemon.ACME{Directory: "http://ca.example.com/"}) }, "https://"},
		"authority that is no URL":    {func(c *daemon.Traffic) { c.TLS = acme(daemon.ACME{Directory: "ca.example.com"}) }, "https://"},
		"no mail address":             {func(c *daemon.Traffic) { c.TLS = acme(daemon.ACME{Email: "ops"}) }, "ops@example.com"},
		"a mail address with a name":  {func(c *daemon.Traffic) { c.TLS = acme(daemon.ACME{Email: "Ops <ops@example.com>"}) }, "ops@example.com"},
		"more than every request":     {func(c *daemon.Traffic) { c.AccessLog = daemon.AccessLog{Path: "-", Sample: 1.5} }, "between 0 and 1"},
		"less than no request":        {func(c *daemon.Traffic) { c.AccessLog = daemon.AccessLog{Path: "-", Sample: -1} }, "between 0 and 1"},
		"a tenth of the requests":     {func(c *daemon.Traffic) { c.AccessLog = daemon.AccessLog{Path: "-", Sample: 0.1} }, ""},
		"no access log and no sample": {func(c *daemon.Traffic) { c.AccessLog = daemon.AccessLog{Sample: 7} }, ""},
	} {
		c := good(t.TempDir())
		test.change(&c.Traffic)
		err := c.Check()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestChecksMetrics(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*daemon.Metrics)
		want   string // of the error; empty for none
	}{
		"as it is":                       {func(*daemon.Metrics) {}, ""},
		"each second":                    {func(m *daemon.Metrics) { m.Interval = time.Second }, ""},
		"more often":                     {func(m *daemon.Metrics) { m.Interval = 999 * time.Millisecond }, "below one second"},
		"hardly ever":                    {func(m *daemon.Metrics) { m.Interval = time.Hour }, "above 5m"},
		"less than a day":                {func(m *daemon.Metrics) { m.Retention.Samples = time.Hour }, "below 24h"},
		"samples longer than roll-ups":   {func(m *daemon.Metrics) { m.Retention.Samples = 1000 * time.Hour }, "below that of samples"},
		"coarse roll-ups not as long":    {func(m *daemon.Metrics) { m.Retention.Rollups1h = 30 * time.Hour }, "below that of roll-ups to five minutes"},
		"no metrics configured anywhere": {func(m *daemon.Metrics) { *m = daemon.Metrics{} }, "below one second"},
	} {
		c := good(t.TempDir())
		test.change(&c.Metrics)
		err := c.Check()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		}
	}
}

func acme(a daemon.ACME) daemon.TrafficTLS {
	a.Enabled = true
	return daemon.TrafficTLS{Listen: ":443", ACME: a}
}

func TestNamesTheAddressThatIsTaken(t *testing.T) {
	c := good(t.TempDir())
	c.Traffic.TLS = daemon.TrafficTLS{Listen: "256.0.0.1:443", Certificates: filepath.Join(os.TempDir(), "x")}
	if _, err := daemon.New(t.Context(), c); err == nil || !strings.Contains(err.Error(), "--traffic-tls-listen") {
		t.Errorf("%v, want an error that names the flag", err)
	}
}
