package httpapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/access"
	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/httpapi"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/daemon/traffic"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// idleEngine is an engine that agrees to everything and runs nothing.
type idleEngine struct {
	deploy.Engine
	fakeEngine
}

func (*idleEngine) ResolveImage(context.Context, string, string, *fleet.RegistryCredentials) (string, error) {
	return "sha256:" + strings.Repeat("0", 64), nil
}
func (*idleEngine) EnsureNetwork(context.Context, fleet.Network) error { return nil }
func (*idleEngine) RemoveNetwork(context.Context, fleet.Network) error { return nil }

// realWorld is the API over the real store, its row level security and the real deployer.
type realWorld struct {
	world
	store  *postgres.Store
	tokens *access.Tokens
	db     testenv.DB
	made   int
}

func newRealWorld(tb testing.TB) *realWorld {
	tb.Helper()
	log, db := slog.New(slog.DiscardHandler), testenv.Database(tb)
	store, err := postgres.Open(context.Background(), postgres.Config{
		URL: db.AppURL, SecretKey: slices.Repeat([]byte{7}, postgres.SecretKeySize), Logger: log,
	})
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(store.Close)
	engine, tokens, registry := &idleEngine{}, access.NewTokens(store), traffic.NewRegistry()
	return &realWorld{store: store, tokens: tokens, db: db, world: world{registry: registry, handler: httpapi.New(httpapi.Config{
		Store:         store,
		Deployer:      deploy.NewService(store, engine, func(fleet.Workload) {}),
		Engine:        engine,
		Authenticator: tokens,
		Registry:      registry,
		Heartbeats:    traffic.NewHeartbeats(store, log), // which nothing writes
		Environments:  environments,
		Logger:        log,
	})}}
}

// token is the secret of a new principal.
func (w *realWorld) token(tb testing.TB, role fleet.Role, environments ...string) string {
	tb.Helper()
	w.made++
	secret, _, err := w.tokens.Create(fleet.AsSystem(tb.Context()), access.Grant{
		Name: fmt.Sprint("p-", w.made), Role: role, Environments: environments,
	})
	if err != nil {
		tb.Fatalf("create token: %v", err)
	}
	return secret
}

// rows are one of each noun in staging.
type rows struct {
	definition string // deployed in staging
	spare      string // a definition that is deployed nowhere
	network    string
	instance   string
	deployment string // in progress, but for what was done to it
	route      string
	policy     string
	endpoint   string // an external one
	first      string // the first deployment
}

