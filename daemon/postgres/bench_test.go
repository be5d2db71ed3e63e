package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// BenchmarkListInstances reads pages of 100 of 10,000 instances under row level
// security, and reports the median and the 99th percentile.
func BenchmarkListInstances(b *testing.B) {
	s, db := open(b)
	d := deployed(b, s, createDefinition(b, s, "api"), "staging")
	manyInstances(b, connect(b, db.OwnerURL), d, manyRows)
	first, err := s.ListInstances(system(b), fleet.InstanceFilter{}, fleet.Page{Limit: 1000})
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]struct {
		environments []string
		filter       fleet.InstanceFilter
		cursor       string
	}{
		"everywhere":     {environments: []string{"*"}},
		"later page":     {environments: []string{"*"}, cursor: first.NextCursor},
		"one may see":    {environments: []string{"staging"}},
		"one asked for":  {environments: []string{"*"}, filter: fleet.InstanceFilter{Environment: "staging"}},
		"of a service":   {environments: []string{"*"}, filter: fleet.InstanceFilter{ServiceName: "api"}},
		"none to be had": {environments: []string{"production"}},
	} {
		b.Run(name, func(b *testing.B) {
			ctx := as(b, s, developer, c.environments...)
			var times []time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := s.ListInstances(ctx, c.filter, fleet.Page{Limit: 100, Cursor: c.cursor}); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
