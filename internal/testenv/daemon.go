package testenv

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/daemon/failpoint"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/embedded"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

// startPatience bounds how long a daemon may take to be ready.
const startPatience = 3 * time.Minute

// DaemonHandle is a real wedsyncd in a process of its own, on a database of its
// own and, unless told otherwise, the shared engine.
type DaemonHandle struct {
	// Endpoint and Token reach its API as an administrator.
	Endpoint, Token string
	// Traffic is the address of its balancer.
	Traffic string
	// DataDir is its data directory, DB its database.
	DataDir string
	DB      DB

	engine *EngineHandle // nil: the shared one
	tags   string        // what it is built with
	binary string
	listen string
	apart  bool     // the balancer runs as a process of its own
	env    []string // where its database is, and what options add
	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	log    *lockedBuffer
}

// DaemonOption makes a daemon differ from the ordinary one.
type DaemonOption func(*DaemonHandle)

// WithoutBalancer leaves the balancer to a process of its own; see
// [DaemonHandle.Balancer].
func WithoutBalancer() DaemonOption { return func(d *DaemonHandle) { d.apart = true } }

// OnEngine has the daemon work on a private Engine, in its network namespace.
func OnEngine(e *EngineHandle) DaemonOption {
	return func(d *DaemonHandle) {
		d.engine = e
		d.env = append(d.env, "DOCKER_HOST="+e.Host)
	}
}

// WithEnvironment adds variables, as NAME=value, to those of the daemon.
func WithEnvironment(variables ...string) DaemonOption {
	return func(d *DaemonHandle) { d.env = append(d.env, variables...) }
}

// WithFailpoints builds the daemon with failpoints, which the file arms; see
// package failpoint.
func WithFailpoints(file string) DaemonOption {
	return func(d *DaemonHandle) {
		d.tags = "failpoints"
		d.env = append(d.env, failpoint.Variable+"="+file)
	}
}

// Daemon starts a wedsyncd that ends with the test, and everything of it in the
// engine with it. When the test fails, the daemon's log is printed.
func Daemon(t testing.TB, options ...DaemonOption) *DaemonHandle {
	t.Helper()
	db := Database(t) // first, so that it is dropped last
	d := newDaemon(t, options)
	t.Cleanup(func() { d.clear(t) })
	d.DB = db
	d.env = append(d.env, "WEDSYNC_DATABASE_URL="+d.DB.AppURL, "WEDSYNC_MIGRATE_DATABASE_URL="+d.DB.OwnerURL)
	d.Start(t)
	return d
}

// Another starts another wedsyncd on the daemon's database, with the same secret
// key and administrator and with a data directory of its own. It ends with the
// test, before the daemon.
func (d *DaemonHandle) Another(t testing.TB, options ...DaemonOption) *DaemonHandle {
	t.Helper()
	o := newDaemon(t, options)
	t.Cleanup(o.Stop)
	o.DB, o.Token = d.DB, d.Token
	o.env = append(o.env, "WEDSYNC_DATABASE_URL="+o.DB.AppURL, "WEDSYNC_MIGRATE_DATABASE_URL="+o.DB.OwnerURL, "WEDSYNC_SECRET_KEY_FILE="+filepath.Join(d.DataDir, "secret.key"))
	o.Start(t)
	return o
}

// StandaloneDaemon is Daemon on a Postgres of the daemon's own, which keeps what
// it has acknowledged through a loss of power, as the one for tests does not.
func StandaloneDaemon(t testing.TB, options ...DaemonOption) *DaemonHandle {
	t.Helper()
	d := newDaemon(t, options)
	t.Cleanup(func() { d.clear(t) })
	d.env = append(d.env, "WEDSYNC_DATABASE_URL=", "WEDSYNC_MIGRATE_DATABASE_URL=")
	d.Start(t)
	server, err := embedded.Attach(t.Context(), embedded.Config{DataDir: d.DataDir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d.DB = DB{OwnerURL: server.OwnerURL(), AppURL: server.AppURL()}
	return d
}

// newDaemon is a daemon that was not started yet; to end it is left to the caller.
func newDaemon(t testing.TB, options []DaemonOption) *DaemonHandle {
	t.Helper()
	d := &DaemonHandle{DataDir: t.TempDir(), Token: strings.Map(visibleASCII, "test-administrator-token-"+t.Name()), log: &lockedBuffer{}}
	for _, option := range options {
		option(d)
	}
	if d.engine == nil {
		Docker(t)
	}
	d.binary = wedsyncd(t, d.tags)
	d.listen, d.Traffic = d.freeAddress(t), d.freeAddress(t)
	d.Endpoint = "http://" + d.listen
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of wedsyncd at %s:\n%s", d.listen, d.Log())
		}
	})
	return d
}

