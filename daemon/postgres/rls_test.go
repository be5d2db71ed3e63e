package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

const (
	admin      = fleet.RoleSystemAdmin
	devops     = fleet.RoleDevOpsEngineer
	developer  = fleet.RoleDeveloper
	monitoring = fleet.RoleMonitoringSystem
)

var (
	everyRole = []fleet.Role{admin, devops, developer, monitoring}
	managers  = []fleet.Role{admin, devops}
	people    = []fleet.Role{admin, devops, developer}
)

// seedEnvironments each have one row of everything that belongs to an environment.
var seedEnvironments = []string{"development", "staging"}

// Identifiers of the rows that seedRows makes; %d is the environment's number.
const (
	principalID  = "00000000-0000-7000-9000-0000000000f1"
	definitionID = "00000000-0000-7000-9000-000000000001"
	followerID   = "00000000-0000-7000-9000-000000000002"
	networkID    = "00000000-0000-7000-9000-00000000010%d"
	deploymentID = "00000000-0000-7000-9000-00000000020%d"
	instanceID   = "00000000-0000-7000-9000-00000000030%d"
	routeID      = "00000000-0000-7000-9000-00000000040%d"
)

// seedRows writes, as the superuser, what the policies are tried on.
func seedRows(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	exec(t, conn, `INSERT INTO principals (id, name, role, environments) VALUES ('`+principalID+`', 'someone', 'developer', '{staging}')`)
	exec(t, conn, `INSERT INTO api_tokens (principal_id, token_hash, prefix) VALUES ('`+principalID+`', decode(repeat('ab', 32), 'hex'), 'wsk_ab')`)
	exec(t, conn, `INSERT INTO container_definitions (id, name, service_name, image_name) VALUES ('`+definitionID+`', 'api', 'api', 'wedsync/api')`)
	exec(t, conn, `INSERT INTO container_events (definition_id, event_type, event_source) VALUES ('`+definitionID+`', 'definition_created', 'user')`)
	exec(t, conn, `INSERT INTO container_events (event_type, event_source) VALUES ('token_created', 'system')`)
	exec(t, conn, `INSERT INTO idempotency_keys (principal_id, key, fingerprint) VALUES ('`+principalID+`', 'seed', '\x00')`)
	exec(t, conn, `INSERT INTO host_port_leases (port, blocked_until) VALUES (1, now())`)
	for n, env := range seedEnvironments {
		network, deployment, instance := fmt.Sprintf(networkID, n), fmt.Sprintf(deploymentID, n), fmt.Sprintf(instanceID, n)
		exec(t, conn, `INSERT INTO container_networks (id, network_name, network_type, environment) VALUES ($1, 'app', 'internal', $2)`, network, env)
		exec(t, conn, `INSERT INTO deployment_history (id, definition_id, environment, deployment_type, image_tag, config_snapshot) VALUES ($1, $2, $3, 'deploy', 'v1', '{}')`, deployment, definitionID, env)
		exec(t, conn, `INSERT INTO workloads (definition_id, environment, target_deployment_id) VALUES ($1, $2, $3)`, definitionID, env, deployment)
		exec(t, conn, `INSERT INTO container_instances (id, definition_id, deployment_id, environment, instance_name) VALUES ($1, $2, $3, $4, 'api-1')`, instance, definitionID, deployment, env)
		exec(t, conn, `INSERT INTO container_events (instance_id, environment, event_type, event_source) VALUES ($1, $2, 'created', 'system')`, instance, env)
		exec(t, conn, `INSERT INTO service_registry (service_name, instance_id, environment, endpoint_url) VALUES ('api', $1, $2, 'http://10.0.0.1')`, instance, env)
		exec(t, conn, `INSERT INTO scaling_policies (definition_id, environment, policy_name, scaling_type, trigger_metric, scale_up_threshold, scale_down_threshold, scale_up_adjustment, scale_down_adjustment) VALUES ($1, $2, 'cpu', 'horizontal', 'cpu', 80, 20, 1, 1)`, definitionID, env)
		exec(t, conn, `INSERT INTO container_metric_samples (instance_id, environment, cpu_percent) VALUES ($1, $2, 45.2)`, instance, env)
		exec(t, conn, `INSERT INTO container_custom_metrics (instance_id, environment, metric_name, metric_value) VALUES ($1, $2, 'weddings', 3)`, instance, env)
	}
}

