package discovery_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/wedsync/terraform-provider-wedsync/daemon/discovery"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// consul is Consul's own client of the server.
func consul(t *testing.T, server *httptest.Server) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: server.URL, Datacenter: "wedsync"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestConsulServices(t *testing.T) {
	d := directory(fixture()...)
	tests := []struct {
		name         string
		environments []string
		options      api.QueryOptions
		want         map[string][]string
	}{
		{"all", everywhere, api.QueryOptions{}, map[string][]string{
			"api.staging":     {"environment=staging", "team=guests", "traefik.enable=true", "version=v1", "version=v2"},
			"api.production":  {"environment=production", "version=v1"},
			"mail.production": {"a-b=2", "a.b=1", "environment=production", "größe=\ufffd", "version=7"},
		}},
		{"a principal of one environment", []string{"staging"}, api.QueryOptions{}, map[string][]string{
			"api.staging": {"environment=staging", "team=guests", "traefik.enable=true", "version=v1", "version=v2"},
		}},
		{"node metadata", everywhere, api.QueryOptions{NodeMeta: map[string]string{"environment": "staging"}, AllowStale: true}, map[string][]string{
			"api.staging": {"environment=staging", "team=guests", "traefik.enable=true", "version=v1", "version=v2"},
		}},
		{"other node metadata", everywhere, api.QueryOptions{NodeMeta: map[string]string{"rack": "1"}, RequireConsistent: true}, map[string][]string{}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			services, meta, err := consul(t, serve(t, d, tc.environments)).Catalog().Services(&tc.options)
			if err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(services, tc.want, slices.Equal) {
				t.Errorf("services\n%v, want\n%v", services, tc.want)
			}
			if meta.LastIndex == 0 || !meta.KnownLeader {
				t.Errorf("meta %+v", meta)
			}
		})
	}
}

func TestConsulHealth(t *testing.T) {
	d := directory(fixture()...)
	tests := []struct {
		name    string
		service string
		tags    []string
		passing bool
		want    []string
	}{
		{"all", "api.staging", nil, false, []string{"a1 passing", "a2 critical"}},
		{"those that pass", "api.staging", nil, true, []string{"a1 passing"}},
		{"a tag", "api.staging", []string{"version=v2"}, false, []string{"a2 critical"}},
		{"a tag in other letters", "api.staging", []string{"Version=V2"}, false, []string{"a2 critical"}},
		{"two tags", "api.staging", []string{"environment=staging", "version=v1"}, false, []string{"a1 passing"}},
		{"two tags of two endpoints", "api.staging", []string{"team=guests", "version=v2"}, false, nil},
		{"metadata that lies", "api.staging", []string{"environment=production"}, false, nil},
		{"a service whose endpoints rest", "web.staging", nil, false, nil},
		{"no service", "db.staging", nil, false, nil},
		{"a service without its environment", "api", nil, false, nil},
	}
	client := consul(t, serve(t, d, everywhere))
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			entries, _, err := client.Health().ServiceMultipleTags(tc.service, tc.tags, tc.passing, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				got = append(got, e.Service.ID+" "+e.Checks.AggregatedStatus())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("entries %v, want %v", got, tc.want)
			}
		})
	}
}

