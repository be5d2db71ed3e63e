package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// leaseTime is how long a leader may act after it sent a statement that the
// database answered. One whose answers take longer steps down.
const leaseTime = 2 * time.Second

// lease says whether a leader may act. It counts from the moment a statement was
// sent, not answered, and it is never renewed once it is over: so when the
// database has seen no statement for leaseTime, nobody acts on that lease, and
// nobody ever will again.
type lease struct {
	mu   sync.Mutex
	sent time.Time // when the newest statement was sent that was answered in time
	wall time.Time // the same by the wall clock, which goes on while the machine sleeps
	lost error     // why it ended before its time
}

func newLease(sent time.Time) *lease { return &lease{sent: sent, wall: sent.Round(0)} }

// check is nil while the leader may act, else ErrUnavailable. It is a fence.
func (l *lease) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at(time.Now())
}

func (l *lease) at(now time.Time) error {
	if l.lost != nil {
		return fleet.Errorf(fleet.ErrUnavailable, "this wedsyncd no longer leads: %v", l.lost)
	}
	// Each clock may stand still or jump; the one that has gone further counts.
	if age := max(now.Sub(l.sent), now.Round(0).Sub(l.wall)); age >= leaseTime {
		return fleet.Errorf(fleet.ErrUnavailable, "this wedsyncd no longer leads: it heard nothing from the database for %s, longer than the %s of its lease", age.Round(time.Millisecond), leaseTime)
	}
	return nil
}

// renew lets the lease count from the sending of a statement that has just been
// answered; an error if the answer came too late.
func (l *lease) renew(sent time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.at(time.Now()); err != nil {
		return err
	}
	l.sent, l.wall = sent, sent.Round(0)
	return nil
}

// end ends the lease before its time, for a reason.
func (l *lease) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = cause
}

// until is when the lease ends unless it is renewed.
func (l *lease) until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent.Add(leaseTime)
}

// hold is the possession of the leader's lock: the one connection that has it,
// and the lease that its answers renew.
type hold struct {
	conn *pgx.Conn
	*lease
}

// do runs statements on the connection and renews the lease with them. It fails
// when they are not answered while the lease lasts, and is of no use from then
// on. It goes on when ctx is cancelled: a leader that ends in order leads to its end.
func (h hold) do(ctx context.Context, statements func(context.Context) error) error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), h.until())
	defer cancel()
	sent := time.Now()
	if err := statements(ctx); err != nil {
		return err
	}
	return h.renew(sent)
}

// ping asks for nothing, by a statement that pg_stat_activity shows to candidates.
func (h hold) ping(ctx context.Context) error { return h.do(ctx, h.conn.Ping) }
