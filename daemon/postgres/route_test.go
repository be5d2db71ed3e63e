package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// routeOf is a route of staging to service "api".
func routeOf(name string, hosts ...string) fleet.Route {
	return fleet.Route{Name: name, Environment: "staging", ServiceName: "api", Hosts: hosts, PathPrefixes: []string{"/"}, Settings: grammar.DefaultRouting()}
}

func createRoute(t *testing.T, s *postgres.Store, r fleet.Route) fleet.Route {
	t.Helper()
	got, err := s.CreateRoute(system(t), r)
	if err != nil {
		t.Fatalf("create route: %v", err)
	}
	return got
}

func TestRouteRoundTrip(t *testing.T) {
	s, _ := open(t)
	want := routeOf("shop", "b.example.com", "a.example.com")
	want.PathPrefixes = []string{"/b", "/a"}
	want.Settings = grammar.Routing{
		Strategy: grammar.LeastRequests, StickyCookie: "session", CanaryHeader: "X-Preview", CanaryCookie: "preview", StripPrefix: true, RequireTLS: true,
		MaxBodySize: "64Mi", MaxHeaderSize: "8Ki", ResponseTimeout: 30, IdleTimeout: 120, MaxRequests: 5,
	}
	got := createRoute(t, s, want)
	want.ID, want.CreatedBy, want.CreatedAt, want.UpdatedAt = got.ID, fleet.System.ID, got.CreatedAt, got.UpdatedAt
	if got.ID == "" || got.CreatedAt.IsZero() || !reflect.DeepEqual(got, want) {
		t.Errorf("created %+v, want %+v", got, want)
	}
	if read, err := s.Route(system(t), got.ID); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, %v", read, err)
	}
	_, err := s.Route(system(t), definitionID)
	wantKind(t, err, fleet.ErrNotFound)
}

func TestUpdateRoute(t *testing.T) {
	s, _ := open(t)
	r := createRoute(t, s, routeOf("shop", "a.example.com"))
	got, err := s.UpdateRoute(system(t), r.ID, func(r *fleet.Route) error {
		r.ServiceName, r.Hosts, r.PathPrefixes = "web", []string{"b.example.com"}, []string{"/x"}
		r.Settings.MaxRequests = 7
		r.Name, r.Environment = "other", "production" // its identity stays
		return nil
	})
	want := r
	want.ServiceName, want.Hosts, want.PathPrefixes, want.UpdatedAt = "web", []string{"b.example.com"}, []string{"/x"}, got.UpdatedAt
	want.Settings.MaxRequests = 7
	if err != nil || !got.UpdatedAt.After(r.UpdatedAt) || !reflect.DeepEqual(got, want) {
		t.Errorf("updated to %+v, %v; want %+v", got, err, want)
	}
	if same, err := s.UpdateRoute(system(t), r.ID, func(*fleet.Route) error { return nil }); err != nil || !reflect.DeepEqual(same, want) {
		t.Errorf("an update of nothing returned %+v, %v", same, err)
	}
	boom := errors.New("boom")
	_, err = s.UpdateRoute(system(t), r.ID, func(r *fleet.Route) error { r.Hosts[0] = "c.example.com"; return boom })
	wantKind(t, err, boom)
	if read, err := s.Route(system(t), r.ID); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("a change that failed left %+v, %v", read, err)
	}
	_, err = s.UpdateRoute(system(t), definitionID, func(*fleet.Route) error { return nil })
	wantKind(t, err, fleet.ErrNotFound)
	types := []string{fleet.EventRouteUpdated, fleet.EventRouteCreated}
	if got := eventTypes(t, s, fleet.EventFilter{Environment: "staging"}); !slices.Equal(got, types) {
		t.Errorf("events are %v, want %v", got, types)
	}
}

