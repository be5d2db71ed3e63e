package httpapi_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func TestDefinitionLife(t *testing.T) {
	w := newWorld(t)
	answer := w.do(t, request{method: "POST", path: definitions,
		body: with(t, goodDefinition, object{"registry_credentials": object{"username": "deploy", "password": "s3cret"}})})
	if strings.Contains(answer.Body.String(), "s3cret") {
		t.Error("the answer holds the password")
	}
	location := answer.Header().Get("Location")
	d := decode[api.Definition](t, answer, 201)
	if location != definitions+"/"+d.ID {
		t.Errorf("Location %q of %s", location, d.ID)
	}
	if d.ImageTag != "v1" || d.RuntimeConfig.StopTimeout != 10 || !d.HasRegistryCredentials || d.Revision != 1 {
		t.Errorf("created %+v", d)
	}

	if got := decode[api.Definition](t, w.do(t, request{method: "GET", path: location}), 200); got.Name != d.Name {
		t.Errorf("read %+v", got)
	}
	page := decode[api.DefinitionList](t, w.do(t, request{method: "GET", path: definitions + "?limit=7&cursor=abc&name=x&service_name=y"}), 200)
	if page.TotalCount != 1 || len(page.Definitions) != 1 {
		t.Errorf("list %+v", page)
	}
	if got, want := w.pages[len(w.pages)-1], (fleet.Page{Limit: 7, Cursor: "abc"}); got != want {
		t.Errorf("page %+v, want %+v", got, want)
	}
	if got, want := w.filters[len(w.filters)-1], (fleet.DefinitionFilter{Name: "x", ServiceName: "y"}); got != want {
		t.Errorf("filter %+v, want %+v", got, want)
	}

	updated := decode[api.Definition](t, w.do(t, request{method: "PUT", path: location, body: `{"image_tag":"v2"}`}), 200)
	if updated.ImageTag != "v2" || updated.Revision != 2 || updated.Name != d.Name {
		t.Errorf("updated %+v", updated)
	}
	if got := w.do(t, request{method: "DELETE", path: location}); got.Code != 204 || got.Body.Len() != 0 {
		t.Errorf("delete: %d %q", got.Code, got.Body)
	}
	if p := problem(t, w.do(t, request{method: "GET", path: location})); p.Code != "not_found" || !strings.Contains(p.Detail, d.ID) {
		t.Errorf("after the delete: %+v", p)
	}
}

func TestUpdateTellsNullFromAbsent(t *testing.T) {
	w := newWorld(t)
	definition, _, _, _ := w.seed(t)
	path := definitions + "/" + definition
	put := func(body string) api.Definition {
		return decode[api.Definition](t, w.do(t, request{method: "PUT", path: path, body: body}), 200)
	}
	last := func() fleet.CredentialsChange { return w.credentials[len(w.credentials)-1] }

	if d := put(`{"health_check_config":{"endpoint":"/health","port":80}}`); d.HealthCheckConfig == nil || d.HealthCheckConfig.Interval != 30 {
		t.Errorf("health check %+v", d.HealthCheckConfig)
	}
	if d := put(`{"image_tag":"v2"}`); d.HealthCheckConfig == nil {
		t.Error("a health check that was left out is gone")
	}
	if last().Set {
		t.Error("credentials that were left out were changed")
	}
	if d := put(`{"health_check_config":null}`); d.HealthCheckConfig != nil {
		t.Error("null did not remove the health check")
	}
	put(`{"registry_credentials":{"username":"u","password":"p"}}`)
	if c := last(); !c.Set || *c.Value != (fleet.RegistryCredentials{Username: "u", Password: "p"}) {
		t.Errorf("credentials %+v", c)
	}
	put(`{"registry_credentials":null}`)
	if c := last(); !c.Set || c.Value != nil {
		t.Errorf("null credentials %+v", c)
	}
	if d := put(`{"environment_config":{},"volume_mounts":[],"network_config":{}}`); len(d.EnvironmentConfig)+len(d.VolumeMounts) != 0 {
		t.Errorf("emptied %+v", d)
	}
}

