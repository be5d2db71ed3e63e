// Package traffic leads requests to the instances of services. It drops none of
// them while instances come and go.
//
// A Follower reads the registry and hands every snapshot to its receivers, of
// which the Balancer is one:
//
//	registry → Follower → Balancer → table (immutable, behind an atomic pointer)
//	                                   host → path prefix → service → rings → backend
//
// A request finds its service in the table, and its backend in a ring of the
// service. Nothing on its way waits for the database.
//
// An instance leaves in this order: it is deregistered; the next snapshot is
// without it, so that no new request gets there; its requests end; its idle
// connections are closed; the Follower reports that it has drained; and only then,
// or when the drain time is over, is it stopped. A request that had picked the
// instance a moment before looks again once it has counted itself: the last look
// at draining comes after the count, so that none slips in between. Where nobody
// is left of those it knew of, it looks in the newest table.
//
// Endpoints that wedsyncd does not run are there as long as their heartbeats come:
//
//	API → Heartbeats (of every daemon) → database → Sweeper (of the leader) → Expire (pure)
//	                                                     └ probes, where many would go
//
// The Registry is one more receiver, for those who look things up and watch.
package traffic
