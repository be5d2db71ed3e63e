package deploy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

var noon = time.Date(2026, time.June, 6, 12, 0, 0, 0, time.UTC)

// deployment makes a deployment of the image v1, v2 … that began a minute before noon.
func deployment(id, tag string, after int, status fleet.DeploymentStatus) fleet.Deployment {
	return fleet.Deployment{
		ID: id, DefinitionID: "api", Environment: "staging", ImageTag: tag, ImageDigest: "sha256:" + tag,
		Spec: fleet.Spec{Name: "api", ImageTag: tag}, After: after, Status: status, StartedAt: noon.Add(-time.Minute),
		Rollout: quick(), State: fleet.RolloutState{PulledAt: &noon},
	}
}

// healthyDeadline is that of the default settings.
const healthyDeadline = 5 * time.Minute

// instance reads "d1/2 running healthy": deployment, replica, status and health.
// Further words: "gone" has no container, "draining" is out of service for 10 s,
// "drained" has no more requests either, "stop" and "end" are wishes of a user,
// "restart" asks for one, "exits=N" has ended by itself N times just now, "struck"
// is being ended because it is unhealthy, "old" was created before every deployment,
// "ahead" has a clock that was put back by an hour since it ended or turned unhealthy.
func instance(t *testing.T, text string) fleet.Instance {
	t.Helper()
	words := strings.Fields(text)
	var i fleet.Instance
	owner, replica, _ := strings.Cut(words[0], "/")
	if _, err := fmt.Sscan(replica, &i.Replica); err != nil {
		t.Fatalf("instance %q: %v", text, err)
	}
	started := noon.Add(-30 * time.Second)
	i.DeploymentID, i.Name, i.ID, i.ContainerID = owner, words[0], words[0], "c-"+words[0]
	i.Current, i.Desired, i.Health = fleet.Status(words[1]), fleet.StatusRunning, fleet.HealthUnknown
	i.CreatedAt, i.StartedAt = noon.Add(-40*time.Second), &started
	if i.Current == fleet.StatusPending {
		i.ContainerID, i.StartedAt = "", nil
	}
	for _, w := range words[2:] {
		switch key, value, _ := strings.Cut(w, "="); key {
		case "healthy", "unhealthy":
			i.Health = fleet.Health(w)
			if i.Health == fleet.HealthUnhealthy {
				i.UnhealthySince = new(noon.Add(-time.Microsecond))
			}
		case "struck":
			i.RecentExits = append(i.RecentExits, *i.UnhealthySince)
		case "gone":
			i.ContainerID = ""
		case "draining":
			i.DrainingSince = new(noon.Add(-10 * time.Second))
		case "drained":
			i.DrainingSince, i.Drained = new(noon.Add(-10*time.Second)), true
		case "force":
			i.Force = true
		case "stop":
			i.Desired = fleet.StatusStopped
		case "end":
			i.Desired = fleet.StatusTerminated
		case "restart":
			i.RestartRequested = &noon
		case "old":
			i.CreatedAt = noon.Add(-time.Hour)
		case "ahead":
			for k := range i.RecentExits {
				i.RecentExits[k] = i.RecentExits[k].Add(time.Hour)
			}
			if i.UnhealthySince != nil {
				i.UnhealthySince = new(i.UnhealthySince.Add(time.Hour))
			}
		case "slow":
			early := noon.Add(-healthyDeadline)
			i.StartedAt = &early
		case "exits":
			var n int
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Fatalf("instance %q: %v", text, err)
			}
			for k := range n {
				i.RecentExits = append(i.RecentExits, noon.Add(time.Duration(k-n+1)*time.Millisecond))
			}
		default:
			t.Fatalf("instance %q: unknown word %q", text, w)
		}
	}
	return i
}

