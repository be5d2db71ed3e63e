package daemon_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	engine "github.com/docker/docker/client"
	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

var badDeployRounds = flag.Int("bad-deploy-rounds", 0, "how often TestBadDeploys goes through every kind of failure, strategy, first deploy and update; 0 is a sample of them")

const (
	// badDeployLanes is how many bad deployments go on at the same time.
	badDeployLanes = 3
	// foundWithin is how soon a failure is found that shows at once.
	foundWithin = 3 * time.Second
	// endedWithin is how long after its deadline a deployment, with its rollback, may take to end.
	endedWithin = 5 * time.Second
)

// origin is the moment from which on a failure could be found.
type origin string

const (
	fromRequest  origin = "request"  // the API refuses
	fromAccepted origin = "accepted" // the image cannot be had
	fromCreated  origin = "created"  // the engine is asked for the container, and refuses
	fromExit     origin = "exit"     // the container exits
	fromStart    origin = "start"    // the container runs, and is not healthy in time
)

// atOnce reports whether the failure shows at that moment: nothing has to be
// tried, and no deadline to pass, before it does.
func (o origin) atOnce() bool { return o == fromRequest || o == fromAccepted || o == fromExit }

// badDeploy is a kind of bad deployment.
type badDeploy struct {
	kind string
	// strategies that it is tried in; nil means all. updateOnly leaves out first deploys.
	strategies []string
	updateOnly bool
	replicas   int  // 2 when zero
	ports      bool // needs the host ports for itself
	// spoil makes what would be a good deployment bad.
	spoil func(*badRun)
	// replaces: the rolling update has removed old replicas before it fails.
	replaces bool
	// afterwards goes on with a deployment that was accepted; it may be nil.
	afterwards func(r *badRun, deploymentID string)

	found origin
	// refusal is the code with which the API refuses; empty when it accepts.
	refusal string
	// What the error names. early is a failure before there is an instance.
	message  string
	early    bool
	exitCode int
	health   string
	log      string
}

// badRun is one bad deployment on its way.
type badRun struct {
	*badDeploy
	*badDeploys

	t        *testing.T
	strategy string
	first    bool
	name     string

	definition api.Definition
	update     api.UpdateDefinitionRequest // makes the definition bad
	request    api.DeployRequest
	release    func() // lets requests go that old replicas are kept at
}

// badResult is what a run has shown.
type badResult struct {
	kind, strategy string
	detection      time.Duration
	late, failed   bool
}

// badDeploys is the campaign.
type badDeploys struct {
	*fixture
	engine   *engine.Client
	seen     *sightings
	registry *testenv.RegistryServer
	alone    sync.Mutex // held by the run that has the host ports for itself

	mu      sync.Mutex
	results []badResult
}

