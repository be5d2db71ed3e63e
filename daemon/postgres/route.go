package postgres

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// CreateRoute implements httpapi.Store.
func (s *Store) CreateRoute(ctx context.Context, r fleet.Route) (fleet.Route, error) {
	id, replayed, err := s.mutate(ctx, "create route", func(t *transaction) (string, error) {
		return t.insertRoute(ctx, &r)
	})
	if err != nil || !replayed {
		return r, err
	}
	return s.Route(ctx, id)
}

func (t *transaction) insertRoute(ctx context.Context, r *fleet.Route) (id string, err error) {
	if r.ID, err = newID(); err != nil {
		return "", err
	}
	if err := t.LockRoutes(ctx); err != nil {
		return "", err
	}
	row, err := t.InsertRoute(ctx, dbsqlc.InsertRouteParams{
		ID: r.ID, Name: r.Name, Environment: r.Environment, ServiceName: r.ServiceName,
		Hosts: nonNil(r.Hosts), PathPrefixes: r.PathPrefixes, Settings: r.Settings, CreatedBy: nullable(t.call.Principal.ID),
	})
	if err != nil {
		return "", err
	}
	if err := t.claim(ctx, *r); err != nil {
		return "", err
	}
	*r = route(row)
	return r.ID, t.record(ctx, routeEvent(*r, fleet.EventRouteCreated))
}

// nonNil is list, empty rather than nil.
func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// matchHosts are the hosts that a route's matches are written under: its service's
// own has a form that no host name has.
func matchHosts(r fleet.Route) []string {
	if len(r.Hosts) == 0 {
		return []string{r.ServiceName + "."}
	}
	return r.Hosts
}

// claim takes the hosts and paths of a route. ErrConflict when another
// environment has the host, or another route the path.
func (t *transaction) claim(ctx context.Context, r fleet.Route) error {
	if err := t.ClaimHosts(ctx, dbsqlc.ClaimHostsParams{Environment: r.Environment, Hosts: nonNil(r.Hosts)}); err != nil {
		return err
	}
	own, err := t.OwnHosts(ctx, dbsqlc.OwnHostsParams{Environment: r.Environment, Hosts: nonNil(r.Hosts)})
	if err != nil {
		return err
	}
	for _, h := range r.Hosts {
		if !slices.Contains(own, h) {
			return fleet.FieldErrorf(fleet.ErrConflict, "hosts", "host %q belongs to a route of another environment; a host leads into one environment only", h)
		}
	}
	hosts := matchHosts(r)
	other, err := t.RouteMatch(ctx, dbsqlc.RouteMatchParams{Environment: r.Environment, RouteID: r.ID, Hosts: hosts, PathPrefixes: r.PathPrefixes})
	switch {
	case err == nil:
		return fleet.FieldErrorf(fleet.ErrConflict, "path_prefixes", "path prefix %q of host %q is taken by route %q; choose another, or change that route",
			other.PathPrefix, strings.TrimSuffix(other.Host, "."), other.Name)
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	return t.InsertMatches(ctx, dbsqlc.InsertMatchesParams{RouteID: r.ID, Environment: r.Environment, Hosts: hosts, PathPrefixes: r.PathPrefixes})
}

// Route implements httpapi.Store.
func (s *Store) Route(ctx context.Context, id string) (fleet.Route, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Route{}, err
	}
	row, err := q.GetRoute(ctx, id)
	return route(row), missing("route", id, err)
}

// ListRoutes implements httpapi.Store: by name.
func (s *Store) ListRoutes(ctx context.Context, f fleet.RouteFilter, p fleet.Page) (fleet.Result[fleet.Route], error) {
	var none fleet.Result[fleet.Route]
	page, err := pageOf(p)
	if err != nil {
		return none, err
	}
	count := dbsqlc.CountRoutesParams{Environment: nullable(f.Environment), ServiceName: nullable(f.ServiceName), Name: nullable(f.Name)}
	rows := dbsqlc.ListRoutesParams{
		Environment: count.Environment, ServiceName: count.ServiceName, Name: count.Name,
		AfterID: page.after, AfterName: page.afterName, MaxRows: page.rowsToFetch,
	}
	total, found, err := listRows(ctx, s, "list routes",
		func(q *dbsqlc.Queries) (int64, error) { return q.CountRoutes(ctx, count) },
		func(q *dbsqlc.Queries) ([]dbsqlc.Route, error) { return q.ListRoutes(ctx, rows) })
	if err != nil {
		return none, err
	}
	return resultOf(page, found, total, route, func(r fleet.Route) cursor { return cursor{Name: r.Name, ID: r.ID} }), nil
}

