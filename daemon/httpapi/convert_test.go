package httpapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// filler sets every field of a value to something of its own, so that a field
// that is dropped or crossed with another one shows.
type filler struct{ n int }

func fillNew[T any]() T {
	var v T
	f := &filler{}
	f.fill(reflect.ValueOf(&v).Elem())
	return v
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", f.n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Float64:
		v.SetFloat(float64(f.n) + 0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf(fmt.Sprintf("any-%d", f.n)))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(f.n)*1000, 0).UTC()))
			return
		}
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	default:
		panic("cannot fill a " + v.Kind().String())
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %s\nwant %s", what, text(t, got), text(t, want))
	}
}

// text shows what is behind pointers too.
func text(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMetricConversion: no field of a metric is dropped or crossed.
func TestMetricConversion(t *testing.T) {
	r := fillNew[api.PostMetricsRequest]()
	got := postedMetricsFromAPI(r, time.Time{})
	for k, m := range r.Metrics {
		equal(t, "posted metric", got[k], fleet.PostedMetric{Type: m.MetricType, Name: m.MetricName, Value: m.MetricValue, Unit: m.MetricUnit, Labels: m.Labels, At: *m.Timestamp})
	}
	r.Metrics = nil
	equal(t, "single metric", postedMetricsFromAPI(r, time.Time{}),
		[]fleet.PostedMetric{{Type: r.MetricType, Name: r.MetricName, Value: *r.MetricValue, Unit: r.MetricUnit, Labels: r.Labels, At: *r.Timestamp}})

	asked, m := fillNew[fleet.MetricRange](), fillNew[fleet.InstanceMetrics]()
	asked.Step = 90 * time.Second
	a, p, s := instanceMetricsToAPI(asked, m), m.Points[1], m.Posted[1]
	for name, point := range map[string]struct {
		got  []api.MetricPoint
		want float64
		unit string
	}{
		"cpu": {a.Metrics.CPU, *p.CPUPercent, "%"}, "cpu_cores": {a.Metrics.CPUCores, *p.CPUCores, "cores"}, "memory": {a.Metrics.Memory, *p.MemoryMB, "mb"},
		"memory_percent": {a.Metrics.MemoryPercent, *p.MemoryPercent, "%"}, "disk": {a.Metrics.Disk, *p.DiskMB, "mb"}, "restarts": {a.Metrics.Restarts, float64(*p.Restarts), "restarts"},
		"request_rate": {a.Metrics.RequestRate, *p.RequestRate, "requests/sec"}, "response_time": {a.Metrics.ResponseTime, *p.ResponseTime, "ms"},
	} {
		equal(t, name, point.got[1], api.MetricPoint{Timestamp: p.At, Value: point.want, Unit: point.unit})
	}
	equal(t, "network", a.Metrics.Network[1], api.NetworkPoint{Timestamp: p.At, RxBytes: *p.NetworkRx, TxBytes: *p.NetworkTx})
	equal(t, "custom", a.Metrics.Custom[1].Values[1], api.MetricPoint{Timestamp: s.Points[1].At, Value: s.Points[1].Value, Unit: s.Unit})
	equal(t, "range", a.TimeRange, api.TimeRange{From: asked.From, To: asked.To})
	if a.Step != 90 || a.Metrics.Custom[1].MetricType != s.Type || a.Metrics.Custom[1].MetricName != s.Name {
		t.Errorf("got step %d, custom %+v", a.Step, a.Metrics.Custom[1])
	}
	empty := instanceMetricsToAPI(asked, fleet.InstanceMetrics{Points: []fleet.MetricPoint{{}}})
	for name, list := range map[string]int{"cpu": len(empty.Metrics.CPU), "network": len(empty.Metrics.Network), "restarts": len(empty.Metrics.Restarts)} {
		if list != 0 {
			t.Errorf("%s has %d points of what is not known", name, list)
		}
	}
}

func TestMetricRange(t *testing.T) {
	now := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		in   MetricsInput
		from time.Time
		step time.Duration
	}{
		"nothing given":   {MetricsInput{}, now.Add(-time.Hour), 10 * time.Second},
		"a day":           {MetricsInput{From: now.Add(-24 * time.Hour)}, now.Add(-24 * time.Hour), 5 * time.Minute},
		"a day by minute": {MetricsInput{From: now.Add(-24 * time.Hour), Step: 60}, now.Add(-24 * time.Hour), time.Minute},
		"a month":         {MetricsInput{From: now.AddDate(0, -1, 0)}, now.AddDate(0, -1, 0), 3 * time.Hour},
		"three years":     {MetricsInput{From: now.AddDate(-3, 0, 0)}, now.AddDate(-3, 0, 0), 24 * time.Hour},
		"an earlier hour": {MetricsInput{To: now.Add(-time.Hour)}, now.Add(-2 * time.Hour), 10 * time.Second},
	} {
		r, err := metricRange(&c.in, now)
		if err != nil || !r.From.Equal(c.from) || r.Step != c.step {
			t.Errorf("%s: %+v, %v; want from %v by %s", name, r, err, c.from, c.step)
		}
	}
	if r, err := metricRange(&MetricsInput{MetricName: "queue"}, now); err != nil || r.PostedName != "queue" {
		t.Errorf("by name: %+v, %v", r, err)
	}
	_, err := metricRange(&MetricsInput{From: now.Add(-48 * time.Hour), Step: 60}, now)
	if err == nil || !strings.Contains(err.Error(), "use 116 or more") {
		t.Errorf("two days by the minute: %v; want to be told what would be right", err)
	}
}