// seedScaling writes, beside seedRows, what the autoscaler remembers and has decided.
func seedScaling(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for _, env := range seedEnvironments {
		exec(t, conn, `INSERT INTO scaling_states (definition_id, environment) VALUES ($1, $2)`, definitionID, env)
		exec(t, conn, `INSERT INTO scaling_decisions (id, definition_id, environment, outcome, current_value, wanted_value, limited_value, unit, reason) VALUES (gen_random_uuid(), $1, $2, 'no_change', 1, 1, 1, 'replicas', 'all is well')`, definitionID, env)
	}
}

// seedRollups writes, beside seedRows, what metrics are rolled up to.
func seedRollups(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	exec(t, conn, `INSERT INTO metric_watermarks (resolution, rolled_up_to) VALUES ('5m', now())`)
	for n, env := range seedEnvironments {
		for _, table := range []string{"container_metric_rollups_5m", "container_metric_rollups_1h"} {
			exec(t, conn, `INSERT INTO `+table+` (instance_id, environment, bucket_at, samples) VALUES ($1, $2, now(), 1)`, fmt.Sprintf(instanceID, n), env)
		}
	}
}

// seedTraffic writes, beside seedRows, what decides where requests go.
func seedTraffic(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	exec(t, conn, `INSERT INTO traffic_followers (id, name) VALUES ('`+followerID+`', 'a daemon')`)
	exec(t, conn, `INSERT INTO certificates (key, value) VALUES ('seed', '\x00')`)
	exec(t, conn, `INSERT INTO certificate_locks (name, holder, expires_at) VALUES ('seed', 'somebody', now())`)
	for n, env := range seedEnvironments {
		exec(t, conn, `INSERT INTO routes (id, name, environment, service_name, path_prefixes) VALUES ($1, 'api', $2, 'api', '{/}')`, fmt.Sprintf(routeID, n), env)
		exec(t, conn, `INSERT INTO route_hosts (host, environment) VALUES ($1 || '.example.com', $1)`, env)
		exec(t, conn, `INSERT INTO route_matches (route_id, environment, host, path_prefix) VALUES ($1, $2, $2 || '.example.com', '/')`, fmt.Sprintf(routeID, n), env)
		exec(t, conn, `INSERT INTO drained_instances (follower_id, instance_id) VALUES ('`+followerID+`', $1)`, fmt.Sprintf(instanceID, n))
		exec(t, conn, `INSERT INTO balancer_loads (follower_id, endpoint_id, service_name, environment, request_rate, error_rate, in_flight, p50_ms, p95_ms, p99_ms, measured_at)
			VALUES ('`+followerID+`', $1, 'api', $2, 1, 0, 0, 1, 2, 3, now())`, fmt.Sprintf(instanceID, n), env)
	}
}

// access is what the policies shall allow on one table.
type access struct {
	table string
	// global and scoped are the seeded rows of no environment, and those of each.
	global, scoped int
	readers        []fleet.Role
	// insert adds a row of the environment number $ENV with the principal $ME;
	// empty: no role may.
	insert    string
	inserters []fleet.Role
	// update and remove touch every row that they may; empty: no role may.
	update, remove     string
	updaters, removers []fleet.Role
	// ignoresEnvironments: the table's rows are of no environment, whatever they say.
	ignoresEnvironments bool
	// hidden are those of the global rows that admins alone see.
	hidden int
}