func (w *realWorld) rows(tb testing.TB) rows {
	tb.Helper()
	ctx := fleet.AsSystem(tb.Context())
	w.made++
	define := func(name string) fleet.Definition {
		d, err := w.store.CreateDefinition(ctx, fleet.Definition{Spec: fleet.Spec{
			Name: name, ServiceName: "api", ImageName: "wedsync/api", ImageTag: "v1",
			Resources: fleet.Resources{CPU: "1", Memory: "64Mi"}, Scaling: fleet.Scaling{MinReplicas: 1, MaxReplicas: 3, TargetCPU: 70, TargetMemory: 80},
			Network: fleet.NetworkConfig{Ports: []int{8080}},
			Runtime: fleet.RuntimeConfig{StopTimeout: 10, LogMaxSize: "10Mi", LogMaxFiles: 3, PullPolicy: fleet.PullIfNotPresent},
		}}, nil)
		if err != nil {
			tb.Fatalf("create definition: %v", err)
		}
		return d
	}
	d := define(fmt.Sprint("d-", w.made))
	deployment, err := w.store.CreateDeployment(ctx, fleet.Deployment{
		DefinitionID: d.ID, DefinitionRevision: 1, Environment: "staging", Type: fleet.TypeDeploy, ImageTag: "v1",
		ImageDigest: "sha256:0", Spec: d.Spec, After: 1, Strategy: fleet.StrategyRollingUpdate,
	})
	if err != nil {
		tb.Fatalf("create deployment: %v", err)
	}
	id := newID()
	if _, err := w.store.AddInstances(ctx, []fleet.Instance{{
		ID: id, DefinitionID: d.ID, DeploymentID: deployment.ID, Environment: "staging", Name: "i-" + id, ImageTag: "v1",
		Current: fleet.StatusPending, Desired: fleet.StatusRunning, Replica: 1, Health: fleet.HealthUnknown,
	}}); err != nil {
		tb.Fatalf("add instance: %v", err)
	}
	network, err := w.store.CreateNetwork(ctx, fleet.Network{Name: fmt.Sprint("n-", w.made), Type: fleet.NetworkInternal, Environment: "staging"},
		func(context.Context, fleet.Network) error { return nil })
	if err != nil {
		tb.Fatalf("create network: %v", err)
	}
	route, err := w.store.CreateRoute(ctx, fleet.Route{
		Name: fmt.Sprint("r-", w.made), Environment: "staging", ServiceName: "api", Hosts: []string{fmt.Sprintf("r-%d.example.com", w.made)},
		PathPrefixes: []string{"/"}, Settings: grammar.DefaultRouting(),
	})
	if err != nil {
		tb.Fatalf("create route: %v", err)
	}
	endpoint, err := w.store.RegisterEndpoint(ctx, fleet.Endpoint{
		ServiceName: "api", Environment: "staging", URL: fmt.Sprintf("http://r-%d.example.com:80", w.made), Weight: 100, TTL: time.Minute,
	})
	if err != nil {
		tb.Fatalf("register endpoint: %v", err)
	}
	rules := grammar.DefaultScaling(grammar.Horizontal, false)
	rules.Metric = grammar.MetricCPU
	policy, err := w.store.CreateScalingPolicy(ctx, fleet.ScalingPolicy{DefinitionID: d.ID, Environment: "staging", Name: "load", Rules: rules, Enabled: true})
	if err != nil {
		tb.Fatalf("create scaling policy: %v", err)
	}
	return rows{policy: policy.ID, endpoint: endpoint.ID, definition: d.ID, spare: define(fmt.Sprint("s-", w.made)).ID, network: network.ID, instance: id, deployment: deployment.ID, first: deployment.ID, route: route.ID}
}

// route reads the route of the rows.
func (w *realWorld) route(tb testing.TB, r *rows) fleet.Route {
	tb.Helper()
	route, err := w.store.Route(fleet.AsSystem(tb.Context()), r.route)
	if err != nil {
		tb.Fatalf("read route: %v", err)
	}
	return route
}

// answer makes the instance of the rows healthy: it is registered.
func (w *realWorld) answer(tb testing.TB, r *rows) {
	tb.Helper()
	_, err := w.store.UpdateInstance(fleet.AsSystem(tb.Context()), r.instance, func(i *fleet.Instance) ([]fleet.Event, error) {
		i.Current, i.Health, i.IPAddress = fleet.StatusRunning, fleet.HealthHealthy, "172.18.0.2"
		return nil, nil
	})
	if err != nil {
		tb.Fatalf("update instance: %v", err)
	}
}

// settle completes the deployment of the rows, as if it had been rolled out.
func (w *realWorld) settle(tb testing.TB, r *rows) {
	tb.Helper()
	_, err := w.store.UpdateDeployment(fleet.AsSystem(tb.Context()), r.deployment, func(d *fleet.Deployment) ([]fleet.Event, error) {
		d.Status = fleet.DeploymentCompleted
		return nil, nil
	})
	if err != nil {
		tb.Fatalf("complete deployment: %v", err)
	}
}

// update settles what the rows have and deploys again, by a strategy; that deployment is in progress.
func (w *realWorld) update(tb testing.TB, r *rows, strategy fleet.Strategy) {
	tb.Helper()
	w.settle(tb, r)
	ctx := fleet.AsSystem(tb.Context())
	next, err := w.store.Deployment(ctx, r.deployment)
	if err != nil {
		tb.Fatalf("read deployment: %v", err)
	}
	next.ID, next.Strategy = "", strategy
	if next, err = w.store.CreateDeployment(ctx, next); err != nil {
		tb.Fatalf("create deployment: %v", err)
	}
	r.deployment = next.ID
}

