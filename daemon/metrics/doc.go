// Package metrics measures what instances use, and keeps what was measured in bounds.
//
// The Collector runs on the leader. Once an interval it asks the engine for the
// counters of all running instances, makes rates of them and what the balancers tell
// of requests, and writes one row for each instance, in one statement. It keeps what
// it needs for the next rates and for Prometheus in memory, and nothing else: who
// wants to know what an instance used reads rows.
//
// The Maintainer makes partitions ahead, rolls samples up to five minutes and to an
// hour, and drops what is older than it is to be kept.
package metrics
