package provider

import (
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/defaults"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflogtest"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// fill sets every field of a value to something that is not zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	if _, ok := v.Interface().(time.Time); ok {
		v.Set(reflect.ValueOf(time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		fill(t, element)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), element)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("no value for %s", v.Type())
	}
}

func filled[T any](t *testing.T) T {
	t.Helper()
	var v T
	fill(t, reflect.ValueOf(&v).Elem())
	return v
}

// noneLeftOut fails for every attribute that a conversion leaves null or zero.
func noneLeftOut(t *testing.T, at string, v reflect.Value) {
	t.Helper()
	if nullable, ok := v.Interface().(interface{ IsNull() bool }); ok {
		if nullable.IsNull() {
			t.Errorf("%s is left out", at)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Map:
		if v.IsNil() {
			t.Errorf("%s is left out", at)
			return
		}
		if v.Kind() == reflect.Pointer {
			noneLeftOut(t, at, v.Elem())
		}
	case reflect.Slice:
		if v.Len() == 0 {
			t.Errorf("%s is left out", at)
			return
		}
		noneLeftOut(t, at+"[0]", v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			noneLeftOut(t, at+"."+v.Type().Field(i).Name, v.Field(i))
		}
	default:
		if v.IsZero() {
			t.Errorf("%s is left out", at)
		}
	}
}

func TestConversionsLeaveNothingOut(t *testing.T) {
	models := map[string]any{
		"definition": definitionFromAPI(filled[api.Definition](t)),
		"network":    networkFromAPI(filled[api.Network](t)),
		"instance":   instanceFromAPI(filled[api.Instance](t)),
		"deployment": deploymentFromAPI(filled[api.Deployment](t)),
		"route":      routeFromAPI(filled[api.Route](t)),
		"policy":     scalingPolicyFromAPI(filled[api.ScalingPolicy](t)),
		"decision":   scalingDecisionFromAPI(filled[api.ScalingDecision](t)),
		"service":    serviceFromAPI(filled[api.Service](t)),
	}
	for name, model := range models {
		noneLeftOut(t, name, reflect.ValueOf(model))
	}
}

// sameJSON compares the parts of two values that go over the wire under the same names.
func sameJSON(t *testing.T, got, want any, only ...string) {
	t.Helper()
	members := func(v any) map[string]json.RawMessage {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	g, w := members(got), members(want)
	for _, name := range only {
		if string(g[name]) != string(w[name]) {
			t.Errorf("%s is %s, want %s", name, g[name], w[name])
		}
	}
}

// jsonNames are the wire names of a request's fields.
func jsonNames(v any, but ...string) []string {
	var names []string
	for i := range reflect.TypeOf(v).NumField() {
		name, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
		skip := false
		for _, b := range but {
			skip = skip || b == name
		}
		if !skip {
			names = append(names, name)
		}
	}
	return names
}

func TestRequestsCarryEveryField(t *testing.T) {
	definition := filled[api.Definition](t)
	model := containerDefinitionResourceModel{containerDefinitionModel: definitionFromAPI(definition)}
	sameJSON(t, createDefinitionRequest(model), definition, jsonNames(api.CreateDefinitionRequest{}, "registry_credentials")...)
	sameJSON(t, updateDefinitionRequest(model, model), definition, jsonNames(api.UpdateDefinitionRequest{}, "registry_credentials")...)

	network := filled[api.Network](t)
	sameJSON(t, createNetworkRequest(networkFromAPI(network)), network, jsonNames(api.CreateNetworkRequest{})...)
	sameJSON(t, updateNetworkRequest(networkFromAPI(network)), network, jsonNames(api.UpdateNetworkRequest{})...)

	route := filled[api.Route](t)
	sameJSON(t, createRouteRequest(routeFromAPI(route)), route, jsonNames(api.CreateRouteRequest{})...)
	sameJSON(t, updateRouteRequest(routeFromAPI(route)), route, jsonNames(api.UpdateRouteRequest{})...)
	sameJSON(t, routeFromAPI(route).routing(), route, jsonNames(grammar.Routing{})...)

	policy := filled[api.ScalingPolicy](t)
	sameJSON(t, createScalingPolicyRequest(scalingPolicyFromAPI(policy)), policy, jsonNames(api.CreateScalingPolicyRequest{}, "cooldown_period")...)
	sameJSON(t, updateScalingPolicyRequest(scalingPolicyFromAPI(policy)), policy, jsonNames(api.UpdateScalingPolicyRequest{}, "cooldown_period")...)
	sameRules(t, policy)

	discovery := filled[api.DiscoverRequest](t)
	sameJSON(t, serviceDataSourceModel{
		serviceModel: serviceModel{Environment: types.StringValue(discovery.Environment)}, IsHealthy: types.BoolPointerValue(discovery.Filters.IsHealthy),
		ImageTag: types.StringValue(discovery.Filters.ImageTag), DeploymentID: types.StringValue(discovery.Filters.DeploymentID), Metadata: discovery.Filters.Metadata,
	}.request(), discovery, jsonNames(discovery)...)

	settings := filled[api.RolloutConfig](t)
	rollout := rolloutConfigFromAPI(settings)
	sameJSON(t, rollout.toAPI(), settings, jsonNames(settings)...)
	sameJSON(t, rollout.rollout(), settings, jsonNames(settings)...)

	wanted := filled[api.DeployRequest](t)
	object, diags := rolloutConfigObject(t.Context(), rollout)
	request, more := deploymentResourceModel{
		Environment: types.StringValue(wanted.Environment), DefinitionRevision: int64Value(*wanted.DefinitionRevision), Replicas: int64Value(*wanted.ReplicaCount),
		DeploymentStrategy: types.StringValue(wanted.DeploymentStrategy), DeploymentNotes: types.StringValue(wanted.DeploymentNotes), RolloutConfig: object,
	}.deployRequest(t.Context())
	if diags.HasError() || more.HasError() {
		t.Fatal(diags, more)
	}
	sameJSON(t, request, wanted, jsonNames(wanted)...)
}

// sameRules checks that the grammar is shown every rule of a configuration.
func sameRules(t *testing.T, p api.ScalingPolicy) {
	t.Helper()
	var r rulesReader
	want := grammar.Scaling{
		Type: p.ScalingType, Metric: p.TriggerMetric, MetricName: p.MetricName, Target: p.TargetValue, ScaleUpThreshold: p.ScaleUpThreshold, ScaleDownThreshold: p.ScaleDownThreshold,
		ScaleUpAdjustment: p.ScaleUpAdjustment, ScaleDownAdjustment: p.ScaleDownAdjustment, MinReplicas: p.MinReplicas, MaxReplicas: p.MaxReplicas,
		ScaleUpCooldown: p.ScaleUpCooldown, ScaleDownCooldown: p.ScaleDownCooldown, StabilizationWindow: p.StabilizationWindow,
		MaxScaleUp: p.MaxScaleUp, MaxScaleDown: p.MaxScaleDown, ScalePeriod: p.ScalePeriod, MinLimit: p.MinLimit, MaxLimit: p.MaxLimit,
		ScheduleStart: p.ScheduleStart, ScheduleEnd: p.ScheduleEnd, TimeZone: p.TimeZone,
	}
	if got := r.rules(scalingPolicyResourceModel{scalingPolicyModel: scalingPolicyFromAPI(p)}); !reflect.DeepEqual(got, want) || len(r.unknown) > 0 {
		t.Errorf("rules are %+v, want %+v; unknown %v", got, want, r.unknown)
	}
}

func TestScalingPolicyDefaults(t *testing.T) {
	for _, want := range []grammar.Scaling{
		grammar.DefaultScaling(grammar.Horizontal, false), grammar.DefaultScaling(grammar.Horizontal, true),
		grammar.DefaultScaling(grammar.Vertical, false), grammar.DefaultScaling(grammar.Scheduled, false),
	} {
		config := scalingPolicyResourceModel{scalingPolicyModel: scalingPolicyModel{ScalingType: types.StringValue(want.Type)}}
		if want.ScaleUpCooldown > 0 && want.Type == grammar.Horizontal {
			config.ScaleUpThreshold = types.Float64Value(1)
		}
		plan := config
		planTimes(&plan, config)
		if intOf(plan.ScaleUpCooldown) != want.ScaleUpCooldown || intOf(plan.ScaleDownCooldown) != want.ScaleDownCooldown || intOf(plan.StabilizationWindow) != want.StabilizationWindow {
			t.Errorf("planned %v, %v and %v, want %+v", plan.ScaleUpCooldown, plan.ScaleDownCooldown, plan.StabilizationWindow, want)
		}
		config.ScaleUpThreshold = types.Float64Unknown()
		if planTimes(&plan, config); !plan.ScaleUpCooldown.IsUnknown() || !plan.StabilizationWindow.IsUnknown() {
			t.Errorf("with thresholds that are unknown %v and %v are planned", plan.ScaleUpCooldown, plan.StabilizationWindow)
		}
	}
	for name, n := range map[string]int{"max_scale_up": 0, "max_scale_down": 0, "scale_period": grammar.DefaultScalePeriod} {
		if v := defaultValue(scalingPolicyAttributes()[name]); !v.Equal(int64Value(n)) {
			t.Errorf("%s defaults to %s, want %d", name, v, n)
		}
	}
}

func TestUpdateOfALeastScalingPolicyRemoves(t *testing.T) {
	data, err := json.Marshal(updateScalingPolicyRequest(scalingPolicyFromAPI(api.ScalingPolicy{})))
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"trigger_metric", "metric_name", "target_value", "scale_up_threshold", "scale_down_threshold", "scale_up_adjustment", "scale_down_adjustment",
		"min_replicas", "max_replicas", "min_limit", "max_limit", "schedule_start", "schedule_end", "time_zone"} {
		if v, given := members[name]; !given || v != nil {
			t.Errorf("%s is %v, want null: %s", name, v, data)
		}
	}
}

// The defaults that a plan shows are those of the daemon.
func TestRolloutDefaults(t *testing.T) {
	var resp defaults.ObjectResponse
	defaultObject(rolloutConfigAttributes()).DefaultObject(t.Context(), defaults.ObjectRequest{}, &resp)
	planned, known, diags := rolloutConfigOf(t.Context(), resp.PlanValue)
	if !known || diags.HasError() {
		t.Fatal(known, diags)
	}
	want := grammar.DefaultRollout(true)
	sameJSON(t, planned.toAPI(), want, jsonNames(want)...)
	sameJSON(t, rolloutConfigModel{}.rollout(), want, jsonNames(want)...)
	sameJSON(t, rolloutConfigModel{StartFirst: types.BoolValue(false)}.rollout(), grammar.DefaultRollout(false), jsonNames(want)...)
}

func TestRouteDefaults(t *testing.T) {
	want := grammar.DefaultRouting()
	sameJSON(t, routeModel{}.routing(), want, jsonNames(want)...)
	planned := map[string]any{}
	for name, a := range routeAttributes() {
		switch v := defaultValue(a).(type) {
		case types.String:
			planned[name] = v.ValueString()
		case types.Int64:
			planned[name] = v.ValueInt64()
		case types.Bool:
			planned[name] = v.ValueBool()
		}
	}
	// Null stands for none.
	but := []string{"sticky_cookie", "canary_header", "canary_cookie", "strip_prefix", "require_tls"}
	sameJSON(t, planned, want, jsonNames(want, but...)...)
}

func TestUpdateOfALeastRouteRemoves(t *testing.T) {
	data, err := json.Marshal(updateRouteRequest(routeFromAPI(api.Route{})))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"hosts":[]`, `"sticky_cookie":""`, `"canary_header":""`, `"canary_cookie":""`, `"strip_prefix":false`, `"require_tls":false`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("request lacks %s: %s", want, data)
		}
	}
}

func TestUpdateOfALeastDefinitionRemoves(t *testing.T) {
	model := containerDefinitionResourceModel{containerDefinitionModel: definitionFromAPI(api.Definition{})}
	data, err := json.Marshal(updateDefinitionRequest(model, model))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"health_check_config":null`, `"volume_mounts":[]`, `"environment_config":{}`, `"registry_url":""`, `"network_config":{}`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("request lacks %s: %s", want, data)
		}
	}
}

