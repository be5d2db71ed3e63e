package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const testToken = "wst_0123456789_secret"

// seen is one request as the server got it.
type seen struct {
	Method, URI, Key, Body string
	Authorization          string
}

// recorder is a server that records requests and answers with respond.
type recorder struct {
	*httptest.Server
	mu       sync.Mutex
	requests []seen
}

func serve(t *testing.T, respond func(w http.ResponseWriter, r *http.Request, attempt int)) *recorder {
	t.Helper()
	rec := &recorder{}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		rec.mu.Lock()
		rec.requests = append(rec.requests, seen{
			Method: r.Method, URI: r.URL.RequestURI(), Body: string(body),
			Key: r.Header.Get(api.HeaderIdempotencyKey), Authorization: r.Header.Get("Authorization"),
		})
		attempt := len(rec.requests)
		rec.mu.Unlock()
		respond(w, r, attempt)
	}))
	t.Cleanup(rec.Close)
	return rec
}

func (r *recorder) all() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.requests...)
}

func newClient(t *testing.T, endpoint string, opts ...client.Option) *client.Client {
	t.Helper()
	opts = append([]client.Option{client.WithRetries(3, time.Millisecond, 2*time.Millisecond)}, opts...)
	c, err := client.New(endpoint, testToken, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func problem(w http.ResponseWriter, p api.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// reset breaks the connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func TestNewRefuses(t *testing.T) {
	tests := []struct{ name, endpoint, token, want string }{
		{"no scheme", "127.0.0.1:7266", testToken, "is not an HTTP address"},
		{"other scheme", "ftp://host", testToken, "is not an HTTP address"},
		{"no host", "http://", testToken, "is not an HTTP address"},
		{"user", "http://a:b@host", testToken, "must not hold a user"},
		{"query", "http://host/?a=1", testToken, "must not hold a user, query"},
		{"no token", client.DefaultEndpoint, "", "admin.token"},
		{"token with newline", client.DefaultEndpoint, testToken + "\n", "copy it again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := client.New(tt.endpoint, tt.token)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Fatalf("the error shows the token: %v", err)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	since := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	page := api.Page{Limit: 7, Cursor: "c/1"}
	const id = "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11"
	two := 2
	tests := []struct {
		name string
		do   func(context.Context, *client.Client) error
		want seen // without key and authorization
	}{
		{"create definition", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateDefinition(ctx, api.CreateDefinitionRequest{Name: "a"})
			return err
		}, seen{Method: "POST", URI: "/api/containers/definitions", Body: `"name":"a"`}},
		{"get definition", func(ctx context.Context, c *client.Client) error {
			_, err := c.GetDefinition(ctx, "a/../b")
			return err
		}, seen{Method: "GET", URI: "/api/containers/definitions/a%2F..%2Fb"}},
		{"list definitions", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListDefinitions(ctx, api.ListDefinitionsOptions{Page: page, Name: "a", ServiceName: "b"})
			return err
		}, seen{Method: "GET", URI: "/api/containers/definitions?cursor=c%2F1&limit=7&name=a&service_name=b"}},
		{"update definition", func(ctx context.Context, c *client.Client) error {
			_, err := c.UpdateDefinition(ctx, id, api.UpdateDefinitionRequest{HealthCheckConfig: api.Null[api.HealthCheckConfig]()})
			return err
		}, seen{Method: "PUT", URI: "/api/containers/definitions/" + id, Body: `{"health_check_config":null}`}},
		{"delete definition", func(ctx context.Context, c *client.Client) error {
			return c.DeleteDefinition(ctx, id)
		}, seen{Method: "DELETE", URI: "/api/containers/definitions/" + id}},
		{"create network", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateNetwork(ctx, api.CreateNetworkRequest{NetworkName: "app"})
			return err
		}, seen{Method: "POST", URI: "/api/containers/networks", Body: `"network_name":"app"`}},
		{"get network", func(ctx context.Context, c *client.Client) error {
			_, err := c.GetNetwork(ctx, id)
			return err
		}, seen{Method: "GET", URI: "/api/containers/networks/" + id}},
		{"list networks", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListNetworks(ctx, api.ListNetworksOptions{Page: page, Environment: "staging", Name: "app"})
			return err
		}, seen{Method: "GET", URI: "/api/containers/networks?cursor=c%2F1&environment=staging&limit=7&name=app"}},
		{"update network", func(ctx context.Context, c *client.Client) error {
			subnet := ""
			_, err := c.UpdateNetwork(ctx, id, api.UpdateNetworkRequest{Subnet: &subnet})
			return err
		}, seen{Method: "PUT", URI: "/api/containers/networks/" + id, Body: `{"subnet":""}`}},
		{"delete network", func(ctx context.Context, c *client.Client) error {
			return c.DeleteNetwork(ctx, id)
		}, seen{Method: "DELETE", URI: "/api/containers/networks/" + id}},
		{"list services", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListServices(ctx, api.ListServicesOptions{Environment: "staging", ServiceName: "api"})
			return err
		}, seen{Method: "GET", URI: "/api/containers/services?environment=staging&service_name=api"}},
		{"discover", func(ctx context.Context, c *client.Client) error {
			no := false
			_, err := c.DiscoverService(ctx, "api", api.DiscoverRequest{Environment: "staging", Filters: &api.ServiceFilters{IsHealthy: &no}})
			return err
		}, seen{Method: "POST", URI: "/api/containers/services/api/discover", Body: `{"environment":"staging","filters":{"is_healthy":false}}`}},
		{"set weight", func(ctx context.Context, c *client.Client) error {
			_, err := c.SetWeight(ctx, "api", id, api.WeightRequest{Weight: 0, Reason: "look"})
			return err
		}, seen{Method: "PUT", URI: "/api/containers/services/api/instances/" + id + "/weight", Body: `{"weight":0,"reason":"look"}`}},
		{"register endpoint", func(ctx context.Context, c *client.Client) error {
			_, err := c.RegisterEndpoint(ctx, "api", api.RegisterEndpointRequest{Environment: "staging", EndpointURL: "http://10.0.0.1:80", LoadBalancerWeight: new(0)})
			return err
		}, seen{Method: "POST", URI: "/api/containers/services/api/endpoints", Body: `{"environment":"staging","endpoint_url":"http://10.0.0.1:80","load_balancer_weight":0}`}},
		{"heartbeat", func(ctx context.Context, c *client.Client) error {
			return c.Heartbeat(ctx, "api", id, api.HeartbeatRequest{Status: api.HeartbeatCritical})
		}, seen{Method: "PUT", URI: "/api/containers/services/api/endpoints/" + id + "/heartbeat", Body: `{"status":"critical"}`}},
		{"deregister endpoint", func(ctx context.Context, c *client.Client) error {
			return c.DeregisterEndpoint(ctx, "api", id)
		}, seen{Method: "DELETE", URI: "/api/containers/services/api/endpoints/" + id}},
		{"create route", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateRoute(ctx, api.CreateRouteRequest{Name: "shop"})
			return err
		}, seen{Method: "POST", URI: "/api/containers/routes", Body: `"name":"shop"`}},
		{"get route", func(ctx context.Context, c *client.Client) error {
			_, err := c.GetRoute(ctx, id)
			return err
		}, seen{Method: "GET", URI: "/api/containers/routes/" + id}},
		{"list routes", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListRoutes(ctx, api.ListRoutesOptions{Page: page, Environment: "staging", ServiceName: "api", Name: "shop"})
			return err
		}, seen{Method: "GET", URI: "/api/containers/routes?cursor=c%2F1&environment=staging&limit=7&name=shop&service_name=api"}},
		{"update route", func(ctx context.Context, c *client.Client) error {
			_, err := c.UpdateRoute(ctx, id, api.UpdateRouteRequest{Hosts: &[]string{}})
			return err
		}, seen{Method: "PUT", URI: "/api/containers/routes/" + id, Body: `{"hosts":[]}`}},
		{"delete route", func(ctx context.Context, c *client.Client) error {
			return c.DeleteRoute(ctx, id)
		}, seen{Method: "DELETE", URI: "/api/containers/routes/" + id}},
		{"get instance", func(ctx context.Context, c *client.Client) error {
			_, err := c.GetInstance(ctx, id)
			return err
		}, seen{Method: "GET", URI: "/api/containers/instances/" + id}},
		{"create scaling policy", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateScalingPolicy(ctx, api.CreateScalingPolicyRequest{PolicyName: "load", MinReplicas: &two})
			return err
		}, seen{Method: "POST", URI: "/api/containers/scaling/policies", Body: `"policy_name":"load","scaling_type":"","min_replicas":2}`}},
		{"get scaling policy", func(ctx context.Context, c *client.Client) error {
			_, err := c.GetScalingPolicy(ctx, id)
			return err
		}, seen{Method: "GET", URI: "/api/containers/scaling/policies/" + id}},
		{"list scaling policies", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListScalingPolicies(ctx, api.ListScalingPoliciesOptions{Page: page, DefinitionID: "d", Environment: "staging", PolicyName: "a b", ScalingType: "vertical"})
			return err
		}, seen{Method: "GET", URI: "/api/containers/scaling/policies?cursor=c%2F1&definition_id=d&environment=staging&limit=7&policy_name=a+b&scaling_type=vertical"}},
		{"update scaling policy", func(ctx context.Context, c *client.Client) error {
			_, err := c.UpdateScalingPolicy(ctx, id, api.UpdateScalingPolicyRequest{TargetValue: api.Some(70.5), MinReplicas: api.Null[int]()})
			return err
		}, seen{Method: "PUT", URI: "/api/containers/scaling/policies/" + id, Body: `{"target_value":70.5,"min_replicas":null}`}},
		{"delete scaling policy", func(ctx context.Context, c *client.Client) error {
			return c.DeleteScalingPolicy(ctx, id)
		}, seen{Method: "DELETE", URI: "/api/containers/scaling/policies/" + id}},
		{"list scaling decisions", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListScalingDecisions(ctx, api.ListScalingDecisionsOptions{DefinitionID: "d", Environment: "e", PolicyID: "f", Outcome: "resized", ChangesOnly: true, From: since, To: since})
			return err
		}, seen{Method: "GET", URI: "/api/containers/scaling/decisions?changes_only=true&definition_id=d&environment=e&from=2026-06-06T08%3A30%3A00Z&outcome=resized&policy_id=f&to=2026-06-06T08%3A30%3A00Z"}},
		{"list instances", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListInstances(ctx, api.ListInstancesOptions{DefinitionID: "d", DeploymentID: "e", Environment: "f", ServiceName: "g", Status: "running"})
			return err
		}, seen{Method: "GET", URI: "/api/containers/instances?definition_id=d&deployment_id=e&environment=f&service_name=g&status=running"}},
		{"act", func(ctx context.Context, c *client.Client) error {
			_, err := c.Act(ctx, id, api.ActionRequest{Action: api.ActionRestart})
			return err
		}, seen{Method: "POST", URI: "/api/containers/instances/" + id + "/action", Body: `"action":"restart"`}},
		{"logs", func(ctx context.Context, c *client.Client) error {
			_, err := c.Logs(ctx, id, api.LogsOptions{Since: since, Source: "stdout"})
			return err
		}, seen{Method: "GET", URI: "/api/containers/instances/" + id + "/logs?since=2026-06-06T08%3A30%3A00Z&source=stdout"}},
		{"deploy", func(ctx context.Context, c *client.Client) error {
			_, err := c.Deploy(ctx, id, api.DeployRequest{Environment: "staging", ReplicaCount: &two})
			return err
		}, seen{Method: "POST", URI: "/api/containers/instances/" + id + "/deploy", Body: `"replica_count":2`}},
		{"remove deployment", func(ctx context.Context, c *client.Client) error {
			_, err := c.RemoveDeployment(ctx, id, "staging")
			return err
		}, seen{Method: "DELETE", URI: "/api/containers/instances/" + id + "/deploy?environment=staging"}},
		{"deploy with a rollout", func(ctx context.Context, c *client.Client) error {
			no := false
			_, err := c.Deploy(ctx, id, api.DeployRequest{Environment: "staging", DeploymentStrategy: api.StrategyCanary, RolloutConfig: &api.RolloutConfig{
				StartFirst: &no, CanarySteps: &[]api.CanaryStep{{Weight: 10, Pause: 60}},
			}})
			return err
		}, seen{Method: "POST", URI: "/api/containers/instances/" + id + "/deploy", Body: `"deployment_strategy":"canary","rollout_config":{"start_first":false,"canary_steps":[{"weight":10,"pause":60}]}`}},
		{"roll back", func(ctx context.Context, c *client.Client) error {
			_, err := c.Rollback(ctx, id, api.RollbackRequest{Reason: "slow", Force: true})
			return err
		}, seen{Method: "POST", URI: "/api/containers/deployments/" + id + "/rollback", Body: `{"reason":"slow","force":true}`}},
		{"pause", func(ctx context.Context, c *client.Client) error {
			_, err := c.PauseDeployment(ctx, id, api.CommandRequest{Reason: "look"})
			return err
		}, seen{Method: "POST", URI: "/api/containers/deployments/" + id + "/pause", Body: `{"reason":"look"}`}},
		{"resume", func(ctx context.Context, c *client.Client) error {
			_, err := c.ResumeDeployment(ctx, id, api.CommandRequest{})
			return err
		}, seen{Method: "POST", URI: "/api/containers/deployments/" + id + "/resume", Body: `{}`}},
		{"promote", func(ctx context.Context, c *client.Client) error {
			_, err := c.PromoteDeployment(ctx, id, api.CommandRequest{})
			return err
		}, seen{Method: "POST", URI: "/api/containers/deployments/" + id + "/promote", Body: `{}`}},
		{"abort", func(ctx context.Context, c *client.Client) error {
			_, err := c.AbortDeployment(ctx, id, api.CommandRequest{})
			return err
		}, seen{Method: "POST", URI: "/api/containers/deployments/" + id + "/abort", Body: `{}`}},
		{"scale", func(ctx context.Context, c *client.Client) error {
			_, err := c.Scale(ctx, api.ManualScaleRequest{DefinitionID: id, Environment: "staging", TargetReplicas: 0})
			return err
		}, seen{Method: "POST", URI: "/api/containers/scaling/manual", Body: `{"definition_id":"` + id + `","environment":"staging","target_replicas":0}`}},
		{"get deployment", func(ctx context.Context, c *client.Client) error {
			_, err := c.GetDeployment(ctx, id)
			return err
		}, seen{Method: "GET", URI: "/api/containers/deployments/" + id}},
		{"get deployment status", func(ctx context.Context, c *client.Client) error {
			_, err := c.GetDeploymentStatus(ctx, id)
			return err
		}, seen{Method: "GET", URI: "/api/containers/deployments/" + id + "/status"}},
		{"list deployments", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListDeployments(ctx, api.ListDeploymentsOptions{DefinitionID: "d", Environment: "e", Status: "failed", Live: true})
			return err
		}, seen{Method: "GET", URI: "/api/containers/deployments?definition_id=d&environment=e&live=true&status=failed"}},
		{"list events", func(ctx context.Context, c *client.Client) error {
			_, err := c.ListEvents(ctx, api.ListEventsOptions{InstanceID: "a", DefinitionID: "b", DeploymentID: "c", NetworkID: "d", Environment: "e", EventType: "f", Since: since})
			return err
		}, seen{Method: "GET", URI: "/api/containers/events?definition_id=b&deployment_id=c&environment=e&event_type=f&instance_id=a&network_id=d&since=2026-06-06T08%3A30%3A00Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { answer(w, http.StatusOK, struct{}{}) })
			if err := tt.do(t.Context(), newClient(t, srv.URL+"/")); err != nil {
				t.Fatal(err)
			}
			got := srv.all()
			if len(got) != 1 {
				t.Fatalf("%d requests, want 1", len(got))
			}
			if got[0].Method != tt.want.Method || got[0].URI != tt.want.URI {
				t.Errorf("request %s %s, want %s %s", got[0].Method, got[0].URI, tt.want.Method, tt.want.URI)
			}
			if !strings.Contains(got[0].Body, tt.want.Body) || tt.want.Body == "" && got[0].Body != "" {
				t.Errorf("body %q, want %q", got[0].Body, tt.want.Body)
			}
			if got[0].Authorization != "Bearer "+testToken {
				t.Errorf("authorization %q", got[0].Authorization)
			}
			if mutates := tt.want.Method != http.MethodGet; mutates != (got[0].Key != "") {
				t.Errorf("idempotency key %q of a %s", got[0].Key, tt.want.Method)
			}
		})
	}
}

