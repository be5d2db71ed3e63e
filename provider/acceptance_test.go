package provider_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// acceptance is a real daemon and what is declared on it.
type acceptance struct {
	t      *testing.T
	client *client.Client
	// name and network are the definition's name and its network's.
	name, network string
	// repository is the demo image's, whose tags the steps use.
	repository string
	before     []string // containers as an earlier step left them
}

func newAcceptance(t *testing.T, daemon *testenv.DaemonHandle) *acceptance {
	t.Helper()
	return &acceptance{t: t, client: daemon.Client(t), name: "wedding-api", network: "app"}
}

// quick are settings that keep a rollout's waits short.
const quick = `rollout_config = { min_healthy_time = 1, keep_warm_time = 1, drain_time = 0 }`

// config is a network, a definition that joins it and its deployment in staging.
func (a *acceptance) config(tag, greeting string, replicas int) string {
	return a.configWith(tag, greeting, replicas, "null", quick)
}

// configWith is config with a registry, in quotes, and with settings of the deployment.
func (a *acceptance) configWith(tag, greeting string, replicas int, registry, settings string) string {
	return fmt.Sprintf(`
resource "wedsync_network" "app" {
  network_name = %q
  network_type = "internal"
  environment  = "staging"
}

resource "wedsync_container_definition" "api" {
  name         = %q
  service_name = "api"
  image_name   = %q
  image_tag    = %q
  registry_url = %s

  environment_config  = { GREETING = %q }
  resource_limits     = { cpu = "500m", memory = "64Mi" }
  scaling_config      = { min_replicas = 1, max_replicas = 5 }
  network_config      = { ports = [8080], internal_networks = [wedsync_network.app.network_name] }
  health_check_config = { endpoint = "/health", interval = 1, timeout = 1, retries = 9 }
  runtime_config      = { user = "10001:10001", read_only_root_filesystem = true, stop_timeout = 5 }
}

resource "wedsync_deployment" "api" {
  definition_id       = wedsync_container_definition.api.id
  definition_revision = wedsync_container_definition.api.revision
  environment         = wedsync_network.app.environment
  replicas            = %d

  %s
}
`, a.network, a.name, a.repository, tag, registry, greeting, replicas, settings)
}

// tag is the tag of the demo image in a version.
func (a *acceptance) tag(version string, options ...testenv.ImageOption) string {
	a.t.Helper()
	repository, tag, ok := strings.Cut(testenv.DemoImage(a.t, version, options...), ":")
	if !ok || a.repository != "" && a.repository != repository {
		a.t.Fatalf("demo image %s:%s is not a tag of %s", repository, tag, a.repository)
	}
	a.repository = repository
	return tag
}

