package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// patience bounds what a test waits for; reaching it is a failure.
const patience = 3 * time.Minute

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// leading runs Lead in the background. Each term sends its context and epoch on
// terms and lasts until its context ends.
type term struct {
	ctx   context.Context
	epoch int64
}

func leading(ctx context.Context, s *postgres.Store) (terms chan term, ended chan error) {
	terms, ended = make(chan term, 8), make(chan error, 1)
	go func() {
		ended <- s.Lead(ctx, func(ctx context.Context, epoch int64) error {
			terms <- term{ctx, epoch}
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	return terms, ended
}

// TestLead: one leads at a time, and each term has a higher epoch.
func TestLead(t *testing.T) {
	one, db := open(t)
	two := openURL(t, db.AppURL)
	firstCtx, stopFirst := context.WithCancel(t.Context())
	firstTerms, firstEnded := leading(firstCtx, one)
	first := receive(t, "the first to lead", firstTerms)
	if err := fleet.Fence(first.ctx); err != nil {
		t.Errorf("the fence refuses a leader: %v", err)
	}
	secondCtx, stopSecond := context.WithCancel(t.Context())
	secondTerms, secondEnded := leading(secondCtx, two)
	waitFor(t, "the second to ask for the lead", func() bool {
		var n int
		err := connect(t, db.OwnerURL).QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()`).Scan(&n)
		return err == nil && n > 0
	})
	if len(secondTerms) != 0 && fleet.Fence(first.ctx) == nil { // a fence that is down stays down
		t.Error("two lead at the same time")
	}
	stopFirst()
	wantKind(t, receive(t, "the first to end", firstEnded), context.Canceled)
	second := receive(t, "the second to lead", secondTerms)
	if second.epoch <= first.epoch {
		t.Errorf("epoch %d follows %d", second.epoch, first.epoch)
	}
	stopSecond()
	wantKind(t, receive(t, "the second to end", secondEnded), context.Canceled)
}

// TestLostLead: when the connection that holds the lock is cut, the term's context
// ends, its writes are refused once another term has begun, and Lead leads again.
func TestLostLead(t *testing.T) {
	s, db := open(t)
	ctx, stop := context.WithCancel(t.Context())
	terms, ended := leading(ctx, s)
	first := receive(t, "the first term", terms)
	leader := fleet.AsSystem(first.ctx)
	if _, err := s.CreateDefinition(leader, fleet.Definition{Spec: spec("led")}, nil); err != nil {
		t.Fatalf("a leader cannot write: %v", err)
	}
	exec(t, connect(t, db.OwnerURL), `SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted`)
	receive(t, "the term's end", first.ctx.Done())
	if !errors.Is(context.Cause(first.ctx), fleet.ErrUnavailable) {
		t.Errorf("the term ended because of %v", context.Cause(first.ctx))
	}
	second := receive(t, "the second term", terms)
	if second.epoch <= first.epoch {
		t.Errorf("epoch %d follows %d", second.epoch, first.epoch)
	}
	// The old term's context, even where it is kept from ending, changes nothing.
	wantKind(t, fleet.Fence(context.WithoutCancel(leader)), fleet.ErrUnavailable)
	_, err := s.CreateDefinition(context.WithoutCancel(leader), fleet.Definition{Spec: spec("stale")}, nil)
	wantKind(t, err, fleet.ErrUnavailable)
	if _, err := s.CreateDefinition(fleet.AsSystem(second.ctx), fleet.Definition{Spec: spec("fresh")}, nil); err != nil {
		t.Errorf("the new leader cannot write: %v", err)
	}
	if _, err := s.ListDefinitions(context.WithoutCancel(leader), fleet.DefinitionFilter{}, fleet.Page{}); err != nil {
		t.Errorf("reading is refused: %v", err)
	}
	stop()
	receive(t, "the end", ended)
}

// staleContext is the context of a leader that is none any more.
func staleContext(t *testing.T, s *postgres.Store, db testenv.DB) context.Context {
	t.Helper()
	var stale context.Context
	if err := s.Lead(t.Context(), func(ctx context.Context, _ int64) error {
		stale = context.WithoutCancel(fleet.AsSystem(ctx)) //nolint:fatcontext // it is handed out, not grown
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, db.OwnerURL), "UPDATE installation SET epoch = epoch + 1")
	return stale
}

// TestStaleWrites: whatever a leader writes goes through the guard of its epoch.
func TestStaleWrites(t *testing.T) {
	s, db := open(t)
	d := deploymentIn(t, s, "staging")
	i := added(t, s, newInstance(d, 1))[0]
	network, err := s.CreateNetwork(system(t), fleet.Network{Name: "app", Type: fleet.NetworkInternal, Environment: "staging"}, unapplied)
	if err != nil {
		t.Fatal(err)
	}
	ctx := staleContext(t, s, db)
	changed := func(context.Context, fleet.Network, fleet.Network) error { return nil }
	sameDeployment := func(*fleet.Deployment) ([]fleet.Event, error) { return nil, nil }
	sameInstance := func(*fleet.Instance) ([]fleet.Event, error) { return nil, nil }
	writes := map[string]func() error{
		"CreateDefinition": func() error {
			_, err := s.CreateDefinition(ctx, fleet.Definition{Spec: spec("stale")}, nil)
			return err
		},
		"UpdateDefinition": func() error {
			_, err := s.UpdateDefinition(ctx, d.DefinitionID, fleet.CredentialsChange{}, func(*fleet.Definition) error { return nil })
			return err
		},
		"DeleteDefinition": func() error { return s.DeleteDefinition(ctx, d.DefinitionID) },
		"CreateDeployment": func() error { _, err := s.CreateDeployment(ctx, d); return err },
		"UpdateDeployment": func() error { _, err := s.UpdateDeployment(ctx, d.ID, sameDeployment); return err },
		"SteerDeployment": func() error {
			_, err := s.SteerDeployment(ctx, d.ID, sameDeployment, nil)
			return err
		},
		"AddInstances":   func() error { _, err := s.AddInstances(ctx, []fleet.Instance{newInstance(d, 2)}); return err },
		"UpdateInstance": func() error { _, err := s.UpdateInstance(ctx, i.ID, sameInstance); return err },
		"RequestAction":  func() error { _, err := s.RequestAction(ctx, i.ID, sameInstance); return err },
		"ReleasePort":    func() error { _, err := s.ReleasePort(ctx, i.ID, 8080); return err },
		"CreateNetwork": func() error {
			_, err := s.CreateNetwork(ctx, fleet.Network{Name: "stale", Environment: "staging"}, unapplied)
			return err
		},
		"UpdateNetwork": func() error {
			_, err := s.UpdateNetwork(ctx, network.ID, func(*fleet.Network) error { return nil }, changed)
			return err
		},
		"DeleteNetwork":        func() error { return s.DeleteNetwork(ctx, network.ID, unapplied) },
		"RecordHealth":         func() error { return s.RecordHealth(ctx, []fleet.HealthUpdate{{InstanceID: i.ID}}) },
		"CreateToken":          func() error { _, err := s.CreateToken(ctx, fleet.Token{}, nil); return err },
		"TouchToken":           func() error { return s.TouchToken(ctx, i.ID, time.Now()) },
		"RevokeToken":          func() error { _, err := s.RevokeToken(ctx, "nobody"); return err },
		"Maintain":             func() error { return s.Maintain(ctx) },
		"PruneIdempotencyKeys": func() error { _, err := s.PruneIdempotencyKeys(ctx, time.Now()); return err },
		"anything for reading": func() error { return s.WriteThroughRead(ctx) },
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) { wantKind(t, write(), fleet.ErrUnavailable) })
	}
	wantKind(t, s.WriteThroughRead(system(t)), fleet.ErrUnavailable)
}

func unapplied(context.Context, fleet.Network) error { return nil }

// wire is a connection to the database that can be held up, as by a daemon that is stopped.
type wire struct {
	url  string
	mu   sync.Mutex
	held chan struct{} // closed unless the wire is held up
}

// wired is a wire to the database that a URL names.
func wired(t *testing.T, databaseURL string) *wire {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &wire{held: make(chan struct{})}
	close(w.held)
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	go w.accept(t.Context(), l, network, address)
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = ""
	u.Host = l.Addr().String()
	w.url = u.String()
	return w
}

func (w *wire) accept(ctx context.Context, l net.Listener, network, address string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		to, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			_ = from.Close()
			continue
		}
		go w.forward(from, to)
		go w.forward(to, from)
	}
}

func (w *wire) forward(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		w.mu.Lock()
		held := w.held
		w.mu.Unlock()
		<-held
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// hold keeps back all that is sent until release.
func (w *wire) hold() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := make(chan struct{})
	w.held = held
	return sync.OnceFunc(func() { close(held) })
}

// TestHungLeader: a leader that the database does not hear any more is replaced,
// and knows by itself that it is.
func TestHungLeader(t *testing.T) {
	db := testenv.Database(t)
	w := wired(t, db.AppURL)
	one, two := openURL(t, w.url), openURL(t, db.AppURL)
	firstTerms, _ := leading(t.Context(), one)
	first := receive(t, "the first to lead", firstTerms)
	secondTerms, _ := leading(t.Context(), two)
	release := w.hold()
	defer release()
	second := receive(t, "the second to lead", secondTerms)
	// The first has been told nothing: it is the end of its lease that ends it.
	wantKind(t, fleet.Fence(first.ctx), fleet.ErrUnavailable)
	receive(t, "the first's end", first.ctx.Done())
	if second.epoch <= first.epoch {
		t.Errorf("epoch %d follows %d", second.epoch, first.epoch)
	}
	release()
	_, err := one.CreateDefinition(context.WithoutCancel(fleet.AsSystem(first.ctx)), fleet.Definition{Spec: spec("stale")}, nil)
	wantKind(t, err, fleet.ErrUnavailable)
	if err := fleet.Fence(second.ctx); err != nil {
		t.Errorf("the fence refuses the new leader: %v", err)
	}
}

// TestHungWrite: a leader that was stopped amid a write, and holds its locks,
// keeps nobody from leading; the write is undone.
func TestHungWrite(t *testing.T) {
	s, db := open(t)
	d := createDefinition(t, s, "api")
	firstCtx, stopFirst := context.WithCancel(t.Context())
	terms, ended := leading(firstCtx, s)
	first := receive(t, "the first to lead", terms)
	amid, goOn, written := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := s.UpdateDefinition(context.WithoutCancel(fleet.AsSystem(first.ctx)), d.ID, fleet.CredentialsChange{}, func(d *fleet.Definition) error {
			d.ImageTag = "stale"
			close(amid)
			<-goOn
			return nil
		})
		written <- err
	}()
	receive(t, "the write", amid)
	stopFirst()
	receive(t, "the first's end", ended)
	other := openURL(t, db.AppURL)
	others, _ := leading(t.Context(), other)
	second := receive(t, "the second to lead", others)
	close(goOn)
	wantKind(t, receive(t, "the write's end", written), fleet.ErrUnavailable)
	if _, err := other.UpdateDefinition(fleet.AsSystem(second.ctx), d.ID, fleet.CredentialsChange{}, func(d *fleet.Definition) error {
		if d.ImageTag == "stale" {
			t.Error("the write was not undone")
		}
		return nil
	}); err != nil {
		t.Errorf("the new leader cannot write: %v", err)
	}
}

// TestForeignLeader: whether a leader with another login hangs cannot be seen, so
// it is left alone, and the log says so.
func TestForeignLeader(t *testing.T) {
	db := testenv.Database(t)
	terms, _ := leading(t.Context(), openURL(t, db.OwnerURL))
	receive(t, "the first to lead", terms)
	logged := make(chan string, 16)
	s, err := postgres.Open(t.Context(), postgres.Config{
		URL: db.AppURL, SecretKey: testKey, Logger: slog.New(slog.NewTextHandler(lines(logged), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, ended := leading(t.Context(), s)
	for _, want := range []string{"standing by", "cannot tell whether the leader hangs"} {
		if line := receive(t, want, logged); !strings.Contains(line, want) {
			t.Errorf("it logged %s, want %q", line, want)
		}
	}
	if len(ended) != 0 {
		t.Error("it has ended")
	}
}

// lines passes on each line that is logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestLeadEnds: what f returns by itself is what Lead returns.
func TestLeadEnds(t *testing.T) {
	s, _ := open(t)
	boom := errors.New("boom")
	wantKind(t, s.Lead(t.Context(), func(context.Context, int64) error { return boom }), boom)
	if err := s.Lead(t.Context(), func(context.Context, int64) error { return nil }); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// listening waits until as many connections listen for changes.
func listening(t *testing.T, url string) {
	t.Helper()
	conn := connect(t, url)
	waitFor(t, "a listener", func() bool {
		var n int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'`).Scan(&n)
		return err == nil && n > 0
	})
}

func TestChanges(t *testing.T) {
	s, db := open(t)
	other := openURL(t, db.AppURL)
	ctx, stop := context.WithCancel(t.Context())
	changes := s.Changes(ctx)
	listening(t, db.OwnerURL)
	d := deploymentIn(t, other, "staging")
	if got := receive(t, "a deployment", changes); got != d.Workload() {
		t.Errorf("told of %+v, want %+v", got, d.Workload())
	}
	i := added(t, other, newInstance(d, 1))[0]
	if _, err := other.UpdateInstance(system(t), i.ID, change(func(i *fleet.Instance) { i.Current, i.StartedAt = fleet.StatusRunning, new(testTime) })); err != nil {
		t.Fatal(err)
	}
	if err := other.RecordHealth(system(t), []fleet.HealthUpdate{{InstanceID: i.ID, StartedAt: testTime, Health: fleet.HealthHealthy, Changed: true}}); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Instance(system(t), i.ID); err != nil || got.Health != fleet.HealthHealthy {
		t.Fatalf("health is %q, %v", got.Health, err)
	}
	// Only the next of these tells anything: notifications come in order.
	web := deployed(t, other, createDefinition(t, other, "web"), "production")
	if got := receive(t, "the next deployment", changes); got != web.Workload() {
		t.Errorf("told of %+v, want %+v", got, web.Workload())
	}
	if _, err := other.RequestAction(system(t), i.ID, change(func(i *fleet.Instance) { i.Desired = fleet.StatusStopped })); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "an action", changes); got != d.Workload() {
		t.Errorf("told of %+v, want %+v", got, d.Workload())
	}
	// The listener comes back when its connection is cut.
	exec(t, connect(t, db.OwnerURL), `SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`) // it returns when it is gone
	listening(t, db.OwnerURL)
	completed(t, other, web.ID)
	if got := receive(t, "a change after the cut", changes); got != web.Workload() {
		t.Errorf("told of %+v, want %+v", got, web.Workload())
	}
	stop()
	for range changes {
	}
}