// TestRoundTrips takes values that clients write to the domain and back.
func TestRoundTrips(t *testing.T) {
	t.Run("definition", func(t *testing.T) {
		r := fillNew[api.CreateDefinitionRequest]()
		d := definitionToAPI(definitionFromAPI(r))
		back := api.CreateDefinitionRequest{
			Name: d.Name, ServiceName: d.ServiceName, ImageName: d.ImageName, ImageTag: d.ImageTag,
			RegistryURL: d.RegistryURL, RegistryCredentials: r.RegistryCredentials,
			EnvironmentConfig: d.EnvironmentConfig, ResourceLimits: d.ResourceLimits,
			HealthCheckConfig: d.HealthCheckConfig, ScalingConfig: d.ScalingConfig,
			NetworkConfig: &d.NetworkConfig, VolumeMounts: d.VolumeMounts, RuntimeConfig: &d.RuntimeConfig,
		}
		equal(t, "request", back, r)
		if !d.HasRegistryCredentials {
			t.Error("credentials are not noted")
		}
	})
	t.Run("spec", func(t *testing.T) {
		want := fillNew[fleet.Definition]()
		d := definitionToAPI(want)
		got := definitionFromAPI(api.CreateDefinitionRequest{
			Name: d.Name, ServiceName: d.ServiceName, ImageName: d.ImageName, ImageTag: d.ImageTag,
			RegistryURL: d.RegistryURL, EnvironmentConfig: d.EnvironmentConfig, ResourceLimits: d.ResourceLimits,
			HealthCheckConfig: d.HealthCheckConfig, ScalingConfig: d.ScalingConfig,
			NetworkConfig: &d.NetworkConfig, VolumeMounts: d.VolumeMounts, RuntimeConfig: &d.RuntimeConfig,
		})
		equal(t, "spec", got.Spec, want.Spec)
	})
	t.Run("definition change", func(t *testing.T) {
		r := fillNew[api.UpdateDefinitionRequest]()
		var d fleet.Definition
		applyDefinition(&d, r)
		a := definitionToAPI(d)
		back := api.UpdateDefinitionRequest{
			Name: &a.Name, ServiceName: &a.ServiceName, ImageName: &a.ImageName, ImageTag: &a.ImageTag,
			RegistryURL: &a.RegistryURL, RegistryCredentials: r.RegistryCredentials,
			EnvironmentConfig: &a.EnvironmentConfig, ResourceLimits: &a.ResourceLimits,
			HealthCheckConfig: api.Optional[api.HealthCheckConfig]{Set: true, Value: a.HealthCheckConfig},
			ScalingConfig:     &a.ScalingConfig, NetworkConfig: &a.NetworkConfig,
			VolumeMounts: &a.VolumeMounts, RuntimeConfig: &a.RuntimeConfig,
		}
		equal(t, "request", back, r)
	})
	t.Run("network", func(t *testing.T) {
		want := fillNew[fleet.Network]()
		n := networkToAPI(want)
		got := networkFromAPI(api.CreateNetworkRequest{
			NetworkName: n.NetworkName, NetworkType: n.NetworkType, Environment: n.Environment,
			Subnet: n.Subnet, Gateway: n.Gateway, DNSConfig: &n.DNSConfig, NetworkConfig: &n.NetworkConfig,
		})
		got.ID, got.CreatedAt = want.ID, want.CreatedAt
		equal(t, "network", got, want)
	})
	t.Run("network change", func(t *testing.T) {
		r := fillNew[api.UpdateNetworkRequest]()
		var n fleet.Network
		applyNetwork(&n, r)
		a := networkToAPI(n)
		equal(t, "request", api.UpdateNetworkRequest{
			NetworkType: &a.NetworkType, Subnet: &a.Subnet, Gateway: &a.Gateway,
			DNSConfig: &a.DNSConfig, NetworkConfig: &a.NetworkConfig,
		}, r)
	})
	t.Run("route", func(t *testing.T) {
		want := fillNew[fleet.Route]()
		r := routeToAPI(want)
		got := routeFromAPI(createRouteRequest(r))
		got.ID, got.CreatedBy, got.CreatedAt, got.UpdatedAt = want.ID, want.CreatedBy, want.CreatedAt, want.UpdatedAt
		equal(t, "route", got, want)
	})
	t.Run("route change", func(t *testing.T) {
		r := fillNew[api.UpdateRouteRequest]()
		var route fleet.Route
		applyRoute(&route, r)
		a := routeToAPI(route)
		equal(t, "request", api.UpdateRouteRequest{
			ServiceName: &a.ServiceName, Hosts: &a.Hosts, PathPrefixes: &a.PathPrefixes,
			Strategy: &a.Strategy, StickyCookie: &a.StickyCookie, CanaryHeader: &a.CanaryHeader, CanaryCookie: &a.CanaryCookie,
			StripPrefix: &a.StripPrefix, RequireTLS: &a.RequireTLS, MaxBodySize: &a.MaxBodySize, MaxHeaderSize: &a.MaxHeaderSize,
			ResponseTimeout: &a.ResponseTimeout, IdleTimeout: &a.IdleTimeout, MaxRequests: &a.MaxRequests,
		}, r)
	})
	t.Run("scaling policy", func(t *testing.T) {
		want := fillNew[fleet.ScalingPolicy]()
		got := scalingPolicyFromAPI(createPolicyRequest(scalingPolicyToAPI(want)))
		got.ID, got.DefinitionName, got.CreatedBy, got.CreatedAt, got.UpdatedAt = want.ID, want.DefinitionName, want.CreatedBy, want.CreatedAt, want.UpdatedAt
		equal(t, "policy", got, want)
	})
	t.Run("scaling policy change", func(t *testing.T) {
		r := fillNew[api.UpdateScalingPolicyRequest]()
		r.CooldownPeriod = nil // only a shorthand
		var p fleet.ScalingPolicy
		applyScalingPolicy(&p, r)
		a := scalingPolicyToAPI(p)
		equal(t, "request", api.UpdateScalingPolicyRequest{
			ScalingType: &a.ScalingType, TriggerMetric: api.Some(a.TriggerMetric), MetricName: api.Some(a.MetricName), TargetValue: api.Some(*a.TargetValue),
			ScaleUpThreshold: api.Some(*a.ScaleUpThreshold), ScaleDownThreshold: api.Some(*a.ScaleDownThreshold),
			ScaleUpAdjustment: api.Some(*a.ScaleUpAdjustment), ScaleDownAdjustment: api.Some(*a.ScaleDownAdjustment),
			MinReplicas: api.Some(*a.MinReplicas), MaxReplicas: api.Some(*a.MaxReplicas), ScaleUpCooldown: &a.ScaleUpCooldown, ScaleDownCooldown: &a.ScaleDownCooldown,
			StabilizationWindow: &a.StabilizationWindow, MaxScaleUp: &a.MaxScaleUp, MaxScaleDown: &a.MaxScaleDown, ScalePeriod: &a.ScalePeriod,
			MinLimit: api.Some(a.MinLimit), MaxLimit: api.Some(a.MaxLimit), ScheduleStart: api.Some(a.ScheduleStart), ScheduleEnd: api.Some(a.ScheduleEnd),
			TimeZone: api.Some(a.TimeZone), IsEnabled: &a.IsEnabled,
		}, r)
	})
	t.Run("rollout", func(t *testing.T) {
		for _, startFirst := range []bool{true, false} {
			r := fillNew[api.RolloutConfig]()
			r.StartFirst = &startFirst
			equal(t, "rollout", rolloutToAPI(rolloutFromAPI(r)), r)
		}
	})
	t.Run("credentials", func(t *testing.T) {
		c := credentialsFromAPI(api.RegistryCredentials{Username: "u", Password: "p"})
		equal(t, "credentials", c, fleet.RegistryCredentials{Username: "u", Password: "p"})
		if got := credentialsChangeFromAPI(api.Optional[api.RegistryCredentials]{}); got.Set {
			t.Error("credentials that are left out are a change")
		}
		if got := credentialsChangeFromAPI(api.Null[api.RegistryCredentials]()); !got.Set || got.Value != nil {
			t.Errorf("null gives %+v", got)
		}
	})
}

