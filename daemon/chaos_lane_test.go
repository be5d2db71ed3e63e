package daemon_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	engine "github.com/docker/docker/client"
	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/failpoint"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

const (
	// convergenceLimit is how long everything may take until it is as it should be,
	// from the moment at which all parts are back.
	convergenceLimit = 5 * time.Second
	// chaosPatience is how long that is waited for, to tell what is slow from what never comes.
	chaosPatience = 2 * time.Minute
	// glance is the time between two looks.
	glance = 25 * time.Millisecond
)

// lane is a daemon that is killed again and again, with an engine and a Postgres of its own.
type lane struct {
	*testenv.DaemonHandle

	t          *testing.T
	campaign   *campaign
	engine     *testenv.EngineHandle
	docker     *engine.Client
	client     *client.Client
	definition api.Definition
	failpoint  string
	tags       map[string]string // version → tag
	images     map[string]string // version → the engine's identifier of the image
	conn       *pgx.Conn         // to the daemon's database; nil when it was lost
	at         world
	disturbed  atomic.Bool // the fault of the present run has come
}

func newLane(t *testing.T, c *campaign) *lane {
	t.Helper()
	l := &lane{t: t, campaign: c, engine: testenv.PrivateEngine(t), failpoint: filepath.Join(t.TempDir(), "failpoint"),
		tags: make(map[string]string), images: make(map[string]string)}
	l.docker = l.engine.Client(t)
	repository := ""
	for version, options := range versions {
		reference := l.engine.DemoImage(t, version, options...)
		repository, l.tags[version], _ = strings.Cut(reference, ":")
		found, err := l.docker.ImageInspect(t.Context(), reference)
		if err != nil {
			t.Fatal(err)
		}
		l.images[version] = found.ID
	}
	l.DaemonHandle = testenv.StandaloneDaemon(t, testenv.OnEngine(l.engine), testenv.WithFailpoints(l.failpoint))
	var err error
	// A request that is cut off is repeated at once, so that its retries' pauses are not measured.
	if l.client, err = client.New(l.Endpoint, l.Token, client.WithRetries(10_000, 10*time.Millisecond, 20*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	l.definition, err = l.client.CreateDefinition(t.Context(), api.CreateDefinitionRequest{
		Name: "chaos", ServiceName: "chaos", ImageName: repository, ImageTag: l.tags[version1],
		ResourceLimits:    api.ResourceLimits{CPU: "500m", Memory: "64Mi"},
		ScalingConfig:     api.ScalingConfig{MinReplicas: 1, MaxReplicas: 10},
		NetworkConfig:     &api.NetworkConfig{Ports: []int{8080}},
		HealthCheckConfig: &api.HealthCheckConfig{Endpoint: "/health", Interval: 1, Timeout: 1, Retries: 10},
		RuntimeConfig:     &api.RuntimeConfig{StopTimeout: 5},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// work does jobs until there are none left, and then looks at what is left of the last.
func (l *lane) work() {
	for n := 1; ; n++ {
		j, ok := l.campaign.next(l.at)
		if !ok {
			break
		}
		o := l.run(j)
		l.campaign.done(o)
		l.t.Logf("%d: %s", n, o)
		for _, b := range o.broken {
			l.t.Errorf("%s: %s: %s", j, b.kind, b.text)
		}
		if len(o.broken) > 0 || l.campaign.single() {
			l.t.Logf("log of that run:\n%s", l.Log())
		}
		if len(o.broken) > 0 {
			l.at = l.settle()
		}
	}
	l.reach(nothing)
	l.Stop()
	l.Start(l.t) // a daemon that starts removes networks that nobody needs
	l.assertEmpty()
}

// outcome is what came of a run.
type outcome struct {
	job

	reached bool // the fault came
	name    string
	// passed are the boundaries that were passed, where the fault did not come.
	passed []string
	// took is the time until everything was as it should be.
	took   time.Duration
	broken []breach
}

// breach is something that is not as it should be.
type breach struct {
	kind kind
	text string
}

func (o outcome) String() string {
	switch {
	case o.boundary == 0:
		return fmt.Sprintf("%s: %d boundaries", o.job, len(o.passed))
	case !o.reached:
		return fmt.Sprintf("%s: there are only %d", o.job, len(o.passed))
	default:
		return fmt.Sprintf("%s (%s): converged in %s", o.job, o.name, o.took.Round(time.Millisecond))
	}
}

// run does one job.
func (l *lane) run(j job) outcome {
	o := outcome{job: j}
	l.reach(j.scenario.from)
	l.ForgetLog()
	before, err := l.look(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	if list := before.differ(l, j.scenario.from); len(list) > 0 {
		o.broken = []breach{{unstable, fmt.Sprint("what had converged has changed since: ", list)}}
		return o
	}
	want := expectation{scenario: j.scenario, before: before}
	if j.scenario.version != "" {
		if err := l.name(l.t.Context(), j.scenario.version); err != nil {
			l.t.Fatal(err)
		}
	}
	boundary := j.boundary
	if boundary == 0 {
		boundary = math.MaxInt
	}
	asked := l.begin(j, boundary)
	o.reached = l.awaitBoundary(boundary, &want, asked)
	names, err := failpoint.Passed(l.failpoint)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := failpoint.Disarm(l.failpoint); err != nil {
		l.t.Fatal(err)
	}
	if !o.reached {
		o.passed = names
		l.at = j.scenario.to
		return o
	}
	if len(names) == 0 {
		l.t.Fatalf("%s: the daemon has ended before any boundary:\n%s", j, l.Log())
	}
	o.name = names[len(names)-1]
	want.engineRestarted = j.fault.engine
	back := j.fault.strike(l)
	l.disturbed.Store(true)
	o.took, o.broken = l.converge(&want, asked, back)
	l.at = j.scenario.to
	return o
}

// begin arms the failpoint and asks for what the job is about.
func (l *lane) begin(j job, boundary int) <-chan answer {
	action := failpoint.Kill
	if j.fault != nil {
		action = j.fault.action
	}
	if err := failpoint.Arm(l.failpoint, boundary, action); err != nil {
		l.t.Fatal(err)
	}
	l.disturbed.Store(false)
	asked := make(chan answer, 1)
	ctx := l.t.Context()
	go func() {
		id, err := j.scenario.ask(ctx, l, j.strategy)
		asked <- answer{id, err}
	}()
	return asked
}

// answer is the daemon's answer to what was asked for.
type answer struct {
	deploymentID string
	err          error
}

// awaitBoundary waits until the daemon is dead or held, and reports true, or until
// it has done what it was asked for without that.
func (l *lane) awaitBoundary(boundary int, want *expectation, asked <-chan answer) (reached bool) {
	ended := l.Exited()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	err := poll(ctx, func() (bool, error) {
		select {
		case <-ended:
			reached = true
			return true, nil
		default:
		}
		if l.Paused() {
			reached = true
			return true, nil
		}
		if want.take(asked); !want.answered {
			return false, nil
		}
		facts, err := l.look(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // what it looks at is changing
		}
		names, err := failpoint.Passed(l.failpoint)
		// The last boundary is passed a moment after the change that everything waits
		// for, and a daemon that has come to the one to die at is about to.
		return len(want.check(l, facts)) == 0 && len(names)%2 == 0 && len(names) < boundary, err
	})
	if err != nil {
		l.t.Fatalf("wait for the boundary: %v\n%s", err, l.Log())
	}
	return reached
}

// converge waits until everything is as it should be. What is not within the time
// allowed, or not at all, is returned.
func (l *lane) converge(want *expectation, asked <-chan answer, back time.Time) (took time.Duration, unmet []breach) {
	ctx, cancel := context.WithTimeout(l.t.Context(), chaosPatience)
	defer cancel()
	err := poll(ctx, func() (bool, error) {
		want.take(asked)
		facts, err := l.look(ctx)
		if err == nil {
			unmet = want.check(l, facts)
		} else if ctx.Err() == nil {
			unmet = []breach{{late, err.Error()}}
		}
		return len(unmet) == 0, nil
	})
	took = max(time.Since(back), 0)
	if err == nil && took > convergenceLimit && l.campaign.full {
		unmet = []breach{{late, fmt.Sprintf("converged after %s, want %s", took.Round(time.Millisecond), convergenceLimit)}}
	}
	return took, unmet
}

// poll tries until that is done, or fails, or the context ends.
func poll(ctx context.Context, try func() (done bool, err error)) error {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		if done, err := try(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// launch starts the daemon and returns when it did.
func (l *lane) launch() time.Time {
	l.t.Helper()
	began := time.Now()
	l.Launch(l.t)
	return began
}

// postgresAnswers waits until the lane's Postgres answers and returns when it did.
func (l *lane) postgresAnswers() time.Time {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), chaosPatience)
	defer cancel()
	err := poll(ctx, func() (bool, error) {
		conn, err := pgx.Connect(ctx, l.DB.OwnerURL)
		if err != nil {
			return false, nil //nolint:nilerr // it comes back
		}
		return true, conn.Close(ctx)
	})
	if err != nil {
		l.t.Fatalf("wait for Postgres: %v\n%s", err, l.Log())
	}
	return time.Now()
}

// name has the definition name another version.
func (l *lane) name(ctx context.Context, version string) error {
	tag := l.tags[version]
	_, err := l.client.UpdateDefinition(once(ctx), l.definition.ID, api.UpdateDefinitionRequest{ImageTag: &tag})
	return err
}

// reach brings the lane to a world, undisturbed.
func (l *lane) reach(want world) {
	l.t.Helper()
	if l.at == want {
		return
	}
	if want == newer { // what is stable before it must be there to be rolled back to
		l.reach(stable)
	}
	var id string
	var err error
	if want == nothing {
		id, err = remove(l.t.Context(), l, "")
	} else if err = l.name(l.t.Context(), want.version); err == nil {
		id, err = l.deploy(once(l.t.Context()), api.StrategyRollingUpdate, want.replicas)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	if _, err := l.client.WaitDeployment(ctx, id, client.WaitOptions{PollMin: glance, PollMax: 8 * glance}); err != nil {
		l.t.Fatalf("reach %v: %v\n%s", want, err, l.Log())
	}
	l.at = want
}

// settle ends what goes on after a run that failed, so that it disturbs no other,
// and returns where the lane is then.
func (l *lane) settle() world {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	id, err := remove(ctx, l, "")
	if client.IsNotFound(err) {
		return nothing
	}
	if err == nil {
		_, err = l.client.WaitDeployment(ctx, id, client.WaitOptions{})
	}
	if err != nil {
		l.t.Fatalf("clear up after a run that failed: %v\n%s", err, l.Log())
	}
	return nothing
}

// report prints the table, and writes it to the file that was asked for.
func (c *campaign) report(t *testing.T) {
	t.Helper()
	table := c.table()
	t.Logf("\n%s", table)
	if file := os.Getenv(chaosTable); file != "" {
		if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
			t.Error(err)
		}
	}
	made := 0
	for _, o := range c.outcomes {
		if o.reached {
			made++
		}
	}
	if least := c.least(); made < least || len(c.jobs) > 0 {
		t.Errorf("%d runs were made, want at least %d, and none left to make of %d", made, least, len(c.jobs))
	}
}
