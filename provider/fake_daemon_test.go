package provider_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const fakeToken = "wst_fake_token"

// fakeDaemon is the API of wedsyncd over plain memory. A rollout ends when it is
// looked at for the second time; the image tag decides how: "broken…" fails and
// is rolled back, "doomed…" fails and so does its rollback, and "slow…" goes on
// until release is called.
type fakeDaemon struct {
	*httptest.Server
	t *testing.T

	mu          sync.Mutex
	serial      int
	definitions []api.Definition
	secrets     map[string]api.RegistryCredentials
	networks    []api.Network
	deployments []api.Deployment
	routes      []api.Route
	policies    []api.ScalingPolicy
	decisions   []api.ScalingDecision
	services    []api.Service
	discoveries []api.DiscoverRequest
	deploys     []api.DeployRequest
	released    bool
	revoked     bool // the token
	mayNotAbort bool // the token's role
	// afterWrite and afterDeploy happen once, right after a definition was written
	// or a rollout accepted.
	afterWrite  func(api.Definition)
	afterDeploy func(api.Deployment)
}

func once[T any](hook *func(T), v T) {
	if do := *hook; do != nil {
		*hook = nil
		do(v)
	}
}

func startFakeDaemon(t *testing.T) *fakeDaemon {
	t.Helper()
	f := &fakeDaemon{t: t, secrets: map[string]api.RegistryCredentials{}}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request) (int, any){
		"GET /api/containers/definitions":              f.listDefinitions,
		"POST /api/containers/definitions":             f.createDefinition,
		"GET /api/containers/definitions/{id}":         f.getDefinition,
		"PUT /api/containers/definitions/{id}":         f.updateDefinition,
		"DELETE /api/containers/definitions/{id}":      f.deleteDefinition,
		"GET /api/containers/networks":                 f.listNetworks,
		"POST /api/containers/networks":                f.createNetwork,
		"GET /api/containers/networks/{id}":            f.getNetwork,
		"PUT /api/containers/networks/{id}":            f.updateNetwork,
		"DELETE /api/containers/networks/{id}":         f.deleteNetwork,
		"GET /api/containers/routes":                   f.listRoutes,
		"POST /api/containers/routes":                  f.createRoute,
		"GET /api/containers/routes/{id}":              f.getRoute,
		"PUT /api/containers/routes/{id}":              f.updateRoute,
		"DELETE /api/containers/routes/{id}":           f.deleteRoute,
		"GET /api/containers/scaling/policies":         f.listPolicies,
		"POST /api/containers/scaling/policies":        f.createPolicy,
		"GET /api/containers/scaling/policies/{id}":    f.getPolicy,
		"PUT /api/containers/scaling/policies/{id}":    f.updatePolicy,
		"DELETE /api/containers/scaling/policies/{id}": f.deletePolicy,
		"GET /api/containers/scaling/decisions":        f.listDecisions,
		"GET /api/containers/services":                 f.listServices,
		"POST /api/containers/services/{id}/discover":  f.discover,
		"POST /api/containers/instances/{id}/deploy":   f.deploy,
		"DELETE /api/containers/instances/{id}/deploy": f.remove,
		"GET /api/containers/instances":                f.listInstances,
		"GET /api/containers/deployments":              f.listDeployments,
		"GET /api/containers/deployments/{id}":         f.getDeployment,
		"GET /api/containers/deployments/{id}/status":  f.getStatus,
		"POST /api/containers/deployments/{id}/abort":  f.abort,
	} {
		mux.HandleFunc(pattern, f.serve(handle))
	}
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeDaemon) serve(handle func(*http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		status, body := http.StatusUnauthorized, any(refuse(401, api.CodeUnauthenticated, "the token is not valid"))
		switch {
		case f.revoked, r.Header.Get("Authorization") != "Bearer "+fakeToken:
		case r.Method != http.MethodGet && r.Header.Get(api.HeaderIdempotencyKey) == "":
			f.t.Errorf("%s %s came without an idempotency key", r.Method, r.URL)
		default:
			status, body = handle(r)
		}
		if p, ok := body.(api.Problem); ok {
			w.Header().Set("Content-Type", "application/problem+json")
			status = p.Status
		} else {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		if body != nil {
			_ = json.NewEncoder(w).Encode(body)
		}
	}
}

func refuse(status int, code, format string, args ...any) api.Problem {
	return api.Problem{Status: status, Code: code, Title: code, Detail: fmt.Sprintf(format, args...)}
}

func notFound(what string) (int, any) {
	return 404, refuse(404, api.CodeNotFound, "there is no such %s", what)
}

func decode[T any](r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return v, d.Decode(&v)
}

func unreadable(err error) (int, any) {
	return 400, refuse(400, api.CodeInvalid, "the body is unreadable: %v", err)
}

func (f *fakeDaemon) id() string {
	f.serial++
	return fmt.Sprintf("0198c5f0-9f4e-7c1a-9a53-%012x", f.serial)
}

func index[T any](items []T, match func(T) bool) int { return slices.IndexFunc(items, match) }

func paged[T any](r *http.Request, all []T) (items []T, next string) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if limit == 0 {
		limit = 100
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	to := min(from+limit, len(all))
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return all[from:to], next
}

func selected[T any](all []T, match func(T) bool) []T {
	out := []T{}
	for _, item := range all {
		if match(item) {
			out = append(out, item)
		}
	}
	return out
}

// asked reports whether a filter of the query, if given, is the value.
func asked(r *http.Request, name, value string) bool {
	q := r.URL.Query().Get(name)
	return q == "" || q == value
}

// Definitions.

func (f *fakeDaemon) definition(r *http.Request) int {
	return index(f.definitions, func(d api.Definition) bool { return d.ID == r.PathValue("id") && d.IsActive })
}

func (f *fakeDaemon) listDefinitions(r *http.Request) (int, any) {
	all := selected(f.definitions, func(d api.Definition) bool {
		return d.IsActive && asked(r, "name", d.Name) && asked(r, "service_name", d.ServiceName)
	})
	page, next := paged(r, all)
	return 200, api.DefinitionList{Definitions: page, TotalCount: len(all), NextCursor: next}
}

func (f *fakeDaemon) createDefinition(r *http.Request) (int, any) {
	in, err := decode[api.CreateDefinitionRequest](r)
	if err != nil {
		return unreadable(err)
	}
	if index(f.definitions, func(d api.Definition) bool { return d.IsActive && d.Name == in.Name }) >= 0 {
		p := refuse(409, api.CodeAlreadyExists, "a definition of this name exists")
		p.Errors = []api.FieldError{{Location: "body.name", Message: fmt.Sprintf("%q is taken", in.Name)}}
		return 409, p
	}
	now := time.Now().UTC()
	d := api.Definition{
		ID: f.id(), Name: in.Name, ServiceName: in.ServiceName, ImageName: in.ImageName, ImageTag: in.ImageTag, RegistryURL: in.RegistryURL,
		EnvironmentConfig: in.EnvironmentConfig, ResourceLimits: in.ResourceLimits, HealthCheckConfig: in.HealthCheckConfig,
		ScalingConfig: in.ScalingConfig, VolumeMounts: in.VolumeMounts, Revision: 1, IsActive: true, CreatedAt: now, UpdatedAt: now,
	}
	if in.NetworkConfig != nil {
		d.NetworkConfig = *in.NetworkConfig
	}
	if in.RuntimeConfig != nil {
		d.RuntimeConfig = *in.RuntimeConfig
	}
	if in.RegistryCredentials != nil {
		d.HasRegistryCredentials = true
		f.secrets[d.ID] = *in.RegistryCredentials
	}
	f.definitions = append(f.definitions, d)
	once(&f.afterWrite, d)
	return 201, d
}

func (f *fakeDaemon) getDefinition(r *http.Request) (int, any) {
	i := f.definition(r)
	if i < 0 {
		return notFound("definition")
	}
	return 200, f.definitions[i]
}

func assign[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (f *fakeDaemon) updateDefinition(r *http.Request) (int, any) {
	in, err := decode[api.UpdateDefinitionRequest](r)
	if err != nil {
		return unreadable(err)
	}
	i := f.definition(r)
	if i < 0 {
		return notFound("definition")
	}
	d := &f.definitions[i]
	before, _ := json.Marshal(d)
	assign(&d.Name, in.Name)
	assign(&d.ServiceName, in.ServiceName)
	assign(&d.ImageName, in.ImageName)
	assign(&d.ImageTag, in.ImageTag)
	assign(&d.RegistryURL, in.RegistryURL)
	assign(&d.EnvironmentConfig, in.EnvironmentConfig)
	assign(&d.ResourceLimits, in.ResourceLimits)
	assign(&d.ScalingConfig, in.ScalingConfig)
	assign(&d.NetworkConfig, in.NetworkConfig)
	assign(&d.VolumeMounts, in.VolumeMounts)
	assign(&d.RuntimeConfig, in.RuntimeConfig)
	if in.HealthCheckConfig.Set {
		d.HealthCheckConfig = in.HealthCheckConfig.Value
	}
	if in.RegistryCredentials.Set {
		delete(f.secrets, d.ID)
		if d.HasRegistryCredentials = in.RegistryCredentials.Value != nil; d.HasRegistryCredentials {
			f.secrets[d.ID] = *in.RegistryCredentials.Value
		}
	}
	if after, _ := json.Marshal(d); string(after) != string(before) || in.RegistryCredentials.Set {
		d.Revision++
		d.UpdatedAt = time.Now().UTC()
		once(&f.afterWrite, *d)
	}
	return 200, *d
}

func (f *fakeDaemon) deleteDefinition(r *http.Request) (int, any) {
	i := f.definition(r)
	if i < 0 {
		return notFound("definition")
	}
	id := f.definitions[i].ID
	if index(f.deployments, func(d api.Deployment) bool { return d.DefinitionID == id && d.IsLive }) >= 0 {
		return 409, refuse(409, api.CodeInUse, "the definition is deployed")
	}
	f.definitions[i].IsActive = false
	return 204, nil
}

// Networks.

func (f *fakeDaemon) network(r *http.Request) int {
	return index(f.networks, func(n api.Network) bool { return n.ID == r.PathValue("id") && n.IsActive })
}

func (f *fakeDaemon) listNetworks(r *http.Request) (int, any) {
	all := selected(f.networks, func(n api.Network) bool {
		return n.IsActive && asked(r, "environment", n.Environment) && asked(r, "name", n.NetworkName)
	})
	page, next := paged(r, all)
	return 200, api.NetworkList{Networks: page, TotalCount: len(all), NextCursor: next}
}

// chooseAddresses fills in what the engine chooses, another subnet each time.
func (f *fakeDaemon) chooseAddresses(n *api.Network) {
	if n.Subnet == "" {
		f.serial++
		n.Subnet = fmt.Sprintf("172.30.%d.0/24", f.serial%256)
	}
	if n.Gateway == "" {
		n.Gateway = strings.Replace(n.Subnet, ".0/24", ".1", 1)
	}
}

func (f *fakeDaemon) createNetwork(r *http.Request) (int, any) {
	in, err := decode[api.CreateNetworkRequest](r)
	if err != nil {
		return unreadable(err)
	}
	n := api.Network{
		ID: f.id(), NetworkName: in.NetworkName, NetworkType: in.NetworkType, Environment: in.Environment, Subnet: in.Subnet, Gateway: in.Gateway,
		EngineName: "wedsync." + in.Environment + "." + in.NetworkName, IsActive: true, CreatedAt: time.Now().UTC(),
	}
	assign(&n.DNSConfig, in.DNSConfig)
	assign(&n.NetworkConfig, in.NetworkConfig)
	f.chooseAddresses(&n)
	f.networks = append(f.networks, n)
	return 201, n
}

func (f *fakeDaemon) getNetwork(r *http.Request) (int, any) {
	i := f.network(r)
	if i < 0 {
		return notFound("network")
	}
	return 200, f.networks[i]
}

func (f *fakeDaemon) updateNetwork(r *http.Request) (int, any) {
	in, err := decode[api.UpdateNetworkRequest](r)
	if err != nil {
		return unreadable(err)
	}
	i := f.network(r)
	if i < 0 {
		return notFound("network")
	}
	n := &f.networks[i]
	assign(&n.NetworkType, in.NetworkType)
	assign(&n.Subnet, in.Subnet)
	assign(&n.Gateway, in.Gateway)
	assign(&n.DNSConfig, in.DNSConfig)
	assign(&n.NetworkConfig, in.NetworkConfig)
	f.chooseAddresses(n)
	return 200, *n
}

func (f *fakeDaemon) deleteNetwork(r *http.Request) (int, any) {
	i := f.network(r)
	if i < 0 {
		return notFound("network")
	}
	f.networks[i].IsActive = false
	return 204, nil
}

// Routes and services.

func (f *fakeDaemon) route(r *http.Request) int {
	return index(f.routes, func(route api.Route) bool { return route.ID == r.PathValue("id") })
}

func (f *fakeDaemon) listRoutes(r *http.Request) (int, any) {
	all := selected(f.routes, func(route api.Route) bool {
		return asked(r, "environment", route.Environment) && asked(r, "service_name", route.ServiceName) && asked(r, "name", route.Name)
	})
	page, next := paged(r, all)
	return 200, api.RouteList{Routes: page, TotalCount: len(all), NextCursor: next}
}

// conflict is the answer to a host that another environment has.
func (f *fakeDaemon) conflict(id, environment string, hosts []string) (api.Problem, bool) {
	for _, other := range f.routes {
		for _, host := range hosts {
			if other.ID != id && other.Environment != environment && slices.Contains(other.Hosts, host) {
				p := refuse(409, api.CodeConflict, "a host is taken")
				p.Errors = []api.FieldError{{Location: "body.hosts", Message: fmt.Sprintf("host %q belongs to a route of another environment", host)}}
				return p, true
			}
		}
	}
	return api.Problem{}, false
}

func (f *fakeDaemon) createRoute(r *http.Request) (int, any) {
	in, err := decode[api.CreateRouteRequest](r)
	if err != nil {
		return unreadable(err)
	}
	if p, taken := f.conflict("", in.Environment, in.Hosts); taken {
		return 409, p
	}
	now := time.Now().UTC()
	route := api.Route{
		ID: f.id(), Name: in.Name, Environment: in.Environment, ServiceName: in.ServiceName, Hosts: in.Hosts, PathPrefixes: in.PathPrefixes,
		Strategy: in.Strategy, StickyCookie: in.StickyCookie, CanaryHeader: in.CanaryHeader, CanaryCookie: in.CanaryCookie,
		StripPrefix: in.StripPrefix, RequireTLS: in.RequireTLS, MaxBodySize: in.MaxBodySize, MaxHeaderSize: in.MaxHeaderSize,
		ResponseTimeout: in.ResponseTimeout, IdleTimeout: in.IdleTimeout, MaxRequests: in.MaxRequests, CreatedBy: f.id(), CreatedAt: now, UpdatedAt: now,
	}
	f.routes = append(f.routes, route)
	return 201, route
}

func (f *fakeDaemon) getRoute(r *http.Request) (int, any) {
	i := f.route(r)
	if i < 0 {
		return notFound("route")
	}
	return 200, f.routes[i]
}

func (f *fakeDaemon) updateRoute(r *http.Request) (int, any) {
	in, err := decode[api.UpdateRouteRequest](r)
	if err != nil {
		return unreadable(err)
	}
	i := f.route(r)
	if i < 0 {
		return notFound("route")
	}
	route := &f.routes[i]
	if p, taken := f.conflict(route.ID, route.Environment, *in.Hosts); taken {
		return 409, p
	}
	assign(&route.ServiceName, in.ServiceName)
	assign(&route.Hosts, in.Hosts)
	assign(&route.PathPrefixes, in.PathPrefixes)
	assign(&route.Strategy, in.Strategy)
	assign(&route.StickyCookie, in.StickyCookie)
	assign(&route.CanaryHeader, in.CanaryHeader)
	assign(&route.CanaryCookie, in.CanaryCookie)
	assign(&route.StripPrefix, in.StripPrefix)
	assign(&route.RequireTLS, in.RequireTLS)
	assign(&route.MaxBodySize, in.MaxBodySize)
	assign(&route.MaxHeaderSize, in.MaxHeaderSize)
	assign(&route.ResponseTimeout, in.ResponseTimeout)
	assign(&route.IdleTimeout, in.IdleTimeout)
	assign(&route.MaxRequests, in.MaxRequests)
	route.UpdatedAt = time.Now().UTC()
	return 200, *route
}

func (f *fakeDaemon) deleteRoute(r *http.Request) (int, any) {
	i := f.route(r)
	if i < 0 {
		return notFound("route")
	}
	f.routes = slices.Delete(f.routes, i, i+1)
	return 204, nil
}

func (f *fakeDaemon) listServices(r *http.Request) (int, any) {
	return 200, api.ServiceList{Services: selected(f.services, func(s api.Service) bool {
		return asked(r, "environment", s.Environment) && asked(r, "service_name", s.ServiceName)
	})}
}

// discover leaves the filters to the daemon, and notes them.
func (f *fakeDaemon) discover(r *http.Request) (int, any) {
	in, err := decode[api.DiscoverRequest](r)
	if err != nil {
		return unreadable(err)
	}
	f.discoveries = append(f.discoveries, in)
	name := r.PathValue("id")
	for _, s := range f.services {
		if s.ServiceName == name && s.Environment == in.Environment {
			return 200, s
		}
	}
	return 200, api.Service{ServiceName: name, Environment: in.Environment, Instances: []api.ServiceInstance{}}
}

// Scaling policies and decisions.

func (f *fakeDaemon) policy(r *http.Request) int {
	return index(f.policies, func(p api.ScalingPolicy) bool { return p.ID == r.PathValue("id") })
}

func (f *fakeDaemon) listPolicies(r *http.Request) (int, any) {
	all := selected(f.policies, func(p api.ScalingPolicy) bool {
		return asked(r, "definition_id", p.DefinitionID) && asked(r, "environment", p.Environment) &&
			asked(r, "policy_name", p.PolicyName) && asked(r, "scaling_type", p.ScalingType)
	})
	page, next := paged(r, all)
	return 200, api.ScalingPolicyList{Policies: page, TotalCount: len(all), NextCursor: next}
}

// beyond is the answer to bounds outside of the definition's range.
func (f *fakeDaemon) beyond(p api.ScalingPolicy) (api.Problem, bool) {
	for _, d := range f.definitions {
		if d.ID == p.DefinitionID && p.MaxReplicas != nil && *p.MaxReplicas > d.ScalingConfig.MaxReplicas {
			problem := refuse(422, api.CodeInvalid, "1 field is invalid")
			problem.Errors = []api.FieldError{{Location: "body.max_replicas", Message: fmt.Sprintf("%d is outside of the range of definition %q", *p.MaxReplicas, d.Name)}}
			return problem, true
		}
	}
	return api.Problem{}, false
}

func (f *fakeDaemon) createPolicy(r *http.Request) (int, any) {
	in, err := decode[api.CreateScalingPolicyRequest](r)
	if err != nil {
		return unreadable(err)
	}
	now := time.Now().UTC()
	p := api.ScalingPolicy{
		ID: f.id(), DefinitionID: in.DefinitionID, DefinitionName: "wedding-api", Environment: in.Environment, PolicyName: in.PolicyName, ScalingType: in.ScalingType,
		TriggerMetric: in.TriggerMetric, MetricName: in.MetricName, TargetValue: in.TargetValue, ScaleUpThreshold: in.ScaleUpThreshold, ScaleDownThreshold: in.ScaleDownThreshold,
		ScaleUpAdjustment: in.ScaleUpAdjustment, ScaleDownAdjustment: in.ScaleDownAdjustment, MinReplicas: in.MinReplicas, MaxReplicas: in.MaxReplicas,
		ScaleUpCooldown: *in.ScaleUpCooldown, ScaleDownCooldown: *in.ScaleDownCooldown, StabilizationWindow: *in.StabilizationWindow,
		MaxScaleUp: *in.MaxScaleUp, MaxScaleDown: *in.MaxScaleDown, ScalePeriod: *in.ScalePeriod, MinLimit: in.MinLimit, MaxLimit: in.MaxLimit,
		ScheduleStart: in.ScheduleStart, ScheduleEnd: in.ScheduleEnd, TimeZone: in.TimeZone, IsEnabled: *in.IsEnabled, CreatedAt: now, UpdatedAt: now,
	}
	if problem, refused := f.beyond(p); refused {
		return 422, problem
	}
	f.policies = append(f.policies, p)
	return 201, p
}

func (f *fakeDaemon) getPolicy(r *http.Request) (int, any) {
	i := f.policy(r)
	if i < 0 {
		return notFound("scaling policy")
	}
	return 200, f.policies[i]
}

func replace[T any](to **T, from api.Optional[T]) {
	if from.Set {
		*to = from.Value
	}
}

func replaceText(to *string, from api.Optional[string]) {
	if from.Set {
		*to = ""
		assign(to, from.Value)
	}
}

func (f *fakeDaemon) updatePolicy(r *http.Request) (int, any) {
	in, err := decode[api.UpdateScalingPolicyRequest](r)
	if err != nil {
		return unreadable(err)
	}
	i := f.policy(r)
	if i < 0 {
		return notFound("scaling policy")
	}
	p := f.policies[i]
	assign(&p.ScalingType, in.ScalingType)
	replaceText(&p.TriggerMetric, in.TriggerMetric)
	replaceText(&p.MetricName, in.MetricName)
	replace(&p.TargetValue, in.TargetValue)
	replace(&p.ScaleUpThreshold, in.ScaleUpThreshold)
	replace(&p.ScaleDownThreshold, in.ScaleDownThreshold)
	replace(&p.ScaleUpAdjustment, in.ScaleUpAdjustment)
	replace(&p.ScaleDownAdjustment, in.ScaleDownAdjustment)
	replace(&p.MinReplicas, in.MinReplicas)
	replace(&p.MaxReplicas, in.MaxReplicas)
	assign(&p.ScaleUpCooldown, in.ScaleUpCooldown)
	assign(&p.ScaleDownCooldown, in.ScaleDownCooldown)
	assign(&p.StabilizationWindow, in.StabilizationWindow)
	assign(&p.MaxScaleUp, in.MaxScaleUp)
	assign(&p.MaxScaleDown, in.MaxScaleDown)
	assign(&p.ScalePeriod, in.ScalePeriod)
	replaceText(&p.MinLimit, in.MinLimit)
	replaceText(&p.MaxLimit, in.MaxLimit)
	replaceText(&p.ScheduleStart, in.ScheduleStart)
	replaceText(&p.ScheduleEnd, in.ScheduleEnd)
	replaceText(&p.TimeZone, in.TimeZone)
	assign(&p.IsEnabled, in.IsEnabled)
	if problem, refused := f.beyond(p); refused {
		return 422, problem
	}
	if !reflect.DeepEqual(p, f.policies[i]) {
		p.UpdatedAt = time.Now().UTC()
	}
	f.policies[i] = p
	return 200, p
}

func (f *fakeDaemon) deletePolicy(r *http.Request) (int, any) {
	i := f.policy(r)
	if i < 0 {
		return notFound("scaling policy")
	}
	f.policies = slices.Delete(f.policies, i, i+1)
	return 204, nil
}

func (f *fakeDaemon) listDecisions(r *http.Request) (int, any) {
	all := selected(f.decisions, func(d api.ScalingDecision) bool {
		return asked(r, "definition_id", d.DefinitionID) && asked(r, "environment", d.Environment) && asked(r, "policy_id", d.PolicyID) && asked(r, "outcome", d.Outcome) &&
			(r.URL.Query().Get("changes_only") != "true" || d.CurrentValue != d.LimitedValue)
	})
	page, next := paged(r, all)
	return 200, api.ScalingDecisionList{Decisions: page, TotalCount: len(all), NextCursor: next}
}

// owned reports whether a policy owns a workload's number of replicas.
func (f *fakeDaemon) owned(definitionID, environment string) bool {
	return index(f.policies, func(p api.ScalingPolicy) bool {
		return p.DefinitionID == definitionID && p.Environment == environment && p.IsEnabled && p.ScalingType != api.ScalingVertical
	}) >= 0
}

// live is what runs; nil for nothing.
func (f *fakeDaemon) live() *api.Deployment {
	i := index(f.deployments, func(d api.Deployment) bool { return d.IsLive })
	if i < 0 {
		return nil
	}
	return &f.deployments[i]
}

// scale changes the number of replicas of what is live, as the autoscaler does. Only
// with done it ends.
func (f *fakeDaemon) scale(replicas int, done bool) {
	d := *f.live()
	d.DeploymentType, d.InstancesBefore, d.InstancesAfter, d.IsLive, d.CompletedAt = api.TypeScale, d.InstancesAfter, replicas, false, nil
	f.start(d)
	if done {
		f.complete(&f.deployments[0])
	}
}

// Deployments.

func (f *fakeDaemon) deploy(r *http.Request) (int, any) {
	in, err := decode[api.DeployRequest](r)
	if err != nil {
		return unreadable(err)
	}
	i := f.definition(r)
	if i < 0 {
		return notFound("definition")
	}
	d := f.definitions[i]
	if in.DefinitionRevision != nil && *in.DefinitionRevision != d.Revision {
		return 409, refuse(409, api.CodeConflict, "the definition is at revision %d, not %d", d.Revision, *in.DefinitionRevision)
	}
	if d.ImageTag == "absent" {
		return 422, refuse(422, api.CodeImageNotFound, "neither the engine nor the registry has the image %s:absent", d.ImageName)
	}
	if h, c := d.HealthCheckConfig, in.RolloutConfig; h != nil && *c.HealthyDeadline <= h.StartPeriod+h.Interval*h.Retries {
		p := refuse(422, api.CodeInvalid, "1 field is invalid")
		p.Errors = []api.FieldError{{Location: "body.rollout_config.healthy_deadline", Message: "is not longer than the health check needs"}}
		return 422, p
	}
	f.deploys = append(f.deploys, in)
	replicas := d.ScalingConfig.MinReplicas
	if live := f.live(); live != nil && f.owned(d.ID, in.Environment) {
		replicas = live.InstancesAfter
	}
	assign(&replicas, in.ReplicaCount)
	accepted := f.start(api.Deployment{
		DefinitionID: d.ID, DefinitionName: d.Name, DefinitionRevision: d.Revision, Environment: in.Environment, ImageTag: d.ImageTag,
		InstancesAfter: replicas, DeploymentType: api.TypeDeploy, DeploymentStrategy: in.DeploymentStrategy, RolloutConfig: *in.RolloutConfig,
		DeploymentNotes: in.DeploymentNotes,
	})
	once(&f.afterDeploy, f.deployments[0])
	return 202, accepted
}

func sameWorkload(a, b api.Deployment) bool {
	return a.DefinitionID == b.DefinitionID && a.Environment == b.Environment
}

func (f *fakeDaemon) start(d api.Deployment) api.DeploymentAccepted {
	d.ID, d.StartedAt = f.id(), time.Now().UTC()
	d.DeploymentStatus, d.Errors = api.DeploymentInProgress, []api.DeploymentError{}
	d.ImageDigest = "sha256:" + strings.Repeat("0", 60) + fmt.Sprintf("%04d", d.DefinitionRevision)
	for i := range f.deployments {
		if old := &f.deployments[i]; sameWorkload(*old, d) && old.DeploymentStatus == api.DeploymentInProgress {
			old.SupersededByID, d.SupersedesID = d.ID, old.ID
			f.fail(old, api.DeploymentError{Step: "superseded", Message: "superseded by deployment " + d.ID})
		}
	}
	f.deployments = append([]api.Deployment{d}, f.deployments...)
	return api.DeploymentAccepted{DeploymentID: d.ID}
}

func (f *fakeDaemon) remove(r *http.Request) (int, any) {
	environment := r.URL.Query().Get("environment")
	i := index(f.deployments, func(d api.Deployment) bool {
		return d.DefinitionID == r.PathValue("id") && d.Environment == environment && (d.IsLive || d.DeploymentStatus == api.DeploymentInProgress)
	})
	if i < 0 {
		return notFound("deployment")
	}
	d := f.deployments[i]
	d.IsRemoval, d.IsLive, d.InstancesAfter, d.DeploymentType, d.RollbackID, d.RollbackOfID = true, false, 0, api.TypeDeploy, "", ""
	return 202, f.start(d)
}

// fail ends a rollout without success.
func (f *fakeDaemon) fail(d *api.Deployment, e api.DeploymentError) {
	now := time.Now().UTC()
	d.DeploymentStatus, d.CompletedAt, d.Errors = api.DeploymentFailed, &now, []api.DeploymentError{e}
}

// rollBack begins the rollback of the deployment with the identifier, where something is live.
func (f *fakeDaemon) rollBack(id string) {
	failed := index(f.deployments, func(d api.Deployment) bool { return d.ID == id })
	live := index(f.deployments, func(d api.Deployment) bool { return d.IsLive && sameWorkload(d, f.deployments[failed]) })
	if live < 0 || f.deployments[failed].IsRemoval || f.deployments[failed].DeploymentType == api.TypeRollback {
		return
	}
	back := f.deployments[live]
	back.DeploymentType, back.RollbackTargetID, back.RollbackOfID = api.TypeRollback, back.ID, id
	back.DeploymentStrategy, back.IsLive, back.CompletedAt, back.RollbackID = api.StrategyRollingUpdate, false, nil, ""
	back.RolloutConfig.MinHealthyTime, back.DeploymentNotes = new(int), ""
	started := f.start(back)
	f.deployments[failed+1].RollbackID = started.DeploymentID
}

// crash is the error of a replica that was never healthy.
func crash(d api.Deployment) api.DeploymentError {
	code := 1
	return api.DeploymentError{
		InstanceName: d.DefinitionName + "-" + d.Environment + "-1", Step: "await_healthy", Message: "exited before it was healthy",
		ExitCode: &code, HealthOutput: "connection refused", LogTail: []string{"panic: no database"},
	}
}

// end lets a rollout end, if it can.
func (f *fakeDaemon) end(d *api.Deployment) {
	rollback := d.DeploymentType == api.TypeRollback
	switch {
	case d.DeploymentStatus != api.DeploymentInProgress:
	case strings.HasPrefix(d.ImageTag, "slow") && !f.released && !d.IsRemoval && !rollback:
	case (strings.HasPrefix(d.ImageTag, "broken") || strings.HasPrefix(d.ImageTag, "doomed")) && !d.IsRemoval && !rollback, rollback && f.undoes(d, "doomed"):
		f.fail(d, crash(*d))
		f.rollBack(d.ID)
	default:
		f.complete(d)
	}
}

// undoes reports whether a rollback undoes a deployment of such a tag.
func (f *fakeDaemon) undoes(rollback *api.Deployment, tag string) bool {
	return index(f.deployments, func(d api.Deployment) bool {
		return d.ID == rollback.RollbackOfID && strings.HasPrefix(d.ImageTag, tag)
	}) >= 0
}

func (f *fakeDaemon) complete(d *api.Deployment) {
	for i := range f.deployments {
		if old := &f.deployments[i]; sameWorkload(*old, *d) {
			old.IsLive = false
			if old.ID == d.RollbackOfID {
				old.DeploymentStatus = api.DeploymentRolledBack
			}
		}
	}
	now := time.Now().UTC()
	d.DeploymentStatus, d.CompletedAt, d.IsLive = api.DeploymentCompleted, &now, !d.IsRemoval
}

func (f *fakeDaemon) abort(r *http.Request) (int, any) {
	i := f.deployment(r)
	if i < 0 {
		return notFound("deployment")
	}
	if f.mayNotAbort {
		return 403, refuse(403, api.CodeForbidden, "the role does not allow it")
	}
	d := f.deployments[i]
	if d.DeploymentStatus != api.DeploymentInProgress {
		return 409, refuse(409, api.CodeConflict, "deployment %s has ended", d.ID)
	}
	f.fail(&f.deployments[i], api.DeploymentError{Step: "aborted", Message: "aborted by a user"})
	f.rollBack(d.ID)
	return 200, f.deployments[f.deployment(r)]
}

func (f *fakeDaemon) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released = true
	for i := range f.deployments {
		f.end(&f.deployments[i])
	}
}

func (f *fakeDaemon) listDeployments(r *http.Request) (int, any) {
	all := selected(f.deployments, func(d api.Deployment) bool {
		return asked(r, "definition_id", d.DefinitionID) && asked(r, "environment", d.Environment) &&
			asked(r, "status", d.DeploymentStatus) && (r.URL.Query().Get("live") != "true" || d.IsLive)
	})
	page, next := paged(r, all)
	return 200, api.DeploymentList{Deployments: page, TotalCount: len(all), NextCursor: next}
}

func (f *fakeDaemon) deployment(r *http.Request) int {
	return index(f.deployments, func(d api.Deployment) bool { return d.ID == r.PathValue("id") })
}

func (f *fakeDaemon) getDeployment(r *http.Request) (int, any) {
	i := f.deployment(r)
	if i < 0 {
		return notFound("deployment")
	}
	return 200, f.deployments[i]
}

func (f *fakeDaemon) getStatus(r *http.Request) (int, any) {
	i := f.deployment(r)
	if i < 0 {
		return notFound("deployment")
	}
	d := f.deployments[i]
	f.end(&f.deployments[i])
	return 200, api.DeploymentStatusResponse{Deployment: api.DeploymentStatus{
		ID: d.ID, Status: d.DeploymentStatus, RollbackID: d.RollbackID, Progress: api.DeploymentProgress{TotalSteps: 2, CurrentStep: "await_healthy"},
	}}
}

// listInstances shows one running instance per wanted replica of what is live.
func (f *fakeDaemon) listInstances(r *http.Request) (int, any) {
	all := []api.Instance{}
	for _, d := range f.deployments {
		if !d.IsLive || !asked(r, "definition_id", d.DefinitionID) || !asked(r, "environment", d.Environment) || !asked(r, "deployment_id", d.ID) {
			continue
		}
		for n := range d.InstancesAfter {
			all = append(all, api.Instance{
				ID: fmt.Sprintf("%s%03d", d.ID[:33], n), DefinitionID: d.DefinitionID, DefinitionName: d.DefinitionName, DeploymentID: d.ID,
				Environment: d.Environment, InstanceName: fmt.Sprintf("%s-%d", d.DefinitionName, n+1), ImageTag: d.ImageTag, ReplicaNumber: n + 1,
				CurrentStatus: api.InstanceRunning, DesiredStatus: api.InstanceRunning, HealthStatus: api.HealthHealthy,
				PortMappings: map[string]int{"8080": 20000 + n}, StartedAt: &d.StartedAt,
			})
		}
	}
	page, next := paged(r, all)
	return 200, api.InstanceList{Instances: page, TotalCount: len(all), NextCursor: next}
}

// change edits the daemon's memory behind Terraform's back.
func (f *fakeDaemon) change(edit func(*fakeDaemon)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(f)
}