// registerRequest asks for what another request leaves behind.
func registerRequest(r api.RegisterEndpointRequest) api.RegisterEndpointRequest {
	i := endpointToAPI(endpointFromAPI("api", r))
	return api.RegisterEndpointRequest{
		EndpointURL: i.EndpointURL, HealthCheckURL: i.HealthCheckURL, TTLSeconds: i.TTLSeconds, LoadBalancerWeight: &i.LoadBalancerWeight, Metadata: i.Metadata,
	}
}

// createRouteRequest asks for a route like one that is there.
func createRouteRequest(r api.Route) api.CreateRouteRequest {
	return api.CreateRouteRequest{
		Name: r.Name, Environment: r.Environment, ServiceName: r.ServiceName, Hosts: r.Hosts, PathPrefixes: r.PathPrefixes,
		Strategy: r.Strategy, StickyCookie: r.StickyCookie, CanaryHeader: r.CanaryHeader, CanaryCookie: r.CanaryCookie,
		StripPrefix: r.StripPrefix, RequireTLS: r.RequireTLS, MaxBodySize: r.MaxBodySize, MaxHeaderSize: r.MaxHeaderSize,
		ResponseTimeout: r.ResponseTimeout, IdleTimeout: r.IdleTimeout, MaxRequests: r.MaxRequests,
	}
}

