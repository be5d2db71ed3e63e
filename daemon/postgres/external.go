package postgres

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// RegisterEndpoint implements httpapi.Store.
func (s *Store) RegisterEndpoint(ctx context.Context, e fleet.Endpoint) (fleet.Endpoint, error) {
	id, _, err := s.mutate(ctx, "register endpoint", func(t *transaction) (string, error) { return t.registerEndpoint(ctx, e) })
	if err != nil {
		return fleet.Endpoint{}, err
	}
	return s.Endpoint(ctx, id)
}

// registerEndpoint puts an endpoint into the registry, or renews it there. Only what
// changes something is worth an event: some renew as often as others send heartbeats.
func (t *transaction) registerEndpoint(ctx context.Context, e fleet.Endpoint) (id string, err error) {
	before, err := t.LockExternalEndpoint(ctx, dbsqlc.LockExternalEndpointParams{
		ServiceName: e.ServiceName, Environment: e.Environment, EndpointUrl: e.URL,
	})
	known := err == nil
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	if id, err = newID(); err != nil {
		return "", err
	}
	seconds := int(e.TTL / time.Second)
	metadata := dbsqlc.Labels(e.Metadata)
	if metadata == nil {
		metadata = dbsqlc.Labels{}
	}
	id, err = t.RegisterEndpoint(ctx, dbsqlc.RegisterEndpointParams{
		ID: id, ServiceName: e.ServiceName, Environment: e.Environment, EndpointUrl: e.URL, HealthCheckUrl: nullable(e.HealthCheckURL),
		LoadBalancerWeight: e.Weight, Metadata: metadata, TtlSeconds: &seconds,
	})
	if err != nil {
		return "", err
	}
	if known && before.IsHealthy && text(before.HealthCheckUrl) == e.HealthCheckURL && before.LoadBalancerWeight == e.Weight &&
		*before.TtlSeconds == seconds && maps.Equal(before.Metadata, metadata) {
		return id, nil
	}
	e.ID = id
	event := externalEvent(e, fleet.EventEndpointRegistered)
	event.Data["renewed"], event.Data["load_balancer_weight"] = known, e.Weight
	return id, t.record(ctx, event)
}

// DeregisterEndpoint implements httpapi.Store.
func (s *Store) DeregisterEndpoint(ctx context.Context, serviceName, id string) error {
	_, _, err := s.mutate(ctx, "deregister endpoint", func(t *transaction) (string, error) {
		row, err := t.LockEndpoint(ctx, id)
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && row.ServiceName != serviceName:
			return "", fleet.Errorf(fleet.ErrNotFound, "service %q has no endpoint %s", serviceName, id)
		case err != nil:
			return "", err
		case row.InstanceID != nil:
			return "", fleet.Errorf(fleet.ErrConflict, "endpoint %s is that of an instance, which wedsyncd registers and deregisters by itself; stop the instance, or set its weight to 0", id)
		}
		if err := t.DeleteEndpoint(ctx, id); err != nil {
			return "", err
		}
		return id, t.record(ctx, externalEvent(registered(row), fleet.EventEndpointDeregistered))
	})
	return err
}

// RecordHeartbeats implements traffic.HeartbeatStore. Those of endpoints that are
// gone are left out.
func (s *Store) RecordHeartbeats(ctx context.Context, beats []fleet.Heartbeat) error {
	var rows dbsqlc.RecordHeartbeatsParams
	for _, b := range beats {
		rows.Ids = append(rows.Ids, b.EndpointID)
		rows.Statuses = append(rows.Statuses, string(b.Status))
	}
	return s.write(ctx, "record heartbeats", func(t *transaction) error {
		before, err := t.LockEndpoints(ctx, rows.Ids)
		if err != nil {
			return err
		}
		for _, b := range beats { // as late as possible: from here on the database's clock counts
			rows.Ages = append(rows.Ages, max(0, time.Since(b.At)).Seconds())
		}
		after, err := t.RecordHeartbeats(ctx, rows)
		if err != nil {
			return err
		}
		return t.record(ctx, healthChanges(before, after)...)
	})
}

// healthChanges are events of the endpoints whose health has changed.
func healthChanges(before, after []dbsqlc.ServiceRegistry) []fleet.Event {
	was := make(map[string]bool, len(before))
	for _, r := range before {
		was[r.ID] = r.IsHealthy
	}
	var events []fleet.Event
	for _, r := range after {
		if r.IsHealthy == was[r.ID] {
			continue
		}
		e, health := externalEvent(registered(r), fleet.EventHealthCheck), fleet.HealthUnhealthy
		if r.IsHealthy {
			health = fleet.HealthHealthy
		}
		e.Data["health_status"] = string(health)
		events = append(events, e)
	}
	return events
}

// Overdue implements traffic.ExpiryStore.
func (s *Store) Overdue(ctx context.Context) (endpoints []fleet.Endpoint, now time.Time, err error) {
	err = s.snapshot(ctx, "list overdue endpoints", func(t *transaction) error {
		if now, err = t.Now(ctx); err != nil {
			return err
		}
		rows, err := t.ListOverdue(ctx)
		endpoints = convertAll(rows, registered)
		return err
	})
	return endpoints, now, err
}

// ExpireEndpoints implements traffic.ExpiryStore.
func (s *Store) ExpireEndpoints(ctx context.Context, expiries []fleet.Expiry) (gone []fleet.Endpoint, err error) {
	var ids []string
	probes := make(map[string]string, len(expiries))
	for _, e := range expiries {
		ids = append(ids, e.EndpointID)
		probes[e.EndpointID] = e.Probe
	}
	err = s.write(ctx, "expire endpoints", func(t *transaction) error {
		if _, err := t.LockEndpoints(ctx, ids); err != nil {
			return err
		}
		rows, err := t.ExpireEndpoints(ctx, ids)
		if err != nil {
			return err
		}
		gone = convertAll(rows, registered)
		events := convertAll(gone, func(e fleet.Endpoint) fleet.Event {
			event := externalEvent(e, fleet.EventEndpointExpired)
			event.Data["last_heartbeat"], event.Data["probe"] = e.LastHeartbeat.UTC(), probes[e.ID]
			return event
		})
		return t.record(ctx, events...)
	})
	return gone, err
}

func externalEvent(e fleet.Endpoint, kind string) fleet.Event {
	return fleet.Event{
		Environment: e.Environment, Type: kind,
		Data: map[string]any{
			"service_name": e.ServiceName, "endpoint_id": e.ID, "endpoint_url": e.URL, "ttl_seconds": int(e.TTL / time.Second),
		},
	}
}

// registered is an entry of the registry, without what is known of its instance.
func registered(r dbsqlc.ServiceRegistry) fleet.Endpoint {
	return endpoint(dbsqlc.ListEndpointsRow{ServiceRegistry: r, Heartbeat: r.LastHeartbeat})
}
