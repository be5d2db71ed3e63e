package daemon_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// ask asks for a deployment and returns its id.
func (f *fixture) ask(t testing.TB, definitionID string, r api.DeployRequest) string {
	t.Helper()
	accepted, err := f.client.Deploy(t.Context(), definitionID, r)
	if err != nil {
		t.Fatal(err)
	}
	return accepted.DeploymentID
}

// reaches waits until a deployment's current step begins with a word.
func (f *fixture) reaches(t testing.TB, id, step string) {
	t.Helper()
	eventually(t, "the deployment is at "+step, func() bool {
		s, err := f.client.GetDeploymentStatus(t.Context(), id)
		if err != nil || s.Status != api.DeploymentInProgress {
			t.Fatalf("deployment is %s at %q: %v, %v", s.Status, s.Progress.CurrentStep, s.Progress.Errors, err)
		}
		return strings.HasPrefix(s.Progress.CurrentStep, step)
	})
}

// runs checks that exactly a number of healthy containers of a version run, and returns their ids.
func (f *fixture) runs(t testing.TB, definitionID, wanted string, replicas int) []string {
	t.Helper()
	list := f.instances(t, definitionID)
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ContainerID)
		if got := version(t, i); i.HealthStatus != api.HealthHealthy || !strings.Contains(got, wanted) {
			t.Errorf("%s is %s and serves %s, want %s", i.InstanceName, i.HealthStatus, got, wanted)
		}
	}
	slices.Sort(ids)
	if has := containers(t, definitionID); len(ids) != replicas || !slices.Equal(ids, has) {
		t.Errorf("rows name %v, the engine has %v, want the same %d", ids, has, replicas)
	}
	return ids
}

func TestStrategies(t *testing.T) {
	f := start(t)
	for _, strategy := range []string{api.StrategyRollingUpdate, api.StrategyBlueGreen, api.StrategyCanary} {
		t.Run(strategy, func(t *testing.T) {
			d := f.define(t, strings.ReplaceAll(strategy, "_", "-"), "v1")
			f.completed(t, f.ask(t, d.ID, quick(strategy, 2)))
			before := f.runs(t, d.ID, "v1", 2)
			f.update(t, d.ID, tag(t, "v2"))
			done := f.completed(t, f.ask(t, d.ID, quick(strategy, 2)))
			if done.DeploymentStrategy != strategy || !done.IsLive || done.TrafficWeight != nil {
				t.Errorf("deployment is %+v", done)
			}
			if after := f.runs(t, d.ID, "v2", 2); slices.ContainsFunc(after, func(id string) bool { return slices.Contains(before, id) }) {
				t.Errorf("containers %v, want none of %v", after, before)
			}
		})
	}
}

// tag is the tag of the demo image of a version.
func tag(t testing.TB, v string) string {
	t.Helper()
	_, tag, _ := strings.Cut(testenv.DemoImage(t, v), ":")
	return tag
}

// cutOver brings a blue-green deployment of v2 over v1 to where the old set is
// kept warm, and returns its id with the old set's containers.
func (f *fixture) cutOver(t testing.TB, definitionID string) (id string, old []string) {
	t.Helper()
	f.update(t, definitionID, tag(t, "v1"))
	f.completed(t, f.ask(t, definitionID, quick("", 2)))
	old = f.runs(t, definitionID, "v1", 2)
	f.update(t, definitionID, tag(t, "v2"))
	r := quick(api.StrategyBlueGreen, 2)
	r.RolloutConfig.KeepWarmTime = new(3600)
	id = f.ask(t, definitionID, r)
	f.reaches(t, id, "keep_warm")
	return id, old
}

func (f *fixture) rollback(t testing.TB, id string) api.Deployment {
	t.Helper()
	accepted, err := f.client.Rollback(t.Context(), id, api.RollbackRequest{Reason: "too slow"})
	if err != nil {
		t.Fatal(err)
	}
	return f.completed(t, accepted.DeploymentID)
}

