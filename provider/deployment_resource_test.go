package provider_test

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
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

// planRecorder keeps what a plan changes of the deployment.
type planRecorder struct {
	change *tfjson.Change
}

// step plans and applies nothing.
func (p *planRecorder) step(config string) resource.TestStep {
	return resource.TestStep{
		Config: config, PlanOnly: true, ExpectNonEmptyPlan: true,
		ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{p}},
	}
}

func (p *planRecorder) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	resp.Error = p.record(req.Plan)
}

func (p *planRecorder) record(plan *tfjson.Plan) error {
	for _, change := range plan.ResourceChanges {
		if change.Address == deploymentAddress {
			p.change = change.Change
			return nil
		}
	}
	return fmt.Errorf("the plan lacks %s", deploymentAddress)
}

// ofHistory are the attributes that name a row of the daemon's history. A rollback
// is a row of its own, so they may differ between two states that run the same.
var ofHistory = []string{"deployment_id", "started_at", "completed_at"}

// sameAs compares two plans: the same attributes change, from the same values.
func (p *planRecorder) sameAs(t *testing.T, wanted planRecorder) {
	t.Helper()
	if got, want := p.changes(t), wanted.changes(t); !reflect.DeepEqual(got, want) {
		t.Errorf("the plan changes\n%v\nwant\n%v", got, want)
	}
}

