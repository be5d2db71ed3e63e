package provider_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// rolloutBegins waits until a deployment is in progress, and returns its identifier.
func rolloutBegins(ctx context.Context, c *client.Client) (string, error) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		page, err := c.ListDeployments(ctx, api.ListDeploymentsOptions{Status: api.DeploymentInProgress})
		if err != nil {
			return "", err
		}
		if len(page.Deployments) > 0 {
			return page.Deployments[0].ID, nil
		}
		select {
		case <-ctx.Done():
			return "", errors.New("no rollout has begun")
		case <-ticker.C:
		}
	}
}

// TestInterrupted interrupts a first rollout, another one, and one that is to be
// aborted then.
func TestInterrupted(t *testing.T) {
	provider := buildProvider(t)
	eachCLI(t, func(t *testing.T) {
		f := startFakeDaemon(t)
		useDaemon(t, f.URL, fakeToken)
		c, err := client.New(f.URL, fakeToken)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorkspace(t, provider)

		slow := func(is bool) { f.change(func(f *fakeDaemon) { f.released = !is }) }

		w.write(deployedConfig("slow-1", ""))
		id, out := w.interrupted(c)
		says(t, out, "Warning: Interrupted, deployment still in progress", "Deployment "+id+" goes on", "POST /api/containers/deployments/"+id+"/abort")
		w.shows(map[string]any{"deployment_id": id, "deployment_status": "in_progress", "live_revision": nil})
		slow(false)
		says(t, w.apply(), "0 added, 1 changed, 0 destroyed")
		w.shows(map[string]any{"deployment_id": id, "deployment_status": "completed", "live_revision": 1})

		slow(true)
		w.write(deployedConfig("slow-2", ""))
		id, out = w.interrupted(c)
		says(t, out, "Error: Interrupted, deployment still in progress", "Deployment "+id+" goes on")
		w.shows(map[string]any{"deployment_id": id, "deployment_status": "in_progress", "definition_revision": 2, "live_revision": 1})
		slow(false)
		says(t, w.apply(), "0 added, 1 changed, 0 destroyed")
		w.shows(map[string]any{"deployment_id": id, "deployment_status": "completed", "live_revision": 2})
		deploys(t, f, 2)()

		slow(true)
		w.write(deployedConfig("slow-3", "  abort_on_interrupt = true"))
		id, out = w.interrupted(c)
		says(t, out, "Error: Deployment aborted", "deployment "+id, "step aborted", "rolled back to deployment", "runs revision 2")
		w.shows(map[string]any{"deployment_status": "completed", "definition_revision": 2, "live_revision": 2, "image_tag": "slow-2", "abort_on_interrupt": false})
	})
}

// A first rollout that outlasts its timeout makes an apply fail where a
// postcondition asks for that, without the resource being tainted.
func TestPostcondition(t *testing.T) {
	provider := buildProvider(t)
	eachCLI(t, func(t *testing.T) {
		f := startFakeDaemon(t)
		useDaemon(t, f.URL, fakeToken)
		w := newWorkspace(t, provider)
		w.write(deployedConfig("slow", `
  timeouts = { create = "1s" }

  lifecycle {
    postcondition {
      condition     = self.deployment_status == "completed"
      error_message = "The rollout goes on."
    }
  }`))
		says(t, w.fails(), "Warning: Deployment still in progress", "Error: Resource postcondition failed", "The rollout goes on.")
		w.shows(map[string]any{"deployment_status": "in_progress"})
		f.change(func(f *fakeDaemon) { f.released = true })
		says(t, w.apply(), "0 added, 1 changed, 0 destroyed")
		w.shows(map[string]any{"deployment_status": "completed"})
		deploys(t, f, 1)()
	})
}

// TestAccInterrupted does the same with a real daemon: what was interrupted goes
// on, and the next apply joins it, or else it is rolled back.
func TestAccInterrupted(t *testing.T) {
	provider := buildProvider(t)
	eachCLI(t, func(t *testing.T) {
		daemon := testenv.Daemon(t)
		useDaemon(t, daemon.Endpoint, daemon.Token)
		a := newAcceptance(t, daemon)
		w := newWorkspace(t, provider)
		v1, v2 := a.tag("v1"), a.tag("v2")
		w.write(a.config(v1, "hello", 1))
		w.apply()

		long := `rollout_config = { min_healthy_time = 4, drain_time = 0 }`
		w.write(a.configWith(v2, "hello", 1, "null", long))
		id, out := w.interrupted(a.client)
		says(t, out, "Error: Interrupted, deployment still in progress", "Deployment "+id+" goes on")
		w.apply()
		w.shows(map[string]any{"deployment_id": id, "deployment_status": "completed", "image_tag": v2, "live_revision": 2})
		if n := a.deployments(); n != 2 {
			t.Errorf("there are %d deployments, want two", n)
		}

		ran := a.containers()
		w.write(a.configWith(v1, "hello", 1, "null", long+"\n  abort_on_interrupt = true"))
		id, out = w.interrupted(a.client)
		says(t, out, "Error: Deployment aborted", "deployment "+id, "step aborted", "rolled back to deployment", "runs revision 2")
		w.shows(map[string]any{"deployment_status": "completed", "image_tag": v2, "live_revision": 2})
		if now := a.containers(); !slices.Equal(now, ran) {
			t.Errorf("the containers %v run, before the rollout it were %v", now, ran)
		}
	})
}

// deployments counts the deployments of the daemon's history.
func (a *acceptance) deployments() int {
	a.t.Helper()
	page, err := a.client.ListDeployments(a.t.Context(), api.ListDeploymentsOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
	return page.TotalCount
}
