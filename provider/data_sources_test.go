package provider_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

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

func TestTrafficDataSources(t *testing.T) {
	now := time.Now().UTC()
	instance := api.ServiceInstance{
		InstanceID: "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13", EndpointURL: "http://172.18.0.4:8080", IsHealthy: true, LoadBalancerWeight: 100,
		LastHeartbeat: now, RegisteredAt: now,
	}
	external := instance
	external.External, external.TTLSeconds, external.Metadata = true, 30, map[string]string{"zone": "eu-1"}
	config := routeConfig("staging", `hosts = ["shop.example.com"]`) + `
data "wedsync_route" "by_id" { id = wedsync_route.shop.id }
data "wedsync_route" "by_name" {
  environment = wedsync_route.shop.environment
  name        = wedsync_route.shop.name
}
data "wedsync_routes" "of_api" {
  environment  = "staging"
  service_name = wedsync_route.shop.service_name
}
data "wedsync_routes" "of_none" {
  name       = "none"
  depends_on = [wedsync_route.shop]
}
data "wedsync_services" "staging" { environment = "staging" }
data "wedsync_service" "api" {
  service_name = "api"
  environment  = "staging"
  is_healthy   = true
  metadata     = { zone = "eu-1" }
}
data "wedsync_service" "none" {
  service_name = "none"
  environment  = "staging"
}
`
	var f *fakeDaemon
	runSteps(t, func(daemon *fakeDaemon) []resource.TestStep {
		f = daemon
		f.change(func(f *fakeDaemon) {
			f.services = []api.Service{
				{ServiceName: "api", Environment: "staging", Instances: []api.ServiceInstance{instance, external}, TotalInstances: 2, HealthyInstances: 2},
				{ServiceName: "api", Environment: "production", Instances: []api.ServiceInstance{instance}, TotalInstances: 1},
			}
		})
		return []resource.TestStep{{Config: config, ConfigStateChecks: []statecheck.StateCheck{
			has("data.wedsync_route.by_id", at("hosts"), knownvalue.SetExact([]knownvalue.Check{knownvalue.StringExact("shop.example.com")})),
			has("data.wedsync_route.by_name", at("strategy"), knownvalue.StringExact("round_robin")),
			has("data.wedsync_routes.of_api", at("routes"), knownvalue.ListSizeExact(1)),
			has("data.wedsync_routes.of_none", at("routes"), knownvalue.ListExact(nil)),
			has("data.wedsync_services.staging", at("services"), knownvalue.ListSizeExact(1)),
			has("data.wedsync_service.api", at("healthy_instances"), knownvalue.Int64Exact(2)),
			has("data.wedsync_service.api", at("instances"), knownvalue.ListPartial(map[int]knownvalue.Check{
				0: knownvalue.ObjectPartial(map[string]knownvalue.Check{"endpoint_url": knownvalue.StringExact("http://172.18.0.4:8080"), "ttl_seconds": knownvalue.Null()}),
				1: knownvalue.ObjectPartial(map[string]knownvalue.Check{"external": knownvalue.Bool(true), "ttl_seconds": knownvalue.Int64Exact(30)}),
			})),
			has("data.wedsync_service.none", at("instances"), knownvalue.ListExact(nil)),
			has("data.wedsync_service.none", at("total_instances"), knownvalue.Int64Exact(0)),
		}}}
	})
	f.change(func(f *fakeDaemon) {
		filtered := func(r api.DiscoverRequest) bool {
			return r.Filters != nil && r.Filters.IsHealthy != nil && *r.Filters.IsHealthy && r.Filters.Metadata["zone"] == "eu-1"
		}
		if !slices.ContainsFunc(f.discoveries, filtered) {
			t.Errorf("discoveries are %+v; want one with the filters", f.discoveries)
		}
	})
}