// docker runs the Docker client and returns the words that it printed.
func (a *acceptance) docker(args ...string) []string {
	a.t.Helper()
	out, err := exec.CommandContext(a.t.Context(), "docker", args...).Output()
	if err != nil {
		a.t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return strings.Fields(string(out))
}

// definition reads the one definition.
func (a *acceptance) definition() api.Definition {
	a.t.Helper()
	page, err := a.client.ListDefinitions(a.t.Context(), api.ListDefinitionsOptions{Name: a.name})
	if err != nil || len(page.Definitions) != 1 {
		a.t.Fatalf("definitions %v, error %v; want one", page.Definitions, err)
	}
	return page.Definitions[0]
}

// containers are the engine's running containers of the definition.
func (a *acceptance) containers() []string {
	a.t.Helper()
	ids := a.docker("ps", "--quiet", "--no-trunc", "--filter", "label=wedsync.definition="+a.definition().ID)
	slices.Sort(ids)
	return ids
}

// runs checks how many containers run, what they were given, and how many of
// them ran before.
func (a *acceptance) runs(count, kept int, greeting string) resource.TestCheckFunc {
	return func(*terraform.State) error {
		now := a.containers()
		var same int
		for _, id := range now {
			if slices.Contains(a.before, id) {
				same++
			}
			if environment := a.docker("inspect", "--format", "{{.Config.Env}}", id); !strings.Contains(strings.Join(environment, " "), "GREETING="+greeting) {
				return fmt.Errorf("container %s has the environment %v, want GREETING=%s", id, environment, greeting)
			}
		}
		if len(now) != count || same != kept {
			return fmt.Errorf("%d containers run, %d of them from before; want %d and %d", len(now), same, count, kept)
		}
		a.before = now
		return nil
	}
}

// loseOne removes a container behind the daemon's back and waits until the
// daemon has as many again.
func (a *acceptance) loseOne() {
	a.t.Helper()
	lost := a.before[0]
	a.docker("rm", "--force", lost)
	ctx, cancel := context.WithTimeout(a.t.Context(), 3*time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		healthy, err := a.healthyInstances(ctx)
		if err != nil {
			a.t.Fatal(err)
		}
		if now := a.containers(); healthy == len(a.before) && len(now) == len(a.before) && !slices.Contains(now, lost) {
			a.before = now
			return
		}
		select {
		case <-ctx.Done():
			a.t.Fatalf("container %s did not come back: %v", lost, a.containers())
		case <-ticker.C:
		}
	}
}

func (a *acceptance) healthyInstances(ctx context.Context) (n int, err error) {
	for instance, err := range a.client.AllInstances(ctx, api.ListInstancesOptions{Environment: "staging", Status: api.InstanceRunning}) {
		if err != nil {
			return n, err
		}
		if instance.HealthStatus == api.HealthHealthy {
			n++
		}
	}
	return n, nil
}

// nothingIsLeft checks that the daemon knows of nothing any more.
func (a *acceptance) nothingIsLeft(*terraform.State) error {
	ctx := context.Background()
	definitions, err1 := a.client.ListDefinitions(ctx, api.ListDefinitionsOptions{})
	networks, err2 := a.client.ListNetworks(ctx, api.ListNetworksOptions{})
	instances, err3 := a.client.ListInstances(ctx, api.ListInstancesOptions{})
	live, err4 := a.client.ListDeployments(ctx, api.ListDeploymentsOptions{Live: true})
	routes, err5 := a.client.ListRoutes(ctx, api.ListRoutesOptions{})
	services, err6 := a.client.ListServices(ctx, api.ListServicesOptions{})
	policies, err7 := a.client.ListScalingPolicies(ctx, api.ListScalingPoliciesOptions{})
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return err
	}
	if n := definitions.TotalCount + networks.TotalCount + instances.TotalCount + live.TotalCount + routes.TotalCount + policies.TotalCount + len(services.Services); n != 0 {
		return fmt.Errorf("%d definitions, %d networks, %d instances, %d live deployments, %d routes, %d policies and %d services are left",
			definitions.TotalCount, networks.TotalCount, instances.TotalCount, live.TotalCount, routes.TotalCount, policies.TotalCount, len(services.Services))
	}
	return nil
}

// TestAcc goes the whole way with a real daemon, a real engine and both CLIs.
func TestAcc(t *testing.T) {
	eachCLI(t, func(t *testing.T) {
		daemon := testenv.Daemon(t)
		useDaemon(t, daemon.Endpoint, daemon.Token)
		installation, err := daemon.Installation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a := newAcceptance(t, daemon)
		resource.UnitTest(t, resource.TestCase{
			ProtoV6ProviderFactories: protoV6,
			CheckDestroy:             a.nothingIsLeft,
			Steps:                    a.steps(),
		})
		testenv.AssertNoLeftovers(t, installation)
	})
}

// served is a route to the service, and data sources of both.
func served(hosts string) string {
	return `
resource "wedsync_route" "shop" {
  name         = "shop"
  environment  = wedsync_deployment.api.environment
  service_name = wedsync_container_definition.api.service_name
  hosts        = ` + hosts + `
}

data "wedsync_route" "shop" { id = wedsync_route.shop.id }

data "wedsync_service" "api" {
  service_name = wedsync_container_definition.api.service_name
  environment  = "staging"
  image_tag    = wedsync_container_definition.api.image_tag
  depends_on   = [wedsync_deployment.api]
}
`
}