var badKinds = []badDeploy{
	{
		kind: "crash at start", found: fromExit,
		spoil:   func(r *badRun) { r.image(testenv.Crashing()) },
		message: "exited with code 1", exitCode: 1, log: "crashing, as CRASH_AFTER asks",
	}, {
		kind: "crash after 3 s", found: fromExit,
		spoil: func(r *badRun) {
			r.image(testenv.CrashingAfter(3 * time.Second))
			r.rollout(func(c *api.RolloutConfig) { c.MinHealthyTime = new(5) })
		},
		message: "exited with code 1 after ", exitCode: 1, health: "GET /health", log: "crashing, as CRASH_AFTER asks",
	}, {
		kind: "crash after the cut-over", found: fromExit, strategies: []string{api.StrategyBlueGreen, api.StrategyCanary}, updateOnly: true,
		spoil: func(r *badRun) {
			r.image()
			r.rollout(func(c *api.RolloutConfig) { c.KeepWarmTime = new(60) })
		},
		afterwards: func(r *badRun, id string) { r.crashAfterCutOver(id) },
		message:    "exited with code 1 after ", exitCode: 1, health: "GET /health", log: "exiting, as a request asks",
	}, {
		kind: "hang", found: fromStart,
		spoil:   func(r *badRun) { r.image(testenv.Hanging(), testenv.WithEnv("IGNORE_SIGTERM", "true")) },
		message: "is unhealthy", health: "no answer within 1 s", log: "serving",
	}, {
		kind: "flapping health", found: fromStart,
		spoil: func(r *badRun) {
			r.image(testenv.Flapping("+-"))
			r.rollout(func(c *api.RolloutConfig) { c.MinHealthyTime = new(2) })
			r.checked(api.HealthCheckConfig{Retries: 9}) // it is the deadline that ends it
		},
		message: "has not been healthy for 2s within 10s of its start", health: "status ", log: "serving",
	}, {
		kind: "slow start", found: fromStart,
		spoil: func(r *badRun) {
			r.image(testenv.SlowStart(6 * time.Second))
			r.rollout(func(c *api.RolloutConfig) { c.MinHealthyTime = new(8) }) // far beyond the deadline
			r.checked(api.HealthCheckConfig{Retries: 2, StartPeriod: 7})
		},
		message: "has not been healthy for 8s within 10s of its start", health: "status 200", log: "serving",
	}, {
		kind: "never healthy", found: fromStart,
		spoil:   func(r *badRun) { r.image(testenv.Unhealthy()) },
		message: "is unhealthy", health: "status 503", log: "serving",
	}, {
		kind: "out of memory", found: fromExit,
		spoil: func(r *badRun) {
			r.image(testenv.Leaking(100))
			r.checked(api.HealthCheckConfig{Retries: 8}) // memory ends first
		},
		message: "memory than its limit", exitCode: 137, log: "taking memory, as LEAK asks",
	}, {
		kind: "no such program", found: fromCreated,
		spoil:   func(r *badRun) { r.image(testenv.WithEntrypoint("/no-such-program")) },
		message: "/no-such-program",
	}, {
		kind: "no such tag", found: fromRequest, refusal: api.CodeImageNotFound,
		spoil:   func(r *badRun) { r.pulled(r.registry.Host, "no-such-tag") },
		message: "has no image",
	}, {
		kind: "registry without a log-in", found: fromRequest, refusal: api.CodeImageNotFound,
		spoil:   func(r *badRun) { r.pulled(r.fickle(locked).host(), r.push()) },
		message: "wants a log-in",
	}, {
		kind: "wrong log-in", found: fromRequest, refusal: api.CodeImageNotFound,
		spoil: func(r *badRun) {
			r.pulled(r.fickle(locked).host(), r.push())
			r.update.RegistryCredentials = api.Some(api.RegistryCredentials{Username: fickleUser, Password: "not the password"})
		},
		message: "refuses the image",
	}, {
		kind: "log-in revoked before the pull", found: fromAccepted, early: true,
		spoil: func(r *badRun) {
			r.pulled(r.fickle(locksAfterResolving).host(), r.push())
			r.update.RegistryCredentials = api.Some(api.RegistryCredentials{Username: fickleUser, Password: ficklePassword})
		},
		message: "refuses the image",
	}, {
		kind: "image gone before the pull", found: fromAccepted, early: true,
		spoil:   func(r *badRun) { r.pulled(r.fickle(forgetsAfterResolving).host(), r.push()) },
		message: "has no image",
	}, {
		kind: "image pruned before the start", found: fromCreated, strategies: []string{api.StrategyRollingUpdate}, updateOnly: true, replaces: true,
		spoil: func(r *badRun) {
			r.image(testenv.WithEnv("RUN", client.NewIdempotencyKey()))
			r.rollout(func(c *api.RolloutConfig) { // an old replica drains first: meanwhile nothing holds the image
				c.StartFirst, c.DrainTime = new(false), new(15)
			})
			r.hold()
		},
		afterwards: func(r *badRun, id string) { r.pruneWhileItDrains(id) },
		message:    "was never in a registry and is no longer on this engine",
	}, {
		kind: "ports taken by others", found: fromCreated, ports: true,
		spoil: func(r *badRun) {
			r.occupyPorts()
			r.update.NetworkConfig = &api.NetworkConfig{Ports: []int{8080}, PublishPorts: true}
		},
		message: "another process holds the host port",
	}, {
		kind: "no ports left", found: fromAccepted, ports: true, replicas: 4, early: true,
		spoil: func(r *badRun) {
			many := make([]int, 32) // times four replicas is more than the range has
			for k := range many {
				many[k] = 8080 + k
			}
			r.update.NetworkConfig = &api.NetworkConfig{Ports: many, PublishPorts: true}
			r.rollout(func(c *api.RolloutConfig) {
				c.MaxSurge, c.CanarySteps = new("100%"), &[]api.CanaryStep{{Weight: 99}}
			})
		},
		message: "host ports",
	},
}

