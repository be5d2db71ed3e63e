package provider_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

const policyAddress = "wedsync_scaling_policy.load"

// policyBlock is a policy of the definition in staging.
func policyBlock(lines string) string {
	return fmt.Sprintf(`
resource "wedsync_scaling_policy" "load" {
  definition_id = wedsync_container_definition.api.id
  environment   = "staging"
  policy_name   = "load"
%s
}
`, lines)
}

func policyConfig(lines string) string { return definitionConfig("") + policyBlock(lines) }

const (
	targetLines = `
  scaling_type   = "horizontal"
  trigger_metric = "cpu"`
	thresholdLines = `
  scaling_type          = "horizontal"
  trigger_metric        = "custom"
  metric_name           = "photos_waiting"
  scale_up_threshold    = 100.5
  scale_down_threshold  = 10
  scale_up_adjustment   = 2
  scale_down_adjustment = 1
  min_replicas          = 1
  max_replicas          = 3
  cooldown_period       = 60
  scale_up_cooldown     = 15
  stabilization_window  = 120
  max_scale_up          = 4
  max_scale_down        = 1
  scale_period          = 30`
	verticalLines = `
  scaling_type   = "vertical"
  trigger_metric = "memory"
  min_limit      = "64Mi"
  max_limit      = "1Gi"`
	scheduleLines = `
  scaling_type   = "scheduled"
  min_replicas   = 2
  schedule_start = "0 8 * 5-9 6"
  schedule_end   = "0 23 * 5-9 6"
  time_zone      = "Europe/London"
  is_enabled     = false`
)

func hasTimes(up, down, window int64) []statecheck.StateCheck {
	return []statecheck.StateCheck{
		has(policyAddress, at("scale_up_cooldown"), knownvalue.Int64Exact(up)),
		has(policyAddress, at("scale_down_cooldown"), knownvalue.Int64Exact(down)),
		has(policyAddress, at("stabilization_window"), knownvalue.Int64Exact(window)),
	}
}

func TestScalingPolicyLifecycle(t *testing.T) {
	inPlace := preApply(planned(policyAddress, plancheck.ResourceActionUpdate))
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{ // the least
				Config: policyConfig(targetLines),
				ConfigPlanChecks: preApply(
					plancheck.ExpectKnownValue(policyAddress, at("scale_up_cooldown"), knownvalue.Int64Exact(0)),
					plancheck.ExpectUnknownValue(policyAddress, at("definition_id"))),
				ConfigStateChecks: append(hasTimes(0, 300, 300),
					has(policyAddress, at("target_value"), knownvalue.Null()),
					has(policyAddress, at("min_replicas"), knownvalue.Null()),
					has(policyAddress, at("max_scale_up"), knownvalue.Int64Exact(0)),
					has(policyAddress, at("scale_period"), knownvalue.Int64Exact(60)),
					has(policyAddress, at("is_enabled"), knownvalue.Bool(true)),
					has(policyAddress, at("definition_name"), knownvalue.StringExact("wedding-api"))),
			},
			{Config: policyConfig(targetLines), ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan())},
			{ // the shorthand sets what is not given by itself
				Config: policyConfig(thresholdLines), ConfigPlanChecks: inPlace,
				ConfigStateChecks: append(hasTimes(15, 60, 120),
					has(policyAddress, at("scale_up_threshold"), knownvalue.Float64Exact(100.5)),
					has(policyAddress, at("metric_name"), knownvalue.StringExact("photos_waiting"))),
			},
			{Config: policyConfig(thresholdLines), ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan())},
			{ // what somebody else changes is put right
				PreConfig: func() { f.change(func(f *fakeDaemon) { f.policies[0].ScaleDownCooldown = 5 }) },
				Config:    policyConfig(thresholdLines), ConfigPlanChecks: inPlace,
				ConfigStateChecks: hasTimes(15, 60, 120),
			},
			{ResourceName: policyAddress, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: []string{"cooldown_period"}},
			{ // another type is the same policy
				Config: policyConfig(verticalLines), ConfigPlanChecks: inPlace,
				ConfigStateChecks: append(hasTimes(300, 300, 0),
					has(policyAddress, at("scale_up_threshold"), knownvalue.Null()),
					has(policyAddress, at("metric_name"), knownvalue.Null()),
					has(policyAddress, at("max_replicas"), knownvalue.Null()),
					has(policyAddress, at("max_scale_up"), knownvalue.Int64Exact(0))),
			},
			{
				Config: policyConfig(scheduleLines), ConfigPlanChecks: inPlace,
				ConfigStateChecks: append(hasTimes(0, 0, 0),
					has(policyAddress, at("trigger_metric"), knownvalue.Null()),
					has(policyAddress, at("min_limit"), knownvalue.Null()),
					has(policyAddress, at("is_enabled"), knownvalue.Bool(false))),
			},
			{ResourceName: policyAddress, ImportState: true, ImportStateVerify: true},
			{ResourceName: policyAddress, ImportState: true, ImportStateId: "wedding-api/staging/load", ImportStateVerify: true},
			{ResourceName: policyAddress, ImportState: true, ImportStateId: "staging/load", ExpectError: regexp.MustCompile(`write its identifier, or the\s+definition`)},
			{ResourceName: policyAddress, ImportState: true, ImportStateId: "wedding-api/production/load", ExpectError: regexp.MustCompile(`no scaling policy "load"`)},
			{ // the name is identity
				Config:           definitionConfig("") + regexp.MustCompile(`"load"\n`).ReplaceAllString(policyBlock(targetLines), "\"other\"\n"),
				ConfigPlanChecks: preApply(planned(policyAddress, plancheck.ResourceActionDestroyBeforeCreate)),
			},
		}
	})
}

// TestScalingPolicyRefused: what only the daemon knows is told at the attribute.
func TestScalingPolicyRefused(t *testing.T) {
	runSteps(t, func(*fakeDaemon) []resource.TestStep {
		refused := regexp.MustCompile(`(?s)max_replicas += 9.*outside of the range of definition`)
		return []resource.TestStep{
			{Config: policyConfig(targetLines + "\n  max_replicas = 9"), ExpectError: refused},
			{Config: policyConfig(targetLines)},
			{Config: policyConfig(targetLines + "\n  max_replicas = 9"), ExpectError: refused},
			{ // the update that failed left the state as it was
				Config:           policyConfig(targetLines),
				ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan()),
			},
		}
	})
}

func TestScalingPolicyDeletedElsewhere(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		config := policyConfig(targetLines)
		return []resource.TestStep{
			{Config: config},
			{
				PreConfig:        func() { f.change(func(f *fakeDaemon) { f.policies = nil }) },
				Config:           config,
				ConfigPlanChecks: preApply(planned(policyAddress, plancheck.ResourceActionCreate)),
			},
		}
	})
}
