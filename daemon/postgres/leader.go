package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	leaderLock = "hashtext('wedsync_leader')"
	epochLock  = "hashtext('wedsync_epoch')"
	// pingEvery is how often a leader makes sure that it still holds its lock, and
	// how often a follower tries to get it.
	pingEvery = time.Second
	// pingTimeout is how long an answer may take before the lock counts as lost.
	pingTimeout = 3 * time.Second
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

// Lead runs f while this daemon is the only leader on the database: it waits for
// an advisory lock, held by a connection of its own, raises the epoch and calls f
// with a context in which the store's writes are refused once there is a newer
// epoch. When the lock is lost, f's context ends, and Lead waits for the lock
// again. It returns when ctx ends, or with f's result when f ends by itself.
func (s *Store) Lead(ctx context.Context, f func(ctx context.Context, epoch int64) error) error {
	for {
		conn, err := s.awaitLeadership(ctx)
		if err != nil {
			return err
		}
		lost, err := s.leadWith(ctx, conn, f)
		closeConn(ctx, conn)
		if !lost || ctx.Err() != nil {
			return err
		}
		s.log.Warn("lost the lead; trying to lead again", "error", err)
		if !pause(ctx, pingEvery) {
			return err
		}
	}
}

// awaitLeadership returns the connection that holds the lock. It fails only when ctx ends.
func (s *Store) awaitLeadership(ctx context.Context) (*pgx.Conn, error) {
	var conn *pgx.Conn
	var complained bool
	for {
		got := false
		err := error(nil)
		if conn == nil {
			conn, err = s.connect(ctx)
		}
		if err == nil {
			err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock("+leaderLock+")").Scan(&got)
		}
		if got {
			return conn, nil
		}
		if err != nil {
			closeConn(ctx, conn)
			conn = nil
		}
		if err != nil && ctx.Err() == nil && !complained {
			complained = true
			s.log.Warn("cannot ask for the lead; trying again", "error", err)
		}
		if !pause(ctx, pingEvery) {
			closeConn(ctx, conn)
			return nil, ctx.Err()
		}
	}
}

// leadWith runs f until it ends or the connection that holds the lock is lost.
func (s *Store) leadWith(ctx context.Context, conn *pgx.Conn, f func(context.Context, int64) error) (lost bool, err error) {
	epoch, err := s.raiseEpoch(ctx)
	if err != nil {
		return true, err
	}
	inner, cancel := context.WithCancelCause(withEpoch(ctx, epoch))
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- f(inner, epoch) }()
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return false, err
		case <-ticker.C:
			if err := pingConn(ctx, conn); err != nil && ctx.Err() == nil {
				cause := fmt.Errorf("hold the lead: %w: %w", fleet.ErrUnavailable, err)
				cancel(cause)
				<-ended //nolint:errcheck // the cause is the error; f must let go before anybody else leads here
				return true, cause
			}
		}
	}
}

// raiseEpoch begins a new epoch, after the last writes of the one before.
func (s *Store) raiseEpoch(ctx context.Context) (epoch int64, err error) {
	err = s.write(fleet.AsSystem(ctx), "raise epoch", func(t *transaction) error {
		if _, err := t.tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+epochLock+")"); err != nil {
			return err
		}
		epoch, err = t.RaiseEpoch(ctx)
		return err
	})
	return epoch, err
}

// connect makes a connection beside the pool.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	config := s.pool.Config().ConnConfig
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, translate("connect to the database", err)
	}
	if err := prepare(ctx, conn); err != nil {
		closeConn(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func pingConn(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

// closeConn closes a connection, even when ctx has ended: its locks are free then.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
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
