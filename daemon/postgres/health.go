package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// HealthTargets implements health.Store. An instance is checked by the rules of its deployment.
func (s *Store) HealthTargets(ctx context.Context) ([]fleet.HealthTarget, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.HealthTargets(ctx)
	if err != nil {
		return nil, translate("list health targets", err)
	}
	targets := make([]fleet.HealthTarget, len(rows))
	for n, r := range rows {
		if targets[n], err = healthTarget(r); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

func healthTarget(r dbsqlc.HealthTargetsRow) (fleet.HealthTarget, error) {
	target := fleet.HealthTarget{
		InstanceID: r.ID,
		Workload:   fleet.Workload{DefinitionID: r.DefinitionID, Environment: r.Environment},
		Address:    r.IpAddress.String(),
		Health:     r.HealthStatus, HealthySince: r.HealthySince,
		Settling: time.Duration(r.RolloutConfig.MinHealthyTime) * time.Second,
	}
	if r.StartedAt != nil {
		target.StartedAt = *r.StartedAt
	}
	spec := fleet.Spec{HealthCheck: &target.Check}
	if err := json.Unmarshal(r.HealthCheck, &target.Check); err != nil {
		return target, fmt.Errorf("decode health check of instance %s: %w", r.ID, err)
	}
	if err := json.Unmarshal(r.Ports, &spec.Network.Ports); err != nil {
		return target, fmt.Errorf("decode ports of instance %s: %w", r.ID, err)
	}
	target.Port = spec.HealthPort()
	return target, nil
}

type healthRow struct {
	ID     string               `json:"id"`
	Health fleet.Health         `json:"health_status"`
	Checks []fleet.HealthResult `json:"health_checks"`
	At     time.Time            `json:"checked_at"`
	Since  *time.Time           `json:"healthy_since"`
}

// RecordHealth implements health.Store. Instances that are terminated meanwhile are left out.
func (s *Store) RecordHealth(ctx context.Context, updates []fleet.HealthUpdate) error {
	if len(updates) == 0 {
		return nil
	}
	rows := make([]healthRow, len(updates))
	changed := make(map[string]fleet.HealthUpdate)
	for n, u := range updates {
		rows[n] = healthRow{ID: u.InstanceID, Health: u.Health, Checks: u.Recent, At: u.Result.Timestamp, Since: u.HealthySince}
		if rows[n].Checks == nil {
			rows[n].Checks = []fleet.HealthResult{}
		}
		if u.Changed {
			changed[u.InstanceID] = u
		}
	}
	encoded, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("encode health: %w", err)
	}
	return s.write(ctx, "record health", func(t *transaction) error {
		written, err := t.RecordHealth(ctx, encoded)
		if err != nil {
			return err
		}
		var events []fleet.Event
		for _, w := range written {
			if u, ok := changed[w.ID]; ok {
				events = append(events, healthEvent(w, u))
			}
		}
		return t.record(ctx, events...)
	})
}

func healthEvent(w dbsqlc.RecordHealthRow, u fleet.HealthUpdate) fleet.Event {
	e := fleet.Event{
		InstanceID: w.ID, DefinitionID: w.DefinitionID, DeploymentID: text(w.DeploymentID), Environment: w.Environment,
		Type: fleet.EventHealthCheck, Source: fleet.SourceHealthMonitor,
		Data: map[string]any{"health_status": string(u.Health), "response_time": u.Result.ResponseTime},
	}
	if u.Health == fleet.HealthUnhealthy {
		e.Error = u.Result.Details
	}
	return e
}