// createPolicyRequest asks for a scaling policy like one that is there.
func createPolicyRequest(p api.ScalingPolicy) api.CreateScalingPolicyRequest {
	return api.CreateScalingPolicyRequest{
		DefinitionID: p.DefinitionID, Environment: p.Environment, PolicyName: p.PolicyName, ScalingType: p.ScalingType,
		TriggerMetric: p.TriggerMetric, MetricName: p.MetricName, TargetValue: p.TargetValue, ScaleUpThreshold: p.ScaleUpThreshold, ScaleDownThreshold: p.ScaleDownThreshold,
		ScaleUpAdjustment: p.ScaleUpAdjustment, ScaleDownAdjustment: p.ScaleDownAdjustment, MinReplicas: p.MinReplicas, MaxReplicas: p.MaxReplicas,
		ScaleUpCooldown: &p.ScaleUpCooldown, ScaleDownCooldown: &p.ScaleDownCooldown, StabilizationWindow: &p.StabilizationWindow,
		MaxScaleUp: &p.MaxScaleUp, MaxScaleDown: &p.MaxScaleDown, ScalePeriod: &p.ScalePeriod, MinLimit: p.MinLimit, MaxLimit: p.MaxLimit,
		ScheduleStart: p.ScheduleStart, ScheduleEnd: p.ScheduleEnd, TimeZone: p.TimeZone, IsEnabled: &p.IsEnabled,
	}
}

