package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// IdempotencyLifetime is how long a mutation is remembered by its key.
const IdempotencyLifetime = 24 * time.Hour

// transaction is a transaction under the claims of a call.
type transaction struct {
	*dbsqlc.Queries
	tx   pgx.Tx
	call fleet.Call
}

// write runs f in a transaction under the claims of the context's call and
// commits it unless f fails. In a context of Lead it fails with ErrUnavailable
// once another daemon leads.
func (s *Store) write(ctx context.Context, doing string, f func(*transaction) error) error {
	return s.transact(ctx, doing, pgx.TxOptions{}, f)
}

// snapshot runs f in a transaction whose reads all see the same moment.
func (s *Store) snapshot(ctx context.Context, doing string, f func(*transaction) error) error {
	return s.transact(ctx, doing, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, f)
}

func (s *Store) transact(ctx context.Context, doing string, options pgx.TxOptions, f func(*transaction) error) error {
	call, err := callOf(ctx)
	if err != nil {
		return err
	}
	err = pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, call.Principal, options.AccessMode == pgx.ReadOnly); err != nil {
			return err
		}
		return f(&transaction{Queries: dbsqlc.New(tx), tx: tx, call: call})
	})
	return translate(doing, err)
}

// enter sets the claims of a transaction and, for a write of a leader, makes
// sure that it still leads until the transaction ends.
func enter(ctx context.Context, tx pgx.Tx, p fleet.Principal, readOnly bool) error {
	c, err := claimsOf(p)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	b.Queue(setClaims, c)
	epoch, leads := epochFrom(ctx)
	if leads && !readOnly {
		guardEpoch(b, epoch)
	}
	return tx.SendBatch(ctx, b).Close()
}

// mutate is write for what a client may repeat: under an idempotency key it runs
// f once and remembers the identifier that f returns. A repetition does not run
// f and returns that identifier with replayed; one with another fingerprint is
// ErrIdempotencyMismatch. A concurrent repetition waits for the first to end.
func (s *Store) mutate(ctx context.Context, doing string, f func(*transaction) (id string, err error)) (id string, replayed bool, err error) {
	err = s.write(ctx, doing, func(t *transaction) error {
		if id, replayed, err = t.claimKey(ctx); err != nil || replayed {
			return err
		}
		if id, err = f(t); err != nil {
			return err
		}
		return t.rememberResult(ctx, id)
	})
	return id, replayed, err
}

// claimKey takes the call's key, or finds the result that it has already.
func (t *transaction) claimKey(ctx context.Context) (id string, replayed bool, err error) {
	if t.call.IdempotencyKey == "" {
		return "", false, nil
	}
	claimed, err := t.ClaimKey(ctx, dbsqlc.ClaimKeyParams{
		PrincipalID: t.call.Principal.ID, Key: t.call.IdempotencyKey, Fingerprint: fingerprint(t.call),
	})
	if err != nil || claimed == 1 {
		return "", false, err
	}
	return findKey(ctx, t.Queries, t.call)
}

func (t *transaction) rememberResult(ctx context.Context, id string) error {
	if t.call.IdempotencyKey == "" {
		return nil
	}
	return t.SetKeyResult(ctx, dbsqlc.SetKeyResultParams{
		PrincipalID: t.call.Principal.ID, Key: t.call.IdempotencyKey, ResultID: nullable(id),
	})
}

// FindReplay implements deploy.Store.
func (s *Store) FindReplay(ctx context.Context) (id string, found bool, err error) {
	call, err := callOf(ctx)
	if err != nil || call.IdempotencyKey == "" {
		return "", false, err
	}
	q, err := s.read(ctx)
	if err != nil {
		return "", false, err
	}
	id, found, err = findKey(ctx, q, call)
	return id, found, translate("read idempotency key", err)
}

func findKey(ctx context.Context, q *dbsqlc.Queries, call fleet.Call) (id string, found bool, err error) {
	row, err := q.GetKey(ctx, dbsqlc.GetKeyParams{PrincipalID: call.Principal.ID, Key: call.IdempotencyKey})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, err
	case !bytes.Equal(row.Fingerprint, fingerprint(call)):
		return "", false, fleet.Errorf(fleet.ErrIdempotencyMismatch,
			"the idempotency key %q was used with another request; use a new key for each request", call.IdempotencyKey)
	}
	return text(row.ResultID), true, nil
}

// PruneIdempotencyKeys forgets the mutations that are older than
// IdempotencyLifetime. The daemon calls it from time to time.
func (s *Store) PruneIdempotencyKeys(ctx context.Context, now time.Time) (int64, error) {
	var n int64
	err := s.write(fleet.AsSystem(ctx), "prune idempotency keys", func(t *transaction) (err error) {
		n, err = t.PruneKeys(ctx, now.Add(-IdempotencyLifetime))
		return err
	})
	return n, err
}

// fingerprint is the call's, never null.
func fingerprint(c fleet.Call) []byte { return append([]byte{}, c.Fingerprint...) }

// newID makes identifiers that sort by time of creation.
func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make identifier: %w", err)
	}
	return id.String(), nil
}

// nullable is s, or null when it is empty.
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// text is the empty string for null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
