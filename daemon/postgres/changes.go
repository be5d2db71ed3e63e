package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// changesBuffer bounds the changes that wait to be looked at.
const changesBuffer = 256

// Changes tells which workloads have a new target or an action to do, by any
// daemon on this database, until ctx ends; then the channel is closed. It listens
// on a connection of its own, which it makes anew when it is lost. Changes that
// fall into such a gap, or that nobody reads in time, are left out: look at
// everything from time to time besides.
func (s *Store) Changes(ctx context.Context) <-chan fleet.Workload {
	changes := make(chan fleet.Workload, changesBuffer)
	go func() {
		defer close(changes)
		for {
			if err := s.listen(ctx, changes); err != nil && ctx.Err() == nil {
				s.log.Warn("lost the notifications of the database; listening again", "error", err)
			}
			if !pause(ctx, pingEvery) {
				return
			}
		}
	}()
	return changes
}

func (s *Store) listen(ctx context.Context, changes chan<- fleet.Workload) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	if _, err := conn.Exec(ctx, "LISTEN wedsync_workloads"); err != nil {
		return translate("listen", err)
	}
	for {
		if err := s.forward(ctx, conn, changes); err != nil {
			return err
		}
	}
}

// forward passes one notification on, unless nobody has room for it.
func (s *Store) forward(ctx context.Context, conn *pgx.Conn, changes chan<- fleet.Workload) error {
	n, err := conn.WaitForNotification(ctx)
	if err != nil {
		return translate("wait for notifications", err)
	}
	var w notification
	if err := json.Unmarshal([]byte(n.Payload), &w); err != nil {
		return fmt.Errorf("decode notification: %w", err)
	}
	select {
	case changes <- fleet.Workload(w):
	default:
	}
	return nil
}