func TestDeleteRoute(t *testing.T) {
	s, _ := open(t)
	r := createRoute(t, s, routeOf("shop", "a.example.com"))
	if err := s.DeleteRoute(system(t), r.ID); err != nil {
		t.Fatal(err)
	}
	_, err := s.Route(system(t), r.ID)
	wantKind(t, err, fleet.ErrNotFound)
	wantKind(t, s.DeleteRoute(system(t), r.ID), fleet.ErrNotFound)
	events, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventRouteDeleted}, fleet.Page{})
	if err != nil || len(events.Items) != 1 || events.Items[0].Data["name"] != "shop" || events.Items[0].Environment != "staging" {
		t.Errorf("events are %+v, %v", events.Items, err)
	}
}

// TestRouteHosts: a host belongs to one environment as long as a route there answers to it.
func TestRouteHosts(t *testing.T) {
	s, _ := open(t)
	theirs := routeOf("theirs", "shop.example.com")
	theirs.Environment = "production"
	first := createRoute(t, s, routeOf("first", "shop.example.com"))
	second := routeOf("second", "shop.example.com")
	second.PathPrefixes = []string{"/second"}
	second = createRoute(t, s, second)

	// Who sees one environment alone is told no more than that.
	for name, ctx := range map[string]context.Context{"system": system(t), "production alone": as(t, s, devops, "production")} {
		t.Run(name, func(t *testing.T) {
			_, err := s.CreateRoute(ctx, theirs)
			wantField(t, err, fleet.ErrConflict, "hosts")
		})
	}
	own := createRoute(t, s, func() fleet.Route { r := theirs; r.Name, r.Hosts = "own", nil; return r }())
	_, err := s.UpdateRoute(as(t, s, devops, "production"), own.ID, func(r *fleet.Route) error { r.Hosts = []string{"shop.example.com"}; return nil })
	wantField(t, err, fleet.ErrConflict, "hosts")

	if err := s.DeleteRoute(system(t), first.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.CreateRoute(system(t), theirs)
	wantField(t, err, fleet.ErrConflict, "hosts") // the second still answers to it
	if _, err := s.UpdateRoute(as(t, s, devops, "staging"), second.ID, func(r *fleet.Route) error { r.Hosts = []string{"other.example.com"}; return nil }); err != nil {
		t.Fatal(err)
	}
	createRoute(t, s, theirs)
}

// TestRoutePaths: a path of a host leads to one route, and a name is that of one.
func TestRoutePaths(t *testing.T) {
	s, _ := open(t)
	createRoute(t, s, routeOf("shop", "a.example.com", "b.example.com"))
	createRoute(t, s, routeOf("api")) // the service's own host
	below := routeOf("below", "b.example.com")
	below.PathPrefixes = []string{"/below"}
	free := createRoute(t, s, below)
	elsewhere := routeOf("api")
	elsewhere.Environment = "production"
	createRoute(t, s, elsewhere)

	web := routeOf("web")
	web.ServiceName = "web"
	createRoute(t, s, web) // another service's own
	for name, tt := range map[string]struct {
		route fleet.Route
		kind  error
		field string
	}{
		"path of a host":     {routeOf("x", "c.example.com", "b.example.com"), fleet.ErrConflict, "path_prefixes"},
		"path of the own":    {routeOf("x"), fleet.ErrConflict, "path_prefixes"},
		"name":               {routeOf("shop", "d.example.com"), fleet.ErrAlreadyExists, "name"},
		"name of the own":    {routeOf("api", "d.example.com"), fleet.ErrAlreadyExists, "name"},
		"path of one's name": {func() fleet.Route { r := below; r.Name = "x"; return r }(), fleet.ErrConflict, "path_prefixes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.CreateRoute(system(t), tt.route)
			wantField(t, err, tt.kind, tt.field)
		})
	}
	_, err := s.UpdateRoute(system(t), free.ID, func(r *fleet.Route) error { r.PathPrefixes = []string{"/below", "/"}; return nil })
	wantField(t, err, fleet.ErrConflict, "path_prefixes")
	r, err := s.ListRoutes(system(t), fleet.RouteFilter{}, fleet.Page{})
	if err != nil || r.Total != 5 {
		t.Errorf("%d routes, %v; want the five that were made", r.Total, err)
	}
}

