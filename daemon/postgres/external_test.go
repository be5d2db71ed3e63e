package postgres_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
)

func externalEndpoint() fleet.Endpoint {
	return fleet.Endpoint{
		ServiceName: "api", Environment: "staging", URL: "http://10.9.0.7:8080", HealthCheckURL: "http://10.9.0.7:8080/health",
		Healthy: true, Weight: 50, Metadata: map[string]string{"zone": "eu"}, TTL: 30 * time.Second,
	}
}

func registeredEndpoint(t *testing.T, s *postgres.Store, e fleet.Endpoint) fleet.Endpoint {
	t.Helper()
	got, err := s.RegisterEndpoint(system(t), e)
	if err != nil {
		t.Fatalf("register endpoint: %v", err)
	}
	return got
}

func endpointByID(t *testing.T, s *postgres.Store, id string) fleet.Endpoint {
	t.Helper()
	e, err := s.Endpoint(system(t), id)
	if err != nil {
		t.Fatalf("read endpoint: %v", err)
	}
	return e
}

// trailOf are the events of external endpoints, oldest first.
func trailOf(t *testing.T, s *postgres.Store) []fleet.Event {
	t.Helper()
	page, err := s.ListEvents(system(t), fleet.EventFilter{Environment: "staging"}, fleet.Page{})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(page.Items)
	return page.Items
}

// TestRegisterEndpoint: the same service, environment and URL are the same endpoint.
func TestRegisterEndpoint(t *testing.T) {
	s, db := open(t)
	owner := connect(t, db.OwnerURL)
	actor, want := as(t, s, devops, "staging"), externalEndpoint()
	first, err := s.RegisterEndpoint(keyed(actor, "k", "1"), want)
	want.ID, want.RegisteredAt, want.LastHeartbeat = first.ID, first.RegisteredAt, first.LastHeartbeat
	if err != nil || first.ID == "" || !reflect.DeepEqual(first, want) {
		t.Fatalf("registered %+v, %v; want %+v", first, err, want)
	}
	if again, err := s.RegisterEndpoint(keyed(actor, "k", "1"), externalEndpoint()); err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("under the same key %+v, %v", again, err)
	}
	exec(t, owner, `UPDATE service_registry SET is_healthy = false, last_heartbeat = now() - interval '1 hour'`)
	renewed, err := s.RegisterEndpoint(actor, externalEndpoint())
	if err != nil || renewed.ID != first.ID || !renewed.Healthy || renewed.LastHeartbeat.Before(first.LastHeartbeat) || !renewed.RegisteredAt.Equal(first.RegisteredAt) {
		t.Errorf("renewed %+v, %v; want it as it was, and heard of", renewed, err)
	}
	if _, err := s.RegisterEndpoint(actor, externalEndpoint()); err != nil {
		t.Error(err)
	}
	other := externalEndpoint()
	other.Weight, other.Metadata, other.HealthCheckURL, other.TTL = 0, nil, "", time.Hour
	replaced, err := s.RegisterEndpoint(actor, other)
	if err != nil || replaced.ID != first.ID || replaced.Weight != 0 || len(replaced.Metadata) != 0 || replaced.HealthCheckURL != "" || replaced.TTL != time.Hour {
		t.Errorf("replaced by %+v, %v", replaced, err)
	}
	elsewhere := externalEndpoint()
	elsewhere.ServiceName = "web"
	if got := registeredEndpoint(t, s, elsewhere); got.ID == first.ID {
		t.Error("two services share an endpoint")
	}
	var got []map[string]any
	for _, e := range trailOf(t, s) {
		if e.Type != fleet.EventEndpointRegistered || e.Environment != "staging" {
			t.Errorf("event %+v", e)
		}
		got = append(got, map[string]any{"renewed": e.Data["renewed"], "weight": e.Data["load_balancer_weight"], "service": e.Data["service_name"], "url": e.Data["endpoint_url"]})
	}
	const url = "http://10.9.0.7:8080"
	wanted := []map[string]any{
		{"renewed": false, "weight": 50.0, "service": "api", "url": url},
		{"renewed": true, "weight": 50.0, "service": "api", "url": url}, // it was not healthy
		{"renewed": true, "weight": 0.0, "service": "api", "url": url},
		{"renewed": false, "weight": 50.0, "service": "web", "url": url},
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("events %v, want %v: what changes nothing is none", got, wanted)
	}
}

func TestRegisterEndpointAtTheSameTime(t *testing.T) {
	s, _ := open(t)
	var group sync.WaitGroup
	ids := make([]string, 16)
	for n := range ids {
		group.Go(func() {
			e, err := s.RegisterEndpoint(system(t), externalEndpoint())
			if err != nil {
				t.Error(err)
			}
			ids[n] = e.ID
		})
	}
	group.Wait()
	if n := len(slices.Compact(ids)); n != 1 {
		t.Errorf("%d identifiers for one endpoint", n)
	}
}

