package traffic

import (
	"context"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is what following the registry needs of the database.
type Store interface {
	// Traffic is all that decides where requests go, as of one moment.
	Traffic(ctx context.Context) (fleet.Traffic, error)
	// TrafficChanges tells that Traffic has changed, until ctx ends; it may miss some.
	TrafficChanges(ctx context.Context) <-chan struct{}
	// Follow says that a follower is there: instances that drain wait for it. It has
	// to be said again every few seconds.
	Follow(ctx context.Context, followerID, name string) error
	// Unfollow says that it has ended.
	Unfollow(ctx context.Context, followerID string) error
	// RecordDrained says that nobody behind the follower uses the instances any more.
	RecordDrained(ctx context.Context, followerID string, instanceIDs []string) error
	// RecordLoads keeps what was measured in the last second.
	RecordLoads(ctx context.Context, followerID string, loads []fleet.Load) error
}

// Receiver acts on what the registry says.
type Receiver interface {
	// Receive takes the newest snapshot; it does not keep the caller waiting. The
	// snapshot is shared and must not be changed.
	Receive(fleet.Traffic)
	// Drained reports whether nobody behind the receiver uses an instance any more
	// that is not in the newest snapshot.
	Drained(instanceID string) bool
}

// Meter is a receiver that measures.
type Meter interface {
	// Loads are what was measured since the call before.
	Loads() []fleet.Load
}

// HeartbeatStore is what writing heartbeats needs of the database.
type HeartbeatStore interface {
	// RecordHeartbeats writes what the heartbeats say, all or nothing. Those of
	// endpoints that are gone, and those that came before what is known, say nothing.
	RecordHeartbeats(ctx context.Context, beats []fleet.Heartbeat) error
}

// ExpiryStore is what taking silent endpoints out needs of the database.
type ExpiryStore interface {
	HeartbeatStore
	// Overdue lists all endpoints of each service of which an external one has sent
	// no heartbeat for longer than its TTL, by service, environment and identifier;
	// now is the time by the clock of their heartbeats.
	Overdue(ctx context.Context) (endpoints []fleet.Endpoint, now time.Time, err error)
	// ExpireEndpoints deregisters those that are still overdue, with an event each, and returns them.
	ExpireEndpoints(ctx context.Context, expiries []fleet.Expiry) ([]fleet.Endpoint, error)
}
