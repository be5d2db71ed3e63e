package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// rolloutTest applies deployments of one definition against a fake daemon, in
// this process.
type rolloutTest struct {
	inProcess
	f *fakeDaemon
	r resourceState
}

func startRolloutTest(t *testing.T, tag string) *rolloutTest {
	t.Helper()
	f := startFakeDaemon(t)
	p := startInProcess(t)
	if errs := p.configure(fmt.Sprintf(`{"endpoint": %q, "token": %q}`, f.URL, fakeToken)); len(errs) > 0 {
		t.Fatal(errs)
	}
	f.definitions = []api.Definition{{
		ID: f.id(), Name: "wedding-api", ImageTag: tag, Revision: 1, IsActive: true, ScalingConfig: api.ScalingConfig{MinReplicas: 1, MaxReplicas: 5},
	}}
	return &rolloutTest{p, f, p.nothing("wedsync_deployment")}
}

// tagged gives the definition another image tag, and so another revision.
func (rt *rolloutTest) tagged(tag string) {
	rt.f.change(func(f *fakeDaemon) {
		f.definitions[0].ImageTag = tag
		f.definitions[0].Revision++
	})
}

// deployment is a rollout of the definition that somebody starts.
func (rt *rolloutTest) deployment(replicas int, strategy string) api.Deployment {
	d := rt.f.definitions[0]
	return api.Deployment{
		DefinitionID: d.ID, DefinitionName: d.Name, DefinitionRevision: d.Revision, Environment: "staging", ImageTag: d.ImageTag,
		InstancesAfter: replicas, DeploymentType: api.TypeDeploy, DeploymentStrategy: strategy,
	}
}

// applies applies a deployment of the definition's revision with more settings,
// and returns what that said.
func (rt *rolloutTest) applies(settings string) []*tfprotov6.Diagnostic {
	rt.t.Helper()
	d := rt.f.definitions[0]
	config := with(rt.t, fmt.Sprintf(`{"definition_id": %q, "environment": "staging", "definition_revision": %d}`, d.ID, d.Revision), settings)
	var diags []*tfprotov6.Diagnostic
	rt.r, diags = rt.apply(rt.r, config)
	return diags
}

// asked checks how many rollouts the daemon was asked for.
func (rt *rolloutTest) asked(want int) {
	rt.t.Helper()
	deploys(rt.t, rt.f, want)()
}

func (rt *rolloutTest) state(want map[string]string) {
	rt.t.Helper()
	rt.shows(rt.r.typeName, rt.r.value, want)
}

// said checks the one diagnostic: its severity, and words of it in their order.
func said(t *testing.T, diags []*tfprotov6.Diagnostic, severity tfprotov6.DiagnosticSeverity, words ...string) {
	t.Helper()
	var all strings.Builder
	for _, d := range diags {
		fmt.Fprintf(&all, "%s: %s\n%s\n", d.Severity, d.Summary, d.Detail)
	}
	if len(diags) != 1 || diags[0].Severity != severity {
		t.Fatalf("want one diagnostic, %s, got:\n%s", severity, all.String())
	}
	says(t, all.String(), words...)
}

// A rollout that goes on, without the state knowing of it, is waited for if it
// makes the same, and superseded otherwise.
func TestDeploymentJoins(t *testing.T) {
	tests := []struct {
		name    string
		live    bool
		pending func(rt *rolloutTest) api.Deployment
		asked   int
	}{
		{"the first", false, func(rt *rolloutTest) api.Deployment { return rt.deployment(2, api.StrategyCanary) }, 0},
		{"another", true, func(rt *rolloutTest) api.Deployment { return rt.deployment(2, api.StrategyCanary) }, 1},
		{"other replicas", true, func(rt *rolloutTest) api.Deployment { return rt.deployment(3, api.StrategyCanary) }, 2},
		{"other strategy", true, func(rt *rolloutTest) api.Deployment { return rt.deployment(2, api.StrategyBlueGreen) }, 2},
		{"other revision", true, func(rt *rolloutTest) api.Deployment {
			d := rt.deployment(2, api.StrategyCanary)
			d.DefinitionRevision--
			return d
		}, 2},
		{"removal", true, func(rt *rolloutTest) api.Deployment {
			d := rt.deployment(2, api.StrategyCanary)
			d.IsRemoval = true
			return d
		}, 2},
		{"rollback", true, func(rt *rolloutTest) api.Deployment {
			d := rt.deployment(2, api.StrategyCanary)
			d.DeploymentType = api.TypeRollback
			return d
		}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rt := startRolloutTest(t, "v1")
			if tt.live {
				if diags := rt.applies(`{}`); len(diags) > 0 {
					t.Fatal(errorsOf(diags))
				}
				rt.tagged("v2")
			}
			rt.f.change(func(f *fakeDaemon) { f.start(tt.pending(rt)) })
			if diags := rt.applies(`{"replicas": 2, "deployment_strategy": "canary"}`); len(diags) > 0 {
				t.Fatal(errorsOf(diags))
			}
			rt.asked(tt.asked)
			rt.state(map[string]string{"deployment_status": "completed", "image_tag": rt.f.definitions[0].ImageTag})
		})
	}
}

// Replicas that are left out are the definition's.
func TestDeploymentJoinsWithTheDefinitionsReplicas(t *testing.T) {
	for replicas, joins := range map[int]bool{1: true, 2: false} {
		rt := startRolloutTest(t, "v1")
		d := rt.deployment(replicas, api.StrategyRollingUpdate)
		rt.f.change(func(f *fakeDaemon) { f.start(d) })
		if refused := errorsOf(rt.applies(`{}`)); (len(refused) == 0) != joins {
			t.Errorf("%d replicas: %v", replicas, refused)
		}
		rt.asked(0)
	}
}

