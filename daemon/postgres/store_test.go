package postgres_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

var testKey = slices.Repeat([]byte{7}, postgres.SecretKeySize)

// open is a store on a database of the test's own, over the unprivileged login.
func open(t testing.TB) (*postgres.Store, testenv.DB) {
	t.Helper()
	db := testenv.Database(t)
	return openURL(t, db.AppURL), db
}

func openURL(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), postgres.Config{
		URL: url, SecretKey: testKey, HostPortMin: 20000, HostPortMax: 20009, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// system is a context in which the daemon acts.
func system(t testing.TB) context.Context { return fleet.AsSystem(t.Context()) }

// as is a context of a new principal.
func as(t testing.TB, s *postgres.Store, role fleet.Role, environments ...string) context.Context {
	t.Helper()
	name := "p-" + uuid.NewString()
	hash := sha256.Sum256([]byte(name))
	token, err := s.CreateToken(system(t), fleet.Token{
		Principal: fleet.Principal{Name: name, Role: role, Environments: environments}, Prefix: "wsk_",
	}, hash[:])
	if err != nil {
		t.Fatalf("create token: %v", err)
	}
	return fleet.WithCall(t.Context(), fleet.Call{Principal: token.Principal})
}

// keyed is ctx with an idempotency key.
func keyed(ctx context.Context, key, fingerprint string) context.Context {
	call, _ := fleet.CallFrom(ctx)
	call.IdempotencyKey, call.Fingerprint = key, []byte(fingerprint)
	return fleet.WithCall(ctx, call)
}

func spec(name string) fleet.Spec {
	return fleet.Spec{
		Name: name, ServiceName: name, ImageName: "wedsync/" + name, ImageTag: "v1", RegistryURL: "registry.example.com",
		Environment: map[string]string{"LOG_LEVEL": "info"},
		Resources:   fleet.Resources{CPU: "500m", Memory: "64Mi", Storage: "1Gi"},
		HealthCheck: &fleet.HealthCheck{Endpoint: "/health", Port: 8081, Interval: 5, Timeout: 2, Retries: 3, StartPeriod: 1},
		Scaling:     fleet.Scaling{MinReplicas: 1, MaxReplicas: 4, TargetCPU: 70, TargetMemory: 80},
		Network:     fleet.NetworkConfig{Ports: []int{8080}, PublishPorts: true},
		Volumes:     []fleet.VolumeMount{{Source: "data", Target: "/data", ReadOnly: true}},
		Runtime: fleet.RuntimeConfig{
			Entrypoint: []string{"/app"}, Command: []string{"-v"}, User: "1:1", ReadOnlyRootFilesystem: true, Tmpfs: []string{"/tmp"},
			Labels: map[string]string{"team": "weddings"}, StopTimeout: 10, LogMaxSize: "10Mi", LogMaxFiles: 3, PullPolicy: fleet.PullAlways,
		},
	}
}

func createDefinition(t testing.TB, s *postgres.Store, name string) fleet.Definition {
	t.Helper()
	d, err := s.CreateDefinition(system(t), fleet.Definition{Spec: spec(name)}, nil)
	if err != nil {
		t.Fatalf("create definition: %v", err)
	}
	return d
}

// deployed starts a deployment of a definition.
func deployed(t testing.TB, s *postgres.Store, d fleet.Definition, environment string) fleet.Deployment {
	t.Helper()
	got, err := s.CreateDeployment(system(t), deploymentOf(d, environment))
	if err != nil {
		t.Fatalf("create deployment: %v", err)
	}
	return got
}

func deploymentOf(d fleet.Definition, environment string) fleet.Deployment {
	return fleet.Deployment{
		DefinitionID: d.ID, DefinitionRevision: d.Revision, Environment: environment, Type: fleet.TypeDeploy,
		ImageTag: d.ImageTag, ImageDigest: "sha256:1", Spec: d.Spec, After: 2, Strategy: fleet.StrategyRollingUpdate,
		Rollout: grammar.DefaultRollout(true), Notes: "why",
	}
}

// completed ends a deployment well.
func completed(t testing.TB, s *postgres.Store, id string) fleet.Deployment {
	t.Helper()
	d, err := s.UpdateDeployment(system(t), id, func(d *fleet.Deployment) ([]fleet.Event, error) {
		d.Status = fleet.DeploymentCompleted
		return nil, nil
	})
	if err != nil {
		t.Fatalf("complete deployment: %v", err)
	}
	return d
}

func newInstance(d fleet.Deployment, replica int) fleet.Instance {
	id := uuid.Must(uuid.NewV7()).String()
	return fleet.Instance{
		ID: id, DefinitionID: d.DefinitionID, DeploymentID: d.ID, Environment: d.Environment,
		Name: fleet.InstanceName(d.DefinitionName, d.Environment, replica, id), ImageTag: d.ImageTag, ImageDigest: d.ImageDigest,
		Current: fleet.StatusPending, Desired: fleet.StatusRunning, Replica: replica, Health: fleet.HealthUnknown,
	}
}

func added(t testing.TB, s *postgres.Store, instances ...fleet.Instance) []fleet.Instance {
	t.Helper()
	got, err := s.AddInstances(system(t), instances)
	if err != nil {
		t.Fatalf("add instances: %v", err)
	}
	return got
}

func wantKind(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, want %v", err, kind)
	}
}

