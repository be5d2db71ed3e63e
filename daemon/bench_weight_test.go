package daemon_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// BenchmarkWeight measures how soon a weight counts: from the answer to the call
// that sets it until no request gets to the instance any more, or one does again.
func BenchmarkWeight(b *testing.B) {
	f := start(b)
	d := f.define(b, "api", "v1")
	f.deploy(b, d.ID, 1)
	instance := f.instances(b, d.ID)[0]
	serves := func() bool {
		err := askOnce(http.DefaultTransport, http.MethodGet, "http://"+f.Traffic+"/version", "api.staging.localhost", "")
		return err == nil
	}
	eventually(b, "the balancer leads to the service", serves)
	took := make([]time.Duration, 0, b.N)
	for k := range b.N {
		weight := (k % 2) * 100
		if _, err := f.client.SetWeight(b.Context(), "api", instance.ID, api.WeightRequest{Weight: weight}); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		for serves() != (weight > 0) {
			if time.Since(began) > patience {
				b.Fatalf("weight %d does not count", weight)
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/worst")
}