func TestNetworkLife(t *testing.T) {
	w := newWorld(t)
	answer := w.do(t, request{method: "POST", path: networks, token: "devops", body: goodNetwork})
	location := answer.Header().Get("Location")
	n := decode[api.Network](t, answer, 201)
	if location != networks+"/"+n.ID || n.EngineName != "wedsync.staging.app" || !n.IsActive {
		t.Errorf("created %+v at %s", n, location)
	}
	list := decode[api.NetworkList](t, w.do(t, request{method: "GET", path: networks + "?environment=staging&name=app"}), 200)
	if list.TotalCount != 1 || w.filters[len(w.filters)-1] != (fleet.NetworkFilter{Environment: "staging", Name: "app"}) {
		t.Errorf("list %+v", list)
	}
	n = decode[api.Network](t, w.do(t, request{method: "PUT", path: location, body: `{"gateway":"10.20.0.1","dns_config":{"servers":["10.20.0.2"]}}`}), 200)
	if n.Gateway != "10.20.0.1" || n.Subnet != "10.20.0.0/24" || n.DNSConfig.Servers[0] != "10.20.0.2" {
		t.Errorf("updated %+v", n)
	}
	if got := decode[api.Network](t, w.do(t, request{method: "GET", path: location}), 200); !reflect.DeepEqual(got, n) {
		t.Errorf("read %+v, want %+v", got, n)
	}
	if got := w.do(t, request{method: "DELETE", path: location}); got.Code != 204 {
		t.Errorf("delete: %d", got.Code)
	}
}

