package httpapi

import "github.com/wedsync/terraform-provider-wedsync/daemon/fleet"

var (
	managers = []fleet.Role{fleet.RoleSystemAdmin, fleet.RoleDevOpsEngineer}
	readers  = append(managers[:2:2], fleet.RoleDeveloper)
	everyone = append(readers[:3:3], fleet.RoleMonitoringSystem)
	// collectors measure.
	collectors = []fleet.Role{fleet.RoleSystemAdmin, fleet.RoleMonitoringSystem}
)

// roles is the one table of who may call which operation. An operation that is
// not in it may be called by nobody.
var roles = map[string][]fleet.Role{
	"listDefinitions":  everyone,
	"getDefinition":    everyone,
	"createDefinition": managers,
	"updateDefinition": managers,
	"deleteDefinition": managers,

	"listInstances":    everyone,
	"getInstance":      everyone,
	"deployDefinition": managers,
	"removeDefinition": managers,
	"actOnInstance":    managers,
	"getInstanceLogs":  readers,

	"getInstanceMetrics":  everyone,
	"postInstanceMetrics": collectors,

	"listNetworks":  readers,
	"getNetwork":    readers,
	"createNetwork": managers,
	"updateNetwork": managers,
	"deleteNetwork": managers,

	"listDeployments":     everyone,
	"getDeployment":       everyone,
	"getDeploymentStatus": everyone,
	"rollbackDeployment":  managers,
	"pauseDeployment":     managers,
	"resumeDeployment":    managers,
	"promoteDeployment":   managers,
	"abortDeployment":     managers,

	"scaleManually":        managers,
	"listScalingPolicies":  everyone,
	"getScalingPolicy":     everyone,
	"backtestScaling":      everyone,
	"createScalingPolicy":  managers,
	"updateScalingPolicy":  managers,
	"deleteScalingPolicy":  managers,
	"listScalingDecisions": everyone,

	"listServices":    everyone,
	"discoverService": everyone,
	"setWeight":       managers,
	"watchServices":   everyone,

	"registerEndpoint":   managers,
	"beatEndpoint":       managers,
	"deregisterEndpoint": managers,

	"listRoutes":  everyone,
	"getRoute":    everyone,
	"createRoute": managers,
	"updateRoute": managers,
	"deleteRoute": managers,

	"listEvents": readers,
}

// publicOperations are served without a token; so is the API document.
var publicOperations = map[string]struct{}{
	"getHealth":    {},
	"getReadiness": {},
}

// publicPaths are the paths that need no token.
var publicPaths = map[string]struct{}{
	pathHealth:      {},
	pathReadiness:   {},
	pathOpenAPIJSON: {},
	pathOpenAPIYAML: {},
}

func isPublic(path string) bool {
	_, ok := publicPaths[path]
	return ok
}
