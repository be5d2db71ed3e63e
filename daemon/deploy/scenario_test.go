package deploy_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

var update = flag.Bool("update", false, "write the golden files of the scenarios anew")

var strategies = []fleet.Strategy{fleet.StrategyRollingUpdate, fleet.StrategyBlueGreen, fleet.StrategyCanary}

// scenarios are stories that each strategy has to tell. What is planned in them,
// from the request to the end, stands in testdata/STRATEGY/NAME.txt.
var scenarios = []struct {
	name  string
	begin func(t *testing.T, s fleet.Strategy) *world
}{
	{"first deploy", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 0)
		w.request(w.deployment("v1", 3, s))
		return w
	}},
	{"first deploy that crashes", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 0)
		w.broken["v1"] = time.Second
		w.request(w.deployment("v1", 2, s))
		return w
	}},
	{"update", updating},
	{"update that stops first", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 2)
		d := w.deployment("v2", 2, s)
		d.Rollout.StartFirst, d.Rollout.MaxSurge, d.Rollout.MaxUnavailable = false, "0", "1"
		w.request(d)
		return w
	}},
	{"update with manual promotion", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 2)
		d := w.deployment("v2", 2, s)
		d.Rollout.AutoPromote = false
		w.request(d)
		w.events = append(w.events, occurrence{5 * time.Minute, "a user promotes", func(w *world) {
			w.change(func(d *fleet.Deployment) { d.State.PromotedAt = new(w.now) })
		}})
		return w
	}},
	{"update that is paused", func(t *testing.T, s fleet.Strategy) *world {
		w := updating(t, s)
		w.events = append(w.events,
			occurrence{5 * time.Second, "a user pauses", func(w *world) {
				w.change(func(d *fleet.Deployment) { d.State.PausedAt = new(w.now) })
			}},
			occurrence{time.Hour, "a user resumes", func(w *world) {
				w.change(func(d *fleet.Deployment) { d.State.PausedAt, d.State.ProgressAt = nil, new(w.now) })
			}})
		return w
	}},
	{"scale up", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 2)
		w.request(w.deployment("v1", 4, s))
		return w
	}},
	{"scale down", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 4)
		w.request(w.deployment("v1", 2, s))
		return w
	}},
	{"update and scale down", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 4)
		w.request(w.deployment("v2", 2, s))
		return w
	}},
	{"rollback because a replica exits", func(t *testing.T, s fleet.Strategy) *world {
		w := updating(t, s)
		w.broken["v2"] = 3 * time.Second
		return w
	}},
	{"rollback late", func(t *testing.T, s fleet.Strategy) *world {
		w := updating(t, s)
		late := map[fleet.Strategy]time.Duration{
			fleet.StrategyRollingUpdate: 20 * time.Second, // one replaced, another just started
			fleet.StrategyBlueGreen:     20 * time.Second, // cut over, the old set is warm
			fleet.StrategyCanary:        3 * time.Minute,  // cut over, the old set is warm
		}[s]
		w.events = append(w.events, occurrence{late, "replica 1 of v2 exits", func(w *world) { w.exit(w.instance("d2/1")) }})
		return w
	}},
	{"rollback that fails", func(t *testing.T, s fleet.Strategy) *world {
		w := updating(t, s)
		w.broken["v2"] = 3 * time.Second
		w.events = append(w.events, occurrence{2900 * time.Millisecond, "replica 1 of v1 is lost, and v1 is broken now", func(w *world) {
			w.broken["v1"] = time.Second
			w.lose("d1/1")
		}})
		return w
	}},
	{"superseded", func(t *testing.T, s fleet.Strategy) *world {
		w := updating(t, s)
		w.events = append(w.events, occurrence{15 * time.Second, "", func(w *world) {
			w.request(w.deployment("v3", 3, s))
		}})
		return w
	}},
	{"superseded by the live version", func(t *testing.T, s fleet.Strategy) *world {
		w := updating(t, s)
		w.events = append(w.events, occurrence{15 * time.Second, "", func(w *world) {
			w.request(w.deployment("v1", 3, s))
		}})
		return w
	}},
	{"nothing to do", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 2)
		w.request(w.deployment("v1", 2, s))
		return w
	}},
	{"engine lost half the replicas", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 4)
		w.request(w.deployment("v2", 4, s))
		w.events = append(w.events, occurrence{5 * time.Second, "the engine has lost two replicas of v1 and one of v2", func(w *world) {
			for _, name := range []string{"d1/2", "d1/4", "d2/1"} {
				w.lose(name)
			}
		}})
		return w
	}},
	{"old replica turns unhealthy again and again", func(t *testing.T, s fleet.Strategy) *world {
		w := updating(t, s)
		for n, at := range []time.Duration{time.Second, 4 * time.Second, 7 * time.Second} {
			w.events = append(w.events, occurrence{at, fmt.Sprintf("replica 3 of v1 turns unhealthy, time %d", n+1), func(w *world) {
				i := w.instance("d1/3")
				i.Health, i.HealthySince, i.UnhealthySince = fleet.HealthUnhealthy, nil, new(w.now)
			}})
		}
		return w
	}},
	{"engine restarts", func(t *testing.T, s fleet.Strategy) *world {
		w := updating(t, s)
		w.events = append(w.events, occurrence{5 * time.Second, "the engine is restarted", func(w *world) {
			for k := range w.state.Instances {
				i := &w.state.Instances[k]
				i.Current, i.Health, i.HealthySince = fleet.StatusStopped, fleet.HealthUnknown, nil
			}
		}})
		return w
	}},
	{"removal", func(t *testing.T, s fleet.Strategy) *world {
		w := newWorld(t, 2)
		d := w.deployment("v1", 0, s)
		d.Removal = true
		w.request(d)
		return w
	}},
}

