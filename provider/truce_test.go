package provider_test

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var twoOwners = regexp.MustCompile(`Two owners of the number of replicas`)

// owned is a definition with its deployment, and a policy that owns its replicas.
func owned(tag, lines string) string { return deployedConfig(tag, lines) + policyBlock(targetLines) }

// nothingOf checks that the daemon has neither a deployment nor a policy.
func nothingOf(t *testing.T, f *fakeDaemon) func() {
	return func() {
		f.change(func(f *fakeDaemon) {
			if len(f.deploys) > 0 || len(f.policies) > 0 {
				t.Errorf("%d rollouts and %d policies, want none", len(f.deploys), len(f.policies))
			}
		})
	}
}

// TestTruceOfOneConfiguration: a number and a policy that are new both are refused
// when they are planned, whichever is planned first.
func TestTruceOfOneConfiguration(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		none := nothingOf(t, f)
		return []resource.TestStep{
			{Config: definitionConfig(`  image_tag = "v1"`)},
			{Config: owned("v1", "  replicas = 2"), ExpectError: twoOwners},
			{PreConfig: none, Config: owned("v1", "  replicas = 2\n  depends_on = [wedsync_scaling_policy.load]"), ExpectError: regexp.MustCompile(`scaling policy "load" decides`)},
			{PreConfig: none, Config: deployedConfig("v1", "  replicas = 2") + policyBlock(targetLines+"\n  depends_on = [wedsync_deployment.api]"),
				ExpectError: regexp.MustCompile(`the wedsync_deployment\s+there\s+names them`)},
			{PreConfig: none, Config: deployedConfig("v1", "  replicas = 2") + policyBlock(scheduleLines), // not enabled
				ConfigStateChecks: runsRevision(1, "v1", 2)},
			{Config: deployedConfig("v1", "  replicas = 2") + policyBlock(verticalLines), ConfigStateChecks: runsRevision(1, "v1", 2)},
			{Config: deployedConfig("v1", "  replicas = 2") + policyBlock(regexp.MustCompile(`is_enabled +=.*`).ReplaceAllString(scheduleLines, "")), ExpectError: twoOwners},
		}
	})
}

// TestTruceOfWhatIsNotThereYet: where the definition is new too, the second of the
// two is refused before it is changed.
func TestTruceOfWhatIsNotThereYet(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: owned("v1", "  replicas = 2\n  depends_on = [wedsync_scaling_policy.load]"), ExpectError: regexp.MustCompile(`scaling policy "load" decides`)},
			{PreConfig: deploys(t, f, 0), Config: owned("v1", ""), ConfigStateChecks: runsRevision(1, "v1", 1)},
		}
	})
}

// TestTruceOfOthersPolicies: a policy that is in the daemon counts, whoever made it.
func TestTruceOfOthersPolicies(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		theirs := func(enabled bool) func() {
			return func() {
				f.change(func(f *fakeDaemon) {
					f.policies = []api.ScalingPolicy{{
						ID: f.id(), DefinitionID: f.definitions[0].ID, Environment: "staging", PolicyName: "theirs", ScalingType: api.ScalingScheduled, IsEnabled: enabled,
					}}
				})
			}
		}
		return []resource.TestStep{
			{Config: definitionConfig(`  image_tag = "v1"`)},
			{PreConfig: theirs(true), Config: deployedConfig("v1", "  replicas = 2"),
				ExpectError: regexp.MustCompile(`(?s)replicas = 2.*scaling policy "theirs" decides on the number\s+of\s+replicas`)},
			{PreConfig: deploys(t, f, 0), Config: deployedConfig("v1", ""), ConfigStateChecks: runsRevision(1, "v1", 1)},
			{Config: deployedConfig("v1", "  replicas = 2"), ExpectError: twoOwners},
			{PreConfig: theirs(false), Config: deployedConfig("v1", "  replicas = 2"), ConfigStateChecks: runsRevision(1, "v1", 2)},
		}
	})
}

// TestTruceWhileScaling: what the autoscaler does is no change, and a new revision
// keeps the number that it has made.
func TestTruceWhileScaling(t *testing.T) {
	empty := preApply(plancheck.ExpectEmptyPlan())
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		scale := func(replicas int, done bool) func() {
			return func() { f.change(func(f *fakeDaemon) { f.scale(replicas, done) }) }
		}
		return []resource.TestStep{
			{Config: owned("v1", ""), ConfigStateChecks: runsRevision(1, "v1", 1)},
			{PreConfig: scale(3, true), Config: owned("v1", ""), ConfigPlanChecks: empty, ConfigStateChecks: runsRevision(1, "v1", 3)},
			{PreConfig: scale(2, false), Config: owned("v1", ""), ConfigPlanChecks: empty, ConfigStateChecks: runsRevision(1, "v1", 3)},
			{ // a scaling that is being taken back
				PreConfig: func() {
					f.change(func(f *fakeDaemon) {
						f.fail(&f.deployments[0], crash(f.deployments[0]))
						f.rollBack(f.deployments[0].ID)
					})
				},
				Config: owned("v1", ""), ConfigPlanChecks: empty, ConfigStateChecks: runsRevision(1, "v1", 3),
			},
			{ // another tag, in the middle of a scaling
				PreConfig: scale(4, false),
				Config:    owned("v2", ""),
				ConfigPlanChecks: preApply(
					planned(deploymentAddress, plancheck.ResourceActionUpdate),
					planned(policyAddress, plancheck.ResourceActionNoop),
					plancheck.ExpectUnknownValue(deploymentAddress, at("replicas"))),
				ConfigStateChecks: runsRevision(2, "v2", 3),
			},
			{Config: owned("v2", ""), ConfigPlanChecks: empty, PreConfig: func() {
				f.change(func(f *fakeDaemon) {
					if n := len(f.deploys); n != 2 || f.deploys[1].ReplicaCount != nil {
						t.Errorf("%d rollouts were asked for, the last with %v", n, f.deploys[n-1].ReplicaCount)
					}
				})
			}},
		}
	})
}

// TestTruceJoins: a rollout of the same revision that goes on is joined whatever its
// number of replicas, which is not Terraform's to judge.
func TestTruceJoins(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: owned("v1", "")},
			{
				PreConfig: func() {
					f.change(func(f *fakeDaemon) {
						f.scale(3, true)
						// Somebody else deploys the new revision before Terraform does.
						f.afterWrite = func(d api.Definition) {
							theirs := *f.live()
							theirs.DefinitionRevision, theirs.ImageTag, theirs.DeploymentType, theirs.IsLive, theirs.CompletedAt = d.Revision, d.ImageTag, api.TypeDeploy, false, nil
							f.start(theirs)
						}
					})
				},
				Config:            owned("v2", ""),
				ConfigStateChecks: runsRevision(2, "v2", 3),
			},
			{PreConfig: deploys(t, f, 1), Config: owned("v2", ""), ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan())},
		}
	})
}

// TestTruceHandover: a number that is taken out of the configuration as a policy
// comes stays as it is.
func TestTruceHandover(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		after := "  depends_on = [wedsync_scaling_policy.load]"
		return []resource.TestStep{
			{Config: deployedConfig("v1", "  replicas = 3"), ConfigStateChecks: runsRevision(1, "v1", 3)},
			{
				Config:            owned("v1", after),
				ConfigPlanChecks:  preApply(planned(deploymentAddress, plancheck.ResourceActionNoop), planned(policyAddress, plancheck.ResourceActionCreate)),
				ConfigStateChecks: runsRevision(1, "v1", 3),
			},
			{PreConfig: deploys(t, f, 1), Config: owned("v1", after), ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan())},
		}
	})
}