// TestScalingPolicyDefaults: cooldown_period sets both cooldowns, unless they are
// given, and a policy of another type begins anew.
func TestScalingPolicyDefaults(t *testing.T) {
	horizontal, threshold, long, short := grammar.Horizontal, 80.0, 600, 30
	for _, tc := range []struct {
		name     string
		r        api.CreateScalingPolicyRequest
		up, down int
		window   int
	}{
		{"target", api.CreateScalingPolicyRequest{}, 0, 300, 300},
		{"thresholds", api.CreateScalingPolicyRequest{ScaleUpThreshold: &threshold}, 300, 300, 300},
		{"target with a period", api.CreateScalingPolicyRequest{CooldownPeriod: &long}, 600, 600, 300},
		{"period and one of its own", api.CreateScalingPolicyRequest{CooldownPeriod: &long, ScaleUpCooldown: &short}, 30, 600, 300},
		{"the other of its own", api.CreateScalingPolicyRequest{ScaleUpThreshold: &threshold, CooldownPeriod: &long, ScaleDownCooldown: &short}, 600, 30, 300},
		{"vertical", api.CreateScalingPolicyRequest{ScalingType: grammar.Vertical}, 300, 300, 0},
		{"scheduled", api.CreateScalingPolicyRequest{ScalingType: grammar.Scheduled}, 0, 0, 0},
	} {
		if tc.r.ScalingType == "" {
			tc.r.ScalingType = horizontal
		}
		p := scalingPolicyFromAPI(tc.r)
		if r := p.Rules; r.ScaleUpCooldown != tc.up || r.ScaleDownCooldown != tc.down || r.StabilizationWindow != tc.window || r.ScalePeriod != 60 || !p.Enabled {
			t.Errorf("%s: %+v", tc.name, p)
		}
	}
	p := fillNew[fleet.ScalingPolicy]()
	p.Rules.Type = grammar.Vertical
	applyScalingPolicy(&p, api.UpdateScalingPolicyRequest{ScalingType: &horizontal, TriggerMetric: api.Some("cpu"), CooldownPeriod: &long})
	want := grammar.DefaultScaling(grammar.Horizontal, false)
	want.Metric, want.ScaleUpCooldown, want.ScaleDownCooldown = "cpu", 600, 600
	equal(t, "another type", p.Rules, want)
	p.Rules.Target = &threshold
	applyScalingPolicy(&p, api.UpdateScalingPolicyRequest{ScalingType: &horizontal, TriggerMetric: api.Null[string](), TargetValue: api.Null[float64]()})
	want.Metric = ""
	equal(t, "null", p.Rules, want)
}

// TestScaleUpCooldownAfterAnotherGoal: thresholds in the place of a target bring their
// own default, without which replicas would be added at each evaluation.
func TestScaleUpCooldownAfterAnotherGoal(t *testing.T) {
	const target, thresholds = false, true
	some, none, given := api.Some(80.0), api.Null[float64](), 30
	for name, tc := range map[string]struct {
		had    bool // thresholds or a target
		before int
		r      api.UpdateScalingPolicyRequest
		want   int
	}{
		"thresholds for a target":     {target, 0, api.UpdateScalingPolicyRequest{TargetValue: none, ScaleUpThreshold: some}, 300},
		"with a cooldown":             {target, 0, api.UpdateScalingPolicyRequest{TargetValue: none, ScaleUpThreshold: some, ScaleUpCooldown: &given}, 30},
		"with a period":               {target, 0, api.UpdateScalingPolicyRequest{TargetValue: none, ScaleUpThreshold: some, CooldownPeriod: &given}, 30},
		"a target for thresholds":     {thresholds, 300, api.UpdateScalingPolicyRequest{TargetValue: some, ScaleUpThreshold: none}, 0},
		"another target":              {target, 20, api.UpdateScalingPolicyRequest{TargetValue: some, ScaleUpThreshold: none}, 20},
		"another threshold":           {thresholds, 20, api.UpdateScalingPolicyRequest{ScaleUpThreshold: some}, 20},
		"nothing about it":            {thresholds, 20, api.UpdateScalingPolicyRequest{}, 20},
		"nothing about it, by target": {target, 0, api.UpdateScalingPolicyRequest{}, 0},
	} {
		p := fleet.ScalingPolicy{Rules: grammar.DefaultScaling(grammar.Horizontal, tc.had)}
		p.Rules.ScaleUpCooldown = tc.before
		if tc.had == thresholds {
			p.Rules.ScaleUpThreshold = new(70.0)
		}
		if applyScalingPolicy(&p, tc.r); p.Rules.ScaleUpCooldown != tc.want || p.Rules.ScaleDownCooldown == 0 {
			t.Errorf("%s: cooldowns are %d and %d, want %d upwards", name, p.Rules.ScaleUpCooldown, p.Rules.ScaleDownCooldown, tc.want)
		}
	}
}