const (
	environmentOf = `(ARRAY['development','staging'])[$ENV + 1]`
	instanceOf    = `('00000000-0000-7000-9000-00000000030' || $ENV)::uuid`
	routeIn       = `('00000000-0000-7000-9000-00000000040' || $ENV)::uuid`
)

var accesses = []access{
	{table: "principals", global: 2, readers: []fleet.Role{admin}, ignoresEnvironments: true,
		insert: `INSERT INTO principals (name, role) VALUES ('new', 'developer')`, inserters: []fleet.Role{admin},
		update: `UPDATE principals SET is_active = false`, updaters: []fleet.Role{admin}},
	{table: "api_tokens", global: 1, readers: []fleet.Role{admin}, ignoresEnvironments: true,
		insert:    `INSERT INTO api_tokens (principal_id, token_hash, prefix) VALUES ('` + principalID + `', decode(repeat('cd', 32), 'hex'), 'x')`,
		inserters: []fleet.Role{admin},
		update:    `UPDATE api_tokens SET revoked_at = now()`, updaters: []fleet.Role{admin}},
	{table: "container_definitions", global: 1, readers: everyRole, ignoresEnvironments: true,
		insert:    `INSERT INTO container_definitions (name, service_name, image_name) VALUES ('new', 'new', 'new')`,
		inserters: managers, update: `UPDATE container_definitions SET is_active = false`, updaters: managers},
	{table: "container_networks", scoped: 1, readers: people,
		insert:    `INSERT INTO container_networks (network_name, network_type, environment) VALUES ('new', 'internal', ` + environmentOf + `)`,
		inserters: managers, update: `UPDATE container_networks SET is_active = false`, updaters: managers},
	{table: "deployment_history", scoped: 1, readers: everyRole,
		insert: `INSERT INTO deployment_history (definition_id, environment, deployment_type, image_tag, config_snapshot, deployment_status, started_by,
				rollout_config, rollout_state, rollback_of_id, supersedes_id)
			VALUES ('` + definitionID + `', ` + environmentOf + `, 'deploy', 'v2', '{}', 'completed', '$ME', '{}', '{}', NULL, NULL)`,
		inserters: managers,
		update:    `UPDATE deployment_history SET deployment_status = 'failed', rollout_state = '{"weight": 5}', rollback_id = NULL, superseded_by_id = NULL`,
		updaters:  managers},
	{table: "workloads", scoped: 1, readers: everyRole,
		insert:    `INSERT INTO workloads (definition_id, environment) VALUES ('` + definitionID + `', ` + environmentOf + `) ON CONFLICT DO NOTHING`,
		inserters: managers, update: `UPDATE workloads SET updated_at = now()`, updaters: managers},
	{table: "container_instances", scoped: 1, readers: everyRole,
		insert:    `INSERT INTO container_instances (definition_id, environment, instance_name) VALUES ('` + definitionID + `', ` + environmentOf + `, 'new')`,
		inserters: managers, update: `UPDATE container_instances SET desired_status = 'stopped', healthy_since = now(), draining_since = now()`, updaters: managers},
	{table: "container_events", global: 2, hidden: 1, scoped: 1, readers: people,
		insert:    `INSERT INTO container_events (environment, event_type, event_source, user_id) VALUES (` + environmentOf + `, 'created', 'user', '$ME')`,
		inserters: managers},
	{table: "service_registry", scoped: 1, readers: everyRole,
		insert:    `INSERT INTO service_registry (service_name, environment, endpoint_url, ttl_seconds) VALUES ('new', ` + environmentOf + `, 'http://10.0.0.2:80', 30)`,
		inserters: managers, update: `UPDATE service_registry SET is_healthy = false`, updaters: managers,
		remove: `DELETE FROM service_registry`, removers: managers},
	{table: "routes", scoped: 1, readers: everyRole,
		insert:    `INSERT INTO routes (name, environment, service_name, path_prefixes) VALUES ('new', ` + environmentOf + `, 'new', '{/}')`,
		inserters: managers, update: `UPDATE routes SET service_name = 'web'`, updaters: managers,
		remove: `DELETE FROM routes`, removers: managers},
	{table: "route_hosts", scoped: 1, readers: managers,
		insert:    `INSERT INTO route_hosts (host, environment) VALUES ('new.example.com', ` + environmentOf + `)`,
		inserters: managers, update: `UPDATE route_hosts SET host = 'new.' || host`, updaters: managers,
		remove: `DELETE FROM route_hosts`, removers: managers},
	{table: "route_matches", scoped: 1, readers: managers,
		insert:    `INSERT INTO route_matches (route_id, environment, host, path_prefix) VALUES (` + routeIn + `, ` + environmentOf + `, 'new.example.com', '/')`,
		inserters: managers, update: `UPDATE route_matches SET path_prefix = '/new'`, updaters: managers,
		remove: `DELETE FROM route_matches`, removers: managers},
	{table: "traffic_followers", global: 1, readers: []fleet.Role{admin}, ignoresEnvironments: true,
		insert: `INSERT INTO traffic_followers (id, name) VALUES (gen_random_uuid(), 'new')`, inserters: []fleet.Role{admin},
		update: `UPDATE traffic_followers SET seen_at = now()`, updaters: []fleet.Role{admin},
		remove: `DELETE FROM traffic_followers`, removers: []fleet.Role{admin}},
	{table: "drained_instances", global: 2, readers: managers, ignoresEnvironments: true,
		insert:    `INSERT INTO drained_instances (follower_id, instance_id) VALUES ('` + followerID + `', ` + instanceOf + `) ON CONFLICT DO NOTHING`,
		inserters: managers, update: `UPDATE drained_instances SET instance_id = instance_id`, updaters: managers,
		remove: `DELETE FROM drained_instances`, removers: managers},
	{table: "balancer_loads", scoped: 1, readers: everyRole,
		insert: `INSERT INTO balancer_loads (follower_id, endpoint_id, service_name, environment, request_rate, error_rate, in_flight, p50_ms, p95_ms, p99_ms, measured_at)
			VALUES ('` + followerID + `', gen_random_uuid(), 'api', ` + environmentOf + `, 1, 0, 0, 1, 2, 3, now())`,
		inserters: []fleet.Role{admin}, update: `UPDATE balancer_loads SET in_flight = in_flight + 1`, updaters: []fleet.Role{admin},
		remove: `DELETE FROM balancer_loads WHERE in_flight >= 0`, removers: []fleet.Role{admin}},
	{table: "certificates", global: 1, readers: []fleet.Role{admin}, ignoresEnvironments: true,
		insert: `INSERT INTO certificates (key, value) VALUES ('new', '\x01')`, inserters: []fleet.Role{admin},
		update: `UPDATE certificates SET value = '\x02'`, updaters: []fleet.Role{admin},
		remove: `DELETE FROM certificates`, removers: []fleet.Role{admin}},
	{table: "certificate_locks", global: 1, readers: []fleet.Role{admin}, ignoresEnvironments: true,
		insert: `INSERT INTO certificate_locks (name, holder, expires_at) VALUES ('new', 'me', now())`, inserters: []fleet.Role{admin},
		update: `UPDATE certificate_locks SET expires_at = now()`, updaters: []fleet.Role{admin},
		remove: `DELETE FROM certificate_locks`, removers: []fleet.Role{admin}},
	{table: "scaling_policies", scoped: 1, readers: everyRole,
		insert: `INSERT INTO scaling_policies (definition_id, environment, policy_name, scaling_type, trigger_metric, scale_up_threshold, scale_down_threshold, scale_up_adjustment, scale_down_adjustment)
			VALUES ('` + definitionID + `', ` + environmentOf + `, 'new', 'horizontal', 'cpu', 80, 20, 1, 1)`,
		inserters: managers, update: `UPDATE scaling_policies SET is_enabled = false`, updaters: managers,
		remove: `DELETE FROM scaling_policies`, removers: managers},
	{table: "scaling_states", scoped: 1, readers: []fleet.Role{admin},
		insert:    `INSERT INTO scaling_states (definition_id, environment) VALUES ('` + definitionID + `', ` + environmentOf + `) ON CONFLICT DO NOTHING`,
		inserters: []fleet.Role{admin}, update: `UPDATE scaling_states SET recommendations = '[]'`, updaters: []fleet.Role{admin},
		remove: `DELETE FROM scaling_states`, removers: []fleet.Role{admin}},
	{table: "scaling_decisions", scoped: 1, readers: everyRole,
		insert: `INSERT INTO scaling_decisions (id, definition_id, environment, outcome, current_value, wanted_value, limited_value, unit, reason)
			VALUES (gen_random_uuid(), '` + definitionID + `', ` + environmentOf + `, 'scaled_up', 1, 2, 2, 'replicas', 'load')`,
		inserters: []fleet.Role{admin}, update: `UPDATE scaling_decisions SET evaluations = evaluations + 1`, updaters: []fleet.Role{admin},
		remove: `DELETE FROM scaling_decisions`, removers: []fleet.Role{admin}},
	{table: "container_metric_samples", scoped: 1, readers: everyRole,
		insert:    `INSERT INTO container_metric_samples (instance_id, environment, cpu_percent) VALUES (` + instanceOf + `, ` + environmentOf + `, 1)`,
		inserters: []fleet.Role{admin, monitoring}},
	{table: "container_custom_metrics", scoped: 1, readers: everyRole,
		insert:    `INSERT INTO container_custom_metrics (instance_id, environment, metric_name, metric_value) VALUES (` + instanceOf + `, ` + environmentOf + `, 'new', 1)`,
		inserters: []fleet.Role{admin, monitoring}},
	{table: "container_metrics", scoped: 2, readers: everyRole,
		insert:    `INSERT INTO container_metrics (instance_id, metric_type, metric_name, metric_value) VALUES (` + instanceOf + `, 'custom', 'new', 1)`,
		inserters: []fleet.Role{admin, monitoring}},
	{table: "container_metric_rollups_5m", scoped: 1, readers: everyRole,
		insert:    `INSERT INTO container_metric_rollups_5m (instance_id, environment, bucket_at, samples) VALUES (` + instanceOf + `, ` + environmentOf + `, now() + interval '1 minute', 1)`,
		inserters: []fleet.Role{admin}, update: `UPDATE container_metric_rollups_5m SET samples = 2`, updaters: []fleet.Role{admin}},
	{table: "container_metric_rollups_1h", scoped: 1, readers: everyRole,
		insert:    `INSERT INTO container_metric_rollups_1h (instance_id, environment, bucket_at, samples) VALUES (` + instanceOf + `, ` + environmentOf + `, now() + interval '1 minute', 1)`,
		inserters: []fleet.Role{admin}, update: `UPDATE container_metric_rollups_1h SET samples = 2`, updaters: []fleet.Role{admin}},
	{table: "metric_watermarks", global: 1, readers: everyRole, ignoresEnvironments: true,
		insert: `INSERT INTO metric_watermarks (resolution, rolled_up_to) VALUES ('1h', now())`, inserters: []fleet.Role{admin},
		update: `UPDATE metric_watermarks SET rolled_up_to = now()`, updaters: []fleet.Role{admin}},
	{table: "host_port_leases", global: 1, readers: managers, ignoresEnvironments: true,
		insert: `INSERT INTO host_port_leases (port, blocked_until) VALUES (2, now())`, inserters: managers,
		update: `UPDATE host_port_leases SET leased_at = now()`, updaters: managers,
		remove: `DELETE FROM host_port_leases`, removers: managers},
	{table: "idempotency_keys", global: 1, readers: []fleet.Role{admin}, ignoresEnvironments: true,
		insert: `INSERT INTO idempotency_keys (principal_id, key, fingerprint) VALUES ('$ME', 'new', '\x01')`, inserters: everyRole,
		update: `UPDATE idempotency_keys SET result_id = NULL`, // one's own only
		remove: `DELETE FROM idempotency_keys`, removers: []fleet.Role{admin}},
	{table: "installation", global: 1, readers: everyRole, ignoresEnvironments: true,
		update: `UPDATE installation SET epoch = epoch + 1`, updaters: []fleet.Role{admin}},
}

