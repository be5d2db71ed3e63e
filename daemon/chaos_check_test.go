package daemon_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// kind is a kind of breach.
type kind string

// Kinds of breaches, in the order of the table's columns.
const (
	// late: not everything is as it should be within the time allowed.
	late kind = "late"
	// lost: the deployment that was asked for is not there, or ended otherwise than
	// undisturbed, or something else is live.
	lost kind = "lost"
	// duplicate: more replicas, deployments or networks than were asked for.
	duplicate kind = "duplicate"
	// leaked: a container that no row stands for.
	leaked kind = "leaked"
	// mixed: a container of another version.
	mixed kind = "mixed"
	// restarted: a container that should have been left alone was not.
	restarted kind = "restarted"
	// unstable: what had converged did not stay so.
	unstable kind = "unstable"
)

var kinds = []kind{late, lost, duplicate, leaked, mixed, restarted, unstable}

// facts are what the database and the engine say at a moment.
type facts struct {
	deployments map[string]deploymentFact // by id
	target      string
	live        string
	rows        []rowFact
	containers  []containerFact
	networks    int
}

// deploymentFact is a deployment, with what went wrong in it.
type deploymentFact struct{ ID, Status, Details string }

// rowFact is an instance that is not terminated.
type rowFact struct {
	ContainerID, Current, Health, Digest string
	Replica, Restarts                    int
	Draining                             bool
}

// containerFact is a container of the daemon's, in whatever state.
type containerFact struct {
	id, name, state, image string
	started                string
	restarts               int
}

// look asks the database, not the API, and the engine, not the daemon.
func (l *lane) look(ctx context.Context) (f facts, err error) {
	if l.conn == nil {
		if l.conn, err = pgx.Connect(ctx, l.DB.OwnerURL); err != nil {
			return f, err
		}
	}
	if err = f.read(ctx, l.conn, l.definition.ID); err != nil {
		_ = l.conn.Close(context.WithoutCancel(ctx)) // Postgres has ended, or gone
		l.conn = nil
		return f, err
	}
	return f, l.lookAtEngine(ctx, &f)
}

// read reads what the database says of a definition.
func (f *facts) read(ctx context.Context, conn *pgx.Conn, definitionID string) error {
	var err error
	if f.deployments, err = readDeployments(ctx, conn, definitionID); err != nil {
		return err
	}
	err = conn.QueryRow(ctx, `SELECT coalesce(max(target_deployment_id::text), ''), coalesce(max(live_deployment_id::text), '')
		FROM workloads WHERE definition_id = $1`, definitionID).Scan(&f.target, &f.live)
	if err != nil {
		return err
	}
	rows, err := conn.Query(ctx, `SELECT coalesce(container_id, '') AS container_id, current_status AS current, health_status AS health,
		image_digest AS digest, replica_number AS replica, restart_count AS restarts, draining_since IS NOT NULL AS draining
		FROM container_instances WHERE definition_id = $1 AND current_status <> 'terminated' ORDER BY id`, definitionID)
	if err != nil {
		return err
	}
	f.rows, err = pgx.CollectRows(rows, pgx.RowToStructByName[rowFact])
	return err
}

func readDeployments(ctx context.Context, conn *pgx.Conn, definitionID string) (map[string]deploymentFact, error) {
	rows, err := conn.Query(ctx, `SELECT id::text AS id, deployment_status AS status, coalesce(error_details::text, 'no errors') AS details
		FROM deployment_history WHERE definition_id = $1`, definitionID)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[deploymentFact])
	byID := make(map[string]deploymentFact, len(list))
	for _, d := range list {
		byID[d.ID] = d
	}
	return byID, err
}

// lookAtEngine takes every container and network of the engine for the daemon's,
// as it has the engine for itself; but those that engines make for themselves.
func (l *lane) lookAtEngine(ctx context.Context, f *facts) error {
	list, err := l.docker.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return err
	}
	for _, c := range list {
		found, err := l.docker.ContainerInspect(ctx, c.ID)
		if err != nil {
			return err // it is being removed
		}
		f.containers = append(f.containers, containerFact{
			id: c.ID, name: strings.TrimPrefix(found.Name, "/"), state: found.State.Status, image: found.Image,
			started: found.State.StartedAt, restarts: found.RestartCount,
		})
	}
	networks, err := l.docker.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("type", "custom"))})
	f.networks = len(networks)
	return err
}

