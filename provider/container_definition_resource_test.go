package provider_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

const definitionAddress = "wedsync_container_definition.api"

// definitionConfig is a definition with the required attributes and the given lines.
func definitionConfig(lines string) string {
	return fmt.Sprintf(`
resource "wedsync_container_definition" "api" {
  name            = "wedding-api"
  service_name    = "api"
  image_name      = "wedsync/api"
  resource_limits = { cpu = "500m", memory = "512Mi" }
  scaling_config  = { min_replicas = 1, max_replicas = 4 }
%s
}
`, lines)
}

const everyBlock = `
  image_tag            = "v1"
  registry_url         = "registry.example.com"
  registry_credentials = { username = "deploy", password = "hush" }
  environment_config   = { LOG_LEVEL = "info", EMPTY = "" }
  health_check_config  = { endpoint = "/health" }
  network_config       = { ports = [8080, 9090], internal_networks = ["app"], external_networks = ["edge"], publish_ports = true }
  volume_mounts        = [{ source = "data", target = "/var/lib/app" }, { source = "/etc/app", target = "/etc/app", read_only = true }]
  runtime_config       = { command = ["--verbose"], user = "10001:10001", tmpfs = ["/tmp"], labels = { team = "weddings" }, read_only_root_filesystem = true }
`

func planned(address string, action plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(address, action)
}

func has(address string, at tfjsonpath.Path, value knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, at, value)
}

func at(first string, rest ...string) tfjsonpath.Path {
	p := tfjsonpath.New(first)
	for _, step := range rest {
		p = p.AtMapKey(step)
	}
	return p
}

func TestDefinitionLifecycle(t *testing.T) {
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		return []resource.TestStep{
			{ // the defaults are the daemon's
				Config: definitionConfig(""),
				ConfigStateChecks: []statecheck.StateCheck{
					has(definitionAddress, at("image_tag"), knownvalue.StringExact("latest")),
					has(definitionAddress, at("revision"), knownvalue.Int64Exact(1)),
					has(definitionAddress, at("health_check_config"), knownvalue.Null()),
					has(definitionAddress, at("environment_config"), knownvalue.MapExact(nil)),
					has(definitionAddress, at("volume_mounts"), knownvalue.ListExact(nil)),
					has(definitionAddress, at("network_config", "ports"), knownvalue.ListExact(nil)),
					has(definitionAddress, at("scaling_config", "target_cpu"), knownvalue.Int64Exact(70)),
					has(definitionAddress, at("runtime_config", "log_max_size"), knownvalue.StringExact("10Mi")),
					has(definitionAddress, at("has_registry_credentials"), knownvalue.Bool(false)),
				},
			},
			{ // everything is changed in place
				Config: definitionConfig(everyBlock),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planned(definitionAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectUnknownValue(definitionAddress, at("revision")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					has(definitionAddress, at("revision"), knownvalue.Int64Exact(2)),
					has(definitionAddress, at("health_check_config", "interval"), knownvalue.Int64Exact(30)),
					has(definitionAddress, at("health_check_config", "port"), knownvalue.Null()),
					has(definitionAddress, at("health_check_config", "type"), knownvalue.StringExact("http")),
					has(definitionAddress, at("volume_mounts"), knownvalue.ListSizeExact(2)),
					has(definitionAddress, at("has_registry_credentials"), knownvalue.Bool(true)),
				},
			},
			{ // another type of check, and what belongs to it
				Config: definitionConfig(`  health_check_config = { type = "command", command = ["/app", "check"], rise = 2 }`),
				ConfigStateChecks: []statecheck.StateCheck{
					has(definitionAddress, at("health_check_config", "type"), knownvalue.StringExact("command")),
					has(definitionAddress, at("health_check_config", "command"), knownvalue.ListSizeExact(2)),
					has(definitionAddress, at("health_check_config", "rise"), knownvalue.Int64Exact(2)),
					has(definitionAddress, at("health_check_config", "endpoint"), knownvalue.Null()),
				},
			},
			{
				Config: definitionConfig(`
  network_config      = { ports = [8080] }
  health_check_config = { endpoint = "/health", expected_status = ["200-299", "401"], headers = { Host = "shop.example.com" } }`),
				ConfigStateChecks: []statecheck.StateCheck{
					has(definitionAddress, at("health_check_config", "type"), knownvalue.StringExact("http")),
					has(definitionAddress, at("health_check_config", "command"), knownvalue.Null()),
					has(definitionAddress, at("health_check_config", "headers", "Host"), knownvalue.StringExact("shop.example.com")),
				},
			},
			{ // an empty block is the same as one that is left out; taking blocks out removes them
				Config: definitionConfig(`
  environment_config = {}
  network_config     = {}
  volume_mounts      = []`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{planned(definitionAddress, plancheck.ResourceActionUpdate)}},
				ConfigStateChecks: []statecheck.StateCheck{
					has(definitionAddress, at("health_check_config"), knownvalue.Null()),
					has(definitionAddress, at("registry_url"), knownvalue.Null()),
					has(definitionAddress, at("environment_config"), knownvalue.MapExact(nil)),
					has(definitionAddress, at("runtime_config", "user"), knownvalue.Null()),
					has(definitionAddress, at("has_registry_credentials"), knownvalue.Bool(false)),
				},
			},
			{
				Config:           definitionConfig(""),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
			},
			{ // deleted behind Terraform's back
				PreConfig:        func() { f.change(func(f *fakeDaemon) { f.definitions[0].IsActive = false }) },
				Config:           definitionConfig(""),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{planned(definitionAddress, plancheck.ResourceActionCreate)}},
			},
		}
	})
}