// TestWarmRollback: while the old set is kept warm, a rollback starts nothing.
func TestWarmRollback(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1")
	id, old := f.cutOver(t, d.ID)
	going, err := f.client.GetDeployment(t.Context(), id)
	if err != nil || going.TrafficWeight == nil || *going.TrafficWeight != 100 {
		t.Errorf("kept warm, the deployment has the weight %v (%v), want 100", going.TrafficWeight, err)
	}
	done := f.rollback(t, id)
	if done.DeploymentType != api.TypeRollback || done.RollbackOfID != id || done.DeploymentNotes != "too slow" {
		t.Errorf("rollback is %+v", done)
	}
	if now := f.runs(t, d.ID, "v1", 2); !slices.Equal(now, old) {
		t.Errorf("containers %v, want the old set, %v", now, old)
	}
	undone, err := f.client.GetDeployment(t.Context(), id)
	if err != nil || undone.DeploymentStatus != api.DeploymentRolledBack || undone.RollbackID != done.ID {
		t.Errorf("what was undone is %s by %s (%v)", undone.DeploymentStatus, undone.RollbackID, err)
	}
}

// TestScalingFailsInPart: one of three new replicas hangs. The others have proved
// themselves by then, and stay as they are, whatever becomes of the daemon meanwhile.
func TestScalingFailsInPart(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1", func(r *api.CreateDefinitionRequest) {
		r.RuntimeConfig.StopTimeout = 1
		r.HealthCheckConfig.Retries = 6 // it is unhealthy long after the others have proved themselves
	})
	r := quick("", 2)
	r.RolloutConfig.MinHealthyTime = new(3)
	live := f.completed(t, f.ask(t, d.ID, r))
	accepted, err := f.client.Scale(t.Context(), api.ManualScaleRequest{DefinitionID: d.ID, Environment: "staging", TargetReplicas: 5})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "five replicas are healthy", func() bool { return len(f.healthy(t, d.ID)) == 5 })
	all := f.instances(t, d.ID)
	slices.SortFunc(all, func(a, b api.Instance) int { return a.ReplicaNumber - b.ReplicaNumber })
	hung := all[2]
	docker(t, "pause", hung.ContainerID)
	f.Kill()
	f.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = f.client.WaitDeployment(ctx, accepted.DeploymentID, client.WaitOptions{})
	var failed *client.DeploymentFailedError
	if !errors.As(err, &failed) || failed.Rollback == nil || !strings.Contains(err.Error(), hung.InstanceName) || !strings.Contains(err.Error(), "is unhealthy") {
		t.Fatalf("the scaling ended with %v, want it to name %s", err, hung.InstanceName)
	}
	back := *failed.Rollback
	if back.InstancesAfter != 4 || !back.IsLive || back.RollbackTargetID != live.ID || !strings.HasPrefix(back.DeploymentNotes, "4 of 5 replicas remain") {
		t.Errorf("the rollback is %+v, want it live with 4 replicas", back)
	}
	now := f.runs(t, d.ID, "v1", 4)
	for _, i := range f.instances(t, d.ID) {
		if i.RestartCount != 0 || i.ReplicaNumber > 4 {
			t.Errorf("%s is replica %d and was restarted %d times", i.InstanceName, i.ReplicaNumber, i.RestartCount)
		}
	}
	if slices.Contains(now, hung.ContainerID) {
		t.Errorf("the container of %s is left", hung.InstanceName)
	}
	if *back.RolloutConfig.MinHealthyTime != 3 {
		t.Errorf("later scalings would go by %+v", back.RolloutConfig)
	}
}

// TestMovedTag: a deployment is what its tag stood for when it was accepted.
func TestMovedTag(t *testing.T) {
	f := start(t)
	registry := testenv.Registry(t)
	registry.PushDemo(t, "app:stable", "v1")
	d := f.define(t, "api", "v1", func(r *api.CreateDefinitionRequest) {
		r.RegistryURL, r.ImageName, r.ImageTag = registry.Host, "app", "stable"
		r.RuntimeConfig.PullPolicy = "always"
	})
	first := f.deploy(t, d.ID, 2)
	registry.PushDemo(t, "app:stable", "v2")

	lost := containers(t, d.ID)[0]
	docker(t, "rm", "--force", lost)
	eventually(t, "another container is in the place of the lost one", func() bool {
		list := f.healthy(t, d.ID)
		return len(list) == 2 && !slices.ContainsFunc(list, func(i api.Instance) bool { return i.ContainerID == lost })
	})
	f.runs(t, d.ID, "v1", 2)

	second := f.deploy(t, d.ID, 2)
	f.runs(t, d.ID, "v2", 2)
	if second.ImageTag != first.ImageTag || second.ImageDigest == first.ImageDigest {
		t.Errorf("deployed %s as %s, then %s as %s", first.ImageTag, first.ImageDigest, second.ImageTag, second.ImageDigest)
	}
	if back := f.rollback(t, second.ID); back.ImageDigest != first.ImageDigest {
		t.Errorf("rolled back to %s, want %s", back.ImageDigest, first.ImageDigest)
	}
	f.runs(t, d.ID, "v1", 2)
}

