package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// watchEvery is how often a server that is not our child is looked after.
const watchEvery = 200 * time.Millisecond

// orphanPatience is how long the processes of a killed server may take to notice it.
const orphanPatience = 30 * time.Second

const pidFile = "postmaster.pid"

// reuse finds a server that an earlier daemon has left running. Where there is
// none it clears away what a crash has left behind.
func (s *Server) reuse(ctx context.Context) (bool, error) {
	pid, err := s.find(ctx)
	if err != nil {
		return false, err
	}
	if pid == 0 {
		return false, s.layout.clearStale()
	}
	s.pid = pid
	go s.watch(pid)
	err = s.awaitAnswer(ctx, readyPatience)
	if errors.Is(err, errEnded) { // it was stopping
		s.pid, s.done = 0, make(chan struct{})
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("go on with the running Postgres: %w", err)
	}
	s.log.Info("found Postgres running", "pid", pid, "socket", s.layout.socketDir)
	return true, nil
}

// find is the process of a running server, zero when there is none. After a
// server was killed it waits for the processes that it had begun, since two
// servers on one cluster would destroy it.
func (s *Server) find(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	for {
		pid, err := readPid(filepath.Join(s.layout.data, pidFile))
		if err != nil {
			return 0, err
		}
		if pid != 0 && serves(pid, s.layout.data) {
			return pid, nil
		}
		orphans := serversIn(s.layout.data)
		if len(orphans) == 0 {
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("processes %v of a Postgres that has crashed still use the database in %s: end them", orphans, s.layout.data)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// clearStale removes the marks of a server that is gone. Postgres would believe
// them when their process numbers belong to other processes now.
func (l layout) clearStale() error {
	socket := filepath.Join(l.socketDir, ".s.PGSQL."+port)
	for _, path := range []string{filepath.Join(l.data, pidFile), socket + ".lock", socket} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what a crashed Postgres has left: %w", err)
		}
	}
	return nil
}

// watch closes done when a server that is not our child has ended.
func (s *Server) watch(pid int) {
	done := s.done
	for serves(pid, s.layout.data) {
		time.Sleep(watchEvery)
	}
	close(done)
}

// readPid is the first line of a pid file, zero when there is none.
func readPid(path string) (int, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read pid file: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 0 {
		return 0, nil //nolint:nilerr // a crash in the middle of writing it
	}
	return pid, nil
}

// serves reports whether a process is alive and of the cluster's server. Where the
// system does not tell, every live process counts.
func serves(pid int, data string) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return true
	}
	info, err := os.Stat(data)
	return err == nil && worksIn(pid, info)
}

// serversIn lists the processes of the cluster's server, where the system tells.
func serversIn(data string) []int {
	info, err := os.Stat(data)
	if err != nil {
		return nil
	}
	entries, _ := os.ReadDir("/proc") // none where there is no such directory
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && worksIn(pid, info) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// worksIn reports whether a process is Postgres's and works in a cluster: all
// processes of a server have its directory as their working directory.
func worksIn(pid int, cluster fs.FileInfo) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil || !strings.Contains(string(stat), "(postgres)") || isZombie(string(stat)) {
		return false
	}
	cwd, err := os.Stat(filepath.Join(proc, "cwd"))
	return err == nil && os.SameFile(cwd, cluster)
}

// isZombie reads the state behind the program's name, which may hold anything but ends with the last parenthesis.
func isZombie(stat string) bool {
	_, rest, _ := cutLast(stat, ")")
	return strings.HasPrefix(strings.TrimSpace(rest), "Z")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

var errEnded = errors.New("the server has ended")

// awaitAnswer waits until the server answers. It gives up when the server ends.
func (s *Server) awaitAnswer(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := s.query(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("wait for an answer: %w", err)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

func (s *Server) query(ctx context.Context, sql string) error {
	return s.withConn(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

func (s *Server) withConn(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.layout.url(ownerRole, "postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return f(conn)
}

// createDatabase makes the daemon's database unless it is there.
func (s *Server) createDatabase(ctx context.Context) error {
	err := s.withConn(ctx, func(conn *pgx.Conn) error {
		var there bool
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&there)
		if err != nil || there {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE DATABASE "+database)
		return err
	})
	if err != nil {
		return fmt.Errorf("make database %s: %w", database, err)
	}
	return nil
}