// eventTypes lists the types of the events that match, newest first.
func eventTypes(t testing.TB, s *postgres.Store, f fleet.EventFilter) []string {
	t.Helper()
	r, err := s.ListEvents(system(t), f, fleet.Page{})
	if err != nil {
		t.Fatalf("list events: %v", err)
	}
	types := make([]string, len(r.Items))
	for n, e := range r.Items {
		types[n] = e.Type
	}
	return types
}

// TestNobody: without a call, everything but finding a token is refused.
func TestNobody(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	calls := map[string]func() error{
		"CreateDefinition": func() error { _, err := s.CreateDefinition(ctx, fleet.Definition{Spec: spec("a")}, nil); return err },
		"Definition":       func() error { _, err := s.Definition(ctx, definitionID); return err },
		"ListDefinitions":  func() error { _, err := s.ListDefinitions(ctx, fleet.DefinitionFilter{}, fleet.Page{}); return err },
		"UpdateDefinition": func() error {
			_, err := s.UpdateDefinition(ctx, definitionID, fleet.CredentialsChange{}, nil)
			return err
		},
		"DeleteDefinition":    func() error { return s.DeleteDefinition(ctx, definitionID) },
		"RegistryCredentials": func() error { _, err := s.RegistryCredentials(ctx, definitionID); return err },
		"Network":             func() error { _, err := s.Network(ctx, definitionID); return err },
		"Networks":            func() error { _, err := s.Networks(ctx); return err },
		"ListNetworks":        func() error { _, err := s.ListNetworks(ctx, fleet.NetworkFilter{}, fleet.Page{}); return err },
		"CreateNetwork":       func() error { _, err := s.CreateNetwork(ctx, fleet.Network{}, nil); return err },
		"UpdateNetwork":       func() error { _, err := s.UpdateNetwork(ctx, definitionID, nil, nil); return err },
		"DeleteNetwork":       func() error { return s.DeleteNetwork(ctx, definitionID, nil) },
		"Instance":            func() error { _, err := s.Instance(ctx, definitionID); return err },
		"ListInstances":       func() error { _, err := s.ListInstances(ctx, fleet.InstanceFilter{}, fleet.Page{}); return err },
		"LiveInstances":       func() error { _, err := s.LiveInstances(ctx); return err },
		"DeploymentInstances": func() error { _, err := s.DeploymentInstances(ctx, definitionID); return err },
		"AddInstances":        func() error { _, err := s.AddInstances(ctx, []fleet.Instance{{ID: definitionID}}); return err },
		"UpdateInstance":      func() error { _, err := s.UpdateInstance(ctx, definitionID, nil); return err },
		"RequestAction":       func() error { _, err := s.RequestAction(ctx, definitionID, nil); return err },
		"ReleasePort":         func() error { _, err := s.ReleasePort(ctx, definitionID, 80); return err },
		"CreateDeployment":    func() error { _, err := s.CreateDeployment(ctx, fleet.Deployment{}); return err },
		"Deployment":          func() error { _, err := s.Deployment(ctx, definitionID); return err },
		"ListDeployments":     func() error { _, err := s.ListDeployments(ctx, fleet.DeploymentFilter{}, fleet.Page{}); return err },
		"UpdateDeployment":    func() error { _, err := s.UpdateDeployment(ctx, definitionID, nil); return err },
		"SteerDeployment":     func() error { _, err := s.SteerDeployment(ctx, definitionID, nil, nil); return err },
		"StableBefore":        func() error { _, err := s.StableBefore(ctx, fleet.Deployment{}); return err },
		"FindReplay":          func() error { _, _, err := s.FindReplay(ctx); return err },
		"Workloads":           func() error { _, err := s.Workloads(ctx); return err },
		"LoadWorkload":        func() error { _, err := s.LoadWorkload(ctx, fleet.Workload{DefinitionID: definitionID}); return err },
		"HealthTargets":       func() error { _, err := s.HealthTargets(ctx); return err },
		"RecordHealth":        func() error { return s.RecordHealth(ctx, []fleet.HealthUpdate{{InstanceID: definitionID}}) },
		"Endpoints":           func() error { _, err := s.Endpoints(ctx, fleet.EndpointFilter{}); return err },
		"SetWeight":           func() error { _, err := s.SetWeight(ctx, "api", definitionID, 1, ""); return err },
		"CreateRoute":         func() error { _, err := s.CreateRoute(ctx, fleet.Route{}); return err },
		"Route":               func() error { _, err := s.Route(ctx, definitionID); return err },
		"ListRoutes":          func() error { _, err := s.ListRoutes(ctx, fleet.RouteFilter{}, fleet.Page{}); return err },
		"UpdateRoute":         func() error { _, err := s.UpdateRoute(ctx, definitionID, nil); return err },
		"DeleteRoute":         func() error { return s.DeleteRoute(ctx, definitionID) },
		"CreateScalingPolicy": func() error { _, err := s.CreateScalingPolicy(ctx, fleet.ScalingPolicy{}); return err },
		"ScalingPolicy":       func() error { _, err := s.ScalingPolicy(ctx, definitionID); return err },
		"ListScalingPolicies": func() error {
			_, err := s.ListScalingPolicies(ctx, fleet.ScalingPolicyFilter{}, fleet.Page{})
			return err
		},
		"UpdateScalingPolicy": func() error { _, err := s.UpdateScalingPolicy(ctx, definitionID, nil); return err },
		"DeleteScalingPolicy": func() error { return s.DeleteScalingPolicy(ctx, definitionID) },
		"ListScalingDecisions": func() error {
			_, err := s.ListScalingDecisions(ctx, fleet.ScalingDecisionFilter{}, fleet.Page{})
			return err
		},
		"Traffic":        func() error { _, err := s.Traffic(ctx); return err },
		"Follow":         func() error { return s.Follow(ctx, definitionID, "a") },
		"Unfollow":       func() error { return s.Unfollow(ctx, definitionID) },
		"RecordDrained":  func() error { return s.RecordDrained(ctx, definitionID, nil) },
		"RecordLoads":    func() error { return s.RecordLoads(ctx, definitionID, nil) },
		"Loads":          func() error { _, err := s.Loads(ctx); return err },
		"MetricTargets":  func() error { _, err := s.MetricTargets(ctx); return err },
		"WorkloadCounts": func() error { _, err := s.WorkloadCounts(ctx); return err },
		"RecordSamples":  func() error { return s.RecordSamples(ctx, []fleet.Sample{{InstanceID: definitionID}}) },
		"RecordUsage":    func() error { _, err := s.RecordUsage(ctx, map[string]fleet.Usage{definitionID: {}}); return err },
		"PostMetrics":    func() error { return s.PostMetrics(ctx, definitionID, nil) },
		"Metrics":        func() error { _, err := s.Metrics(ctx, fleet.MetricRange{InstanceID: definitionID}); return err },
		"Readings": func() error {
			_, err := s.Readings(ctx, testTime, fleet.Freshness{}, []string{definitionID}, allKeys)
			return err
		},
		"UsageHistory": func() error { _, err := s.UsageHistory(ctx, fleet.Workload{}, testTime); return err },
		"WorkloadSeries": func() error {
			_, err := s.WorkloadSeries(ctx, fleet.Workload{}, allKeys, testTime, testTime.Add(time.Hour), time.Minute)
			return err
		},
		"RollUp":          func() error { _, err := s.RollUp(ctx, testTime); return err },
		"DropMetrics":     func() error { _, err := s.DropMetrics(ctx, fleet.MetricRetention{}); return err },
		"ScalingStates":   func() error { _, err := s.ScalingStates(ctx, testTime, fleet.Freshness{}); return err },
		"RecordScaling":   func() error { return s.RecordScaling(ctx, fleet.ScalingRecord{}) },
		"LatestDecisions": func() error { _, err := s.LatestDecisions(ctx, time.Now()); return err },
		"ListEvents":      func() error { _, err := s.ListEvents(ctx, fleet.EventFilter{}, fleet.Page{}); return err },
		"CreateToken":     func() error { _, err := s.CreateToken(ctx, fleet.Token{}, nil); return err },
		"TouchToken":      func() error { return s.TouchToken(ctx, definitionID, testTime) },
		"ListTokens":      func() error { _, err := s.ListTokens(ctx); return err },
		"RevokeToken":     func() error { _, err := s.RevokeToken(ctx, "admin"); return err },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) { wantKind(t, call(), fleet.ErrUnauthenticated) })
	}
}