func TestConsulEntries(t *testing.T) {
	client := consul(t, serve(t, directory(fixture()...), everywhere))
	for service, want := range map[string]struct {
		id, address string
		port        int
		weight      int
		meta        map[string]string
		tags        []string
	}{
		"api.staging": {"a1", "172.18.0.4", 8080, 100, map[string]string{
			"service": "api", "environment": "staging", "scheme": "http", "version": "v1", "instance_id": "a1", "deployment_id": "d1",
			"team": "guests", "traefik.enable": "true",
		}, []string{"environment=staging", "version=v1", "team=guests", "traefik.enable=true"}},
		"mail.production": {"x1", "mail.example.com", 443, 100, map[string]string{
			"service": "mail", "environment": "production", "scheme": "https", "version": "7", "a.b": "1", "a-b": "2", "größe": "\ufffd",
		}, []string{"environment=production", "a-b=2", "a.b=1", "größe=\ufffd", "version=7"}},
	} {
		entries, _, err := client.Health().Service(service, "", false, nil)
		if err != nil || len(entries) == 0 {
			t.Fatalf("entries %v, %v", entries, err)
		}
		node, s, check := entries[0].Node, entries[0].Service, entries[0].Checks[0]
		if node.Node != want.id || node.ID != want.id || node.Address != want.address || node.Datacenter != "wedsync" {
			t.Errorf("node %+v", node)
		}
		if s.ID != want.id || s.Service != service || s.Address != want.address || s.Port != want.port ||
			s.Weights.Passing != want.weight || !maps.Equal(s.Meta, want.meta) || !slices.Equal(s.Tags, want.tags) {
			t.Errorf("service %+v", s)
		}
		if check.ServiceID != want.id || check.ServiceName != service || check.Node != want.id || check.CheckID != "service:"+want.id {
			t.Errorf("check %+v", check)
		}
		// Traefik takes the two lists for parallel, or joins them by node and service.
		catalog, _, err := client.Catalog().Service(service, "", nil)
		if err != nil || len(catalog) != len(entries) {
			t.Fatalf("catalog %v, %v", catalog, err)
		}
		for k, c := range catalog {
			e := entries[k]
			if c.ID != e.Node.ID || c.Node != e.Node.Node || c.ServiceID != e.Service.ID || c.ServiceName != e.Service.Service ||
				c.Address != e.Node.Address || c.ServiceAddress != e.Service.Address || c.ServicePort != e.Service.Port ||
				!slices.Equal(c.ServiceTags, e.Service.Tags) || !maps.Equal(c.ServiceMeta, e.Service.Meta) ||
				c.ServiceWeights.Passing != e.Service.Weights.Passing || c.Datacenter != "wedsync" {
				t.Errorf("catalog has\n%+v, health has\n%+v %+v", c, e.Node, e.Service)
			}
		}
	}
}

func TestConsulLists(t *testing.T) {
	client := consul(t, serve(t, directory(fixture()...), []string{"staging"}))
	nodes, _, err := client.Catalog().Nodes(nil)
	if err != nil || len(nodes) != 2 || nodes[0].Node != "a1" || nodes[1].Node != "a2" {
		t.Errorf("nodes %v, %v", nodes, err)
	}
	for state, want := range map[string]int{api.HealthAny: 2, api.HealthPassing: 1, api.HealthWarning: 0, api.HealthCritical: 1} {
		if checks, _, err := client.Health().State(state, nil); err != nil || len(checks) != want {
			t.Errorf("checks that are %s: %v, %v, want %d", state, checks, err, want)
		}
	}
	datacenters, err := client.Catalog().Datacenters()
	if err != nil || !slices.Equal(datacenters, []string{"wedsync"}) {
		t.Errorf("datacenters %v, %v", datacenters, err)
	}
	self, err := client.Agent().Self()
	if err != nil || self["Config"]["Datacenter"] != "wedsync" {
		t.Errorf("self %v, %v", self, err)
	}
	leader, err := client.Status().Leader()
	if err != nil || leader == "" {
		t.Errorf("leader %q, %v", leader, err)
	}
}