// TestRowLevelSecurity tries every table as every role with every kind of list of
// environments, over a connection that has logged in as the daemon's role.
func TestRowLevelSecurity(t *testing.T) {
	db := testenv.Database(t)
	owner := connect(t, db.OwnerURL)
	seedRows(t, owner)
	seedTraffic(t, owner)
	seedRollups(t, owner)
	seedScaling(t, owner)
	conn := connect(t, db.AppURL)
	lists := map[string][]string{"everywhere": {"*"}, "staging": {"staging"}, "elsewhere": {"production"}, "nowhere": {}}
	for _, a := range accesses {
		for _, role := range everyRole {
			for name, environments := range lists {
				t.Run(fmt.Sprintf("%s/%s/%s", a.table, role, name), func(t *testing.T) {
					tryAccess(t, conn, a, actor(t, role, environments))
				})
			}
		}
	}
}

// who acts in a test: me is its principal.
type who struct {
	role         fleet.Role
	environments []string
	me           string
	claims       string
}

// actor is the system principal with other claims: audit rows name a principal that exists.
func actor(t *testing.T, role fleet.Role, environments []string) who {
	t.Helper()
	w := who{role: role, environments: environments, me: fleet.System.ID}
	b, err := json.Marshal(map[string]any{"role": role, "sub": w.me, "environments": environments})
	if err != nil {
		t.Fatal(err)
	}
	w.claims = string(b)
	return w
}

