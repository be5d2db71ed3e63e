package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// Traffic implements traffic.Store: everything as of one moment.
func (s *Store) Traffic(ctx context.Context) (fleet.Traffic, error) {
	var all fleet.Traffic
	err := s.snapshot(ctx, "read traffic", func(t *transaction) error {
		endpoints, err := t.ListEndpoints(ctx, dbsqlc.ListEndpointsParams{Metadata: []byte("{}")})
		if err != nil {
			return err
		}
		all.Endpoints = convertAll(endpoints, endpoint)
		services, err := t.ListServices(ctx)
		if err != nil {
			return err
		}
		all.Services = convertAll(services, func(r dbsqlc.ListServicesRow) fleet.Service { return fleet.Service(r) })
		splits, err := t.ListSplits(ctx)
		if err != nil {
			return err
		}
		all.Splits = convertAll(splits, func(r dbsqlc.ListSplitsRow) fleet.Split {
			return fleet.Split{DefinitionID: r.DefinitionID, Environment: r.Environment, DeploymentID: r.ID, Weight: r.Weight}
		})
		routes, err := t.AllRoutes(ctx)
		if err != nil {
			return err
		}
		all.Routes = convertAll(routes, route)
		all.Draining, err = t.ListDraining(ctx)
		return err
	})
	return all, err
}

// Endpoints implements httpapi.Store: by service, environment and identifier.
func (s *Store) Endpoints(ctx context.Context, f fleet.EndpointFilter) ([]fleet.Endpoint, error) {
	metadata, err := json.Marshal(f.Metadata)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	if len(f.Metadata) == 0 {
		metadata = []byte("{}")
	}
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.ListEndpoints(ctx, dbsqlc.ListEndpointsParams{
		ServiceName: nullable(f.ServiceName), Environment: nullable(f.Environment), IsHealthy: f.Healthy,
		ImageTag: nullable(f.ImageTag), DeploymentID: nullable(f.DeploymentID), Metadata: metadata,
	})
	return convertAll(rows, endpoint), translate("list endpoints", err)
}

// SetWeight implements httpapi.Store.
func (s *Store) SetWeight(ctx context.Context, serviceName, instanceID string, weight int, reason string) (fleet.Endpoint, error) {
	_, _, err := s.mutate(ctx, "set weight", func(t *transaction) (string, error) {
		// The instance first, like everybody whose change of it reaches the registry.
		if _, err := t.LockInstance(ctx, instanceID); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return "", err
		}
		row, err := t.LockEndpoint(ctx, instanceID)
		if err == nil && row.ServiceName != serviceName {
			err = fleet.Errorf(fleet.ErrNotFound, "service %q has no instance %s", serviceName, instanceID)
		}
		if err != nil {
			return "", missing("registered instance", instanceID, err)
		}
		e := fleet.Event{
			Environment: row.Environment, Type: fleet.EventWeightChanged,
			Data: map[string]any{"service_name": serviceName, "from": row.LoadBalancerWeight, "to": weight, "reason": reason},
		}
		if row.InstanceID == nil {
			e.Data["endpoint_url"] = row.EndpointUrl
			if _, err := t.SetEndpointWeight(ctx, dbsqlc.SetEndpointWeightParams{ID: instanceID, LoadBalancerWeight: weight}); err != nil {
				return "", err
			}
			return instanceID, t.record(ctx, e)
		}
		changed, err := t.SetInstanceWeight(ctx, dbsqlc.SetInstanceWeightParams{ID: instanceID, LoadBalancerWeight: weight})
		if err != nil {
			return "", missing("instance", instanceID, err)
		}
		e.InstanceID, e.DefinitionID, e.DeploymentID = instanceID, changed.DefinitionID, text(changed.DeploymentID)
		return instanceID, t.record(ctx, e)
	})
	if err != nil {
		return fleet.Endpoint{}, err
	}
	return s.Endpoint(ctx, instanceID)
}

// Endpoint implements httpapi.Store.
func (s *Store) Endpoint(ctx context.Context, id string) (fleet.Endpoint, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Endpoint{}, err
	}
	rows, err := q.ListEndpoints(ctx, dbsqlc.ListEndpointsParams{ID: &id, Metadata: []byte("{}")})
	switch {
	case err != nil:
		return fleet.Endpoint{}, translate("read endpoint", err)
	case len(rows) == 0:
		return fleet.Endpoint{}, fleet.Errorf(fleet.ErrNotFound, "there is no endpoint %s", id)
	}
	return endpoint(rows[0]), nil
}