// updating is three replicas of v1 on their way to v2.
func updating(t *testing.T, s fleet.Strategy) *world {
	t.Helper()
	w := newWorld(t, 3)
	w.request(w.deployment("v2", 3, s))
	return w
}

// lose takes a container away, as an engine does whose data were lost.
func (w *world) lose(name string) {
	i := w.instance(name)
	i.ContainerID, i.Current, i.Health, i.HealthySince = "", fleet.StatusPending, fleet.HealthUnknown, nil
}

func TestScenarios(t *testing.T) {
	for _, s := range strategies {
		for _, sc := range scenarios {
			t.Run(string(s)+"/"+sc.name, func(t *testing.T) {
				got := sc.begin(t, s).play()
				path := filepath.Join("testdata", string(s), sc.name+".txt")
				if *update {
					writeGolden(t, path, got)
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("the plan has changed; if that is right, run go test ./daemon/deploy -update and read the difference. Now:\n%s", got)
				}
			})
		}
	}
}

func writeGolden(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRandomRollouts plays rollouts with settings and mishaps chosen at random.
// Each ends, with the replicas of one version and no other; and while nothing
// goes wrong, no fewer serve than the settings allow.
func TestRandomRollouts(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		before, after := r.IntN(6), 1+r.IntN(6)
		w := newWorld(t, before)
		d := w.deployment("v2", after, strategies[r.IntN(3)])
		d.Rollout.MaxSurge, d.Rollout.MaxUnavailable = fmt.Sprintf("%d%%", 1+r.IntN(100)), fmt.Sprintf("%d%%", r.IntN(100))
		if d.Rollout.StartFirst = r.IntN(4) > 0; !d.Rollout.StartFirst {
			d.Rollout.MaxSurge, d.Rollout.MaxUnavailable = "0", fmt.Sprint(1+r.IntN(after))
		}
		d.Rollout.KeepWarmTime, d.Rollout.DrainTime, d.Rollout.MinHealthyTime = r.IntN(60), r.IntN(60), r.IntN(20)
		mishaps := r.IntN(4)
		if r.IntN(3) == 0 {
			w.broken["v2"] = time.Duration(r.IntN(5000)) * time.Millisecond
		}
		for range mishaps {
			w.events = append(w.events, w.mishap(r))
		}
		w.request(d)
		least := min(before, after-d.Rollout.Unavailable(after))
		trace := w.play()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		w.checkEnd(seed, trace)
		if rolling := d.Strategy == fleet.StrategyRollingUpdate; mishaps == 0 && w.broken["v2"] == 0 && w.least < least && (rolling || before <= after) {
			t.Fatalf("seed %d: %d served, want %d at least:\n%s", seed, w.least, least, trace)
		}
	}
}

// mishap is something that goes wrong within the first two minutes.
func (w *world) mishap(r *rand.Rand) occurrence {
	kind, pick := r.IntN(3), r.IntN(100)
	return occurrence{time.Duration(r.IntN(120_000)) * time.Millisecond, "a mishap", func(w *world) {
		if len(w.state.Instances) == 0 {
			return
		}
		i := &w.state.Instances[pick%len(w.state.Instances)]
		switch {
		case kind == 0 && i.StartedAt != nil && i.Current == fleet.StatusRunning:
			w.exit(i)
		case kind == 1:
			w.lose(i.Name)
		case kind == 2 && w.state.Target != nil && w.state.Target.Status == fleet.DeploymentInProgress:
			w.request(w.deployment("v3", 1+pick%4, strategies[pick%3]))
		}
	}}
}

// checkEnd checks that exactly what is live runs.
func (w *world) checkEnd(seed uint64, trace string) {
	w.t.Helper()
	live := w.state.Live
	if live == nil {
		if len(w.state.Instances) != 0 {
			w.t.Fatalf("seed %d: nothing is live, but %s:\n%s", seed, w.describe(), trace)
		}
		return
	}
	if len(w.state.Instances) != live.After || w.state.Target.ID != live.ID {
		w.t.Fatalf("seed %d: %s, want %d of %s:\n%s", seed, w.describe(), live.After, live.ImageTag, trace)
	}
	for _, i := range w.state.Instances {
		if i.ImageTag != live.ImageTag || i.DrainingSince != nil || i.DeploymentID != live.ID {
			w.t.Fatalf("seed %d: %s is not of %s:\n%s", seed, i.Name, live.ID, trace)
		}
	}
}