// Installation is the name by which the engine knows what belongs to the daemon.
func (d *DaemonHandle) Installation(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, d.DB.OwnerURL)
	if err != nil {
		return "", fmt.Errorf("read installation: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var id string
	if err := conn.QueryRow(ctx, "SELECT id FROM installation").Scan(&id); err != nil {
		return "", fmt.Errorf("read installation: %w", err)
	}
	return id, nil
}

// clear ends the daemon and removes what it has left in the engine; a private one
// is removed as a whole.
func (d *DaemonHandle) clear(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clearTimeout)
	defer cancel()
	var id string
	var err error
	if d.engine == nil {
		id, err = d.Installation(ctx)
	}
	d.Stop()
	if _, failed := StopPostgres(ctx, d.DataDir); failed != nil { // of a daemon that was killed
		t.Errorf("clean up after the test: %v", failed)
	}
	if err == nil && id != "" {
		err = ClearInstallation(ctx, id)
	}
	if err != nil {
		t.Errorf("clean up after the test: %v", err)
	}
}

func visibleASCII(r rune) rune {
	if r <= ' ' || r > '~' {
		return '-'
	}
	return r
}

// Client is an SDK client of the daemon.
func (d *DaemonHandle) Client(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.New(d.Endpoint, d.Token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Start starts the daemon, which must not run, and waits until it is ready.
func (d *DaemonHandle) Start(t testing.TB) {
	t.Helper()
	d.Launch(t)
	d.AwaitReady(t)
}

// Launch starts the daemon and does not wait.
func (d *DaemonHandle) Launch(t testing.TB) {
	t.Helper()
	balancer := d.Traffic
	if d.apart {
		balancer = ""
	}
	cmd := d.command("serve", "--listen", d.listen, "--traffic-listen", balancer, "--data-dir", d.DataDir, "--log-level", "debug", "--host-ports", hostPorts())
	cmd.Env = append(cmd.Env, "WEDSYNC_BOOTSTRAP_TOKEN="+d.Token)
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start wedsyncd: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	d.mu.Lock()
	d.cmd, d.exited = cmd, exited
	d.mu.Unlock()
}

// Balancer starts the balancer of a daemon [WithoutBalancer] at Traffic, and ends
// it with the test. env adds to its environment; pidFile holds the process that
// serves, which SIGHUP changes.
func (d *DaemonHandle) Balancer(t testing.TB, pidFile string, env ...string) {
	t.Helper()
	cmd := d.command("traffic", "--traffic-listen", d.Traffic, "--data-dir", d.DataDir, "--pid-file", pidFile, "--log-level", "debug")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the balancer: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		if text, err := os.ReadFile(pidFile); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		_ = cmd.Process.Kill()
		<-exited
	})
}

// command is a command of wedsyncd where the daemon runs.
func (d *DaemonHandle) command(args ...string) *exec.Cmd {
	cmd := exec.Command(d.binary, args...)
	if d.engine != nil {
		cmd = d.engine.command(d.binary, args...)
	}
	cmd.Env = append(os.Environ(), d.env...)
	return cmd
}

// AwaitReady waits until the daemon answers that it is ready.
func (d *DaemonHandle) AwaitReady(t testing.TB) {
	t.Helper()
	d.mu.Lock()
	exited := d.exited
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	for {
		select {
		case <-exited:
			t.Fatalf("wedsyncd has ended:\n%s", d.Log())
		case <-ctx.Done():
			t.Fatalf("wedsyncd is not ready after %s:\n%s", startPatience, d.Log())
		default:
		}
		if ready(ctx, d.Endpoint) {
			return
		}
		pause(ctx, 10*time.Millisecond)
	}
}

