package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/httpapi"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic"
)

// fake is a Store, a Deployer and an Authenticator in memory, for what is HTTP's
// alone: it knows neither transactions nor row level security.
type fake struct {
	mu          sync.Mutex
	definitions map[string]fleet.Definition
	networks    map[string]fleet.Network
	instances   map[string]fleet.Instance
	deployments map[string]fleet.Deployment
	routes      map[string]fleet.Route
	policies    map[string]fleet.ScalingPolicy
	measured    float64 // what replicas measured of everything, at all times; 0 for nothing
	decisions   map[string]fleet.ScalingDecision
	endpoints   []fleet.Endpoint
	events      []fleet.Event

	changes     int
	calls       []fleet.Call
	credentials []fleet.CredentialsChange
	deploys     []fleet.DeployRequest
	actions     []string
	rollbacks   []fleet.RollbackRequest
	scales      []fleet.ScaleRequest
	commands    []string
	weights     []string
	posted      []fleet.PostedMetric
	beats       []fleet.Heartbeat
	news        bool // of the last one
	pages       []fleet.Page
	filters     []any
	guests      map[string]fleet.Principal // by token, beside fakePrincipals
	noAuth      error
	// fail is the error of every method, if it is set.
	fail error
	// onCall is run by every method.
	onCall func()
}

func newFake() *fake {
	return &fake{
		definitions: map[string]fleet.Definition{},
		networks:    map[string]fleet.Network{},
		instances:   map[string]fleet.Instance{},
		deployments: map[string]fleet.Deployment{},
		routes:      map[string]fleet.Route{},
		policies:    map[string]fleet.ScalingPolicy{},
		decisions:   map[string]fleet.ScalingDecision{},
		guests:      map[string]fleet.Principal{},
	}
}

var fakePrincipals = map[string]fleet.Principal{
	"admin":      {ID: newID(), Name: "admin", Role: fleet.RoleSystemAdmin, Environments: []string{fleet.AllEnvironments}},
	"devops":     {ID: newID(), Name: "devops", Role: fleet.RoleDevOpsEngineer, Environments: []string{"staging"}},
	"developer":  {ID: newID(), Name: "developer", Role: fleet.RoleDeveloper, Environments: []string{"staging"}},
	"monitoring": {ID: newID(), Name: "monitoring", Role: fleet.RoleMonitoringSystem, Environments: []string{fleet.AllEnvironments}},
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func (f *fake) Authenticate(_ context.Context, secret string) (fleet.Principal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := fakePrincipals[secret]
	if guest, there := f.guests[secret]; there {
		p, ok = guest, true
	}
	switch {
	case f.noAuth != nil:
		return fleet.Principal{}, f.noAuth
	case !ok:
		return fleet.Principal{}, fleet.ErrUnauthenticated
	}
	return p, nil
}

// arrive makes a token of the principal, and leave revokes it.
func (f *fake) arrive(secret string, p fleet.Principal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.guests[secret] = p
}

func (f *fake) leave(secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.guests, secret)
}

// unknown has every authentication fail; nil has them work again.
func (f *fake) unknown(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noAuth = err
}

// enter is the beginning of every method of the store.
func (f *fake) enter(ctx context.Context, changes bool) (leave func(), err error) {
	if f.onCall != nil {
		f.onCall()
	}
	f.mu.Lock()
	call, ok := fleet.CallFrom(ctx)
	if !ok {
		f.mu.Unlock()
		return nil, errors.New("no call in the context")
	}
	f.calls = append(f.calls, call)
	if f.fail != nil {
		f.mu.Unlock()
		return nil, f.fail
	}
	if changes {
		f.changes++
	}
	return f.mu.Unlock, nil
}

func get[T any](ctx context.Context, f *fake, rows map[string]T, id string) (T, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return *new(T), err
	}
	defer leave()
	row, ok := rows[id]
	if !ok {
		return row, fleet.ErrNotFound
	}
	return row, nil
}

func query[T any](ctx context.Context, f *fake, rows map[string]T, filter any, p fleet.Page) (fleet.Result[T], error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return fleet.Result[T]{}, err
	}
	defer leave()
	f.pages, f.filters = append(f.pages, p), append(f.filters, filter)
	r := fleet.Result[T]{Total: len(rows)}
	for _, row := range rows {
		r.Items = append(r.Items, row)
	}
	return r, nil
}

