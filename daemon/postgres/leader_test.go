package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
)

// patience bounds what a test waits for; reaching it is a failure.
const patience = 30 * time.Second

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
	secondCtx, stopSecond := context.WithCancel(t.Context())
	secondTerms, secondEnded := leading(secondCtx, two)
	waitFor(t, "the second to ask for the lead", func() bool {
		var n int
		err := connect(t, db.OwnerURL).QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()`).Scan(&n)
		return err == nil && n > 0
	})
	if len(secondTerms) != 0 {
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
	// The old term's context, even where it is kept from ending, writes nothing.
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
	if _, err := other.UpdateInstance(system(t), i.ID, change(func(i *fleet.Instance) { i.Current = fleet.StatusRunning })); err != nil {
		t.Fatal(err)
	}
	if err := other.RecordHealth(system(t), []fleet.HealthUpdate{{InstanceID: i.ID, Health: fleet.HealthHealthy, Changed: true}}); err != nil {
		t.Fatal(err)
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
	exec(t, connect(t, db.OwnerURL), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
	waitFor(t, "the connection to end", func() bool {
		var n int
		err := connect(t, db.OwnerURL).QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state <> 'idle'`).Scan(&n)
		return err == nil && n == 0
	})
	listening(t, db.OwnerURL)
	completed(t, other, web.ID)
	if got := receive(t, "a change after the cut", changes); got != web.Workload() {
		t.Errorf("told of %+v, want %+v", got, web.Workload())
	}
	stop()
	for range changes {
	}
}