func TestConsulBadParameters(t *testing.T) {
	server := serve(t, directory(fixture()...), everywhere)
	for _, tc := range []struct{ query, says string }{
		{"index=x", "invalid index"},
		{"index=-1", "invalid index"},
		{"wait=soon", "invalid wait time"},
		{"wait=-1s", "invalid wait time"},
		{"passing=maybe", "passing"},
		{"node-meta=rack", "KEY:VALUE"},
		{"dc=dc1", `the only one is "wedsync"`},
		{"filter=Service.Port==80", "tag or node-meta"},
		{"ns=team", "SERVICE.ENVIRONMENT"},
		{"partition=team", "SERVICE.ENVIRONMENT"},
		{"peer=team", "SERVICE.ENVIRONMENT"},
	} {
		resp, body := get(t, server.URL+"/v1/health/service/api.staging?"+tc.query)
		if resp.StatusCode != http.StatusBadRequest || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") || !strings.Contains(body, tc.says) {
			t.Errorf("%s: %d %s", tc.query, resp.StatusCode, body)
		}
	}
	for _, query := range []string{"dc=wedsync", "ns=default", "stale", "consistent", "cached", "near=_agent", "passing", "passing=false", "pretty", "index=0&wait=1h", "index=5", "tag=", "wait=999h"} {
		if resp, body := get(t, server.URL+"/v1/health/service/api.staging?"+query); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", query, resp.StatusCode, body)
		}
	}
	if resp, body := get(t, server.URL+"/v1/health/state/sick"); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "no state") {
		t.Errorf("state sick: %d %s", resp.StatusCode, body)
	}
}

// TestBlockingQuery: a query that waits is answered by the change that it waits
// for, by no other, and in any case when its time is over.
func TestBlockingQuery(t *testing.T) {
	api1, web := instance("a1", "api", "staging", "http://172.18.0.4:8080"), instance("w1", "web", "staging", "http://172.18.0.5:80")
	sick := func(e fleet.Endpoint) fleet.Endpoint { return with(e, func(e *fleet.Endpoint) { e.Healthy = false }) }
	d := directory(api1, web)
	health := consul(t, serve(t, d, everywhere)).Health()
	_, first, err := health.Service("api.staging", "", true, nil)
	if err != nil {
		t.Fatal(err)
	}

	type answer struct {
		entries []*api.ServiceEntry
		meta    *api.QueryMeta
		err     error
	}
	answered := make(chan answer, 1)
	go func() {
		entries, meta, err := health.Service("api.staging", "", true, &api.QueryOptions{WaitIndex: first.LastIndex, WaitTime: time.Minute})
		answered <- answer{entries, meta, err}
	}()
	awaitWaiters(t, d, 1)
	d.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{api1, sick(web)}})
	select {
	case a := <-answered:
		t.Fatalf("a change of another service ended the query: %+v", a)
	case <-time.After(100 * time.Millisecond):
	}
	d.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{sick(api1), sick(web)}})
	a := <-answered
	if a.err != nil || len(a.entries) != 0 || a.meta.LastIndex <= first.LastIndex {
		t.Fatalf("after the change: %v, %+v, %v", a.entries, a.meta, a.err)
	}

	began := time.Now()
	_, meta, err := health.Service("api.staging", "", true, &api.QueryOptions{WaitIndex: a.meta.LastIndex, WaitTime: 200 * time.Millisecond})
	if took := time.Since(began); err != nil || meta.LastIndex != a.meta.LastIndex || took < 200*time.Millisecond {
		t.Errorf("without a change: %+v, %v after %s", meta, err, took)
	}
}

// awaitWaiters waits until that many queries wait.
func awaitWaiters(t *testing.T, d *discovery.Directory, n int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); discovery.Waiters(d) != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d queries wait, want %d", discovery.Waiters(d), n)
		}
	}
}