func update[T any](ctx context.Context, f *fake, rows map[string]T, id string, change func(*T) error) (T, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return *new(T), err
	}
	defer leave()
	row, ok := rows[id]
	if !ok {
		return row, fleet.ErrNotFound
	}
	if err := change(&row); err != nil {
		return row, err
	}
	f.changes++
	rows[id] = row
	return row, nil
}

func remove[T any](ctx context.Context, f *fake, rows map[string]T, id string) error {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := rows[id]; !ok {
		return fleet.ErrNotFound
	}
	f.changes++
	delete(rows, id)
	return nil
}

func (f *fake) CreateDefinition(ctx context.Context, d fleet.Definition, c *fleet.RegistryCredentials) (fleet.Definition, error) {
	leave, err := f.enter(ctx, true)
	if err != nil {
		return d, err
	}
	defer leave()
	for _, other := range f.definitions {
		if other.Name == d.Name {
			f.changes--
			return d, fleet.FieldErrorf(fleet.ErrAlreadyExists, "name", "the name %s is taken", d.Name)
		}
	}
	d.ID, d.Revision, d.CreatedAt, d.UpdatedAt = newID(), 1, time.Now(), time.Now()
	f.credentials = append(f.credentials, fleet.CredentialsChange{Set: c != nil, Value: c})
	f.definitions[d.ID] = d
	return d, nil
}

func (f *fake) Definition(ctx context.Context, id string) (fleet.Definition, error) {
	return get(ctx, f, f.definitions, id)
}

func (f *fake) ListDefinitions(ctx context.Context, filter fleet.DefinitionFilter, p fleet.Page) (fleet.Result[fleet.Definition], error) {
	return query(ctx, f, f.definitions, filter, p)
}

func (f *fake) UpdateDefinition(ctx context.Context, id string, c fleet.CredentialsChange, change func(*fleet.Definition) error) (fleet.Definition, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return fleet.Definition{}, err
	}
	defer leave()
	d, ok := f.definitions[id]
	if !ok {
		return d, fleet.ErrNotFound
	}
	if err := change(&d); err != nil {
		return d, fmt.Errorf("change definition: %w", err)
	}
	f.changes++
	d.Revision++
	f.credentials = append(f.credentials, c)
	f.definitions[id] = d
	return d, nil
}

func (f *fake) DeleteDefinition(ctx context.Context, id string) error {
	return remove(ctx, f, f.definitions, id)
}

func (f *fake) Network(ctx context.Context, id string) (fleet.Network, error) {
	return get(ctx, f, f.networks, id)
}

func (f *fake) ListNetworks(ctx context.Context, filter fleet.NetworkFilter, p fleet.Page) (fleet.Result[fleet.Network], error) {
	return query(ctx, f, f.networks, filter, p)
}

func (f *fake) Instance(ctx context.Context, id string) (fleet.Instance, error) {
	return get(ctx, f, f.instances, id)
}

