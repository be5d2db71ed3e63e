package httpapi

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// pathMetrics is where Prometheus reads the daemon's metrics.
const pathMetrics = "/metrics"

// labelEnvironment is the label of series that belong to one environment.
const labelEnvironment = "environment"

// serveMetrics serves what Config.Metrics gathers, to whoever has a token: of
// series with an environment only those that the token covers.
func (s *server) serveMetrics() {
	if s.Metrics == nil {
		return
	}
	s.mux.HandleFunc("GET "+pathMetrics, s.admitting("metrics", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, _ := fleet.CallFrom(r.Context())
		promhttp.HandlerFor(visible{s.Metrics, call.Principal}, promhttp.HandlerOpts{
			ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelError),
		}).ServeHTTP(w, r)
	})))
}

// visible gathers what a principal may see.
type visible struct {
	all       prometheus.Gatherer
	principal fleet.Principal
}

// Gather implements prometheus.Gatherer.
func (v visible) Gather() ([]*dto.MetricFamily, error) {
	families, err := v.all.Gather()
	shown := families[:0]
	for _, f := range families {
		metrics := f.Metric[:0]
		for _, m := range f.GetMetric() {
			if v.shows(m) {
				metrics = append(metrics, m)
			}
		}
		if f.Metric = metrics; len(metrics) > 0 {
			shown = append(shown, f)
		}
	}
	return shown, err
}

func (v visible) shows(m *dto.Metric) bool {
	for _, l := range m.GetLabel() {
		if l.GetName() == labelEnvironment {
			return v.principal.MaySee(l.GetValue())
		}
	}
	return true
}
