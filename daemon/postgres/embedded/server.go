package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"
)

const (
	ownerRole = "wedsync"
	appRole   = "wedsync_app"
	database  = "wedsync"
	port      = "5432"

	lockPatience   = 5 * time.Second  // a daemon that is stopping lets go within this time
	attachPatience = 30 * time.Second // a daemon that is starting has its server up within this time
	readyPatience  = 5 * time.Minute  // recovery after a crash may take a while
	fastPatience   = 30 * time.Second // for a fast shutdown
	harshPatience  = 10 * time.Second // for an immediate one
)

// Config says where the server's files are.
type Config struct {
	// DataDir is the daemon's data directory; it must exist.
	DataDir string
	// Settings are server settings beside those that this package makes, which
	// they override.
	Settings map[string]string
	Logger   *slog.Logger
}

// Server is a running Postgres server.
type Server struct {
	log     *slog.Logger
	layout  layout
	lock    *os.File      // nil: another process's server
	pid     int           // zero: another process's server
	done    chan struct{} // closed when the server has ended
	stopped bool
}

// Start starts the server, or finds the one that a daemon which was killed has
// left running. The server is this process's alone until Stop: another Start on
// the same data directory fails. ErrNotInstalled when the machine lacks Postgres.
func Start(ctx context.Context, c Config) (*Server, error) {
	l, err := newLayout(c.DataDir)
	if err != nil {
		return nil, err
	}
	lock, err := awaitLock(ctx, l.lock, lockPatience)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("another wedsyncd uses the data directory %s: stop it, or choose another directory", c.DataDir)
	}
	if err != nil {
		return nil, err
	}
	return startLocked(ctx, c, l, lock)
}

// Attach is Start for a process that works beside a daemon: where a daemon holds
// the server, it uses that and Stop leaves it running.
func Attach(ctx context.Context, c Config) (*Server, error) {
	l, err := newLayout(c.DataDir)
	if err != nil {
		return nil, err
	}
	lock, err := tryLock(l.lock)
	if err == nil {
		return startLocked(ctx, c, l, lock)
	}
	if !errors.Is(err, errLocked) {
		return nil, err
	}
	if err := l.adopt(); err != nil {
		return nil, err
	}
	s := &Server{log: c.Logger, layout: l}
	if err := s.awaitAnswer(ctx, attachPatience); err != nil {
		return nil, fmt.Errorf("reach the running wedsyncd's Postgres: %w", err)
	}
	return s, nil
}

func startLocked(ctx context.Context, c Config, l layout, lock *os.File) (_ *Server, err error) {
	s := &Server{log: c.Logger, layout: l, lock: lock, done: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err := s.layout.make(); err != nil {
		return nil, err
	}
	if err := s.findOrLaunch(ctx, c); err != nil {
		return nil, err
	}
	if err := s.createDatabase(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// findOrLaunch looks again when a launched server ends at once because of one
// that a killed daemon had launched a moment before.
func (s *Server) findOrLaunch(ctx context.Context, c Config) error {
	found, err := s.reuse(ctx)
	if found || err != nil {
		return err
	}
	launchErr := s.launch(ctx, c)
	if !errors.Is(launchErr, errEnded) {
		return launchErr
	}
	s.pid, s.done = 0, make(chan struct{})
	if found, err = s.reuse(ctx); found || err != nil {
		return err
	}
	return launchErr
}

// OwnerURL logs in as the superuser that owns the database: for migrations.
func (s *Server) OwnerURL() string { return s.layout.url(ownerRole, database) }

// AppURL logs in as the unprivileged role that the first migration makes.
func (s *Server) AppURL() string { return s.layout.url(appRole, database) }

// Pid is the server's process, zero for one that was attached to.
func (s *Server) Pid() int { return s.pid }

// Done is closed when the server has ended, by Stop or by itself. It is nil for
// a server that was attached to.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the server: connections are closed, the rest is written down. It is
// forced where that does not happen in time. A server that was attached to goes on.
func (s *Server) Stop() error {
	if s.lock == nil || s.stopped {
		return nil
	}
	s.stopped = true
	defer func() { _ = s.lock.Close() }()
	if s.pid == 0 {
		return nil
	}
	err := s.end()
	s.layout.clean()
	return err
}

func (s *Server) end() error {
	for _, step := range []struct {
		signal   syscall.Signal
		patience time.Duration
	}{{syscall.SIGINT, fastPatience}, {syscall.SIGQUIT, harshPatience}, {syscall.SIGKILL, harshPatience}} {
		if err := syscall.Kill(s.pid, step.signal); errors.Is(err, syscall.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("stop Postgres: %w", err)
		}
		select {
		case <-s.done:
			return nil
		case <-time.After(step.patience):
			s.log.Warn("Postgres does not stop; insisting", "signal", step.signal.String(), "pid", s.pid)
		}
	}
	return fmt.Errorf("stop Postgres: process %d does not end", s.pid)
}