func (f *fake) Metrics(ctx context.Context, r fleet.MetricRange) (fleet.InstanceMetrics, error) {
	if _, err := f.Instance(ctx, r.InstanceID); err != nil {
		return fleet.InstanceMetrics{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filters = append(f.filters, r)
	return fleet.InstanceMetrics{Points: []fleet.MetricPoint{{At: r.From, CPUPercent: new(45.2)}}}, nil
}

func (f *fake) PostMetrics(ctx context.Context, instanceID string, metrics []fleet.PostedMetric) error {
	if _, err := f.Instance(ctx, instanceID); err != nil {
		return err
	}
	leave, err := f.enter(ctx, true)
	if err != nil {
		return err
	}
	defer leave()
	f.posted = append(f.posted, metrics...)
	return nil
}

func (f *fake) ListInstances(ctx context.Context, filter fleet.InstanceFilter, p fleet.Page) (fleet.Result[fleet.Instance], error) {
	return query(ctx, f, f.instances, filter, p)
}

func (f *fake) Deployment(ctx context.Context, id string) (fleet.Deployment, error) {
	return get(ctx, f, f.deployments, id)
}

func (f *fake) ListDeployments(ctx context.Context, filter fleet.DeploymentFilter, p fleet.Page) (fleet.Result[fleet.Deployment], error) {
	return query(ctx, f, f.deployments, filter, p)
}

func (f *fake) DeploymentInstances(ctx context.Context, id string) ([]fleet.Instance, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return nil, err
	}
	defer leave()
	var found []fleet.Instance
	for _, i := range f.instances {
		if i.DeploymentID == id {
			found = append(found, i)
		}
	}
	return found, nil
}

func (f *fake) ListEvents(ctx context.Context, filter fleet.EventFilter, p fleet.Page) (fleet.Result[fleet.Event], error) {
	r, err := query(ctx, f, map[string]fleet.Event{}, filter, p)
	r.Items, r.Total = f.events, len(f.events)
	return r, err
}

func (f *fake) Ping(context.Context) error { return f.fail }

func (f *fake) Deploy(ctx context.Context, r fleet.DeployRequest) (fleet.Deployment, error) {
	leave, err := f.enter(ctx, true)
	if err != nil {
		return fleet.Deployment{}, err
	}
	defer leave()
	f.deploys = append(f.deploys, r)
	return fleet.Deployment{ID: newID(), DefinitionID: r.DefinitionID, Environment: r.Environment}, nil
}

func (f *fake) Remove(ctx context.Context, w fleet.Workload) (fleet.Deployment, error) {
	leave, err := f.enter(ctx, true)
	if err != nil {
		return fleet.Deployment{}, err
	}
	defer leave()
	return fleet.Deployment{ID: newID(), DefinitionID: w.DefinitionID, Environment: w.Environment, Removal: true}, nil
}

func (f *fake) Rollback(ctx context.Context, r fleet.RollbackRequest) (fleet.Deployment, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return fleet.Deployment{}, err
	}
	defer leave()
	d, ok := f.deployments[r.DeploymentID]
	if !ok {
		return d, fleet.ErrNotFound
	}
	f.changes++
	f.rollbacks = append(f.rollbacks, r)
	return fleet.Deployment{ID: newID(), DefinitionID: d.DefinitionID, Environment: d.Environment, Type: fleet.TypeRollback}, nil
}

func (f *fake) Scale(ctx context.Context, r fleet.ScaleRequest) (fleet.Deployment, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return fleet.Deployment{}, err
	}
	defer leave()
	if _, ok := f.definitions[r.DefinitionID]; !ok {
		return fleet.Deployment{}, fleet.ErrNotFound
	}
	f.changes++
	f.scales = append(f.scales, r)
	return fleet.Deployment{ID: newID(), DefinitionID: r.DefinitionID, Environment: r.Environment, Type: fleet.TypeScale}, nil
}

func (f *fake) Steer(ctx context.Context, id string, command fleet.Command, reason string) (fleet.Deployment, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return fleet.Deployment{}, err
	}
	defer leave()
	d, ok := f.deployments[id]
	if !ok {
		return d, fleet.ErrNotFound
	}
	f.changes++
	f.commands = append(f.commands, fmt.Sprintf("%s reason=%s", command, reason))
	return d, nil
}

func (f *fake) Act(ctx context.Context, id string, action fleet.Action, force bool, reason string) (fleet.Instance, error) {
	leave, err := f.enter(ctx, true)
	if err != nil {
		return fleet.Instance{}, err
	}
	defer leave()
	i, ok := f.instances[id]
	if !ok {
		f.changes--
		return i, fleet.ErrNotFound
	}
	f.actions = append(f.actions, fmt.Sprintf("%s force=%t reason=%s", action, force, reason))
	return i, nil
}

func (f *fake) CreateNetwork(ctx context.Context, n fleet.Network) (fleet.Network, error) {
	leave, err := f.enter(ctx, true)
	if err != nil {
		return n, err
	}
	defer leave()
	n.ID, n.CreatedAt = newID(), time.Now()
	f.networks[n.ID] = n
	return n, nil
}

