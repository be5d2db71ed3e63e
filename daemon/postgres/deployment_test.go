package postgres_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
)

func load(t *testing.T, s *postgres.Store, w fleet.Workload) fleet.WorkloadState {
	t.Helper()
	state, err := s.LoadWorkload(system(t), w)
	if err != nil {
		t.Fatalf("load workload: %v", err)
	}
	return state
}

func idOf(d *fleet.Deployment) string {
	if d == nil {
		return ""
	}
	return d.ID
}

func wantWorkload(t *testing.T, s *postgres.Store, w fleet.Workload, target, live string) {
	t.Helper()
	state := load(t, s, w)
	if idOf(state.Target) != target || idOf(state.Live) != live {
		t.Errorf("target %q, live %q; want %q, %q", idOf(state.Target), idOf(state.Live), target, live)
	}
}

// TestDeploymentLife follows a workload through deployments that complete, are
// superseded, fail, and remove it.
func TestDeploymentLife(t *testing.T) {
	s, _ := open(t)
	ctx := as(t, s, devops, "staging")
	call, _ := fleet.CallFrom(ctx)
	d := createDefinition(t, s, "api")
	w := fleet.Workload{DefinitionID: d.ID, Environment: "staging"}

	first, err := s.CreateDeployment(ctx, deploymentOf(d, "staging"))
	if err != nil {
		t.Fatal(err)
	}
	want := deploymentOf(d, "staging")
	want.ID, want.StartedAt = first.ID, first.StartedAt
	want.DefinitionName, want.Status, want.StartedBy = "api", fleet.DeploymentInProgress, call.Principal.ID
	if !reflect.DeepEqual(first, want) {
		t.Errorf("created %+v, want %+v", first, want)
	}
	wantWorkload(t, s, w, first.ID, "")

	if got := completed(t, s, first.ID); !got.Live || got.CompletedAt == nil || got.Status != fleet.DeploymentCompleted {
		t.Errorf("completed to %+v", got)
	}
	wantWorkload(t, s, w, first.ID, first.ID)

	second := deployed(t, s, d, "staging")
	if second.Before != 2 {
		t.Errorf("%d replicas before, want those of the live deployment", second.Before)
	}
	third := deployed(t, s, d, "staging")
	old, err := s.Deployment(ctx, second.ID)
	if err != nil || old.Status != fleet.DeploymentFailed || old.CompletedAt == nil || len(old.Errors) != 1 ||
		old.Errors[0].Message != "superseded by deployment "+third.ID {
		t.Errorf("superseded deployment is %+v, %v", old, err)
	}
	_, err = s.UpdateDeployment(system(t), second.ID, func(*fleet.Deployment) ([]fleet.Event, error) { return nil, nil })
	wantKind(t, err, fleet.ErrConflict)
	wantWorkload(t, s, w, third.ID, first.ID)

	failed, err := s.UpdateDeployment(system(t), third.ID, func(d *fleet.Deployment) ([]fleet.Event, error) {
		d.Status = fleet.DeploymentFailed
		d.Errors = []fleet.DeploymentError{{Step: "await_healthy", Message: "exited", ExitCode: new(1), LogTail: []string{"panic"}}}
		d.TotalSteps, d.CompletedSteps, d.CurrentStep = 7, 4, ""
		return []fleet.Event{{DefinitionID: d.DefinitionID, DeploymentID: d.ID, Environment: d.Environment, Type: fleet.EventDeploymentFailed, Error: "exited"}}, nil
	})
	if err != nil || failed.TotalSteps != 7 || failed.CompletedSteps != 4 || *failed.Errors[0].ExitCode != 1 {
		t.Errorf("failed to %+v, %v", failed, err)
	}
	wantWorkload(t, s, w, first.ID, first.ID)

	removal := deploymentOf(d, "staging")
	removal.Removal, removal.After = true, 0
	removed, err := s.CreateDeployment(ctx, removal)
	if err != nil {
		t.Fatal(err)
	}
	wantWorkload(t, s, w, removed.ID, first.ID)
	if got := completed(t, s, removed.ID); got.Live {
		t.Error("a removal is live")
	}
	wantWorkload(t, s, w, "", "")
	if list, err := s.Workloads(system(t)); err != nil || len(list) != 0 {
		t.Errorf("workloads are %v, %v", list, err)
	}
	wantTypes := []string{
		fleet.EventDeploymentStarted, fleet.EventDeploymentFailed, fleet.EventDeploymentStarted,
		fleet.EventDeploymentSuperseded, fleet.EventDeploymentStarted, fleet.EventDeploymentStarted,
	}
	if got := eventTypes(t, s, fleet.EventFilter{Environment: "staging"}); !slices.Equal(got, wantTypes) {
		t.Errorf("events are %v, want %v", got, wantTypes)
	}
}