func TestScalingDataSources(t *testing.T) {
	at0 := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	value := 180.5
	config := policyConfig(targetLines) + `
data "wedsync_scaling_policy" "by_id" { id = wedsync_scaling_policy.load.id }
data "wedsync_scaling_policy" "by_name" {
  definition_id = wedsync_container_definition.api.id
  environment   = "staging"
  policy_name   = wedsync_scaling_policy.load.policy_name
}
data "wedsync_scaling_policies" "of_api" {
  definition_id = wedsync_container_definition.api.id
  scaling_type  = wedsync_scaling_policy.load.scaling_type
}
data "wedsync_scaling_policies" "vertical" {
  scaling_type = "vertical"
  depends_on   = [wedsync_scaling_policy.load]
}
data "wedsync_scaling_decisions" "all" {}
data "wedsync_scaling_decisions" "newest" { limit = 1 }
data "wedsync_scaling_decisions" "changes" {
  environment  = "staging"
  changes_only = true
  from         = "2026-06-06T08:00:00Z"
  to           = "2026-06-06T09:00:00Z"
}
`
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		f.change(func(f *fakeDaemon) {
			f.decisions = []api.ScalingDecision{
				{ID: f.id(), Environment: "staging", Outcome: api.OutcomeLimited, CurrentValue: 3, WantedValue: 9, LimitedValue: 3, Unit: "replicas", LimitedBy: "max_replicas", Reason: "r", DecidedAt: at0, LastEvaluatedAt: at0},
				{ID: f.id(), Environment: "staging", PolicyName: "load", Outcome: api.OutcomeScaledUp, CurrentValue: 1, WantedValue: 3, LimitedValue: 3, Unit: "replicas", Reason: "r", Evaluations: 1,
					Inputs: []api.ScalingReading{{PolicyName: "load", Metric: "cpu", Value: &value, Counted: 1, Wanted: 3}}, DecidedAt: at0, LastEvaluatedAt: at0},
			}
		})
		return []resource.TestStep{{Config: config, ConfigStateChecks: []statecheck.StateCheck{
			has("data.wedsync_scaling_policy.by_id", at("policy_name"), knownvalue.StringExact("load")),
			has("data.wedsync_scaling_policy.by_name", at("scale_down_cooldown"), knownvalue.Int64Exact(300)),
			has("data.wedsync_scaling_policies.of_api", at("policies"), knownvalue.ListSizeExact(1)),
			has("data.wedsync_scaling_policies.vertical", at("policies"), knownvalue.ListExact(nil)),
			has("data.wedsync_scaling_decisions.all", at("decisions"), knownvalue.ListSizeExact(2)),
			has("data.wedsync_scaling_decisions.newest", at("decisions"), knownvalue.ListPartial(map[int]knownvalue.Check{
				0: knownvalue.ObjectPartial(map[string]knownvalue.Check{"limited_by": knownvalue.StringExact("max_replicas"), "policy_name": knownvalue.Null(), "inputs": knownvalue.ListExact(nil)}),
			})),
			has("data.wedsync_scaling_decisions.newest", at("decisions"), knownvalue.ListSizeExact(1)),
			has("data.wedsync_scaling_decisions.changes", at("decisions"), knownvalue.ListExact([]knownvalue.Check{
				knownvalue.ObjectPartial(map[string]knownvalue.Check{
					"outcome": knownvalue.StringExact("scaled_up"), "limited_value": knownvalue.Int64Exact(3), "decided_at": knownvalue.StringExact("2026-06-06T08:30:00Z"),
					"inputs": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"value": knownvalue.Float64Exact(180.5), "target": knownvalue.Null(), "counted": knownvalue.Int64Exact(1),
					})}),
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
			{Config: `data "wedsync_route" "x" { environment = "staging" }`, ExpectError: regexp.MustCompile(`Exactly one of these attributes must be configured: \[id,name\]`)},
			{Config: "data \"wedsync_route\" \"x\" {\n  environment = \"staging\"\n  name = \"no\"\n}", ExpectError: regexp.MustCompile(`there is no route "no"`)},
			{Config: "data \"wedsync_scaling_policy\" \"x\" {\n  policy_name = \"load\"\n}", ExpectError: regexp.MustCompile(`must be configured together`)},
			{Config: "data \"wedsync_scaling_decisions\" \"x\" {\n  from = \"yesterday\"\n  limit = 0\n}", ExpectError: regexp.MustCompile(`(?s)(write it as RFC 3339.*between 1|between 1.*write it as RFC 3339)`)},
			{Config: `data "wedsync_network" "x" { network_name = "app" }`, ExpectError: regexp.MustCompile(`must be configured together`)},
		}
	})
}
