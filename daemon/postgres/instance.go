package postgres

import (
	"context"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// Instance implements httpapi.Store and deploy.Store.
func (s *Store) Instance(ctx context.Context, id string) (fleet.Instance, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Instance{}, err
	}
	r, err := q.GetInstance(ctx, id)
	return instance(r.ContainerInstance, r.DefinitionName, r.ServiceName), missing("instance", id, err)
}

// LiveInstances implements deploy.Store: oldest first.
func (s *Store) LiveInstances(ctx context.Context) ([]fleet.Instance, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.LiveInstances(ctx)
	return convertAll(rows, func(r dbsqlc.LiveInstancesRow) fleet.Instance {
		return instance(r.ContainerInstance, r.DefinitionName, r.ServiceName)
	}), translate("list instances", err)
}

// DeploymentInstances implements httpapi.Store: oldest first. ErrNotFound when
// there is no such deployment.
func (s *Store) DeploymentInstances(ctx context.Context, id string) ([]fleet.Instance, error) {
	if _, err := s.Deployment(ctx, id); err != nil {
		return nil, err
	}
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.DeploymentInstances(ctx, &id)
	return convertAll(rows, func(r dbsqlc.DeploymentInstancesRow) fleet.Instance {
		return instance(r.ContainerInstance, r.DefinitionName, r.ServiceName)
	}), translate("list instances", err)
}

// ListInstances implements httpapi.Store: newest first.
func (s *Store) ListInstances(ctx context.Context, f fleet.InstanceFilter, p fleet.Page) (fleet.Result[fleet.Instance], error) {
	var none fleet.Result[fleet.Instance]
	page, err := pageOf(p)
	if err != nil {
		return none, err
	}
	count := dbsqlc.CountInstancesParams{
		DefinitionID: nullable(f.DefinitionID), DeploymentID: nullable(f.DeploymentID), Environment: nullable(f.Environment),
		ServiceName: nullable(f.ServiceName), Status: nullable(string(f.Status)),
	}
	rows := dbsqlc.ListInstancesParams{
		DefinitionID: count.DefinitionID, DeploymentID: count.DeploymentID, Environment: count.Environment,
		ServiceName: count.ServiceName, Status: count.Status, BeforeID: page.after, MaxRows: page.rowsToFetch,
	}
	total, found, err := listRows(ctx, s, "list instances",
		func(q *dbsqlc.Queries) (int64, error) { return q.CountInstances(ctx, count) },
		func(q *dbsqlc.Queries) ([]dbsqlc.ListInstancesRow, error) { return q.ListInstances(ctx, rows) })
	if err != nil {
		return none, err
	}
	convert := func(r dbsqlc.ListInstancesRow) fleet.Instance {
		return instance(r.ContainerInstance, r.DefinitionName, r.ServiceName)
	}
	return resultOf(page, found, total, convert, func(i fleet.Instance) cursor { return cursor{ID: i.ID} }), nil
}

// AddInstances implements deploy.Store. The rows come back in the order of instances.
func (s *Store) AddInstances(ctx context.Context, instances []fleet.Instance) ([]fleet.Instance, error) {
	if len(instances) == 0 {
		return nil, nil
	}
	ids := make([]string, len(instances))
	for n, i := range instances {
		ids[n] = i.ID
	}
	var written []fleet.Instance
	err := s.write(ctx, "add instances", func(t *transaction) error {
		if err := t.LockPorts(ctx); err != nil { // also keeps two calls with the same instances apart
			return err
		}
		known, err := t.instancesByID(ctx, ids)
		if err != nil {
			return err
		}
		if err := t.insertInstances(ctx, s, without(instances, known)); err != nil {
			return err
		}
		found, err := t.instancesByID(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			written = append(written, found[id])
		}
		return nil
	})
	return written, err
}

func without(instances []fleet.Instance, known map[string]fleet.Instance) []fleet.Instance {
	return slices.DeleteFunc(slices.Clone(instances), func(i fleet.Instance) bool {
		_, ok := known[i.ID]
		return ok
	})
}

func (t *transaction) instancesByID(ctx context.Context, ids []string) (map[string]fleet.Instance, error) {
	rows, err := t.InstancesByID(ctx, ids)
	found := make(map[string]fleet.Instance, len(rows))
	for _, r := range rows {
		found[r.ContainerInstance.ID] = instance(r.ContainerInstance, r.DefinitionName, r.ServiceName)
	}
	return found, err
}