func (f *fake) UpdateNetwork(ctx context.Context, id string, change func(*fleet.Network) error) (fleet.Network, error) {
	return update(ctx, f, f.networks, id, change)
}

func (f *fake) DeleteNetwork(ctx context.Context, id string) error {
	return remove(ctx, f, f.networks, id)
}

func (f *fake) Endpoints(ctx context.Context, filter fleet.EndpointFilter) ([]fleet.Endpoint, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return nil, err
	}
	defer leave()
	f.filters = append(f.filters, filter)
	return f.endpoints, nil
}

func (f *fake) SetWeight(ctx context.Context, serviceName, instanceID string, weight int, reason string) (fleet.Endpoint, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return fleet.Endpoint{}, err
	}
	defer leave()
	for _, e := range f.endpoints {
		if e.ServiceName == serviceName && e.ID == instanceID {
			f.changes++
			f.weights = append(f.weights, fmt.Sprintf("%s=%d reason=%s", serviceName, weight, reason))
			e.Weight = weight
			return e, nil
		}
	}
	return fleet.Endpoint{}, fleet.ErrNotFound
}

func (f *fake) Endpoint(ctx context.Context, id string) (fleet.Endpoint, error) {
	rows := map[string]fleet.Endpoint{}
	for _, e := range f.endpoints {
		rows[e.ID] = e
	}
	return get(ctx, f, rows, id)
}

func (f *fake) RegisterEndpoint(ctx context.Context, e fleet.Endpoint) (fleet.Endpoint, error) {
	leave, err := f.enter(ctx, true)
	if err != nil {
		return e, err
	}
	defer leave()
	e.ID, e.RegisteredAt, e.LastHeartbeat = newID(), time.Now(), time.Now()
	f.endpoints = append(f.endpoints, e)
	return e, nil
}

func (f *fake) DeregisterEndpoint(ctx context.Context, serviceName, id string) error {
	rows := map[string]fleet.Endpoint{}
	for _, e := range f.endpoints {
		if e.ServiceName == serviceName {
			rows[e.ID] = e
		}
	}
	return remove(ctx, f, rows, id)
}

// Beat implements httpapi.Heartbeats.
func (f *fake) Beat(b fleet.Heartbeat, news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.beats, f.news = append(f.beats, b), news
}

func (f *fake) CreateRoute(ctx context.Context, r fleet.Route) (fleet.Route, error) {
	leave, err := f.enter(ctx, true)
	if err != nil {
		return r, err
	}
	defer leave()
	r.ID, r.CreatedAt, r.UpdatedAt = newID(), time.Now(), time.Now()
	f.routes[r.ID] = r
	return r, nil
}

func (f *fake) Route(ctx context.Context, id string) (fleet.Route, error) {
	return get(ctx, f, f.routes, id)
}

func (f *fake) ListRoutes(ctx context.Context, filter fleet.RouteFilter, p fleet.Page) (fleet.Result[fleet.Route], error) {
	return query(ctx, f, f.routes, filter, p)
}

func (f *fake) UpdateRoute(ctx context.Context, id string, change func(*fleet.Route) error) (fleet.Route, error) {
	return update(ctx, f, f.routes, id, change)
}

func (f *fake) DeleteRoute(ctx context.Context, id string) error {
	return remove(ctx, f, f.routes, id)
}

func (f *fake) CreateScalingPolicy(ctx context.Context, p fleet.ScalingPolicy) (fleet.ScalingPolicy, error) {
	leave, err := f.enter(ctx, true)
	if err != nil {
		return p, err
	}
	defer leave()
	p.ID, p.CreatedAt, p.UpdatedAt = newID(), time.Now(), time.Now()
	f.policies[p.ID] = p
	return p, nil
}

func (f *fake) ScalingPolicy(ctx context.Context, id string) (fleet.ScalingPolicy, error) {
	return get(ctx, f, f.policies, id)
}

func (f *fake) ListScalingPolicies(ctx context.Context, filter fleet.ScalingPolicyFilter, p fleet.Page) (fleet.Result[fleet.ScalingPolicy], error) {
	return query(ctx, f, f.policies, filter, p)
}

func (f *fake) UpdateScalingPolicy(ctx context.Context, id string, change func(*fleet.ScalingPolicy) error) (fleet.ScalingPolicy, error) {
	return update(ctx, f, f.policies, id, change)
}

