package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// CreateDefinition implements httpapi.Store.
func (s *Store) CreateDefinition(ctx context.Context, d fleet.Definition, credentials *fleet.RegistryCredentials) (fleet.Definition, error) {
	id, replayed, err := s.mutate(ctx, "create definition", func(t *transaction) (string, error) {
		return s.insertDefinition(ctx, t, &d, credentials)
	})
	if err != nil || !replayed {
		return d, err
	}
	return s.anyDefinition(ctx, id)
}

func (s *Store) insertDefinition(ctx context.Context, t *transaction, d *fleet.Definition, credentials *fleet.RegistryCredentials) (string, error) {
	id, err := newID()
	if err != nil {
		return "", err
	}
	sealed, err := s.sealer.seal(credentials, id)
	if err != nil {
		return "", err
	}
	c := specColumns(d.Spec)
	row, err := t.InsertDefinition(ctx, dbsqlc.InsertDefinitionParams{
		ID: id, Name: c.Name, ServiceName: c.ServiceName, ImageName: c.ImageName, ImageTag: c.ImageTag,
		RegistryUrl: c.RegistryUrl, EnvironmentConfig: c.EnvironmentConfig, ResourceLimits: c.ResourceLimits,
		HealthCheckConfig: c.HealthCheckConfig, ScalingConfig: c.ScalingConfig, NetworkConfig: c.NetworkConfig,
		VolumeMounts: c.VolumeMounts, RuntimeConfig: c.RuntimeConfig, RegistryCredentials: sealed,
		CreatedBy: nullable(t.call.Principal.ID),
	})
	if err != nil {
		return "", err
	}
	*d = definition(row)
	return id, t.record(ctx, definitionEvent(*d, fleet.EventDefinitionCreated, nil))
}

// Definition implements httpapi.Store and deploy.Store.
func (s *Store) Definition(ctx context.Context, id string) (fleet.Definition, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Definition{}, err
	}
	row, err := q.GetActiveDefinition(ctx, id)
	return definition(row), missing("definition", id, err)
}

// anyDefinition reads a definition whether it is active or not.
func (s *Store) anyDefinition(ctx context.Context, id string) (fleet.Definition, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Definition{}, err
	}
	row, err := q.GetDefinition(ctx, id)
	return definition(row), missing("definition", id, err)
}

// RegistryCredentials implements deploy.Store.
func (s *Store) RegistryCredentials(ctx context.Context, definitionID string) (*fleet.RegistryCredentials, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	row, err := q.GetDefinition(ctx, definitionID)
	if err != nil {
		return nil, missing("definition", definitionID, err)
	}
	return s.sealer.open(row.RegistryCredentials, definitionID)
}

// ListDefinitions implements httpapi.Store: by name.
func (s *Store) ListDefinitions(ctx context.Context, f fleet.DefinitionFilter, p fleet.Page) (fleet.Result[fleet.Definition], error) {
	var none fleet.Result[fleet.Definition]
	page, err := pageOf(p)
	if err != nil {
		return none, err
	}
	count := dbsqlc.CountDefinitionsParams{Name: nullable(f.Name), ServiceName: nullable(f.ServiceName)}
	rows := dbsqlc.ListDefinitionsParams{
		Name: count.Name, ServiceName: count.ServiceName,
		AfterID: page.after, AfterName: page.afterName, MaxRows: page.rowsToFetch,
	}
	total, found, err := listRows(ctx, s, "list definitions",
		func(q *dbsqlc.Queries) (int64, error) { return q.CountDefinitions(ctx, count) },
		func(q *dbsqlc.Queries) ([]dbsqlc.ContainerDefinition, error) { return q.ListDefinitions(ctx, rows) })
	if err != nil {
		return none, err
	}
	return resultOf(page, found, total, definition, func(d fleet.Definition) cursor { return cursor{Name: d.Name, ID: d.ID} }), nil
}

// UpdateDefinition implements httpapi.Store.
func (s *Store) UpdateDefinition(ctx context.Context, id string, credentials fleet.CredentialsChange, change func(*fleet.Definition) error) (fleet.Definition, error) {
	var after fleet.Definition
	_, replayed, err := s.mutate(ctx, "update definition", func(t *transaction) (string, error) {
		row, err := t.LockDefinition(ctx, id)
		if err != nil {
			return "", missing("definition", id, err)
		}
		after = definition(row)
		if err := change(&after); err != nil {
			return "", err
		}
		return id, s.replaceDefinition(ctx, t, row, &after, credentials)
	})
	if err != nil || !replayed {
		return after, err
	}
	return s.anyDefinition(ctx, id)
}

// replaceDefinition writes what has changed of a locked row, and nothing if nothing has.
func (s *Store) replaceDefinition(ctx context.Context, t *transaction, before dbsqlc.ContainerDefinition, after *fleet.Definition, credentials fleet.CredentialsChange) error {
	changed, err := changedFields(definition(before).Spec, after.Spec)
	if err != nil {
		return err
	}
	sealed, resealed, err := s.resealed(before, credentials)
	if err != nil {
		return err
	}
	if resealed {
		changed = append(changed, "registry_credentials")
	}
	if len(changed) == 0 {
		*after = definition(before)
		return nil
	}
	c := specColumns(after.Spec)
	row, err := t.UpdateDefinition(ctx, dbsqlc.UpdateDefinitionParams{
		ID: before.ID, Name: c.Name, ServiceName: c.ServiceName, ImageName: c.ImageName, ImageTag: c.ImageTag,
		RegistryUrl: c.RegistryUrl, EnvironmentConfig: c.EnvironmentConfig, ResourceLimits: c.ResourceLimits,
		HealthCheckConfig: c.HealthCheckConfig, ScalingConfig: c.ScalingConfig, NetworkConfig: c.NetworkConfig,
		VolumeMounts: c.VolumeMounts, RuntimeConfig: c.RuntimeConfig, RegistryCredentials: sealed,
	})
	if err != nil {
		return err
	}
	*after = definition(row)
	return t.record(ctx, definitionEvent(*after, fleet.EventDefinitionUpdated, changed))
}

