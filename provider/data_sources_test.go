package provider_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

func TestDataSources(t *testing.T) {
	config := networkConfig("staging", "internal", `subnet = "10.20.0.0/24"`) + deployedConfig("v1", "  replicas = 2") + `
data "wedsync_container_definition" "by_id" { id = wedsync_container_definition.api.id }
data "wedsync_container_definition" "by_name" { name = wedsync_container_definition.api.name }
data "wedsync_network" "by_id" { id = wedsync_network.app.id }
data "wedsync_network" "by_name" {
  environment  = wedsync_network.app.environment
  network_name = wedsync_network.app.network_name
}
data "wedsync_container_definitions" "of_api" {
  service_name = "api"
  depends_on   = [wedsync_deployment.api]
}
data "wedsync_container_definitions" "of_none" {
  service_name = "none"
  depends_on   = [wedsync_deployment.api]
}
data "wedsync_networks" "staging" {
  environment = wedsync_network.app.environment
}
data "wedsync_instances" "api" {
  definition_id = wedsync_deployment.api.definition_id
  deployment_id = wedsync_deployment.api.deployment_id
  environment   = "staging"
}
data "wedsync_deployments" "live" {
  definition_id = wedsync_deployment.api.definition_id
  live          = true
}
`
	runSteps(t, func(*fakeDaemon) []resource.TestStep {
		return []resource.TestStep{{Config: config, ConfigStateChecks: []statecheck.StateCheck{
			has("data.wedsync_container_definition.by_id", at("name"), knownvalue.StringExact("wedding-api")),
			has("data.wedsync_container_definition.by_name", at("resource_limits", "cpu"), knownvalue.StringExact("500m")),
			has("data.wedsync_network.by_id", at("network_name"), knownvalue.StringExact("app")),
			has("data.wedsync_network.by_name", at("gateway"), knownvalue.StringExact("10.20.0.1")),
			has("data.wedsync_container_definitions.of_api", at("definitions"), knownvalue.ListSizeExact(1)),
			has("data.wedsync_container_definitions.of_none", at("definitions"), knownvalue.ListExact(nil)),
			has("data.wedsync_networks.staging", at("networks"), knownvalue.ListSizeExact(1)),
			has("data.wedsync_instances.api", at("instances"), knownvalue.ListSizeExact(2)),
			has("data.wedsync_deployments.live", at("deployments"), knownvalue.ListPartial(map[int]knownvalue.Check{
				0: knownvalue.ObjectPartial(map[string]knownvalue.Check{
					"is_live": knownvalue.Bool(true), "instances_after": knownvalue.Int64Exact(2), "errors": knownvalue.ListExact(nil),
				}),
			})),
		}}}
	})
}

func TestDataSourcesReadAllPages(t *testing.T) {
	const total = 1201
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		f.change(func(f *fakeDaemon) {
			for i := range total {
				f.networks = append(f.networks, api.Network{ID: f.id(), NetworkName: fmt.Sprintf("n%d", i), Environment: "staging", IsActive: true})
			}
		})
		return []resource.TestStep{{
			Config:            `data "wedsync_networks" "all" {}`,
			ConfigStateChecks: []statecheck.StateCheck{has("data.wedsync_networks.all", at("networks"), knownvalue.ListSizeExact(total))},
		}}
	})
}

func TestDataSourceErrors(t *testing.T) {
	runSteps(t, func(*fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{Config: `data "wedsync_container_definition" "x" { name = "nobody" }`, ExpectError: regexp.MustCompile(`there is no container definition "nobody"`)},
			{Config: `data "wedsync_container_definition" "x" {}`, ExpectError: regexp.MustCompile(`Exactly one of these attributes must be configured: \[id,name\]`)},
			{Config: `data "wedsync_network" "x" { network_name = "app" }`, ExpectError: regexp.MustCompile(`must be configured together`)},
		}
	})
}
