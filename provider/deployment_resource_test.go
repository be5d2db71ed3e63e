package provider_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const deploymentAddress = "wedsync_deployment.api"

// deployedConfig is a definition with an image tag and its deployment in staging.
func deployedConfig(tag, lines string) string {
	return definitionConfig(fmt.Sprintf("  image_tag = %q", tag)) + fmt.Sprintf(`
resource "wedsync_deployment" "api" {
  definition_id       = wedsync_container_definition.api.id
  definition_revision = wedsync_container_definition.api.revision
  environment         = "staging"
%s
}
`, lines)
}

func preApply(checks ...plancheck.PlanCheck) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: checks}
}

// runsRevision checks what is deployed and what the environment runs.
func runsRevision(revision int64, tag string, replicas int64) []statecheck.StateCheck {
	return []statecheck.StateCheck{
		has(deploymentAddress, at("definition_revision"), knownvalue.Int64Exact(revision)),
		has(deploymentAddress, at("live_revision"), knownvalue.Int64Exact(revision)),
		has(deploymentAddress, at("image_tag"), knownvalue.StringExact(tag)),
		has(deploymentAddress, at("replicas"), knownvalue.Int64Exact(replicas)),
		has(deploymentAddress, at("deployment_status"), knownvalue.StringExact("completed")),
	}
}

// deploys counts the rollouts that the daemon was asked for.
func deploys(t *testing.T, f *fakeDaemon, want int) func() {
	return func() {
		f.change(func(f *fakeDaemon) {
			if len(f.deploys) != want {
				t.Errorf("%d rollouts were asked for, want %d", len(f.deploys), want)
			}
		})
	}
}

func TestDeploymentLifecycle(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: deployedConfig("v1", ""), ConfigStateChecks: runsRevision(1, "v1", 1)},
			{ // another tag rolls out, in place
				Config: deployedConfig("v2", ""),
				ConfigPlanChecks: preApply(
					planned(definitionAddress, plancheck.ResourceActionUpdate),
					planned(deploymentAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectUnknownValue(deploymentAddress, at("definition_revision")),
					plancheck.ExpectUnknownValue(deploymentAddress, at("image_digest")),
				),
				ConfigStateChecks: runsRevision(2, "v2", 1),
			},
			{ // replicas alone
				Config: deployedConfig("v2", "  replicas = 3"),
				ConfigPlanChecks: preApply(
					planned(definitionAddress, plancheck.ResourceActionNoop),
					planned(deploymentAddress, plancheck.ResourceActionUpdate),
				),
				ConfigStateChecks: runsRevision(2, "v2", 3),
			},
			{ // settings alone roll out nothing and leave all that is observed known
				PreConfig: deploys(t, f, 3),
				Config: deployedConfig("v2", `
  replicas         = 3
  deployment_notes = "ticket 7"
  timeouts         = { update = "1m" }`),
				ConfigPlanChecks: preApply(
					planned(deploymentAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(deploymentAddress, at("deployment_status"), knownvalue.StringExact("completed")),
				),
				ConfigStateChecks: runsRevision(2, "v2", 3),
			},
			{ // taking the number out goes back to the definition's
				PreConfig:         deploys(t, f, 3),
				Config:            deployedConfig("v2", ""),
				ConfigPlanChecks:  preApply(planned(deploymentAddress, plancheck.ResourceActionUpdate), plancheck.ExpectUnknownValue(deploymentAddress, at("replicas"))),
				ConfigStateChecks: runsRevision(2, "v2", 1),
			},
			{ResourceName: deploymentAddress, ImportState: true, ImportStateVerify: true},
			{ResourceName: deploymentAddress, ImportState: true, ImportStateId: "wedding-api/staging", ImportStateVerify: true},
			{ResourceName: deploymentAddress, ImportState: true, ImportStateId: "wedding-api", ExpectError: regexp.MustCompile(`as wedding-api/staging`)},
			{ResourceName: deploymentAddress, ImportState: true, ImportStateId: "wedding-api/production", ExpectError: regexp.MustCompile(`not deployed in the environment\s+"production"`)},
			{ // rolled out by somebody else: the revision that runs is planned away
				PreConfig: func() {
					f.change(func(f *fakeDaemon) {
						f.deployments[0].DefinitionRevision = 1
						f.deployments[0].ImageTag = "v1"
					})
				},
				Config:            deployedConfig("v2", ""),
				ConfigPlanChecks:  preApply(planned(deploymentAddress, plancheck.ResourceActionUpdate)),
				ConfigStateChecks: runsRevision(2, "v2", 1),
			},
		}
	})
}

