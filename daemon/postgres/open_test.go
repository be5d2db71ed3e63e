package postgres_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

func tryOpen(c postgres.Config) error {
	if c.SecretKey == nil {
		c.SecretKey = testKey
	}
	c.Logger = slog.New(slog.DiscardHandler)
	s, err := postgres.Open(context.Background(), c)
	if err == nil {
		s.Close()
	}
	return err
}

func wantMessage(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error is %v, want it to say %q", err, part)
	}
}

// login makes a role for the test and returns the database's URL for it.
func login(t *testing.T, db testenv.DB, attributes string) (name, login string) {
	t.Helper()
	u, err := url.Parse(db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	name = strings.ReplaceAll(strings.TrimPrefix(u.Path, "/"), "wedsync_test", "login")
	conn := connect(t, db.OwnerURL)
	exec(t, conn, "CREATE ROLE "+name+" LOGIN PASSWORD 'x' "+attributes)
	t.Cleanup(func() {
		exec(t, conn, "DROP OWNED BY "+name+" CASCADE")
		exec(t, conn, "REVOKE ALL ON SCHEMA public FROM "+name)
		exec(t, conn, "DROP ROLE "+name)
	})
	u.User = url.UserPassword(name, "x")
	return name, u.String()
}

func TestOpenRefuses(t *testing.T) {
	db := testenv.Database(t)
	empty := testenv.EmptyDatabase(t)
	for name, tt := range map[string]struct {
		config postgres.Config
		says   string
	}{
		"short key":   {postgres.Config{URL: db.AppURL, SecretKey: []byte("short")}, "32 random bytes"},
		"ports":       {postgres.Config{URL: db.AppURL, HostPortMin: 30000, HostPortMax: 20000}, "range 30000-20000"},
		"not a URL":   {postgres.Config{URL: "postgres://u:hunter2@[::1"}, "cannot be read"},
		"no schema":   {postgres.Config{URL: empty.AppURL}, "run wedsyncd migrate"},
		"unreachable": {postgres.Config{URL: "postgres://u@127.0.0.1:1/x"}, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tryOpen(tt.config)
			wantMessage(t, err, tt.says)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the error holds the password")
			}
		})
	}
}

