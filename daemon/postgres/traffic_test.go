package postgres_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
)

// externalID is that of the endpoint that external writes.
const externalID = "00000000-0000-7000-9000-000000000401"

// external registers an endpoint of service "api" in staging that wedsyncd does not run.
func external(t *testing.T, url string) {
	t.Helper()
	exec(t, connect(t, url), `INSERT INTO service_registry (id, service_name, environment, endpoint_url, metadata, ttl_seconds)
		VALUES ('`+externalID+`', 'api', 'staging', 'http://10.9.0.1:8080', '{"zone": "eu", "rack": "7"}', 90)`)
}

// changed applies a change to an instance.
func changed(t *testing.T, s *postgres.Store, id string, f func(*fleet.Instance)) {
	t.Helper()
	if _, err := s.UpdateInstance(system(t), id, change(f)); err != nil {
		t.Fatalf("update instance: %v", err)
	}
}

// answering makes an instance run and healthy.
func answering(t *testing.T, s *postgres.Store, id string) {
	t.Helper()
	running(t, s, id, testTime)
	changed(t, s, id, func(i *fleet.Instance) { i.Health, i.HealthySince = fleet.HealthHealthy, &testTime })
}

func endpoints(t *testing.T, s *postgres.Store, f fleet.EndpointFilter) []fleet.Endpoint {
	t.Helper()
	got, err := s.Endpoints(system(t), f)
	if err != nil {
		t.Fatalf("list endpoints: %v", err)
	}
	return got
}

// TestRegistration follows an instance through its life in the registry.
func TestRegistration(t *testing.T) {
	s, _ := open(t)
	d := deploymentIn(t, s, "staging")
	i := added(t, s, newInstance(d, 1))[0]
	steps := []struct {
		name    string
		do      func(*fleet.Instance)
		there   bool
		healthy bool
	}{
		{"started", func(i *fleet.Instance) {
			i.Current, i.StartedAt, i.IPAddress = fleet.StatusRunning, &testTime, "172.18.0.2"
		}, false, false},
		{"healthy", func(i *fleet.Instance) { i.Health = fleet.HealthHealthy }, true, true},
		{"unhealthy", func(i *fleet.Instance) { i.Health = fleet.HealthUnhealthy }, true, false},
		{"healthy again", func(i *fleet.Instance) { i.Health = fleet.HealthHealthy }, true, true},
		{"exited", func(i *fleet.Instance) { i.Current = fleet.StatusFailed }, true, false},
		{"back", func(i *fleet.Instance) { i.Current = fleet.StatusRunning }, true, true},
		{"draining", func(i *fleet.Instance) { i.DrainingSince = &testTime }, false, false},
		{"kept after all", func(i *fleet.Instance) { i.DrainingSince = nil }, true, true},
		{"terminated", func(i *fleet.Instance) { i.Current = fleet.StatusTerminated }, false, false},
	}
	for _, step := range steps {
		changed(t, s, i.ID, step.do)
		got := endpoints(t, s, fleet.EndpointFilter{})
		if len(got) > 0 != step.there || step.there && got[0].Healthy != step.healthy {
			t.Errorf("%s: %+v, want it there: %t, healthy: %t", step.name, got, step.there, step.healthy)
		}
	}
}