func TestRegisterEndpointIsForManagers(t *testing.T) {
	s, _ := open(t)
	id := registeredEndpoint(t, s, externalEndpoint()).ID
	for role, want := range map[fleet.Role]error{admin: nil, devops: nil, developer: fleet.ErrForbidden, monitoring: fleet.ErrForbidden} {
		_, err := s.RegisterEndpoint(as(t, s, role, "staging"), externalEndpoint())
		if want == nil && err != nil {
			t.Errorf("%s: %v", role, err)
		} else if want != nil {
			wantKind(t, err, want)
		}
	}
	_, err := s.RegisterEndpoint(as(t, s, devops, "production"), externalEndpoint())
	wantKind(t, err, fleet.ErrForbidden)
	wantKind(t, s.DeregisterEndpoint(as(t, s, devops, "production"), "api", id), fleet.ErrNotFound)
	wantKind(t, s.DeregisterEndpoint(as(t, s, developer, "staging"), "api", id), fleet.ErrNotFound)
	if _, err := s.Endpoint(as(t, s, devops, "production"), id); err == nil {
		t.Error("an endpoint of another environment is there")
	}
}

func TestDeregisterEndpoint(t *testing.T) {
	s, _ := open(t)
	i := checkedInstance(t, s)
	answering(t, s, i.ID)
	id := registeredEndpoint(t, s, externalEndpoint()).ID
	actor := as(t, s, devops, "staging")
	wantKind(t, s.DeregisterEndpoint(actor, "web", id), fleet.ErrNotFound)
	wantKind(t, s.DeregisterEndpoint(actor, "api", i.ID), fleet.ErrConflict)
	wantKind(t, s.DeregisterEndpoint(actor, "api", definitionID), fleet.ErrNotFound)
	for range 2 { // under one key, once
		if err := s.DeregisterEndpoint(keyed(actor, "k", "1"), "api", id); err != nil {
			t.Fatal(err)
		}
	}
	if got := endpoints(t, s, fleet.EndpointFilter{}); len(got) != 1 || got[0].ID != i.ID {
		t.Errorf("endpoints are %+v, want that of the instance", got)
	}
	wantKind(t, s.DeregisterEndpoint(actor, "api", id), fleet.ErrNotFound)
	if got := eventTypes(t, s, fleet.EventFilter{Type: fleet.EventEndpointDeregistered}); len(got) != 1 {
		t.Errorf("events are %v, want one", got)
	}
}