func TestCredentialsChange(t *testing.T) {
	pair := func(password string) *registryCredentialsModel {
		return &registryCredentialsModel{Username: types.StringValue("u"), Password: types.StringValue(password)}
	}
	tests := []struct {
		name         string
		wanted, held *registryCredentialsModel
		stored       bool
		set, value   bool
	}{
		{"never any", nil, nil, false, false, false},
		{"first", pair("a"), nil, false, true, true},
		{"same", pair("a"), pair("a"), true, false, false},
		{"other password", pair("b"), pair("a"), true, true, true},
		{"taken out", nil, pair("a"), true, true, false},
		{"set by somebody else", nil, nil, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := containerDefinitionResourceModel{RegistryCredentials: tt.wanted}
			state := containerDefinitionResourceModel{RegistryCredentials: tt.held}
			state.HasRegistryCredentials = types.BoolValue(tt.stored)
			got := credentialsChange(plan, state)
			if got.Set != tt.set || (got.Value != nil) != tt.value {
				t.Errorf("change %+v", got)
			}
		})
	}
}

func TestAttributePath(t *testing.T) {
	tests := []struct{ location, want string }{
		{"body.name", "name"},
		{"body.resource_limits.cpu", "resource_limits.cpu"},
		{"body.volume_mounts[2].source", "volume_mounts[2].source"},
		{"body.network_config.ports[0]", "network_config.ports[0]"},
		{"body.environment_config.A.B", `environment_config["A.B"]`},
		{"body.environment_config", "environment_config"},
		{"body.runtime_config.labels.com.example.team", `runtime_config.labels["com.example.team"]`},
		{"body.replica_count", "replicas"},
		{"body.hosts[3]", "hosts"},
		{"query.environment", ""},
		{"body", ""},
		{"body.[0]", ""},
		{"body.a[x]", ""},
	}
	for _, tt := range tests {
		at, ok := attributePath(tt.location)
		if ok != (tt.want != "") || ok && at.String() != tt.want {
			t.Errorf("%s is %q (%v), want %q", tt.location, at, ok, tt.want)
		}
	}
}