// healthy are the healthy instances of a definition that have a container.
func (f *fixture) healthy(t testing.TB, definitionID string) []api.Instance {
	t.Helper()
	return slices.DeleteFunc(f.instances(t, definitionID), func(i api.Instance) bool {
		return i.ContainerID == "" || i.HealthStatus != api.HealthHealthy
	})
}

func TestSupersededAndParallel(t *testing.T) {
	f := start(t)
	d, other := f.define(t, "api", "v1"), f.define(t, "other", "v1")
	f.deploy(t, d.ID, 2)
	f.update(t, d.ID, tag(t, "v2"))
	waiting := quick(api.StrategyBlueGreen, 2)
	waiting.RolloutConfig.AutoPromote = new(false)
	second := f.ask(t, d.ID, waiting)
	f.reaches(t, second, "await_promotion")
	f.deploy(t, other.ID, 1) // another definition does not wait
	f.update(t, d.ID, tag(t, "v3"))
	third := f.deploy(t, d.ID, 2)
	f.runs(t, d.ID, "v3", 2)
	_, err := f.client.WaitDeployment(t.Context(), second, client.WaitOptions{})
	if err == nil || !strings.Contains(err.Error(), third.ID) || third.SupersedesID != second {
		t.Errorf("superseded: %v; the newer supersedes %q", err, third.SupersedesID)
	}
}

// TestSteering takes a canary through pause, resume and promotion, and aborts another.
func TestSteering(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 2)
	f.update(t, d.ID, tag(t, "v2"))
	slow := quick(api.StrategyCanary, 2)
	slow.RolloutConfig.CanarySteps = &[]api.CanaryStep{{Weight: 25, Pause: 3600}}
	id := f.ask(t, d.ID, slow)
	f.reaches(t, id, "watch_canary 25")
	if n := len(containers(t, d.ID)); n != 3 {
		t.Errorf("%d containers while a canary of 25%% is watched, want 3", n)
	}
	steer(t, f.client.PauseDeployment, id)
	f.reaches(t, id, "paused")
	steer(t, f.client.ResumeDeployment, id)
	f.reaches(t, id, "watch_canary 25")
	steer(t, f.client.PromoteDeployment, id)
	f.completed(t, id)
	before := f.runs(t, d.ID, "v2", 2)

	f.update(t, d.ID, tag(t, "v1"))
	id = f.ask(t, d.ID, slow)
	f.reaches(t, id, "watch_canary 25")
	steer(t, f.client.AbortDeployment, id)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended, err := f.client.WaitDeployment(ctx, id, client.WaitOptions{PollMax: 100 * time.Millisecond})
	if err == nil || ended.DeploymentStatus != api.DeploymentRolledBack || !strings.Contains(err.Error(), "aborted by a user: a test") {
		t.Errorf("aborted, it is %s: %v", ended.DeploymentStatus, err)
	}
	if now := f.runs(t, d.ID, "v2", 2); !slices.Equal(now, before) {
		t.Errorf("containers %v, want those of before, %v", now, before)
	}
}

func steer(t *testing.T, command func(context.Context, string, api.CommandRequest) (api.Deployment, error), id string) {
	t.Helper()
	if _, err := command(t.Context(), id, api.CommandRequest{Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkWarmRollback measures a rollback by hand while the old set is kept
// warm, from the request until nothing but the old set is left.
func BenchmarkWarmRollback(b *testing.B) {
	f := start(b)
	d := f.define(b, "api", "v1")
	var total, worst time.Duration
	for range b.N {
		id, _ := f.cutOver(b, d.ID)
		began := time.Now()
		f.rollback(b, id)
		took := time.Since(began)
		total, worst = total+took, max(worst, took)
	}
	b.ReportMetric(total.Seconds()/float64(b.N), "s/rollback")
	b.ReportMetric(worst.Seconds(), "s/worst")
}