func (f *fake) DeleteScalingPolicy(ctx context.Context, id string) error {
	return remove(ctx, f, f.policies, id)
}

func (f *fake) WorkloadSeries(ctx context.Context, _ fleet.Workload, keys []fleet.MetricKey, from, to time.Time, step time.Duration) ([]fleet.WorkloadPoint, error) {
	leave, err := f.enter(ctx, false)
	if err != nil {
		return nil, err
	}
	defer leave()
	var points []fleet.WorkloadPoint
	for at := from; at.Before(to) && f.measured > 0; at = at.Add(step) {
		p := fleet.WorkloadPoint{At: at, Instances: 2, Values: make(map[fleet.MetricKey]fleet.WorkloadValue)}
		for _, k := range keys {
			p.Values[k] = fleet.WorkloadValue{Instances: 2, Sum: 2 * f.measured, Mean: f.measured}
		}
		points = append(points, p)
	}
	return points, nil
}

func (f *fake) ListScalingDecisions(ctx context.Context, filter fleet.ScalingDecisionFilter, p fleet.Page) (fleet.Result[fleet.ScalingDecision], error) {
	return query(ctx, f, f.decisions, filter, p)
}

// fakeEngine holds the log of every container.
type fakeEngine struct {
	lines []fleet.LogLine
	fail  error
}

func (e *fakeEngine) Ping(context.Context) error { return e.fail }

// Logs keeps to the contract of httpapi.Engine.
func (e *fakeEngine) Logs(_ context.Context, _ string, since time.Time, limit int, source string) ([]fleet.LogLine, bool, error) {
	if e.fail != nil {
		return nil, false, e.fail
	}
	var found []fleet.LogLine
	for _, l := range e.lines {
		if (source == "" || l.Source == source) && (since.IsZero() || l.Timestamp.After(since)) {
			found = append(found, l)
		}
	}
	switch {
	case len(found) <= limit:
		return found, false, nil
	case since.IsZero():
		return found[len(found)-limit:], false, nil
	default:
		return found[:limit], true, nil
	}
}

// world is an API over a fake.
type world struct {
	*fake
	engine   *fakeEngine
	registry *traffic.Registry
	handler  http.Handler
	log      *bytes.Buffer
}

var environments = []string{"development", "staging", "production"}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{fake: newFake(), engine: &fakeEngine{}, registry: traffic.NewRegistry(), log: &bytes.Buffer{}}
	w.handler = httpapi.New(httpapi.Config{
		Store: w.fake, Deployer: w.fake, Engine: w.engine, Authenticator: w.fake, Registry: w.registry, Heartbeats: w.fake,
		Environments: environments,
		Domain:       "wedsync.localhost",
		Discovery:    http.HandlerFunc(w.discover),
		Metrics:      metrics(),
		Logger:       slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Version:      "1.2.3",
	})
	return w
}

// discover answers a discovery with the name of the principal that the call names.
func (*world) discover(w http.ResponseWriter, r *http.Request) {
	call, _ := fleet.CallFrom(r.Context())
	_, _ = io.WriteString(w, r.URL.Path+" for "+call.Principal.Name)
}

// request is a request under way; its zero fields mean what is usual.
type request struct {
	method, path string
	token        string // "admin" when empty, none when "-"
	body         string
	header       http.Header
}

func (w *world) do(tb testing.TB, r request) *httptest.ResponseRecorder {
	tb.Helper()
	var body io.Reader
	if r.body != "" {
		body = bytes.NewReader([]byte(r.body))
	}
	req := httptest.NewRequest(r.method, r.path, body)
	switch r.token {
	case "":
		req.Header.Set("Authorization", "Bearer admin")
	case "-":
	default:
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, req)
	return answer
}

// decode reads a successful answer.
func decode[T any](tb testing.TB, answer *httptest.ResponseRecorder, status int) T {
	tb.Helper()
	var v T
	if answer.Code != status {
		tb.Fatalf("status %d, want %d: %s", answer.Code, status, answer.Body)
	}
	dec := json.NewDecoder(answer.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		tb.Fatalf("decode answer: %v", err)
	}
	return v
}

