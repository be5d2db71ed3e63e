package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Workloads implements deploy.Store.
func (s *Store) Workloads(ctx context.Context) ([]fleet.Workload, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.ListWorkloads(ctx)
	return convertAll(rows, func(r dbsqlc.ListWorkloadsRow) fleet.Workload { return fleet.Workload(r) }), translate("list workloads", err)
}

// LoadWorkload implements deploy.Store: everything as of one moment.
func (s *Store) LoadWorkload(ctx context.Context, w fleet.Workload) (fleet.WorkloadState, error) {
	state := fleet.WorkloadState{Workload: w}
	err := s.snapshot(ctx, "read workload", func(t *transaction) error {
		row, err := t.GetWorkload(ctx, dbsqlc.GetWorkloadParams{DefinitionID: w.DefinitionID, Environment: w.Environment})
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		instances, err := t.WorkloadInstances(ctx, dbsqlc.WorkloadInstancesParams{DefinitionID: w.DefinitionID, Environment: w.Environment})
		if err != nil {
			return err
		}
		state.Instances = convertAll(instances, func(r dbsqlc.WorkloadInstancesRow) fleet.Instance {
			return instance(r.ContainerInstance, r.DefinitionName, r.ServiceName)
		})
		if err := t.loadDrained(ctx, state.Instances); err != nil {
			return err
		}
		if err := t.loadNetworks(ctx, &state); err != nil {
			return err
		}
		if state.Limits, err = t.grantedLimits(ctx, row); err != nil {
			return err
		}
		return t.loadDeployments(ctx, &state, row)
	})
	return state, err
}

// grantedLimits are what vertical policies have set, as long as there are such.
func (t *transaction) grantedLimits(ctx context.Context, w dbsqlc.Workload) (granted fleet.Resources, err error) {
	if w.ResourceLimits == nil {
		return granted, nil
	}
	metrics, err := t.ResizedMetrics(ctx, dbsqlc.ResizedMetricsParams{DefinitionID: w.DefinitionID, Environment: w.Environment})
	for _, m := range metrics {
		switch text(m) {
		case grammar.MetricCPU:
			granted.CPU = w.ResourceLimits.CPU
		case grammar.MetricMemory:
			granted.Memory = w.ResourceLimits.Memory
		}
	}
	return granted, err
}

// loadDrained notes which instances of a workload every follower has let go of.
func (t *transaction) loadDrained(ctx context.Context, instances []fleet.Instance) error {
	k := slices.IndexFunc(instances, func(i fleet.Instance) bool { return i.DrainingSince != nil })
	if k < 0 {
		return nil
	}
	w := instances[k]
	drained, err := t.DrainedInstances(ctx, dbsqlc.DrainedInstancesParams{DefinitionID: w.DefinitionID, Environment: w.Environment})
	for n := range instances {
		instances[n].Drained = slices.Contains(drained, instances[n].ID)
	}
	return err
}

func (t *transaction) loadNetworks(ctx context.Context, state *fleet.WorkloadState) error {
	rows, err := t.EnvironmentNetworks(ctx, state.Environment)
	state.Networks = make(map[string]fleet.Network, len(rows))
	for _, r := range rows {
		state.Networks[r.NetworkName] = network(r)
	}
	return err
}

func (t *transaction) loadDeployments(ctx context.Context, state *fleet.WorkloadState, w dbsqlc.Workload) error {
	var ids []string
	for _, id := range []string{text(w.TargetDeploymentID), text(w.LiveDeploymentID)} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	for _, i := range state.Instances {
		if i.DeploymentID != "" {
			ids = append(ids, i.DeploymentID)
		}
	}
	slices.Sort(ids)
	rows, err := t.WorkloadDeployments(ctx, slices.Compact(ids))
	state.Deployments = make(map[string]fleet.Deployment, len(rows))
	for _, r := range rows {
		state.Deployments[r.DeploymentHistory.ID] = deployment(r.DeploymentHistory, r.DefinitionName, r.Live)
	}
	state.Target = pointer(state.Deployments, w.TargetDeploymentID)
	state.Live = pointer(state.Deployments, w.LiveDeploymentID)
	if err != nil || state.Target == nil || state.Target.Status != fleet.DeploymentInProgress || state.Target.RollbackOfID == "" {
		return err
	}
	undone, err := t.deployment(ctx, state.Target.RollbackOfID)
	state.Deployments[undone.ID] = undone
	return err
}

func pointer(m map[string]fleet.Deployment, id *string) *fleet.Deployment {
	d, ok := m[text(id)]
	if !ok {
		return nil
	}
	return &d
}

// notification is what Changes receives; it holds identifiers only, since every
// login may listen.
type notification struct {
	DefinitionID string `json:"definition_id"`
	Environment  string `json:"environment"`
}

// notify wakes the daemons that listen, when the transaction commits.
func (t *transaction) notify(ctx context.Context, w fleet.Workload) error {
	b, err := json.Marshal(notification(w))
	if err != nil {
		return fmt.Errorf("encode notification: %w", err)
	}
	return t.NotifyWorkload(ctx, string(b))
}