func TestPlan(t *testing.T) {
	v1 := deployment("d1", "v1", 2, fleet.DeploymentCompleted)
	v1.Rollout.DrainTime = 30
	going := func(tag string, after int) fleet.Deployment {
		return deployment("d2", tag, after, fleet.DeploymentInProgress)
	}
	removal := going("v1", 0)
	removal.Removal, removal.Rollout.DrainTime = true, 30
	tests := []struct {
		name      string
		target    *fleet.Deployment
		instances []string
		want      string // steps, separated by commas
		recheck   time.Duration
	}{
		{name: "rollout waits for health and looks again at the deadline", target: new(going("v2", 2)),
			instances: []string{"d2/1 running healthy", "d2/2 running"},
			want:      "await_healthy d2/2", recheck: healthyDeadline - 30*time.Second},
		{name: "rollout whose new replica turns unhealthy", target: new(going("v2", 1)),
			instances: []string{"d1/1 running healthy", "d2/1 running unhealthy"},
			want:      "fail d2/1"},
		{name: "rollout whose new replica never becomes healthy", target: new(going("v2", 1)),
			instances: []string{"d1/1 running healthy", "d2/1 running slow"},
			want:      "fail d2/1"},
		{name: "rollout whose new replica is removed from outside", target: new(going("v2", 1)),
			instances: []string{"d1/1 running healthy", "d2/1 pending"},
			want:      "create d2/1, await_healthy d2/1", recheck: healthyDeadline - 40*time.Second},
		{name: "rollout repairs a kept replica that exits", target: new(going("v1", 2)),
			instances: []string{"d2/1 failed exits=1 old", "d2/2 running healthy"},
			want:      "start d2/1, await_healthy d2/1", recheck: healthyDeadline - 30*time.Second},
		{name: "rollout repairs an old replica that exits", target: new(going("v2", 1)),
			instances: []string{"d1/1 failed exits=1", "d2/1 running"},
			want:      "start d1/1, await_healthy d2/1", recheck: healthyDeadline - 30*time.Second},
		{name: "rollout takes a replica that a user terminates out of service first", target: new(going("v2", 1)),
			instances: []string{"d1/1 running healthy end", "d2/1 running"},
			want:      "drain d1/1, await_healthy d2/1", recheck: healthyDeadline - 30*time.Second},
		{name: "removal", target: &removal,
			instances: []string{"d1/1 running healthy", "d1/2 failed exits=1"},
			want:      "drain d1/1, remove d1/2"},
		{name: "removal waits for requests", target: &removal,
			instances: []string{"d1/1 running healthy draining", "d1/2 running healthy drained"},
			want:      "await_drain d1/1, remove d1/2", recheck: 20 * time.Second},
		{name: "removal done", target: &removal, want: "complete"},
		{name: "nothing is deployed", instances: []string{"d2/1 failed exits=1"}, want: "remove d2/1"},
		{name: "nothing to do", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running healthy"}},
		{name: "after a failed rollout its replicas go", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running healthy", "d2/1 failed exits=1"},
			want:      "remove d2/1"},
		{name: "after a failed scale up its kept replicas stay", target: &v1,
			instances: []string{"d2/1 running healthy", "d2/2 running healthy"}, // d2 is of the same containers here
			want:      "keep d2/1, keep d2/2"},
		{name: "engine lost half the replicas", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 pending"},
			want:      "create d1/2"},
		{name: "replica is missing altogether", target: &v1,
			instances: []string{"d1/2 running healthy"},
			want:      "add replica 1"},
		{name: "first exit is repaired at once", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 failed exits=1"},
			want:      "start d1/2"},
		{name: "third exit is repaired after a back-off", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 failed exits=3"},
			recheck:   172 * time.Millisecond},
		{name: "first exit is repaired at once although the clock was put back", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 failed exits=1 ahead"},
			want:      "start d1/2"},
		{name: "third exit is repaired at once if the clock was put back", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 failed exits=3 ahead"},
			want:      "start d1/2"},
		{name: "unhealthy replica is restarted at once although the clock was put back", target: &v1,
			instances: []string{"d1/1 running unhealthy ahead", "d1/2 running exits=2 unhealthy ahead"},
			want:      "restart d1/1, restart d1/2"},
		{name: "crash loop is left alone", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 failed exits=5"}},
		{name: "unhealthy replica is restarted at once", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running unhealthy"},
			want:      "restart d1/2"},
		{name: "unhealthy replica is restarted after a back-off the next time", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running exits=2 unhealthy"},
			recheck:   172*time.Millisecond - time.Microsecond},
		{name: "unhealthy replica that counts already", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running unhealthy struck"},
			want:      "restart d1/2"},
		{name: "unhealthy for the fifth time is a crash loop", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running exits=4 unhealthy"},
			want:      "stop d1/2"},
		{name: "unhealthy for the fifth time, which counts already", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running exits=4 unhealthy struck"},
			want:      "stop d1/2"},
		{name: "unhealthy replica that a user stops", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running unhealthy stop"},
			want:      "stop d1/2"},
		{name: "unhealthy replica that a user restarts", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running exits=4 unhealthy restart"},
			want:      "restart d1/2"},
		{name: "unhealthy replica that a user terminates", target: &v1,
			instances: []string{"d1/1 running healthy", "d1/2 running unhealthy end"},
			want:      "add replica 2, remove d1/2"},
		{name: "rollout restarts an unhealthy replica of the live deployment", target: new(going("v2", 1)),
			instances: []string{"d1/1 running unhealthy", "d2/1 running"},
			want:      "restart d1/1, await_healthy d2/1", recheck: healthyDeadline - 30*time.Second},
		{name: "rollout restarts an unhealthy replica that it keeps", target: new(going("v1", 2)),
			instances: []string{"d2/1 running unhealthy old", "d2/2 running healthy"},
			want:      "restart d2/1, await_healthy d2/1", recheck: healthyDeadline - 30*time.Second},
		{name: "rollout whose kept replica is in a crash loop of failed checks", target: new(going("v1", 2)),
			instances: []string{"d2/1 failed exits=5 old", "d2/2 running healthy"},
			want:      "fail d2/1"},
		{name: "rollout does not restart what leaves", target: new(going("v2", 1)),
			instances: []string{"d1/1 running unhealthy draining", "d2/1 running"},
			want:      "await_healthy d2/1, remove d1/1", recheck: healthyDeadline - 30*time.Second},
		{name: "user stops", target: &v1,
			instances: []string{"d1/1 running healthy stop", "d1/2 stopped stop"},
			want:      "drain d1/1"},
		{name: "user stops, requests go on", target: &v1,
			instances: []string{"d1/1 running healthy draining stop", "d1/2 running healthy"},
			want:      "await_drain d1/1", recheck: 20 * time.Second},
		{name: "user stops, requests have ended", target: &v1,
			instances: []string{"d1/1 running healthy drained stop", "d1/2 running healthy"},
			want:      "stop d1/1"},
		{name: "user stops by force", target: &v1,
			instances: []string{"d1/1 running healthy stop force", "d1/2 running healthy"},
			want:      "stop d1/1"},
		{name: "user has stopped", target: &v1,
			instances: []string{"d1/1 stopped drained stop", "d1/2 running healthy"},
			want:      "keep d1/1"},
		{name: "user thinks better of a stop", target: &v1,
			instances: []string{"d1/1 running healthy draining", "d1/2 running healthy"},
			want:      "keep d1/1"},
		{name: "user starts", target: &v1,
			instances: []string{"d1/1 stopped", "d1/2 running healthy"},
			want:      "start d1/1"},
		{name: "user restarts", target: &v1,
			instances: []string{"d1/1 running healthy restart", "d1/2 running healthy"},
			want:      "drain d1/1"},
		{name: "user restarts, requests have ended", target: &v1,
			instances: []string{"d1/1 running healthy drained restart", "d1/2 running healthy"},
			want:      "restart d1/1"},
		{name: "user terminates", target: &v1,
			instances: []string{"d1/1 running healthy end", "d1/2 running healthy"},
			want:      "add replica 1, drain d1/1"},
		{name: "user terminates, requests have ended", target: &v1,
			instances: []string{"d1/1 running healthy drained end", "d1/2 running healthy"},
			want:      "add replica 1, remove d1/1"},
		{name: "rollout does not wait for what a user stopped", target: new(going("v2", 1)),
			instances: []string{"d2/1 stopped stop"},
			want:      "complete"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fleet.WorkloadState{Target: tt.target, Live: &v1, Deployments: map[string]fleet.Deployment{"d1": v1, "d2": going("v2", 2)}}
			if tt.target != nil {
				if tt.target.ID == "d2" || strings.HasPrefix(tt.name, "after a failed scale") {
					s.Deployments["d2"] = going(tt.target.ImageTag, 2)
				}
				s.Deployments[tt.target.ID] = *tt.target
			}
			for _, text := range tt.instances {
				s.Instances = append(s.Instances, instance(t, text))
			}
			got := deploy.Plan(s, noon)
			var steps []string
			for _, step := range got.Steps {
				steps = append(steps, step.String())
			}
			if joined := strings.Join(steps, ", "); joined != tt.want {
				t.Errorf("steps:\n got %s\nwant %s", joined, tt.want)
			}
			var recheck time.Duration
			if !got.Recheck.IsZero() {
				recheck = got.Recheck.Sub(noon)
			}
			if recheck != tt.recheck {
				t.Errorf("recheck after %s, want %s", recheck, tt.recheck)
			}
			again := deploy.Plan(s, noon)
			if !slices.EqualFunc(got.Steps, again.Steps, func(a, b deploy.Step) bool { return a.String() == b.String() }) {
				t.Error("the same state gave other steps")
			}
		})
	}
}

// TestPlanAwaitsTheCheckAfterTheMinimum has a replica whose last check is old,
// because the next one hangs.
func TestPlanAwaitsTheCheckAfterTheMinimum(t *testing.T) {
	const least = 10
	for _, tt := range []struct {
		name    string
		checked bool
		last    time.Duration // from the first check that passed to the last
		want    string
	}{
		{"the check at the end of the minimum has passed", true, least * time.Second, "complete"},
		{"it has not been answered yet", true, least*time.Second - time.Microsecond, "await_healthy d1/1"},
		{"nothing is checked", false, 0, "complete"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := deployment("d1", "v1", 1, fleet.DeploymentInProgress)
			target.Rollout.MinHealthyTime = least
			if tt.checked {
				target.Spec.HealthCheck = &fleet.HealthCheck{}
			}
			i := instance(t, "d1/1 running healthy")
			since := noon.Add(-time.Minute)
			i.HealthySince, i.LastCheck = &since, new(since.Add(tt.last))
			steps := deploy.Plan(fleet.WorkloadState{Target: &target, Instances: []fleet.Instance{i},
				Deployments: map[string]fleet.Deployment{"d1": target}}, noon).Steps
			if got := steps[len(steps)-1].String(); len(steps) != 1 || got != tt.want {
				t.Errorf("%d steps, the last is %s; want only %s", len(steps), got, tt.want)
			}
		})
	}
}

