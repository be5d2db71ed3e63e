package fleet

import (
	"context"
	"slices"
	"time"
)

// Role is what a principal may do.
type Role string

// The roles of the specification.
const (
	// RoleSystemAdmin may do everything in its environments.
	RoleSystemAdmin Role = "system_admin"
	// RoleDevOpsEngineer manages definitions, networks, deployments and instances.
	RoleDevOpsEngineer Role = "devops_engineer"
	// RoleDeveloper reads state, logs and history.
	RoleDeveloper Role = "developer"
	// RoleMonitoringSystem reads instances and writes metrics.
	RoleMonitoringSystem Role = "monitoring_system"
)

// Roles lists all roles.
var Roles = []Role{RoleSystemAdmin, RoleDevOpsEngineer, RoleDeveloper, RoleMonitoringSystem}

// AllEnvironments in a principal's list of environments stands for every one.
const AllEnvironments = "*"

// Principal is who acts: the holder of a token, or the daemon itself.
type Principal struct {
	ID           string
	Name         string
	Role         Role
	Environments []string
	CreatedAt    time.Time
}

// System is the daemon itself; its row is made by the first migration.
var System = Principal{
	ID:           "00000000-0000-7000-8000-000000000001",
	Name:         "wedsyncd",
	Role:         RoleSystemAdmin,
	Environments: []string{AllEnvironments},
}

// MaySee reports whether the environment is in the principal's list.
func (p Principal) MaySee(environment string) bool {
	return slices.Contains(p.Environments, AllEnvironments) || slices.Contains(p.Environments, environment)
}

// MayManage reports whether the role may change definitions, networks, deployments and instances.
func (p Principal) MayManage() bool {
	return p.Role == RoleSystemAdmin || p.Role == RoleDevOpsEngineer
}

// Token is a bearer token as it is stored: never the secret, only its hash.
type Token struct {
	ID         string
	Principal  Principal
	Prefix     string // first characters of the secret, to recognise it by
	CreatedAt  time.Time
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time
}

// Call is the circumstances of one request: who acts, and the key under which a
// mutation is done at most once.
type Call struct {
	Principal Principal
	// IdempotencyKey is empty when the client gave none.
	IdempotencyKey string
	// Fingerprint is a hash over method, path and body; the same key with another fingerprint is refused.
	Fingerprint []byte
	// RequestID finds the request in the log.
	RequestID string
}

type callKey struct{}

// WithCall puts the circumstances of a request into its context. The store
// refuses to work without them, so that nothing is ever done by nobody.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallFrom is what WithCall put there.
func CallFrom(ctx context.Context) (Call, bool) {
	c, ok := ctx.Value(callKey{}).(Call)
	return c, ok
}

// AsSystem is a context in which the daemon itself acts.
func AsSystem(ctx context.Context) context.Context {
	return WithCall(ctx, Call{Principal: System})
}
