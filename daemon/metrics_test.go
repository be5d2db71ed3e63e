package daemon_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// startMeasuring starts a daemon that measures each second.
func startMeasuring(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithEnvironment("WEDSYNC_METRICS_INTERVAL=1s"))}
	f.client = f.Client(t)
	return f
}

// TestMeasuring reads what two replicas use, in the API, in their rows and at /metrics;
// what is posted comes back; and the series of one that is gone go.
func TestMeasuring(t *testing.T) {
	f := startMeasuring(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 2)
	list := f.instances(t, d.ID)
	one := list[0]
	posted := api.PostedMetric{MetricType: api.MetricCustom, MetricName: "queue", MetricValue: 7, MetricUnit: "jobs"}
	if _, err := f.client.PostMetrics(t.Context(), one.ID, posted, api.PostedMetric{MetricType: api.MetricCustom, MetricName: "other"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all of it is measured", func() bool {
		f.request(t, "/health") // through the balancer
		m, err := f.client.Metrics(t.Context(), one.ID, api.MetricsOptions{From: time.Now().Add(-5 * time.Minute), Step: 1, MetricName: "queue"})
		if err != nil {
			t.Fatal(err)
		}
		s := m.Metrics
		return len(s.CPU) > 0 && len(s.Memory) > 0 && s.Memory[0].Value > 0 && s.MemoryPercent[0].Value < 100 && len(s.Disk) > 0 && len(s.Network) > 0 && s.Network[len(s.Network)-1].RxBytes > 0 &&
			len(s.Restarts) > 0 && len(s.Custom) == 1 && s.Custom[0].Values[0].Value == 7 && len(s.ResponseTime) > 0 &&
			slices.ContainsFunc(s.RequestRate, func(p api.MetricPoint) bool { return p.Value > 0 })
	})
	eventually(t, "the instance shows what it uses", func() bool {
		i, err := f.client.GetInstance(t.Context(), one.ID)
		if err != nil {
			t.Fatal(err)
		}
		return i.ResourceUsage.MemoryMB > 0
	})
	eventually(t, "its series are there", func() bool {
		return slices.ContainsFunc(f.scrape(t)["wedsync_instance_cpu_percent"], func(s labels) bool { return s["instance"] == one.ID && s["environment"] == "staging" })
	})
	f.deploy(t, d.ID, 1)
	eventually(t, "the series of the removed one are gone", func() bool { return len(f.scrape(t)["wedsync_instance_restarts_total"]) == 1 })
	var left []api.Instance
	eventually(t, "one is left", func() bool { left = f.instances(t, d.ID); return len(left) == 1 })
	for _, i := range list {
		if i.ID == left[0].ID {
			continue
		}
		if _, err := f.client.PostMetrics(t.Context(), i.ID, posted); !client.IsConflict(err) {
			t.Errorf("metrics of an instance that is terminated: %v, want a conflict", err)
		}
	}
}

// labels are those of one series.
type labels map[string]string

// scrape reads /metrics as Prometheus does: the labels of all series by their names.
func (f *fixture) scrape(t *testing.T) map[string][]labels {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.Endpoint+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+f.Token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	series := make(map[string][]labels)
	for name, family := range families {
		for _, m := range family.GetMetric() {
			l := labels{}
			for _, pair := range m.GetLabel() {
				l[pair.GetName()] = pair.GetValue()
			}
			series[name] = append(series[name], l)
		}
	}
	return series
}

// request asks the service through the balancer.
func (f *fixture) request(t *testing.T, path string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+f.Traffic+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "api.staging.localhost"
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}

// dashboard is what the test reads of the Grafana dashboard.
type dashboard struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
}

var (
	seriesPattern = regexp.MustCompile(`(wedsync_[a-z_]+)(?:\{([^}]*)\})?`)
	labelPattern  = regexp.MustCompile(`([a-z]+)\s*=~?`)
	byPattern     = regexp.MustCompile(`by \(([^)]*)\)`)
)

// TestDashboard: each series that the Grafana dashboard asks for is one that a daemon
// with a service under load shows, with the labels that it is selected and grouped by.
func TestDashboard(t *testing.T) {
	file, err := os.ReadFile("../examples/grafana/wedsync.json")
	if err != nil {
		t.Fatal(err)
	}
	var board dashboard
	if err := json.Unmarshal(file, &board); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]map[string]bool{} // labels by series
	expressions := 0
	ask := func(expression string) {
		expressions++
		found := seriesPattern.FindAllStringSubmatch(expression, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for nothing of ours", expression)
		}
		for _, m := range found {
			if wanted[m[1]] == nil {
				wanted[m[1]] = map[string]bool{}
			}
			for _, l := range labelPattern.FindAllStringSubmatch(m[2], -1) {
				wanted[m[1]][l[1]] = true
			}
			for _, by := range byPattern.FindAllStringSubmatch(expression, -1) {
				for l := range strings.SplitSeq(by[1], ",") {
					wanted[m[1]][strings.TrimSpace(l)] = true
				}
			}
		}
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			ask(target.Expr)
		}
	}
	for _, v := range board.Templating.List {
		if v.Definition != "" {
			ask(v.Definition)
		}
	}
	if expressions < 20 || len(wanted) < 15 {
		t.Fatalf("read %d expressions with %d series of the dashboard", expressions, len(wanted))
	}

	f := startMeasuring(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 1)
	eventually(t, "a request is answered", func() bool {
		f.request(t, "/health")
		return len(f.scrape(t)["wedsync_balancer_answers_total"]) > 0
	})
	missing := ""
	defer func() {
		if t.Failed() {
			t.Logf("there is no %s", missing)
		}
	}()
	eventually(t, "all series are there that the dashboard asks for", func() bool {
		shown := f.scrape(t)
		for name, names := range wanted {
			has := slices.ContainsFunc(shown[name], func(s labels) bool {
				for l := range names {
					if s[l] == "" {
						return false
					}
				}
				return true
			})
			if !has {
				missing = fmt.Sprintf("%s with labels %v among %v", name, slices.Sorted(maps.Keys(names)), shown[name])
				return false
			}
		}
		return true
	})
}