// TestPlanOfARollbackToWhatIsLive: only a scaling that has failed is taken back without
// the image and without waiting; one that completed long ago is undone like any deployment.
func TestPlanOfARollbackToWhatIsLive(t *testing.T) {
	for status, want := range map[fleet.DeploymentStatus]string{
		fleet.DeploymentFailed: "add replica 2", fleet.DeploymentCompleted: "pull", fleet.DeploymentRolledBack: "pull",
	} {
		scaling, live := deployment("d1", "v1", 2, status), deployment("d2", "v1", 2, fleet.DeploymentCompleted)
		scaling.Type = fleet.TypeScale
		target := deployment("d3", "v1", 2, fleet.DeploymentInProgress)
		target.Type, target.RollbackOfID, target.RollbackTargetID, target.Before, target.State.PulledAt = fleet.TypeRollback, "d1", "d2", 2, nil
		steps := deploy.Plan(fleet.WorkloadState{Target: &target, Live: &live,
			Instances:   []fleet.Instance{instance(t, "d3/1 running healthy")},
			Deployments: map[string]fleet.Deployment{"d1": scaling, "d2": live, "d3": target}}, noon).Steps
		if len(steps) != 1 || steps[0].String() != want {
			t.Errorf("of a scaling that is %s it plans %v, want %s", status, steps, want)
		}
	}
}