// TestEveryFieldArrives converts a filled value of the domain and asks that each
// field on the wire is set, and that each field of the domain has an effect.
func TestEveryFieldArrives(t *testing.T) {
	arrives(t, definitionToAPI)
	arrives(t, networkToAPI)
	// What the daemon remembers for itself only.
	arrives(t, instanceToAPI, "Drained", "SettledAt", "Checks", "RecentExits", "RestartRequested", "Force")
	arrives(t, rolloutToAPI)
	// A deployment's snapshot and progress have answers of their own.
	arrives(t, deploymentToAPI, "Spec", "KeepReplicas", "TotalSteps", "CompletedSteps", "CurrentStep")
	arrives(t, deploymentErrorToAPI)
	arrives(t, routeToAPI)
	arrives(t, scalingPolicyToAPI)
	arrives(t, scalingRulesToAPI)
	arrives(t, scalingDecisionToAPI)
	arrives(t, scalingReadingToAPI)
	// What is above an endpoint names its service. An instance, as the filled one is, is not external.
	arrives(t, func(e fleet.Endpoint) api.ServiceInstance {
		if e.TTL > 0 {
			e.TTL = time.Minute // the wire has whole seconds
		}
		i := endpointToAPI(e)
		i.External = !i.External
		return i
	}, "ServiceName", "Environment", "DefinitionID")
	arrives(t, func(r api.RegisterEndpointRequest) fleet.Endpoint {
		e := endpointFromAPI("api", r)
		// What the store and the instance have.
		e.ID, e.InstanceID, e.DefinitionID, e.DeploymentID, e.ImageTag, e.RegisteredAt, e.LastHeartbeat = "x", "x", "x", "x", "x", time.Unix(1, 0), time.Unix(1, 0)
		return e
	})
	arrives(t, func(r api.HeartbeatRequest) fleet.Heartbeat { return heartbeatFromAPI("x", r, time.Unix(1, 0)) })
	arrives(t, func(r api.DiscoverRequest) fleet.EndpointFilter { return filterFromAPI("api", r) })
	// Stack traces are for the database only.
	arrives(t, eventToAPI, "StackTrace")
	arrives(t, logLineToAPI)
	arrives(t, func(d fleet.Deployment) api.DeploymentStatusResponse {
		return deploymentStatusToAPI(d, []fleet.Instance{fillNew[fleet.Instance]()})
	}, "DefinitionID", "DefinitionName", "DefinitionRevision", "Environment", "Type", "ImageTag", "ImageDigest",
		"Spec", "KeepReplicas", "Before", "After", "Strategy", "Rollout", "State", "RollbackTargetID", "RollbackOfID", "SupersedesID", "SupersededByID",
		"Removal", "Live", "StartedBy", "StartedAt", "CompletedAt", "Notes")
}

// scalingRulesToAPI is a policy of these rules.
func scalingRulesToAPI(r grammar.Scaling) api.ScalingPolicy {
	p := fillNew[fleet.ScalingPolicy]()
	p.Rules = r
	return scalingPolicyToAPI(p)
}