// pause pauses the deployment of the rows.
func (w *realWorld) pause(tb testing.TB, r *rows) {
	tb.Helper()
	_, err := w.store.UpdateDeployment(fleet.AsSystem(tb.Context()), r.deployment, func(d *fleet.Deployment) ([]fleet.Event, error) {
		d.State.PausedAt = new(time.Now())
		return nil, nil
	})
	if err != nil {
		tb.Fatalf("pause deployment: %v", err)
	}
}

// decide writes a decision about the rows, as the autoscaler does.
func (w *realWorld) decide(tb testing.TB, r *rows) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), w.db.OwnerURL)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(tb.Context(), `INSERT INTO scaling_decisions (id, definition_id, environment, policy_id, outcome, current_value, wanted_value, limited_value, unit, reason)
		VALUES (gen_random_uuid(), $1, 'staging', $2, 'scaled_up', 1, 2, 2, 'replicas', 'load')`, r.definition, r.policy); err != nil {
		tb.Fatalf("write decision: %v", err)
	}
}

// events counts the audit trail.
func (w *realWorld) events(tb testing.TB) int {
	tb.Helper()
	page, err := w.store.ListEvents(fleet.AsSystem(tb.Context()), fleet.EventFilter{}, fleet.Page{Limit: 1})
	if err != nil {
		tb.Fatalf("list events: %v", err)
	}
	return page.Total
}

// reach is how the environment of a token counts for an operation.
type reach int

const (
	// everywhere: definitions belong to no environment.
	everywhere reach = iota
	// listed: rows of other environments are left out.
	listed
	// named: the request names an environment; another one is forbidden.
	named
	// hidden: a row of another environment does not exist.
	hidden
)

const (
	manage = "system_admin devops_engineer"
	read   = manage + " developer"
	watch  = read + " monitoring_system"
)

