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

// reuse finds a server that an earlier daemon has left running. A pid file that
// a crash has left behind is removed, since Postgres would believe it when the
// number belongs to another process now.
func (s *Server) reuse(ctx context.Context) (bool, error) {
	file := filepath.Join(s.layout.data, "postmaster.pid")
	pid, err := readPid(file)
	if err != nil || pid == 0 {
		return false, err
	}
	if !serves(pid, s.layout.data) {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("remove a crashed server's pid file: %w", err)
		}
		return false, nil
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

// serves reports whether a process is alive and the server of the cluster: every
// server's working directory is its cluster's. Where the system does not tell
// that, every live process counts.
func serves(pid int, data string) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	if _, err := os.Stat("/proc/self"); err != nil {
		return true
	}
	if stat, err := os.ReadFile(filepath.Join(proc, "stat")); err == nil && isZombie(string(stat)) {
		return false
	}
	cwd, err := os.Stat(filepath.Join(proc, "cwd"))
	if err != nil {
		return false
	}
	info, err := os.Stat(data)
	return err == nil && os.SameFile(cwd, info)
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
	conn, err := pgx.Connect(ctx, s.url(ownerRole, "postgres"))
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
