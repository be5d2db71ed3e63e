// Package api is the HTTP contract of wedsyncd: the JSON that goes over the
// wire, under the names of the specification. It depends on the standard library
// only. The struct tags doc, example, default, enum and the bounds become the
// OpenAPI document in docs/openapi.yaml and are enforced by the daemon.
//
// Times are RFC 3339 in UTC. Identifiers are UUIDs. Durations are whole seconds.
package api

// Page is how every list is paged: ask for Limit rows, then pass NextCursor of
// the answer as Cursor until it is empty. Cursors are opaque and stay valid
// while rows come and go.
type Page struct {
	// Limit is the most rows to return, 1 to 1,000; zero means 100.
	Limit int
	// Cursor continues a list where an earlier answer's NextCursor ended it.
	Cursor string
}

// Roles of a principal, least privilege last.
const (
	RoleSystemAdmin      = "system_admin"
	RoleDevOpsEngineer   = "devops_engineer"
	RoleDeveloper        = "developer"
	RoleMonitoringSystem = "monitoring_system"
)

// HeaderIdempotencyKey names the request header that makes a mutation safe to
// repeat: the same key from the same principal does the work once.
const HeaderIdempotencyKey = "Idempotency-Key"
