package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// settings of every server. Errors of single statements are the daemon's to
// report; the server's log has what concerns the server.
var settings = map[string]string{
	"listen_addresses":        "",
	"port":                    port,
	"unix_socket_permissions": "0700",
	"max_connections":         "100",
	"log_min_messages":        "log",
	"log_min_error_statement": "panic", // statements can hold secrets
	"log_checkpoints":         "off",
	"logging_collector":       "off",
	"log_destination":         "stderr",
	"log_timezone":            "UTC",
	"timezone":                "UTC",
}

// launch starts the server, on a new cluster where there is none, and waits until it answers.
func (s *Server) launch(ctx context.Context, c Config) error {
	major, err := clusterVersion(s.layout.data)
	if err != nil {
		return err
	}
	bin, err := findBinaries(ctx, s.layout.account, major)
	if err != nil {
		return err
	}
	if major == 0 {
		s.log.Info("making a database", "postgres", bin.major, "directory", s.layout.data)
		if err := s.initCluster(ctx, bin, c.Settings["fsync"] != "off"); err != nil {
			return err
		}
	}
	if err := s.run(bin, c); err != nil {
		return err
	}
	if err := s.awaitAnswer(ctx, readyPatience); err != nil {
		return fmt.Errorf("start Postgres: %w%s", err, s.logTail())
	}
	s.log.Info("started Postgres", "version", bin.major, "pid", s.pid, "socket", s.layout.socketDir)
	return nil
}

// clusterVersion is the major version of the cluster, zero when there is none.
func clusterVersion(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(data); err == nil {
			return 0, fmt.Errorf("the directory %s is not a Postgres database (it has no file PG_VERSION): move it away", data)
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of the database: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("read version of the database: %q is not a version", b)
	}
	return major, nil
}

// initCluster makes a cluster under another name first, so that one that was
// interrupted is never taken for whole.
func (s *Server) initCluster(ctx context.Context, bin binaries, sync bool) error {
	l := s.layout
	if err := os.RemoveAll(l.fresh); err != nil {
		return fmt.Errorf("remove a database that was not finished: %w", err)
	}
	if err := l.account.makeDir(l.fresh); err != nil {
		return err
	}
	files, err := l.openFor(l.fresh)
	if err != nil {
		return err
	}
	defer files.close()
	args := []string{
		"--pgdata=" + files.path(l.fresh), "--username=" + ownerRole, "--encoding=UTF8", "--locale=C",
		"--auth-local=trust", "--auth-host=reject", "--no-instructions",
	}
	if !sync {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, bin.path("initdb"), args...)
	s.prepare(cmd, bin, files)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make database with initdb: %w: %s", err, lastLines(out.String()))
	}
	// The socket is the only way in; nothing else is ever accepted.
	hba := filepath.Join(l.fresh, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("local all all trust\n"), 0o600); err != nil {
		return fmt.Errorf("write access rules: %w", err)
	}
	if err := os.Rename(l.fresh, l.data); err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	return nil
}

// run starts the server process. It outlives this one.
func (s *Server) run(bin binaries, c Config) error {
	l := s.layout
	files, err := l.openFor(l.data, l.socketDir)
	if err != nil {
		return err
	}
	defer files.close()
	log, err := freshLog(l.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	all := maps.Clone(settings)
	all["unix_socket_directories"] = files.path(l.socketDir)
	maps.Copy(all, c.Settings)
	args := []string{"-D", files.path(l.data)}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	cmd := exec.Command(bin.path("postgres"), args...) //nolint:noctx // found by findBinaries; Stop ends it
	s.prepare(cmd, bin, files)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	s.pid = cmd.Process.Pid
	done := s.done
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	return nil
}

// prepare gives a program the account, the open directories and an environment
// that holds nothing of the daemon's.
func (s *Server) prepare(cmd *exec.Cmd, bin binaries, files openDirs) {
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + bin.dir + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = s.layout.account.attributes()
	cmd.ExtraFiles = files.files
}

// openDirs are directories that a program is handed as open files.
type openDirs struct {
	files []*os.File
	paths map[string]string
}

// openFor opens those of the directories that the account could not reach by their paths.
func (l layout) openFor(dirs ...string) (openDirs, error) {
	o := openDirs{paths: map[string]string{}}
	for _, dir := range dirs {
		if l.account.mayReach(dir) {
			continue
		}
		f, err := os.Open(dir)
		if err != nil {
			o.close()
			return o, fmt.Errorf("open directory of Postgres: %w", err)
		}
		o.files = append(o.files, f)
		o.paths[dir] = "/proc/self/fd/" + strconv.Itoa(2+len(o.files)) // behind the three standard ones
	}
	return o, nil
}

func (o openDirs) path(dir string) string {
	if p, ok := o.paths[dir]; ok {
		return p
	}
	return dir
}

func (o openDirs) close() {
	for _, f := range o.files {
		_ = f.Close()
	}
}

// freshLog opens an empty log and keeps the last run's beside it.
func freshLog(path string) (*os.File, error) {
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("rotate Postgres's log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open Postgres's log: %w", err)
	}
	return f, nil
}

// logTail is the end of the server's log, to put behind an error.
func (s *Server) logTail() string {
	b, err := os.ReadFile(s.layout.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	return "; it says: " + lastLines(string(b))
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " / ")
}