// TestBadDeploys deploys what cannot work, in every strategy, as a first deploy
// and as an update, many at the same time, and looks at what is told of it and at
// what is left of it. The failure is found within foundWithin of the moment from
// which on it shows, or at its deadline. At most endedWithin later nothing but
// the old version runs, untouched. Without -bad-deploy-rounds it is a sample, which
// tells the times and demands none: the crash at start in every way, each other
// kind in one.
func TestBadDeploys(t *testing.T) {
	c := newBadDeploys(t)
	runs := c.runs()
	queue := make(chan *badRun, len(runs))
	for _, r := range runs {
		queue <- r
	}
	close(queue)
	var lanes sync.WaitGroup
	for range badDeployLanes {
		lanes.Go(func() {
			for r := range queue {
				t.Run(r.name, r.run)
			}
		})
	}
	lanes.Wait()
	t.Logf("%d bad deployments:\n%s", len(c.results), c.table())
	c.nothingLeft(t)
}

// timed reports whether the limits of time hold: in a campaign, which has the
// machine for itself.
func timed() bool { return *badDeployRounds > 0 }

func newBadDeploys(t *testing.T) *badDeploys {
	t.Helper()
	c := &badDeploys{fixture: start(t), registry: testenv.Registry(t)}
	var err error
	if c.engine, err = engine.NewClientWithOpts(engine.FromEnv, engine.WithAPIVersionNegotiation()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.engine.Close() })
	id, err := c.Installation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.seen = watch(t, c.engine, id)
	return c
}

// runs are all runs of the campaign, or a sample of them.
func (c *badDeploys) runs() []*badRun {
	var list []*badRun
	for round := range max(*badDeployRounds, 1) {
		for k := range badKinds {
			ways := c.ways(&badKinds[k], round)
			if *badDeployRounds == 0 && k > 0 {
				ways = ways[k%len(ways):][:1]
			}
			list = append(list, ways...)
		}
	}
	return list
}

// ways are the runs of one kind in one round.
func (c *badDeploys) ways(kind *badDeploy, round int) []*badRun {
	strategies := kind.strategies
	if strategies == nil {
		strategies = []string{api.StrategyRollingUpdate, api.StrategyBlueGreen, api.StrategyCanary}
	}
	var list []*badRun
	for _, strategy := range strategies {
		for _, first := range []bool{true, false} {
			if first && kind.updateOnly {
				continue
			}
			change := map[bool]string{true: "first", false: "update"}[first]
			name := fmt.Sprintf("%s, %s, %s, %d", kind.kind, strategy, change, round+1)
			list = append(list, &badRun{badDeploy: kind, badDeploys: c, strategy: strategy, first: first, name: name})
		}
	}
	return list
}

// run makes one bad deployment and looks at what becomes of it.
func (r *badRun) run(t *testing.T) {
	r.t = t
	if r.ports {
		r.alone.Lock()
		defer r.alone.Unlock()
	}
	result := badResult{kind: r.kind, strategy: r.strategy, late: true}
	defer func() {
		result.failed = t.Failed()
		r.report(result)
	}()
	r.prepare()
	before := r.running()
	var live api.Deployment
	if !r.first {
		live = r.live()
	}
	r.spoil(r)
	if _, err := r.client.UpdateDefinition(t.Context(), r.definition.ID, r.update); err != nil {
		t.Fatal(err)
	}
	asked := time.Now()
	accepted, err := r.client.Deploy(t.Context(), r.definition.ID, r.request)
	switch {
	case r.refusal != "":
		result.detection, result.late = time.Since(asked), false
		r.refused(err)
	case err != nil:
		t.Fatal(err)
	default:
		result.detection, result.late = r.follow(accepted.DeploymentID, live)
	}
	if timed() && result.detection > foundWithin && r.found.atOnce() {
		t.Errorf("found after %s, want at most %s", result.detection, foundWithin)
	}
	r.unharmed(before, live)
	r.takeAway()
}

// prepare makes a definition that is good, deploys it unless the bad deployment
// is to be its first, and asks for the bad one with short deadlines.
func (r *badRun) prepare() {
	r.t.Helper()
	replicas := cmp.Or(r.replicas, 2)
	r.definition = r.define(r.t, "bad-"+client.NewIdempotencyKey()[:8], "v1", func(d *api.CreateDefinitionRequest) { d.RuntimeConfig.StopTimeout = 1 })
	r.checked(api.HealthCheckConfig{Retries: 3})
	if !r.first {
		r.deploy(r.t, r.definition.ID, replicas)
	}
	r.request = quick(r.strategy, replicas)
	r.rollout(func(c *api.RolloutConfig) {
		c.MinHealthyTime, c.HealthyDeadline, c.ProgressDeadline = new(1), new(10), new(20)
	})
}

