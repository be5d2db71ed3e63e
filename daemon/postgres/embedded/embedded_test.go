package embedded_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/embedded"
)

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var v T
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestLife: a server outlives the kill of its daemon, is found by the next, ends
// with that one, and has kept everything when it is started again.
func TestLife(t *testing.T) {
	t.Parallel()
	for _, r := range runners(t) {
		t.Run(r.name, func(t *testing.T) {
			dir := r.dataDir(t)
			first := r.mustStart(t, dir)
			execute(t, first.url, "CREATE TABLE kept AS SELECT 42 AS n")
			if got := query[string](t, first.url, "SELECT current_database() || ' ' || current_user || ' [' || current_setting('listen_addresses') || ']'"); got != "wedsync wedsync []" {
				t.Errorf("the server is %q", got)
			}
			wantOwnSession(t, first)
			first.kill(t)
			if !alive(first.pid) {
				t.Fatal("the server died with its daemon")
			}
			second := r.mustStart(t, dir)
			if second.pid != first.pid {
				t.Errorf("the server is process %d, want %d as before", second.pid, first.pid)
			}
			second.stop(t)
			if alive(first.pid) {
				t.Error("the server outlives a daemon that stopped")
			}
			third := r.mustStart(t, dir)
			if third.pid == first.pid || query[int](t, third.url, "SELECT n FROM kept") != 42 {
				t.Errorf("started again as process %d", third.pid)
			}
			third.stop(t)
		})
	}
}

// wantOwnSession: signals of the daemon's terminal do not reach the server, and it is not root.
func wantOwnSession(t *testing.T, c *child) {
	t.Helper()
	group, err := syscall.Getpgid(c.pid)
	if err != nil || group != c.pid {
		t.Errorf("the server is in process group %d, %v; want its own", group, err)
	}
	info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(c.pid)))
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid == 0 {
		t.Error("the server runs as root")
	}
}

// TestCrash: daemon and server are killed, and the pid file that is left says
// something misleading besides.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, r := range runners(t) {
		dir := r.dataDir(t)
		first := r.mustStart(t, dir)
		execute(t, first.url, "CREATE TABLE kept AS SELECT 42 AS n")
		first.stop(t)
		for name, left := range map[string]string{
			"as it was":                  "",
			"number of another process":  strconv.Itoa(os.Getpid()) + "\n/nowhere\n",
			"number of no process":       "4194303\n",
			"written halfway":            "\n",
			"number of the first of all": "1\n",
		} {
			t.Run(r.name+"/"+name, func(t *testing.T) {
				crashed := r.mustStart(t, dir)
				crashed.kill(t)
				if err := syscall.Kill(crashed.pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				waitFor(t, "the server to die", func() bool { return !alive(crashed.pid) })
				if left != "" {
					path := filepath.Join(dir, "postgres", "data", "postmaster.pid")
					if err := os.WriteFile(path, []byte(left), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				next := r.mustStart(t, dir)
				if query[int](t, next.url, "SELECT n FROM kept") != 42 {
					t.Error("the row is lost")
				}
				next.stop(t)
			})
		}
	}
}

func TestOneDaemonAtATime(t *testing.T) {
	t.Parallel()
	for _, r := range runners(t) {
		t.Run(r.name, func(t *testing.T) {
			dir := r.dataDir(t)
			first := r.mustStart(t, dir)
			if second := r.start(t, dir); second.url != "" || !strings.Contains(second.says, "another wedsyncd uses the data directory") {
				t.Errorf("a second daemon got %q and says %q", second.url, second.says)
			}
			guest := r.mustStart(t, dir, childVariable+"_ATTACH=1")
			if query[int](t, guest.url, "SELECT 1") != 1 || guest.url != first.url {
				t.Errorf("attached to %s, want %s", guest.url, first.url)
			}
			guest.stop(t)
			if !alive(first.pid) {
				t.Error("the server ended with a guest")
			}
			first.stop(t)
			alone := r.mustStart(t, dir, childVariable+"_ATTACH=1")
			alone.stop(t)
			if alive(alone.pid) {
				t.Error("a server that nobody else uses outlives who started it")
			}
		})
	}
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	for _, r := range runners(t) {
		t.Run(r.name, func(t *testing.T) {
			long := filepath.Join(r.dataDir(t), strings.Repeat("d", 100))
			if err := os.Mkdir(long, 0o711); err != nil {
				t.Fatal(err)
			}
			if r.credential != nil {
				if err := os.Chown(long, int(r.credential.Uid), int(r.credential.Gid)); err != nil {
					t.Fatal(err)
				}
			}
			endServer(t, long)
			first := r.mustStart(t, long)
			config, err := pgx.ParseConfig(first.url)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(config.Host)
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the socket's directory %s is %v, %v; want it closed to others", config.Host, info, err)
			}
			first.kill(t)
			second := r.mustStart(t, long)
			if second.pid != first.pid {
				t.Errorf("the server is process %d, want %d as before", second.pid, first.pid)
			}
			second.stop(t)
			if _, err := os.Stat(config.Host); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket's directory is left behind: %v", err)
			}
		})
	}
}