// differ is how the facts differ from a world in which nothing goes on.
func (f facts) differ(l *lane, want world) (list []breach) {
	add := func(k kind, format string, args ...any) { list = append(list, breach{k, fmt.Sprintf(format, args...)}) }
	for id, d := range f.deployments {
		if d.Status == api.DeploymentInProgress {
			add(lost, "deployment %s is still in progress", id)
		}
	}
	if f.target != f.live || (f.live == "") != (want == nothing) {
		add(lost, "deployment %q is the target and %q is live, want one that is both", f.target, f.live)
	}
	if len(f.rows) < want.replicas || len(f.containers) < want.replicas {
		add(lost, "%d instances and %d containers, want %d", len(f.rows), len(f.containers), want.replicas)
	}
	if len(f.rows) > want.replicas {
		add(duplicate, "%d instances, want %d", len(f.rows), want.replicas)
	}
	if f.networks > 1 || f.networks < min(1, want.replicas) {
		add(duplicate, "%d networks, want one", f.networks)
	}
	known, numbers := make(map[string]bool), make(map[int]bool)
	for _, r := range f.rows {
		known[r.ContainerID] = true
		if numbers[r.Replica] || r.Replica > want.replicas {
			add(duplicate, "an instance too many is replica %d", r.Replica)
		}
		numbers[r.Replica] = true
		if r.Current != api.InstanceRunning || r.Health != api.HealthHealthy || r.Draining {
			add(lost, "replica %d is %s, %s, out of service: %v", r.Replica, r.Current, r.Health, r.Draining)
		}
		if r.Digest != l.images[want.version] {
			add(mixed, "replica %d is of %s, want %s", r.Replica, r.Digest, l.images[want.version])
		}
	}
	for _, c := range f.containers {
		if !known[c.id] {
			add(leaked, "container %s (%s) is nobody's", c.name, c.state)
		}
		if c.image != l.images[want.version] {
			add(mixed, "container %s is of %s, want %s", c.name, c.image, l.images[want.version])
		}
		if c.state != "running" {
			add(lost, "container %s is %s", c.name, c.state)
		}
	}
	return list
}

// expectation is what must hold after a run, however it was disturbed.
type expectation struct {
	scenario        *scenario
	before          facts
	answered        bool
	answer          answer
	engineRestarted bool
}

// take takes the answer if it is there.
func (e *expectation) take(asked <-chan answer) {
	select {
	case e.answer = <-asked:
		e.answered = true
	default:
	}
}

// check is what does not hold, or not yet.
func (e *expectation) check(l *lane, now facts) (list []breach) {
	add := func(k kind, format string, args ...any) { list = append(list, breach{k, fmt.Sprintf(format, args...)}) }
	switch {
	case !e.answered:
		add(late, "the request is not answered")
		return list
	case e.answer.err != nil:
		add(lost, "the request was refused: %v", e.answer.err)
	}
	if d := now.deployments[e.answer.deploymentID]; d.Status != e.scenario.status {
		add(lost, "deployment %s is %q, want %s: %s", e.answer.deploymentID, d.Status, e.scenario.status, d.Details)
	}
	if made := len(now.deployments) - len(e.before.deployments); made != e.scenario.deployments {
		add(duplicate, "%d deployments were made, want %d", made, e.scenario.deployments)
	}
	return slices.Concat(list, now.differ(l, e.scenario.to), e.undisturbed(now))
}

