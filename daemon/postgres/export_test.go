package postgres

import (
	"context"
	"time"
)

// WriteThroughRead tries to write by a query that was got for reading.
func (s *Store) WriteThroughRead(ctx context.Context) error {
	q, err := s.read(ctx)
	if err != nil {
		return err
	}
	_, err = q.PruneKeys(ctx, time.Now())
	return translate("write through a read", err)
}

// MigrateTo is Migrate up to an earlier version of the schema.
var MigrateTo = migrateTo