// accessTable says, apart from the code, who may call what.
var accessTable = map[string]struct {
	roles string
	reach reach
	query string
	body  string
	ok    int
	// asks: a POST that changes nothing.
	asks bool
	// given makes the rows ready for the operation; nil leaves a deployment in progress.
	given func(*realWorld, testing.TB, *rows)
}{
	"listDefinitions":     {roles: watch, reach: everywhere, ok: 200},
	"getDefinition":       {roles: watch, reach: everywhere, ok: 200},
	"createDefinition":    {roles: manage, reach: everywhere, body: strings.Replace(goodDefinition, "wedding-api", "NAME", 1), ok: 201},
	"updateDefinition":    {roles: manage, reach: everywhere, body: `{"image_tag":"v2"}`, ok: 200},
	"deleteDefinition":    {roles: manage, reach: everywhere, ok: 204},
	"listInstances":       {roles: watch, reach: listed, ok: 200},
	"getInstance":         {roles: watch, reach: hidden, ok: 200},
	"deployDefinition":    {roles: manage, reach: named, body: `{"environment":"staging"}`, ok: 202},
	"removeDefinition":    {roles: manage, reach: named, query: "?environment=staging", ok: 202},
	"actOnInstance":       {roles: manage, reach: hidden, body: `{"action":"restart"}`, ok: 202},
	"getInstanceLogs":     {roles: read, reach: hidden, ok: 200},
	"getInstanceMetrics":  {roles: watch, reach: hidden, ok: 200},
	"postInstanceMetrics": {roles: "system_admin monitoring_system", reach: hidden, body: `{"metric_type":"custom","metric_name":"queue","metric_value":1}`, ok: 201, asks: true}, // it is no event
	"listNetworks":        {roles: read, reach: listed, ok: 200},
	"getNetwork":          {roles: read, reach: hidden, ok: 200},
	"createNetwork":       {roles: manage, reach: named, body: `{"network_name":"NAME","network_type":"internal","environment":"staging"}`, ok: 201},
	"updateNetwork":       {roles: manage, reach: hidden, body: `{"dns_config":{"options":["rotate"]}}`, ok: 200},
	"deleteNetwork":       {roles: manage, reach: hidden, ok: 204},
	"listDeployments":     {roles: watch, reach: listed, ok: 200},
	"getDeployment":       {roles: watch, reach: hidden, ok: 200},
	"getDeploymentStatus": {roles: watch, reach: hidden, ok: 200},
	"rollbackDeployment": {roles: manage, reach: hidden, body: `{"reason":"slow"}`, ok: 202,
		given: func(w *realWorld, tb testing.TB, r *rows) { w.update(tb, r, fleet.StrategyRollingUpdate) }},
	"pauseDeployment":  {roles: manage, reach: hidden, body: `{}`, ok: 200},
	"resumeDeployment": {roles: manage, reach: hidden, body: `{}`, ok: 200, given: (*realWorld).pause},
	"promoteDeployment": {roles: manage, reach: hidden, body: `{}`, ok: 200,
		given: func(w *realWorld, tb testing.TB, r *rows) { w.update(tb, r, fleet.StrategyCanary) }},
	"abortDeployment": {roles: manage, reach: hidden, body: `{}`, ok: 200},
	"scaleManually": {roles: manage, reach: named, body: `{"definition_id":"DEFINITION","environment":"staging","target_replicas":2}`, ok: 202,
		given: (*realWorld).settle},
	"listScalingPolicies": {roles: watch, reach: listed, ok: 200},
	"getScalingPolicy":    {roles: watch, reach: hidden, ok: 200},
	"createScalingPolicy": {roles: manage, reach: named, ok: 201,
		body: `{"definition_id":"DEFINITION","environment":"staging","policy_name":"NAME","scaling_type":"horizontal","trigger_metric":"memory"}`},
	"backtestScaling": {roles: watch, reach: named, ok: 422, asks: true, // there was nothing to measure yet
		body: `{"definition_id":"DEFINITION","environment":"staging","policy_name":"NAME","scaling_type":"horizontal","trigger_metric":"memory","from":"2026-06-06T06:00:00Z","to":"2026-06-06T08:00:00Z"}`},
	"updateScalingPolicy":  {roles: manage, reach: hidden, body: `{"is_enabled":false}`, ok: 200},
	"deleteScalingPolicy":  {roles: manage, reach: hidden, ok: 204},
	"listScalingDecisions": {roles: watch, reach: listed, ok: 200, given: (*realWorld).decide},
	"listServices":         {roles: watch, reach: listed, ok: 200, given: (*realWorld).answer},
	"discoverService":      {roles: watch, reach: named, body: `{"environment":"staging"}`, ok: 200, asks: true},
	"setWeight":            {roles: manage, reach: hidden, body: `{"weight":50}`, ok: 200, given: (*realWorld).answer},
	"registerEndpoint":     {roles: manage, reach: named, body: `{"environment":"staging","endpoint_url":"http://NAME.example.com:80"}`, ok: 201},
	"beatEndpoint":         {roles: manage, reach: hidden, body: `{"status":"critical"}`, ok: 204, asks: true}, // it is written later, and is no event
	"deregisterEndpoint":   {roles: manage, reach: hidden, ok: 204},
	"listRoutes":           {roles: watch, reach: listed, ok: 200},
	"getRoute":             {roles: watch, reach: hidden, ok: 200},
	"createRoute":          {roles: manage, reach: named, body: `{"name":"NAME","environment":"staging","service_name":"api","hosts":["NAME.example.com"]}`, ok: 201},
	"updateRoute":          {roles: manage, reach: hidden, body: `{"strip_prefix":true}`, ok: 200},
	"deleteRoute":          {roles: manage, reach: hidden, ok: 204},
	"listEvents":           {roles: read, reach: listed, query: "?event_type=created", ok: 200},
}

