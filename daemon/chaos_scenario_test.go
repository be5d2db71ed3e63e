package daemon_test

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/failpoint"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// world is what runs of the definition; the zero world is nothing.
type world struct {
	version  string
	replicas int
}

// Versions of the demo application. What is called broken exits before it is healthy.
const (
	version1 = "v1"
	version2 = "v2"
	version3 = "v3"
	broken   = "broken"
)

// versions are the images, with what makes them differ.
var versions = map[string][]testenv.ImageOption{version1: nil, version2: nil, version3: nil, broken: {testenv.Crashing()}}

// kept says which containers of before a scenario leaves alone.
type kept int

const (
	_ kept = iota // none has to
	// keptAll: what ran before runs afterwards.
	keptAll
	// keptSome: what runs afterwards ran before.
	keptSome
)

// scenario is something that a user asks for, and what is to come of it.
type scenario struct {
	name     string
	from, to world
	// boundaries is about how many it has, in the strategy with the fewest: a sample
	// chooses among them, and corrects what is too high.
	boundaries int
	// version is what the definition names when it is asked.
	version string
	// status is how the deployment that was asked for ends, and deployments how
	// many rows that takes, with rollbacks and what was superseded.
	status      string
	deployments int
	kept        kept
	// ask asks, and returns the deployment to follow. It may be cut off and goes on
	// when the daemon is back.
	ask func(ctx context.Context, l *lane, strategy string) (id string, err error)
}

var (
	nothing = world{}
	stable  = world{version1, 2}
	larger  = world{version1, 3}
	newer   = world{version2, 2} // reached from stable, so that it can be rolled back
)

var scenarios = []scenario{
	{name: "first deploy", boundaries: 36, from: nothing, to: stable, version: version1, status: api.DeploymentCompleted, deployments: 1, ask: deployTwo},
	{name: "update", boundaries: 64, from: stable, to: newer, version: version2, status: api.DeploymentCompleted, deployments: 1, ask: deployTwo},
	{name: "manual rollback", boundaries: 58, from: newer, to: stable, status: api.DeploymentCompleted, deployments: 1, ask: rollBack},
	{name: "failing update", boundaries: 50, from: stable, to: stable, version: broken, status: api.DeploymentRolledBack, deployments: 2, kept: keptAll, ask: deployTwo},
	{name: "scale up", boundaries: 32, from: stable, to: larger, status: api.DeploymentCompleted, deployments: 1, kept: keptAll, ask: scaleTo(3)},
	{name: "scale down", boundaries: 24, from: larger, to: stable, status: api.DeploymentCompleted, deployments: 1, kept: keptSome, ask: scaleTo(2)},
	{name: "superseded", boundaries: 94, from: stable, to: newer, version: version3, status: api.DeploymentCompleted, deployments: 2, ask: supersede},
	{name: "removal", boundaries: 22, from: stable, to: nothing, status: api.DeploymentCompleted, deployments: 1, ask: remove},
}

const environment = "staging"

// rollout is short, and has a phase of each kind. Its deadlines are the ordinary
// ones: they are not what is tried here.
func rollout() *api.RolloutConfig {
	return &api.RolloutConfig{
		MinHealthyTime: new(0),
		CanarySteps:    &[]api.CanaryStep{{Weight: 50, Pause: 0}}, KeepWarmTime: new(1), DrainTime: new(0),
	}
}

// once is a context for one request, which is repeated under its key until it is answered.
func once(ctx context.Context) context.Context {
	return client.WithIdempotencyKey(ctx, client.NewIdempotencyKey())
}

func deployTwo(ctx context.Context, l *lane, strategy string) (string, error) {
	return l.deploy(once(ctx), strategy, 2)
}

func (l *lane) deploy(ctx context.Context, strategy string, replicas int) (string, error) {
	a, err := l.client.Deploy(ctx, l.definition.ID, api.DeployRequest{
		Environment: environment, ReplicaCount: &replicas, DeploymentStrategy: strategy, RolloutConfig: rollout(),
	})
	return a.DeploymentID, err
}