func TestDefinitionCredentials(t *testing.T) {
	with := func(password string) string {
		return definitionConfig(fmt.Sprintf(`  registry_credentials = { username = "deploy", password = %q }`, password))
	}
	stored := func(f *fakeDaemon, t *testing.T, want string) func() {
		return func() {
			f.change(func(f *fakeDaemon) {
				if got := f.secrets[f.definitions[0].ID].Password; got != want {
					t.Errorf("the daemon holds the password %q, want %q", got, want)
				}
			})
		}
	}
	runSteps(t, func(f *fakeDaemon) []resource.TestStep {
		update := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{planned(definitionAddress, plancheck.ResourceActionUpdate)}}
		return []resource.TestStep{
			{Config: with("one")},
			{Config: with("two"), ConfigPlanChecks: update, PreConfig: stored(f, t, "one")},
			{ // a change of something else does not send them again
				Config:            with("two") + "\n# same\n",
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
				ConfigStateChecks: []statecheck.StateCheck{has(definitionAddress, at("revision"), knownvalue.Int64Exact(2))},
			},
			{ // removed behind Terraform's back: given again
				PreConfig: func() {
					f.change(func(f *fakeDaemon) {
						f.definitions[0].HasRegistryCredentials = false
						clear(f.secrets)
					})
				},
				Config: with("two"), ConfigPlanChecks: update,
			},
			{Config: definitionConfig(""), ConfigPlanChecks: update, PreConfig: stored(f, t, "two")},
			{ // set behind Terraform's back: removed
				PreConfig: func() {
					stored(f, t, "")()
					f.change(func(f *fakeDaemon) { f.definitions[0].HasRegistryCredentials = true })
				},
				Config: definitionConfig(""), ConfigPlanChecks: update,
				ConfigStateChecks: []statecheck.StateCheck{has(definitionAddress, at("has_registry_credentials"), knownvalue.Bool(false))},
			},
		}
	})
}

func TestDefinitionImport(t *testing.T) {
	config := definitionConfig(everyBlock)
	runSteps(t, func(*fakeDaemon) []resource.TestStep {
		unreadable := []string{"registry_credentials"}
		return []resource.TestStep{
			{Config: config},
			{ResourceName: definitionAddress, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: unreadable},
			{ResourceName: definitionAddress, ImportState: true, ImportStateId: "wedding-api", ImportStateVerify: true, ImportStateVerifyIgnore: unreadable},
			{ResourceName: definitionAddress, ImportState: true, ImportStateId: "nobody", ExpectError: regexp.MustCompile(`there is no container definition "nobody"`)},
		}
	})
}

func TestDefinitionErrorPointsAtTheAttribute(t *testing.T) {
	runSteps(t, func(*fakeDaemon) []resource.TestStep {
		second := definitionConfig("") + `
resource "wedsync_container_definition" "twin" {
  name            = wedsync_container_definition.api.name
  service_name    = "api"
  image_name      = "wedsync/api"
  resource_limits = { cpu = "1", memory = "1Gi" }
  scaling_config  = { min_replicas = 1, max_replicas = 1 }
}`
		return []resource.TestStep{{Config: second, ExpectError: regexp.MustCompile(`(?s)name\s+= wedsync_container_definition.api.name.*"wedding-api" is taken`)}}
	})
}
