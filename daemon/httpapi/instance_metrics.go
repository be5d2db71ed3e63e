package httpapi

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// defaultMetricRange is the span of time without one being given.
	defaultMetricRange = time.Hour
	// maxMetricPoints bounds the steps of one answer, and goodMetricPoints is how many
	// there are at most where the step is chosen here.
	maxMetricPoints, goodMetricPoints = 1500, 360

	// maxMetricAge and fleet.MaxMetricLead bound the time of what is posted: what is
	// rolled up and decided on is of the present.
	maxMetricAge = time.Hour

	// maxMetricValue is what the mean of many can be computed of.
	maxMetricValue = 1e100

	maxMetricLabels     = 32
	maxMetricLabelKey   = 128
	maxMetricLabelValue = 256
)

// metricSteps are those that are chosen from.
var metricSteps = []time.Duration{
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour,
}

// longestStep is the longest that may be asked for, and the one for ranges that are
// too long for all others.
const longestStep = 24 * time.Hour

// Input types of the operations on metrics.
type (
	// MetricsInput selects metrics of an instance.
	MetricsInput struct {
		InstanceParams
		From       time.Time `query:"from" doc:"Beginning of the span of time; without it, an hour before its end." example:"2026-06-06T07:30:00Z"`
		To         time.Time `query:"to" doc:"End of the span of time; without it, now." example:"2026-06-06T08:30:00Z"`
		Step       int       `query:"step" doc:"Seconds between two points; without it, so many that there are a few hundred points. There are 1,500 at most." example:"60" minimum:"1" maximum:"86400"`
		MetricName string    `query:"metric_name" doc:"Of posted metrics only those of this name. What wedsyncd measures itself is in the answer anyway." example:"queue_length" minLength:"1" maxLength:"128"`
	}
	// PostMetricsInput is what somebody measured of an instance.
	PostMetricsInput struct {
		InstanceParams
		MutationParams
		Body api.PostMetricsRequest
	}
)