func (a *acceptance) steps() []resource.TestStep {
	v1, v2 := a.tag("v1"), a.tag("v2")
	canary := `deployment_strategy = "canary"
  rollout_config = {
    min_healthy_time = 1
    keep_warm_time   = 0
    drain_time       = 0
    canary_steps     = [{ weight = 10, pause = 0 }, { weight = 60, pause = 1 }]
  }`
	return []resource.TestStep{
		{
			Config: a.config(v1, "hello", 2),
			Check:  a.runs(2, 0, "hello"),
			ConfigStateChecks: append(runsRevision(1, v1, 2),
				has(deploymentAddress, at("image_digest"), knownvalue.StringRegexp(regexp.MustCompile(`sha256:[0-9a-f]{64}$`))),
				has(networkAddress, at("engine_name"), knownvalue.NotNull())),
		},
		{
			Config:           a.config(v1, "hello", 2),
			ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan()),
		},
		{ // another tag and variable: in place for Terraform, new containers for the engine
			Config: a.configWith(v2, "welcome", 2, "null", "deployment_strategy = \"blue_green\"\n  "+quick),
			ConfigPlanChecks: preApply(
				planned(networkAddress, plancheck.ResourceActionNoop),
				planned(definitionAddress, plancheck.ResourceActionUpdate),
				planned(deploymentAddress, plancheck.ResourceActionUpdate),
			),
			Check:             a.runs(2, 0, "welcome"),
			ConfigStateChecks: runsRevision(2, v2, 2),
		},
		{
			Config:            a.configWith(v1, "welcome", 2, "null", canary),
			Check:             a.runs(2, 0, "welcome"),
			ConfigStateChecks: runsRevision(3, v1, 2),
		},
		{ // more replicas keep those that run
			Config:            a.configWith(v1, "welcome", 3, "null", canary),
			Check:             a.runs(3, 2, "welcome"),
			ConfigStateChecks: runsRevision(3, v1, 3),
		},
		{ResourceName: networkAddress, ImportState: true, ImportStateVerify: true},
		{ResourceName: networkAddress, ImportState: true, ImportStateVerify: true, ImportStateId: "staging/app"},
		{ResourceName: definitionAddress, ImportState: true, ImportStateVerify: true},
		{ResourceName: definitionAddress, ImportState: true, ImportStateVerify: true, ImportStateId: "wedding-api"},
		{ResourceName: deploymentAddress, ImportState: true, ImportStateVerify: true},
		{ResourceName: deploymentAddress, ImportState: true, ImportStateVerify: true, ImportStateId: "wedding-api/staging"},
		{ // the replicas are where the service answers
			Config: a.configWith(v1, "welcome", 3, "null", canary) + served(`["shop.example.com"]`),
			ConfigStateChecks: []statecheck.StateCheck{
				has("data.wedsync_service.api", at("healthy_instances"), knownvalue.Int64Exact(3)),
				has("data.wedsync_service.api", at("total_instances"), knownvalue.Int64Exact(3)),
				has("data.wedsync_route.shop", at("max_requests"), knownvalue.Int64Exact(1024)),
			},
		},
		{
			Config:           a.configWith(v1, "welcome", 3, "null", canary) + served(`["shop.example.com", "www.example.com"]`),
			ConfigPlanChecks: preApply(planned(routeAddress, plancheck.ResourceActionUpdate)),
		},
		{ResourceName: routeAddress, ImportState: true, ImportStateVerify: true},
		{ResourceName: routeAddress, ImportState: true, ImportStateVerify: true, ImportStateId: "staging/shop"},
		{ // a container that is lost comes back without Terraform, which sees no change
			PreConfig:        a.loseOne,
			Config:           a.configWith(v1, "welcome", 3, "null", canary) + served(`["shop.example.com", "www.example.com"]`),
			ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan()),
		},
	}
}