func TestServices(t *testing.T) {
	w := newWorld(t)
	at := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	own, external, other := newID(), newID(), newID()
	w.endpoints = []fleet.Endpoint{
		{ID: own, InstanceID: own, ServiceName: "api", Environment: "staging", Healthy: true, Weight: 100, RegisteredAt: at, LastHeartbeat: at},
		{ID: external, ServiceName: "api", Environment: "staging", TTL: 90 * time.Second, Metadata: map[string]string{"zone": "eu"}, RegisteredAt: at, LastHeartbeat: at},
		{ID: other, InstanceID: other, ServiceName: "api", Environment: "production", Healthy: true, RegisteredAt: at, LastHeartbeat: at},
	}
	got := decode[api.ServiceList](t, w.do(t, request{method: "GET", path: services, token: "monitoring"}), 200)
	ours := api.ServiceInstance{InstanceID: own, IsHealthy: true, LoadBalancerWeight: 100, LastHeartbeat: at, Metadata: map[string]string{}, RegisteredAt: at}
	theirs := api.ServiceInstance{InstanceID: external, LastHeartbeat: at, Metadata: map[string]string{"zone": "eu"}, External: true, RegisteredAt: at, TTLSeconds: 90}
	others := api.ServiceInstance{InstanceID: other, IsHealthy: true, LastHeartbeat: at, Metadata: map[string]string{}, RegisteredAt: at}
	want := api.ServiceList{Services: []api.Service{
		{ServiceName: "api", Environment: "staging", Instances: []api.ServiceInstance{ours, theirs}, TotalInstances: 2, HealthyInstances: 1},
		{ServiceName: "api", Environment: "production", Instances: []api.ServiceInstance{others}, TotalInstances: 1, HealthyInstances: 1},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("listed %+v, want %+v", got, want)
	}
	decode[api.ServiceList](t, w.do(t, request{method: "GET", path: services + "?environment=staging&service_name=api"}), 200)
	if got := w.filters[1]; !reflect.DeepEqual(got, fleet.EndpointFilter{Environment: "staging", ServiceName: "api"}) {
		t.Errorf("filter %+v", got)
	}
}

func TestDiscoverService(t *testing.T) {
	w := newWorld(t)
	id, no := newID(), false
	got := decode[api.Service](t, w.do(t, request{method: "POST", path: services + "/api/discover", token: "monitoring", body: `{"environment":"staging","filters":` +
		`{"is_healthy":false,"image_tag":"v1","deployment_id":"` + id + `","metadata":{"zone":"eu"}}}`}), 200)
	if want := (api.Service{ServiceName: "api", Environment: "staging", Instances: []api.ServiceInstance{}}); !reflect.DeepEqual(got, want) {
		t.Errorf("a service without endpoints is %+v, want %+v", got, want)
	}
	want := fleet.EndpointFilter{ServiceName: "api", Environment: "staging", Healthy: &no, ImageTag: "v1", DeploymentID: id, Metadata: map[string]string{"zone": "eu"}}
	if !reflect.DeepEqual(w.filters[0], want) {
		t.Errorf("filter %+v, want %+v", w.filters[0], want)
	}
	p := problem(t, w.do(t, request{method: "POST", path: services + "/api/discover", body: `{"environment":"staging","filters":{"zone":"eu"}}`}))
	if len(p.Errors) != 1 || p.Errors[0].Message != "is not a field; possible are deployment_id, image_tag, is_healthy, metadata" {
		t.Errorf("an unknown filter is %+v", p)
	}
	if w.changes != 0 {
		t.Error("a discovery changed something")
	}
}

func TestSetWeight(t *testing.T) {
	w := newWorld(t)
	endpoint, _ := w.seedTraffic(t)
	put := func(service, body string) *httptest.ResponseRecorder {
		return w.do(t, request{method: "PUT", path: services + "/" + service + "/instances/" + endpoint + "/weight", token: "devops", body: body})
	}
	if got := decode[api.ServiceInstance](t, put("api", `{"weight":0}`), 200); got.InstanceID != endpoint || got.LoadBalancerWeight != 0 {
		t.Errorf("changed to %+v", got)
	}
	decode[api.ServiceInstance](t, put("api", `{"weight":50,"reason":"cold"}`), 200)
	if want := []string{"api=0 reason=", "api=50 reason=cold"}; !slices.Equal(w.weights, want) {
		t.Errorf("weights %q, want %q", w.weights, want)
	}
	if p := problem(t, put("web", `{"weight":50}`)); p.Status != 404 || !strings.Contains(p.Detail, "there is no endpoint "+endpoint) {
		t.Errorf("endpoint of another service: %+v", p)
	}
}

func TestRouteLife(t *testing.T) {
	w := newWorld(t)
	answer := w.do(t, request{method: "POST", path: routes, token: "devops", body: with(t, goodRoute, object{"canary_header": "X-Preview", "max_requests": 5})})
	location := answer.Header().Get("Location")
	r := decode[api.Route](t, answer, 201)
	want := grammar.DefaultRouting()
	want.CanaryHeader, want.StickyCookie, want.MaxRequests = "X-Preview", "wedding_session", 5
	if location != routes+"/"+r.ID || w.routes[r.ID].Settings != want || !slices.Equal(r.PathPrefixes, []string{"/"}) || r.Strategy != api.RoundRobin {
		t.Errorf("created %+v at %s", r, location)
	}
	list := decode[api.RouteList](t, w.do(t, request{method: "GET", path: routes + "?environment=staging&service_name=api&name=shop"}), 200)
	if list.TotalCount != 1 || w.filters[0] != (fleet.RouteFilter{Environment: "staging", ServiceName: "api", Name: "shop"}) {
		t.Errorf("list %+v", list)
	}
	r = decode[api.Route](t, w.do(t, request{method: "PUT", path: location, body: `{"hosts":[],"path_prefixes":["/a","/b"],"canary_header":"","strategy":"least_requests"}`}), 200)
	if len(r.Hosts) != 0 || !slices.Equal(r.PathPrefixes, []string{"/a", "/b"}) || r.CanaryHeader != "" || r.Strategy != api.LeastRequests || r.MaxRequests != 5 {
		t.Errorf("updated %+v", r)
	}
	if got := decode[api.Route](t, w.do(t, request{method: "GET", path: location}), 200); !reflect.DeepEqual(got, r) {
		t.Errorf("read %+v, want %+v", got, r)
	}
	if got := w.do(t, request{method: "DELETE", path: location}); got.Code != 204 || len(w.routes) != 0 {
		t.Errorf("delete: %d", got.Code)
	}
}

func TestScalingPolicyLife(t *testing.T) {
	w := newWorld(t)
	answer := w.do(t, request{method: "POST", path: policies, token: "devops", body: with(t, goodPolicy, object{"cooldown_period": 60, "max_replicas": 8})})
	location := answer.Header().Get("Location")
	p := decode[api.ScalingPolicy](t, answer, 201)
	want := grammar.DefaultScaling(grammar.Horizontal, true)
	want.Metric, want.ScaleUpThreshold, want.ScaleDownThreshold, want.ScaleUpAdjustment, want.ScaleDownAdjustment = "cpu", new(80.0), new(30.5), new(2), new(1)
	want.MaxReplicas, want.ScaleUpCooldown, want.ScaleDownCooldown = new(8), 60, 60
	if location != policies+"/"+p.ID || !reflect.DeepEqual(w.policies[p.ID].Rules, want) || !p.IsEnabled || p.ScaleUpCooldown != 60 || *p.ScaleDownThreshold != 30.5 {
		t.Errorf("created %+v at %s", p, location)
	}
	list := decode[api.ScalingPolicyList](t, w.do(t, request{method: "GET", path: policies + "?environment=staging&policy_name=load&scaling_type=horizontal&definition_id=" + anyDefinition}), 200)
	if list.TotalCount != 1 || w.filters[0] != (fleet.ScalingPolicyFilter{DefinitionID: anyDefinition, Environment: "staging", Name: "load", Type: "horizontal"}) {
		t.Errorf("list %+v", list)
	}
	p = decode[api.ScalingPolicy](t, w.do(t, request{method: "PUT", path: location, body: `{"scale_up_threshold":null,"scale_down_threshold":null,"scale_up_adjustment":null,` +
		`"scale_down_adjustment":null,"target_value":65.5,"max_replicas":null,"scale_up_cooldown":0,"is_enabled":false}`}), 200)
	if p.ScaleUpThreshold != nil || *p.TargetValue != 65.5 || p.MaxReplicas != nil || p.ScaleUpCooldown != 0 || p.ScaleDownCooldown != 60 || p.IsEnabled {
		t.Errorf("updated %+v", p)
	}
	if got := decode[api.ScalingPolicy](t, w.do(t, request{method: "GET", path: location}), 200); !reflect.DeepEqual(got, p) {
		t.Errorf("read %+v, want %+v", got, p)
	}
	if got := w.do(t, request{method: "DELETE", path: location}); got.Code != 204 || len(w.policies) != 0 {
		t.Errorf("delete: %d", got.Code)
	}
}

// TestDisableWhatWouldBeRefused: rules have become stricter since the policy was made;
// it can be turned off, and nothing else.
func TestDisableWhatWouldBeRefused(t *testing.T) {
	w := newWorld(t)
	p := fleet.ScalingPolicy{ID: newID(), Environment: "staging", Name: "always", Enabled: true, Rules: grammar.DefaultScaling(grammar.Scheduled, false)}
	p.Rules.MinReplicas, p.Rules.ScheduleStart, p.Rules.ScheduleEnd, p.Rules.TimeZone = new(2), "0 8 * * 6", "00 8 * * sat", "UTC"
	w.policies[p.ID] = p
	put := func(body string) *httptest.ResponseRecorder {
		return w.do(t, request{method: "PUT", path: policies + "/" + p.ID, body: body})
	}
	for _, body := range []string{`{"min_replicas":3}`, `{"min_replicas":3,"is_enabled":false}`} {
		if got := put(body); got.Code != 422 {
			t.Errorf("%s: %d %s", body, got.Code, got.Body)
		}
	}
	if off := decode[api.ScalingPolicy](t, put(`{"is_enabled":false}`), 200); off.IsEnabled {
		t.Errorf("disabled, it is %+v", off)
	}
	if got := put(`{"is_enabled":true}`); got.Code != 422 {
		t.Errorf("enable it: %d %s", got.Code, got.Body)
	}
}

func TestListScalingDecisions(t *testing.T) {
	w := newWorld(t)
	id := newID()
	w.decisions[id] = fleet.ScalingDecision{ID: id, Outcome: fleet.OutcomeScaledUp, Current: 2, Wanted: 5, Limited: 4, Inputs: []fleet.ScalingReading{{Value: new(180.0), Wanted: 5}}}
	answer := w.do(t, request{method: "GET", token: "monitoring", path: decisions + "?definition_id=" + id + "&environment=staging&policy_id=" + id +
		"&outcome=scaled_up&changes_only=true&from=2026-06-06T08:30:00Z&to=2026-06-06T09:30:00.5Z"})
	list := decode[api.ScalingDecisionList](t, answer, 200)
	if list.TotalCount != 1 || list.Decisions[0].LimitedValue != 4 || *list.Decisions[0].Inputs[0].Value != 180 {
		t.Errorf("list %+v", list)
	}
	want := fleet.ScalingDecisionFilter{DefinitionID: id, Environment: "staging", PolicyID: id, Outcome: fleet.OutcomeScaledUp, Changes: true,
		From: new(time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)), To: new(time.Date(2026, 6, 6, 9, 30, 0, 5e8, time.UTC))}
	if !reflect.DeepEqual(w.filters[0], want) {
		t.Errorf("filter %+v, want %+v", w.filters[0], want)
	}
	w.do(t, request{method: "GET", path: decisions})
	if !reflect.DeepEqual(w.filters[1], fleet.ScalingDecisionFilter{}) {
		t.Errorf("without parameters the filter is %+v", w.filters[1])
	}
}

