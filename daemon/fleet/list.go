package fleet

import "time"

// Page asks for one page of a list.
type Page struct {
	Limit  int    // 1 to 1,000
	Cursor string // opaque, empty for the first page
}

// Result is one page of a list and the number of rows over all pages.
type Result[T any] struct {
	Items      []T
	Total      int
	NextCursor string // empty on the last page
}

// DefinitionFilter selects active definitions; empty fields select all.
type DefinitionFilter struct {
	Name, ServiceName string
}

// NetworkFilter selects active networks; empty fields select all.
type NetworkFilter struct {
	Environment, Name string
}

// InstanceFilter selects instances; empty fields select all, but terminated
// instances only when Status asks for them.
type InstanceFilter struct {
	DefinitionID, DeploymentID, Environment, ServiceName string
	Status                                               Status
}

// DeploymentFilter selects deployments; empty fields select all.
type DeploymentFilter struct {
	DefinitionID, Environment string
	Status                    DeploymentStatus
	Live                      bool
}

// EventFilter selects events; empty fields select all.
type EventFilter struct {
	InstanceID, DefinitionID, DeploymentID, NetworkID, Environment, Type string
	Since                                                                time.Time
}
