package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Service accepts what users ask for: it checks, writes the wish and returns;
// the Controller of the leader carries it out.
type Service struct {
	store  Store
	engine Engine
	// wake tells a controller in this process at once, rather than by way of the database.
	wake func(fleet.Workload)
}

// NewService makes a Service. wake is called after each accepted wish.
func NewService(store Store, engine Engine, wake func(fleet.Workload)) *Service {
	return &Service{store: store, engine: engine, wake: wake}
}

// Deploy starts a rollout of the definition's current revision. It resolves the
// image first, so that a deployment always names content that exists.
func (s *Service) Deploy(ctx context.Context, r fleet.DeployRequest) (fleet.Deployment, error) {
	return s.begin(ctx, func() (fleet.Deployment, error) { return s.newRollout(ctx, r) })
}

// newRollout is the deployment that a request asks for, with its image resolved.
func (s *Service) newRollout(ctx context.Context, r fleet.DeployRequest) (fleet.Deployment, error) {
	definition, err := s.store.Definition(ctx, r.DefinitionID)
	if err != nil {
		return fleet.Deployment{}, err
	}
	d, err := s.plan(ctx, definition, r)
	if err != nil {
		return fleet.Deployment{}, err
	}
	d.ImageDigest, err = s.resolve(ctx, definition)
	return d, err
}

// plan is the deployment that a request asks for, checked against the definition and the environment.
func (s *Service) plan(ctx context.Context, definition fleet.Definition, r fleet.DeployRequest) (fleet.Deployment, error) {
	if r.Revision != nil && *r.Revision != definition.Revision {
		return fleet.Deployment{}, fleet.FieldErrorf(fleet.ErrConflict, "definition_revision",
			"definition %q is at revision %d, not %d: it was changed meanwhile; look at it and deploy again", definition.Name, definition.Revision, *r.Revision)
	}
	replicas := definition.Scaling.MinReplicas
	if r.Replicas != nil {
		replicas = *r.Replicas
	}
	networks, err := s.store.Networks(ctx)
	if err != nil {
		return fleet.Deployment{}, err
	}
	faults := checkNetworks(definition.Spec, networks, r.Environment)
	if replicas > definition.Scaling.MaxReplicas {
		faults = append(faults, fleet.FieldError{Field: "replica_count", Message: fmt.Sprintf(
			"%d is above max_replicas of definition %q, which is %d", replicas, definition.Name, definition.Scaling.MaxReplicas)})
	}
	faults = append(faults, checkRollout(r.Rollout, definition.HealthCheck)...)
	if len(faults) > 0 {
		return fleet.Deployment{}, &fleet.InvalidError{Fields: faults}
	}
	strategy := cmp.Or(r.Strategy, fleet.StrategyRollingUpdate)
	var begin fleet.RolloutState
	if strategy.Weights() {
		begin.Weight = new(0)
	}
	return fleet.Deployment{
		DefinitionID:       definition.ID,
		DefinitionName:     definition.Name,
		DefinitionRevision: definition.Revision,
		Environment:        r.Environment,
		Type:               fleet.TypeDeploy,
		ImageTag:           definition.ImageTag,
		Spec:               definition.Spec,
		After:              replicas,
		KeepReplicas:       r.Replicas == nil,
		Status:             fleet.DeploymentInProgress,
		Strategy:           strategy,
		Rollout:            r.Rollout,
		State:              begin,
		Notes:              r.Notes,
	}, nil
}

// checkRollout checks a rollout's settings, by themselves and against the health
// check: a rollout must not be judged before the check has a verdict.
func checkRollout(r grammar.Rollout, check *fleet.HealthCheck) (faults []fleet.FieldError) {
	for _, f := range r.Faults() {
		faults = append(faults, fleet.FieldError{Field: "rollout_config." + f.Field, Message: f.Err.Error()})
	}
	if len(faults) > 0 || check == nil {
		return faults
	}
	if err := r.FitsHealthCheck(*check); err != nil {
		faults = append(faults, fleet.FieldError{Field: "rollout_config.healthy_deadline", Message: err.Error()})
	}
	return faults
}