// TestBlockingQueriesEnd: registered and deregistered services, an index of another
// daemon, and the end of this one all answer a query that waits.
func TestBlockingQueriesEnd(t *testing.T) {
	one := instance("a1", "api", "staging", "http://172.18.0.4:8080")
	tests := []struct {
		name, path string
		before     []fleet.Endpoint
		act        func(*discovery.Directory)
	}{
		{"a service comes", "/v1/health/service/api.staging", nil, func(d *discovery.Directory) { d.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{one}}) }},
		{"a service goes", "/v1/catalog/service/api.staging", []fleet.Endpoint{one}, func(d *discovery.Directory) { d.Receive(fleet.Traffic{}) }},
		{"the list of services", "/v1/catalog/services", []fleet.Endpoint{one}, func(d *discovery.Directory) { d.Receive(fleet.Traffic{}) }},
		{"the list of nodes", "/v1/catalog/nodes", nil, func(d *discovery.Directory) { d.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{one}}) }},
		{"checks", "/v1/health/state/any", []fleet.Endpoint{one}, func(d *discovery.Directory) {
			d.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{with(one, func(e *fleet.Endpoint) { e.Healthy = false })}})
		}},
		{"the daemon ends", "/v1/catalog/services", nil, (*discovery.Directory).Close},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := directory(tc.before...)
			server := serve(t, d, []string{"staging"})
			resp, _ := get(t, server.URL+tc.path)
			index := resp.Header.Get("X-Consul-Index")
			done := make(chan string, 1)
			go func() {
				resp, _ := get(t, server.URL+tc.path+"?wait=1m&index="+index)
				done <- resp.Header.Get("X-Consul-Index")
			}()
			awaitWaiters(t, d, 1)
			tc.act(d)
			select {
			case got := <-done:
				if was, is := number(t, index), number(t, got); is < was || (is == was && tc.name != "the daemon ends") {
					t.Errorf("index %d after %d", is, was)
				}
			case <-time.After(10 * time.Second):
				t.Error("the query still waits")
			}
		})
	}
}

func number(t *testing.T, index string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(index, 10, 64)
	if err != nil || n == 0 {
		t.Errorf("index %q: %v", index, err)
	}
	return n
}

// TestIndexAfterRestart: the index that a client kept from an earlier daemon is
// never that of a later one, so that it cannot wait for a change that it missed.
func TestIndexAfterRestart(t *testing.T) {
	early := directory(fixture()...)
	resp, _ := get(t, serve(t, early, everywhere).URL+"/v1/catalog/services")
	kept := resp.Header.Get("X-Consul-Index")
	for began := time.Now().UnixMilli(); time.Now().UnixMilli() == began; { // a daemon takes longer to come back
		runtime.Gosched()
	}
	server := serve(t, directory(), everywhere)
	for _, index := range []string{kept, "18446744073709551615", "1"} {
		resp, body := get(t, server.URL+"/v1/catalog/services?wait=1m&index="+index)
		if got := resp.Header.Get("X-Consul-Index"); body != "{}" || number(t, got) <= number(t, kept) {
			t.Errorf("index %s gets %s with index %s", index, body, got)
		}
	}
}

// TestBlockingQueryOutlivesTimeLimits: the server's limits for ordinary requests
// do not end a query that may wait longer.
func TestBlockingQueryOutlivesTimeLimits(t *testing.T) {
	d := directory()
	handler := d.Handler()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(fleet.AsSystem(r.Context())))
	}))
	server.Config.ReadTimeout, server.Config.WriteTimeout = time.Second, time.Second
	server.Start()
	t.Cleanup(server.Close)
	resp, _ := get(t, server.URL+"/v1/catalog/services")
	began := time.Now()
	resp, body := get(t, server.URL+"/v1/catalog/services?wait=1500ms&index="+resp.Header.Get("X-Consul-Index"))
	if took := time.Since(began); resp.StatusCode != http.StatusOK || body != "{}" || took < 1500*time.Millisecond {
		t.Errorf("answer %d %s after %s, want {} after 1.5 s", resp.StatusCode, body, took)
	}
}

// TestBlockingQueryOfNobody: a client that goes away is not waited for.
func TestBlockingQueryOfNobody(t *testing.T) {
	d := directory()
	server := serve(t, d, everywhere)
	resp, _ := get(t, server.URL+"/v1/catalog/services")
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/catalog/services?wait=10m&index="+resp.Header.Get("X-Consul-Index"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	awaitWaiters(t, d, 1)
	cancel()
	if err := <-failed; err == nil {
		t.Error("the query was answered")
	}
	awaitWaiters(t, d, 0)
}
