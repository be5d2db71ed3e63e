package daemon_test

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

var leaderRuns = flag.Int("leader-runs", 0, "how often TestKilledLeader and TestStaleLeader end or stop a leader, and demand that another leads in time; 0 is a sample that demands no times")

const (
	// takeover is how long a deployment may be without a leader.
	takeover = 3 * time.Second
	// pauseTime is for how long a leader is stopped.
	pauseTime = 20 * time.Second
	// staleReplicas is how many replicas a rollout replaces meanwhile.
	staleReplicas = 4
	// maxJitter spreads the moments at which a leader is stopped over those between two changes.
	maxJitter = 100 * time.Millisecond
)

// recordWrites has every row that is written, if the transaction is committed,
// note who wrote it.
const recordWrites = `
CREATE TABLE test_writes (application text NOT NULL, relation text NOT NULL, operation text NOT NULL, at timestamptz NOT NULL);
CREATE FUNCTION test_record_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO test_writes VALUES (current_setting('application_name'), TG_TABLE_NAME, TG_OP, clock_timestamp());
	RETURN NULL;
END $$;
DO $$
DECLARE t regclass;
BEGIN
	FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
		AND NOT relispartition AND relname <> 'test_writes'
		-- what every daemon says for itself, whoever leads
		AND relname NOT IN ('traffic_followers', 'drained_instances', 'balancer_loads')
	LOOP
		EXECUTE format('CREATE TRIGGER test_record_write AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION test_record_write()', t);
	END LOOP;
END $$`

// member is one of several daemons on a database. What it asks of the engine is
// recorded, and what it writes to the database under its name.
type member struct {
	*fixture
	name   string
	engine *testenv.EngineRecorder
}

// recorded starts a member with a function that starts a daemon.
func recorded(t *testing.T, name string, start func(testing.TB, ...testenv.DaemonOption) *testenv.DaemonHandle) *member {
	t.Helper()
	m := &member{name: name, engine: testenv.RecordEngine(t)}
	m.fixture = &fixture{DaemonHandle: start(t, testenv.WithEnvironment("DOCKER_HOST="+m.engine.Host, "PGAPPNAME="+name))}
	m.client = m.Client(t)
	return m
}

// inProgress reports whether a deployment goes on.
func (m *member) inProgress(t *testing.T, deploymentID string) bool {
	t.Helper()
	d, err := m.client.GetDeployment(t.Context(), deploymentID)
	if err != nil {
		t.Fatal(err)
	}
	return d.DeploymentStatus == api.DeploymentInProgress
}

// logged counts the lines of the member's log that hold a text.
func (m *member) logged(text string) int { return strings.Count(m.Log(), text) }

// asked counts how often the member has asked for the lead, and got it or not.
func (m *member) asked() int { return m.logged("msg=leading") + m.logged("standing by") }

// pair is two daemons on one database: one leads, the other stands by.
type pair struct {
	leads, stands *member
	db            *pgx.Conn
	definition    string
	tags          []string
	changes       int // that a rollout which nobody disturbs asks of the engine
}

// startPair starts two daemons and deploys a first version, and a second to see how long that takes.
func startPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{leads: recorded(t, "first", testenv.Daemon)}
	eventually(t, "the first leads", func() bool { return p.leads.asked() >= 1 })
	p.stands = recorded(t, "second", p.leads.Another)
	eventually(t, "the second stands by", func() bool { return p.stands.asked() >= 1 })
	var err error
	if p.db, err = pgx.Connect(t.Context(), p.leads.DB.OwnerURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close(t.Context()) })
	if _, err := p.db.Exec(t.Context(), recordWrites); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"v1", "v2"} {
		_, tag, _ := strings.Cut(testenv.DemoImage(t, v), ":")
		p.tags = append(p.tags, tag)
	}
	p.definition = p.stands.define(t, "api", "v1").ID
	p.stands.deploy(t, p.definition, staleReplicas)
	before := p.made()
	p.stands.completed(t, p.rollOut(t, 1))
	p.changes = p.made() - before
	return p
}

// made counts the changes that both have asked of the engine.
func (p *pair) made() int { return len(p.leads.engine.Changes()) + len(p.stands.engine.Changes()) }

// whoLeads looks who leads: on a machine that stood still for as long as a lease,
// the two have changed roles by themselves.
func (p *pair) whoLeads(t *testing.T) {
	t.Helper()
	eventually(t, "one leads", func() bool {
		var name string
		err := p.db.QueryRow(t.Context(), `SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
				AND (l.classid::bigint << 32 | l.objid::bigint) = hashtext('wedsync_leader')`).Scan(&name)
		if name == p.stands.name {
			p.leads, p.stands = p.stands, p.leads
		}
		return err == nil && name == p.leads.name
	})
}

// rollOutUntil asks for a rollout and waits until the engine was asked for so many
// changes.
func (p *pair) rollOutUntil(t *testing.T, version, changes int) (deploymentID string) {
	t.Helper()
	until := p.made() + changes
	deploymentID = p.rollOut(t, version)
	eventually(t, "the rollout has come so far", func() bool { return p.made() >= until })
	p.whoLeads(t)
	return deploymentID
}

// rollOut asks the member that stands by for a rollout of the version with a number.
func (p *pair) rollOut(t *testing.T, version int) (deploymentID string) {
	t.Helper()
	p.stands.update(t, p.definition, p.tags[version%len(p.tags)])
	r := quick("", staleReplicas)
	r.RolloutConfig.MaxSurge = new("50%") // several at once
	accepted, err := p.stands.client.Deploy(t.Context(), p.definition, r)
	if err != nil {
		t.Fatal(err)
	}
	return accepted.DeploymentID
}