// checkNetworks finds the networks that a definition names but the environment lacks, or has as another type.
func checkNetworks(s fleet.Spec, networks []fleet.Network, environment string) (faults []fleet.FieldError) {
	types := make(map[string]fleet.NetworkType)
	for _, n := range networks {
		if n.Environment == environment {
			types[n.Name] = n.Type
		}
	}
	check := func(field string, names []string, external bool, want string) {
		for _, name := range names {
			t, ok := types[name]
			message := fmt.Sprintf("environment %s has no network %q, which %s of definition %q names; create it there first", environment, name, field, s.Name)
			if ok {
				message = fmt.Sprintf("network %q of environment %s is of type %s, but %s of definition %q needs %s", name, environment, t, field, s.Name, want)
			}
			if !ok || (t == fleet.NetworkExternal) != external {
				faults = append(faults, fleet.FieldError{Field: "environment", Message: message})
			}
		}
	}
	check("internal_networks", s.Network.InternalNetworks, false, "internal or overlay")
	check("external_networks", s.Network.ExternalNetworks, true, "external")
	return faults
}

func (s *Service) resolve(ctx context.Context, d fleet.Definition) (string, error) {
	reference, err := d.ImageReference()
	if err != nil {
		return "", fleet.Errorf(fleet.ErrInvalid, "definition %q: %v", d.Name, err)
	}
	credentials, err := s.store.RegistryCredentials(ctx, d.ID)
	if err != nil {
		return "", fmt.Errorf("read registry credentials: %w", err)
	}
	return s.engine.ResolveImage(ctx, reference, d.Runtime.PullPolicy, credentials)
}

// begin starts the deployment that propose yields. A request that was accepted
// before, under the same key, is answered with the deployment of then.
func (s *Service) begin(ctx context.Context, propose func() (fleet.Deployment, error)) (fleet.Deployment, error) {
	if earlier, found, err := s.replayed(ctx); found || err != nil {
		return earlier, err
	}
	d, err := propose()
	if err != nil {
		return fleet.Deployment{}, err
	}
	accepted, err := s.store.CreateDeployment(ctx, d)
	if err != nil {
		return fleet.Deployment{}, err
	}
	s.wake(accepted.Workload())
	return accepted, nil
}

// replayed is the deployment that an earlier request with the same key was about.
func (s *Service) replayed(ctx context.Context) (d fleet.Deployment, found bool, err error) {
	id, found, err := s.store.FindReplay(ctx)
	if err != nil || !found {
		return fleet.Deployment{}, false, err
	}
	d, err = s.store.Deployment(ctx, id)
	return d, true, err
}

// Remove starts taking a definition out of an environment.
func (s *Service) Remove(ctx context.Context, w fleet.Workload) (fleet.Deployment, error) {
	return s.begin(ctx, func() (fleet.Deployment, error) { return s.newRemoval(ctx, w) })
}

// newRemoval is the deployment that takes a definition out of an environment.
func (s *Service) newRemoval(ctx context.Context, w fleet.Workload) (fleet.Deployment, error) {
	definition, err := s.store.Definition(ctx, w.DefinitionID)
	if err != nil {
		return fleet.Deployment{}, err
	}
	state, err := s.store.LoadWorkload(ctx, w)
	if err != nil {
		return fleet.Deployment{}, err
	}
	if state.Target == nil {
		return fleet.Deployment{}, fleet.Errorf(fleet.ErrNotFound, "definition %q is not deployed in environment %s", definition.Name, w.Environment)
	}
	last := state.Target
	return fleet.Deployment{
		DefinitionID:       definition.ID,
		DefinitionName:     definition.Name,
		DefinitionRevision: last.DefinitionRevision,
		Environment:        w.Environment,
		Type:               fleet.TypeDeploy,
		ImageTag:           last.ImageTag,
		ImageDigest:        last.ImageDigest,
		Spec:               last.Spec,
		Status:             fleet.DeploymentInProgress,
		Strategy:           fleet.StrategyRollingUpdate,
		Rollout:            last.Rollout,
		Removal:            true,
	}, nil
}