func TestDeploymentFails(t *testing.T) {
	failed := regexp.MustCompile(`(?s)Deployment failed.*await_healthy.*wedding-api-staging-1.*exit code 1.*panic: no database.*keeps running revision\s+1`)
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: deployedConfig("v1", ""), ConfigStateChecks: runsRevision(1, "v1", 1)},
			{Config: deployedConfig("broken", ""), ExpectError: failed},
			{ // what runs is still the first; the next plan shows the same change
				Config:             deployedConfig("broken", ""),
				PlanOnly:           true,
				ExpectNonEmptyPlan: true,
			},
			{Config: deployedConfig("broken", ""), ExpectError: failed},
			{
				Config:            deployedConfig("v2", ""),
				ConfigPlanChecks:  preApply(planned(deploymentAddress, plancheck.ResourceActionUpdate)),
				ConfigStateChecks: runsRevision(3, "v2", 1),
			},
		}
	})
}

func TestFirstDeploymentFails(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: deployedConfig("broken", ""), ExpectError: regexp.MustCompile(`(?s)Deployment failed.*Nothing of the definition runs`)},
			{ // nothing is left to replace
				Config:            deployedConfig("v1", ""),
				ConfigPlanChecks:  preApply(planned(deploymentAddress, plancheck.ResourceActionCreate)),
				ConfigStateChecks: runsRevision(2, "v1", 1),
			},
		}
	})
}

func TestDeploymentRefused(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: deployedConfig("absent", ""), ExpectError: regexp.MustCompile(`(?s)neither the engine nor the registry has the image\s+wedsync/api:absent`)},
		}
	})
}

func TestDeploymentOfSomebodyElse(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: definitionConfig(`  image_tag = "v1"`)},
			{
				PreConfig: func() {
					f.change(func(f *fakeDaemon) {
						f.start(api.Deployment{DefinitionID: f.definitions[0].ID, DefinitionName: "wedding-api", DefinitionRevision: 1, Environment: "staging", InstancesAfter: 1})
						f.end(&f.deployments[0])
					})
				},
				Config:      deployedConfig("v1", ""),
				ExpectError: regexp.MustCompile(`(?s)runs in staging already.*import\s+it\s+as\s+"wedding-api/staging"`),
			},
			{PreConfig: func() { f.change(func(f *fakeDaemon) { f.deployments = nil }) }, Config: deployedConfig("v1", "")},
		}
	})
}

func TestDeploymentWithoutWaiting(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		going := []statecheck.StateCheck{
			has(deploymentAddress, at("deployment_status"), knownvalue.StringExact("in_progress")),
			has(deploymentAddress, at("live_revision"), knownvalue.Null()),
			has(deploymentAddress, at("completed_at"), knownvalue.Null()),
		}
		noWait := "  wait_for_rollout = false"
		return []resource.TestStep{
			{Config: deployedConfig("slow", noWait), ConfigStateChecks: going},
			{Config: deployedConfig("slow", noWait), ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan())},
			{ // waiting again takes up the rollout that goes on
				PreConfig:         f.release,
				Config:            deployedConfig("slow", ""),
				ConfigPlanChecks:  preApply(planned(deploymentAddress, plancheck.ResourceActionUpdate)),
				ConfigStateChecks: runsRevision(1, "slow", 1),
			},
			{PreConfig: deploys(t, f, 1), Config: deployedConfig("slow", ""), ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan())},
		}
	})
}

func TestDeploymentTimesOut(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: deployedConfig("v1", "")},
			{
				Config:      deployedConfig("slow", `  timeouts = { update = "1s" }`),
				ExpectError: regexp.MustCompile(`(?s)Deployment still in progress.*Raise the timeouts`),
			},
			{ // the rollout that goes on is waited for, not started again
				PreConfig: func() {
					deploys(t, f, 2)()
					f.change(func(f *fakeDaemon) { f.released = true })
				},
				Config:            deployedConfig("slow", ""),
				ConfigPlanChecks:  preApply(planned(deploymentAddress, plancheck.ResourceActionUpdate)),
				ConfigStateChecks: runsRevision(2, "slow", 1),
			},
			{PreConfig: deploys(t, f, 2), Config: deployedConfig("slow", ""), ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan())},
		}
	})
}