func arrives[From, To any](t *testing.T, convert func(From) To, dropped ...string) {
	t.Helper()
	from := reflect.TypeFor[From]()
	t.Run(from.Name(), func(t *testing.T) {
		full := fillNew[From]()
		wire := convert(full)
		for _, path := range unset(reflect.ValueOf(wire), "") {
			t.Errorf("%s is never set", path)
		}
		for i := range from.NumField() {
			name := from.Field(i).Name
			other := full
			field := reflect.ValueOf(&other).Elem().Field(i)
			field.SetZero()
			changed := !reflect.DeepEqual(convert(other), wire)
			if want := !contains(dropped, name); changed != want {
				t.Errorf("field %s arrives: %t, want %t", name, changed, want)
			}
		}
	})
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// unset lists the fields that have their zero value.
func unset(v reflect.Value, path string) []string {
	kind := v.Kind()
	switch {
	case v.IsZero():
		return []string{path}
	case kind == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		var all []string
		for i := range v.NumField() {
			all = append(all, unset(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
		return all
	case kind == reflect.Pointer:
		return unset(v.Elem(), path)
	case kind == reflect.Slice && v.Len() > 0:
		return unset(v.Index(0), path+"[0]")
	default:
		return nil
	}
}

func TestDefaults(t *testing.T) {
	d := definitionToAPI(definitionFromAPI(api.CreateDefinitionRequest{
		HealthCheckConfig: &api.HealthCheckConfig{Endpoint: "/health"},
	}))
	checks := []struct {
		name      string
		got, want any
	}{
		{"image_tag", d.ImageTag, "latest"},
		{"interval", d.HealthCheckConfig.Interval, 30},
		{"timeout", d.HealthCheckConfig.Timeout, 10},
		{"retries", d.HealthCheckConfig.Retries, 3},
		{"start_period", d.HealthCheckConfig.StartPeriod, 0},
		{"target_cpu", d.ScalingConfig.TargetCPU, 70},
		{"target_memory", d.ScalingConfig.TargetMemory, 80},
		{"stop_timeout", d.RuntimeConfig.StopTimeout, 10},
		{"log_max_size", d.RuntimeConfig.LogMaxSize, "10Mi"},
		{"log_max_files", d.RuntimeConfig.LogMaxFiles, 3},
		{"pull_policy", d.RuntimeConfig.PullPolicy, "if_not_present"},
		{"is_active", d.IsActive, true},
	}
	for _, c := range checks {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	wire, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(wire), "null") {
		t.Errorf("an absent list or map became null: %s", wire)
	}
}

// TestDefaultsAreDocumented compares the defaults that are filled in with those
// that the document promises.
func TestDefaultsAreDocumented(t *testing.T) {
	d := definitionToAPI(definitionFromAPI(api.CreateDefinitionRequest{HealthCheckConfig: &api.HealthCheckConfig{}}))
	route := routeToAPI(routeFromAPI(api.CreateRouteRequest{}))
	policy := scalingPolicyToAPI(scalingPolicyFromAPI(api.CreateScalingPolicyRequest{}))
	for _, v := range []any{*d.HealthCheckConfig, d.ScalingConfig, d.RuntimeConfig, rolloutToAPI(rolloutFromAPI(api.RolloutConfig{})), createRouteRequest(route), createPolicyRequest(policy), registerRequest(api.RegisterEndpointRequest{})} {
		rv := reflect.ValueOf(v)
		for i := range rv.NumField() {
			got := fmt.Sprint(reflect.Indirect(rv.Field(i)))
			if rv.Field(i).Kind() == reflect.Slice {
				got = fmt.Sprintf("%q", rv.Field(i))
			}
			if promised, ok := rv.Type().Field(i).Tag.Lookup("default"); ok && got != promised {
				t.Errorf("%T.%s defaults to %v, its document says %s", v, rv.Type().Field(i).Name, got, promised)
			}
		}
	}
}

func TestRolloutDefaults(t *testing.T) {
	yes, no, surge := true, false, "50%"
	tests := []struct {
		name string
		r    api.RolloutConfig
		want func(*grammar.Rollout)
	}{
		{"nothing given", api.RolloutConfig{}, func(*grammar.Rollout) {}},
		{"start_first given", api.RolloutConfig{StartFirst: &yes}, func(*grammar.Rollout) {}},
		{"stop first", api.RolloutConfig{StartFirst: &no}, func(r *grammar.Rollout) { *r = grammar.DefaultRollout(false) }},
		{"one setting", api.RolloutConfig{MaxSurge: &surge}, func(r *grammar.Rollout) { r.MaxSurge = "50%" }},
		{"no canary steps", api.RolloutConfig{CanarySteps: &[]api.CanaryStep{}}, func(r *grammar.Rollout) { r.CanarySteps = []grammar.CanaryStep{} }},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			want := grammar.DefaultRollout(true)
			tc.want(&want)
			got := rolloutFromAPI(tc.r)
			equal(t, "rollout", got, want)
			if faults := got.Faults(); len(faults) > 0 {
				t.Errorf("it is refused: %v", faults)
			}
		})
	}
}

// TestBoundsAreThoseOfTheGrammar compares the bounds that the document states for
// a rollout with those that the grammar knows.
func TestBoundsAreThoseOfTheGrammar(t *testing.T) {
	_, document := build(Config{})
	schemas := document.Components.Schemas.Map()
	rollout, step := schemas["RolloutConfig"], schemas["CanaryStep"]
	outside := func(field string, set func(*grammar.Rollout)) {
		r := grammar.DefaultRollout(true)
		set(&r)
		faults := r.Faults()
		if len(faults) != 1 || faults[0].Field != field {
			t.Errorf("beyond the bounds of %s: %v, want it alone to be refused", field, faults)
		}
	}
	for field, at := range map[string]func(*grammar.Rollout) *int{
		"min_healthy_time":  func(r *grammar.Rollout) *int { return &r.MinHealthyTime },
		"healthy_deadline":  func(r *grammar.Rollout) *int { return &r.HealthyDeadline },
		"progress_deadline": func(r *grammar.Rollout) *int { return &r.ProgressDeadline },
		"keep_warm_time":    func(r *grammar.Rollout) *int { return &r.KeepWarmTime },
		"drain_time":        func(r *grammar.Rollout) *int { return &r.DrainTime },
	} {
		s := rollout.Properties[field]
		if *s.Maximum != grammar.MaxRolloutSeconds {
			t.Errorf("%s ends at %v, the grammar at %d", field, *s.Maximum, grammar.MaxRolloutSeconds)
		}
		outside(field, func(r *grammar.Rollout) { *at(r) = int(*s.Maximum) + 1 })
		outside(field, func(r *grammar.Rollout) { *at(r) = int(*s.Minimum) - 1 })
	}
	if most := *rollout.Properties["canary_steps"].MaxItems; most != grammar.MaxCanarySteps {
		t.Errorf("%d canary steps, the grammar allows %d", most, grammar.MaxCanarySteps)
	}
	for _, bound := range []struct {
		field      string
		value, out float64
		at         func(*grammar.CanaryStep) *int
	}{
		{"weight", *step.Properties["weight"].Minimum, -1, func(s *grammar.CanaryStep) *int { return &s.Weight }},
		{"weight", *step.Properties["weight"].Maximum, +1, func(s *grammar.CanaryStep) *int { return &s.Weight }},
		{"pause", *step.Properties["pause"].Minimum, -1, func(s *grammar.CanaryStep) *int { return &s.Pause }},
		{"pause", *step.Properties["pause"].Maximum, +1, func(s *grammar.CanaryStep) *int { return &s.Pause }},
	} {
		within := rolloutFromAPI(api.RolloutConfig{CanarySteps: &[]api.CanaryStep{{Weight: 50, Pause: 1}}})
		*bound.at(&within.CanarySteps[0]) = int(bound.value)
		if faults := within.Faults(); len(faults) > 0 {
			t.Errorf("%s of %v is refused: %v", bound.field, bound.value, faults)
		}
		outside("canary_steps[0]."+bound.field, func(r *grammar.Rollout) {
			r.CanarySteps = within.CanarySteps
			*bound.at(&r.CanarySteps[0]) += int(bound.out)
		})
	}
}

// TestNothingIsShared changes a converted value and looks at its source.
func TestNothingIsShared(t *testing.T) {
	d := fillNew[fleet.Definition]()
	before, err := json.Marshal(d.Spec)
	if err != nil {
		t.Fatal(err)
	}
	a := definitionToAPI(d)
	a.EnvironmentConfig["x"] = "y"
	a.NetworkConfig.Ports[0] = -1
	a.NetworkConfig.InternalNetworks[0] = "x"
	a.NetworkConfig.ExternalNetworks[0] = "x"
	a.VolumeMounts[0].Source = "x"
	a.RuntimeConfig.Entrypoint[0] = "x"
	a.RuntimeConfig.Command[0] = "x"
	a.RuntimeConfig.Tmpfs[0] = "x"
	a.RuntimeConfig.Labels["x"] = "y"
	a.HealthCheckConfig.Interval = -1
	if after, err := json.Marshal(d.Spec); err != nil || string(after) != string(before) {
		t.Errorf("the source changed: %s, was %s", after, before)
	}
}
