package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/embedded"
)

// patience bounds what a test waits for; reaching it is a failure.
const patience = time.Minute

// childVariable makes this test program a daemon of a kind: it runs a server in
// the named directory until its standard input ends.
const childVariable = "WEDSYNC_TEST_EMBEDDED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(serve(dir, os.Getenv(childVariable+"_ATTACH") != ""))
	}
	code := 1
	if dir, err := copyProgram(); err == nil {
		code = m.Run()
		_ = os.RemoveAll(dir)
	} else {
		fmt.Println("copy the test program:", err)
	}
	os.Exit(code)
}

// program is a copy of this program that every user may run.
var program string

func copyProgram() (dir string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "wedsync-program-"); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "embedded.test")
	return dir, errors.Join(os.Chmod(dir, 0o755), os.WriteFile(program, b, 0o755))
}

func serve(dir string, attach bool) int {
	start := embedded.Start
	if attach {
		start = embedded.Attach
	}
	s, err := start(context.Background(), config(dir))
	if err != nil {
		fmt.Println("failed", err)
		return 1
	}
	fmt.Println("ready", s.Pid(), s.OwnerURL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Stop(); err != nil {
		fmt.Println("failed", err)
		return 1
	}
	fmt.Println("stopped")
	return 0
}

func config(dir string) embedded.Config {
	return embedded.Config{
		DataDir: dir, Logger: slog.New(slog.DiscardHandler),
		Settings: map[string]string{"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"},
	}
}

// runner is the user that a test's daemons run as.
type runner struct {
	name       string
	credential *syscall.Credential // nil: this process's own
}

// runners are root and an ordinary user, or where the tests do not run as root the
// user that they run as.
func runners(t *testing.T) []runner {
	t.Helper()
	if os.Geteuid() != 0 {
		return []runner{{name: "user"}}
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, errU := strconv.ParseUint(u.Uid, 10, 32)
	gid, errG := strconv.ParseUint(u.Gid, 10, 32)
	if errU != nil || errG != nil {
		t.Fatal(errU, errG)
	}
	return []runner{
		{name: "root"},
		{name: "user", credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}},
	}
}

// dataDir is a data directory of the runner, whose server is ended with the test.
func (r runner) dataDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(openTempDir(t), "data")
	if err := os.Mkdir(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if r.credential != nil {
		if err := os.Chown(dir, int(r.credential.Uid), int(r.credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	endServer(t, dir)
	return dir
}

// openTempDir is a short directory that everybody may pass through.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wedsync-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// endServer ends what still runs in the data directory when the test ends.
func endServer(t *testing.T, dir string) {
	t.Cleanup(func() {
		if pid := postmaster(dir); pid != 0 && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGQUIT)
			waitFor(t, "the server to end", func() bool { return !alive(pid) })
		}
	})
}

// postmaster is the pid in the data directory's pid file, zero without one.
func postmaster(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, _ := strconv.Atoi(line)
	return pid
}

// alive reports whether a process runs; one that has ended but is not waited for does not.
func alive(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z")
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// child is a daemon in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
	pid   int // the server's
	url   string
	says  string // why it failed
}

// start starts a daemon and waits until its server answers or it has failed.
func (r runner) start(t *testing.T, dir string, env ...string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(program)}
	c.cmd.Dir = "/"
	c.cmd.Env = append(os.Environ(), append(env, childVariable+"="+dir)...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: r.credential}
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin, c.lines = stdin, bufio.NewScanner(stdout)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	c.lines.Scan()
	word, rest, _ := strings.Cut(c.lines.Text(), " ")
	if word != "ready" {
		c.says = rest
		return c
	}
	pid, url, _ := strings.Cut(rest, " ")
	c.pid, _ = strconv.Atoi(pid)
	c.url = url
	return c
}

// mustStart is start where failing is not expected.
func (r runner) mustStart(t *testing.T, dir string, env ...string) *child {
	t.Helper()
	c := r.start(t, dir, env...)
	if c.url == "" {
		t.Fatalf("the daemon failed: %s", c.says)
	}
	return c
}

// stop ends the daemon in order.
func (c *child) stop(t *testing.T) {
	t.Helper()
	_ = c.stdin.Close()
	c.lines.Scan()
	if got := c.lines.Text(); got != "stopped" {
		t.Errorf("the daemon ended with %q", got)
	}
	_ = c.cmd.Wait()
}

// kill ends the daemon as kill -9 does.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait()
}
