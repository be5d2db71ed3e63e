package httpapi_test

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func TestExternalEndpointLife(t *testing.T) {
	w := newWorld(t)
	answer := w.do(t, request{method: "POST", path: services + "/api/endpoints", token: "devops", body: `{"environment":"staging","endpoint_url":"http://10.20.0.7:8080"}`})
	location := answer.Header().Get("Location")
	i := decode[api.ServiceInstance](t, answer, 201)
	if location != services+"/api/endpoints/"+i.InstanceID || !i.External || !i.IsHealthy || i.LoadBalancerWeight != 100 || i.TTLSeconds != 30 {
		t.Errorf("registered %+v at %s", i, location)
	}
	decode[api.ServiceInstance](t, w.do(t, request{method: "POST", path: services + "/api/endpoints", body: `{"environment":"staging","endpoint_url":"https://db.example.com:443",
		"health_check_url":"https://db.example.com/health?full=1","ttl_seconds":86400,"load_balancer_weight":0,"metadata":{"zone":"eu-1"}}`}), 201)
	want := fleet.Endpoint{
		ServiceName: "api", Environment: "staging", URL: "https://db.example.com:443", HealthCheckURL: "https://db.example.com/health?full=1",
		Healthy: true, Metadata: map[string]string{"zone": "eu-1"}, TTL: 24 * time.Hour,
	}
	got := w.endpoints[1]
	want.ID, want.RegisteredAt, want.LastHeartbeat = got.ID, got.RegisteredAt, got.LastHeartbeat
	if !reflect.DeepEqual(got, want) {
		t.Errorf("registered %+v, want %+v", got, want)
	}
	if got := w.do(t, request{method: "DELETE", path: location, token: "devops"}); got.Code != 204 {
		t.Errorf("deregister: %d %s", got.Code, got.Body)
	}
	if p := problem(t, w.do(t, request{method: "DELETE", path: strings.Replace(location, "/api/endpoints", "/web/endpoints", 1)})); p.Status != 404 {
		t.Errorf("endpoint of another service: %+v", p)
	}
}

// TestHeartbeat: what is registered is known from memory, and what has just been is
// looked up.
func TestHeartbeat(t *testing.T) {
	w := newWorld(t)
	known, fresh, instance, production := newID(), newID(), newID(), newID()
	of := func(id, environment string) fleet.Endpoint {
		return fleet.Endpoint{ID: id, ServiceName: "api", Environment: environment, TTL: time.Minute, Healthy: true}
	}
	ours := of(instance, "staging")
	ours.InstanceID, ours.TTL = instance, 0
	w.registry.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{of(known, "staging"), ours, of(production, "production")}})
	beat := func(service, id, body string) *httptest.ResponseRecorder {
		return w.do(t, request{method: "PUT", path: services + "/" + service + "/endpoints/" + id + "/heartbeat", token: "devops", body: body})
	}
	for _, tt := range []struct {
		name, service, id, body string
		status                  int
		want                    fleet.HeartbeatStatus
		asked                   int // of the store
	}{
		{"plain", "api", known, "", 204, fleet.HeartbeatPassing, 0},
		{"empty", "api", known, "{}", 204, fleet.HeartbeatPassing, 0},
		{"passing", "api", known, `{"status":"passing"}`, 204, fleet.HeartbeatPassing, 0},
		{"critical", "api", known, `{"status":"critical"}`, 204, fleet.HeartbeatCritical, 0},
		{"just registered", "api", fresh, "", 204, fleet.HeartbeatPassing, 1},
		{"of another service", "web", known, "", 404, "", 0},
		{"of an instance", "api", instance, "", 409, "", 0},
		{"of another environment", "api", production, "", 404, "", 0},
		{"of nothing", "api", newID(), "", 404, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.endpoints, w.beats, w.calls = []fleet.Endpoint{of(fresh, "staging")}, nil, nil
			began := time.Now()
			answer := beat(tt.service, tt.id, tt.body)
			if answer.Code != tt.status || len(w.calls) != tt.asked {
				t.Fatalf("%d %s after %d look-ups, want %d after %d", answer.Code, answer.Body, len(w.calls), tt.status, tt.asked)
			}
			if tt.status != 204 {
				if p := problem(t, answer); len(w.beats) != 0 || tt.status == 409 && !strings.Contains(p.Detail, "that of an instance") {
					t.Errorf("%+v, and %d heartbeats", p, len(w.beats))
				}
				return
			}
			if len(w.beats) != 1 || w.beats[0].EndpointID != tt.id || w.beats[0].Status != tt.want || w.beats[0].At.Before(began) || w.news != (tt.want == fleet.HeartbeatCritical) {
				t.Errorf("heartbeats are %+v, want %s", w.beats, tt.want)
			}
		})
	}
	sick := of(known, "staging")
	sick.Healthy = false
	w.registry.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{sick}})
	if got := beat("api", known, ""); got.Code != 204 || !w.news {
		t.Errorf("of one that is well again: %d, news: %t", got.Code, w.news)
	}
	w.fail = fleet.ErrUnavailable
	if got := beat("api", known, ""); got.Code != 204 {
		t.Errorf("while the database is away: %d %s", got.Code, got.Body)
	}
	if p := problem(t, beat("api", fresh, "")); p.Status != 503 {
		t.Errorf("of an endpoint that only the database knows: %+v", p)
	}
}
