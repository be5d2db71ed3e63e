package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

const (
	leaderLock = "hashtext('wedsync_leader')"
	epochLock  = "hashtext('wedsync_epoch')"
	// pingEvery is how often a leader renews its lease.
	pingEvery = 500 * time.Millisecond
	// closeTimeout bounds the orderly end of a connection.
	closeTimeout = 3 * time.Second
)

type epochKey struct{}

// withEpoch marks a context as that of the leader of an epoch.
func withEpoch(ctx context.Context, epoch int64) context.Context {
	return context.WithValue(ctx, epochKey{}, epoch)
}

func epochFrom(ctx context.Context) (int64, bool) {
	epoch, ok := ctx.Value(epochKey{}).(int64)
	return epoch, ok
}

// guardEpoch makes a transaction fail unless the epoch is the newest, and keeps
// a new one from beginning until it has ended. The lock costs no row version.
func guardEpoch(b *pgx.Batch, epoch int64) {
	b.Queue("SELECT pg_advisory_xact_lock_shared(" + epochLock + ")")
	b.Queue("SELECT epoch FROM installation").QueryRow(func(row pgx.Row) error {
		var newest int64
		if err := row.Scan(&newest); err != nil {
			return err
		}
		if newest != epoch {
			return fleet.Errorf(fleet.ErrUnavailable, "another wedsyncd leads since epoch %d; this one led in epoch %d", newest, epoch)
		}
		return nil
	})
}

// Lead runs f while this daemon is the only leader on the database. It waits for
// an advisory lock, held by a connection of its own, raises the epoch over that
// connection and calls f with a context that
//
//   - has a fence (see [fleet.Fence]), which holds from the moment the lease is over,
//   - makes the store refuse writes once there is a newer epoch,
//   - ends when the lead is lost.
//
// A leader that hears nothing from the database for the time of its lease has
// lost the lead, whatever comes later; another daemon then ends its connection.
// When f has ended after such a loss, Lead waits for the lock again. It returns
// when ctx ends, or with f's result when f ends by itself.
func (s *Store) Lead(ctx context.Context, f func(ctx context.Context, epoch int64) error) error {
	for {
		h, err := s.awaitLead(ctx)
		if err != nil {
			return err
		}
		epoch, lost, err := s.leadWith(ctx, h, f)
		closeConn(ctx, h.conn)
		if !lost || ctx.Err() != nil {
			return err
		}
		s.log.Warn("lost the lead; asking for it again", "epoch", epoch, "error", err)
		if !pause(ctx, askEvery) {
			return err
		}
	}
}

// leadWith runs f until it ends or the lead is lost.
func (s *Store) leadWith(ctx context.Context, h hold, f func(context.Context, int64) error) (epoch int64, lost bool, err error) {
	if epoch, err = raiseEpoch(ctx, h); err != nil {
		return epoch, true, fmt.Errorf("raise epoch: %w", err)
	}
	inner, cancel := context.WithCancelCause(fleet.WithFence(withEpoch(ctx, epoch), h.check))
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- f(inner, epoch) }()
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return epoch, false, err
		case <-ticker.C:
			if err := h.ping(ctx); err != nil {
				cause := fmt.Errorf("hold the lead: %w: %w", fleet.ErrUnavailable, err)
				h.end(err)
				cancel(cause)
				<-ended //nolint:errcheck // the cause is the error; f must let go before anybody else leads here
				return epoch, true, cause
			}
		}
	}
}

// raiseEpoch begins a new epoch, after the last writes of the one before. It is
// done by the connection that holds the lock: whose connection was ended in
// favour of another daemon can no longer raise it.
func raiseEpoch(ctx context.Context, h hold) (epoch int64, err error) {
	err = h.do(ctx, func(ctx context.Context) error {
		for {
			epoch, err = raiseOnce(ctx, h.conn)
			if sqlState(err) != codeLockNotAvailable {
				return err
			}
			if _, err := h.conn.Exec(ctx, endWriters); err != nil {
				return err
			}
		}
	})
	return epoch, err
}

// endWriters ends the transactions of earlier leaders that are still open, such
// as those of a daemon that was stopped amid one. Whoever holds the lead may: no
// write of an earlier epoch is wanted any more, and none can begin.
var endWriters = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.pid <> pg_backend_pid() AND " + advisory(epochLock)

// raiseOnce gives transactions of an earlier leader, which end in a moment if
// that one lives, a moment to end: then it fails with codeLockNotAvailable.
func raiseOnce(ctx context.Context, conn *pgx.Conn) (epoch int64, err error) {
	claims, err := claimsOf(fleet.System)
	if err != nil {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue("SET LOCAL ROLE " + Role)
		b.Queue("SET LOCAL lock_timeout = '100ms'")
		b.Queue(setClaims, claims)
		b.Queue("SELECT pg_advisory_xact_lock(" + epochLock + ")")
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		epoch, err = dbsqlc.New(tx).RaiseEpoch(ctx)
		return err
	})
	return epoch, err
}

// closeConn closes a connection, even when ctx has ended: its locks are free then.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}

// pause waits and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