// undisturbed finds the containers that should have been left alone and were not.
// A restart of the engine restarts them, but puts no other in their place.
func (e *expectation) undisturbed(now facts) (list []breach) {
	after := make(map[string]containerFact, len(now.containers))
	for _, c := range now.containers {
		after[c.id] = c
	}
	stayed := 0
	for _, old := range e.before.containers {
		c, there := after[old.id]
		if there {
			stayed++
		}
		switch {
		case !there && e.scenario.kept == keptAll:
			list = append(list, breach{restarted, fmt.Sprintf("container %s was replaced", old.name)})
		case there && !e.engineRestarted && (c.started != old.started || c.restarts != old.restarts):
			list = append(list, breach{restarted, fmt.Sprintf("container %s runs since %s, not %s", old.name, c.started, old.started)})
		}
	}
	if e.scenario.kept == keptSome && stayed < len(now.containers) {
		list = append(list, breach{restarted, fmt.Sprintf("of %d containers only %d were there before", len(now.containers), stayed)})
	}
	if e.engineRestarted {
		return list
	}
	restarts := make(map[string]int, len(e.before.rows))
	for _, r := range e.before.rows {
		restarts[r.ContainerID] = r.Restarts
	}
	for _, r := range now.rows {
		if more := r.Restarts - restarts[r.ContainerID]; more > 0 {
			list = append(list, breach{restarted, fmt.Sprintf("replica %d was restarted %d times, says its row", r.Replica, more)})
		}
	}
	return list
}

// assertEmpty waits until nothing is left of the lane in its engine.
func (l *lane) assertEmpty() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), chaosPatience)
	defer cancel()
	var f facts
	var err error
	if poll(ctx, func() (bool, error) {
		f, err = l.look(ctx)
		return err == nil && len(f.containers) == 0 && f.networks == 0, nil
	}) != nil {
		l.t.Errorf("in the end the engine has %d containers and %d networks, want none (%v)", len(f.containers), f.networks, err)
	}
}

// table is what the campaign has found.
func (c *campaign) table() string {
	var b strings.Builder
	head(&b, "strategy", "scenario")
	boundaries := 0
	for of := range combinations() {
		t := c.tally(func(o outcome) bool { return o.combination == of })
		t.boundaries = c.boundaries[of]
		boundaries += t.boundaries
		t.write(&b, of.strategy, of.scenario.name)
	}
	all := c.tally(func(outcome) bool { return true })
	all.boundaries = boundaries
	all.write(&b, "all", "")
	b.WriteString("\n")
	head(&b, "fault", "")
	for k := range faults {
		c.tally(func(o outcome) bool { return o.fault == &faults[k] }).write(&b, faults[k].name, "")
	}
	return b.String()
}

// tally is a line of the table.
type tally struct {
	boundaries int
	took       []time.Duration
	broken     map[kind]int
}

func (c *campaign) tally(of func(outcome) bool) tally {
	t := tally{broken: make(map[kind]int)}
	for _, o := range c.outcomes {
		if !of(o) {
			continue
		}
		if o.reached {
			t.took = append(t.took, o.took)
		}
		found := make(map[kind]bool)
		for _, b := range o.broken {
			found[b.kind] = true
		}
		for k := range found {
			t.broken[k]++
		}
	}
	slices.Sort(t.took)
	return t
}

const lineFormat = "%-24s %-16s %10s %5s %8s %8s %8s %6s"

func head(b *strings.Builder, first, second string) {
	fmt.Fprintf(b, lineFormat, first, second, "boundaries", "runs", "median", "95 %", "max", "> 5 s")
	for _, k := range kinds {
		fmt.Fprintf(b, " %9s", k)
	}
	b.WriteString("\n")
}

func (t tally) write(b *strings.Builder, first, second string) {
	if len(t.took) == 0 && len(t.broken) == 0 {
		return
	}
	boundaries := ""
	if t.boundaries > 0 {
		boundaries = fmt.Sprint(t.boundaries)
	}
	slow := 0
	for _, d := range t.took {
		if d > convergenceLimit {
			slow++
		}
	}
	fmt.Fprintf(b, lineFormat, first, second, boundaries, fmt.Sprint(len(t.took)), t.quantile(0.5), t.quantile(0.95), t.quantile(1), fmt.Sprint(slow))
	for _, k := range kinds {
		fmt.Fprintf(b, " %9d", t.broken[k])
	}
	b.WriteString("\n")
}

func (t tally) quantile(q float64) string {
	if len(t.took) == 0 {
		return ""
	}
	return t.took[int(q*float64(len(t.took)-1))].Round(time.Millisecond).String()
}