// TestClosedParents: below directories that only root may pass through, such as
// /root, the server works all the same. For an ordinary user there are none.
func TestClosedParents(t *testing.T) {
	t.Parallel()
	r := runners(t)[0]
	closed := filepath.Join(openTempDir(t), "closed")
	dir := filepath.Join(closed, "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	endServer(t, dir)
	first := r.mustStart(t, dir)
	execute(t, first.url, "CREATE TABLE kept AS SELECT 42 AS n")
	execute(t, first.url, "SELECT pg_reload_conf()")
	first.kill(t)
	second := r.mustStart(t, dir)
	if second.pid != first.pid || query[int](t, second.url, "SELECT n FROM kept") != 42 {
		t.Errorf("the server is process %d, want %d as before", second.pid, first.pid)
	}
	second.stop(t)
	third := r.mustStart(t, dir)
	if query[int](t, third.url, "SELECT n FROM kept") != 42 {
		t.Error("the row is lost")
	}
	third.stop(t)
}

// TestInterruptedInit: what an initdb that was killed has left is not taken for a database.
func TestInterruptedInit(t *testing.T) {
	t.Parallel()
	r := runners(t)[0]
	dir := r.dataDir(t)
	half := filepath.Join(dir, "postgres", "data.new", "base")
	if err := os.MkdirAll(half, 0o711); err != nil {
		t.Fatal(err)
	}
	c := r.mustStart(t, dir)
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half database is left: %v", err)
	}
	c.stop(t)
}

func TestForeignDirectory(t *testing.T) {
	t.Parallel()
	r := runners(t)[0]
	dir := r.dataDir(t)
	data := filepath.Join(dir, "postgres", "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(data, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if c := r.start(t, dir); !strings.Contains(c.says, "is not a Postgres database") {
		t.Errorf("the daemon says %q", c.says)
	}
}

func TestDone(t *testing.T) {
	t.Parallel()
	dir := runners(t)[0].dataDir(t)
	s, err := embedded.Start(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if err := s.Stop(); err != nil {
		t.Errorf("stop a server that has ended: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stop twice: %v", err)
	}
}

// fake puts programs of a version into a directory.
func fake(t *testing.T, version string) string {
	t.Helper()
	dir := filepath.Join(openTempDir(t), "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNotInstalled(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	t.Run("nothing", func(t *testing.T) {
		embedded.SetPlaces(t, "/nowhere/*/bin")
		_, err := embedded.Start(t.Context(), config(runners(t)[0].dataDir(t)))
		if !errors.Is(err, embedded.ErrNotInstalled) || !strings.Contains(err.Error(), "apt-get install postgresql") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("too old", func(t *testing.T) {
		embedded.SetPlaces(t, fake(t, "13.4 (Debian)"))
		_, err := embedded.Start(t.Context(), config(runners(t)[0].dataDir(t)))
		if !errors.Is(err, embedded.ErrNotInstalled) || !strings.Contains(err.Error(), "the newest here is Postgres 13, wedsyncd needs 15") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("client only", func(t *testing.T) {
		bin := fake(t, "17.2")
		if err := os.Remove(filepath.Join(bin, "initdb")); err != nil {
			t.Fatal(err)
		}
		embedded.SetPlaces(t, bin)
		_, err := embedded.Start(t.Context(), config(runners(t)[0].dataDir(t)))
		if !errors.Is(err, embedded.ErrNotInstalled) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestOtherVersion(t *testing.T) {
	dir := runners(t)[0].dataDir(t)
	s, err := embedded.Start(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	version, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "PG_VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("only others are here", func(t *testing.T) {
		t.Setenv("PATH", "/nowhere")
		embedded.SetPlaces(t, fake(t, "99.1"), fake(t, "98beta1"))
		_, err := embedded.Start(t.Context(), config(dir))
		want := "holds a database of Postgres " + strings.TrimSpace(string(version)) + ", but this machine has Postgres 99, 98"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	})
	t.Run("a newer one is here too", func(t *testing.T) {
		t.Setenv("PATH", fake(t, "99.1")+":"+os.Getenv("PATH"))
		s, err := embedded.Start(t.Context(), config(dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestServerThatCannotStart(t *testing.T) {
	t.Parallel()
	c := config(runners(t)[0].dataDir(t))
	c.Settings["shared_buffers"] = "nonsense"
	_, err := embedded.Start(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("error is %v, want what the server says", err)
	}
}