// Act asks for an action on an instance.
func (s *Service) Act(ctx context.Context, instanceID string, action fleet.Action, force bool, reason string) (fleet.Instance, error) {
	i, err := s.store.RequestAction(ctx, instanceID, func(row *fleet.Instance) ([]fleet.Event, error) {
		return request(row, action, force, reason, time.Now().UTC().Truncate(time.Microsecond))
	})
	if err != nil {
		return fleet.Instance{}, err
	}
	s.wake(fleet.Workload{DefinitionID: i.DefinitionID, Environment: i.Environment})
	return i, nil
}

// request writes the wish for an action into an instance. It is pure.
func request(i *fleet.Instance, action fleet.Action, force bool, reason string, now time.Time) ([]fleet.Event, error) {
	if i.Current == fleet.StatusTerminated {
		return nil, fleet.Errorf(fleet.ErrConflict, "instance %s is terminated; nothing can be done to it any more", i.Name)
	}
	if i.Desired == fleet.StatusTerminated && action != fleet.ActionTerminate {
		return nil, fleet.Errorf(fleet.ErrConflict, "instance %s is being terminated", i.Name)
	}
	i.Force = force
	switch action {
	case fleet.ActionStart:
		i.Desired = fleet.StatusRunning
		i.RecentExits = nil
	case fleet.ActionRestart:
		i.Desired = fleet.StatusRunning
		i.RecentExits = nil
		i.RestartRequested = &now
	case fleet.ActionStop:
		i.Desired = fleet.StatusStopped
	case fleet.ActionTerminate:
		i.Desired = fleet.StatusTerminated
	default:
		return nil, fleet.FieldErrorf(fleet.ErrInvalid, "action", "%q is not an action; use start, stop, restart or terminate", action)
	}
	e := event(*i, fleet.EventActionRequested, map[string]any{"action": string(action), "force": force, "reason": reason})
	e.Source = fleet.SourceUser
	return []fleet.Event{e}, nil
}

// CreateNetwork makes a network in the engine and stores it, or neither.
func (s *Service) CreateNetwork(ctx context.Context, n fleet.Network) (fleet.Network, error) {
	return s.store.CreateNetwork(ctx, n, s.engine.EnsureNetwork)
}

// UpdateNetwork changes a network. What the engine cannot change in place is
// changed by making its network anew, which it allows while no container is attached.
func (s *Service) UpdateNetwork(ctx context.Context, id string, change func(*fleet.Network) error) (fleet.Network, error) {
	return s.store.UpdateNetwork(ctx, id, change, func(ctx context.Context, before, after fleet.Network) error {
		if sameEngineNetwork(before, after) {
			return nil
		}
		if err := s.engine.RemoveNetwork(ctx, before); err != nil {
			return err
		}
		if err := s.engine.EnsureNetwork(ctx, after); err != nil {
			return errors.Join(err, s.engine.EnsureNetwork(context.WithoutCancel(ctx), before))
		}
		return nil
	})
}

// sameEngineNetwork reports whether two versions of a network are one to the
// engine: resolver settings are given to containers, not to the network.
func sameEngineNetwork(a, b fleet.Network) bool {
	return a.Type == b.Type && a.Subnet == b.Subnet && a.Gateway == b.Gateway &&
		a.Settings.EnableIPv6 == b.Settings.EnableIPv6 && a.Settings.MTU == b.Settings.MTU &&
		maps.Equal(a.Settings.Labels, b.Settings.Labels)
}

// DeleteNetwork removes a network from the engine and marks it deleted.
func (s *Service) DeleteNetwork(ctx context.Context, id string) error {
	return s.store.DeleteNetwork(ctx, id, s.engine.RemoveNetwork)
}