// rollout changes how the bad deployment is rolled out.
func (r *badRun) rollout(change func(*api.RolloutConfig)) { change(r.request.RolloutConfig) }

// checked has the bad deployment checked each second: the good one is checked
// more patiently, as it must not be restarted.
func (r *badRun) checked(check api.HealthCheckConfig) {
	check.Endpoint, check.Interval, check.Timeout = "/health", 1, 1
	r.update.HealthCheckConfig = api.Some(check)
}

// image makes the definition's image a variant of the demo application's.
func (r *badRun) image(options ...testenv.ImageOption) {
	r.t.Helper()
	_, tag, _ := strings.Cut(testenv.DemoImage(r.t, "bad", options...), ":")
	r.update.ImageTag = &tag
}

// pulled makes the definition's image one of a registry.
func (r *badRun) pulled(host, tag string) {
	r.update.RegistryURL, r.update.ImageName, r.update.ImageTag = &host, new("team/demo-app"), &tag
}

// push pushes an image that the engine has never seen, and returns its tag: of
// those that it has seen it remembers more than it lists.
func (r *badRun) push() (tag string) {
	r.t.Helper()
	tag = client.NewIdempotencyKey()
	r.registry.PushDemo(r.t, "team/demo-app:"+tag, "v2", testenv.WithEnv("RUN", tag))
	return tag
}

