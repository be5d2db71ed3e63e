package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

const (
	setClaims = "SELECT set_config('request.jwt.claims', $1, true)"
	// setReadClaims also refuses writes: they belong into a transaction, where the
	// epoch is guarded.
	setReadClaims = setClaims + ", set_config('transaction_read_only', 'on', true)"
	// setListClaims also has the plan made for the arguments at hand, so that a
	// filter that is not given costs nothing.
	setListClaims = setReadClaims + ", set_config('plan_cache_mode', 'force_custom_plan', true)"
)

// claims is what the policies know of the acting principal.
type claims struct {
	Role         fleet.Role `json:"role"`
	Subject      string     `json:"sub"`
	Environments []string   `json:"environments"`
}

// callOf is the call of the context. Without one it fails, so that nothing is
// ever read or done by nobody.
func callOf(ctx context.Context) (fleet.Call, error) {
	call, ok := fleet.CallFrom(ctx)
	if !ok || call.Principal.ID == "" {
		return fleet.Call{}, fleet.Errorf(fleet.ErrUnauthenticated, "no principal acts: authenticate first")
	}
	return call, nil
}

func claimsOf(p fleet.Principal) (string, error) {
	environments := p.Environments
	if environments == nil {
		environments = []string{}
	}
	b, err := json.Marshal(claims{Role: p.Role, Subject: p.ID, Environments: environments})
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	return string(b), nil
}

// read gives queries of one statement each, under the claims of the call. Statements that write fail.
func (s *Store) read(ctx context.Context) (*dbsqlc.Queries, error) {
	db, err := s.claimed(ctx, setReadClaims)
	if err != nil {
		return nil, err
	}
	return dbsqlc.New(db), nil
}

func (s *Store) claimed(ctx context.Context, setting string) (*claimed, error) {
	call, err := callOf(ctx)
	if err != nil {
		return nil, err
	}
	c, err := claimsOf(call.Principal)
	if err != nil {
		return nil, err
	}
	return &claimed{pool: s.pool, setting: setting, claims: c}, nil
}

// claimed runs each statement in one batch behind the setting of its claims. The
// batch is one implicit transaction, to which the setting is local.
type claimed struct {
	pool            *pgxpool.Pool
	setting, claims string
}

var _ dbsqlc.DBTX = (*claimed)(nil)

// SendBatch puts the claims before the queries of b.
func (c *claimed) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	whole := &pgx.Batch{}
	whole.Queue(c.setting, c.claims)
	whole.QueuedQueries = append(whole.QueuedQueries, b.QueuedQueries...)
	results := c.pool.SendBatch(ctx, whole)
	if _, err := results.Exec(); err != nil {
		return &failedBatch{BatchResults: results, err: err}
	}
	return results
}

func (c *claimed) one(ctx context.Context, sql string, args []any) pgx.BatchResults {
	b := &pgx.Batch{}
	b.Queue(sql, args...)
	return c.SendBatch(ctx, b)
}

// Exec runs a statement.
func (c *claimed) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	results := c.one(ctx, sql, args)
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return tag, err
}

// Query runs a query; the connection is free again when its rows are closed.
func (c *claimed) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	results := c.one(ctx, sql, args)
	rows, err := results.Query()
	if err != nil {
		_ = results.Close()
		return nil, err
	}
	return &claimedRows{Rows: rows, results: results}, nil
}

// QueryRow runs a query of one row.
func (c *claimed) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return &claimedRow{results: c.one(ctx, sql, args)}
}

type claimedRows struct {
	pgx.Rows
	results pgx.BatchResults
}

// Close frees the rows and the connection.
func (r *claimedRows) Close() {
	r.Rows.Close()
	_ = r.results.Close() // an error of the rows is reported by Err
}

type claimedRow struct{ results pgx.BatchResults }

// Scan reads the row and frees the connection.
func (r *claimedRow) Scan(dest ...any) error {
	err := r.results.QueryRow().Scan(dest...)
	if closeErr := r.results.Close(); err == nil {
		err = closeErr
	}
	return err
}

// failedBatch answers everything with the error that the claims met.
type failedBatch struct {
	pgx.BatchResults
	err error
}

func (f *failedBatch) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, f.err }
func (f *failedBatch) Query() (pgx.Rows, error)         { return nil, f.err }
func (f *failedBatch) QueryRow() pgx.Row                { return failedRow{f.err} }

type failedRow struct{ err error }

func (f failedRow) Scan(...any) error { return f.err }