func TestClientErrorsAsDiagnostics(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		texts []string
	}{
		{"fields", &client.Error{Problem: &api.Problem{Detail: "no", Errors: []api.FieldError{{Location: "body.replica_count", Message: "is too many"}, {Location: "query.x", Message: "is odd"}}}},
			[]string{"replicas is too many.", "query.x is odd."}},
		{"token", &client.Error{Problem: &api.Problem{Code: api.CodeUnauthenticated, Detail: "unknown token"}}, []string{"unknown token", EnvToken}},
		{"role", &client.Error{Problem: &api.Problem{Code: api.CodeForbidden, Detail: "not allowed", RequestID: "r9"}}, []string{"not allowed", "role", "r9"}},
		{"unreachable", &client.UnreachableError{Endpoint: "http://x", Err: context.DeadlineExceeded}, []string{"no answer from http://x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var diags diag.Diagnostics
			addClientError(&diags, "Create", tt.err)
			var all strings.Builder
			for _, d := range diags.Errors() {
				all.WriteString(d.Detail() + "\n")
			}
			for _, text := range tt.texts {
				if !strings.Contains(all.String(), text) {
					t.Errorf("%q lacks %q", all.String(), text)
				}
			}
		})
	}
}

// The log tells how far a rollout and its rollback are.
func TestLogProgress(t *testing.T) {
	var out strings.Builder
	progress := logProgress(tflogtest.RootLogger(t.Context(), &out), 3).OnProgress
	progress(api.DeploymentStatus{
		ID: "d1", Status: "in_progress", Progress: api.DeploymentProgress{TotalSteps: 7, CompletedSteps: 4, CurrentStep: "await_healthy api-2"},
		Instances: []api.InstanceProgress{{HealthStatus: "healthy"}, {HealthStatus: "unknown"}},
	})
	progress(api.DeploymentStatus{ID: "d2", Status: "in_progress"})
	entries, err := tflogtest.MultilineJSONDecode(strings.NewReader(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{
			"deployment_id": "d1", "phase": "rollout", "status": "in_progress", "completed_steps": 4.0, "total_steps": 7.0,
			"current_step": "await_healthy api-2", "healthy_instances": 1.0, "wanted_instances": 3.0,
		},
		{"deployment_id": "d2", "phase": "rollback", "rollback_of_id": "d1", "status": "in_progress"},
	}
	for i, w := range want {
		for key, value := range w {
			if entries[i][key] != value {
				t.Errorf("entry %d: %s is %v, want %v", i, key, entries[i][key], value)
			}
		}
	}
}

func TestLogGoesToTerraform(t *testing.T) {
	var out strings.Builder
	ctx := tflogtest.RootLogger(t.Context(), &out)
	logger := slog.New(tflogHandler{}).With("client", "c1").WithGroup("request")
	logger.DebugContext(ctx, "sending", "path", "/x")
	logger.ErrorContext(ctx, "lost", "attempt", 2)
	entries, err := tflogtest.MultilineJSONDecode(strings.NewReader(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"@level": "debug", "@message": "sending", "client": "c1", "request.path": "/x"},
		{"@level": "error", "@message": "lost", "client": "c1", "request.attempt": float64(2)},
	}
	for i, w := range want {
		for key, value := range w {
			if entries[i][key] != value {
				t.Errorf("entry %d: %s is %v, want %v", i, key, entries[i][key], value)
			}
		}
	}
}