func TestEndpoint(t *testing.T) {
	s, db := open(t)
	d := deploymentIn(t, s, "staging")
	i := added(t, s, newInstance(d, 1))[0]
	answering(t, s, i.ID)
	external(t, db.OwnerURL)
	got := endpoints(t, s, fleet.EndpointFilter{})
	if len(got) != 2 {
		t.Fatalf("endpoints are %+v, want two", got)
	}
	slices.SortFunc(got, func(a, b fleet.Endpoint) int { return len(b.InstanceID) - len(a.InstanceID) })
	want := []fleet.Endpoint{
		{
			ID: i.ID, ServiceName: "api", Environment: "staging", URL: "http://172.18.0.2:8080", HealthCheckURL: "http://172.18.0.2:8081/health",
			Healthy: true, Weight: fleet.MaxWeight, Metadata: map[string]string{}, InstanceID: i.ID, DefinitionID: i.DefinitionID,
			DeploymentID: d.ID, ImageTag: "v1", RegisteredAt: got[0].RegisteredAt, LastHeartbeat: testTime,
		},
		{
			ID: externalID, ServiceName: "api", Environment: "staging", URL: "http://10.9.0.1:8080", Healthy: true, Weight: fleet.MaxWeight,
			Metadata: map[string]string{"zone": "eu", "rack": "7"}, RegisteredAt: got[1].RegisteredAt, LastHeartbeat: got[1].LastHeartbeat, TTL: 90 * time.Second,
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("endpoints are\n%+v, want\n%+v", got, want)
	}
	changed(t, s, i.ID, func(i *fleet.Instance) { i.IPAddress = "fd00::2" })
	if got := endpoints(t, s, fleet.EndpointFilter{DeploymentID: d.ID})[0]; got.URL != "http://[fd00::2]:8080" || got.HealthCheckURL != "http://[fd00::2]:8081/health" {
		t.Errorf("at an address of IPv6: %+v", got)
	}
}

// TestEndpointsHealthCheckURL: only what is checked by HTTP has one, and a check
// that was stored before there were types is such a one.
func TestEndpointsHealthCheckURL(t *testing.T) {
	s, _ := open(t)
	for name, tt := range map[string]struct {
		check fleet.HealthCheck
		want  string
	}{
		"old":     {fleet.HealthCheck{Endpoint: "/health"}, "http://172.18.0.2:8080/health"},
		"http":    {fleet.HealthCheck{Type: "http", Endpoint: "/health", Port: 9090}, "http://172.18.0.2:9090/health"},
		"tcp":     {fleet.HealthCheck{Type: "tcp"}, ""},
		"command": {fleet.HealthCheck{Type: "command", Command: []string{"/check"}}, ""},
		"image":   {fleet.HealthCheck{Type: "image"}, ""},
	} {
		checked := spec(name)
		tt.check.Interval, tt.check.Timeout, tt.check.Retries = 5, 1, 3
		checked.HealthCheck = &tt.check
		d, err := s.CreateDefinition(system(t), fleet.Definition{Spec: checked}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if read, err := s.Definition(system(t), d.ID); err != nil || !reflect.DeepEqual(read.HealthCheck, checked.HealthCheck) {
			t.Errorf("%s: the check is read as %+v, %v", name, read.HealthCheck, err)
		}
		i := added(t, s, newInstance(deployed(t, s, d, "staging"), 1))[0]
		answering(t, s, i.ID)
		got := slices.DeleteFunc(endpoints(t, s, fleet.EndpointFilter{}), func(e fleet.Endpoint) bool { return e.InstanceID != i.ID })
		if len(got) != 1 || got[0].HealthCheckURL != tt.want || got[0].URL != "http://172.18.0.2:8080" {
			t.Errorf("%s: endpoints are %+v, want the URL %q", name, got, tt.want)
		}
	}
	targets, err := s.HealthTargets(system(t))
	if err != nil || len(targets) != 5 {
		t.Errorf("%d targets, %v; want all of them checked", len(targets), err)
	}
}

// TestUnreachableInstances: what has no port is no endpoint.
func TestUnreachableInstances(t *testing.T) {
	s, _ := open(t)
	portless := spec("worker")
	portless.Network, portless.HealthCheck = fleet.NetworkConfig{}, nil
	d, err := s.CreateDefinition(system(t), fleet.Definition{Spec: portless}, nil)
	if err != nil {
		t.Fatal(err)
	}
	answering(t, s, added(t, s, newInstance(deployed(t, s, d, "staging"), 1))[0].ID)
	if got := endpoints(t, s, fleet.EndpointFilter{}); len(got) != 0 {
		t.Errorf("endpoints are %+v", got)
	}
}

func TestEndpointFilter(t *testing.T) {
	s, db := open(t)
	api, web := createDefinition(t, s, "api"), createDefinition(t, s, "web")
	staging, production := deployed(t, s, api, "staging"), deployed(t, s, web, "production")
	production.ImageTag = "v2"
	a, b := added(t, s, newInstance(staging, 1))[0].ID, added(t, s, newInstance(production, 1))[0].ID
	answering(t, s, a)
	answering(t, s, b)
	external(t, db.OwnerURL)
	changed(t, s, b, func(i *fleet.Instance) { i.Health = fleet.HealthUnhealthy })
	yes, no := true, false
	for name, tt := range map[string]struct {
		filter fleet.EndpointFilter
		want   []string
	}{
		"all":          {fleet.EndpointFilter{}, []string{externalID, a, b}},
		"service":      {fleet.EndpointFilter{ServiceName: "api"}, []string{externalID, a}},
		"environment":  {fleet.EndpointFilter{Environment: "production"}, []string{b}},
		"healthy":      {fleet.EndpointFilter{Healthy: &yes}, []string{externalID, a}},
		"unhealthy":    {fleet.EndpointFilter{Healthy: &no}, []string{b}},
		"image tag":    {fleet.EndpointFilter{ImageTag: "v2"}, []string{b}},
		"deployment":   {fleet.EndpointFilter{DeploymentID: staging.ID}, []string{a}},
		"metadata":     {fleet.EndpointFilter{Metadata: map[string]string{"zone": "eu"}}, []string{externalID}},
		"all metadata": {fleet.EndpointFilter{Metadata: map[string]string{"zone": "eu", "rack": "8"}}, nil},
		"both":         {fleet.EndpointFilter{ServiceName: "web", Healthy: &yes}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range endpoints(t, s, tt.filter) {
				got = append(got, e.ID)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("listed %v, want %v", got, tt.want)
			}
		})
	}
	if got, err := s.Endpoints(as(t, s, monitoring, "production"), fleet.EndpointFilter{}); err != nil || len(got) != 1 || got[0].ID != b {
		t.Errorf("monitoring of production sees %+v, %v", got, err)
	}
}

// TestSetWeight: a weight stays with its instance, and every change is in the trail.
func TestSetWeight(t *testing.T) {
	s, db := open(t)
	i := checkedInstance(t, s)
	answering(t, s, i.ID)
	external(t, db.OwnerURL)
	actor := as(t, s, devops, "staging")
	for range 2 { // under one key, once
		got, err := s.SetWeight(keyed(actor, "k", "30"), "api", i.ID, 30, "cold")
		if err != nil || got.Weight != 30 || got.ID != i.ID {
			t.Fatalf("weighed %+v, %v", got, err)
		}
	}
	for _, health := range []fleet.Health{fleet.HealthUnhealthy, fleet.HealthHealthy} {
		changed(t, s, i.ID, func(i *fleet.Instance) { i.Health = health })
	}
	changed(t, s, i.ID, func(i *fleet.Instance) { i.DrainingSince = &testTime })
	changed(t, s, i.ID, func(i *fleet.Instance) { i.DrainingSince = nil })
	if got := endpoints(t, s, fleet.EndpointFilter{DeploymentID: i.DeploymentID}); len(got) != 1 || got[0].Weight != 30 {
		t.Errorf("after it went and came it is %+v, want weight 30", got)
	}
	if got, err := s.SetWeight(actor, "api", externalID, 0, ""); err != nil || got.Weight != 0 || !got.External() {
		t.Errorf("weighed %+v, %v", got, err)
	}
	events, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventWeightChanged}, fleet.Page{})
	if err != nil || len(events.Items) != 2 {
		t.Fatalf("events are %+v, %v; want two", events.Items, err)
	}
	for n, want := range []map[string]any{
		{"service_name": "api", "from": 100.0, "to": 0.0, "reason": "", "endpoint_url": "http://10.9.0.1:8080"},
		{"service_name": "api", "from": 100.0, "to": 30.0, "reason": "cold"},
	} {
		if e := events.Items[n]; !reflect.DeepEqual(e.Data, want) || e.Environment != "staging" || (n == 1) != (e.InstanceID == i.ID && e.DeploymentID == i.DeploymentID) {
			t.Errorf("event %d is %+v, want %v", n, e, want)
		}
	}
}