// TestDiscovery: what discovery answers is for everybody who has a token, and for nobody else.
func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	consul := func(token string) http.Header { return http.Header{"X-Consul-Token": {token}} }
	tests := []struct {
		name   string
		r      request
		status int
		body   string // of a success
	}{
		{"monitoring", request{path: "/http_sd?environment=staging", token: "monitoring"}, 200, "/http_sd for monitoring"},
		{"developer", request{path: "/v1/health/service/api", token: "developer"}, 200, "/v1/health/service/api for developer"},
		{"token of Consul", request{path: "/v1/catalog/services", token: "-", header: consul("devops")}, 200, "/v1/catalog/services for devops"},
		{"both tokens", request{path: "/v1/catalog/services", token: "admin", header: consul("devops")}, 200, "/v1/catalog/services for admin"},
		{"unknown token of Consul", request{path: "/v1/catalog/services", token: "-", header: consul("nobody")}, 401, ""},
		{"two tokens of Consul", request{path: "/v1/catalog/services", token: "-", header: http.Header{"X-Consul-Token": {"devops", "admin"}}}, 401, ""},
		{"token of Consul elsewhere", request{path: "/http_sd", token: "-", header: consul("devops")}, 401, ""},
		{"token of Consul for the API", request{path: services, token: "-", header: consul("devops")}, 401, ""},
		{"no token", request{path: "/http_sd", token: "-"}, 401, ""},
		{"no token for Consul", request{path: "/v1/catalog/services", token: "-"}, 401, ""},
		{"below the path", request{path: "/http_sd/x"}, 404, ""},
		{"another method", request{method: "PUT", path: "/v1/agent/service/register", body: `{}`}, 405, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			tc.r.method = cmp.Or(tc.r.method, "GET")
			answer := w.do(t, tc.r)
			if answer.Code != tc.status {
				t.Fatalf("%d %s, want %d", answer.Code, answer.Body, tc.status)
			}
			if tc.status != 200 {
				problem(t, answer)
			} else if got := answer.Body.String(); got != tc.body {
				t.Errorf("answers %q, want %q", got, tc.body)
			}
		})
	}
	if !strings.Contains(w.log.String(), `"operation":"discovery","principal":"monitoring"`) {
		t.Error("the access log does not tell of the discovery")
	}
}