func TestOpenRefusesOtherVersions(t *testing.T) {
	db := testenv.Database(t)
	conn := connect(t, db.OwnerURL)
	exec(t, conn, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	wantMessage(t, tryOpen(postgres.Config{URL: db.AppURL}), "use a newer wedsyncd")
	exec(t, conn, `DELETE FROM goose_db_version WHERE version_id > 1`)
	wantMessage(t, tryOpen(postgres.Config{URL: db.AppURL}), "run wedsyncd migrate")
}

// TestLogins: whoever may become wedsync_app may be the daemon's login; it then is that role.
func TestLogins(t *testing.T) {
	t.Run("stranger", func(t *testing.T) {
		db := testenv.Database(t)
		_, u := login(t, db, "")
		wantMessage(t, tryOpen(postgres.Config{URL: u}), "may not become wedsync_app")
	})
	t.Run("member", func(t *testing.T) {
		db := testenv.Database(t)
		name, u := login(t, db, "")
		exec(t, connect(t, db.OwnerURL), "GRANT wedsync_app TO "+name)
		if err := tryOpen(postgres.Config{URL: u}); err != nil {
			t.Error(err)
		}
	})
	t.Run("superuser", func(t *testing.T) {
		db := testenv.Database(t)
		seedRows(t, connect(t, db.OwnerURL))
		s := openURL(t, db.OwnerURL)
		r, err := s.ListInstances(as(t, s, developer, "staging"), fleet.InstanceFilter{}, fleet.Page{})
		if err != nil || r.Total != 1 {
			t.Errorf("reads %d instances, %v; want only staging's", r.Total, err)
		}
	})
	t.Run("the tables are the role's own", func(t *testing.T) {
		db := testenv.Database(t)
		exec(t, connect(t, db.OwnerURL), "ALTER TABLE container_definitions OWNER TO wedsync_app")
		wantMessage(t, tryOpen(postgres.Config{URL: db.AppURL}), "row level security would not hold")
	})
}

// emptyWithOwner is an empty database, and the URL of an owner that is no superuser.
func emptyWithOwner(t *testing.T) (db testenv.DB, ownerURL string) {
	t.Helper()
	testenv.Database(t) // so that the role wedsync_app is there
	db = testenv.EmptyDatabase(t)
	name, u := login(t, db, "CREATEROLE")
	conn := connect(t, db.OwnerURL)
	exec(t, conn, "GRANT ALL ON SCHEMA public TO "+name)
	exec(t, conn, "GRANT wedsync_app TO "+name+" WITH ADMIN OPTION")
	return db, u
}

// TestOrdinaryOwner migrates as an owner that is no superuser, as hosted databases have it.
func TestOrdinaryOwner(t *testing.T) {
	_, u := emptyWithOwner(t)
	if err := postgres.Migrate(t.Context(), u, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	s := openURL(t, u)
	ctx := as(t, s, admin, "*")
	call, _ := fleet.CallFrom(ctx)
	hash := sha256.Sum256([]byte(call.Principal.Name))
	if found, err := s.TokenByHash(t.Context(), hash[:]); err != nil || found.Principal.ID != call.Principal.ID {
		t.Errorf("found %+v, %v", found, err)
	}
	createDefinition(t, s, "api")
	// Forced row level security holds for the owner too.
	var n int
	if err := connect(t, u).QueryRow(t.Context(), "SELECT count(*) FROM container_definitions").Scan(&n); err != nil || n != 0 {
		t.Errorf("the owner reads %d rows without claims, %v", n, err)
	}
}

// TestMigrateTraffic: what answers already is registered, whoever owns the tables.
func TestMigrateTraffic(t *testing.T) {
	db, u := emptyWithOwner(t)
	if err := postgres.MigrateTo(t.Context(), u, 6, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db.OwnerURL)
	exec(t, conn, `INSERT INTO container_definitions (id, name, service_name, image_name) VALUES ('`+definitionID+`', 'api', 'api', 'wedsync/api')`)
	deployment, healthy, other := fmt.Sprintf(deploymentID, 0), fmt.Sprintf(instanceID, 0), fmt.Sprintf(instanceID, 1)
	exec(t, conn, `INSERT INTO deployment_history (id, definition_id, environment, deployment_type, image_tag, config_snapshot)
		VALUES ($1, '`+definitionID+`', 'staging', 'deploy', 'v1', '{"service_name": "api", "network_config": {"ports": [8080]}}')`, deployment)
	for id, health := range map[string]string{healthy: "healthy", other: "unhealthy"} {
		exec(t, conn, `INSERT INTO container_instances (id, definition_id, deployment_id, environment, instance_name, current_status, health_status, ip_address)
			VALUES ($1, '`+definitionID+`', $2, 'staging', $3, 'running', $3, '172.18.0.2')`, id, deployment, health)
	}
	if err := postgres.Migrate(t.Context(), u, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	got := endpoints(t, openURL(t, u), fleet.EndpointFilter{})
	if len(got) != 1 || got[0].InstanceID != healthy || got[0].URL != "http://172.18.0.2:8080" || got[0].HealthCheckURL != "" {
		t.Errorf("endpoints are %+v, want that of the healthy instance alone", got)
	}
}

// TestMigrateMetrics: what was posted before moves over, whoever owns the tables, but
// for what is no number.
func TestMigrateMetrics(t *testing.T) {
	db, u := emptyWithOwner(t)
	if err := postgres.MigrateTo(t.Context(), u, 8, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db.OwnerURL)
	seedRows(t, conn)
	instance := fmt.Sprintf(instanceID, 1)
	exec(t, conn, `INSERT INTO container_custom_metrics (instance_id, environment, metric_name, metric_value, collected_at) VALUES
		($1, 'staging', 'old', 0.5, $2), ($1, 'staging', 'bad', 'NaN', now()), ($1, 'staging', 'bad', 'Infinity', now())`, instance, testTime)
	if err := postgres.Migrate(t.Context(), u, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	openURL(t, u)
	var got string
	err := conn.QueryRow(t.Context(), `SELECT string_agg(metric_name || '=' || metric_value, ' ' ORDER BY metric_name, metric_value) FROM container_metrics WHERE instance_id = $1`, instance).Scan(&got)
	if err != nil || got != "cpu_percent=45.2 old=0.5 weddings=3" {
		t.Errorf("metrics are %s, %v", got, err)
	}
}

// TestMigrateRollbacks: rollbacks of before, and scalings of what they had brought
// back, get the settings of the rollout of the same version, whoever owns the tables.
func TestMigrateRollbacks(t *testing.T) {
	db, u := emptyWithOwner(t)
	if err := postgres.MigrateTo(t.Context(), u, 13, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db.OwnerURL)
	exec(t, conn, `INSERT INTO container_definitions (id, name, service_name, image_name) VALUES ('`+definitionID+`', 'api', 'api', 'wedsync/api')`)
	const hurried = `{"max_surge": "100%", "min_healthy_time": 0, "keep_warm_time": 0, "drain_time": 0}`
	rows := []struct {
		kind, status, digest, settings string
		drain                          int // wanted after
	}{
		{"deploy", "completed", "a", `{"max_surge": "25%", "min_healthy_time": 10, "keep_warm_time": 30, "drain_time": 25}`, 25},
		{"deploy", "failed", "a", `{"max_surge": "25%", "min_healthy_time": 10, "keep_warm_time": 30, "drain_time": 26}`, 26},
		{"deploy", "rolled_back", "b", `{"max_surge": "25%", "min_healthy_time": 10, "keep_warm_time": 30, "drain_time": 27}`, 27},
		{"rollback", "completed", "a", hurried, 25},
		{"scale", "completed", "a", hurried, 25},
		{"scale", "in_progress", "b", hurried, 27},
		{"rollback", "completed", "unknown", hurried, 0},
		{"deploy", "completed", "c", hurried, 0}, // as a user wanted it
		{"scale", "completed", "c", hurried, 0},
		{"scale", "completed", "a", `{"max_surge": "25%", "min_healthy_time": 0, "keep_warm_time": 0, "drain_time": 28}`, 28},
	}
	for k, r := range rows {
		exec(t, conn, `INSERT INTO deployment_history (id, definition_id, environment, deployment_type, deployment_status, image_tag, image_digest, config_snapshot, rollout_config)
			VALUES ($1, '`+definitionID+`', 'staging', $2, $3, 'v1', $4, '{}', $5)`, fmt.Sprintf(deploymentID, k), r.kind, r.status, r.digest, r.settings)
	}
	if err := postgres.Migrate(t.Context(), u, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	s := openURL(t, u)
	for k, r := range rows {
		if d, err := s.Deployment(system(t), fmt.Sprintf(deploymentID, k)); err != nil || d.Rollout.DrainTime != r.drain {
			t.Errorf("row %d, a %s that was %s, drains for %d s, %v; want %d", k, r.kind, r.status, d.Rollout.DrainTime, err, r.drain)
		}
	}
	var forced bool
	if err := conn.QueryRow(t.Context(), `SELECT relforcerowsecurity FROM pg_class WHERE oid = 'deployment_history'::regclass`).Scan(&forced); err != nil || !forced {
		t.Errorf("row level security is forced: %v, %v", forced, err)
	}
}

// TestMigrateRollouts: what ran before there were rollouts goes on as it was meant,
// whoever owns the tables.
func TestMigrateRollouts(t *testing.T) {
	db, u := emptyWithOwner(t)
	if err := postgres.MigrateTo(t.Context(), u, 5, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db.OwnerURL)
	seedRows(t, conn)
	healthy, other := fmt.Sprintf(instanceID, 0), fmt.Sprintf(instanceID, 1)
	exec(t, conn, `UPDATE container_instances SET started_at = $1, current_status = 'running'`, testTime)
	exec(t, conn, `UPDATE container_instances SET health_status = 'healthy' WHERE id = $1`, healthy)
	if err := postgres.Migrate(t.Context(), u, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	s := openURL(t, u)
	if i, err := s.Instance(system(t), healthy); err != nil || i.HealthySince == nil || !i.HealthySince.Equal(testTime) {
		t.Errorf("a healthy instance is healthy since %v, %v; want its start", i.HealthySince, err)
	}
	if i, err := s.Instance(system(t), other); err != nil || i.HealthySince != nil {
		t.Errorf("another instance is healthy since %v, %v", i.HealthySince, err)
	}
	d, err := s.Deployment(system(t), fmt.Sprintf(deploymentID, 0))
	if err != nil || !reflect.DeepEqual(d.Rollout, grammar.DefaultRollout(true)) || !reflect.DeepEqual(d.State, fleet.RolloutState{}) ||
		d.Strategy != fleet.StrategyRollingUpdate {
		t.Errorf("an earlier deployment reads as %+v, %v", d, err)
	}
	var forced bool
	if err := conn.QueryRow(t.Context(), `SELECT relforcerowsecurity FROM pg_class WHERE oid = 'container_instances'::regclass`).Scan(&forced); err != nil || !forced {
		t.Errorf("row level security is forced: %v, %v", forced, err)
	}
}

// TestMigrateSettled: what was healthy without a break is taken to have settled.
func TestMigrateSettled(t *testing.T) {
	db, u := emptyWithOwner(t)
	if err := postgres.MigrateTo(t.Context(), u, 11, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db.OwnerURL)
	seedRows(t, conn)
	healthy, other := fmt.Sprintf(instanceID, 0), fmt.Sprintf(instanceID, 1)
	exec(t, conn, `UPDATE container_instances SET started_at = $1, current_status = 'running', healthy_since = $1, health_status = 'healthy'`, testTime)
	exec(t, conn, `UPDATE container_instances SET healthy_since = NULL WHERE id = $1`, other)
	if err := postgres.Migrate(t.Context(), u, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	s := openURL(t, u)
	for id, want := range map[string]*time.Time{healthy: &testTime, other: nil} {
		if i, err := s.Instance(system(t), id); err != nil || !reflect.DeepEqual(i.SettledAt, want) {
			t.Errorf("%s settled at %v, %v; want %v", id, i.SettledAt, err, want)
		}
	}
	var forced bool
	if err := conn.QueryRow(t.Context(), `SELECT relforcerowsecurity FROM pg_class WHERE oid = 'container_instances'::regclass`).Scan(&forced); err != nil || !forced {
		t.Errorf("row level security is forced: %v, %v", forced, err)
	}
}

func TestMigrateTwiceAndAtOnce(t *testing.T) {
	db := testenv.EmptyDatabase(t)
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- postgres.Migrate(t.Context(), db.OwnerURL, slog.New(slog.DiscardHandler)) }()
	}
	for range cap(errs) {
		if err := receive(t, "a migration", errs); err != nil {
			t.Error(err)
		}
	}
	s := openURL(t, db.AppURL)
	id, err := s.Installation(t.Context())
	if err != nil || id == "" {
		t.Errorf("installation is %q, %v", id, err)
	}
	if err := postgres.Migrate(t.Context(), db.OwnerURL, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	if again, err := s.Installation(t.Context()); err != nil || again != id {
		t.Errorf("installation became %q, %v; was %q", again, err, id)
	}
}

func TestMaintain(t *testing.T) {
	s, db := open(t)
	conn := connect(t, db.OwnerURL)
	exec(t, conn, `DO $$ DECLARE p regclass; BEGIN FOR p IN SELECT inhrelid::regclass FROM pg_inherits
		WHERE inhparent = 'container_metric_samples'::regclass LOOP EXECUTE 'DROP TABLE ' || p; END LOOP; END $$`)
	if err := s.Maintain(system(t)); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_inherits WHERE inhparent = 'container_metric_samples'::regclass`).Scan(&n); err != nil || n != 16 {
		t.Errorf("%d partitions, %v; want yesterday's, today's and a fortnight's", n, err)
	}
}

// TestLostConnections: a server that goes away is unavailable, and no more once it is back.
func TestLostConnections(t *testing.T) {
	s, db := open(t)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, db.OwnerURL), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'wedsync_app'`)
	waitFor(t, "the connections to be made anew", func() bool {
		_, err := s.Workloads(system(t))
		if err != nil {
			wantKind(t, err, fleet.ErrUnavailable)
		}
		return err == nil
	})
	s.Close()
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
}