func (t *transaction) insertInstances(ctx context.Context, s *Store, instances []fleet.Instance) error {
	if len(instances) == 0 {
		return nil
	}
	free, err := t.freePorts(ctx, s, unleased(instances))
	if err != nil {
		return err
	}
	leases := assign(instances, free)
	rows := make([]dbsqlc.InsertInstanceParams, len(instances))
	events := make([]fleet.Event, len(instances))
	for n, i := range instances {
		if rows[n], err = insertColumns(i); err != nil {
			return err
		}
		events[n] = fleet.Event{
			InstanceID: i.ID, DefinitionID: i.DefinitionID, DeploymentID: i.DeploymentID, Environment: i.Environment,
			Type: fleet.EventCreated,
			Data: map[string]any{"instance_name": i.Name, "replica_number": i.Replica, "image_tag": i.ImageTag},
		}
	}
	var failed error
	t.InsertInstance(ctx, rows).Exec(func(_ int, err error) {
		if failed == nil {
			failed = err
		}
	})
	if failed != nil {
		return failed
	}
	if err := t.lease(ctx, leases); err != nil {
		return err
	}
	return t.record(ctx, events...)
}

// UpdateInstance implements deploy.Store.
func (s *Store) UpdateInstance(ctx context.Context, id string, change func(*fleet.Instance) ([]fleet.Event, error)) (fleet.Instance, error) {
	var after fleet.Instance
	err := s.write(ctx, "update instance", func(t *transaction) (err error) {
		after, err = t.changeInstance(ctx, id, change)
		return err
	})
	return after, err
}

// RequestAction implements deploy.Store.
func (s *Store) RequestAction(ctx context.Context, id string, change func(*fleet.Instance) ([]fleet.Event, error)) (fleet.Instance, error) {
	var after fleet.Instance
	_, replayed, err := s.mutate(ctx, "request action", func(t *transaction) (_ string, err error) {
		if after, err = t.changeInstance(ctx, id, change); err != nil {
			return "", err
		}
		return id, t.notify(ctx, fleet.Workload{DefinitionID: after.DefinitionID, Environment: after.Environment})
	})
	if err != nil || !replayed {
		return after, err
	}
	return s.Instance(ctx, id)
}

func (t *transaction) changeInstance(ctx context.Context, id string, change func(*fleet.Instance) ([]fleet.Event, error)) (fleet.Instance, error) {
	row, err := t.LockInstance(ctx, id)
	if err != nil {
		return fleet.Instance{}, missing("instance", id, err)
	}
	before := instance(row.ContainerInstance, row.DefinitionName, row.ServiceName)
	after := detached(before)
	events, err := change(&after)
	if err != nil {
		return fleet.Instance{}, err
	}
	if !reflect.DeepEqual(normalInstance(before), normalInstance(after)) {
		if err := t.updateInstance(ctx, after); err != nil {
			return fleet.Instance{}, err
		}
		if after.Current == fleet.StatusTerminated && before.Current != fleet.StatusTerminated {
			if err := t.ReturnPorts(ctx, &id); err != nil {
				return fleet.Instance{}, err
			}
		}
	}
	if err := t.record(ctx, events...); err != nil {
		return fleet.Instance{}, err
	}
	read, err := t.GetInstance(ctx, id)
	return instance(read.ContainerInstance, read.DefinitionName, read.ServiceName), err
}

func (t *transaction) updateInstance(ctx context.Context, i fleet.Instance) error {
	address, err := addressColumn(i.IPAddress)
	if err != nil {
		return err
	}
	i = normalInstance(i)
	return t.UpdateInstance(ctx, dbsqlc.UpdateInstanceParams{
		ID: i.ID, ContainerID: nullable(i.ContainerID), CurrentStatus: i.Current, DesiredStatus: i.Desired,
		NodeName: nullable(i.Node), IpAddress: address, PortMappings: i.Ports, ResourceUsage: i.Usage,
		HealthStatus: i.Health, HealthChecks: i.Checks, LastHealthCheck: i.LastCheck, RestartCount: i.Restarts,
		RecentExits: i.RecentExits, ExitCode: i.ExitCode, ErrorMessage: nullable(i.Error),
		RestartRequestedAt: i.RestartRequested, Force: i.Force, StartedAt: i.StartedAt, StoppedAt: i.StoppedAt,
		ImageTag: i.ImageTag, ImageDigest: i.ImageDigest, DeploymentID: nullable(i.DeploymentID),
		HealthySince: i.HealthySince, SettledAt: i.SettledAt, DrainingSince: i.DrainingSince, UnhealthySince: i.UnhealthySince,
		ResourceLimits: i.Limits, ReplicaNumber: i.Replica,
	})
}