// TestAccess calls every operation of the document with every role, for its own
// environment, another one and all of them, and without a valid token.
func TestAccess(t *testing.T) {
	w := newRealWorld(t)
	scopes := [][]string{{"staging"}, {"production"}, {fleet.AllEnvironments}, {"production", "staging"}}
	tokens := map[string]string{}
	for _, role := range fleet.Roles {
		for _, scope := range scopes {
			tokens[string(role)+fmt.Sprint(scope)] = w.token(t, role, scope...)
		}
	}
	invalid := w.invalidTokens(t)
	each(document(t, &w.world), "paths", func(path string, item map[string]any) {
		for method, v := range item {
			id := v.(map[string]any)["operationId"].(string)
			if !strings.HasPrefix(path, "/api/") || id == "watchServices" {
				continue // TestPublic, TestWatchServicesAccess
			}
			tc, ok := accessTable[id]
			if !ok {
				t.Errorf("the table lacks %s: say who may call it", id)
				continue
			}
			t.Run(id, func(t *testing.T) {
				call := func(token string) (int, int, *httptest.ResponseRecorder) {
					w.made++
					rows := w.rows(t)
					if tc.given != nil {
						tc.given(w, t, &rows)
					}
					definition := rows.definition
					if id == "deleteDefinition" {
						definition = rows.spare
					}
					path := strings.NewReplacer("{definition_id}", definition, "{instance_id}", rows.instance,
						"{network_id}", rows.network, "{deployment_id}", rows.deployment, "{route_id}", rows.route, "{policy_id}", rows.policy, "{endpoint_id}", rows.endpoint, "{service_name}", "api").Replace(path)
					before := w.events(t)
					answer := w.do(t, request{method: strings.ToUpper(method), path: path + tc.query, token: token,
						body: strings.NewReplacer("NAME", fmt.Sprint("new-", w.made), "DEFINITION", rows.definition).Replace(tc.body)})
					return answer.Code, w.events(t) - before, answer
				}
				for _, role := range fleet.Roles {
					for _, scope := range scopes {
						covered := !slices.Equal(scope, []string{"production"})
						want := tc.ok
						switch {
						case !slices.Contains(strings.Fields(tc.roles), string(role)):
							want = 403
						case tc.reach == named && !covered:
							want = 403
						case tc.reach == hidden && !covered:
							want = 404
						}
						got, events, answer := call(tokens[string(role)+fmt.Sprint(scope)])
						if got != want {
							t.Errorf("%s of %v: %d, want %d: %s", role, scope, got, want, answer.Body)
							continue
						}
						if changes := want < 300 && method != "get" && !tc.asks; (events > 0) != changes {
							t.Errorf("%s of %v: %d and %d events", role, scope, got, events)
						}
						if tc.reach == listed && want == 200 {
							if total := total(decode[map[string]any](t, answer, 200)); (total > 0) != covered {
								t.Errorf("%s of %v sees %d rows", role, scope, total)
							}
						}
					}
				}
				for name, token := range invalid {
					if got, events, _ := call(token); got != 401 || events != 0 {
						t.Errorf("%s token: %d with %d events", name, got, events)
					}
				}
			})
		}
	})
}

// total is the number of rows that a list tells of: one of services has no pages.
func total(list map[string]any) int {
	if services, ok := list["services"].([]any); ok {
		return len(services)
	}
	return int(list["total_count"].(float64))
}

// invalidTokens are secrets that are not, or not any longer, those of a token.
func (w *realWorld) invalidTokens(t *testing.T) map[string]string {
	t.Helper()
	ctx := fleet.AsSystem(t.Context())
	past := time.Now().Add(-time.Minute)
	expired, _, err := w.tokens.Create(ctx, access.Grant{Name: "expired", Role: fleet.RoleSystemAdmin, Environments: []string{"*"}, ExpiresAt: &past})
	if err != nil {
		t.Fatalf("create token: %v", err)
	}
	revoked, token, err := w.tokens.Create(ctx, access.Grant{Name: "revoked", Role: fleet.RoleSystemAdmin, Environments: []string{"*"}})
	if err != nil {
		t.Fatalf("create token: %v", err)
	}
	if _, err := w.tokens.Revoke(ctx, token.ID); err != nil {
		t.Fatalf("revoke token: %v", err)
	}
	return map[string]string{"no": "-", "an unknown": "wsk_unknown", "an expired": expired, "a revoked": revoked}
}