func TestSetWeightOfNothing(t *testing.T) {
	s, db := open(t)
	i := checkedInstance(t, s) // runs, and has never been healthy
	external(t, db.OwnerURL)
	_, err := s.SetWeight(system(t), "api", i.ID, 5, "")
	wantKind(t, err, fleet.ErrNotFound)
	_, err = s.SetWeight(system(t), "web", externalID, 5, "")
	wantKind(t, err, fleet.ErrNotFound)
	_, err = s.SetWeight(as(t, s, devops, "production"), "api", externalID, 5, "")
	wantKind(t, err, fleet.ErrNotFound)
	if got := eventTypes(t, s, fleet.EventFilter{Type: fleet.EventWeightChanged}); len(got) != 0 {
		t.Errorf("events are %v", got)
	}
}

func TestTraffic(t *testing.T) {
	s, _ := open(t)
	d := deploymentIn(t, s, "staging")
	rows := added(t, s, newInstance(d, 1), newInstance(d, 2), newInstance(d, 3))
	for _, i := range rows {
		answering(t, s, i.ID)
	}
	changed(t, s, rows[1].ID, func(i *fleet.Instance) { i.DrainingSince = &testTime })
	changed(t, s, rows[2].ID, func(i *fleet.Instance) { i.DrainingSince, i.Current = &testTime, fleet.StatusStopped })
	route := createRoute(t, s, routeOf("shop"))
	weigh := func(weight int) {
		_, err := s.UpdateDeployment(system(t), d.ID, func(d *fleet.Deployment) ([]fleet.Event, error) {
			d.State.Weight = &weight
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	weigh(10)
	got, err := s.Traffic(system(t))
	want := fleet.Traffic{
		Services:  []fleet.Service{{Name: d.Spec.ServiceName, Environment: "staging"}},
		Endpoints: endpoints(t, s, fleet.EndpointFilter{}), Draining: []string{rows[1].ID},
		Splits: []fleet.Split{{DefinitionID: d.DefinitionID, Environment: "staging", DeploymentID: d.ID, Weight: 10}},
		Routes: []fleet.Route{route},
	}
	if err != nil || len(got.Endpoints) != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("traffic is %+v, %v; want %+v", got, err, want)
	}
	completed(t, s, d.ID)
	if got, err := s.Traffic(system(t)); err != nil || len(got.Splits) != 0 {
		t.Errorf("a deployment that is over splits %+v, %v", got.Splits, err)
	}
}

// TestDrained: an instance is drained when every follower that is there has let go of it.
func TestDrained(t *testing.T) {
	s, db := open(t)
	owner := connect(t, db.OwnerURL)
	i := checkedInstance(t, s)
	answering(t, s, i.ID)
	w := fleet.Workload{DefinitionID: i.DefinitionID, Environment: i.Environment}
	follow := func() string {
		id := uuid.NewString()
		if err := s.Follow(system(t), id, "a daemon"); err != nil {
			t.Fatal(err)
		}
		return id
	}
	one, two := follow(), follow()
	letGo := func(follower string) {
		t.Helper()
		if err := s.RecordDrained(system(t), follower, []string{i.ID, definitionID}); err != nil {
			t.Fatal(err)
		}
	}
	drained := func(after string, want bool) {
		t.Helper()
		state, err := s.LoadWorkload(system(t), w)
		if err != nil || len(state.Instances) != 1 || state.Instances[0].Drained != want {
			t.Errorf("%s: %+v, %v; want it drained: %t", after, state.Instances, err, want)
		}
	}
	letGo(one)
	drained("before it drains", false)
	changed(t, s, i.ID, func(i *fleet.Instance) { i.DrainingSince = &testTime })
	drained("when it drains", false)
	letGo(one)
	letGo(one)
	drained("one of two has let go", false)
	letGo(two)
	drained("both have let go", true)
	three := follow()
	drained("a third has come", false)
	exec(t, owner, `UPDATE traffic_followers SET seen_at = now() - interval '16 seconds' WHERE id = $1`, three)
	drained("the third is not seen any more", true)
	if err := s.Follow(system(t), three, "a daemon"); err != nil {
		t.Fatal(err)
	}
	drained("the third is back", false)
	if err := s.Unfollow(system(t), three); err != nil {
		t.Fatal(err)
	}
	drained("the third has gone", true)
	changed(t, s, i.ID, func(i *fleet.Instance) { i.DrainingSince = nil })
	changed(t, s, i.ID, func(i *fleet.Instance) { i.DrainingSince = &testTime })
	drained("it drains anew", false)
}

func TestLoads(t *testing.T) {
	s, db := open(t)
	follower, now := uuid.NewString(), time.Now().UTC().Truncate(time.Microsecond)
	load := fleet.Load{
		ServiceName: "api", Environment: "staging", EndpointID: externalID, RequestRate: 12.5, ErrorRate: 0.5,
		InFlight: 3, P50: 1.5, P95: 9, P99: 20, MeasuredAt: now,
	}
	newer := load
	newer.RequestRate, newer.MeasuredAt = 20, now.Add(time.Second)
	for _, loads := range [][]fleet.Load{{load}, {newer}, nil} {
		if err := s.RecordLoads(system(t), follower, loads); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Loads(system(t))
	for n := range got {
		got[n].MeasuredAt = got[n].MeasuredAt.UTC()
	}
	if err != nil || !reflect.DeepEqual(got, []fleet.Load{newer}) {
		t.Errorf("loads are %+v, %v; want the newest of each balancer and endpoint, %+v", got, err, newer)
	}
	other := uuid.NewString()
	if err := s.RecordLoads(system(t), other, []fleet.Load{load}); err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, db.OwnerURL), `UPDATE balancer_loads SET measured_at = now() - interval '11 seconds' WHERE follower_id = $1`, follower)
	if got, err := s.Loads(system(t)); err != nil || len(got) != 1 || got[0].RequestRate != 12.5 {
		t.Errorf("loads are %+v, %v; want those of the last seconds", got, err)
	}
	if got, err := s.Loads(as(t, s, developer, "production")); err != nil || len(got) != 0 {
		t.Errorf("production sees %+v, %v", got, err)
	}
}

// TestTrafficChanges: what decides where requests go is told when it changes.
func TestTrafficChanges(t *testing.T) {
	s, db := open(t)
	d := deploymentIn(t, s, "staging")
	i := added(t, s, newInstance(d, 1))[0]
	running(t, s, i.ID, testTime)
	changes := s.TrafficChanges(t.Context())
	listening(t, db.OwnerURL)
	// Each tells once, as it is one transaction: nothing is left over for the next.
	told := func(what string) {
		t.Helper()
		receive(t, what, changes)
	}
	changed(t, s, i.ID, func(i *fleet.Instance) { i.Health = fleet.HealthHealthy })
	told("a verdict")
	if _, err := s.SetWeight(system(t), "api", i.ID, 7, ""); err != nil {
		t.Fatal(err)
	}
	told("a weight")
	changed(t, s, i.ID, func(i *fleet.Instance) { i.DrainingSince = &testTime })
	told("draining")
	if _, err := s.UpdateDeployment(system(t), d.ID, func(d *fleet.Deployment) ([]fleet.Event, error) {
		d.State.Weight = new(8)
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	told("a share")
	r := createRoute(t, s, routeOf("shop"))
	told("a new route")
	if err := s.DeleteRoute(system(t), r.ID); err != nil {
		t.Fatal(err)
	}
	told("a route that is gone")
}
