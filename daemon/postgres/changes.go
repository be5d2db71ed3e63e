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
	go s.listenOn(ctx, "wedsync_workloads", func(payload string) error {
		var w notification
		if err := json.Unmarshal([]byte(payload), &w); err != nil {
			return fmt.Errorf("decode notification: %w", err)
		}
		select {
		case changes <- fleet.Workload(w):
		default: // nobody has room for it
		}
		return nil
	}, func() { close(changes) })
	return changes
}

// listenOn passes on what is notified on a channel until ctx ends, and then calls ended.
func (s *Store) listenOn(ctx context.Context, channel string, pass func(payload string) error, ended func()) {
	defer ended()
	for {
		if err := s.listen(ctx, channel, pass); err != nil && ctx.Err() == nil {
			s.log.Warn("lost the notifications of the database; listening again", "error", err)
		}
		if !pause(ctx, pingEvery) {
			return
		}
	}
}

func (s *Store) listen(ctx context.Context, channel string, pass func(payload string) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return translate("listen", err)
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return translate("wait for notifications", err)
		}
		if err := pass(n.Payload); err != nil {
			return err
		}
	}
}
