package daemon_test

import (
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var (
	chaosScope = flag.String("chaos", "", `which runs TestChaos makes: "full" for every boundary, or a single one as its log has it, such as "canary, update, killed at boundary 12"; empty is a sample`)
	chaosSeed  = flag.Uint64("chaos-seed", 266, "chooses the sample of TestChaos")
)

const (
	// chaosTable, in the environment, names a file that the table is written to as well.
	chaosTable = "WEDSYNC_CHAOS_TABLE"
	// sampleLanes is how many daemons are killed side by side for a sample, each with
	// its own engine and database. All other runs are one after the other: they are timed.
	sampleLanes = 2
	// sampled is how many runs a sample has.
	sampled = 60
)

// TestChaos ends wedsyncd at the boundaries between its calls to the database and
// the engine, in every scenario and strategy, over engines of its own that are
// restarted on the way, as is Postgres. Each time, once it is back, everything must
// be as if nothing had happened: see expectation for what is looked at.
//
// "make chaos" does that at every boundary that an undisturbed run passes. Here
// it takes a sample, the same each time.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := newCampaign(t)
	t.Run("lanes", func(t *testing.T) {
		for n := range c.lanes() {
			t.Run(strconv.Itoa(n+1), func(t *testing.T) {
				t.Parallel()
				newLane(t, c).work()
			})
		}
	})
	c.report(t)
}

// combination is a scenario in a strategy.
type combination struct {
	strategy string
	scenario *scenario
}

// job is one run: of a scenario in a strategy, with a fault at a boundary.
type job struct {
	combination

	// boundary is where the fault comes, from 1; zero lets the run go undisturbed.
	boundary int
	fault    *fault
}

func (j job) String() string {
	if j.boundary == 0 {
		return fmt.Sprintf("%s, %s, undisturbed", j.strategy, j.scenario.name)
	}
	return fmt.Sprintf("%s, %s, %s at boundary %d", j.strategy, j.scenario.name, j.fault.name, j.boundary)
}

// campaign hands out jobs to the lanes and gathers what came of them.
type campaign struct {
	full bool

	mu         sync.Mutex
	jobs       []job
	boundaries map[combination]int // that an undisturbed run passes
	outcomes   []outcome
}

func newCampaign(t *testing.T) *campaign {
	t.Helper()
	c := &campaign{full: *chaosScope == "full", boundaries: make(map[combination]int)}
	switch *chaosScope {
	case "full":
	case "":
		t.Logf("the sample is chosen by the seed %d", *chaosSeed)
	default:
		c.jobs = []job{runOf(t, *chaosScope)}
		return c
	}
	if !c.full {
		c.sample(t)
		return c
	}
	for of := range combinations() {
		c.jobs = append(c.jobs, job{combination: of}) // tells which boundaries there are
	}
	return c
}

// single reports whether one run was asked for, of which all is to be shown.
func (c *campaign) single() bool { return *chaosScope != "" && !c.full }

// least is how many runs must come to their boundary: else the daemon has none.
func (c *campaign) least() int {
	switch {
	case c.full:
		return 500
	case c.single():
		return 1
	default:
		return sampled
	}
}

func (c *campaign) lanes() int {
	if *chaosScope == "" {
		return sampleLanes
	}
	return 1
}

// combinations are all of them.
func combinations() iter.Seq[combination] {
	return func(yield func(combination) bool) {
		for _, strategy := range []string{api.StrategyRollingUpdate, api.StrategyBlueGreen, api.StrategyCanary} {
			for k := range scenarios {
				if !yield(combination{strategy, &scenarios[k]}) {
					return
				}
			}
		}
	}
}

// runOf is the run that a text names.
func runOf(t *testing.T, text string) job {
	t.Helper()
	_, number, _ := strings.Cut(text, " at boundary ")
	boundary, _ := strconv.Atoi(number)
	for of := range combinations() {
		for k := range faults {
			if j := (job{of, boundary, &faults[k]}); j.String() == text {
				return j
			}
		}
	}
	t.Fatalf("-chaos: %q names no run; write \"full\", or for example %q", text,
		job{combination{api.StrategyCanary, &scenarios[0]}, 1, &faults[0]})
	return job{}
}

// onceBroken are runs that have found faults which others have not: the Engine
// dies while it starts a container.
var onceBroken = []string{
	"canary, superseded, Engine crashed at boundary 37",
	"blue_green, superseded, Engine crashed at boundary 45",
}

// sample plans runs at boundaries chosen at random, over all combinations. Most
// kill the daemon; each fifth has one of the other faults.
func (c *campaign) sample(t *testing.T) {
	t.Helper()
	rng := rand.New(rand.NewPCG(*chaosSeed, 0))
	all := slices.Collect(combinations())
	for n := range sampled - len(onceBroken) {
		of := all[n%len(all)]
		j := job{combination: of, boundary: 1 + rng.IntN(of.scenario.boundaries), fault: &faults[0]}
		if n%5 == 4 {
			j.fault = &faults[1+n/5%(len(faults)-1)]
		}
		c.jobs = append(c.jobs, j)
	}
	for _, text := range onceBroken {
		c.jobs = append(c.jobs, runOf(t, text))
	}
}

// next takes a job that begins where a lane is at present, or else the first one.
func (c *campaign) next(at world) (job, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.jobs) == 0 {
		return job{}, false
	}
	k := max(0, slices.IndexFunc(c.jobs, func(j job) bool { return j.scenario.from == at }))
	j := c.jobs[k]
	c.jobs = slices.Delete(c.jobs, k, k+1)
	return j, true
}

// done takes what came of a run. One that has passed its boundaries undisturbed
// tells at which there is something to disturb.
func (c *campaign) done(o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.reached || len(o.broken) > 0 {
		c.outcomes = append(c.outcomes, o)
	}
	if o.reached || len(o.passed) == 0 {
		return
	}
	j := o.job
	switch {
	case !c.full:
		j.boundary = 1 + (j.boundary-1)%len(o.passed)
		c.jobs = append(c.jobs, j)
	case j.boundary == 0:
		c.jobs = append(c.jobs, everyBoundary(j.combination, o.passed)...)
	default:
		return // a few boundaries depend on how fast things go
	}
	c.boundaries[j.combination] = len(o.passed)
}

// everyBoundary is the runs of a full campaign for a combination: the daemon is
// killed at each boundary, in a share of them with Postgres or the engine, and at
// some it is held instead, while one of those is restarted. Right after one change
// and right before the next, with none under way, nothing is different: that is
// one boundary.
func everyBoundary(of combination, names []string) []job {
	var jobs []job
	n, underWay := 0, 0
	for k, name := range names {
		if strings.HasPrefix(name, "after:") {
			underWay--
		} else if underWay++; underWay == 1 && k > 0 {
			continue
		}
		f := 0
		switch n++; n % 8 {
		case 3:
			f = 1
		case 7:
			f = 2 + n/8%2
		case 5:
			jobs = append(jobs, job{of, k + 1, &faults[4+n/8%4]})
		}
		jobs = append(jobs, job{of, k + 1, &faults[f]})
	}
	return jobs
}