func problem(tb testing.TB, answer *httptest.ResponseRecorder) api.Problem {
	tb.Helper()
	if got := answer.Header().Get("Content-Type"); got != "application/problem+json" {
		tb.Fatalf("status %d with Content-Type %q, want a problem: %s", answer.Code, got, answer.Body)
	}
	p := decode[api.Problem](tb, answer, answer.Code)
	if p.Status != answer.Code {
		tb.Errorf("problem says status %d, the answer %d", p.Status, answer.Code)
	}
	if p.RequestID == "" || p.RequestID != answer.Header().Get("X-Request-Id") {
		tb.Errorf("problem has request_id %q, the answer %q", p.RequestID, answer.Header().Get("X-Request-Id"))
	}
	if p.Title == "" || p.Detail == "" || p.Type != "urn:wedsync:problem:"+p.Code {
		tb.Errorf("incomplete problem %+v", p)
	}
	return p
}

const goodDefinition = `{"name":"wedding-api","service_name":"api","image_name":"wedsync/api","image_tag":"v1",` +
	`"resource_limits":{"cpu":"500m","memory":"512Mi"},"scaling_config":{"min_replicas":1,"max_replicas":3}}`

const goodNetwork = `{"network_name":"app","network_type":"internal","environment":"staging","subnet":"10.20.0.0/24"}`

const goodRoute = `{"name":"shop","environment":"staging","service_name":"api","hosts":["shop.example.com"],"sticky_cookie":"wedding_session"}`

const goodPolicy = `{"definition_id":"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11","environment":"staging","policy_name":"load","scaling_type":"horizontal","trigger_metric":"cpu",` +
	`"scale_up_threshold":80,"scale_down_threshold":30.5,"scale_up_adjustment":2,"scale_down_adjustment":1}`

// seedPolicy puts a scaling policy there.
func (w *world) seedPolicy(t *testing.T) string {
	t.Helper()
	id := decode[api.ScalingPolicy](t, w.do(t, request{method: "POST", path: policies, body: goodPolicy}), 201).ID
	w.changes, w.calls = 0, nil
	return id
}

// seedTraffic puts an endpoint of service "api" and a route there.
func (w *world) seedTraffic(t *testing.T) (endpoint, route string) {
	t.Helper()
	endpoint = newID()
	w.endpoints = []fleet.Endpoint{{ID: endpoint, ServiceName: "api", Environment: "staging", URL: "http://10.0.0.1:8080", Weight: fleet.MaxWeight}}
	route = decode[api.Route](t, w.do(t, request{method: "POST", path: routes, body: goodRoute}), 201).ID
	w.changes, w.calls = 0, nil
	return endpoint, route
}

// seed puts one of each noun there, but for what has to do with traffic.
func (w *world) seed(t *testing.T) (definition, network, instance, deployment string) {
	t.Helper()
	definition = decode[api.Definition](t, w.do(t, request{method: "POST", path: "/api/containers/definitions", body: goodDefinition}), 201).ID
	network = decode[api.Network](t, w.do(t, request{method: "POST", path: "/api/containers/networks", body: goodNetwork}), 201).ID
	instance, deployment = newID(), newID()
	w.instances[instance] = fleet.Instance{ID: instance, DefinitionID: definition, DeploymentID: deployment,
		Environment: "staging", ContainerID: "c0ffee", CreatedAt: time.Date(2026, 6, 6, 8, 0, 0, 0, time.UTC)}
	w.deployments[deployment] = fleet.Deployment{ID: deployment, DefinitionID: definition, Environment: "staging"}
	w.changes, w.calls = 0, nil
	return definition, network, instance, deployment
}

// metrics are two series with an environment and one without.
func metrics() prometheus.Gatherer {
	answers := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "answers"}, []string{"environment"})
	answers.WithLabelValues("staging").Set(1)
	answers.WithLabelValues("production").Set(2)
	goroutines := prometheus.NewGauge(prometheus.GaugeOpts{Name: "goroutines"})
	goroutines.Set(3)
	r := prometheus.NewRegistry()
	r.MustRegister(answers, goroutines)
	return r
}