func (w who) sees(environment string) bool {
	return fleet.Principal{Environments: w.environments}.MaySee(environment)
}

// seen is the number of seeded rows that the actor may touch with roles.
func (a access) seen(w who, roles []fleet.Role) int {
	if !slices.Contains(roles, w.role) {
		return 0
	}
	n := a.global
	if w.role != admin {
		n -= a.hidden
	}
	for _, env := range seedEnvironments {
		if w.sees(env) {
			n += a.scoped
		}
	}
	return n
}

func tryAccess(t *testing.T, conn *pgx.Conn, a access, w who) {
	var count int
	inRollback(t, conn, w.claims, func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM "+a.table).Scan(&count)
	}, nil)
	if want := a.seen(w, a.readers); count != want {
		t.Errorf("reads %d rows, want %d", count, want)
	}
	for n, env := range seedEnvironments {
		allowed := slices.Contains(a.inserters, w.role) && (a.ignoresEnvironments || w.sees(env))
		tryInsert(t, conn, a, w, n, allowed)
	}
	tryChange(t, conn, "update", a.update, "UPDATE "+a.table+" SET "+anyColumn(t, conn, a.table), w, a.seen(w, a.updaters))
	tryChange(t, conn, "delete", a.remove, "DELETE FROM "+a.table, w, a.seen(w, a.removers))
}