func TestRetries(t *testing.T) {
	faults := []struct {
		name  string
		fault func(w http.ResponseWriter)
	}{
		{"reset after the work", reset},
		{"answer cut short", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"id":`)
			_ = http.NewResponseController(w).Flush()
			reset(w)
		}},
		{"500", func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }},
		{"502", func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }},
		{"503 with Retry-After", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		}},
		{"429", func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }},
	}
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request, attempt int) {
				if attempt <= 2 {
					tt.fault(w)
					return
				}
				answer(w, http.StatusCreated, api.Definition{ID: "made"})
			})
			got, err := newClient(t, srv.URL).CreateDefinition(t.Context(), api.CreateDefinitionRequest{Name: "api"})
			if err != nil {
				t.Fatal(err)
			}
			if got.ID != "made" {
				t.Errorf("id %q, want made", got.ID)
			}
			requests := srv.all()
			if len(requests) != 3 {
				t.Fatalf("%d attempts, want 3", len(requests))
			}
			for _, r := range requests[1:] {
				if r != requests[0] {
					t.Errorf("attempt %+v differs from the first %+v", r, requests[0])
				}
			}
		})
	}
}

func TestRetriesAreBounded(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		problem(w, api.Problem{Status: 503, Code: api.CodeUnavailable, Detail: "the database does not answer"})
	})
	_, err := newClient(t, srv.URL).GetDefinition(t.Context(), "a")
	if !client.IsUnavailable(err) || !strings.Contains(err.Error(), "the database does not answer") {
		t.Errorf("error %v, want the last problem", err)
	}
	if n := len(srv.all()); n != 4 {
		t.Errorf("%d attempts, want 4", n)
	}
}

func TestRefusalsAreNotRetried(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 409, 413, 415, 422, 501} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				problem(w, api.Problem{Status: status, Code: "x", Detail: "no"})
			})
			err := newClient(t, srv.URL).DeleteDefinition(t.Context(), "a")
			var refusal *client.Error
			if !errors.As(err, &refusal) || refusal.Problem.Status != status {
				t.Fatalf("error %v, want status %d", err, status)
			}
			if n := len(srv.all()); n != 1 {
				t.Errorf("%d attempts, want 1", n)
			}
		})
	}
}

func TestIdempotencyKeys(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { answer(w, http.StatusOK, struct{}{}) })
	c := newClient(t, srv.URL)
	chosen := client.WithIdempotencyKey(t.Context(), "mine")
	for _, ctx := range []context.Context{t.Context(), t.Context(), chosen} {
		if err := c.DeleteNetwork(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	}
	got := srv.all()
	if len(got[0].Key) != 36 || got[0].Key == got[1].Key {
		t.Errorf("keys %q and %q, want two different UUIDs", got[0].Key, got[1].Key)
	}
	if got[2].Key != "mine" {
		t.Errorf("key %q, want the chosen one", got[2].Key)
	}
}

func TestProblems(t *testing.T) {
	full := api.Problem{
		Type: "urn:wedsync:problem:invalid", Title: "Invalid request", Status: 422, Detail: "2 fields are invalid",
		Code: api.CodeInvalid, RequestID: "r1",
		Errors: []api.FieldError{{Location: "body.name", Message: "is taken"}, {Location: "body.image_tag", Message: "is odd"}},
	}
	tests := []struct {
		name    string
		respond func(w http.ResponseWriter)
		is      func(error) bool
		want    *api.Problem // nil: only the texts
		texts   []string
	}{
		{"whole problem", func(w http.ResponseWriter) { problem(w, full) }, client.IsInvalid, &full, []string{"body.name: is taken", "body.image_tag: is odd"}},
		{"not found", func(w http.ResponseWriter) {
			problem(w, api.Problem{Status: 404, Code: api.CodeNotFound, Detail: "no such"})
		}, client.IsNotFound, nil, []string{"no such"}},
		{"forbidden", func(w http.ResponseWriter) {
			problem(w, api.Problem{Status: 403, Code: api.CodeForbidden, Detail: "no"})
		}, client.IsForbidden, nil, nil},
		{"conflict", func(w http.ResponseWriter) {
			problem(w, api.Problem{Status: 409, Code: api.CodeInUse, Detail: "in use"})
		}, client.IsConflict, nil, []string{"in_use"}},
		{"unauthenticated", func(w http.ResponseWriter) {
			problem(w, api.Problem{Status: 401, Code: api.CodeUnauthenticated, Detail: "no token"})
		}, client.IsUnauthenticated, nil, nil},
		{"page of a proxy", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<html><head><title>Squid</title></head>\n<body>Access   denied</body></html>")
		}, client.IsForbidden, nil, []string{"not from wedsyncd", "Squid Access denied"}},
		{"empty answer", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, client.IsNotFound, nil, []string{"Not Found"}},
		{"broken JSON", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"code":`)
		}, client.IsConflict, nil, []string{"409 conflict"}},
		{"redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example.com/")
			w.WriteHeader(http.StatusFound)
		}, func(err error) bool { return client.HasCode(err, api.CodeInternal) }, nil, []string{"https://elsewhere.example.com/"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { tt.respond(w) })
			_, err := newClient(t, srv.URL).CreateNetwork(t.Context(), api.CreateNetworkRequest{})
			var refusal *client.Error
			if !errors.As(err, &refusal) || !tt.is(err) {
				t.Fatalf("error %v is of the wrong kind", err)
			}
			if tt.want != nil && !reflect.DeepEqual(refusal.Problem, tt.want) {
				t.Errorf("problem %+v, want %+v", refusal.Problem, tt.want)
			}
			for _, text := range append(tt.texts, "POST /api/containers/networks") {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error %q lacks %q", err, text)
				}
			}
		})
	}
}

