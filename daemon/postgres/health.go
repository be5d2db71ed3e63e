package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
	return convertAll(rows, healthTarget), translate("list health targets", err)
}

func healthTarget(r dbsqlc.HealthTargetsRow) fleet.HealthTarget {
	target := fleet.HealthTarget{
		InstanceID:  r.ID,
		Workload:    fleet.Workload{DefinitionID: r.DefinitionID, Environment: r.Environment},
		ContainerID: r.ContainerID,
		Health:      r.HealthStatus, HealthySince: r.HealthySince,
		Settling: time.Duration(normalRollout(r.RolloutConfig).MinHealthyTime) * time.Second,
	}
	if r.IpAddress != nil {
		target.Address = r.IpAddress.String()
	}
	if r.LastHealthCheck != nil {
		target.CheckedAt = *r.LastHealthCheck
	}
	if r.StartedAt != nil {
		target.StartedAt = *r.StartedAt
	}
	target.Fault = readRules(r, &target)
	return target
}

// readRules reads how a target is checked.
func readRules(r dbsqlc.HealthTargetsRow, t *fleet.HealthTarget) error {
	spec := fleet.Spec{HealthCheck: &t.Check}
	if err := json.Unmarshal(r.HealthCheck, &t.Check); err != nil {
		return fmt.Errorf("decode health_check_config of its deployment: %w", err)
	}
	if err := json.Unmarshal(r.Ports, &spec.Network.Ports); err != nil {
		return fmt.Errorf("decode network_config.ports of its deployment: %w", err)
	}
	t.Port = spec.HealthPort()
	return nil
}

// healthRow is one row of query RecordHealth.
type healthRow struct {
	ID        string               `json:"id"`
	StartedAt time.Time            `json:"started_at"`
	Health    fleet.Health         `json:"health_status"`
	Checks    []fleet.HealthResult `json:"health_checks"`
	At        *time.Time           `json:"checked_at"`
	Since     *time.Time           `json:"healthy_since"`
	Settled   *time.Time           `json:"settled_at"`
}

// healthRows are the newest updates, one for each run, as a row can be written once only.
func healthRows(updates []fleet.HealthUpdate) []healthRow {
	type run struct {
		instance string
		started  int64
	}
	rows := make([]healthRow, 0, len(updates))
	seen := make(map[run]bool, len(updates))
	for _, u := range slices.Backward(updates) {
		key := run{instance: u.InstanceID, started: u.StartedAt.UnixMicro()}
		if seen[key] {
			continue
		}
		seen[key] = true
		row := healthRow{ID: u.InstanceID, StartedAt: stored(u.StartedAt), Health: u.Health, Checks: u.Recent, At: u.CheckedAt, Since: u.HealthySince, Settled: u.SettledAt}
		if row.Checks == nil {
			row.Checks = []fleet.HealthResult{}
		}
		rows = append(rows, row)
	}
	return rows
}

// RecordHealth implements health.Store. Updates of a run that is over are left
// out, those of instances that were restarted meanwhile among them.
func (s *Store) RecordHealth(ctx context.Context, updates []fleet.HealthUpdate) error {
	if len(updates) == 0 {
		return nil
	}
	encoded, err := json.Marshal(healthRows(updates))
	if err != nil {
		return fmt.Errorf("encode health: %w: %w", fleet.ErrInvalid, err)
	}
	return s.write(ctx, "record health", func(t *transaction) error {
		rows, err := t.RecordHealth(ctx, encoded)
		if err != nil {
			return err
		}
		written := make(map[string]dbsqlc.RecordHealthRow, len(rows))
		for _, w := range rows {
			written[w.ID] = w
		}
		var events []fleet.Event
		for _, u := range updates {
			if w, ok := written[u.InstanceID]; ok && u.Changed && w.StartedAt.Equal(stored(u.StartedAt)) {
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