func TestDeploymentSuperseded(t *testing.T) {
	rt := startRolloutTest(t, "v1")
	rt.applies(`{}`)
	rt.tagged("v2")
	rt.f.change(func(f *fakeDaemon) {
		f.afterDeploy = func(d api.Deployment) {
			d.InstancesAfter = 3
			f.start(d)
		}
	})
	said(t, rt.applies(`{}`), tfprotov6.DiagnosticSeverityError, "Deployment superseded", "was superseded by deployment "+rt.f.deployments[0].ID, "runs revision 1")
	rt.state(map[string]string{"deployment_id": rt.f.deployments[0].ID, "deployment_status": "in_progress", "image_tag": "v2"})
}

// An error would taint the resource, and the next apply would remove what is
// being rolled out. So it is a warning, and the next plan takes up waiting.
func TestFirstDeploymentTimesOut(t *testing.T) {
	rt := startRolloutTest(t, "slow")
	diags := rt.applies(`{"timeouts": {"create": "1s"}}`)
	rt.asked(1)
	said(t, diags, tfprotov6.DiagnosticSeverityWarning,
		"Deployment still in progress", "Deployment "+rt.f.deployments[0].ID+` goes on in the daemon (at "await_healthy", step 1 of 2)`, "Raise the timeouts")
	rt.state(map[string]string{"deployment_id": rt.f.deployments[0].ID, "deployment_status": "in_progress"})
	rt.f.released = true
	if diags := rt.applies(`{}`); len(diags) > 0 {
		t.Fatal(errorsOf(diags))
	}
	rt.asked(1)
	rt.state(map[string]string{"deployment_id": rt.f.deployments[0].ID, "deployment_status": "completed"})
}

// What became of a rollout that an apply left is told by the next refresh.
func TestDeploymentLeftFails(t *testing.T) {
	for _, live := range []bool{false, true} {
		t.Run(fmt.Sprintf("live %v", live), func(t *testing.T) {
			rt := startRolloutTest(t, "v1")
			if live {
				rt.applies(`{}`)
				rt.tagged("slow")
			} else {
				rt.f.definitions[0].ImageTag = "slow"
			}
			rt.applies(`{"wait_for_rollout": false}`)
			left := rt.f.deployments[0].ID
			rt.f.change(func(f *fakeDaemon) {
				f.fail(&f.deployments[0], crash(f.deployments[0]))
				f.rollBack(left)
				f.end(&f.deployments[0])
			})
			var diags []*tfprotov6.Diagnostic
			rt.r, diags = rt.refresh(rt.r)
			said(t, diags, tfprotov6.DiagnosticSeverityWarning, "an earlier apply left did not complete", "deployment "+left, "panic: no database")
			if live {
				rt.state(map[string]string{"deployment_id": rt.f.deployments[0].ID, "deployment_status": "completed", "image_tag": "v1"})
				_, diags = rt.refresh(rt.r)
			}
			if gone := len(rt.members(rt.schemas.ResourceSchemas[rt.r.typeName].ValueType(), rt.r.value)) == 0; gone == live || live && len(diags) > 0 {
				t.Errorf("the resource is gone: %v; the second refresh says %v", gone, diags)
			}
		})
	}
}

// Whatever keeps an apply from seeing the end of a rollout, the rollout is kept.
func TestDeploymentLostFromSight(t *testing.T) {
	rt := startRolloutTest(t, "slow")
	rt.f.change(func(f *fakeDaemon) {
		f.afterDeploy = func(api.Deployment) { f.revoked = true }
	})
	said(t, rt.applies(`{}`), tfprotov6.DiagnosticSeverityWarning, "Wait for deployment", "the token is not valid", "Check the provider's token", "goes on in the daemon")
	rt.state(map[string]string{"deployment_id": rt.f.deployments[0].ID, "deployment_status": "in_progress"})
}

// An interrupt that comes while the daemon accepts a rollout does not lose it.
func TestDeploymentInterrupted(t *testing.T) {
	tests := []struct {
		name, tag, settings string
		mayAbort            bool
		severity            tfprotov6.DiagnosticSeverity
		words               []string
	}{
		{"goes on", "slow", `{}`, true, tfprotov6.DiagnosticSeverityWarning, []string{"Interrupted, deployment still in progress", "goes on in the daemon"}},
		{"aborted", "slow", `{"abort_on_interrupt": true}`, true, tfprotov6.DiagnosticSeverityError, []string{"Deployment aborted", "step aborted", "Nothing of the definition runs"}},
		{"abort refused", "slow", `{"abort_on_interrupt": true}`, false, tfprotov6.DiagnosticSeverityWarning,
			[]string{"Deployment not aborted", "the role does not allow it", "goes on in the daemon"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rt := startRolloutTest(t, tt.tag)
			rt.f.mayNotAbort = !tt.mayAbort
			rt.f.change(func(f *fakeDaemon) {
				f.afterDeploy = func(api.Deployment) {
					if _, err := rt.server.StopProvider(t.Context(), &tfprotov6.StopProviderRequest{}); err != nil {
						t.Error(err)
					}
				}
			})
			said(t, rt.applies(tt.settings), tt.severity, tt.words...)
			rt.asked(1)
		})
	}
}
