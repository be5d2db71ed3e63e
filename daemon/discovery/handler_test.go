package discovery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wedsync/terraform-provider-wedsync/daemon/discovery"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// with changes a copy of an endpoint.
func with(e fleet.Endpoint, change func(*fleet.Endpoint)) fleet.Endpoint {
	change(&e)
	return e
}

// fixture is a registry with one of each kind.
func fixture() []fleet.Endpoint {
	return []fleet.Endpoint{
		with(instance("a1", "api", "staging", "http://172.18.0.4:8080"), func(e *fleet.Endpoint) {
			e.Metadata = map[string]string{"team": "guests", "traefik.enable": "true", "environment": "production"}
		}),
		with(instance("a2", "api", "staging", "http://[fd00::5]:8080"), func(e *fleet.Endpoint) {
			e.Healthy, e.Weight, e.ImageTag, e.DeploymentID = false, 20, "v2", "d2"
		}),
		with(instance("a3", "api", "staging", "http://172.18.0.6:8080"), func(e *fleet.Endpoint) { e.Weight = 0 }),
		instance("p1", "api", "production", "http://172.19.0.4:8080"),
		with(instance("x1", "mail", "production", "https://mail.example.com"), func(e *fleet.Endpoint) {
			e.InstanceID, e.DeploymentID, e.ImageTag = "", "", ""
			e.Metadata = map[string]string{"version": "7", "instance_id": "p1", "a.b": "1", "a-b": "2", "größe": "\xff"}
		}),
		with(instance("w1", "web", "staging", "http://172.18.0.7:80"), func(e *fleet.Endpoint) { e.Weight = 0 }),
	}
}

var everywhere = []string{fleet.AllEnvironments}

// serve answers requests as those of a principal with the environments; those
// without any have no principal.
func serve(t *testing.T, d *discovery.Directory, environments []string) *httptest.Server {
	t.Helper()
	handler := d.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if environments != nil {
			ctx = fleet.WithCall(ctx, fleet.Call{Principal: fleet.Principal{Role: fleet.RoleMonitoringSystem, Environments: environments}})
		}
		handler.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(server.Close)
	return server
}

// response is what is looked at of an answer besides its body.
type response struct {
	StatusCode int
	Header     http.Header
}

func get(t *testing.T, url string) (resp response, body string) { return send(t, http.MethodGet, url) }

func send(t *testing.T, method, url string) (response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header}, string(body)
}

var paths = []string{
	"/http_sd", "/v1/catalog/services", "/v1/catalog/nodes", "/v1/catalog/service/api.staging", "/v1/health/service/api.staging",
	"/v1/health/state/any", "/v1/catalog/datacenters", "/v1/agent/self", "/v1/status/leader",
}

func TestHandlerRefusals(t *testing.T) {
	d := directory(fixture()...)
	nobody, somebody := serve(t, d, nil), serve(t, d, everywhere)
	for _, path := range paths {
		resp, body := get(t, nobody.URL+path)
		if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("GET %s without a principal = %d %s", path, resp.StatusCode, body)
		}
		resp, body = send(t, http.MethodPut, somebody.URL+path)
		if resp.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(resp.Header.Get("Allow"), "GET") {
			t.Errorf("PUT %s = %d %s", path, resp.StatusCode, body)
		}
		resp, body = get(t, somebody.URL+path)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" || !json.Valid([]byte(body)) {
			t.Errorf("GET %s = %d %s", path, resp.StatusCode, body)
		}
	}
	for _, path := range []string{"/v1/kv/a", "/v1/catalog/service/", "/v1/health/state/", "/"} {
		if resp, body := get(t, somebody.URL+path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s = %d %s", path, resp.StatusCode, body)
		}
	}
}

