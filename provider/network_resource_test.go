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

const networkAddress = "wedsync_network.app"

func networkConfig(environment, networkType, lines string) string {
	return fmt.Sprintf(`
resource "wedsync_network" "app" {
  network_name = "app"
  environment  = %q
  network_type = %q
%s
}
`, environment, networkType, lines)
}

func TestNetworkLifecycle(t *testing.T) {
	runSteps(t, func(*fakeDaemon) []resource.TestStep {
		pre := func(checks ...plancheck.PlanCheck) resource.ConfigPlanChecks {
			return resource.ConfigPlanChecks{PreApply: checks}
		}
		return []resource.TestStep{
			{ // the engine chooses the addresses
				Config: networkConfig("staging", "internal", ""),
				ConfigStateChecks: []statecheck.StateCheck{
					has(networkAddress, at("subnet"), knownvalue.StringRegexp(regexp.MustCompile(`^172\.30\.`))),
					has(networkAddress, at("engine_name"), knownvalue.StringExact("wedsync.staging.app")),
					has(networkAddress, at("dns_config", "servers"), knownvalue.ListExact(nil)),
					has(networkAddress, at("network_config", "mtu"), knownvalue.Null()),
				},
			},
			{ // resolver settings leave the addresses alone
				Config: networkConfig("staging", "internal", `dns_config = { servers = ["10.0.0.2"], search = ["weddings.internal"] }`),
				ConfigPlanChecks: pre(planned(networkAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(networkAddress, at("subnet"), knownvalue.NotNull())),
			},
			{ // another type makes another network of the engine
				Config: networkConfig("staging", "external", ""),
				ConfigPlanChecks: pre(planned(networkAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectUnknownValue(networkAddress, at("subnet")), plancheck.ExpectUnknownValue(networkAddress, at("gateway"))),
			},
			{
				Config: networkConfig("staging", "external", `subnet = "10.20.0.0/24"`),
				ConfigPlanChecks: pre(planned(networkAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectUnknownValue(networkAddress, at("gateway"))),
				ConfigStateChecks: []statecheck.StateCheck{has(networkAddress, at("gateway"), knownvalue.StringExact("10.20.0.1"))},
			},
			{ // the environment is identity
				Config:           networkConfig("production", "external", ""),
				ConfigPlanChecks: pre(planned(networkAddress, plancheck.ResourceActionDestroyBeforeCreate)),
			},
			{ResourceName: networkAddress, ImportState: true, ImportStateVerify: true},
			{ResourceName: networkAddress, ImportState: true, ImportStateId: "production/app", ImportStateVerify: true},
			{ResourceName: networkAddress, ImportState: true, ImportStateId: "app", ExpectError: regexp.MustCompile(`write its identifier, or environment and name`)},
			{ResourceName: networkAddress, ImportState: true, ImportStateId: "staging/app", ExpectError: regexp.MustCompile(`there is no network "app"`)},
		}
	})
}

func TestNetworkDeletedElsewhere(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		config := networkConfig("staging", "internal", "")
		return []resource.TestStep{
			{Config: config},
			{
				PreConfig:        func() { f.change(func(f *fakeDaemon) { f.networks[0].IsActive = false }) },
				Config:           config,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{planned(networkAddress, plancheck.ResourceActionCreate)}},
			},
		}
	})
}