// running is when each of the definition's containers was started.
func (r *badRun) running() map[string]time.Time {
	r.t.Helper()
	started := make(map[string]time.Time)
	for _, id := range containers(r.t, r.definition.ID) {
		found, err := r.engine.ContainerInspect(r.t.Context(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, found.State.StartedAt)
		if err != nil || !found.State.Running {
			r.t.Fatalf("container %s is %s, started at %q", id, found.State.Status, found.State.StartedAt)
		}
		started[id] = at
	}
	return started
}

// live is the deployment that the environment runs.
func (r *badRun) live() api.Deployment {
	r.t.Helper()
	list, err := r.client.ListDeployments(r.t.Context(), api.ListDeploymentsOptions{DefinitionID: r.definition.ID, Environment: "staging", Live: true})
	if err != nil || len(list.Deployments) != 1 {
		r.t.Fatalf("%d deployments are live (%v), want one", len(list.Deployments), err)
	}
	return list.Deployments[0]
}

// refused checks the answer of an API that refuses.
func (r *badRun) refused(err error) {
	r.t.Helper()
	if !client.HasCode(err, r.refusal) || !strings.Contains(err.Error(), r.message) {
		r.t.Errorf("the API answered %v; want it to refuse with %s and %q", err, r.refusal, r.message)
	}
}

// follow waits for the end of the bad deployment and of its rollback, and
// returns how long after it showed the failure was found, and whether the end came late.
func (r *badRun) follow(deploymentID string, live api.Deployment) (detection time.Duration, late bool) {
	r.t.Helper()
	if r.afterwards != nil {
		r.afterwards(r, deploymentID)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	_, err := r.client.WaitDeployment(ctx, deploymentID, client.WaitOptions{PollMin: 20 * time.Millisecond, PollMax: 200 * time.Millisecond})
	var failed *client.DeploymentFailedError
	if !errors.As(err, &failed) || len(failed.Deployment.Errors) == 0 {
		r.t.Fatalf("the deployment ended with %v, want its failure", err)
	}
	d := failed.Deployment
	r.told(d)
	ended := *d.CompletedAt
	if r.first {
		if d.DeploymentStatus != api.DeploymentFailed || failed.Rollback != nil {
			r.t.Errorf("it ended as %s, with the rollback %q; want it failed, as nothing is there to go back to", d.DeploymentStatus, d.RollbackID)
		}
		eventually(r.t, "its containers are gone, and their rows say so", func() bool {
			return len(containers(r.t, r.definition.ID)) == 0 && len(r.instances(r.t, r.definition.ID)) == 0
		})
		ended = time.Now()
	} else {
		ended = r.rolledBack(failed, live, ended)
	}
	from := r.origin(d)
	deadline := from
	if !r.found.atOnce() {
		deadline = from.Add(time.Duration(*d.RolloutConfig.HealthyDeadline) * time.Second)
	}
	if late = ended.After(deadline.Add(endedWithin)); late && timed() {
		r.t.Errorf("it ended %s after its deadline, want at most %s", ended.Sub(deadline), endedWithin)
	}
	return d.CompletedAt.Sub(from), late
}

// rolledBack checks the rollback, and returns when it had ended.
func (r *badRun) rolledBack(failed *client.DeploymentFailedError, live api.Deployment, ended time.Time) time.Time {
	r.t.Helper()
	if failed.Deployment.DeploymentStatus != api.DeploymentRolledBack || failed.Rollback == nil {
		r.t.Errorf("it ended as %s: %v; want it rolled back", failed.Deployment.DeploymentStatus, failed)
		return ended
	}
	if failed.Rollback.RollbackTargetID != live.ID || failed.Rollback.RollbackOfID != failed.Deployment.ID {
		r.t.Errorf("the rollback goes from %s to %s, want from %s to %s",
			failed.Rollback.RollbackOfID, failed.Rollback.RollbackTargetID, failed.Deployment.ID, live.ID)
	}
	return *failed.Rollback.CompletedAt
}

// origin is when the failure of a deployment could first be seen, as the engine or the daemon recorded it.
func (r *badRun) origin(d api.Deployment) time.Time {
	r.t.Helper()
	switch r.found {
	case fromExit:
		return r.seen.await(r.t, d.ID, events.ActionDie)
	case fromStart, fromCreated:
		i, err := r.client.GetInstance(r.t.Context(), d.Errors[0].InstanceID)
		if err != nil {
			r.t.Fatal(err)
		}
		if r.found == fromStart && i.StartedAt != nil {
			return *i.StartedAt
		}
		return i.CreatedAt
	default:
		return d.StartedAt
	}
}

// told checks what the deployment's first error says.
func (r *badRun) told(d api.Deployment) {
	r.t.Helper()
	e := d.Errors[0]
	var lacks []string
	missing := func(what string, lacking bool) {
		if lacking {
			lacks = append(lacks, what)
		}
	}
	missing("the message "+r.message, !strings.Contains(e.Message, r.message))
	missing("an instance", !r.early && (e.InstanceID == "" || e.InstanceName == ""))
	missing("the exit code", r.exitCode != 0 && (e.ExitCode == nil || *e.ExitCode != r.exitCode))
	missing("no exit code, as nothing exited", r.exitCode == 0 && e.ExitCode != nil)
	missing("the health check's "+r.health, !strings.Contains(e.HealthOutput, r.health))
	missing("the log line "+r.log, r.log != "" && !slices.ContainsFunc(e.LogTail, func(line string) bool { return strings.Contains(line, r.log) }))
	if len(lacks) > 0 {
		r.t.Errorf("the error lacks %s:\n%s", strings.Join(lacks, "; "), e)
	}
}

// unharmed checks that what ran before runs as before, and nothing else.
func (r *badRun) unharmed(before map[string]time.Time, live api.Deployment) {
	r.t.Helper()
	now := r.running()
	if r.replaces {
		before = brought(before, now)
	}
	if !maps.Equal(now, before) {
		r.t.Errorf("containers started at %v run, want those of before, %v", now, before)
	}
	list := r.instances(r.t, r.definition.ID)
	if len(list) != len(before) {
		r.t.Errorf("%d instances, want %d", len(list), len(before))
	}
	for _, i := range list {
		if _, ok := before[i.ContainerID]; !ok || i.CurrentStatus != api.InstanceRunning || i.RestartCount != 0 || i.DrainingSince != nil {
			r.t.Errorf("instance %s is %s with %d restarts, draining since %v", i.InstanceName, i.CurrentStatus, i.RestartCount, i.DrainingSince)
		}
		if !strings.Contains(version(r.t, i), "v1") {
			r.t.Errorf("instance %s serves %s", i.InstanceName, version(r.t, i))
		}
	}
	if !r.first {
		if now := r.live(); now.ImageDigest != live.ImageDigest || now.DefinitionRevision != live.DefinitionRevision {
			r.t.Errorf("revision %d with image %s is live, want revision %d with %s", now.DefinitionRevision, now.ImageDigest, live.DefinitionRevision, live.ImageDigest)
		}
	}
}

// brought is the old set when one of its containers, which had been replaced, was made anew.
func brought(before, now map[string]time.Time) map[string]time.Time {
	expected := make(map[string]time.Time)
	for id, at := range before {
		if _, ok := now[id]; ok {
			expected[id] = at
		}
	}
	for id, at := range now {
		if _, ok := before[id]; !ok && len(expected) < len(before) {
			expected[id] = at
		}
	}
	return expected
}

// takeAway takes the definition out of the environment.
func (r *badRun) takeAway() {
	r.t.Helper()
	if !r.first {
		r.remove(r.t, r.definition.ID)
		return
	}
	if err := r.client.DeleteDefinition(r.t.Context(), r.definition.ID); err != nil {
		r.t.Errorf("delete the definition: %v", err)
	}
}

// remove takes a definition out of staging and deletes it.
func (f *fixture) remove(t testing.TB, definitionID string) {
	t.Helper()
	accepted, err := f.client.RemoveDeployment(t.Context(), definitionID, "staging")
	if err != nil {
		t.Fatal(err)
	}
	f.completed(t, accepted.DeploymentID)
	if err := f.client.DeleteDefinition(t.Context(), definitionID); err != nil {
		t.Errorf("delete the definition: %v", err)
	}
}

// connect connects to the daemon's database as its owner, until the test ends.
func (f *fixture) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.DB.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (c *badDeploys) report(result badResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = append(c.results, result)
}

// nothingLeft checks that the campaign has left no container and no lease of a host port.
func (c *badDeploys) nothingLeft(t *testing.T) {
	t.Helper()
	if left := docker(t, "ps", "--all", "--quiet", "--filter", "label=wedsync.definition", "--filter", "label=wedsync.installation="+c.seen.installation); len(left) > 0 {
		t.Errorf("containers %v are left", left)
	}
	var leases, instances int
	if err := c.connect(t).QueryRow(t.Context(), `SELECT (SELECT count(*) FROM host_port_leases WHERE instance_id IS NOT NULL),
		(SELECT count(*) FROM container_instances WHERE current_status <> 'terminated')`).Scan(&leases, &instances); err != nil {
		t.Fatal(err)
	}
	if leases > 0 || instances > 0 {
		t.Errorf("%d host ports are leased and %d instances are there, want none", leases, instances)
	}
}

// table shows the results by kind and strategy.
func (c *badDeploys) table() string {
	type cell struct{ kind, strategy string }
	rows := make(map[cell][]badResult)
	for _, r := range c.results {
		key := cell{r.kind, r.strategy}
		rows[key] = append(rows[key], r)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kind\tstrategy\truns\tgood\tended in time\tfound after median\tmax\tcounted from")
	for _, kind := range badKinds {
		for _, strategy := range []string{api.StrategyRollingUpdate, api.StrategyBlueGreen, api.StrategyCanary} {
			list := rows[cell{kind.kind, strategy}]
			if len(list) == 0 {
				continue
			}
			good, inTime := 0, 0
			found := make([]time.Duration, len(list))
			for k, r := range list {
				found[k] = r.detection.Round(time.Millisecond)
				if !r.failed {
					good++
				}
				if !r.late {
					inTime++
				}
			}
			slices.Sort(found)
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", kind.kind, strategy, len(list), good, inTime, found[len(found)/2], found[len(found)-1], kind.found)
		}
	}
	_ = w.Flush()
	return b.String()
}

// sightings are the engine's events about the containers of an installation: by
// deployment, when each kind of event was first seen.
type sightings struct {
	installation string
	mu           sync.Mutex
	first        map[string]time.Time
}

// watch notes events until the test ends.
func watch(t *testing.T, c *engine.Client, installation string) *sightings {
	t.Helper()
	s := &sightings{installation: installation, first: make(map[string]time.Time)}
	messages, errs := c.Events(t.Context(), events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", string(events.ContainerEventType)), filters.Arg("label", "wedsync.installation="+installation))})
	go func() {
		for {
			select {
			case m := <-messages:
				s.note(m)
			case <-errs:
				return // the test has ended, or finds out by what it awaits in vain
			}
		}
	}()
	return s
}

func sighting(deploymentID string, action events.Action) string {
	return deploymentID + " " + string(action)
}

func (s *sightings) note(m events.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sighting(m.Actor.Attributes["wedsync.deployment"], m.Action)
	if _, ok := s.first[key]; !ok {
		s.first[key] = time.Unix(0, m.TimeNano)
	}
}

// await returns when an event of a kind was first seen for a deployment, once it was.
func (s *sightings) await(t testing.TB, deploymentID string, action events.Action) (at time.Time) {
	t.Helper()
	eventually(t, fmt.Sprintf("the engine has told of the %s of a container", action), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		var ok bool
		at, ok = s.first[sighting(deploymentID, action)]
		return ok
	})
	return at
}