// TestRecordHeartbeats: the newest heartbeat decides, whichever daemon writes first.
func TestRecordHeartbeats(t *testing.T) {
	s, db := open(t)
	i := checkedInstance(t, s)
	answering(t, s, i.ID)
	id := registeredEndpoint(t, s, externalEndpoint()).ID
	exec(t, connect(t, db.OwnerURL), `UPDATE service_registry SET last_heartbeat = now() - interval '1 hour', registered_at = now() - interval '1 hour'`)
	record := func(status fleet.HeartbeatStatus, ago time.Duration) {
		t.Helper()
		at := time.Now().Add(-ago)
		err := s.RecordHeartbeats(system(t), []fleet.Heartbeat{
			{EndpointID: id, Status: status, At: at}, {EndpointID: i.ID, Status: fleet.HeartbeatCritical, At: at}, {EndpointID: definitionID, Status: status, At: at},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wants := func(when string, healthy bool, ago time.Duration) {
		t.Helper()
		e := endpointByID(t, s, id)
		if since := time.Since(e.LastHeartbeat); e.Healthy != healthy || since < ago-10*time.Second || since > ago+10*time.Second {
			t.Errorf("%s: healthy %t and heard of %s ago, want %t and %s", when, e.Healthy, since, healthy, ago)
		}
	}
	wants("at first", true, time.Hour)
	record(fleet.HeartbeatCritical, 20*time.Minute)
	wants("critical", false, 20*time.Minute)
	record(fleet.HeartbeatPassing, 40*time.Minute)
	wants("passing, from before that", false, 20*time.Minute)
	record(fleet.HeartbeatSilent, 10*time.Minute)
	wants("saying nothing", false, 10*time.Minute)
	record(fleet.HeartbeatPassing, 0)
	wants("passing", true, 0)
	record(fleet.HeartbeatCritical, time.Minute)
	wants("critical, from before that", true, 0)
	record(fleet.HeartbeatCritical, -time.Hour) // from a clock that was put back meanwhile
	wants("from the future", false, 0)
	if e := endpointByID(t, s, i.ID); !e.Healthy {
		t.Error("a heartbeat changed an instance")
	}
	var verdicts []any
	for _, e := range trailOf(t, s) {
		if e.Type == fleet.EventHealthCheck && e.Data["endpoint_id"] == id {
			verdicts = append(verdicts, e.Data["health_status"])
		}
	}
	if want := []any{"unhealthy", "healthy", "unhealthy"}; !slices.Equal(verdicts, want) {
		t.Errorf("events of its health %v, want %v", verdicts, want)
	}
	if err := s.RecordHeartbeats(system(t), nil); err != nil {
		t.Errorf("none: %v", err)
	}
}

// TestRecordHeartbeatsAtTheSameTime: several daemons write the same endpoints, and
// nobody waits in a circle.
func TestRecordHeartbeatsAtTheSameTime(t *testing.T) {
	s, _ := open(t)
	var beats []fleet.Heartbeat
	for n := range 20 {
		e := externalEndpoint()
		e.URL = "http://10.9.0.7:" + []string{"81", "82", "83", "84"}[n%4] + string(rune('0'+n/4))
		beats = append(beats, fleet.Heartbeat{EndpointID: registeredEndpoint(t, s, e).ID, Status: fleet.HeartbeatPassing, At: time.Now()})
	}
	var group sync.WaitGroup
	for n := range 8 {
		mine := slices.Clone(beats)
		if n%2 == 0 {
			slices.Reverse(mine)
		}
		group.Go(func() {
			for range 20 {
				if err := s.RecordHeartbeats(system(t), mine); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func TestOverdue(t *testing.T) {
	s, db := open(t)
	owner := connect(t, db.OwnerURL)
	i := checkedInstance(t, s)
	answering(t, s, i.ID)
	one := registeredEndpoint(t, s, externalEndpoint())
	two, other := externalEndpoint(), externalEndpoint()
	two.URL, other.ServiceName = "http://10.9.0.8:8080", "web"
	two = registeredEndpoint(t, s, two)
	registeredEndpoint(t, s, other)
	overdue := func() []fleet.Endpoint {
		t.Helper()
		got, now, err := s.Overdue(system(t))
		if err != nil || now.IsZero() || time.Since(now).Abs() > time.Minute {
			t.Fatalf("overdue as of %s: %v", now, err)
		}
		return got
	}
	if got := overdue(); len(got) != 0 {
		t.Errorf("overdue are %+v", got)
	}
	exec(t, owner, `UPDATE service_registry SET last_heartbeat = now() - interval '31 seconds' WHERE id = $1`, one.ID)
	var ids []string
	for _, e := range overdue() {
		ids = append(ids, e.ID)
		if e.ID == one.ID && (e.TTL != one.TTL || e.URL != one.URL || e.HealthCheckURL != one.HealthCheckURL || !e.External()) {
			t.Errorf("it is %+v, want %+v", e, one)
		}
		if e.ID == i.ID && e.External() {
			t.Error("the instance is external")
		}
	}
	if want := []string{i.ID, one.ID, two.ID}; !slices.Equal(ids, slices.Sorted(slices.Values(want))) {
		t.Errorf("overdue are %v, want all of its service: %v", ids, want)
	}
}

// TestExpireEndpoints: what a heartbeat has come from meanwhile stays, and so does
// every instance.
func TestExpireEndpoints(t *testing.T) {
	s, db := open(t)
	owner := connect(t, db.OwnerURL)
	i := checkedInstance(t, s)
	answering(t, s, i.ID)
	one := registeredEndpoint(t, s, externalEndpoint())
	two := externalEndpoint()
	two.URL = "http://10.9.0.8:8080"
	two = registeredEndpoint(t, s, two)
	exec(t, owner, `UPDATE service_registry SET last_heartbeat = now() - interval '1 hour'`)
	if err := s.RecordHeartbeats(system(t), []fleet.Heartbeat{{EndpointID: two.ID, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	list := []fleet.Expiry{{EndpointID: one.ID, Probe: "connection refused"}, {EndpointID: two.ID}, {EndpointID: i.ID}}
	for n, want := range [][]string{{one.ID}, nil} {
		gone, err := s.ExpireEndpoints(system(t), list)
		var got []string
		for _, e := range gone {
			got = append(got, e.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("time %d: %v went, %v; want %v", n, got, err, want)
		}
	}
	page, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventEndpointExpired}, fleet.Page{})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("events are %+v, %v; want one", page.Items, err)
	}
	e := page.Items[0]
	last, err := time.Parse(time.RFC3339Nano, e.Data["last_heartbeat"].(string))
	delete(e.Data, "last_heartbeat")
	want := map[string]any{"service_name": "api", "endpoint_id": one.ID, "endpoint_url": one.URL, "ttl_seconds": 30.0, "probe": "connection refused"}
	if err != nil || time.Since(last) < time.Hour || !reflect.DeepEqual(e.Data, want) || e.Environment != "staging" || e.Source != fleet.SourceSystem {
		t.Errorf("event %+v, last heard of %s; want %v", e, last, want)
	}
}