func tryInsert(t *testing.T, conn *pgx.Conn, a access, w who, environment int, allowed bool) {
	t.Helper()
	if a.insert == "" {
		inRollback(t, conn, w.claims, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO "+a.table+" DEFAULT VALUES")
			return err
		}, denied)
		return
	}
	sql := strings.NewReplacer("$ENV", fmt.Sprint(environment), "$ME", w.me).Replace(a.insert)
	check := denied
	if allowed {
		check = nil
	} else if a.table == "container_metrics" {
		check = deniedOrMissing // an instance that may not be seen is none
	}
	inRollback(t, conn, w.claims, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), sql)
		return err
	}, check)
}

// tryChange runs a change of every row and counts those changed; where there is
// no change that any role may do, the plain statement must be denied outright.
func tryChange(t *testing.T, conn *pgx.Conn, what, sql, plain string, w who, want int) {
	t.Helper()
	if sql == "" {
		inRollback(t, conn, w.claims, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), plain)
			return err
		}, refused)
		return
	}
	var changed int64
	inRollback(t, conn, w.claims, func(tx pgx.Tx) error {
		tag, err := tx.Exec(t.Context(), sql)
		changed = tag.RowsAffected()
		return err
	}, nil)
	if int(changed) != want {
		t.Errorf("%s touches %d rows, want %d", what, changed, want)
	}
}

