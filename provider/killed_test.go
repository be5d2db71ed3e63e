package provider_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// TestAccDaemonKilled kills the daemon with SIGKILL as soon as the rollout of an
// apply is under way, and starts it again: the apply goes on to a good end. The
// daemon's own tests do the same at many more moments.
func TestAccDaemonKilled(t *testing.T) {
	eachCLI(t, func(t *testing.T) {
		daemon := testenv.Daemon(t)
		useDaemon(t, daemon.Endpoint, daemon.Token)
		a := newAcceptance(t, daemon)
		v1, v2 := a.tag("v1"), a.tag("v2")
		var killing sync.WaitGroup
		resource.UnitTest(t, resource.TestCase{
			ProtoV6ProviderFactories: protoV6,
			CheckDestroy:             a.nothingIsLeft,
			Steps: []resource.TestStep{
				{Config: a.config(v1, "hello", 2), Check: a.runs(2, 0, "hello")},
				{
					PreConfig: func() { killing.Go(func() { a.killDuringRollout(daemon) }) },
					Config:    a.config(v2, "welcome", 2),
					Check: func(s *terraform.State) error {
						killing.Wait()
						return a.runs(2, 0, "welcome")(s)
					},
					ConfigStateChecks: runsRevision(2, v2, 2),
				},
				{Config: a.config(v2, "welcome", 2), ConfigPlanChecks: preApply(plancheck.ExpectEmptyPlan())},
			},
		})
	})
}

// killDuringRollout waits for a deployment in progress, kills the daemon and starts it again.
func (a *acceptance) killDuringRollout(daemon *testenv.DaemonHandle) {
	ctx, cancel := context.WithTimeout(a.t.Context(), 3*time.Minute)
	defer cancel()
	if _, err := rolloutBegins(ctx, a.client); err != nil {
		a.t.Error(err)
		return
	}
	daemon.Kill()
	daemon.Launch(a.t)
}
