package provider_test

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// badRollout is a rollout that must fail, and what the error must say of it.
type badRollout struct {
	name, tag string
	registry  string // in quotes, or null
	settings  string
	accepted  bool     // by the daemon, rather than refused at once
	words     []string // in their order, after the identifier of the deployment
}

func (a *acceptance) badRollouts(registry string) []badRollout {
	const waits, log = "step await_healthy, instance ", "| time="
	return []badRollout{
		{"crash", a.tag("v2", testenv.Crashing()), "null", quick, true, []string{waits, "exit code 1", log, "CRASH_AFTER"}},
		{"unhealthy", a.tag("v2", testenv.Unhealthy()), "null", quick, true, []string{waits, "health check:", log}},
		{"image-missing", "nowhere", strconv.Quote(registry), quick, false, []string{registry, "has no image"}},
		{"out-of-memory", a.tag("v2", testenv.Leaking(512)), "null", quick, true, []string{waits, "exit code 137", "memory", log}},
		{"slow-start", a.tag("v2", testenv.SlowStart(5*time.Second)), "null",
			`rollout_config = { min_healthy_time = 11, healthy_deadline = 12, progress_deadline = 30 }`, true,
			[]string{waits, "has not been healthy for 11s within 12s of its start", log}},
	}
}

// TestAccHonestRollback rolls out what fails, in every way in which it can: the
// error says what failed and why, the state and the engine have what ran before,
// the same change is planned again, and a good image is rolled out in place.
func TestAccHonestRollback(t *testing.T) {
	provider := buildProvider(t)
	registry := testenv.Registry(t).Host
	eachCLI(t, func(t *testing.T) {
		daemon := testenv.Daemon(t)
		useDaemon(t, daemon.Endpoint, daemon.Token)
		images := newAcceptance(t, daemon)
		v1, v3 := images.tag("v1"), images.tag("v3")
		for _, bad := range images.badRollouts(registry) {
			t.Run(bad.name, func(t *testing.T) {
				t.Parallel() // each waits, for different things
				a, w := newAcceptance(t, daemon), newWorkspace(t, provider)
				a.name, a.network, a.repository = bad.name, bad.name, images.repository
				w.write(a.config(v1, "hello", 2))
				w.apply()
				a.failsHonestly(w, bad)
				w.write(a.config(v3, "hello", 2))
				says(t, w.apply(), "0 added, 2 changed, 0 destroyed")
				w.shows(map[string]any{"image_tag": v3, "deployment_status": "completed", "replicas": 2})
			})
		}
	})
}

// failsHonestly rolls out what fails where something good runs.
func (a *acceptance) failsHonestly(w workspace, bad badRollout) {
	a.t.Helper()
	before, ran := w.deployment(), a.containers()
	w.write(a.configWith(bad.tag, "hello", 2, bad.registry, bad.settings))
	wanted := w.plan()
	out := w.fails()

	words := bad.words
	if bad.accepted {
		failed := a.newest(api.TypeDeploy)
		if failed.DeploymentStatus != api.DeploymentRolledBack || failed.ID == before["deployment_id"] {
			a.t.Errorf("the newest deployment is %s, %s", failed.ID, failed.DeploymentStatus)
		}
		words = append([]string{"Error: Deployment failed and rolled back", "deployment " + failed.ID}, words...)
		words = append(words, "rolled back to deployment", fmt.Sprintf("runs revision %v", before["live_revision"]))
	}
	says(a.t, out, words...)

	after := w.deployment()
	for name, value := range before {
		if !slices.Contains(ofHistory, name) && !reflect.DeepEqual(after[name], value) {
			a.t.Errorf("%s is %v in the state, was %v", name, after[name], value)
		}
	}
	if now := a.containers(); !slices.Equal(now, ran) {
		a.t.Errorf("the containers %v run, before it were %v", now, ran)
	}
	left := w.plan()
	left.sameAs(a.t, wanted)
}

// newest is the definition's newest deployment of a type.
func (a *acceptance) newest(kind string) api.Deployment {
	a.t.Helper()
	for d, err := range a.client.AllDeployments(a.t.Context(), api.ListDeploymentsOptions{DefinitionID: a.definition().ID}) {
		if err != nil {
			a.t.Fatal(err)
		}
		if d.DeploymentType == kind {
			return d
		}
	}
	return api.Deployment{}
}
