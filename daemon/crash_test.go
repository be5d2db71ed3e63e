package daemon_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// moments is at how many different moments of a rollout the daemon is killed.
const moments = 24

// TestKilledDuringRollout kills the daemon with SIGKILL at moments spread over a
// rollout of three replicas, starts it again, and looks at what has become of
// the rollout: it ends, with three containers of the new version and no other.
func TestKilledDuringRollout(t *testing.T) {
	const replicas = 3
	f := start(t)
	d := f.define(t, "api", "v1")
	tags := make([]string, 2)
	for k, v := range []string{"v1", "v2"} {
		_, tags[k], _ = strings.Cut(testenv.DemoImage(t, v), ":")
	}
	f.deploy(t, d.ID, replicas)
	began := time.Now()
	f.update(t, d.ID, tags[1])
	f.deploy(t, d.ID, replicas)
	length := time.Since(began)
	t.Logf("an undisturbed rollout takes %s", length.Round(time.Millisecond))

	for k := range moments {
		after := length * time.Duration(k) / (moments - 1)
		t.Run(fmt.Sprintf("after %02d of %d", k, moments-1), func(t *testing.T) {
			tag := tags[k%2]
			f.update(t, d.ID, tag)
			id := f.deployAndKill(t, d.ID, replicas, after)
			done := f.completed(t, id)
			if done.ImageTag != tag || !done.IsLive {
				t.Errorf("deployment is of %s, live %v; want %s, live", done.ImageTag, done.IsLive, tag)
			}
			f.settled(t, d.ID, id, replicas)
		})
	}
}

// update changes the definition's image tag.
func (f *fixture) update(t testing.TB, definitionID, tag string) {
	t.Helper()
	if _, err := f.client.UpdateDefinition(t.Context(), definitionID, api.UpdateDefinitionRequest{ImageTag: &tag}); err != nil {
		t.Fatal(err)
	}
}

// deployAndKill asks for a deployment, kills the daemon when the time has gone
// by since, starts it again, and returns the deployment's id. The request itself
// may be cut off: its key makes repeating it harmless.
func (f *fixture) deployAndKill(t *testing.T, definitionID string, replicas int, after time.Duration) string {
	t.Helper()
	type answer struct {
		id  string
		err error
	}
	answered := make(chan answer, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	kill := time.NewTimer(after)
	go func() {
		ctx := client.WithIdempotencyKey(ctx, client.NewIdempotencyKey())
		a, err := f.client.Deploy(ctx, definitionID, quick("", replicas))
		answered <- answer{a.DeploymentID, err}
	}()
	<-kill.C
	f.Kill()
	f.Start(t)
	a := <-answered
	if a.err != nil {
		t.Fatalf("deploy: %v", a.err)
	}
	return a.id
}

// settled checks that the engine and the rows agree on the deployment's replicas and nothing else.
func (f *fixture) settled(t *testing.T, definitionID, deploymentID string, replicas int) {
	t.Helper()
	list := f.instances(t, definitionID)
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ContainerID)
		if i.DeploymentID != deploymentID || i.CurrentStatus != api.InstanceRunning || i.RestartCount != 0 {
			t.Errorf("instance %s of deployment %s is %s with %d restarts", i.InstanceName, i.DeploymentID, i.CurrentStatus, i.RestartCount)
		}
	}
	slices.Sort(ids)
	if running := containers(t, definitionID); len(ids) != replicas || !slices.Equal(ids, running) {
		t.Errorf("rows name the containers %v, the engine has %v, want the same %d", ids, running, replicas)
	}
}
