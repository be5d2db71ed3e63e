package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// fill adds instances of many definitions in all environments.
func (w *realWorld) fill(b *testing.B, total int) {
	b.Helper()
	ctx := fleet.AsSystem(b.Context())
	seeded := w.rows(b)
	last, err := w.store.Deployment(ctx, seeded.deployment)
	if err != nil {
		b.Fatal(err)
	}
	const batch = 1000
	for done := 0; done < total; done += batch {
		environment := environments[done/batch%len(environments)]
		last.ID, last.Environment = "", environment
		d, err := w.store.CreateDeployment(ctx, last)
		if err != nil {
			b.Fatal(err)
		}
		instances := make([]fleet.Instance, batch)
		for i := range instances {
			id := newID()
			instances[i] = fleet.Instance{ID: id, DefinitionID: d.DefinitionID, DeploymentID: d.ID, Environment: environment,
				Name: "i-" + id, ImageTag: "v1", ImageDigest: d.ImageDigest, Replica: i + 1,
				Current: fleet.StatusPending, Desired: fleet.StatusRunning, Health: fleet.HealthUnknown}
		}
		if _, err := w.store.AddInstances(ctx, instances); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListInstances10k asks for pages of instances over HTTP, with 10,000
// rows in the table and the policies of a developer's token on, and reports how
// long an answer takes from the request to its last byte.
func BenchmarkListInstances10k(b *testing.B) {
	const requests = 500 // of one iteration, enough for a percentile
	w := newRealWorld(b)
	w.fill(b, 10_000)
	token := w.token(b, fleet.RoleDeveloper, environments...)
	server := httptest.NewServer(w.handler)
	b.Cleanup(server.Close)

	for _, query := range []string{"limit=100", "limit=100&environment=staging", "limit=100&status=pending", "limit=1000"} {
		b.Run(query, func(b *testing.B) {
			var took []time.Duration
			cursor := ""
			for b.Loop() {
				for range requests { // page after page, from the start again after the last
					t, page := ask(b, server.URL+instances+"?"+query+"&cursor="+cursor, token)
					if page.TotalCount < 3_000 || len(page.Instances) == 0 {
						b.Fatalf("%d of %d instances", len(page.Instances), page.TotalCount)
					}
					took, cursor = append(took, t), page.NextCursor
				}
			}
			slices.Sort(took)
			b.ReportMetric(milliseconds(took, 50), "p50-ms")
			b.ReportMetric(milliseconds(took, 99), "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// ask times an answer, but not the client's work of decoding it.
func ask(b *testing.B, url, token string) (time.Duration, api.InstanceList) {
	b.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	began := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	took := time.Since(began)
	if err != nil {
		b.Fatal(err)
	}
	var page api.InstanceList
	if err := json.Unmarshal(body, &page); err != nil || answer.StatusCode != http.StatusOK {
		b.Fatal(fmt.Errorf("%s: %s, %w", answer.Status, body, err))
	}
	return took, page
}

func milliseconds(sorted []time.Duration, percentile int) float64 {
	return float64(sorted[(len(sorted)-1)*percentile/100].Microseconds()) / 1000
}