func rollBack(ctx context.Context, l *lane, _ string) (string, error) {
	live, err := l.client.ListDeployments(ctx, api.ListDeploymentsOptions{DefinitionID: l.definition.ID, Live: true})
	if err != nil {
		return "", err
	}
	if len(live.Deployments) != 1 {
		return "", fmt.Errorf("%d deployments are live, want one", len(live.Deployments))
	}
	a, err := l.client.Rollback(once(ctx), live.Deployments[0].ID, api.RollbackRequest{Reason: "chaos"})
	return a.DeploymentID, err
}

func scaleTo(replicas int) func(context.Context, *lane, string) (string, error) {
	return func(ctx context.Context, l *lane, _ string) (string, error) {
		a, err := l.client.Scale(once(ctx), api.ManualScaleRequest{DefinitionID: l.definition.ID, Environment: environment, TargetReplicas: replicas})
		return a.DeploymentID, err
	}
}

func remove(ctx context.Context, l *lane, _ string) (string, error) {
	a, err := l.client.RemoveDeployment(once(ctx), l.definition.ID, environment)
	return a.DeploymentID, err
}

// supersede asks for one version, and for another as soon as the first one has
// passed some boundaries, or the daemon is gone.
func supersede(ctx context.Context, l *lane, strategy string) (string, error) {
	const some = 10
	if _, err := deployTwo(ctx, l, strategy); err != nil {
		return "", err
	}
	err := poll(ctx, func() (bool, error) {
		names, err := failpoint.Passed(l.failpoint)
		return len(names) >= some || l.disturbed.Load(), err
	})
	if err != nil {
		return "", err
	}
	if err := l.name(ctx, version2); err != nil {
		return "", err
	}
	return deployTwo(ctx, l, strategy)
}

// fault is what happens at a boundary.
type fault struct {
	name   string
	action failpoint.Action
	// engine tells that it restarts the engine, and so the containers.
	engine bool
	// steps do it to a daemon that is dead or held, and have everything come back.
	// Each returns when something was back, if it brought something back.
	steps []func(*lane) time.Time
}

var faults = []fault{
	{"killed", failpoint.Kill, false, steps{(*lane).launch}},
	{"killed with Postgres", failpoint.Kill, false, steps{endPostgres(syscall.SIGKILL), (*lane).launch, (*lane).postgresAnswers}},
	{"killed, Engine shut down", failpoint.Kill, true, steps{shutEngineDown, startEngine, (*lane).launch}},
	{"killed, Engine crashed", failpoint.Kill, true, steps{crashEngine, (*lane).launch, startEngine}},
	{"Postgres killed", failpoint.Hold, false, steps{endPostgres(syscall.SIGKILL), letGo, (*lane).postgresAnswers}},
	{"Engine shut down", failpoint.Hold, true, steps{shutEngineDown, letGo, startEngine}},
	{"Postgres shut down", failpoint.Hold, false, steps{endPostgres(syscall.SIGINT), letGo, (*lane).postgresAnswers}},
	{"Engine crashed", failpoint.Hold, true, steps{crashEngine, startEngine, letGo}},
}

type steps = []func(*lane) time.Time

// strike does the steps and returns since when all parts are back.
func (f *fault) strike(l *lane) (back time.Time) {
	for _, step := range f.steps {
		if at := step(l); at.After(back) {
			back = at
		}
	}
	return back
}

func endPostgres(how syscall.Signal) func(*lane) time.Time {
	return func(l *lane) time.Time {
		l.EndPostgres(l.t, how)
		return time.Time{}
	}
}

func shutEngineDown(l *lane) time.Time {
	l.engine.Shutdown(l.t)
	return time.Time{}
}

func crashEngine(l *lane) time.Time {
	l.engine.Crash(l.t)
	return time.Time{}
}

func startEngine(l *lane) time.Time {
	l.engine.Resume(l.t)
	return time.Now()
}

func letGo(l *lane) time.Time {
	l.Continue()
	return time.Now()
}