// TestNotYetKnown: before the first snapshot there are errors, upon which clients
// keep what they have; empty lists would make them forget it.
func TestNotYetKnown(t *testing.T) {
	server := serve(t, discovery.NewDirectory(), everywhere)
	for path, want := range map[string]int{
		"/http_sd":                               503,
		"/v1/catalog/services":                   500,
		"/v1/catalog/nodes":                      500,
		"/v1/catalog/service/a.b":                500,
		"/v1/health/service/a.b?index=5&wait=1h": 500,
		"/v1/health/state/any":                   500,
		"/v1/catalog/datacenters":                200,
		"/v1/agent/self":                         200,
	} {
		resp, body := get(t, server.URL+path)
		if resp.StatusCode != want || (want == 500 && body != "No cluster leader\n") {
			t.Errorf("GET %s = %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
	if _, body := get(t, server.URL+"/v1/status/leader"); body != `""` {
		t.Errorf("leader = %s, want none", body)
	}
}

func TestNothingRegistered(t *testing.T) {
	server := serve(t, directory(), everywhere)
	for path, want := range map[string]string{
		"/http_sd":                "[]",
		"/v1/catalog/services":    "{}",
		"/v1/catalog/nodes":       "[]",
		"/v1/catalog/service/a.b": "[]",
		"/v1/health/service/a.b":  "[]",
		"/v1/health/state/any":    "[]",
	} {
		if resp, body := get(t, server.URL+path); resp.StatusCode != http.StatusOK || body != want {
			t.Errorf("GET %s = %d %s, want %s", path, resp.StatusCode, body, want)
		}
	}
}

// targetGroup is what Prometheus reads.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// labelName is Prometheus' rule for names of labels.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// refresh reads targets with the demands of Prometheus' http_sd.
func refresh(ctx context.Context, url string) (map[string]map[string]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Prometheus-Refresh-Interval-Seconds", "60")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	if media := resp.Header.Get("Content-Type"); !regexp.MustCompile(`^(?i:application/json(;\s*charset=("utf-8"|utf-8))?)$`).MatchString(media) {
		return nil, fmt.Errorf("content type %q", media)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(body) || body[0] != '[' {
		return nil, fmt.Errorf("%q is no list in UTF-8", body)
	}
	var groups []targetGroup
	if err := json.Unmarshal(body, &groups); err != nil {
		return nil, err
	}
	return index(groups)
}

// index is the labels of each target.
func index(groups []targetGroup) (map[string]map[string]string, error) {
	targets := make(map[string]map[string]string)
	for _, g := range groups {
		for name := range g.Labels {
			if !labelName.MatchString(name) || !strings.HasPrefix(name, "__meta_wedsync_") {
				return nil, fmt.Errorf("label %q", name)
			}
		}
		for _, target := range g.Targets {
			if targets[target] != nil {
				return nil, fmt.Errorf("target %s is there twice", target)
			}
			targets[target] = g.Labels
		}
	}
	return targets, nil
}

func TestTargets(t *testing.T) {
	d := directory(fixture()...)
	all := []string{"172.18.0.4:8080", "172.18.0.6:8080", "172.18.0.7:80", "172.19.0.4:8080", "[fd00::5]:8080", "mail.example.com:443"}
	tests := []struct {
		name         string
		environments []string
		query        string
		want         []string
	}{
		{"all", everywhere, "", all},
		{"an environment", everywhere, "?environment=production", []string{"172.19.0.4:8080", "mail.example.com:443"}},
		{"a service", everywhere, "?service=api", []string{"172.18.0.4:8080", "172.18.0.6:8080", "172.19.0.4:8080", "[fd00::5]:8080"}},
		{"a service in an environment", everywhere, "?service=api&environment=production", []string{"172.19.0.4:8080"}},
		{"a service that is not there", everywhere, "?service=db", nil},
		{"a principal of one environment", []string{"production"}, "", []string{"172.19.0.4:8080", "mail.example.com:443"}},
		{"another's environment", []string{"production"}, "?environment=staging", nil},
		{"a principal of none", []string{}, "", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			targets, err := refresh(t.Context(), serve(t, d, tc.environments).URL+"/http_sd"+tc.query)
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(maps.Keys(targets)); !slices.Equal(got, tc.want) {
				t.Errorf("targets %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTargetLabels(t *testing.T) {
	targets, err := refresh(t.Context(), serve(t, directory(fixture()...), everywhere).URL+"/http_sd")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]map[string]string{
		"172.18.0.4:8080": {
			"service": "api", "environment": "staging", "endpoint_id": "a1", "instance_id": "a1", "deployment_id": "d1", "image_tag": "v1",
			"scheme": "http", "weight": "100", "healthy": "true",
			"metadata_team": "guests", "metadata_traefik_enable": "true", "metadata_environment": "production",
		},
		"[fd00::5]:8080": {
			"service": "api", "environment": "staging", "endpoint_id": "a2", "instance_id": "a2", "deployment_id": "d2", "image_tag": "v2",
			"scheme": "http", "weight": "20", "healthy": "false",
		},
		"mail.example.com:443": {
			"service": "mail", "environment": "production", "endpoint_id": "x1", "instance_id": "", "deployment_id": "", "image_tag": "",
			"scheme": "https", "weight": "100", "healthy": "true",
			"metadata_version": "7", "metadata_instance_id": "p1", "metadata_a_b": "2", "metadata_gr__e": "\ufffd",
		},
	}
	for target, labels := range tests {
		want := make(map[string]string)
		for name, value := range labels {
			want["__meta_wedsync_"+name] = value
		}
		if !maps.Equal(targets[target], want) {
			t.Errorf("labels of %s\n%v, want\n%v", target, targets[target], want)
		}
	}
}
