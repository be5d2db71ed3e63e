package deploy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// scale begins a scaling of what is wanted, as the autoscaler does.
func (w *world) scale(replicas int) {
	d := w.state.Target.Scaled(replicas, "")
	d.ID = fmt.Sprintf("d%d", len(w.state.Deployments)+1)
	w.request(d)
}

// at has something happen.
func (w *world) at(after time.Duration, what string, do func(*world)) {
	w.events = append(w.events, occurrence{after, what, do})
}

// ail makes an instance that runs unhealthy.
func (w *world) ail(name string) {
	i := w.instance(name)
	i.Health, i.HealthySince, i.UnhealthySince = fleet.HealthUnhealthy, nil, new(w.now)
}

// giveUp makes an instance exit for the last time.
func (w *world) giveUp(name string) {
	i := w.instance(name)
	w.exit(i)
	i.RecentExits = []time.Time{w.now, w.now, w.now, w.now, w.now}
}

// silence keeps an instance from ever having a verdict, for 700 s.
func (w *world) silence(name string) {
	for k := range 700 {
		w.at(time.Duration(k)*time.Second, "", func(w *world) {
			if w.has(name) && w.instance(name).StartedAt != nil && w.instance(name).Health == fleet.HealthUnknown {
				w.instance(name).StartedAt = new(w.now)
			}
		})
	}
}

