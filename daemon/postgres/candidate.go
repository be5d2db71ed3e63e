package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// askEvery is how often a candidate asks for the lead and looks at who has it.
	askEvery = 200 * time.Millisecond
	// askSoon is the time until it asks again when the lead is about to be free.
	askSoon = 10 * time.Millisecond
	// hungAfter is how long a candidate sees a leader silent, by its own clock,
	// before it ends that one's connection: the leader's lease, and a margin for
	// two clocks that do not run equally fast.
	hungAfter = leaseTime + 100*time.Millisecond
	// answerTimeout bounds a round of questions of a candidate.
	answerTimeout = 3 * time.Second
)

// advisory is the condition that a row l of pg_locks is the granted advisory lock
// with a key of 64 bits in this database.
func advisory(key string) string {
	return `l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND (l.classid::bigint << 32 | l.objid::bigint) = ` + key
}

var (
	askForLead = "SELECT pg_try_advisory_lock(" + leaderLock + ")"
	// lookAtLeader tells when the leader last spoke: null where this login may not know.
	lookAtLeader = "SELECT l.pid, a.query_start FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE " + advisory(leaderLock)
	// endLeader ends the leader's connection, unless it has spoken meanwhile.
	endLeader = "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE a.pid = $1 AND a.query_start = $2 AND " + advisory(leaderLock)
)

// candidate waits for the lead, on a connection of its own.
//
//	            free, or its leader's connection ended
//	asks ──────────────────────────────────────────────► holds the lock
//	 │ ▲
//	 │ └──────────── the leader has spoken ────────────┐
//	 └─► looks ── silent for hungAfter ──► ends the leader's connection
type candidate struct {
	store *Store
	conn  *pgx.Conn
	// pid and spoke are the leader and its newest statement; since is when this
	// candidate first saw that statement, by its own clock.
	pid   int32
	spoke time.Time
	since time.Time
	// stands, failed and blind: what has been logged already.
	stands, failed, blind bool
}

// awaitLead returns the possession of the lock. It fails only when ctx ends.
func (s *Store) awaitLead(ctx context.Context) (hold, error) {
	c := &candidate{store: s}
	for {
		h, wait, err := c.round(ctx)
		if h.conn != nil {
			return h, nil
		}
		if err != nil {
			c.lostConnection(ctx, err)
		}
		if !pause(ctx, wait) {
			closeConn(ctx, c.conn)
			return hold{}, ctx.Err()
		}
	}
}

// round asks for the lead once and, where another has it, sees how that one
// fares. It returns the lead, or the time until the next round.
func (c *candidate) round(ctx context.Context) (h hold, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if c.conn == nil {
		if c.conn, err = c.store.login(ctx); err != nil {
			return hold{}, askEvery, err
		}
	}
	sent := time.Now()
	var got bool
	if err := c.conn.QueryRow(ctx, askForLead).Scan(&got); err != nil {
		return hold{}, askEvery, fmt.Errorf("ask for the lead: %w", err)
	}
	if got {
		return hold{conn: c.conn, lease: newLease(sent)}, 0, nil
	}
	if !c.stands {
		c.stands = true
		c.store.log.Info("another wedsyncd leads; standing by")
	}
	wait, err = c.watch(ctx)
	return hold{}, wait, err
}

// watch looks at the leader, and ends its connection when it has been silent for
// so long that its lease is over.
func (c *candidate) watch(ctx context.Context) (wait time.Duration, err error) {
	var pid int32
	var spoke *time.Time
	err = c.conn.QueryRow(ctx, lookAtLeader).Scan(&pid, &spoke)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return askSoon, nil // it has let go just now
	case err != nil:
		return askEvery, fmt.Errorf("look at the leader: %w", err)
	case spoke == nil:
		c.complainBlind("the server does not show when its connection was last used")
		return askEvery, nil
	}
	if pid != c.pid || !spoke.Equal(c.spoke) {
		c.pid, c.spoke, c.since = pid, *spoke, time.Now()
	}
	silent := time.Since(c.since)
	if silent < hungAfter {
		return min(askEvery, hungAfter-silent), nil
	}
	return c.replace(ctx, silent)
}

// replace ends the leader's connection; the lock is free as soon as it is gone.
func (c *candidate) replace(ctx context.Context, silent time.Duration) (wait time.Duration, err error) {
	var ended bool
	err = c.conn.QueryRow(ctx, endLeader, c.pid, c.spoke).Scan(&ended)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return askSoon, nil // it has spoken, or is gone
	case sqlState(err) == codePrivilege:
		c.complainBlind(err.Error())
		return askEvery, nil
	case err != nil:
		return askEvery, fmt.Errorf("end the leader's connection: %w", err)
	}
	c.store.log.Warn("the leader was silent for longer than its lease; ended its connection", "silent", silent.Round(time.Millisecond))
	return askSoon, nil
}

// complainBlind says once that a leader that hangs cannot be replaced.
func (c *candidate) complainBlind(reason string) {
	if c.blind {
		return
	}
	c.blind = true
	c.store.log.Warn("cannot tell whether the leader hangs, and so will replace it only when its connection ends; give all daemons the same database login, and leave track_activities on", "reason", reason)
}

// lostConnection gives the connection up after an error, and says so once.
func (c *candidate) lostConnection(ctx context.Context, err error) {
	closeConn(ctx, c.conn)
	c.conn = nil
	if ctx.Err() == nil && !c.failed {
		c.failed = true
		c.store.log.Warn("cannot ask for the lead; trying again", "error", err)
	}
}

// login makes a connection beside the pool that stays its login role: only that
// role sees and may end the connections of another daemon with the same login.
func (s *Store) login(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	return conn, translate("connect to the database", err)
}

// connect makes a connection beside the pool that is the role, like the pool's.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := s.login(ctx)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, conn); err != nil {
		closeConn(ctx, conn)
		return nil, err
	}
	return conn, nil
}