// UpdateRoute implements httpapi.Store. Name and environment are the route's
// identity and stay as they are.
func (s *Store) UpdateRoute(ctx context.Context, id string, change func(*fleet.Route) error) (fleet.Route, error) {
	var after fleet.Route
	_, replayed, err := s.mutate(ctx, "update route", func(t *transaction) (string, error) {
		row, err := t.LockRoute(ctx, id)
		if err != nil {
			return "", missing("route", id, err)
		}
		before := route(row)
		after = before
		after.Hosts, after.PathPrefixes = slices.Clone(before.Hosts), slices.Clone(before.PathPrefixes)
		if err := change(&after); err != nil {
			return "", err
		}
		after.ID, after.Name, after.Environment = before.ID, before.Name, before.Environment
		if reflect.DeepEqual(before, after) {
			return id, nil
		}
		return id, t.replaceRoute(ctx, before, &after)
	})
	if err != nil || !replayed {
		return after, err
	}
	return s.Route(ctx, id)
}

func (t *transaction) replaceRoute(ctx context.Context, before fleet.Route, r *fleet.Route) error {
	if err := t.LockRoutes(ctx); err != nil {
		return err
	}
	row, err := t.UpdateRoute(ctx, dbsqlc.UpdateRouteParams{
		ID: r.ID, ServiceName: r.ServiceName, Hosts: nonNil(r.Hosts), PathPrefixes: r.PathPrefixes, Settings: r.Settings,
	})
	if err != nil {
		return err
	}
	if err := t.DeleteMatches(ctx, r.ID); err != nil {
		return err
	}
	if err := t.claim(ctx, *r); err != nil {
		return err
	}
	if err := t.free(ctx, before); err != nil {
		return err
	}
	*r = route(row)
	return t.record(ctx, routeEvent(*r, fleet.EventRouteUpdated))
}

// free gives up the hosts that a route had, unless one still answers to them.
func (t *transaction) free(ctx context.Context, r fleet.Route) error {
	return t.FreeHosts(ctx, dbsqlc.FreeHostsParams{Environment: r.Environment, Hosts: nonNil(r.Hosts)})
}

// DeleteRoute implements httpapi.Store.
func (s *Store) DeleteRoute(ctx context.Context, id string) error {
	_, _, err := s.mutate(ctx, "delete route", func(t *transaction) (string, error) {
		row, err := t.LockRoute(ctx, id)
		if err != nil {
			return "", missing("route", id, err)
		}
		if err := t.LockRoutes(ctx); err != nil {
			return "", err
		}
		if err := t.DeleteRoute(ctx, id); err != nil {
			return "", err
		}
		r := route(row)
		if err := t.free(ctx, r); err != nil {
			return "", err
		}
		return id, t.record(ctx, routeEvent(r, fleet.EventRouteDeleted))
	})
	return err
}

func routeEvent(r fleet.Route, kind string) fleet.Event {
	return fleet.Event{
		Environment: r.Environment, Type: kind,
		Data: map[string]any{"route_id": r.ID, "name": r.Name, "service_name": r.ServiceName, "hosts": nonNil(r.Hosts), "path_prefixes": r.PathPrefixes},
	}
}

func route(r dbsqlc.Route) fleet.Route {
	return fleet.Route{
		ID: r.ID, Name: r.Name, Environment: r.Environment, ServiceName: r.ServiceName, Hosts: r.Hosts, PathPrefixes: r.PathPrefixes,
		Settings: r.Settings, CreatedBy: text(r.CreatedBy), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}