func endpoint(r dbsqlc.ListEndpointsRow) fleet.Endpoint {
	e := fleet.Endpoint{
		ID: r.ServiceRegistry.ID, ServiceName: r.ServiceRegistry.ServiceName, Environment: r.ServiceRegistry.Environment,
		URL: r.ServiceRegistry.EndpointUrl, HealthCheckURL: text(r.ServiceRegistry.HealthCheckUrl), Healthy: r.ServiceRegistry.IsHealthy,
		Weight: r.ServiceRegistry.LoadBalancerWeight, Metadata: r.ServiceRegistry.Metadata,
		InstanceID: text(r.ServiceRegistry.InstanceID), DefinitionID: text(r.DefinitionID), DeploymentID: text(r.DeploymentID), ImageTag: r.ImageTag,
		RegisteredAt: r.ServiceRegistry.RegisteredAt, LastHeartbeat: r.Heartbeat,
	}
	if r.ServiceRegistry.TtlSeconds != nil {
		e.TTL = time.Duration(*r.ServiceRegistry.TtlSeconds) * time.Second
	}
	return e
}

// TrafficChanges tells that something in Traffic has changed, by any daemon on this
// database, until ctx ends; then the channel is closed. Several changes may be
// told as one; like Changes, it may miss some while its connection is made anew,
// so read everything from time to time besides.
func (s *Store) TrafficChanges(ctx context.Context) <-chan struct{} {
	changes := make(chan struct{}, 1)
	go s.listenOn(ctx, "wedsync_traffic", func(string) error {
		select {
		case changes <- struct{}{}:
		default:
		}
		return nil
	}, func() { close(changes) })
	return changes
}

// Follow implements traffic.Store.
func (s *Store) Follow(ctx context.Context, followerID, name string) error {
	return s.write(ctx, "follow traffic", func(t *transaction) error {
		return t.FollowTraffic(ctx, dbsqlc.FollowTrafficParams{ID: followerID, Name: name})
	})
}

// Unfollow implements traffic.Store.
func (s *Store) Unfollow(ctx context.Context, followerID string) error {
	return s.write(ctx, "unfollow traffic", func(t *transaction) error { return t.UnfollowTraffic(ctx, followerID) })
}

// RecordDrained implements traffic.Store.
func (s *Store) RecordDrained(ctx context.Context, followerID string, instanceIDs []string) error {
	return s.write(ctx, "record drained instances", func(t *transaction) error {
		freed, err := t.RecordDrained(ctx, dbsqlc.RecordDrainedParams{FollowerID: followerID, Instances: instanceIDs})
		if err != nil {
			return err
		}
		for _, w := range freed {
			if err := t.notify(ctx, fleet.Workload(w)); err != nil {
				return err
			}
		}
		return nil
	})
}

// loadRow is one row of query RecordLoads.
type loadRow struct {
	EndpointID  string    `json:"endpoint_id"`
	ServiceName string    `json:"service_name"`
	Environment string    `json:"environment"`
	RequestRate float64   `json:"request_rate"`
	ErrorRate   float64   `json:"error_rate"`
	InFlight    int       `json:"in_flight"`
	P50         float64   `json:"p50"`
	P95         float64   `json:"p95"`
	P99         float64   `json:"p99"`
	MeasuredAt  time.Time `json:"measured_at"`
}

// RecordLoads implements traffic.Store.
func (s *Store) RecordLoads(ctx context.Context, followerID string, loads []fleet.Load) error {
	encoded, err := json.Marshal(convertAll(loads, func(l fleet.Load) loadRow {
		return loadRow{
			EndpointID: l.EndpointID, ServiceName: l.ServiceName, Environment: l.Environment, RequestRate: l.RequestRate,
			ErrorRate: l.ErrorRate, InFlight: l.InFlight, P50: l.P50, P95: l.P95, P99: l.P99, MeasuredAt: l.MeasuredAt,
		}
	}))
	if err != nil {
		return fmt.Errorf("encode loads: %w", err)
	}
	return s.write(ctx, "record loads", func(t *transaction) error {
		if err := t.RecordLoads(ctx, dbsqlc.RecordLoadsParams{FollowerID: followerID, Loads: encoded}); err != nil {
			return err
		}
		return t.PruneLoads(ctx)
	})
}

// Loads are what all balancers measured in the last seconds.
func (s *Store) Loads(ctx context.Context) ([]fleet.Load, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.ListLoads(ctx)
	return convertAll(rows, func(r dbsqlc.BalancerLoad) fleet.Load {
		return fleet.Load{
			ServiceName: r.ServiceName, Environment: r.Environment, EndpointID: r.EndpointID, RequestRate: r.RequestRate,
			ErrorRate: r.ErrorRate, InFlight: r.InFlight, P50: r.P50Ms, P95: r.P95Ms, P99: r.P99Ms, MeasuredAt: r.MeasuredAt,
		}
	}), translate("list loads", err)
}