// TestRoutesAtOnce: of many that want the same host and path, one gets it.
func TestRoutesAtOnce(t *testing.T) {
	s, _ := open(t)
	const n = 16
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range n {
		wg.Go(func() {
			r := routeOf(fmt.Sprint("r-", i), "shop.example.com")
			r.Environment = seedEnvironments[i%2]
			_, err := s.CreateRoute(system(t), r)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case !errors.Is(err, fleet.ErrConflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("%d routes have the same host and path", made)
	}
}

// TestRouteReplay: under one key a route is made, changed and deleted once.
func TestRouteReplay(t *testing.T) {
	s, _ := open(t)
	actor := as(t, s, devops, "staging")
	var first fleet.Route
	for n := range 3 {
		r, err := s.CreateRoute(keyed(actor, "create", "shop"), routeOf("shop"))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = r
		}
		if !reflect.DeepEqual(r, first) {
			t.Errorf("repetition %d made %+v, want %+v", n, r, first)
		}
	}
	calls := 0
	for range 2 {
		got, err := s.UpdateRoute(keyed(actor, "update", "5"), first.ID, func(r *fleet.Route) error { calls++; r.Settings.MaxRequests = 5; return nil })
		if err != nil || got.Settings.MaxRequests != 5 {
			t.Errorf("updated to %+v, %v", got, err)
		}
	}
	if calls != 1 {
		t.Errorf("changed %d times", calls)
	}
	for range 2 {
		if err := s.DeleteRoute(keyed(actor, "delete", ""), first.ID); err != nil {
			t.Error(err)
		}
	}
	_, err := s.CreateRoute(keyed(actor, "create", "other"), routeOf("other"))
	wantKind(t, err, fleet.ErrIdempotencyMismatch)
	want := []string{fleet.EventRouteDeleted, fleet.EventRouteUpdated, fleet.EventRouteCreated}
	if got := eventTypes(t, s, fleet.EventFilter{Environment: "staging"}); !slices.Equal(got, want) {
		t.Errorf("events are %v, want %v", got, want)
	}
}

func TestListRoutes(t *testing.T) {
	s, _ := open(t)
	web := routeOf("web")
	web.ServiceName = "web"
	elsewhere := routeOf("api")
	elsewhere.Environment = "production"
	for _, r := range []fleet.Route{web, elsewhere, routeOf("zoo", "z.example.com"), routeOf("api")} {
		createRoute(t, s, r)
	}
	for name, tt := range map[string]struct {
		ctx    context.Context
		filter fleet.RouteFilter
		want   []string
	}{
		"all":         {system(t), fleet.RouteFilter{}, []string{"api", "api", "web", "zoo"}},
		"environment": {system(t), fleet.RouteFilter{Environment: "staging"}, []string{"api", "web", "zoo"}},
		"service":     {system(t), fleet.RouteFilter{ServiceName: "api"}, []string{"api", "api", "zoo"}},
		"name":        {system(t), fleet.RouteFilter{Name: "api"}, []string{"api", "api"}},
		"one":         {system(t), fleet.RouteFilter{Name: "api", Environment: "production"}, []string{"api"}},
		"none":        {system(t), fleet.RouteFilter{Name: "web", ServiceName: "api"}, nil},
		"production":  {as(t, s, developer, "production"), fleet.RouteFilter{}, []string{"api"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			page := fleet.Page{Limit: 1}
			for {
				r, err := s.ListRoutes(tt.ctx, tt.filter, page)
				if err != nil || r.Total != len(tt.want) {
					t.Fatalf("%d routes, %v; want %d", r.Total, err, len(tt.want))
				}
				for _, route := range r.Items {
					got = append(got, route.Name)
				}
				if page.Cursor = r.NextCursor; page.Cursor == "" {
					break
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("listed %v, want %v", got, tt.want)
			}
		})
	}
}