func (s *server) registerMetrics(a huma.API) {
	register(s, a, operation{
		id: "getInstanceMetrics", method: http.MethodGet, path: pathInstances + "/{instance_id}/metrics", tag: "instances",
		summary: "Read an instance's metrics",
		description: "What the instance used, as means by step. Steps of five minutes and their multiples, and whole hours, are read from roll-ups; what is older than samples are kept comes in these steps whatever was asked for. " +
			"Where many metrics were posted, theirs are longer; metric_name selects one.",
		status: http.StatusOK, success: "The metrics.",
		problems: []int{http.StatusNotFound},
	}, s.getInstanceMetrics)
	register(s, a, operation{
		id: "postInstanceMetrics", method: http.MethodPost, path: pathInstances + "/{instance_id}/metrics", tag: "instances",
		summary: "Post metrics of an instance",
		description: "Stores what somebody else measured of the instance, for scaling policies to go by: custom metrics by their name, and, in place of what is measured, cpu_percent of type cpu and memory_percent of type memory for as long as they are recent. " +
			"Of a name that was posted with several types, the newest counts. An instance that is terminated takes none.",
		status: http.StatusCreated, success: "The metrics are stored.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.postInstanceMetrics)

	// Put together from its fields, the example would be both a single metric and a list, and of long ago.
	a.OpenAPI().Paths[pathInstances+"/{instance_id}/metrics"].Post.RequestBody.Content["application/json"].Example = map[string]any{
		"metric_type": "cpu", "metric_name": "cpu_percent", "metric_value": 85, "metric_unit": "%",
	}
	checkBody(s, "postInstanceMetrics", func(f *faults, r api.PostMetricsRequest) { checkPostMetrics(f, r, time.Now()) })
}

func (s *server) getInstanceMetrics(ctx context.Context, in *MetricsInput) (*Answer[api.InstanceMetrics], error) {
	r, err := metricRange(in, time.Now())
	if err != nil {
		return nil, err
	}
	m, err := s.Store.Metrics(ctx, r)
	if err != nil {
		return nil, missing(err, "instance", in.InstanceID)
	}
	return &Answer[api.InstanceMetrics]{Body: instanceMetricsToAPI(r, m)}, nil
}

// metricRange fills in what was left out, and refuses what is too much.
func metricRange(in *MetricsInput, now time.Time) (fleet.MetricRange, error) {
	r := fleet.MetricRange{InstanceID: in.InstanceID, From: in.From.UTC(), To: in.To.UTC(), Step: time.Duration(in.Step) * time.Second, PostedName: in.MetricName}
	if in.To.IsZero() {
		r.To = now.UTC()
	}
	if in.From.IsZero() {
		r.From = r.To.Add(-defaultMetricRange)
	}
	if !r.From.Before(r.To) {
		return r, fleet.FieldErrorf(fleet.ErrInvalid, "query.from", "%s is not before the end, %s", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	}
	span := r.To.Sub(r.From)
	if r.Step == 0 {
		r.Step = longestStep
		for _, step := range slices.Backward(metricSteps) {
			if span/step <= goodMetricPoints {
				r.Step = step
			}
		}
	}
	if span/r.Step > maxMetricPoints {
		return r, fleet.FieldErrorf(fleet.ErrInvalid, "query.step", "gives more than %d points; %s", maxMetricPoints, stepAdvice(span))
	}
	return r, nil
}

func stepAdvice(span time.Duration) string {
	least := math.Ceil(span.Seconds() / maxMetricPoints)
	if least > longestStep.Seconds() {
		return "ask for a shorter span of time"
	}
	return fmt.Sprintf("use %.0f or more, or ask for a shorter span of time", least)
}

func (s *server) postInstanceMetrics(ctx context.Context, in *PostMetricsInput) (*Answer[api.PostMetricsResponse], error) {
	metrics := postedMetricsFromAPI(in.Body, time.Now())
	if err := s.Store.PostMetrics(ctx, in.InstanceID, metrics); err != nil {
		return nil, missing(err, "instance", in.InstanceID)
	}
	return &Answer[api.PostMetricsResponse]{Body: api.PostMetricsResponse{StoredCount: len(metrics)}}, nil
}

// single reports whether the request has any of the fields of one metric.
func single(r api.PostMetricsRequest) bool {
	return r.MetricType != "" || r.MetricName != "" || r.MetricValue != nil || r.MetricUnit != "" || r.Labels != nil || r.Timestamp != nil
}

func checkPostMetrics(f *faults, r api.PostMetricsRequest, now time.Time) {
	switch {
	case len(r.Metrics) == 0 && r.Metrics != nil && !single(r):
		f.add("body.metrics", "must not be empty")
	case r.Metrics != nil && single(r):
		f.add("body.metrics", "stands beside the fields of a single metric; give the one or the other")
	case r.Metrics != nil:
		for i, m := range r.Metrics {
			checkPostedMetric(f, at("body.metrics", i), m, now)
		}
	default:
		for field, given := range map[string]bool{"metric_type": r.MetricType != "", "metric_name": r.MetricName != "", "metric_value": r.MetricValue != nil} {
			if !given {
				f.add("body."+field, "is required, or a list in metrics")
			}
		}
		checkPostedMetric(f, "body", api.PostedMetric{MetricValue: valueOf(r.MetricValue), Labels: r.Labels, Timestamp: r.Timestamp}, now)
	}
}

func checkPostedMetric(f *faults, location string, m api.PostedMetric, now time.Time) {
	if v := m.MetricValue; math.Abs(v) > maxMetricValue {
		f.add(location+".metric_value", "%g is out of range; use -%g to %g", v, maxMetricValue, maxMetricValue)
	}
	if t := m.Timestamp; t != nil {
		switch {
		case t.After(now.Add(fleet.MaxMetricLead)):
			f.add(location+".timestamp", "%s is more than %s ahead; check the sender's clock", t.Format(time.RFC3339), fleet.MaxMetricLead)
		case t.Before(now.Add(-maxMetricAge)):
			f.add(location+".timestamp", "%s is more than an hour ago; post metrics when they are measured", t.Format(time.RFC3339))
		}
	}
	if len(m.Labels) > maxMetricLabels {
		f.add(location+".labels", "has %d entries; at most %d are allowed", len(m.Labels), maxMetricLabels)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		if n := utf8.RuneCountInString(name); n < 1 || n > maxMetricLabelKey {
			f.add(location+".labels", "has a name of %d characters; use 1 to %d", n, maxMetricLabelKey)
		}
		if n := utf8.RuneCountInString(m.Labels[name]); n > maxMetricLabelValue {
			f.add(location+".labels."+name, "is %d characters long; at most %d are allowed", n, maxMetricLabelValue)
		}
	}
}
