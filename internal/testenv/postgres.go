package testenv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/embedded"
)

const (
	// postgresVariable names a server for tests by the URL of a superuser.
	postgresVariable = "WEDSYNC_TEST_POSTGRES_URL"
	// appPassword lets tests log in as the unprivileged role over any connection.
	appPassword = "for-tests-only"
	// databasePatience bounds making and dropping a test's database.
	databasePatience = 2 * time.Minute
)

// DB is a migrated database of one test.
type DB struct {
	// OwnerURL logs in as a superuser, whom no policy binds.
	OwnerURL string
	// AppURL logs in as wedsync_app.
	AppURL string
}

// Database makes a database for the test, with the current schema and nothing in
// it, and drops it when the test ends. The server is the one that
// WEDSYNC_TEST_POSTGRES_URL names, or one that is started for this test program
// and ends with it.
func Database(t testing.TB) DB {
	t.Helper()
	db := makeDatabase(t, templateOf)
	ctx, cancel := context.WithTimeout(context.Background(), databasePatience)
	defer cancel()
	// Each is an installation of its own, not the template's: their containers must not be mixed up.
	if err := execute(ctx, db.OwnerURL, "UPDATE installation SET id = gen_random_uuid()"); err != nil {
		t.Fatalf("name the installation: %v", err)
	}
	return db
}

// EmptyDatabase is Database without a schema: for testing migrations.
func EmptyDatabase(t testing.TB) DB {
	t.Helper()
	return makeDatabase(t, func(context.Context, string) (string, error) { return "template1", nil })
}

func makeDatabase(t testing.TB, templateOf func(ctx context.Context, server string) (string, error)) DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databasePatience)
	defer cancel()
	server, err := postgresServer()
	if err != nil {
		t.Fatalf("reach a Postgres server: %v", err)
	}
	template, err := templateOf(ctx, server)
	if err != nil {
		t.Fatalf("make template database: %v", err)
	}
	name := "wedsync_test_" + randomHex()
	if err := administer(ctx, server, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatalf("make database: %v", err)
	}
	t.Cleanup(func() { dropDatabase(t, server, name) })
	return DB{
		OwnerURL: databaseURL(server, name, nil),
		AppURL:   databaseURL(server, name, url.UserPassword(postgres.Role, appPassword)),
	}
}

func dropDatabase(t testing.TB, server, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databasePatience)
	defer cancel()
	if err := administer(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		t.Errorf("drop database: %v", err)
	}
}

// StartPostgres starts a server for tests in dir, which it makes: fast, and not
// safe against a crash of the machine. The URL is a superuser's.
func StartPostgres(ctx context.Context, dir string) (serverURL string, stop func() error, err error) {
	server, err := startServer(ctx, dir)
	if err != nil {
		return "", nil, err
	}
	return server.OwnerURL(), server.Stop, nil
}

func startServer(ctx context.Context, dir string) (*embedded.Server, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	return embedded.Start(ctx, embedded.Config{
		DataDir: dir,
		Logger:  slog.New(slog.DiscardHandler),
		Settings: map[string]string{
			"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off",
			"max_connections": "400", "max_wal_size": "4GB", "autovacuum_naptime": "10s",
		},
	})
}

// postgresServer is the URL of a superuser on the server for tests.
var postgresServer = sync.OnceValues(func() (string, error) {
	if u := os.Getenv(postgresVariable); u != "" {
		return u, nil
	}
	dir, err := os.MkdirTemp("", "wedsync-test-")
	if err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("open directory: %w", err)
	}
	server, err := startServer(context.Background(), dir)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	if err := endWithProcess(server, dir); err != nil {
		return "", errors.Join(err, server.Stop(), os.RemoveAll(dir))
	}
	return server.OwnerURL(), nil
})

// endWithProcess leaves a shell behind that stops the server and removes its
// files when this process ends, however it ends: the pipe to the shell is closed then.
func endWithProcess(server *embedded.Server, dir string) error {
	const script = `cat >/dev/null
kill -QUIT "$1"
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done
rm -rf "$2"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", strconv.Itoa(server.Pid()), dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("tie the server to this process: %w", err)
	}
	keptPipe = pipe
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("tie the server to this process: %w", err)
	}
	return nil
}

// keptPipe stays open as long as this process lives.
var keptPipe io.WriteCloser //nolint:unused // to be held is its use

// templateOf is the server's template database with the current schema. Test
// programs that need it at the same time take turns to make it.
func templateOf(ctx context.Context, server string) (string, error) {
	hash, err := postgres.SchemaHash()
	if err != nil {
		return "", err
	}
	name := "wedsync_template_" + hash
	return name, withConn(ctx, databaseURL(server, "postgres", nil), func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('wedsync_test_template'))"); err != nil {
			return err
		}
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
			return err
		}
		return makeTemplate(ctx, conn, server, name)
	})
}

// makeTemplate migrates under another name first, so that a template that was
// interrupted is never taken for whole.
func makeTemplate(ctx context.Context, conn *pgx.Conn, server, name string) error {
	fresh := name + "_new"
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + fresh + " WITH (FORCE)", "CREATE DATABASE " + fresh} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := postgres.Migrate(ctx, databaseURL(server, fresh, nil), slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	for _, sql := range []string{
		"ALTER ROLE " + postgres.Role + " PASSWORD '" + appPassword + "'",
		"ALTER DATABASE " + fresh + " RENAME TO " + name,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func administer(ctx context.Context, server, sql string) error {
	return execute(ctx, databaseURL(server, "postgres", nil), sql)
}

func execute(ctx context.Context, databaseURL, sql string) error {
	return withConn(ctx, databaseURL, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

func withConn(ctx context.Context, databaseURL string, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return f(conn)
}

// databaseURL is a server's URL with another database and, unless nil, another login.
func databaseURL(server, database string, login *url.Userinfo) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // connecting says what is wrong with it
	}
	u.Path = "/" + database
	if login != nil {
		u.User = login
	}
	return u.String()
}

func randomHex() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