// TestPauseBeyondTheProgressDeadline: what is added after a canary's pause has all the
// time until the progress deadline, and no more.
func TestPauseBeyondTheProgressDeadline(t *testing.T) {
	for name, healthy := range map[string]bool{"healthy": true, "never": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			d := w.deployment("v2", 2, fleet.StrategyCanary)
			d.Rollout.CanarySteps = []grammar.CanaryStep{{Weight: 10, Pause: 3600}}
			w.request(d)
			if !healthy {
				for k := range 700 {
					w.at(time.Hour+time.Duration(k)*time.Second, "", func(w *world) {
						if w.has("d2/2") && w.instance("d2/2").StartedAt != nil {
							w.instance("d2/2").StartedAt = new(w.now)
						}
					})
				}
			}
			trace := w.play()
			if live := w.state.Live.ImageTag; (live == "v2") != healthy {
				t.Errorf("%s is live:\n%s", live, trace)
			}
			if took := w.now.Sub(noon); !healthy && (took < time.Hour+600*time.Second || took > time.Hour+660*time.Second) {
				t.Errorf("it has failed after %s, want an hour and 600 s:\n%s", took, trace)
			}
		})
	}
}

func TestNextStart(t *testing.T) {
	at := func(seconds ...int) (exits []time.Time) {
		for _, s := range seconds {
			exits = append(exits, noon.Add(time.Duration(s)*time.Second))
		}
		return exits
	}
	tests := []struct {
		name  string
		exits []time.Time
		now   time.Duration // from the last exit
		after time.Duration // from the last exit
		ok    bool
	}{
		{"no exit", nil, 0, 0, true},
		{"first is at once", at(0), 0, 0, true},
		{"second waits", at(0, 5), 0, 100 * time.Millisecond, true},
		{"third waits longer", at(0, 5, 10), 0, 200 * time.Millisecond, true},
		{"fourth waits even longer", at(0, 5, 10, 15), 0, 400 * time.Millisecond, true},
		{"fifth is a loop", at(0, 5, 10, 15, 20), 0, 0, false},
		{"a long good run starts afresh", at(0, 5, 10, 15, 1000), 0, 0, true},
		{"only the window counts", at(0, 300, 599, 601), 0, 200 * time.Millisecond, true},
		{"first, and the clock was put back", at(0), -time.Hour, -time.Hour, true},
		{"third, and the clock was put back", at(0, 5, 10), -time.Hour, -time.Hour, true},
		{"fifth is a loop whatever the clock says", at(0, 5, 10, 15, 20), -time.Hour, 0, false},
		{"ends of before the clock was put back far do not count", at(3600, 3605, 3610, 3615, 0), 0, 0, true},
		{"ends of before the clock was put back a little do", at(60, 65, 70, 0), 0, 400 * time.Millisecond, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			delays, now := make(map[time.Duration]bool), noon
			if n := len(tt.exits); n > 0 {
				now = tt.exits[n-1].Add(tt.now)
			}
			for n := range 100 {
				id := fmt.Sprintf("instance-%d", n)
				got, ok := deploy.NextStart(id, tt.exits, now)
				if ok != tt.ok {
					t.Fatalf("may start: %v, want %v", ok, tt.ok)
				}
				if !ok || len(tt.exits) == 0 {
					return
				}
				delay := got.Sub(tt.exits[len(tt.exits)-1])
				if (delay - tt.after).Abs() > tt.after.Abs()/5 {
					t.Errorf("starts %s after the last exit, want %s and at most a fifth more or less", delay, tt.after)
				}
				if again, _ := deploy.NextStart(id, tt.exits, now); again != got {
					t.Errorf("starts at %s, then at %s, from the same facts", got, again)
				}
				delays[delay] = true
			}
			if tt.after > 0 && len(delays) < 25 {
				t.Errorf("100 instances have %d delays between them", len(delays))
			}
		})
	}
}
