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

const routeAddress = "wedsync_route.shop"

func routeConfig(environment, lines string) string {
	return fmt.Sprintf(`
resource "wedsync_route" "shop" {
  name         = "shop"
  environment  = %q
  service_name = "api"
%s
}
`, environment, lines)
}

func TestRouteLifecycle(t *testing.T) {
	full := func(hosts string) string {
		return `
  hosts            = ` + hosts + `
  path_prefixes    = ["/shop", "/basket"]
  strategy         = "least_requests"
  sticky_cookie    = "session"
  canary_header    = "X-Preview"
  canary_cookie    = "preview"
  strip_prefix     = true
  require_tls      = true
  max_body_size    = "64Mi"
  max_header_size  = "8Ki"
  response_timeout = 30
  idle_timeout     = 120
  max_requests     = 5`
	}
	runSteps(t, func(*fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{ // everything left out
				Config: routeConfig("staging", ""),
				ConfigStateChecks: []statecheck.StateCheck{
					has(routeAddress, at("hosts"), knownvalue.SetExact(nil)),
					has(routeAddress, at("path_prefixes"), knownvalue.SetExact([]knownvalue.Check{knownvalue.StringExact("/")})),
					has(routeAddress, at("strategy"), knownvalue.StringExact("round_robin")),
					has(routeAddress, at("sticky_cookie"), knownvalue.Null()),
					has(routeAddress, at("max_requests"), knownvalue.Int64Exact(1024)),
				},
			},
			{
				Config:           routeConfig("staging", full(`["a.example.com", "b.example.com"]`)),
				ConfigPlanChecks: preApply(planned(routeAddress, plancheck.ResourceActionUpdate)),
				ConfigStateChecks: []statecheck.StateCheck{
					has(routeAddress, at("hosts"), knownvalue.SetSizeExact(2)),
					has(routeAddress, at("canary_header"), knownvalue.StringExact("X-Preview")),
				},
			},
			{ // another order is no change
				Config:           routeConfig("staging", full(`["b.example.com", "a.example.com"]`)),
				ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan()),
			},
			{ResourceName: routeAddress, ImportState: true, ImportStateVerify: true},
			{ResourceName: routeAddress, ImportState: true, ImportStateId: "staging/shop", ImportStateVerify: true},
			{ResourceName: routeAddress, ImportState: true, ImportStateId: "shop", ExpectError: regexp.MustCompile(`write its identifier, or environment and name`)},
			{ResourceName: routeAddress, ImportState: true, ImportStateId: "production/shop", ExpectError: regexp.MustCompile(`there is no route "shop"`)},
			{ // what is taken out of the configuration is taken out of the route
				Config:           routeConfig("staging", `hosts = ["a.example.com"]`),
				ConfigPlanChecks: preApply(planned(routeAddress, plancheck.ResourceActionUpdate)),
				ConfigStateChecks: []statecheck.StateCheck{
					has(routeAddress, at("canary_header"), knownvalue.Null()),
					has(routeAddress, at("strip_prefix"), knownvalue.Bool(false)),
					has(routeAddress, at("require_tls"), knownvalue.Bool(false)),
					has(routeAddress, at("max_body_size"), knownvalue.StringExact("1Gi")),
				},
			},
			{ // the environment is identity
				Config:           routeConfig("production", `hosts = ["a.example.com"]`),
				ConfigPlanChecks: preApply(planned(routeAddress, plancheck.ResourceActionDestroyBeforeCreate)),
			},
		}
	})
}

func TestRouteConflict(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		f.change(func(f *fakeDaemon) {
			f.routes = []api.Route{{ID: f.id(), Name: "theirs", Environment: "production", Hosts: []string{"a.example.com"}}}
		})
		taken := regexp.MustCompile(`(?s)hosts = .*host "a\.example\.com" belongs to a route of another`)
		return []resource.TestStep{
			{Config: routeConfig("staging", `hosts = ["b.example.com", "a.example.com"]`), ExpectError: taken},
			{Config: routeConfig("staging", `hosts = ["b.example.com"]`)},
			{Config: routeConfig("staging", `hosts = ["b.example.com", "a.example.com"]`), ExpectError: taken},
			{ // the update that failed left the state as it was
				Config:           routeConfig("staging", `hosts = ["b.example.com"]`),
				ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan()),
			},
		}
	})
}

func TestRouteDeletedElsewhere(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		config := routeConfig("staging", "")
		return []resource.TestStep{
			{Config: config},
			{
				PreConfig:        func() { f.change(func(f *fakeDaemon) { f.routes = nil }) },
				Config:           config,
				ConfigPlanChecks: preApply(planned(routeAddress, plancheck.ResourceActionCreate)),
			},
		}
	})
}