// replicas lists what runs, by number.
func (w *world) replicas() string {
	var names []string
	for _, i := range w.state.Instances {
		names = append(names, fmt.Sprintf("%d=%s", i.Replica, i.Name))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// scalings are stories of a scaling of four replicas of v1 that fails, or nearly does.
var scalings = []struct {
	name  string
	begin func(w *world)
	then  func(w *world) // once all is done
	live  int            // replicas at the end
	by    time.Duration  // at the latest; zero for any time
	least int            // that serve all the while
	notes string         // of what is live at the end
	want  string         // what runs then: number=name
}{
	{name: "one new replica exits before any has proved itself", begin: func(w *world) {
		w.scale(7)
		w.at(5*time.Second, "replica 6 exits", func(w *world) { w.exit(w.instance("d2/6")) })
	}, live: 4, want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4"},
	{name: "one new replica turns unhealthy, the others have proved themselves", begin: func(w *world) {
		w.scale(8)
		w.at(9*time.Second, "replica 6 fails a check", func(w *world) { w.instance("d2/6").HealthySince = new(w.now) })
		w.at(13*time.Second, "replica 6 turns unhealthy", func(w *world) { w.ail("d2/6") })
	}, live: 7, notes: "7 of 8 replicas remain: 4 from before, and 3 new, healthy for long enough to count",
		want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/5 6=d2/7 7=d2/8"},
	{name: "and one of the others has failed a check just now", begin: func(w *world) {
		w.scale(6)
		w.at(9*time.Second, "replica 6 fails a check", func(w *world) { w.instance("d2/6").HealthySince = new(w.now) })
		w.at(13*time.Second, "replica 5 fails a check, replica 6 exits", func(w *world) {
			w.instance("d2/5").SettledAt, w.instance("d2/5").HealthySince = new(w.now), new(w.now)
			w.exit(w.instance("d2/6"))
		})
	}, live: 5, notes: "5 of 6 replicas remain: 4 from before, and 1 new, healthy for long enough to count",
		want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/5"},
	{name: "then it is scaled again", begin: func(w *world) {
		w.scale(6)
		w.at(9*time.Second, "replica 5 fails a check", func(w *world) { w.instance("d2/5").HealthySince = new(w.now) })
		w.at(13*time.Second, "replica 5 exits", func(w *world) { w.exit(w.instance("d2/5")) })
	}, then: func(w *world) { w.scale(6) }, live: 6, want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/6 6=d4/6"},
	{name: "raise upon raise, and the last fails", begin: func(w *world) {
		w.scale(6)
		w.at(5*time.Second, "", func(w *world) { w.scale(9) })
		w.at(10*time.Second, "", func(w *world) { w.scale(12) })
		w.at(18*time.Second, "replica 10 exits", func(w *world) { w.exit(w.instance("d4/10")) })
	}, live: 9, notes: "9 of 12 replicas remain: 4 from before, and 5 new, healthy for long enough to count",
		want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/5 6=d2/6 7=d3/7 8=d3/8 9=d3/9"},
	{name: "the daemon is away while it fails", begin: func(w *world) {
		w.scale(8)
		w.at(9*time.Second, "replica 6 fails a check", func(w *world) { w.instance("d2/6").HealthySince = new(w.now) })
		w.at(13*time.Second, "replica 6 exits; replicas 1 and 7 do before the rollback has begun its work", func(w *world) {
			w.exit(w.instance("d2/6"))
			w.fail()
			w.now = w.now.Add(time.Hour)
			w.exit(w.instance("d2/7"))
			w.exit(w.instance("d1/1"))
		})
	}, live: 7, notes: "7 of 8 replicas remain: 4 from before, and 3 new, healthy for long enough to count",
		want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/5 6=d2/8 7=d3/7"},
	{name: "the daemon ends while the numbers are given", begin: func(w *world) {
		w.scale(8)
		w.at(9*time.Second, "replica 5 fails a check", func(w *world) { w.instance("d2/5").HealthySince = new(w.now) })
		w.at(13*time.Second, "replica 5 exits; of the others only 6 has another number when the daemon ends", func(w *world) {
			w.exit(w.instance("d2/5"))
			w.fail()
			i := w.instance("d2/6")
			i.DeploymentID, i.Replica = "d3", 5
		})
	}, live: 7, notes: "7 of 8 replicas remain: 4 from before, and 3 new, healthy for long enough to count",
		want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/6 6=d2/7 7=d2/8"},
	{name: "it fails while an old replica is not well", begin: func(w *world) {
		w.scale(6)
		w.silence("d1/1")
		w.at(5*time.Second, "replica 1 turns unhealthy, replica 6 exits", func(w *world) {
			w.ail("d1/1")
			w.exit(w.instance("d2/6"))
		})
	}, live: 4, by: 35 * time.Second, want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4"},
	{name: "an old replica turns unhealthy", begin: func(w *world) {
		w.scale(6)
		w.silence("d1/2")
		w.at(5*time.Second, "replica 2 turns unhealthy", func(w *world) { w.ail("d1/2") })
	}, live: 6, by: 12 * time.Second, want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/5 6=d2/6"},
	{name: "an old replica is given up", begin: func(w *world) {
		w.scale(6)
		w.at(5*time.Second, "replica 2 exits once more", func(w *world) { w.giveUp("d1/2") })
	}, live: 6, by: 12 * time.Second, want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/5 6=d2/6"},
	{name: "an old replica was given up, and what comes in its place never says a word", begin: func(w *world) {
		w.giveUp("d1/2")
		w.scale(6)
		w.silence("d2/2")
	}, live: 6, by: 12 * time.Second, want: "1=d1/1 2=d2/2 3=d1/3 4=d1/4 5=d2/5 6=d2/6"},
	{name: "down, and an old replica that would stay is not well", begin: func(w *world) {
		w.at(0, "replica 1 turns unhealthy", func(w *world) { w.ail("d1/1") })
		w.silence("d1/1")
		w.scale(2)
	}, live: 2, least: 2, by: 31 * time.Second, want: "1=d1/3 2=d1/2"},
	{name: "down, and those that would stay were given up", begin: func(w *world) {
		w.giveUp("d1/1")
		w.giveUp("d1/2")
		w.scale(2)
	}, live: 2, least: 2, by: time.Second, want: "1=d1/3 2=d1/4"},
	{name: "down, and those that would stay are given up on the way", begin: func(w *world) {
		w.at(time.Second, "replicas 1 and 2 exit once more", func(w *world) {
			w.giveUp("d1/1")
			w.giveUp("d1/2")
		})
		w.scale(2)
	}, live: 2, least: 2, by: 31 * time.Second, want: "1=d1/3 2=d1/4"},
	{name: "down, and an old replica is well again once another has its place", begin: func(w *world) {
		w.at(0, "replica 1 turns unhealthy", func(w *world) { w.ail("d1/1") })
		w.at(0, "the daemon ends when the place is given and replica 1 out of service, which is well then", func(w *world) {
			taker, former := w.instance("d1/3"), w.instance("d1/1")
			taker.DeploymentID, taker.Replica = "d2", 1
			former.DeploymentID, former.DrainingSince = "d2", new(w.now)
			former.Health, former.HealthySince, former.UnhealthySince = fleet.HealthHealthy, new(w.now), nil
		})
		w.scale(2)
	}, live: 2, least: 2, want: "1=d1/3 2=d1/2"},
	{name: "down, and it is taken back when a place has been given", begin: func(w *world) {
		w.giveUp("d1/1")
		w.at(5*time.Second, "a user takes it back", func(w *world) { w.fail() })
		w.scale(2)
	}, live: 4, least: 2, want: "1=d1/3 2=d1/2 3=d3/3 4=d1/4"},
	{name: "down, and only one that would be too many serves", begin: func(w *world) {
		w.giveUp("d1/1")
		w.ail("d1/2")
		w.giveUp("d1/3")
		w.scale(2)
	}, live: 2, least: 1, want: "1=d1/4 2=d1/2"},
	{name: "down, and none serves", begin: func(w *world) {
		for n := range 4 {
			w.ail(fmt.Sprintf("d1/%d", n+1))
		}
		w.scale(2)
	}, live: 2, want: "1=d1/1 2=d1/2"},
	{name: "down, and all were given up, and what comes in their place is again", begin: func(w *world) {
		for n := range 4 {
			w.giveUp(fmt.Sprintf("d1/%d", n+1))
		}
		w.scale(2)
		w.at(time.Second, "replicas 1 and 2 exit once more", func(w *world) {
			w.giveUp("d2/1")
			w.giveUp("d2/2")
		})
	}, live: 2, by: time.Second, want: "1=d2/1 2=d2/2"},
	{name: "down, and a user has stopped a replica that stays", begin: func(w *world) {
		i := w.instance("d1/1")
		i.Desired, i.Current, i.Health, i.HealthySince = fleet.StatusStopped, fleet.StatusStopped, fleet.HealthUnknown, nil
		w.scale(2)
	}, live: 2, least: 1, want: "1=d1/1 2=d1/2"},
	{name: "down, and what is too many does not serve", begin: func(w *world) {
		w.exit(w.instance("d1/4"))
		w.at(0, "replica 1 turns unhealthy", func(w *world) { w.ail("d1/1") })
		w.scale(3)
	}, live: 3, want: "1=d1/1 2=d1/2 3=d1/3"},
	{name: "an old replica fails a check now and then", begin: func(w *world) {
		w.scale(6)
		for k := range 100 {
			w.at(time.Duration(9*k)*time.Second, "", func(w *world) { w.instance("d1/2").HealthySince = new(w.now) })
		}
	}, live: 6, want: "1=d1/1 2=d1/2 3=d1/3 4=d1/4 5=d2/5 6=d2/6"},
	{name: "down, while an old replica fails a check now and then", begin: func(w *world) {
		w.scale(2)
		for k := range 100 {
			w.at(time.Duration(9*k)*time.Second, "", func(w *world) { w.instance("d1/2").HealthySince = new(w.now) })
		}
	}, live: 2, want: "1=d1/1 2=d1/2"},
}

func TestScalings(t *testing.T) {
	for _, tt := range scalings {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 4)
			tt.begin(w)
			trace := w.play()
			if tt.then != nil {
				tt.then(w)
				trace = w.play()
			}
			live := w.state.Live
			if w.least < tt.least {
				t.Errorf("%d served, want %d at least:\n%s", w.least, tt.least, trace)
			}
			if took := live.CompletedAt.Sub(noon); tt.by > 0 && took > tt.by {
				t.Errorf("completed after %s, want %s at most:\n%s", took, tt.by, trace)
			}
			if live.After != tt.live || w.state.Target.ID != live.ID || w.replicas() != tt.want || live.Notes != tt.notes {
				t.Errorf("live are %d of %s, %q: %s\nwant %d, %q: %s\n%s", live.After, live.ID, live.Notes, w.replicas(), tt.live, tt.notes, tt.want, trace)
			}
		})
	}
}

// TestRandomScalings raises the number of replicas once or several times while
// replicas fail at random. Whatever fails, what has proved itself and goes on being
// well is still there at the end, under numbers without a gap.
func TestRandomScalings(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(t, 1+r.IntN(5))
		hurt, proved := make(map[string]bool), make(map[string]bool)
		w.failing = func() {
			for _, i := range w.state.Instances {
				if i.Health == fleet.HealthHealthy && w.now.Sub(*i.HealthySince) >= 10*time.Second {
					proved[i.Name] = true
				}
			}
		}
		for range 1 + r.IntN(4) {
			kind, pick := r.IntN(3), r.IntN(100)
			w.at(time.Duration(r.IntN(30_000))*time.Millisecond, "a mishap", func(w *world) {
				i := &w.state.Instances[pick%len(w.state.Instances)]
				switch {
				case i.Current != fleet.StatusRunning:
				case kind == 0:
					w.exit(i)
				case kind == 1:
					w.ail(i.Name)
				case i.HealthySince != nil:
					i.HealthySince = new(w.now)
				}
				hurt[i.Name] = true
			})
		}
		for range r.IntN(3) {
			more := 1 + r.IntN(3)
			w.at(time.Duration(r.IntN(20_000))*time.Millisecond, "", func(w *world) {
				if d := w.state.Target; d.Type == fleet.TypeScale && d.Status == fleet.DeploymentInProgress {
					w.scale(d.After + more)
				}
			})
		}
		first := w.state.Live.After
		w.scale(first + 1 + r.IntN(5))
		trace := w.play()
		w.checkEnd(seed, trace)
		for name := range proved {
			if !hurt[name] && !w.has(name) {
				t.Fatalf("seed %d: %s had proved itself and is gone; there are %s:\n%s", seed, name, w.replicas(), trace)
			}
		}
		numbers := make(map[int]bool)
		for _, i := range w.state.Instances {
			numbers[i.Replica] = true
		}
		if live := w.state.Live; live.After < first || len(numbers) != live.After || !numbers[live.After] {
			t.Fatalf("seed %d: %d replicas are live, of %d at first: %s\n%s", seed, live.After, first, w.replicas(), trace)
		}
	}
}

// TestRandomScalingsDown lowers the number of replicas while some are not well, or
// become so on the way: as many as are wanted serve all the while, if there are as many.
func TestRandomScalingsDown(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 3))
		before := 2 + r.IntN(5)
		w := newWorld(t, before)
		hurt := make(map[string]bool)
		for range r.IntN(4) {
			kind, name := r.IntN(3), fmt.Sprintf("d1/%d", 1+r.IntN(before))
			w.at(time.Duration(max(0, r.IntN(40_000)-10_000))*time.Millisecond, "a mishap", func(w *world) {
				switch {
				case !w.has(name) || w.instance(name).Current != fleet.StatusRunning:
				case kind == 0:
					w.giveUp(name)
				case kind == 1:
					w.exit(w.instance(name))
				default:
					w.ail(name)
				}
				hurt[name] = true
			})
		}
		w.happen()
		after := 1 + r.IntN(before-1)
		w.scale(after)
		trace := w.play()
		w.checkEnd(seed, trace)
		if least := min(after, before-len(hurt)); w.state.Live.After != after || w.least < least {
			t.Fatalf("seed %d: %d are live, and %d served, want %d and %d at least:\n%s", seed, w.state.Live.After, w.least, after, least, trace)
		}
	}
}