// anyColumn sets some column to itself.
func anyColumn(t *testing.T, conn *pgx.Conn, table string) string {
	t.Helper()
	var column string
	err := conn.QueryRow(t.Context(), `SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 1 ORDER BY attnum LIMIT 1`, table).Scan(&column)
	if err != nil {
		t.Fatal(err)
	}
	return column + " = " + column
}

// inRollback runs f under claims in a transaction that leaves nothing. check
// judges f's error; nil wants none.
func inRollback(t *testing.T, conn *pgx.Conn, claims string, f func(pgx.Tx) error, check func(error) bool) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if claims != "" {
		if _, err := tx.Exec(t.Context(), "SELECT set_config('request.jwt.claims', $1, true)", claims); err != nil {
			t.Fatal(err)
		}
	}
	err = f(tx)
	switch {
	case check == nil && err != nil:
		t.Errorf("failed: %v", err)
	case check != nil && !check(err):
		t.Errorf("answered %v, want it denied", err)
	}
}

func denied(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

func deniedOrMissing(err error) bool {
	var pg *pgconn.PgError
	return denied(err) || errors.As(err, &pg) && pg.Code == "23503"
}

// refused is denied, or not possible at all, as changing a view's rows.
func refused(err error) bool {
	var pg *pgconn.PgError
	return denied(err) || errors.As(err, &pg) && pg.Code == "55000"
}

// TestNoClaims: who is nobody sees nothing, even after somebody has used the connection.
func TestNoClaims(t *testing.T) {
	db := testenv.Database(t)
	owner := connect(t, db.OwnerURL)
	seedRows(t, owner)
	seedTraffic(t, owner)
	seedRollups(t, owner)
	seedScaling(t, owner)
	conn := connect(t, db.AppURL)
	everybody := actor(t, admin, []string{"*"})
	for _, claims := range []string{"", "{}", `{"role":"system_admin"}`, `{"role":"intruder","environments":["*"]}`, `{"environments":["*"]}`} {
		for _, a := range accesses {
			t.Run(a.table+"/"+claims, func(t *testing.T) {
				inRollback(t, conn, everybody.claims, func(tx pgx.Tx) error {
					_, err := tx.Exec(t.Context(), "SELECT 1")
					return err
				}, nil)
				var count int
				inRollback(t, conn, claims, func(tx pgx.Tx) error {
					return tx.QueryRow(t.Context(), "SELECT count(*) FROM "+a.table).Scan(&count)
				}, nil)
				// A role alone opens what is of no environment, and no more.
				want := 0
				if claims == `{"role":"system_admin"}` && slices.Contains(a.readers, admin) {
					want = a.global
				}
				if count != want {
					t.Errorf("reads %d rows, want %d", count, want)
				}
			})
		}
	}
}

// TestTokenLookupLeavesNoClaims: what the look-up may see ends with it.
func TestTokenLookupLeavesNoClaims(t *testing.T) {
	db := testenv.Database(t)
	seedRows(t, connect(t, db.OwnerURL))
	conn := connect(t, db.AppURL)
	inRollback(t, conn, "", func(tx pgx.Tx) error {
		var found, visible int
		err := tx.QueryRow(t.Context(), `SELECT count(*) FROM wedsync_token_by_hash(decode(repeat('ab', 32), 'hex'))`).Scan(&found)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM api_tokens`).Scan(&visible); err != nil {
			return err
		}
		if found != 1 || visible != 0 {
			t.Errorf("the look-up finds %d tokens and leaves %d visible; want 1 and 0", found, visible)
		}
		return nil
	}, nil)
}

// TestForgedAuthor: nobody writes into the trail or the history under another's name.
func TestForgedAuthor(t *testing.T) {
	db := testenv.Database(t)
	seedRows(t, connect(t, db.OwnerURL))
	conn := connect(t, db.AppURL)
	w := actor(t, admin, []string{"*"})
	for name, sql := range map[string]string{
		"event of another":      `INSERT INTO container_events (event_type, event_source, user_id) VALUES ('created', 'user', '` + principalID + `')`,
		"event of nobody":       `INSERT INTO container_events (event_type, event_source) VALUES ('created', 'user')`,
		"deployment of another": `INSERT INTO deployment_history (definition_id, environment, deployment_type, image_tag, config_snapshot, deployment_status, started_by) VALUES ('` + definitionID + `', 'staging', 'deploy', 'v2', '{}', 'completed', '` + principalID + `')`,
		"key of another":        `INSERT INTO idempotency_keys (principal_id, key, fingerprint) VALUES ('` + principalID + `', 'forged', '\x00')`,
		"changed snapshot":      `UPDATE deployment_history SET config_snapshot = '{"forged": true}'`,
		"changed settings":      `UPDATE deployment_history SET rollout_config = '{"forged": true}'`,
		"changed undoing":       `UPDATE deployment_history SET rollback_of_id = NULL`,
		"changed superseding":   `UPDATE deployment_history SET supersedes_id = NULL`,
		"changed event":         `UPDATE container_events SET event_data = '{}'`,
		"deleted event":         `DELETE FROM container_events`,
		"emptied trail":         `TRUNCATE container_events`,
		"deleted instance":      `DELETE FROM container_instances`,
		"deleted definition":    `DELETE FROM container_definitions`,
		"new table":             `CREATE TABLE mine (id int)`,
		"dropped policy":        `DROP POLICY container_events_read ON container_events`,
		"security off":          `ALTER TABLE container_events DISABLE ROW LEVEL SECURITY`,
		"copied in":             `COPY container_metric_samples FROM '/dev/null'`,
	} {
		t.Run(name, func(t *testing.T) {
			inRollback(t, conn, w.claims, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), sql)
				return err
			}, denied)
		})
	}
}

// TestEveryTableIsForced finds tables that a later migration forgets.
func TestEveryTableIsForced(t *testing.T) {
	db := testenv.Database(t)
	conn := connect(t, db.OwnerURL)
	rows, err := conn.Query(t.Context(), `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
		AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity) ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"goose_db_version"}; !slices.Equal(names, want) {
		t.Errorf("without forced row level security: %v, want %v", names, want)
	}
	tested := map[string]bool{"goose_db_version": true}
	for _, a := range accesses {
		tested[a.table] = true
	}
	rows, err = conn.Query(t.Context(), `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
		AND relkind IN ('r', 'p', 'v') AND NOT relispartition`)
	if err != nil {
		t.Fatal(err)
	}
	if names, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !tested[name] {
			t.Errorf("table %s has no row level security test", name)
		}
	}
}

// TestPartitionsAreClosed: a day's partition is reached through its table only.
func TestPartitionsAreClosed(t *testing.T) {
	db := testenv.Database(t)
	conn := connect(t, db.AppURL)
	var partition string
	err := conn.QueryRow(t.Context(), `SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1 LIMIT 1`).Scan(&partition)
	if err != nil {
		t.Fatal(err)
	}
	w := actor(t, admin, []string{"*"})
	inRollback(t, conn, w.claims, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT FROM "+partition)
		return err
	}, denied)
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