// resealed is the credentials column after a change, and whether the change is one.
func (s *Store) resealed(row dbsqlc.ContainerDefinition, change fleet.CredentialsChange) (sealed []byte, changed bool, err error) {
	if !change.Set {
		return row.RegistryCredentials, false, nil
	}
	// What cannot be opened any more is replaced.
	if before, err := s.sealer.open(row.RegistryCredentials, row.ID); err == nil && reflect.DeepEqual(before, change.Value) {
		return row.RegistryCredentials, false, nil
	}
	sealed, err = s.sealer.seal(change.Value, row.ID)
	return sealed, true, err
}

// DeleteDefinition implements httpapi.Store.
func (s *Store) DeleteDefinition(ctx context.Context, id string) error {
	_, _, err := s.mutate(ctx, "delete definition", func(t *transaction) (string, error) {
		row, err := t.LockDefinitionWhole(ctx, id)
		if err != nil {
			return "", missing("definition", id, err)
		}
		use, err := t.DefinitionUse(ctx, id)
		if err != nil {
			return "", err
		}
		if len(use) > 0 {
			return "", fleet.Errorf(fleet.ErrInUse, "definition %q is deployed in %s; remove its deployments first", row.Name, strings.Join(use, ", "))
		}
		if err := t.DeactivateDefinition(ctx, id); err != nil {
			return "", err
		}
		if err := t.deleteScalingPolicies(ctx, definition(row)); err != nil {
			return "", err
		}
		return id, t.record(ctx, definitionEvent(definition(row), fleet.EventDefinitionDeleted, nil))
	})
	return err
}

// definitionEvent names changed fields, never their values: those may be secret.
func definitionEvent(d fleet.Definition, kind string, changed []string) fleet.Event {
	data := map[string]any{"name": d.Name, "revision": d.Revision}
	if changed != nil {
		data["changed"] = changed
	}
	return fleet.Event{DefinitionID: d.ID, Type: kind, Data: data}
}

// changedFields names the fields in which two specs differ, as the API names them.
func changedFields(before, after fleet.Spec) ([]string, error) {
	a, err := fields(before)
	if err != nil {
		return nil, err
	}
	b, err := fields(after)
	if err != nil {
		return nil, err
	}
	var changed []string
	for name, value := range b {
		if !bytes.Equal(value, a[name]) {
			changed = append(changed, name)
		}
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed, nil
}

func fields(s fleet.Spec) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(normalSpec(s))
	if err != nil {
		return nil, fmt.Errorf("encode definition: %w", err)
	}
	var m map[string]json.RawMessage
	return m, json.Unmarshal(b, &m)
}

// normalSpec is the spec as it comes back from its columns: nothing that is
// empty is nil, where the JSON would tell the two apart.
func normalSpec(s fleet.Spec) fleet.Spec {
	if s.Environment == nil {
		s.Environment = map[string]string{}
	}
	if s.Volumes == nil {
		s.Volumes = []fleet.VolumeMount{}
	}
	return s
}

func specColumns(s fleet.Spec) dbsqlc.ContainerDefinition {
	s = normalSpec(s)
	return dbsqlc.ContainerDefinition{
		Name: s.Name, ServiceName: s.ServiceName, ImageName: s.ImageName, ImageTag: s.ImageTag,
		RegistryUrl: nullable(s.RegistryURL), EnvironmentConfig: s.Environment, ResourceLimits: s.Resources,
		HealthCheckConfig: s.HealthCheck, ScalingConfig: s.Scaling, NetworkConfig: s.Network,
		VolumeMounts: s.Volumes, RuntimeConfig: s.Runtime,
	}
}

func definition(r dbsqlc.ContainerDefinition) fleet.Definition {
	check := r.HealthCheckConfig
	if check != nil && check.Interval == 0 { // the column's default '{}'
		check = nil
	}
	return fleet.Definition{
		ID: r.ID,
		Spec: normalSpec(fleet.Spec{
			Name: r.Name, ServiceName: r.ServiceName, ImageName: r.ImageName, ImageTag: r.ImageTag,
			RegistryURL: text(r.RegistryUrl), Environment: r.EnvironmentConfig, Resources: r.ResourceLimits,
			HealthCheck: check, Scaling: r.ScalingConfig, Network: r.NetworkConfig,
			Volumes: r.VolumeMounts, Runtime: r.RuntimeConfig,
		}),
		HasCredentials: r.RegistryCredentials != nil,
		Revision:       r.Revision,
		IsActive:       r.IsActive,
		CreatedBy:      text(r.CreatedBy),
		CreatedAt:      r.CreatedAt,
		UpdatedAt:      r.UpdatedAt,
	}
}