func insertColumns(i fleet.Instance) (dbsqlc.InsertInstanceParams, error) {
	address, err := addressColumn(i.IPAddress)
	i = normalInstance(i)
	return dbsqlc.InsertInstanceParams{
		ID: i.ID, DefinitionID: i.DefinitionID, DeploymentID: nullable(i.DeploymentID), Environment: i.Environment,
		ContainerID: nullable(i.ContainerID), InstanceName: i.Name, ImageTag: i.ImageTag, ImageDigest: i.ImageDigest,
		CurrentStatus: i.Current, DesiredStatus: i.Desired, ReplicaNumber: i.Replica, NodeName: nullable(i.Node),
		IpAddress: address, PortMappings: i.Ports, ResourceUsage: i.Usage, HealthStatus: i.Health,
		HealthChecks: i.Checks, RecentExits: i.RecentExits, HealthySince: i.HealthySince, SettledAt: i.SettledAt, DrainingSince: i.DrainingSince,
		ResourceLimits: i.Limits,
	}, err
}

func addressColumn(s string) (*netip.Addr, error) {
	if s == "" {
		return nil, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return nil, fleet.FieldErrorf(fleet.ErrInvalid, "ip_address", "%q is not an IP address", s)
	}
	return &a, nil
}

// detached is i without anything shared, so that a change of it leaves i as it is.
func detached(i fleet.Instance) fleet.Instance {
	i.Ports = maps.Clone(i.Ports)
	i.Checks = slices.Clone(i.Checks)
	i.RecentExits = slices.Clone(i.RecentExits)
	for _, p := range []**time.Time{&i.LastCheck, &i.RestartRequested, &i.StartedAt, &i.StoppedAt, &i.HealthySince, &i.SettledAt, &i.UnhealthySince, &i.DrainingSince} {
		if *p != nil {
			*p = new(**p)
		}
	}
	if i.ExitCode != nil {
		i.ExitCode = new(*i.ExitCode)
	}
	if i.Limits != nil {
		i.Limits = new(*i.Limits)
	}
	return i
}

// normalInstance is i as it comes back from its columns: with the defaults, times
// in UTC to the microsecond, and nothing nil that is empty.
func normalInstance(i fleet.Instance) fleet.Instance {
	i = detached(i)
	if i.Ports == nil {
		i.Ports = map[int]int{}
	}
	if i.Checks == nil {
		i.Checks = []fleet.HealthResult{}
	}
	if i.RecentExits == nil {
		i.RecentExits = []time.Time{}
	}
	if i.Current == "" {
		i.Current = fleet.StatusPending
	}
	if i.Desired == "" {
		i.Desired = fleet.StatusRunning
	}
	if i.Health == "" {
		i.Health = fleet.HealthUnknown
	}
	for n := range i.RecentExits {
		i.RecentExits[n] = stored(i.RecentExits[n])
	}
	for n := range i.Checks {
		i.Checks[n].Timestamp = i.Checks[n].Timestamp.UTC().Round(0)
	}
	for _, p := range []*time.Time{i.LastCheck, i.RestartRequested, i.StartedAt, i.StoppedAt, i.HealthySince, i.SettledAt, i.UnhealthySince, i.DrainingSince} {
		if p != nil {
			*p = stored(*p)
		}
	}
	return i
}

// stored is t as Postgres keeps it.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func instance(r dbsqlc.ContainerInstance, definition, service string) fleet.Instance {
	i := fleet.Instance{
		ID: r.ID, DefinitionID: r.DefinitionID, DefinitionName: definition, ServiceName: service,
		DeploymentID: text(r.DeploymentID), Environment: r.Environment, ContainerID: text(r.ContainerID),
		Name: r.InstanceName, ImageTag: r.ImageTag, ImageDigest: r.ImageDigest, Current: r.CurrentStatus,
		Desired: r.DesiredStatus, Replica: r.ReplicaNumber, Node: text(r.NodeName), Ports: r.PortMappings,
		Usage: r.ResourceUsage, Health: r.HealthStatus, Checks: r.HealthChecks, LastCheck: r.LastHealthCheck,
		Restarts: r.RestartCount, RecentExits: r.RecentExits, ExitCode: r.ExitCode, Error: text(r.ErrorMessage),
		RestartRequested: r.RestartRequestedAt, Force: r.Force, StartedAt: r.StartedAt, StoppedAt: r.StoppedAt,
		HealthySince: r.HealthySince, SettledAt: r.SettledAt, UnhealthySince: r.UnhealthySince, DrainingSince: r.DrainingSince, Limits: r.ResourceLimits,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.IpAddress != nil {
		i.IPAddress = r.IpAddress.String()
	}
	return i
}