// TestMetrics: a token sees the series of its environments, and those of none.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name, token string
		status      int
		want        []string // series
	}{
		{"everywhere", "admin", 200, []string{`answers{environment="production"} 2`, `answers{environment="staging"} 1`, "goroutines 3"}},
		{"staging", "devops", 200, []string{`answers{environment="staging"} 1`, "goroutines 3"}},
		{"no token", "-", 401, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			answer := w.do(t, request{method: "GET", path: "/metrics", token: tc.token})
			if answer.Code != tc.status {
				t.Fatalf("%d %s", answer.Code, answer.Body)
			}
			if tc.status != 200 {
				problem(t, answer)
				return
			}
			var got []string
			for line := range strings.Lines(answer.Body.String()) {
				if !strings.HasPrefix(line, "#") {
					got = append(got, strings.TrimSpace(line))
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("series %q, want %q", got, tc.want)
			}
		})
	}
}

// TestNoDiscovery: without it, nothing is there.
func TestNoDiscovery(t *testing.T) {
	w := newRealWorld(t)
	token := w.token(t, fleet.RoleSystemAdmin, fleet.AllEnvironments)
	for _, path := range []string{"/http_sd", "/v1/catalog/services", "/metrics"} {
		if p := problem(t, w.do(t, request{method: "GET", path: path, token: token})); p.Status != 404 {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func TestDeploy(t *testing.T) {
	w := newWorld(t)
	definition, _, _, _ := w.seed(t)
	path := instances + "/" + definition + "/deploy"

	answer := w.do(t, request{method: "POST", path: path, body: `{"environment":"staging"}`})
	location := answer.Header().Get("Location")
	if d := decode[api.DeploymentAccepted](t, answer, 202); location != deployments+"/"+d.DeploymentID {
		t.Errorf("Location %q of %s", location, d.DeploymentID)
	}
	decode[api.DeploymentAccepted](t, w.do(t, request{method: "POST", path: path,
		body: `{"environment":"staging","replica_count":0,"deployment_strategy":"blue_green","deployment_notes":"n","definition_revision":3,"rollout_config":{"start_first":false,"keep_warm_time":0}}`}), 202)
	zero, three := 0, 3
	asked := grammar.DefaultRollout(false)
	asked.KeepWarmTime = 0
	staging := fleet.Workload{DefinitionID: definition, Environment: "staging"}
	want := []fleet.DeployRequest{
		{Workload: staging, Strategy: fleet.StrategyRollingUpdate, Rollout: grammar.DefaultRollout(true)},
		{Workload: staging, Strategy: fleet.StrategyBlueGreen, Rollout: asked, Replicas: &zero, Notes: "n", Revision: &three},
	}
	if !reflect.DeepEqual(w.deploys, want) {
		t.Errorf("deploys %+v, want %+v", w.deploys, want)
	}
	answer = w.do(t, request{method: "DELETE", path: path + "?environment=staging"})
	if decode[api.DeploymentAccepted](t, answer, 202); answer.Header().Get("Location") == "" {
		t.Error("a removal has no Location")
	}
}

func TestRollback(t *testing.T) {
	w := newWorld(t)
	_, _, _, deployment := w.seed(t)
	path, target := deployments+"/"+deployment+"/rollback", newID()
	for _, body := range []string{`{"reason":"slow"}`, `{"reason":"wrong","target_deployment_id":"` + target + `","force":true}`} {
		answer := w.do(t, request{method: "POST", path: path, body: body})
		location := answer.Header().Get("Location")
		if d := decode[api.DeploymentAccepted](t, answer, 202); location != deployments+"/"+d.DeploymentID || d.DeploymentID == deployment {
			t.Errorf("Location %q of %s", location, d.DeploymentID)
		}
	}
	want := []fleet.RollbackRequest{
		{DeploymentID: deployment, Reason: "slow"},
		{DeploymentID: deployment, Reason: "wrong", TargetID: target, Force: true},
	}
	if !reflect.DeepEqual(w.rollbacks, want) {
		t.Errorf("rollbacks %+v, want %+v", w.rollbacks, want)
	}
}

func TestCommands(t *testing.T) {
	w := newWorld(t)
	_, _, _, deployment := w.seed(t)
	var want []string
	for _, command := range []string{"pause", "resume", "promote", "abort"} {
		path := deployments + "/" + deployment + "/" + command
		if got := decode[api.Deployment](t, w.do(t, request{method: "POST", path: path, body: `{}`}), 200); got.ID != deployment {
			t.Errorf("%s answers %+v", command, got)
		}
		decode[api.Deployment](t, w.do(t, request{method: "POST", path: path, body: `{"reason":"why"}`}), 200)
		want = append(want, command+" reason=", command+" reason=why")
	}
	if !reflect.DeepEqual(w.commands, want) {
		t.Errorf("commands %q, want %q", w.commands, want)
	}
}

func TestScaling(t *testing.T) {
	w := newWorld(t)
	definition, _, _, _ := w.seed(t)
	answer := w.do(t, request{method: "POST", path: scaling, token: "devops",
		body: `{"definition_id":"` + definition + `","environment":"staging","target_replicas":0,"reason":"winter"}`})
	location := answer.Header().Get("Location")
	if d := decode[api.DeploymentAccepted](t, answer, 202); location != deployments+"/"+d.DeploymentID {
		t.Errorf("Location %q of %s", location, d.DeploymentID)
	}
	want := []fleet.ScaleRequest{{Workload: fleet.Workload{DefinitionID: definition, Environment: "staging"}, Reason: "winter"}}
	if !reflect.DeepEqual(w.scales, want) {
		t.Errorf("scalings %+v, want %+v", w.scales, want)
	}
}

func TestInstances(t *testing.T) {
	w := newWorld(t)
	definition, _, instance, deployment := w.seed(t)
	path := instances + "?definition_id=" + definition + "&deployment_id=" + deployment + "&environment=staging&service_name=api&status=running"
	if got := decode[api.InstanceList](t, w.do(t, request{method: "GET", path: path}), 200); got.TotalCount != 1 {
		t.Errorf("list %+v", got)
	}
	want := fleet.InstanceFilter{DefinitionID: definition, DeploymentID: deployment, Environment: "staging", ServiceName: "api", Status: fleet.StatusRunning}
	if w.filters[len(w.filters)-1] != want || w.pages[len(w.pages)-1] != (fleet.Page{Limit: 100}) {
		t.Errorf("filter %+v page %+v", w.filters, w.pages)
	}
	if got := decode[api.Instance](t, w.do(t, request{method: "GET", path: instances + "/" + instance}), 200); got.ID != instance {
		t.Errorf("read %+v", got)
	}
	got := decode[api.Instance](t, w.do(t, request{method: "POST", path: instances + "/" + instance + "/action",
		body: `{"action":"restart","force":true,"reason":"leak"}`}), 202)
	if got.ID != instance || len(w.actions) != 1 || w.actions[0] != "restart force=true reason=leak" {
		t.Errorf("acted %q on %+v", w.actions, got)
	}
}

func TestDeployments(t *testing.T) {
	w := newWorld(t)
	definition, _, instance, deployment := w.seed(t)
	path := deployments + "?definition_id=" + definition + "&environment=staging&status=completed&live=true"
	if got := decode[api.DeploymentList](t, w.do(t, request{method: "GET", path: path}), 200); got.TotalCount != 1 {
		t.Errorf("list %+v", got)
	}
	want := fleet.DeploymentFilter{DefinitionID: definition, Environment: "staging", Status: fleet.DeploymentCompleted, Live: true}
	if w.filters[len(w.filters)-1] != want {
		t.Errorf("filter %+v", w.filters)
	}
	if got := decode[api.Deployment](t, w.do(t, request{method: "GET", path: deployments + "/" + deployment}), 200); got.ID != deployment || got.Errors == nil {
		t.Errorf("read %+v", got)
	}
	code := 3
	w.deployments[deployment] = fleet.Deployment{ID: deployment, Status: fleet.DeploymentFailed, TotalSteps: 5, CompletedSteps: 2, RollbackID: "r1",
		Errors: []fleet.DeploymentError{{Step: "pull", Message: "no route"}, {Step: "await_healthy", InstanceName: "api-1", Message: "exited",
			ExitCode: &code, HealthOutput: "connection refused", LogTail: []string{"starting", "panic: no database"}}}}
	got := decode[api.DeploymentStatusResponse](t, w.do(t, request{method: "GET", path: deployments + "/" + deployment + "/status"}), 200).Deployment
	if got.Status != "failed" || got.RollbackID != "r1" || len(got.Instances) != 1 || got.Instances[0].InstanceID != instance ||
		!reflect.DeepEqual(got.Progress, api.DeploymentProgress{TotalSteps: 5, CompletedSteps: 2, Errors: []string{"step pull: no route",
			"step await_healthy, instance api-1, exit code 3: exited\n  health check: connection refused\n  | starting\n  | panic: no database"}}) {
		t.Errorf("status %+v", got)
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.events = []fleet.Event{{ID: newID(), Type: "started", Data: map[string]any{"action": "restart"}, StackTrace: "secret stack"}}
	ids := []string{newID(), newID(), newID(), newID()}
	answer := w.do(t, request{method: "GET", path: events + "?instance_id=" + ids[0] + "&definition_id=" + ids[1] + "&deployment_id=" + ids[2] +
		"&network_id=" + ids[3] + "&environment=staging&event_type=started&since=2026-06-06T08:30:00.5Z"})
	if strings.Contains(answer.Body.String(), "stack") {
		t.Error("the answer holds a stack trace")
	}
	if got := decode[api.EventList](t, answer, 200); got.TotalCount != 1 || got.Events[0].EventData["action"] != "restart" {
		t.Errorf("list %+v", got)
	}
	want := fleet.EventFilter{InstanceID: ids[0], DefinitionID: ids[1], DeploymentID: ids[2], NetworkID: ids[3],
		Environment: "staging", Type: "started", Since: time.Date(2026, 6, 6, 8, 30, 0, 5e8, time.UTC)}
	if w.filters[0] != want {
		t.Errorf("filter %+v, want %+v", w.filters[0], want)
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	w := newWorld(t)
	for path, member := range map[string]string{definitions: "definitions", networks: "networks", instances: "instances", deployments: "deployments", events: "events", routes: "routes", policies: "policies", decisions: "decisions", services: "services"} {
		answer := w.do(t, request{method: "GET", path: path})
		var members map[string]json.RawMessage
		if err := json.Unmarshal(answer.Body.Bytes(), &members); err != nil {
			t.Fatal(err)
		}
		if string(members[member]) != "[]" || path != services && string(members["total_count"]) != "0" {
			t.Errorf("%s answers %s", path, answer.Body)
		}
	}
}