func TestKindsOfOtherErrors(t *testing.T) {
	for name, is := range map[string]func(error) bool{
		"not found": client.IsNotFound, "conflict": client.IsConflict, "forbidden": client.IsForbidden,
		"unauthenticated": client.IsUnauthenticated, "invalid": client.IsInvalid, "unavailable": client.IsUnavailable,
	} {
		if is(nil) || is(errors.New("x")) {
			t.Errorf("%s: true for an unrelated error", name)
		}
	}
}

func TestUnreachable(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	_, err := newClient(t, srv.URL).GetDefinition(t.Context(), "a")
	if !client.IsUnavailable(err) {
		t.Fatalf("error %v, want an unreachable daemon", err)
	}
	for _, text := range []string{"wedsyncd does not answer at " + srv.URL, "wedsyncd serve", "WEDSYNC_ENDPOINT"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q lacks %q", err, text)
		}
	}
}

func TestAnswerOfSomethingElse(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = io.WriteString(w, "<html>hello</html>") })
	_, err := newClient(t, srv.URL).GetDefinition(t.Context(), "a")
	if err == nil || !strings.Contains(err.Error(), "is "+srv.URL+" a wedsyncd?") {
		t.Errorf("error %v", err)
	}
}

func TestAnswerTooLarge(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		block := bytes.Repeat([]byte(" "), 1<<20)
		for range 65 {
			if _, err := w.Write(block); err != nil {
				return // the client has hung up, as it should
			}
		}
	})
	_, err := newClient(t, srv.URL).GetDefinition(t.Context(), "a")
	if err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("error %v", err)
	}
	if n := len(srv.all()); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
}

func TestCancelWhileRetrying(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request, attempt int) {
		if attempt == 2 {
			cancel()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	c := newClient(t, srv.URL, client.WithRetries(1000, time.Millisecond, time.Millisecond))
	_, err := c.GetDefinition(ctx, "a")
	if !errors.Is(err, context.Canceled) || client.IsUnavailable(err) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if n := len(srv.all()); n > 3 {
		t.Errorf("%d attempts after the cancel", n)
	}
}

func TestLogHoldsNoSecrets(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request, attempt int) {
		if attempt == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer(w, http.StatusCreated, struct{}{})
	})
	_, err := newClient(t, srv.URL, client.WithLogger(logger)).CreateDefinition(t.Context(), api.CreateDefinitionRequest{
		Name: "api", RegistryCredentials: &api.RegistryCredentials{Username: "u", Password: "hush"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "secret") || strings.Contains(out.String(), "hush") {
		t.Errorf("log shows a secret:\n%s", out.String())
	}
	for _, text := range []string{"attempt=1", "status=503", "attempt=2", "status=201"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("log lacks %q:\n%s", text, out.String())
		}
	}
}