// changes are the attributes that the plan changes, with their values before.
func (p *planRecorder) changes(t *testing.T) map[string]any {
	t.Helper()
	if !p.change.Actions.Update() {
		t.Fatalf("the plan has the actions %v for %s, want an update in place", p.change.Actions, deploymentAddress)
	}
	before, _ := p.change.Before.(map[string]any)
	after, _ := p.change.After.(map[string]any)
	unknown, _ := p.change.AfterUnknown.(map[string]any)
	changed := map[string]any{}
	for name, value := range before {
		switch {
		case unknown[name] != true && reflect.DeepEqual(value, after[name]):
		case slices.Contains(ofHistory, name):
			changed[name] = "another"
		default:
			changed[name] = value
		}
	}
	return changed
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
			{ // settings may come from what is known only after apply
				Config: deployedConfig("v1", `
  rollout_config = {
    drain_time  = wedsync_container_definition.api.revision
    start_first = wedsync_container_definition.api.is_active
  }`),
				ConfigPlanChecks: preApply(plancheck.ExpectUnknownValue(deploymentAddress, at("rollout_config", "max_surge"))),
				ConfigStateChecks: append(runsRevision(1, "v1", 1),
					has(deploymentAddress, at("rollout_config", "drain_time"), knownvalue.Int64Exact(1)),
					has(deploymentAddress, at("rollout_config", "max_surge"), knownvalue.StringExact("25%"))),
			},
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
  timeouts         = { update = "1m" }

  deployment_strategy = "canary"
  rollout_config      = { start_first = false, max_unavailable = 2, canary_steps = [] }`),
				ConfigPlanChecks: preApply(
					planned(deploymentAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(deploymentAddress, at("deployment_status"), knownvalue.StringExact("completed")),
					plancheck.ExpectKnownValue(deploymentAddress, at("rollout_config", "max_surge"), knownvalue.StringExact("0")),
					plancheck.ExpectKnownValue(deploymentAddress, at("rollout_config", "max_unavailable"), knownvalue.StringExact("2")),
				),
				ConfigStateChecks: runsRevision(2, "v2", 3),
			},
			{ // taking the number out goes back to the definition's
				PreConfig: deploys(t, f, 3),
				Config: deployedConfig("v2", `
  deployment_strategy = "blue_green"
  rollout_config      = { max_surge = "50%", keep_warm_time = 5, canary_steps = [{ weight = 1, pause = 0 }, { weight = 99, pause = 60 }] }`),
				ConfigPlanChecks: preApply(
					planned(deploymentAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectUnknownValue(deploymentAddress, at("replicas")),
					plancheck.ExpectKnownValue(deploymentAddress, at("rollout_config", "max_unavailable"), knownvalue.StringExact("0")),
				),
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
			{
				PreConfig: func() {
					f.change(func(f *fakeDaemon) {
						asked := *f.deploys[3].RolloutConfig
						if *asked.MaxSurge != "50%" || *asked.MaxUnavailable != "0" || *asked.KeepWarmTime != 5 || len(*asked.CanarySteps) != 2 || *asked.HealthyDeadline != 300 {
							t.Errorf("the rollout was asked for with %+v", asked)
						}
					})
				},
				Config:           deployedConfig("v2", ""),
				ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan()),
			},
		}
	})
}

func TestDeploymentFails(t *testing.T) {
	failed := regexp.MustCompile(`(?s)Deployment failed and rolled back.*await_healthy.*wedding-api-staging-1.*exit\s+code\s+1.*connection\s+refused.*panic: no database.*` +
		`rolled\s+back\s+to\s+deployment.*runs\s+revision\s+1`)
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		var wanted, left planRecorder
		settings := `  rollout_config = { drain_time = 1 }`
		return []resource.TestStep{
			{Config: deployedConfig("v1", ""), ConfigStateChecks: runsRevision(1, "v1", 1)},
			wanted.step(deployedConfig("broken", settings)),
			{Config: deployedConfig("broken", settings), ExpectError: failed},
			// What runs is the first again; the next plan shows the same change.
			left.step(deployedConfig("broken", settings)),
			{
				PreConfig:   func() { left.sameAs(t, wanted) },
				Config:      deployedConfig("doomed", settings),
				ExpectError: regexp.MustCompile(`(?s)Deployment failed\n.*await_healthy.*the\s+rollback.*ended\s+as\s+failed.*runs\s+revision\s+1`),
			},
			{
				Config:            deployedConfig("v2", settings),
				ConfigPlanChecks:  preApply(planned(deploymentAddress, plancheck.ResourceActionUpdate)),
				ConfigStateChecks: runsRevision(4, "v2", 1),
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
	refused := regexp.MustCompile(`(?s)runs in staging already.*import\s+it\s+as\s+"wedding-api/staging"`)
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: definitionConfig(`  image_tag = "v1"`)},
			{
				PreConfig: func() {
					f.change(func(f *fakeDaemon) {
						f.start(api.Deployment{DefinitionID: f.definitions[0].ID, DefinitionName: "wedding-api", DefinitionRevision: 1, Environment: "staging", InstancesAfter: 2})
						f.end(&f.deployments[0])
					})
				},
				Config:      deployedConfig("v1", ""),
				ExpectError: refused,
			},
			{ // nor a first rollout that makes something else
				PreConfig: func() {
					f.change(func(f *fakeDaemon) {
						f.deployments[0].IsLive, f.deployments[0].DeploymentStatus = false, api.DeploymentInProgress
					})
				},
				Config:      deployedConfig("v1", ""),
				ExpectError: refused,
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
				ExpectError: regexp.MustCompile(`(?s)Deployment still in progress.*goes\s+on.*POST /api/containers/deployments/[0-9a-f-]+/abort.*Raise\s+the\s+timeouts`),
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

func TestHealthyDeadlineBelowTheHealthCheck(t *testing.T) {
	config := func(deadline int) string {
		return definitionConfig(`  health_check_config = { endpoint = "/", port = 80, interval = 5, timeout = 1, retries = 2, start_period = 3 }`) + fmt.Sprintf(`
resource "wedsync_deployment" "api" {
  definition_id       = wedsync_container_definition.api.id
  definition_revision = wedsync_container_definition.api.revision
  environment         = "staging"
  rollout_config      = { min_healthy_time = 1, healthy_deadline = %d }
}
`, deadline)
	}
	planned := regexp.MustCompile(`(?s)Healthy deadline too short.*rollout_config.healthy_deadline\s+13\s+s\s+is\s+not\s+longer\s+than\s+the\s+13\s+s`)
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: config(13), ExpectError: planned}, // made in the same apply, the definition is known only then
			{Config: config(13), PlanOnly: true, ExpectError: planned},
			{PreConfig: deploys(t, f, 0), Config: config(14)},
		}
	})
}