func TestDeploymentEventsNameTheirAuthor(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	ctx := as(t, s, devops, "staging")
	call, _ := fleet.CallFrom(ctx)
	if _, err := s.CreateDeployment(ctx, deploymentOf(d, "staging")); err != nil {
		t.Fatal(err)
	}
	r, err := s.ListEvents(as(t, s, developer, "staging"), fleet.EventFilter{Type: fleet.EventDeploymentStarted}, fleet.Page{})
	if err != nil || len(r.Items) != 1 {
		t.Fatalf("events are %+v, %v", r, err)
	}
	if e := r.Items[0]; e.UserID != call.Principal.ID || e.UserName != call.Principal.Name || e.Source != fleet.SourceUser || e.Environment != "staging" {
		t.Errorf("event is %+v", e)
	}
}

func TestDeployMissingDefinition(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	if err := s.DeleteDefinition(system(t), d.ID); err != nil {
		t.Fatal(err)
	}
	_, err := s.CreateDeployment(system(t), deploymentOf(d, "staging"))
	wantKind(t, err, fleet.ErrNotFound)
	if list, err := s.ListDeployments(system(t), fleet.DeploymentFilter{}, fleet.Page{}); err != nil || list.Total != 0 {
		t.Errorf("deployments are %+v, %v", list, err)
	}
}

// TestDeployAtOnce: of many that deploy at the same time, the last one's is the target and all others are superseded.
func TestDeployAtOnce(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	const n = 12
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := s.CreateDeployment(system(t), deploymentOf(d, "staging")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	open, err := s.ListDeployments(system(t), fleet.DeploymentFilter{Status: fleet.DeploymentInProgress}, fleet.Page{})
	if err != nil || open.Total != 1 {
		t.Fatalf("%d in progress, %v", open.Total, err)
	}
	wantWorkload(t, s, fleet.Workload{DefinitionID: d.ID, Environment: "staging"}, open.Items[0].ID, "")
	if all, err := s.ListDeployments(system(t), fleet.DeploymentFilter{}, fleet.Page{}); err != nil || all.Total != n {
		t.Errorf("%d deployments, %v", all.Total, err)
	}
}

func TestListDeployments(t *testing.T) {
	s, _ := open(t)
	api, web := createDefinition(t, s, "api"), createDefinition(t, s, "web")
	a := completed(t, s, deployed(t, s, api, "staging").ID)
	b := deployed(t, s, api, "production")
	c := completed(t, s, deployed(t, s, web, "staging").ID)
	for name, tt := range map[string]struct {
		filter fleet.DeploymentFilter
		want   []string
	}{
		"all":         {fleet.DeploymentFilter{}, []string{c.ID, b.ID, a.ID}},
		"definition":  {fleet.DeploymentFilter{DefinitionID: api.ID}, []string{b.ID, a.ID}},
		"environment": {fleet.DeploymentFilter{Environment: "staging"}, []string{c.ID, a.ID}},
		"status":      {fleet.DeploymentFilter{Status: fleet.DeploymentInProgress}, []string{b.ID}},
		"live":        {fleet.DeploymentFilter{Live: true}, []string{c.ID, a.ID}},
		"both":        {fleet.DeploymentFilter{Live: true, DefinitionID: api.ID}, []string{a.ID}},
		"none":        {fleet.DeploymentFilter{Environment: "nowhere"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := s.ListDeployments(system(t), tt.filter, fleet.Page{})
			if err != nil {
				t.Fatal(err)
			}
			got := make([]string, len(r.Items))
			for n, d := range r.Items {
				got[n] = d.ID
			}
			if !slices.Equal(got, tt.want) || r.Total != len(tt.want) {
				t.Errorf("listed %v of %d, want %v", got, r.Total, tt.want)
			}
		})
	}
}

func TestLoadWorkload(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	createNetwork(t, s, "staging", "app")
	createNetwork(t, s, "production", "edge")
	live := completed(t, s, deployed(t, s, d, "staging").ID)
	old := added(t, s, newInstance(live, 1), newInstance(live, 2))
	gone := added(t, s, newInstance(live, 3))[0]
	if _, err := s.UpdateInstance(system(t), gone.ID, func(i *fleet.Instance) ([]fleet.Event, error) {
		i.Current = fleet.StatusTerminated
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	target := deployed(t, s, d, "staging")
	fresh := added(t, s, newInstance(target, 1))
	deployed(t, s, d, "production")
	state := load(t, s, target.Workload())
	if !reflect.DeepEqual(state.Instances, slices.Concat(old, fresh)) {
		t.Errorf("instances are %+v", state.Instances)
	}
	if len(state.Deployments) != 2 || state.Deployments[live.ID].ID != live.ID || state.Deployments[target.ID].ID != target.ID {
		t.Errorf("deployments are %+v", state.Deployments)
	}
	if len(state.Networks) != 1 || state.Networks["app"].Environment != "staging" {
		t.Errorf("networks are %+v", state.Networks)
	}
	empty := load(t, s, fleet.Workload{DefinitionID: d.ID, Environment: "development"})
	if empty.Target != nil || empty.Live != nil || len(empty.Instances) != 0 {
		t.Errorf("a workload that is not there loads as %+v", empty)
	}
	list, err := s.Workloads(system(t))
	if err != nil || len(list) != 2 {
		t.Errorf("workloads are %v, %v", list, err)
	}
}