// TestPublic names everything that is served without a token.
func TestPublic(t *testing.T) {
	w := newRealWorld(t)
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/openapi.yaml"} {
		if got := w.do(t, request{method: "GET", path: path, token: "-"}); got.Code != 200 {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	for _, path := range []string{"/", "/api", "/metrics", "/docs", "/schemas/Definition.json", "/openapi-3.0.json", "/debug/pprof/"} {
		if got := w.do(t, request{method: "GET", path: path, token: "-"}); got.Code != 401 {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}

var commandPath = regexp.MustCompile(`/(pause|resume|promote|abort)$`)

// TestRowsOfOthersAreNotTold compares the answers to an identifier of another
// environment and to one that does not exist: they must not differ.
func TestRowsOfOthersAreNotTold(t *testing.T) {
	w := newRealWorld(t)
	rows := w.rows(t)
	w.answer(t, &rows)
	token := w.token(t, fleet.RoleDevOpsEngineer, "production")
	for path, id := range map[string]string{
		instances + "/ID":                     rows.instance,
		instances + "/ID/logs":                rows.instance,
		networks + "/ID":                      rows.network,
		deployments + "/ID":                   rows.deployment,
		deployments + "/ID/status":            rows.deployment,
		instances + "/ID/action":              rows.instance,
		deployments + "/ID/rollback":          rows.deployment,
		deployments + "/ID/pause":             rows.deployment,
		deployments + "/ID/resume":            rows.deployment,
		deployments + "/ID/promote":           rows.deployment,
		deployments + "/ID/abort":             rows.deployment,
		networks + "/ID?method=PUT":           rows.network,
		networks + "/ID?method=DELETE":        rows.network,
		routes + "/ID":                        rows.route,
		routes + "/ID?method=DELETE":          rows.route,
		policies + "/ID":                      rows.policy,
		policies + "/ID?method=DELETE":        rows.policy,
		services + "/api/instances/ID/weight": rows.instance,
	} {
		ask := func(id string) api.Problem {
			r := request{method: "GET", path: strings.Replace(path, "ID", id, 1), token: token}
			switch {
			case strings.HasSuffix(r.path, "/action"):
				r.method, r.body = "POST", `{"action":"stop"}`
			case strings.HasSuffix(r.path, "/rollback"):
				r.method, r.body = "POST", `{"reason":"slow","force":true}`
			case commandPath.MatchString(r.path):
				r.method, r.body = "POST", `{}`
			case strings.HasSuffix(r.path, "/weight"):
				r.method, r.body = "PUT", `{"weight":50}`
			case strings.HasSuffix(r.path, "?method=PUT"):
				r.method, r.path, r.body = "PUT", strings.TrimSuffix(r.path, "?method=PUT"), `{"gateway":""}`
			case strings.HasSuffix(r.path, "?method=DELETE"):
				r.method, r.path = "DELETE", strings.TrimSuffix(r.path, "?method=DELETE")
			}
			p := problem(t, w.do(t, r))
			p.RequestID, p.Instance = "", ""
			p.Detail = strings.ReplaceAll(p.Detail, id, "ID")
			return p
		}
		theirs, nobodys := ask(id), ask(newID())
		if theirs.Status != 404 || fmt.Sprint(theirs) != fmt.Sprint(nobodys) {
			t.Errorf("%s: %+v for another's row, %+v for none", path, theirs, nobodys)
		}
	}
}

// TestSameKeyTwice repeats every kind of creation under its key.
func TestSameKeyTwice(t *testing.T) {
	w := newRealWorld(t)
	rows, inProgress, updated, settled := w.rows(t), w.rows(t), w.rows(t), w.rows(t)
	w.update(t, &updated, fleet.StrategyRollingUpdate)
	w.settle(t, &settled)
	w.answer(t, &rows)
	token := w.token(t, fleet.RoleSystemAdmin, fleet.AllEnvironments)
	for name, r := range map[string]request{
		"definition": {method: "POST", path: definitions, body: goodDefinition},
		"network":    {method: "POST", path: networks, body: goodNetwork},
		"deployment": {method: "POST", path: instances + "/" + rows.spare + "/deploy", body: `{"environment":"staging"}`},
		"removal":    {method: "DELETE", path: instances + "/" + rows.definition + "/deploy?environment=staging"},
		"update":     {method: "PUT", path: definitions + "/" + rows.definition, body: `{"image_tag":"v7"}`},
		"action":     {method: "POST", path: instances + "/" + rows.instance + "/action", body: `{"action":"restart"}`},
		"weight":     {method: "PUT", path: services + "/api/instances/" + rows.instance + "/weight", body: `{"weight":50}`},
		"route":      {method: "POST", path: routes, body: goodRoute},
		"rollback":   {method: "POST", path: deployments + "/" + updated.deployment + "/rollback", body: `{"reason":"slow"}`},
		"pause":      {method: "POST", path: deployments + "/" + inProgress.deployment + "/pause", body: `{"reason":"look"}`},
		"policy":     {method: "POST", path: policies, body: strings.Replace(goodPolicy, anyDefinition, settled.spare, 1)},
		"scaling":    {method: "POST", path: scaling, body: `{"definition_id":"` + settled.definition + `","environment":"staging","target_replicas":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			r.token, r.header = token, map[string][]string{"Idempotency-Key": {"key-" + name}}
			first := w.do(t, r)
			events := w.events(t)
			second := w.do(t, r)
			if first.Code >= 300 || second.Code != first.Code || second.Body.String() != first.Body.String() {
				t.Errorf("first %d %s, then %d %s", first.Code, first.Body, second.Code, second.Body)
			}
			if again := w.events(t); again != events {
				t.Errorf("the repetition made %d events", again-events)
			}
			if r.body == "" {
				return
			}
			r.body = strings.Replace(r.body, "{", `{"nothing":1,`, 1)
			if p := problem(t, w.do(t, r)); p.Status != 422 {
				t.Errorf("another body that is invalid: %+v", p)
			}
			r.body = map[string]string{
				"definition": strings.Replace(goodDefinition, "wedding-api", "other", 1), "network": strings.Replace(goodNetwork, "app", "other", 1),
				"deployment": `{"environment":"staging","replica_count":2}`, "update": `{"image_tag":"v8"}`, "action": `{"action":"stop"}`,
				"weight": `{"weight":40}`, "route": strings.Replace(goodRoute, "shop", "other", 1),
				"policy":   strings.NewReplacer(anyDefinition, settled.spare, "30.5", "30").Replace(goodPolicy),
				"rollback": `{"reason":"slow","force":true}`, "pause": `{"reason":"listen"}`,
				"scaling": `{"definition_id":"` + settled.definition + `","environment":"staging","target_replicas":3}`,
			}[name]
			if p := problem(t, w.do(t, r)); p.Code != api.CodeIdempotencyMismatch {
				t.Errorf("another body under the key: %+v", p)
			}
		})
	}
}

// TestRefusals are requests that are right by themselves and do not fit what is
// there. They change nothing, and faults name the field of the body.
func TestRefusals(t *testing.T) {
	w := newRealWorld(t)
	token := w.token(t, fleet.RoleSystemAdmin, fleet.AllEnvironments)
	deploy := func(body string) func(*rows) request {
		return func(r *rows) request {
			return request{method: "POST", path: instances + "/" + r.definition + "/deploy", body: body}
		}
	}
	tell := func(word, body string) func(*rows) request {
		return func(r *rows) request {
			return request{method: "POST", path: deployments + "/" + r.deployment + "/" + word, body: body}
		}
	}
	scale := func(replicas int) func(*rows) request {
		return func(r *rows) request {
			return request{method: "POST", path: scaling,
				body: fmt.Sprintf(`{"definition_id":%q,"environment":"staging","target_replicas":%d}`, r.definition, replicas)}
		}
	}
	rolling := func(w *realWorld, tb testing.TB, r *rows) { w.update(tb, r, fleet.StrategyRollingUpdate) }
	slow := func(w *realWorld, tb testing.TB, r *rows) {
		decode[api.Definition](tb, w.do(tb, request{method: "PUT", path: definitions + "/" + r.definition, token: token,
			body: `{"health_check_config":{"endpoint":"/health","port":80,"interval":30,"retries":8,"start_period":60}}`}), 200)
	}
	tests := []struct {
		name   string
		given  func(*realWorld, testing.TB, *rows)
		r      func(*rows) request
		status int
		field  string
	}{
		{"default deadline that the health check outlasts", slow, deploy(`{"environment":"staging"}`), 422, "body.rollout_config.healthy_deadline"},
		{"deadline that the health check outlasts", slow, deploy(`{"environment":"staging","rollout_config":{"healthy_deadline":200}}`), 422, "body.rollout_config.healthy_deadline"},
		{"too many replicas", nil, deploy(`{"environment":"staging","replica_count":4}`), 422, "body.replica_count"},
		{"scaling above the maximum", (*realWorld).settle, scale(4), 422, "body.target_replicas"},
		{"scaling below the minimum", (*realWorld).settle, scale(0), 422, "body.target_replicas"},
		{"scaling during a rollout", rolling, scale(2), 409, ""},
		{"scaling of what is not deployed", nil, func(r *rows) request { r.definition = r.spare; return scale(2)(r) }, 404, ""},
		{"rollback to nothing", rolling, tell("rollback", `{"reason":"slow","target_deployment_id":"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a15"}`), 422, "body.target_deployment_id"},
		{"rollback without anything stable before", nil, tell("rollback", `{"reason":"slow"}`), 409, ""},
		{"rollback of what is not in progress", rolling, func(r *rows) request { r.deployment = r.first; return tell("rollback", `{"reason":"slow"}`)(r) }, 409, ""},
		{"pausing twice", (*realWorld).pause, tell("pause", `{}`), 409, ""},
		{"pausing what has ended", (*realWorld).settle, tell("pause", `{}`), 409, ""},
		{"resuming what is not paused", nil, tell("resume", `{}`), 409, ""},
		{"promoting a rolling update", nil, tell("promote", `{}`), 409, ""},
		{"weight of what is not registered", nil, func(r *rows) request {
			return request{method: "PUT", path: services + "/api/instances/" + r.instance + "/weight", body: `{"weight":50}`}
		}, 404, ""},
		{"route of a name that is taken", nil, func(r *rows) request {
			return request{method: "POST", path: routes, body: strings.Replace(goodRoute, "shop", w.route(t, r).Name, 1)}
		}, 409, "body.name"},
		{"route of a host of another environment", nil, func(r *rows) request {
			return request{method: "POST", path: routes, body: strings.NewReplacer("staging", "production", "shop.example.com", w.route(t, r).Hosts[0]).Replace(goodRoute)}
		}, 409, "body.hosts"},
		{"route of a path that is taken", nil, func(r *rows) request {
			return request{method: "POST", path: routes, body: strings.Replace(goodRoute, "shop.example.com", w.route(t, r).Hosts[0], 1)}
		}, 409, "body.path_prefixes"},
		{"policy of nothing", nil, func(*rows) request { return policy(t, nil) }, 404, "body.definition_id"},
		{"policy of a name that is taken", nil, func(r *rows) request { return policy(t, object{"definition_id": r.definition}) }, 409, "body.policy_name"},
		{"policy beyond the definition's range", nil, func(r *rows) request {
			return policy(t, object{"definition_id": r.definition, "policy_name": "other", "min_replicas": 4, "max_replicas": 5})
		}, 422, "body.min_replicas body.max_replicas"},
		{"policy that resizes what another measures", nil, func(r *rows) request {
			return request{method: "POST", path: policies, body: fmt.Sprintf(`{"definition_id":%q,"environment":"staging","policy_name":"other","scaling_type":"vertical",`+
				`"trigger_metric":"cpu","min_limit":"250m","max_limit":"2"}`, r.definition)}
		}, 409, "body.trigger_metric"},
		{"change of a policy beyond the definition's range", nil, func(r *rows) request {
			return request{method: "PUT", path: policies + "/" + r.policy, body: `{"max_replicas":4}`}
		}, 422, "body.max_replicas"},
		{"aborting what has ended", (*realWorld).settle, tell("abort", `{}`), 409, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			rows := w.rows(t)
			if tc.given != nil {
				tc.given(w, t, &rows)
			}
			r, before := tc.r(&rows), w.events(t)
			r.token = token
			p := problem(t, w.do(t, r))
			var fields []string
			for _, e := range p.Errors {
				fields = append(fields, e.Location)
			}
			if p.Status != tc.status || !slices.Equal(fields, strings.Fields(tc.field)) {
				t.Errorf("%+v, want %d with %q", p, tc.status, tc.field)
			}
			if made := w.events(t) - before; made != 0 {
				t.Errorf("it made %d events", made)
			}
		})
	}
}
