package provider_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// unchanged plans and wants no change: the exit code that pipelines go by is 0.
func (w workspace) unchanged(when string) {
	w.t.Helper()
	var out bytes.Buffer
	if err := w.command(&out, "plan", "-detailed-exitcode", "-input=false", "-no-color").Run(); err != nil {
		w.t.Fatalf("plan %s: %v\n%s", when, err, out.String())
	}
}

// run runs the CLI with the arguments.
func (w workspace) run(args ...string) {
	w.t.Helper()
	var out bytes.Buffer
	if err := w.command(&out, args...).Run(); err != nil {
		w.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
}

// scaled is a definition, its deployment without a number of replicas, and a policy
// that owns it. The policy adds and removes nothing by itself while the test goes on.
func (a *acceptance) scaled(tag, greeting, replicas, lines string) string {
	config := strings.Replace(a.config(tag, greeting, 1), "replicas            = 1\n", replicas+"\n  depends_on = [wedsync_scaling_policy.load]\n", 1)
	return config + policyBlock(targetLines+"\n  cooldown_period = 3600\n"+lines)
}

// scaleTo changes the number of replicas as the autoscaler does, and plans in the
// middle of it, where it is held, and afterwards.
func (a *acceptance) scaleTo(w workspace, replicas int) {
	a.t.Helper()
	accepted, err := a.client.Scale(a.t.Context(), api.ManualScaleRequest{DefinitionID: a.definition().ID, Environment: "staging", TargetReplicas: replicas})
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.client.PauseDeployment(a.t.Context(), accepted.DeploymentID, api.CommandRequest{}); err != nil {
		a.t.Fatal(err)
	}
	w.unchanged("in the middle of a scaling")
	if _, err := a.client.ResumeDeployment(a.t.Context(), accepted.DeploymentID, api.CommandRequest{}); err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.client.WaitDeployment(a.t.Context(), accepted.DeploymentID, client.WaitOptions{}); err != nil {
		a.t.Fatal(err)
	}
	w.unchanged("after a scaling")
}

// live is what runs in staging.
func (a *acceptance) live() api.Deployment {
	a.t.Helper()
	page, err := a.client.ListDeployments(a.t.Context(), api.ListDeploymentsOptions{Environment: "staging", Live: true})
	if err != nil || len(page.Deployments) != 1 {
		a.t.Fatalf("live are %v, error %v; want one", page.Deployments, err)
	}
	return page.Deployments[0]
}

// TestAccScaling is the truce with a real daemon and the provider in a process of its
// own: the number of replicas is the policy's, and Terraform sees no change in it.
func TestAccScaling(t *testing.T) {
	program := buildProvider(t)
	eachCLI(t, func(t *testing.T) {
		daemon := testenv.Daemon(t)
		useDaemon(t, daemon.Endpoint, daemon.Token)
		installation, err := daemon.Installation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a, w := newAcceptance(t, daemon), newWorkspace(t, program)
		v1, v2 := a.tag("v1"), a.tag("v2")

		// Both at once: where everything is new, the deployment is refused in the apply.
		w.write(a.scaled(v1, "hello", "replicas = 2", ""))
		says(t, w.fails(), "Two owners of the number of replicas", "wedsync_deployment.api", `scaling policy "load" decides`)
		if got := a.containers(); len(got) != 0 {
			t.Fatalf("containers %v run of a deployment that was refused", got)
		}
		w.write(a.scaled(v1, "hello", "", ""))
		w.apply()
		w.unchanged("after the first apply")
		w.shows(map[string]any{"replicas": 1, "live_revision": 1})

		a.scaleTo(w, 3)
		if got := a.containers(); len(got) != 3 {
			t.Fatalf("containers %v, want three", got)
		}

		// The policy changes in place, and nothing that runs with it.
		before := a.live().ID
		w.write(a.scaled(v1, "hello", "", "  target_value = 50\n  max_replicas = 4"))
		w.apply()
		w.unchanged("after a change of the policy")
		w.shows(map[string]any{"replicas": 3})
		if got := a.live().ID; got != before {
			t.Errorf("deployment %s is live, %s was before the policy changed", got, before)
		}

		// A new revision keeps the number that has come to be.
		w.write(a.scaled(v2, "welcome", "", "  target_value = 50\n  max_replicas = 4"))
		w.apply()
		w.unchanged("after a new revision")
		w.shows(map[string]any{"replicas": 3, "live_revision": 2, "image_tag": v2})
		if live := a.live(); live.DefinitionRevision != 2 || live.InstancesAfter != 3 || len(a.containers()) != 3 {
			t.Errorf("live is revision %d with %d replicas in %d containers", live.DefinitionRevision, live.InstancesAfter, len(a.containers()))
		}

		// Both at once: refused when it is planned, and nothing is changed.
		w.write(a.scaled(v1, "hello", "replicas = 2", "  target_value = 50\n  max_replicas = 4"))
		text := w.fails()
		says(t, text, "Two owners of the number of replicas", "replicas = 2 is given", `scaling policy "load"`)
		if strings.Contains(text, "Modifying") {
			t.Errorf("the apply began:\n%s", text)
		}
		for _, tt := range []struct{ lines, says string }{
			{"  max_replicas = 9", "outside of the range of definition \"wedding-api\""},
			{"  min_replicas = 4\n  max_replicas = 3", "4 is more than max_replicas, 3"},
			{"  scale_up_threshold = 20\n  scale_down_threshold = 30\n  scale_up_adjustment = 1\n  scale_down_adjustment = 1", "scale_down_threshold 30 is not below scale_up_threshold, 20"},
		} {
			w.write(a.scaled(v2, "welcome", "", tt.lines))
			says(t, w.fails(), tt.says)
		}
		w.write(a.scaled(v2, "welcome", "", "  target_value = 50\n  max_replicas = 4"))
		w.unchanged("after applies that were refused")

		for _, id := range []string{"wedding-api/staging/load", policyID(t, a)} {
			w.run("state", "rm", policyAddress)
			w.run("import", "-input=false", policyAddress, id)
		}
		w.apply() // notes cooldown_period, which is the configuration's alone
		w.unchanged("after an import")

		w.run("destroy", "-auto-approve", "-input=false")
		if err := a.nothingIsLeft(nil); err != nil {
			t.Error(err)
		}
		testenv.AssertNoLeftovers(t, installation)
	})
}

// policyID is the identifier of the one policy.
func policyID(t *testing.T, a *acceptance) string {
	t.Helper()
	page, err := a.client.ListScalingPolicies(t.Context(), api.ListScalingPoliciesOptions{})
	if err != nil || len(page.Policies) != 1 || page.Policies[0].PolicyName != "load" {
		t.Fatalf("policies %s, error %v; want one", fmt.Sprint(page.Policies), err)
	}
	return page.Policies[0].ID
}