func ready(ctx context.Context, endpoint string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Kill ends the daemon with SIGKILL, if it runs, and waits until it is gone.
func (d *DaemonHandle) Kill() { d.end(syscall.SIGKILL) }

// Stop ends the daemon with SIGTERM, if it runs, and waits until it is gone.
func (d *DaemonHandle) Stop() { d.end(syscall.SIGTERM) }

// Pause stops the daemon, which must run, where it stands, with SIGSTOP.
func (d *DaemonHandle) Pause() { d.signal(syscall.SIGSTOP) }

// Continue has a paused daemon go on as if nothing had been.
func (d *DaemonHandle) Continue() { d.signal(syscall.SIGCONT) }

func (d *DaemonHandle) signal(sig os.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.cmd.Process.Signal(sig)
}

// Process is the identifier of the daemon's process, while it runs.
func (d *DaemonHandle) Process() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cmd.Process.Pid
}

// Exited is closed when the daemon that was launched last has ended, by itself or not.
func (d *DaemonHandle) Exited() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.exited
}

// Paused reports whether the daemon is stopped by SIGSTOP.
func (d *DaemonHandle) Paused() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cmd != nil && machine.Held(d.cmd.Process.Pid)
}

// EndPostgres ends the server of a [StandaloneDaemon], in its data directory and
// no other, by a signal: SIGKILL as a crash, SIGINT in good order. A daemon that
// runs starts it again.
func (d *DaemonHandle) EndPostgres(t testing.TB, sig syscall.Signal) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.DataDir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatalf("end the daemon's Postgres: %v", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("end the daemon's Postgres: %v", err)
	}
	server, err := machine.Identify(pid)
	if err == nil {
		err = server.End(sig, startPatience)
	}
	if err != nil {
		t.Fatalf("end the daemon's Postgres: %v", err)
	}
}

func (d *DaemonHandle) end(sig os.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd == nil {
		return
	}
	http.DefaultClient.CloseIdleConnections() // the daemon gives those who keep a connection time to leave
	_ = d.cmd.Process.Signal(sig)
	_ = d.cmd.Process.Signal(syscall.SIGCONT) // one that is paused notices nothing before
	<-d.exited
	d.cmd = nil
}

// Log is what the daemon has logged since the test began, or since ForgetLog.
func (d *DaemonHandle) Log() string { return d.log.String() }

// ForgetLog drops what the daemon has logged, where a test would log too much.
func (d *DaemonHandle) ForgetLog() { d.log.Reset() }

// lockedBuffer is a buffer that a process writes while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// Reset forgets what was written.
func (l *lockedBuffer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// builtDaemons keeps the programs that this test process has built, by their tags.
var builtDaemons struct {
	sync.Mutex
	paths map[string]string
}

// wedsyncd builds the daemon once for this test process.
func wedsyncd(t testing.TB, tags string) string {
	t.Helper()
	builtDaemons.Lock()
	defer builtDaemons.Unlock()
	if path, ok := builtDaemons.paths[tags]; ok {
		return path
	}
	dir, err := os.MkdirTemp("", "wedsyncd-test-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wedsyncd")
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path, "./daemon/wedsyncd")
	cmd.Dir = moduleDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build wedsyncd: %v\n%s", err, out)
	}
	if builtDaemons.paths == nil {
		builtDaemons.paths = make(map[string]string)
	}
	builtDaemons.paths[tags] = path
	return path
}

// moduleDir is the root of this module.
func moduleDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// freeAddress is an address at which nobody listens: a loopback one, or the one at
// which the namespace of a private Engine is reached.
func (d *DaemonHandle) freeAddress(t testing.TB) string {
	t.Helper()
	host := "127.0.0.1"
	if d.engine != nil {
		host = d.engine.address()
	}
	return net.JoinHostPort(host, strconv.Itoa(FreePort(t)))
}

// Run runs a command of wedsyncd on the daemon's data directory and database,
// and returns what it printed.
func (d *DaemonHandle) Run(t testing.TB, args ...string) string {
	t.Helper()
	cmd := d.command(append([]string{"--data-dir", d.DataDir}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("wedsyncd %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