// epoch is the number of the newest election.
func (p *pair) epoch(t *testing.T) (epoch int64) {
	t.Helper()
	if err := p.db.QueryRow(t.Context(), "SELECT epoch FROM installation").Scan(&epoch); err != nil {
		t.Fatal(err)
	}
	return epoch
}

// replaced ends the leader in a way, waits until the other leads and returns how
// long that took. The two change roles.
func (p *pair) replaced(t *testing.T, end func()) time.Duration {
	t.Helper()
	before := p.epoch(t)
	ended := time.Now()
	end()
	for p.epoch(t) == before {
		if time.Since(ended) > patience {
			t.Fatal("nobody took over")
		}
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(ended)
	if *leaderRuns > 0 && took > takeover {
		t.Errorf("the other led after %s, want at most %s", took, takeover)
	}
	p.leads, p.stands = p.stands, p.leads
	return took
}

// written counts the rows that a member has written.
func (p *pair) written(t *testing.T, m *member) (n int) {
	t.Helper()
	if err := p.db.QueryRow(t.Context(), "SELECT count(*) FROM test_writes WHERE application = $1", m.name).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKilledLeader: another daemon takes over and goes on with the rollout where it was.
func TestKilledLeader(t *testing.T) {
	t.Parallel()
	runs := cmp.Or(*leaderRuns, 4)
	p := startPair(t)
	var longest time.Duration
	for k := range runs {
		after := p.changes * k / runs
		id := p.rollOutUntil(t, k, after)
		took := p.replaced(t, p.leads.Kill)
		longest = max(longest, took)
		t.Logf("killed after %d of %d changes: the other led after %s", after, p.changes, took.Round(time.Millisecond))
		p.leads.completed(t, id)
		p.leads.settled(t, p.definition, id, staleReplicas)
		asked := p.stands.asked()
		p.stands.Start(t)
		eventually(t, "the killed one stands by", func() bool { return p.stands.asked() > asked })
	}
	t.Logf("longest time without a leader: %s", longest.Round(time.Millisecond))
}

// staleRun is what happened when a leader was stopped and went on.
type staleRun struct {
	after           int           // changes that it had asked of the engine
	took            time.Duration // from the stop until another led
	amid, undone    bool          // the rollout was going on at the stop; and still when the leader went on
	writes, changes int           // of the stale one
}

// TestStaleLeader stops a leader amid a rollout, long enough for another to lead
// and to finish it, and has it go on while it believes to lead: it writes nothing
// and asks the engine for no change.
func TestStaleLeader(t *testing.T) {
	t.Parallel()
	runs := cmp.Or(*leaderRuns, 3)
	pairs := min(5, runs)
	var mu sync.Mutex
	var all []staleRun
	var working sync.WaitGroup
	for n := range pairs { // at the same time, however many tests may be: they spend theirs waiting
		working.Go(func() {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				p := startPair(t)
				for k := n; k < runs; k += pairs {
					r := p.stale(t, k/pairs)
					mu.Lock()
					all = append(all, r)
					mu.Unlock()
				}
			})
		})
	}
	working.Wait()
	t.Log(staleTable(all))
}

// stale does one run, from a settled state to a settled state.
func (p *pair) stale(t *testing.T, version int) (r staleRun) {
	t.Helper()
	r.after = rand.N(p.changes)
	id := p.rollOutUntil(t, version, r.after)
	<-time.After(rand.N(maxJitter))
	over := time.After(pauseTime)
	r.took = p.replaced(t, p.leads.Pause)
	stale, leader := p.stands, p.leads
	r.amid = leader.inProgress(t, id)
	<-over
	r.undone = leader.inProgress(t, id)
	writes, changes := p.written(t, stale), stale.engine.Changes()
	lost, stood := stale.logged("lost the lead"), stale.logged("standing by")
	stale.Continue()
	eventually(t, "the stale leader stands by", func() bool { return stale.logged("standing by") > stood })
	if n := stale.logged("lost the lead") - lost; n != 1 {
		t.Errorf("it said %d times that it lost the lead, want once", n)
	}
	r.writes = p.written(t, stale) - writes
	asked := stale.engine.Changes()[len(changes):]
	r.changes = len(asked)
	if r.writes != 0 || r.changes != 0 {
		t.Errorf("the stale leader wrote %d rows and asked the engine for %v", r.writes, asked)
	}
	leader.completed(t, id)
	leader.settled(t, p.definition, id, staleReplicas)
	return r
}

// staleTable sums runs up.
func staleTable(runs []staleRun) string {
	var b strings.Builder
	var sum staleRun
	amid, undone := 0, 0
	count := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	fmt.Fprintf(&b, "\n%4s %16s %8s %8s %9s %7s %8s\n", "run", "stopped after", "amid", "undone", "takeover", "writes", "changes")
	for k, r := range runs {
		fmt.Fprintf(&b, "%4d %8d changes %8t %8t %9s %7d %8d\n", k+1, r.after, r.amid, r.undone, r.took.Round(time.Millisecond), r.writes, r.changes)
		sum.took = max(sum.took, r.took)
		sum.writes, sum.changes = sum.writes+r.writes, sum.changes+r.changes
		amid, undone = amid+count(r.amid), undone+count(r.undone)
	}
	fmt.Fprintf(&b, "%d runs, %d stopped amid a rollout, %d of them continued while it still went on; longest takeover %s; %d writes and %d engine changes by stale leaders",
		len(runs), amid, undone, sum.took.Round(time.Millisecond), sum.writes, sum.changes)
	return b.String()
}
