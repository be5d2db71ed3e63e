package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// listRows runs the two queries of a list, its count and its page, in one round
// trip. Each function is called twice and must make one query: first to learn the
// statements, then to read their results.
func listRows[R any](ctx context.Context, s *Store, doing string, count func(*dbsqlc.Queries) (int64, error), page func(*dbsqlc.Queries) ([]R, error)) (total int64, rows []R, err error) {
	b, err := record(func(q *dbsqlc.Queries) { _, _ = count(q) }, func(q *dbsqlc.Queries) { _, _ = page(q) })
	if err != nil {
		return 0, nil, translate(doing, err)
	}
	db, err := s.claimed(ctx, setListClaims)
	if err != nil {
		return 0, nil, err
	}
	results := db.SendBatch(ctx, b)
	q := dbsqlc.New(replayed{results})
	if total, err = count(q); err == nil {
		rows, err = page(q)
	}
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return total, rows, translate(doing, err)
}

// record is the batch of the statements that the functions would run.
func record(functions ...func(*dbsqlc.Queries)) (*pgx.Batch, error) {
	b := &pgx.Batch{}
	for _, f := range functions {
		f(dbsqlc.New(recorder{b}))
	}
	if b.Len() != len(functions) {
		return nil, errors.New("a function did not make one query")
	}
	return b, nil
}

var errRecorded = errors.New("recorded, not run")

// recorder notes statements and fails them.
type recorder struct{ batch *pgx.Batch }

func (r recorder) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	r.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, errRecorded
}

func (r recorder) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	r.batch.Queue(sql, args...)
	return nil, errRecorded
}

func (r recorder) QueryRow(_ context.Context, sql string, args ...any) pgx.Row {
	r.batch.Queue(sql, args...)
	return failedRow{errRecorded}
}

func (r recorder) SendBatch(context.Context, *pgx.Batch) pgx.BatchResults {
	return &failedBatch{err: errRecorded}
}

// replayed gives the results of a batch to the statements in their order.
type replayed struct{ results pgx.BatchResults }

func (r replayed) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return r.results.Exec()
}

func (r replayed) Query(context.Context, string, ...any) (pgx.Rows, error) { return r.results.Query() }

func (r replayed) QueryRow(context.Context, string, ...any) pgx.Row { return r.results.QueryRow() }

func (r replayed) SendBatch(context.Context, *pgx.Batch) pgx.BatchResults { return r.results }
