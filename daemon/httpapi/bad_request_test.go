package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	definitions = "/api/containers/definitions"
	networks    = "/api/containers/networks"
	instances   = "/api/containers/instances"
	deployments = "/api/containers/deployments"
	events      = "/api/containers/events"
	scaling     = "/api/containers/scaling/manual"
	services    = "/api/containers/services"
	routes      = "/api/containers/routes"
	policies    = "/api/containers/scaling/policies"
	decisions   = "/api/containers/scaling/decisions"

	// anyDefinition is the one that goodPolicy names.
	anyDefinition = "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11"
)

// with is a JSON object with members replaced, added or (null in Go) taken out.
func with(t *testing.T, object string, members map[string]any) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatal(err)
	}
	for name, v := range members {
		if v == nil {
			delete(m, name)
			continue
		}
		m[name] = v
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

type object = map[string]any

func many65() object {
	many := object{}
	for n := range 65 {
		many[fmt.Sprint("k", n)] = "v"
	}
	return many
}

type badRequest struct {
	name   string
	r      request
	status int
	code   string
	fields []string // all locations, in any order
}

// create is a POST of a definition that differs from a good one.
func create(t *testing.T, members object) request {
	t.Helper()
	return request{method: "POST", path: definitions, body: with(t, goodDefinition, members)}
}

func network(t *testing.T, members object) request {
	t.Helper()
	return request{method: "POST", path: networks, body: with(t, goodNetwork, members)}
}

func route(t *testing.T, members object) request {
	t.Helper()
	return request{method: "POST", path: routes, body: with(t, goodRoute, members)}
}

func policy(t *testing.T, members object) request {
	t.Helper()
	return request{method: "POST", path: policies, body: with(t, goodPolicy, members)}
}

// badPolicies are scaling policies that can never be right.
func badPolicies(t *testing.T) []badRequest {
	t.Helper()
	thresholds := []string{"body.scale_up_threshold", "body.scale_down_threshold", "body.scale_up_adjustment", "body.scale_down_adjustment"}
	none := object{"scale_up_threshold": nil, "scale_down_threshold": nil, "scale_up_adjustment": nil, "scale_down_adjustment": nil}
	but := func(members object) object {
		all := object{}
		for _, m := range []object{none, members} {
			for name, v := range m {
				all[name] = v
			}
		}
		return all
	}
	schedule := func(members object) request {
		all := but(object{"scaling_type": "scheduled", "trigger_metric": nil, "min_replicas": 2, "schedule_start": "0 8 * * 6", "schedule_end": "0 23 * * 6", "time_zone": "Europe/London"})
		for name, v := range members {
			all[name] = v
		}
		return policy(t, all)
	}
	literal := func(number string) request {
		return request{method: "POST", path: policies, body: strings.Replace(goodPolicy, "30.5", number, 1)}
	}
	return []badRequest{
		{"policy of nothing", request{method: "POST", path: policies, body: `{}`}, 422, "invalid", []string{"body.definition_id", "body.environment", "body.policy_name", "body.scaling_type"}},
		{"policy in nowhere", policy(t, object{"environment": "qa"}), 422, "invalid", []string{"body.environment"}},
		{"policy in the environment of another token", request{method: "POST", path: policies, token: "devops", body: policy(t, object{"environment": "production"}).body}, 403, "forbidden", []string{"body.environment"}},
		{"policy by a developer", request{method: "POST", path: policies, token: "developer", body: goodPolicy}, 403, "forbidden", nil},
		{"policy of bad names", policy(t, object{"definition_id": "7", "policy_name": " load"}), 422, "invalid", []string{"body.definition_id", "body.policy_name"}},
		{"policy of another type", policy(t, object{"scaling_type": "diagonal"}), 422, "invalid", []string{"body.scaling_type"}},
		{"policy of another metric", policy(t, object{"trigger_metric": "disk"}), 422, "invalid", []string{"body.trigger_metric"}},
		{"policy of no metric", policy(t, object{"trigger_metric": nil}), 422, "invalid", []string{"body.trigger_metric"}},
		{"policy with more", policy(t, object{"threshold": 5}), 422, "invalid", []string{"body.threshold"}},
		{"thresholds that cross", policy(t, object{"scale_down_threshold": 81}), 422, "invalid", thresholds[1:2]},
		{"thresholds that meet", policy(t, object{"scale_down_threshold": 80}), 422, "invalid", thresholds[1:2]},
		{"one threshold", policy(t, object{"scale_down_threshold": nil, "scale_down_adjustment": nil}), 422, "invalid", []string{thresholds[1], thresholds[3]}},
		{"thresholds beyond a percentage", policy(t, object{"scale_up_threshold": 1001}), 422, "invalid", thresholds[:1]},
		{"thresholds of nothing", policy(t, object{"scale_down_threshold": 0, "scale_up_adjustment": 0, "scale_down_adjustment": -1}), 422, "invalid", thresholds[1:]},
		{"thresholds of wrong types", policy(t, object{"scale_up_threshold": "80", "scale_down_threshold": true, "scale_up_adjustment": 1.5, "scale_down_adjustment": "1"}), 422, "invalid", thresholds},
		{"number beyond numbers", literal("1e999"), 422, "invalid", thresholds[1:2]},
		{"number below all numbers", literal("-1e999"), 422, "invalid", thresholds[1:2]},
		{"number below nothing", literal("-1"), 422, "invalid", thresholds[1:2]},
		{"not a number", literal("NaN"), 400, "invalid", []string{"body"}},
		{"infinity", literal("Infinity"), 400, "invalid", []string{"body"}},
		{"not a number as text", literal(`"NaN"`), 422, "invalid", thresholds[1:2]},
		{"null for a number", literal("null"), 422, "invalid", thresholds[1:2]},
		{"target and thresholds", policy(t, object{"target_value": 70}), 422, "invalid", []string{"body.target_value"}},
		{"no target", policy(t, but(object{"trigger_metric": "request_rate"})), 422, "invalid", []string{"body.target_value"}},
		{"target of nothing", policy(t, but(object{"target_value": 0})), 422, "invalid", []string{"body.target_value"}},
		{"custom metric without a name", policy(t, object{"trigger_metric": "custom"}), 422, "invalid", []string{"body.metric_name"}},
		{"name of no custom metric", policy(t, object{"metric_name": "x"}), 422, "invalid", []string{"body.metric_name"}},
		{"minimum above maximum", policy(t, object{"min_replicas": 3, "max_replicas": 2}), 422, "invalid", []string{"body.min_replicas"}},
		{"minimum below nothing", policy(t, object{"min_replicas": -1}), 422, "invalid", []string{"body.min_replicas"}},
		{"cooldown below zero", policy(t, object{"cooldown_period": -1}), 422, "invalid", []string{"body.cooldown_period"}},
		{"cooldowns below zero", policy(t, object{"scale_up_cooldown": -1, "scale_down_cooldown": -300, "stabilization_window": -1}), 422, "invalid",
			[]string{"body.scale_up_cooldown", "body.scale_down_cooldown", "body.stabilization_window"}},
		{"cooldown for days", policy(t, object{"cooldown_period": 86401}), 422, "invalid", []string{"body.cooldown_period"}},
		{"rates below zero", policy(t, object{"max_scale_up": -1, "max_scale_down": -1, "scale_period": 0}), 422, "invalid", []string{"body.max_scale_up", "body.max_scale_down", "body.scale_period"}},
		{"vertical policy as the specification has it", policy(t, object{"scaling_type": "vertical"}), 422, "invalid", append([]string{"body.min_limit", "body.max_limit"}, thresholds...)},
		{"vertical policy of replicas", policy(t, but(object{"scaling_type": "vertical", "min_limit": "2", "max_limit": "250m", "max_replicas": 3})), 422, "invalid", []string{"body.max_replicas", "body.min_limit"}},
		{"vertical policy of requests", policy(t, but(object{"scaling_type": "vertical", "trigger_metric": "request_rate", "min_limit": "1", "max_limit": "2"})), 422, "invalid", []string{"body.trigger_metric"}},
		{"vertical policy of bad limits", policy(t, but(object{"scaling_type": "vertical", "min_limit": "1x", "max_limit": "5Mi"})), 422, "invalid", []string{"body.min_limit", "body.max_limit"}},
		{"schedule that never comes", schedule(object{"schedule_start": "0 0 30 2 *"}), 422, "invalid", []string{"body.schedule_start"}},
		{"schedule of bad crons", schedule(object{"schedule_start": "@daily", "schedule_end": "0 0 8 * * 6"}), 422, "invalid", []string{"body.schedule_start", "body.schedule_end"}},
		{"schedule in nowhere", schedule(object{"time_zone": "Europe/Weddington"}), 422, "invalid", []string{"body.time_zone"}},
		{"schedule over as it opens", schedule(object{"schedule_end": "0 8 * * 6"}), 422, "invalid", []string{"body.schedule_end"}},
		{"schedule of nothing", schedule(object{"min_replicas": nil, "time_zone": nil, "schedule_end": nil}), 422, "invalid", []string{"body.min_replicas", "body.time_zone", "body.schedule_end"}},
		{"schedule with a metric and a cooldown", schedule(object{"trigger_metric": "cpu", "cooldown_period": 60}), 422, "invalid", []string{"body.trigger_metric", "body.cooldown_period"}},
		{"policy moved elsewhere", request{method: "PUT", path: policies + "/" + anyDefinition, body: `{"policy_name":"x","environment":"staging","definition_id":"` + anyDefinition + `"}`}, 422, "invalid",
			[]string{"body.policy_name", "body.environment", "body.definition_id"}},
		{"bad change of a policy", request{method: "PUT", path: policies + "/" + anyDefinition, body: `{"scale_up_adjustment":0,"metric_name":"` + strings.Repeat("x", 129) + `","scale_period":null,"is_enabled":"no"}`}, 422, "invalid",
			[]string{"body.scale_up_adjustment", "body.metric_name", "body.scale_period", "body.is_enabled"}},
		{"change of no policy", request{method: "PUT", path: policies + "/" + anyDefinition, body: `{"min_replicas":null}`}, 404, "not_found", nil},
		{"policy not there", request{method: "DELETE", path: policies + "/" + anyDefinition}, 404, "not_found", nil},
		{"policies of another type", request{method: "GET", path: policies + "?scaling_type=diagonal&definition_id=7"}, 422, "invalid", []string{"query.scaling_type", "query.definition_id"}},
		{"decisions of bad filters", request{method: "GET", path: decisions + "?outcome=none&changes_only=yes&from=yesterday&to=2026-06-06&policy_id=x"}, 422, "invalid",
			[]string{"query.outcome", "query.changes_only", "query.from", "query.to", "query.policy_id"}},
		{"decisions in the environment of another token", request{method: "GET", path: decisions + "?environment=production", token: "devops"}, 403, "forbidden", []string{"query.environment"}},
	}
}

func raw(body string) request { return request{method: "POST", path: definitions, body: body} }

func badBodies(t *testing.T) []badRequest {
	t.Helper()
	const id = "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11"
	deploy := func(body string) request {
		return request{method: "POST", path: instances + id + "/deploy", body: body}
	}
	rollout := func(config string) request {
		return deploy(`{"environment":"staging","rollout_config":` + config + `}`)
	}
	rollback := func(body string) request {
		return request{method: "POST", path: deployments + id + "/rollback", body: body}
	}
	scale := func(members object) request {
		const good = `{"definition_id":"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11","environment":"staging","target_replicas":2}`
		return request{method: "POST", path: scaling, body: with(t, good, members)}
	}
	discover := func(body string) request {
		return request{method: "POST", path: services + "/api/discover", body: body}
	}
	weigh := func(body string) request {
		return request{method: "PUT", path: services + "/api/instances" + id + "/weight", body: body}
	}
	register := func(members object) request {
		return request{method: "POST", path: services + "/api/endpoints", body: with(t, `{"environment":"staging","endpoint_url":"http://10.20.0.7:8080"}`, members)}
	}
	beat := func(body string) request {
		return request{method: "PUT", path: services + "/api/endpoints" + id + "/heartbeat", body: body}
	}
	post := func(body string) request {
		return request{method: "POST", path: instances + id + "/metrics", body: body}
	}
	queue := func(members object) request {
		return post(with(t, `{"metric_type":"custom","metric_name":"queue","metric_value":1}`, members))
	}
	const metric = `{"metric_type":"custom","metric_name":"queue","metric_value":1}`
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	many := many65()
	command := func(word, body string) request {
		return request{method: "POST", path: deployments + id + "/" + word, body: body}
	}
	health := func(m object) object { return object{"health_check_config": m} }
	net := func(m object) object { return object{"network_config": m} }
	runtime := func(m object) object { return object{"runtime_config": m} }
	return []badRequest{
		// JSON itself
		{"empty body", request{method: "POST", path: definitions, body: " "}, 400, "invalid", []string{"body"}},
		{"no JSON", raw(`name=wedding-api`), 400, "invalid", []string{"body"}},
		{"cut off", raw(`{"name":"a"`), 400, "invalid", []string{"body"}},
		{"trailing value", raw(goodDefinition + `{}`), 400, "invalid", []string{"body"}},
		{"member twice", raw(`{"name":"a","name":"b"}`), 400, "invalid", []string{"body.name"}},
		{"inner member twice", raw(`{"resource_limits":{"cpu":"1","cpu":"2"}}`), 400, "invalid", []string{"body.resource_limits.cpu"}},
		{"not UTF-8", raw("{\"name\":\"\xff\"}"), 400, "invalid", []string{"body"}},
		{"nested too deep", raw(strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)), 400, "invalid", []string{"body" + strings.Repeat(".a", 32)}},
		{"list instead of object", raw(`[]`), 422, "invalid", []string{"body"}},
		{"null instead of object", raw(`null`), 422, "invalid", []string{"body"}},
		{"string instead of object", raw(`"wedding-api"`), 422, "invalid", []string{"body"}},
		{"too large", raw(`{"name":"` + strings.Repeat("a", 1<<20) + `"}`), 413, "too_large", nil},
		{"wrong media type", request{method: "POST", path: definitions, body: goodDefinition, header: http.Header{"Content-Type": {"text/plain"}}}, 415, "unsupported_media_type", nil},
		{"no media type", request{method: "POST", path: definitions, body: goodDefinition, header: http.Header{"Content-Type": nil}}, 415, "unsupported_media_type", nil},
		{"wrong character set", request{method: "POST", path: definitions, body: goodDefinition, header: http.Header{"Content-Type": {"application/json; charset=latin1"}}}, 415, "unsupported_media_type", nil},
		{"compressed", request{method: "POST", path: definitions, body: goodDefinition, header: http.Header{"Content-Encoding": {"gzip"}}}, 415, "unsupported_media_type", nil},
		{"body where none belongs", request{method: "DELETE", path: definitions + id, body: `{}`}, 400, "invalid", []string{"body"}},

		// schema
		{"everything missing", raw(`{}`), 422, "invalid", []string{"body.name", "body.service_name", "body.image_name", "body.resource_limits", "body.scaling_config"}},
		{"unknown field", create(t, object{"colour": "x"}), 422, "invalid", []string{"body.colour"}},
		{"unknown inner field", create(t, object{"resource_limits": object{"cpu": "1", "memory": "1Gi", "gpu": "1"}}), 422, "invalid", []string{"body.resource_limits.gpu"}},
		{"field in another case", create(t, object{"Name": "x"}), 422, "invalid", []string{"body.Name"}},
		{"null for a string", raw(strings.Replace(goodDefinition, `"v1"`, `null`, 1)), 422, "invalid", []string{"body.image_tag"}},
		{"null for an object", raw(strings.Replace(goodDefinition, `{"cpu":"500m","memory":"512Mi"}`, `null`, 1)), 422, "invalid", []string{"body.resource_limits"}},
		{"number for a string", create(t, object{"name": 5}), 422, "invalid", []string{"body.name"}},
		{"string for a number", create(t, object{"scaling_config": object{"min_replicas": "1", "max_replicas": 3}}), 422, "invalid", []string{"body.scaling_config.min_replicas"}},
		{"fraction for a whole number", create(t, object{"scaling_config": object{"min_replicas": 1.5, "max_replicas": 3}}), 422, "invalid", []string{"body.scaling_config.min_replicas"}},
		{"whole number with a point", raw(strings.Replace(goodDefinition, `"max_replicas":3`, `"max_replicas":3.0`, 1)), 422, "invalid", []string{"body.scaling_config.max_replicas"}},
		{"number beyond 64 bits", raw(strings.Replace(goodDefinition, `"max_replicas":3`, `"max_replicas":99999999999999999999999`, 1)), 422, "invalid", []string{"body.scaling_config.max_replicas"}},
		{"list for an object", create(t, object{"environment_config": []string{"A=b"}}), 422, "invalid", []string{"body.environment_config"}},
		{"number for a variable", create(t, object{"environment_config": object{"PORT": 8080}}), 422, "invalid", []string{"body.environment_config.PORT"}},
		{"too many ports", create(t, net(object{"ports": make([]int, 33)})), 422, "invalid", []string{"body.network_config.ports"}},
		{"NUL in a string", create(t, object{"environment_config": object{"A": "x\x00"}}), 422, "invalid", []string{"body.environment_config.A"}},
		{"NUL in a name of a variable", create(t, object{"environment_config": object{"A\x00": "x"}}), 422, "invalid", []string{"body.environment_config"}},
		{"many at once", create(t, object{"name": "A_b", "resource_limits": object{"cpu": "1x", "memory": 5}, "colour": 1}), 422, "invalid",
			[]string{"body.name", "body.resource_limits.cpu", "body.resource_limits.memory", "body.colour"}},

		// definitions
		{"upper-case name", create(t, object{"name": "Wedding"}), 422, "invalid", []string{"body.name"}},
		{"empty name", create(t, object{"name": ""}), 422, "invalid", []string{"body.name"}},
		{"long name", create(t, object{"name": strings.Repeat("a", 64)}), 422, "invalid", []string{"body.name"}},
		{"bad service name", create(t, object{"service_name": "-api"}), 422, "invalid", []string{"body.service_name"}},
		{"image name with tag", create(t, object{"image_name": "wedsync/api:v1"}), 422, "invalid", []string{"body.image_name"}},
		{"image name in upper case", create(t, object{"image_name": "Wedsync/API"}), 422, "invalid", []string{"body.image_name"}},
		{"bad tag", create(t, object{"image_tag": "v 1"}), 422, "invalid", []string{"body.image_tag"}},
		{"bad registry", create(t, object{"registry_url": "ftp://x/y"}), 422, "invalid", []string{"body.registry_url"}},
		{"two registries", create(t, object{"registry_url": "a.example.com", "image_name": "b.example.com:5000/x"}), 422, "invalid", []string{"body.image_name"}},
		{"credentials without password", create(t, object{"registry_credentials": object{"username": "x"}}), 422, "invalid", []string{"body.registry_credentials.password"}},
		{"bad variable", create(t, object{"environment_config": object{"1A": "x"}}), 422, "invalid", []string{"body.environment_config.1A"}},
		{"oversized variable", create(t, object{"environment_config": object{"A": strings.Repeat("x", 128<<10)}}), 422, "invalid", []string{"body.environment_config.A"}},
		{"bad CPU", create(t, object{"resource_limits": object{"cpu": "1x", "memory": "1Gi"}}), 422, "invalid", []string{"body.resource_limits.cpu"}},
		{"no CPU", create(t, object{"resource_limits": object{"cpu": "0", "memory": "1Gi"}}), 422, "invalid", []string{"body.resource_limits.cpu"}},
		{"too little memory", create(t, object{"resource_limits": object{"cpu": "1", "memory": "1Mi"}}), 422, "invalid", []string{"body.resource_limits.memory"}},
		{"bad storage", create(t, object{"resource_limits": object{"cpu": "1", "memory": "1Gi", "storage": "big"}}), 422, "invalid", []string{"body.resource_limits.storage"}},
		{"relative health path", create(t, object{"health_check_config": object{"endpoint": "health", "port": 80}}), 422, "invalid", []string{"body.health_check_config.endpoint"}},
		{"health check without port", create(t, health(object{"endpoint": "/health"})), 422, "invalid", []string{"body.health_check_config.port"}},
		{"timeout beyond interval", create(t, health(object{"endpoint": "/health", "port": 80, "interval": 5, "timeout": 6})), 422, "invalid", []string{"body.health_check_config.timeout"}},
		{"health check of another type", create(t, health(object{"type": "grpc", "endpoint": "/"})), 422, "invalid", []string{"body.health_check_config.type"}},
		{"health check of nothing", create(t, health(object{})), 422, "invalid", []string{"body.health_check_config.endpoint", "body.health_check_config.port"}},
		{"command without the type", create(t, health(object{"endpoint": "/", "port": 80, "command": []any{"x"}})), 422, "invalid", []string{"body.health_check_config.command"}},
		{"tcp with what HTTP needs", create(t, health(object{"type": "tcp", "port": 80, "endpoint": "/", "expected_status": []any{"200"}, "headers": object{"A": "1"}})), 422, "invalid",
			[]string{"body.health_check_config.endpoint", "body.health_check_config.expected_status", "body.health_check_config.headers"}},
		{"health check without a command", create(t, health(object{"type": "command"})), 422, "invalid", []string{"body.health_check_config.command"}},
		{"bad statuses", create(t, health(object{"endpoint": "/", "port": 80, "expected_status": []any{"600", "200", "300-200"}})), 422, "invalid",
			[]string{"body.health_check_config.expected_status[0]", "body.health_check_config.expected_status[2]"}},
		{"status that is a number", create(t, health(object{"endpoint": "/", "port": 80, "expected_status": []any{200}})), 422, "invalid", []string{"body.health_check_config.expected_status[0]"}},
		{"bad headers", create(t, health(object{"endpoint": "/", "port": 80, "headers": object{"Content-Length": "1", "Host": "a b", "X-A": "1\r\nX-B: 1"}})), 422, "invalid",
			[]string{"body.health_check_config.headers.Content-Length", "body.health_check_config.headers.Host", "body.health_check_config.headers.X-A"}},
		{"too many headers", create(t, health(object{"endpoint": "/", "port": 80, "headers": many})), 422, "invalid", []string{"body.health_check_config.headers"}},
		{"rise of zero", create(t, health(object{"endpoint": "/", "port": 80, "rise": 0})), 422, "invalid", []string{"body.health_check_config.rise"}},
		{"interval of zero", create(t, health(object{"endpoint": "/health", "port": 80, "interval": 0})), 422, "invalid", []string{"body.health_check_config.interval"}},
		{"min above max", create(t, object{"scaling_config": object{"min_replicas": 4, "max_replicas": 3}}), 422, "invalid", []string{"body.scaling_config.min_replicas"}},
		{"too many replicas", create(t, object{"scaling_config": object{"min_replicas": 1, "max_replicas": 1001}}), 422, "invalid", []string{"body.scaling_config.max_replicas"}},
		{"target above 100", create(t, object{"scaling_config": object{"min_replicas": 1, "max_replicas": 3, "target_cpu": 101}}), 422, "invalid", []string{"body.scaling_config.target_cpu"}},
		{"port out of range", create(t, net(object{"ports": []int{8080, 70000}})), 422, "invalid", []string{"body.network_config.ports[1]"}},
		{"port twice", create(t, net(object{"ports": []int{8080, 8080}})), 422, "invalid", []string{"body.network_config.ports[1]"}},
		{"bad network name", create(t, net(object{"internal_networks": []string{"App"}})), 422, "invalid", []string{"body.network_config.internal_networks[0]"}},
		{"network twice", create(t, net(object{"internal_networks": []string{"app"}, "external_networks": []string{"app"}})), 422, "invalid", []string{"body.network_config.external_networks[0]"}},
		{"published internal ports", create(t, net(object{"ports": []int{80}, "publish_ports": true, "internal_networks": []string{"app"}})), 422, "invalid", []string{"body.network_config.publish_ports"}},
		{"nothing to publish", create(t, net(object{"publish_ports": true})), 422, "invalid", []string{"body.network_config.publish_ports"}},
		{"relative volume target", create(t, object{"volume_mounts": []object{{"source": "data", "target": "data"}}}), 422, "invalid", []string{"body.volume_mounts[0].target"}},
		{"bad volume source", create(t, object{"volume_mounts": []object{{"source": "../data", "target": "/data"}}}), 422, "invalid", []string{"body.volume_mounts[0].source"}},
		{"volume target twice", create(t, object{"volume_mounts": []object{{"source": "data", "target": "/data"}, {"source": "more", "target": "/data"}}}), 422, "invalid", []string{"body.volume_mounts[1].target"}},
		{"volume and tmpfs", create(t, object{"volume_mounts": []object{{"source": "data", "target": "/tmp"}}, "runtime_config": object{"tmpfs": []string{"/tmp"}}}), 422, "invalid", []string{"body.runtime_config.tmpfs[0]"}},
		{"bad user", create(t, runtime(object{"user": "a b"})), 422, "invalid", []string{"body.runtime_config.user"}},
		{"relative tmpfs", create(t, runtime(object{"tmpfs": []string{"tmp"}})), 422, "invalid", []string{"body.runtime_config.tmpfs[0]"}},
		{"reserved label", create(t, runtime(object{"labels": object{"wedsync.instance": "x"}})), 422, "invalid", []string{"body.runtime_config.labels.wedsync.instance"}},
		{"bad log size", create(t, runtime(object{"log_max_size": "10Q"})), 422, "invalid", []string{"body.runtime_config.log_max_size"}},
		{"too many log files", create(t, runtime(object{"log_max_files": 101})), 422, "invalid", []string{"body.runtime_config.log_max_files"}},
		{"unknown pull policy", create(t, runtime(object{"pull_policy": "never"})), 422, "invalid", []string{"body.runtime_config.pull_policy"}},

		// metrics
		{"metric without anything", post(`{}`), 422, "invalid", []string{"body.metric_type", "body.metric_name", "body.metric_value"}},
		{"metric that is no number", post(`{"metric_type":"custom","metric_name":"queue","metric_value":NaN}`), 400, "invalid", []string{"body"}},
		{"metric that is infinite", post(`{"metric_type":"custom","metric_name":"queue","metric_value":Infinity}`), 400, "invalid", []string{"body"}},
		{"metric too large to keep", post(`{"metric_type":"custom","metric_name":"queue","metric_value":1e999}`), 422, "invalid", []string{"body.metric_value"}},
		{"metric too small to keep", post(`{"metric_type":"custom","metric_name":"queue","metric_value":-1e999}`), 422, "invalid", []string{"body.metric_value"}},
		{"NaN in words", queue(object{"metric_value": "NaN"}), 422, "invalid", []string{"body.metric_value"}},
		{"number in words", queue(object{"metric_value": "85"}), 422, "invalid", []string{"body.metric_value"}},
		{"null for a metric", post(`{"metric_type":"custom","metric_name":"queue","metric_value":null}`), 422, "invalid", []string{"body.metric_value"}},
		{"unknown type of metric", queue(object{"metric_type": "gpu"}), 422, "invalid", []string{"body.metric_type"}},
		{"bad name of a metric", queue(object{"metric_name": "queue length"}), 422, "invalid", []string{"body.metric_name"}},
		{"long name of a metric", queue(object{"metric_name": strings.Repeat("a", 129)}), 422, "invalid", []string{"body.metric_name"}},
		{"long unit", queue(object{"metric_unit": strings.Repeat("a", 33)}), 422, "invalid", []string{"body.metric_unit"}},
		{"metric of the future", queue(object{"timestamp": at(6 * time.Minute)}), 422, "invalid", []string{"body.timestamp"}},
		{"metric of the past", queue(object{"timestamp": at(-61 * time.Minute)}), 422, "invalid", []string{"body.timestamp"}},
		{"metric of the year 1", queue(object{"timestamp": "0001-01-01T00:00:00Z"}), 422, "invalid", []string{"body.timestamp"}},
		{"metric of the year 9999", queue(object{"timestamp": "9999-12-31T23:59:59Z"}), 422, "invalid", []string{"body.timestamp"}},
		{"metric of no time", queue(object{"timestamp": "yesterday"}), 422, "invalid", []string{"body.timestamp"}},
		{"too many labels", queue(object{"labels": many65()}), 422, "invalid", []string{"body.labels"}},
		{"number for a label", queue(object{"labels": object{"a": 1}}), 422, "invalid", []string{"body.labels.a"}},
		{"long label", queue(object{"labels": object{"a": strings.Repeat("x", 257)}}), 422, "invalid", []string{"body.labels.a"}},
		{"nameless label", queue(object{"labels": object{"": "x"}}), 422, "invalid", []string{"body.labels"}},
		{"a metric that is too large", post(`{"metric_type":"custom","metric_name":"queue","metric_value":1e101}`), 422, "invalid", []string{"body.metric_value"}},
		{"a metric in a list that is too small", post(`{"metrics":[` + metric + `,{"metric_type":"custom","metric_name":"queue","metric_value":-1e101}]}`), 422, "invalid",
			[]string{"body.metrics[1].metric_value"}},
		{"no metrics in a list", post(`{"metrics":[]}`), 422, "invalid", []string{"body.metrics"}},
		{"one metric and a list", post(`{"metric_value":1,"metrics":[` + metric + `]}`), 422, "invalid", []string{"body.metrics"}},
		{"too many metrics", post(`{"metrics":[` + strings.Repeat(metric+",", 1000) + metric + `]}`), 422, "invalid", []string{"body.metrics"}},
		{"bad metric in a list", post(`{"metrics":[` + metric + `,{"metric_type":"custom","metric_name":"queue","metric_value":1e999,"timestamp":"2001-01-01T00:00:00Z"}]}`), 422, "invalid",
			[]string{"body.metrics[1].metric_value", "body.metrics[1].timestamp"}},
		{"incomplete metric in a list", post(`{"metrics":[{"metric_type":"custom"}]}`), 422, "invalid", []string{"body.metrics[0].metric_name", "body.metrics[0].metric_value"}},
		{"metric of an unknown instance", post(metric), 404, "not_found", nil},
		{"metric of no instance", request{method: "POST", path: instances + "/test-instance-id/metrics", body: metric}, 422, "invalid", []string{"path.instance_id"}},

		// networks
		{"unknown network type", network(t, object{"network_type": "bridge"}), 422, "invalid", []string{"body.network_type"}},
		{"unknown environment", network(t, object{"environment": "qa"}), 422, "invalid", []string{"body.environment"}},
		{"environment of another token", request{method: "POST", path: networks, token: "devops", body: with(t, goodNetwork, object{"environment": "production"})}, 403, "forbidden", []string{"body.environment"}},
		{"bad subnet", network(t, object{"subnet": "10.20.0.0"}), 422, "invalid", []string{"body.subnet"}},
		{"subnet with host bits", network(t, object{"subnet": "10.20.0.1/24"}), 422, "invalid", []string{"body.subnet"}},
		{"gateway outside", network(t, object{"gateway": "10.21.0.1"}), 422, "invalid", []string{"body.gateway"}},
		{"gateway without subnet", network(t, object{"subnet": nil, "gateway": "10.20.0.1"}), 422, "invalid", []string{"body.gateway"}},
		{"bad name server", network(t, object{"dns_config": object{"servers": []string{"10.20.0.2", "ns1"}}}), 422, "invalid", []string{"body.dns_config.servers[1]"}},
		{"bad search domain", network(t, object{"dns_config": object{"search": []string{"a b"}}}), 422, "invalid", []string{"body.dns_config.search[0]"}},
		{"bad resolver option", network(t, object{"dns_config": object{"options": []string{"NDOTS"}}}), 422, "invalid", []string{"body.dns_config.options[0]"}},
		{"IPv6 without its subnet", network(t, object{"network_config": object{"enable_ipv6": true}}), 422, "invalid", []string{"body.network_config.enable_ipv6"}},
		{"small MTU with IPv6", network(t, object{"subnet": "fd00:20::/64", "network_config": object{"enable_ipv6": true, "mtu": 600}}), 422, "invalid", []string{"body.network_config.mtu"}},
		{"tiny MTU", network(t, object{"network_config": object{"mtu": 10}}), 422, "invalid", []string{"body.network_config.mtu"}},
		{"bad network label", network(t, object{"network_config": object{"labels": object{"A B": "x"}}}), 422, "invalid", []string{"body.network_config.labels.A B"}},

		// deployments and actions
		{"deploy without environment", deploy(`{}`), 422, "invalid", []string{"body.environment"}},
		{"deploy into nowhere", deploy(`{"environment":"qa"}`), 422, "invalid", []string{"body.environment"}},
		{"unknown strategy", deploy(`{"environment":"staging","deployment_strategy":"big_bang"}`), 422, "invalid", []string{"body.deployment_strategy"}},
		{"negative replicas", deploy(`{"environment":"staging","replica_count":-1}`), 422, "invalid", []string{"body.replica_count"}},
		{"revision zero", deploy(`{"environment":"staging","definition_revision":0}`), 422, "invalid", []string{"body.definition_revision"}},
		{"long notes", deploy(`{"environment":"staging","deployment_notes":"` + strings.Repeat("é", 4097) + `"}`), 422, "invalid", []string{"body.deployment_notes"}},

		// rollouts
		{"list for a rollout", rollout(`[]`), 422, "invalid", []string{"body.rollout_config"}},
		{"null for a rollout", rollout(`null`), 422, "invalid", []string{"body.rollout_config"}},
		{"unknown setting", rollout(`{"max_surg":"1"}`), 422, "invalid", []string{"body.rollout_config.max_surg"}},
		{"setting in another case", rollout(`{"maxSurge":"1"}`), 422, "invalid", []string{"body.rollout_config.maxSurge"}},
		{"null for a setting", rollout(`{"min_healthy_time":null}`), 422, "invalid", []string{"body.rollout_config.min_healthy_time"}},
		{"null for canary steps", rollout(`{"canary_steps":null}`), 422, "invalid", []string{"body.rollout_config.canary_steps"}},
		{"wrong types", rollout(`{"max_surge":1,"max_unavailable":0,"start_first":"yes","min_healthy_time":"10","healthy_deadline":true,"progress_deadline":1.5,"canary_steps":{},"auto_promote":1,"keep_warm_time":[],"drain_time":{}}`), 422, "invalid",
			settings("max_surge", "max_unavailable", "start_first", "min_healthy_time", "healthy_deadline", "progress_deadline", "canary_steps", "auto_promote", "keep_warm_time", "drain_time")},
		{"no shares", rollout(`{"max_surge":"all","max_unavailable":"-1"}`), 422, "invalid", settings("max_surge", "max_unavailable")},
		{"empty share", rollout(`{"max_surge":""}`), 422, "invalid", settings("max_surge")},
		{"share beyond everything", rollout(`{"max_surge":"101%","max_unavailable":"1001"}`), 422, "invalid", settings("max_surge", "max_unavailable")},
		{"times below their bounds", rollout(`{"min_healthy_time":-1,"healthy_deadline":0,"progress_deadline":0,"keep_warm_time":-1,"drain_time":-1}`), 422, "invalid",
			settings("min_healthy_time", "healthy_deadline", "progress_deadline", "keep_warm_time", "drain_time")},
		{"times above their bounds", rollout(`{"min_healthy_time":86401,"healthy_deadline":86401,"progress_deadline":86401,"keep_warm_time":86401,"drain_time":86401}`), 422, "invalid",
			settings("min_healthy_time", "healthy_deadline", "progress_deadline", "keep_warm_time", "drain_time")},
		{"no surge with start_first", rollout(`{"max_surge":"0"}`), 422, "invalid", settings("max_surge")},
		{"surge without start_first", rollout(`{"start_first":false,"max_surge":"1"}`), 422, "invalid", settings("max_surge")},
		{"nothing may be missing without start_first", rollout(`{"start_first":false,"max_unavailable":"0%"}`), 422, "invalid", settings("max_unavailable")},
		{"deadline that nobody can meet", rollout(`{"min_healthy_time":60,"healthy_deadline":60}`), 422, "invalid", settings("healthy_deadline")},
		{"progress deadline before the healthy one", rollout(`{"healthy_deadline":120,"progress_deadline":60}`), 422, "invalid", settings("progress_deadline")},
		{"canary step without pause", rollout(`{"canary_steps":[{"weight":10}]}`), 422, "invalid", settings("canary_steps[0].pause")},
		{"canary step with more", rollout(`{"canary_steps":[{"weight":10,"pause":5,"name":"a"}]}`), 422, "invalid", settings("canary_steps[0].name")},
		{"null for a canary step", rollout(`{"canary_steps":[null]}`), 422, "invalid", settings("canary_steps[0]")},
		{"weights out of range", rollout(`{"canary_steps":[{"weight":0,"pause":5},{"weight":100,"pause":-1}]}`), 422, "invalid",
			settings("canary_steps[0].weight", "canary_steps[1].weight", "canary_steps[1].pause")},
		{"weights that do not rise", rollout(`{"canary_steps":[{"weight":20,"pause":5},{"weight":20,"pause":5},{"weight":10,"pause":5}]}`), 422, "invalid",
			settings("canary_steps[1].weight", "canary_steps[2].weight")},
		{"too many canary steps", rollout(`{"canary_steps":[` + strings.TrimSuffix(strings.Repeat(`{"weight":1,"pause":1},`, 21), ",") + `]}`), 422, "invalid", settings("canary_steps")},

		// rollbacks, commands and scalings
		{"rollback without a reason", rollback(`{}`), 422, "invalid", []string{"body.reason"}},
		{"rollback for an empty reason", rollback(`{"reason":""}`), 422, "invalid", []string{"body.reason"}},
		{"rollback for a long reason", rollback(`{"reason":"` + strings.Repeat("é", 1025) + `"}`), 422, "invalid", []string{"body.reason"}},
		{"rollback to no UUID", rollback(`{"reason":"slow","target_deployment_id":"v1"}`), 422, "invalid", []string{"body.target_deployment_id"}},
		{"rollback with wrong types", rollback(`{"reason":1,"target_deployment_id":null,"force":"yes"}`), 422, "invalid", []string{"body.reason", "body.target_deployment_id", "body.force"}},
		{"rollback with more", rollback(`{"reason":"slow","target":"x"}`), 422, "invalid", []string{"body.target"}},
		{"rollback of no UUID", request{method: "POST", path: deployments + "/42/rollback", body: `{"reason":"slow"}`}, 422, "invalid", []string{"path.deployment_id"}},
		{"rollback of nothing", rollback(`{"reason":"slow"}`), 404, "not_found", nil},
		{"pause without a body", command("pause", ""), 415, "unsupported_media_type", nil},
		{"pause for a number", command("pause", `{"reason":5}`), 422, "invalid", []string{"body.reason"}},
		{"resume for a long reason", command("resume", `{"reason":"`+strings.Repeat("é", 1025)+`"}`), 422, "invalid", []string{"body.reason"}},
		{"promote with more", command("promote", `{"weight":50}`), 422, "invalid", []string{"body.weight"}},
		{"abort with a list", command("abort", `[]`), 422, "invalid", []string{"body"}},
		{"abort of nothing", command("abort", `{}`), 404, "not_found", nil},
		{"unknown command", command("explode", `{}`), 404, "not_found", nil},
		{"scaling of nothing named", scale(object{"definition_id": nil, "environment": nil, "target_replicas": nil}), 422, "invalid", []string{"body.definition_id", "body.environment", "body.target_replicas"}},
		{"scaling with wrong types", scale(object{"definition_id": 5, "environment": 5, "target_replicas": "2", "reason": 5}), 422, "invalid", []string{"body.definition_id", "body.environment", "body.target_replicas", "body.reason"}},
		{"scaling of no UUID", scale(object{"definition_id": "wedding-api"}), 422, "invalid", []string{"body.definition_id"}},
		{"scaling in nowhere", scale(object{"environment": "qa"}), 422, "invalid", []string{"body.environment"}},
		{"scaling below nothing", scale(object{"target_replicas": -1}), 422, "invalid", []string{"body.target_replicas"}},
		{"scaling to too many", scale(object{"target_replicas": 1001}), 422, "invalid", []string{"body.target_replicas"}},
		{"scaling with more", scale(object{"replicas": 2}), 422, "invalid", []string{"body.replicas"}},
		{"scaling in the environment of another token", request{method: "POST", path: scaling, token: "devops", body: scale(object{"environment": "production"}).body}, 403, "forbidden", []string{"body.environment"}},
		{"scaling of nothing", scale(nil), 404, "not_found", nil},

		// services and routes
		{"discovery without environment", discover(`{}`), 422, "invalid", []string{"body.environment"}},
		{"discovery in nowhere", discover(`{"environment":"qa"}`), 422, "invalid", []string{"body.environment"}},
		{"discovery in the environment of another token", request{method: "POST", path: services + "/api/discover", token: "devops", body: `{"environment":"production"}`}, 403, "forbidden", []string{"body.environment"}},
		{"unknown filter", discover(`{"environment":"staging","filters":{"zone":"eu"}}`), 422, "invalid", []string{"body.filters.zone"}},
		{"null for filters", discover(`{"environment":"staging","filters":null}`), 422, "invalid", []string{"body.filters"}},
		{"filters of wrong types", discover(`{"environment":"staging","filters":{"is_healthy":"yes","image_tag":1,"deployment_id":"x","metadata":{"zone":1}}}`), 422, "invalid",
			[]string{"body.filters.is_healthy", "body.filters.image_tag", "body.filters.deployment_id", "body.filters.metadata.zone"}},
		{"discovery of no name", request{method: "POST", path: services + "/A_b/discover", body: `{"environment":"staging"}`}, 422, "invalid", []string{"path.service_name"}},
		{"no weight", weigh(`{}`), 422, "invalid", []string{"body.weight"}},
		{"negative weight", weigh(`{"weight":-1}`), 422, "invalid", []string{"body.weight"}},
		{"weight above everything", weigh(`{"weight":101}`), 422, "invalid", []string{"body.weight"}},
		{"weight with a long reason", weigh(`{"weight":5,"reason":"` + strings.Repeat("é", 501) + `"}`), 422, "invalid", []string{"body.reason"}},
		{"weight of nothing", weigh(`{"weight":5}`), 404, "not_found", nil},
		{"weight by a developer", request{method: "PUT", path: services + "/api/instances" + id + "/weight", token: "developer", body: `{"weight":5}`}, 403, "forbidden", nil},
		{"registration of nothing", request{method: "POST", path: services + "/api/endpoints", body: `{}`}, 422, "invalid", []string{"body.environment", "body.endpoint_url"}},
		{"registration in nowhere", register(object{"environment": "qa"}), 422, "invalid", []string{"body.environment"}},
		{"registration in the environment of another token", request{method: "POST", path: services + "/api/endpoints", token: "devops", body: register(object{"environment": "production"}).body}, 403, "forbidden", []string{"body.environment"}},
		{"registration without port", register(object{"endpoint_url": "http://10.20.0.7"}), 422, "invalid", []string{"body.endpoint_url"}},
		{"registration with a path", register(object{"endpoint_url": "http://10.20.0.7:80/"}), 422, "invalid", []string{"body.endpoint_url"}},
		{"registration with bad checks", register(object{"health_check_url": "ftp://10.20.0.7/health"}), 422, "invalid", []string{"body.health_check_url"}},
		{"registration with a password", register(object{"health_check_url": "http://u:p@10.20.0.7/health"}), 422, "invalid", []string{"body.health_check_url"}},
		{"registration too short", register(object{"ttl_seconds": 4}), 422, "invalid", []string{"body.ttl_seconds"}},
		{"registration too long", register(object{"ttl_seconds": 86401}), 422, "invalid", []string{"body.ttl_seconds"}},
		{"registration of too much weight", register(object{"load_balancer_weight": 101}), 422, "invalid", []string{"body.load_balancer_weight"}},
		{"registration with bad metadata", register(object{"metadata": object{"a b": "x", "long": strings.Repeat("x", 1025), "n": 1}}), 422, "invalid", []string{"body.metadata.a b", "body.metadata.long", "body.metadata.n"}},
		{"registration with much metadata", register(object{"metadata": many}), 422, "invalid", []string{"body.metadata"}},
		{"registration with more", register(object{"weight": 1}), 422, "invalid", []string{"body.weight"}},
		{"registration by a developer", request{method: "POST", path: services + "/api/endpoints", token: "developer", body: register(nil).body}, 403, "forbidden", nil},
		{"registration of no name", request{method: "POST", path: services + "/A_b/endpoints", body: register(nil).body}, 422, "invalid", []string{"path.service_name"}},
		{"heartbeat of nothing", beat(""), 404, "not_found", nil},
		{"heartbeat of another status", beat(`{"status":"warning"}`), 422, "invalid", []string{"body.status"}},
		{"heartbeat with more", beat(`{"state":"passing"}`), 422, "invalid", []string{"body.state"}},
		{"null as heartbeat", beat(`null`), 422, "invalid", []string{"body"}},
		{"heartbeat that is no JSON", beat(`passing`), 400, "invalid", []string{"body"}},
		{"heartbeat by monitoring", request{method: "PUT", path: services + "/api/endpoints" + id + "/heartbeat", token: "monitoring"}, 403, "forbidden", nil},
		{"heartbeat with a bad UUID", request{method: "PUT", path: services + "/api/endpoints/7/heartbeat"}, 422, "invalid", []string{"path.endpoint_id"}},
		{"deregistration of nothing", request{method: "DELETE", path: services + "/api/endpoints" + id}, 404, "not_found", nil},
		{"watching nowhere", request{method: "GET", path: services + "/stream?environment=qa"}, 422, "invalid", []string{"query.environment"}},
		{"watching the environment of another token", request{method: "GET", path: services + "/stream?environment=production", token: "devops"}, 403, "forbidden", []string{"query.environment"}},
		{"watching before the registry was read", request{method: "GET", path: services + "/stream"}, 503, "unavailable", nil},
		{"watching without a token", request{method: "GET", path: services + "/stream", token: "-"}, 401, "unauthenticated", nil},
		{"route of nothing", request{method: "POST", path: routes, body: `{}`}, 422, "invalid", []string{"body.name", "body.environment", "body.service_name"}},
		{"route in nowhere", route(t, object{"environment": "qa"}), 422, "invalid", []string{"body.environment"}},
		{"route in the environment of another token", request{method: "POST", path: routes, token: "devops", body: route(t, object{"environment": "production"}).body}, 403, "forbidden", []string{"body.environment"}},
		{"route of bad names", route(t, object{"name": "A b", "service_name": "a.b"}), 422, "invalid", []string{"body.name", "body.service_name"}},
		{"route of bad hosts", route(t, object{"hosts": []string{"Shop.example.com", "shop.example.com:80", "ok.example.com", "*.example.com", "ok.example.com"}}), 422, "invalid",
			[]string{"body.hosts[0]", "body.hosts[1]", "body.hosts[3]", "body.hosts[4]"}},
		{"route of the services' own domain", route(t, object{"hosts": []string{"web.staging.wedsync.localhost", "wedsync.localhost", "x.wedsync.localhost"}}), 422, "invalid", []string{"body.hosts[0]", "body.hosts[2]"}},
		{"route of too many hosts", route(t, object{"hosts": make([]string, 65)}), 422, "invalid", []string{"body.hosts"}},
		{"route of no path", route(t, object{"path_prefixes": []string{}}), 422, "invalid", []string{"body.path_prefixes"}},
		{"null for paths", request{method: "POST", path: routes, body: strings.Replace(goodRoute, "{", `{"path_prefixes":null,`, 1)}, 422, "invalid", []string{"body.path_prefixes"}},
		{"route of bad paths", route(t, object{"path_prefixes": []string{"/", "api", "/api/", "/a//b", "/a b", "/"}}), 422, "invalid",
			[]string{"body.path_prefixes[1]", "body.path_prefixes[2]", "body.path_prefixes[3]", "body.path_prefixes[4]", "body.path_prefixes[5]"}},
		{"route of bad settings", route(t, object{"strategy": "random", "sticky_cookie": "a b", "canary_header": "Host", "canary_cookie": "ä", "max_body_size": "much", "max_header_size": "1Mi",
			"response_timeout": 0, "idle_timeout": 86401, "max_requests": -1}), 422, "invalid", []string{"body.strategy", "body.sticky_cookie", "body.canary_header", "body.canary_cookie",
			"body.max_body_size", "body.max_header_size", "body.response_timeout", "body.idle_timeout", "body.max_requests"}},
		{"route of one cookie for two", route(t, object{"sticky_cookie": "a", "canary_cookie": "a"}), 422, "invalid", []string{"body.canary_cookie"}},
		{"route with more", route(t, object{"settings": object{}}), 422, "invalid", []string{"body.settings"}},
		{"route moved elsewhere", request{method: "PUT", path: routes + id, body: `{"name":"x","environment":"staging"}`}, 422, "invalid", []string{"body.name", "body.environment"}},
		{"bad change of a route", request{method: "PUT", path: routes + id, body: `{"hosts":["x.wedsync.localhost"],"path_prefixes":[],"max_header_size":"1"}`}, 422, "invalid",
			[]string{"body.hosts[0]", "body.path_prefixes", "body.max_header_size"}},
		{"change of no route", request{method: "PUT", path: routes + id, body: `{"hosts":[]}`}, 404, "not_found", nil},

		{"unknown action", request{method: "POST", path: instances + id + "/action", body: `{"action":"pause"}`}, 422, "invalid", []string{"body.action"}},
		{"number as force", request{method: "POST", path: instances + id + "/action", body: `{"action":"stop","force":1}`}, 422, "invalid", []string{"body.force"}},
	}
}

// settings are the locations of settings of a rollout.
func settings(names ...string) []string {
	for k, name := range names {
		names[k] = "body.rollout_config." + name
	}
	return names
}

func badParameters() []badRequest {
	const id = "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11"
	get := func(path string) request { return request{method: "GET", path: path} }
	key := func(values ...string) request {
		return request{method: "POST", path: definitions, body: goodDefinition, header: http.Header{"Idempotency-Key": values}}
	}
	return []badRequest{
		{"bad UUID in path", get(definitions + "/42"), 422, "invalid", []string{"path.definition_id"}},
		{"UUID without hyphens", get(definitions + "/0198c5f09f4e7c1a9a530c1d6f1f2a11"), 422, "invalid", []string{"path.definition_id"}},
		{"UUID as URN", get(instances + "/urn:uuid:0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11"), 422, "invalid", []string{"path.instance_id"}},
		{"bad UUID and bad body", request{method: "POST", path: instances + "/x/deploy", body: `{"environment":5}`}, 422, "invalid", []string{"path.definition_id", "body.environment"}},
		{"bad UUID in query", get(instances + "?definition_id=x"), 422, "invalid", []string{"query.definition_id"}},
		{"empty UUID in query", get(instances + "?definition_id="), 422, "invalid", []string{"query.definition_id"}},
		{"limit of zero", get(definitions + "?limit=0"), 422, "invalid", []string{"query.limit"}},
		{"limit too high", get(definitions + "?limit=1001"), 422, "invalid", []string{"query.limit"}},
		{"limit in words", get(definitions + "?limit=ten"), 422, "invalid", []string{"query.limit"}},
		{"limit with a point", get(definitions + "?limit=1.0"), 422, "invalid", []string{"query.limit"}},
		{"metrics that end before they begin", get(instances + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11/metrics?from=2026-06-06T08:30:00Z&to=2026-06-06T08:30:00Z"), 422, "invalid", []string{"query.from"}},
		{"metrics from tomorrow", get(instances + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11/metrics?from=2999-06-06T08:30:00Z"), 422, "invalid", []string{"query.from"}},
		{"too many points", get(instances + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11/metrics?from=2026-06-06T00:00:00Z&to=2026-06-07T00:00:00Z&step=57"), 422, "invalid", []string{"query.step"}},
		{"all of history", get(instances + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11/metrics?from=1700-01-01T00:00:00Z"), 422, "invalid", []string{"query.step"}},
		{"a step of zero", get(instances + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11/metrics?step=0"), 422, "invalid", []string{"query.step"}},
		{"a step in words", get(instances + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11/metrics?step=1m"), 422, "invalid", []string{"query.step"}},
		{"a day that is none", get(instances + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11/metrics?from=2026-02-30T00:00:00Z"), 422, "invalid", []string{"query.from"}},
		{"unknown parameter", get(definitions + "?page=2"), 422, "invalid", []string{"query.page"}},
		{"parameter twice", get(definitions + "?limit=1&limit=2"), 422, "invalid", []string{"query.limit"}},
		{"several parameters", get(instances + "?limit=x&status=dead&page=1"), 422, "invalid", []string{"query.limit", "query.status", "query.page"}},
		{"unreadable query", get(definitions + "?name=%zz"), 422, "invalid", []string{"query"}},
		{"NUL in query", get(definitions + "?name=a%00"), 422, "invalid", []string{"query.name"}},
		{"unknown status", get(instances + "?status=dead"), 422, "invalid", []string{"query.status"}},
		{"unknown deployment status", get(deployments + "?status=running"), 422, "invalid", []string{"query.status"}},
		{"odd boolean", get(deployments + "?live=1"), 422, "invalid", []string{"query.live"}},
		{"bad time", get(events + "?since=yesterday"), 422, "invalid", []string{"query.since"}},
		{"unknown environment in query", get(instances + "?environment=qa"), 422, "invalid", []string{"query.environment"}},
		{"environment of another token in query", request{method: "GET", path: instances + "?environment=production", token: "devops"}, 403, "forbidden", []string{"query.environment"}},
		{"remove without environment", request{method: "DELETE", path: instances + id + "/deploy"}, 422, "invalid", []string{"query.environment"}},
		{"unknown log source", get(instances + id + "/logs?source=syslog"), 422, "invalid", []string{"query.source"}},
		{"bad log cursor", get(instances + id + "/logs?cursor=x"), 422, "invalid", []string{"query.cursor"}},
		{"empty key", key(""), 422, "invalid", []string{"header.Idempotency-Key"}},
		{"key with a space", key("a b"), 422, "invalid", []string{"header.Idempotency-Key"}},
		{"key too long", key(strings.Repeat("k", 256)), 422, "invalid", []string{"header.Idempotency-Key"}},
		{"two keys", key("a", "b"), 422, "invalid", []string{"header.Idempotency-Key"}},
		{"unknown path", get("/api/containers/nothing"), 404, "not_found", nil},
		{"trailing slash", get(definitions + "/"), 404, "not_found", nil},
		{"unclean path", get("/api/containers/../containers/definitions"), 404, "not_found", nil},
		{"wrong method", request{method: "PATCH", path: definitions + id}, 405, "method_not_allowed", nil},
		{"no token", request{method: "GET", path: definitions, token: "-"}, 401, "unauthenticated", nil},
		{"unknown token", request{method: "GET", path: definitions, token: "nobody"}, 401, "unauthenticated", nil},
		{"other scheme", request{method: "GET", path: definitions, header: http.Header{"Authorization": {"Basic YWRtaW4="}}}, 401, "unauthenticated", nil},
		{"no token for an unknown path", request{method: "GET", path: "/api/nothing", token: "-"}, 401, "unauthenticated", nil},
		{"too low a role", request{method: "POST", path: definitions, token: "developer", body: goodDefinition}, 403, "forbidden", nil},
		{"definition not there", get(definitions + id), 404, "not_found", nil},
		{"route not there", request{method: "DELETE", path: routes + id}, 404, "not_found", nil},
		{"page of services", get(services + "?limit=5"), 422, "invalid", []string{"query.limit"}},
		{"environment of another token for services", request{method: "GET", path: services + "?environment=production", token: "devops"}, 403, "forbidden", []string{"query.environment"}},
		{"network not there", request{method: "DELETE", path: networks + id}, 404, "not_found", nil},
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	table := slices.Concat(badBodies(t), badParameters(), badPolicies(t))
	if len(table) < 60 {
		t.Fatalf("%d bad requests; at least 60 belong here", len(table))
	}
	for _, tc := range table {
		t.Run(tc.name, func(t *testing.T) {
			p := problem(t, w.do(t, tc.r))
			if p.Status != tc.status || p.Code != tc.code {
				t.Errorf("%d %s, want %d %s: %+v", p.Status, p.Code, tc.status, tc.code, p)
			}
			var fields []string
			for _, e := range p.Errors {
				fields = append(fields, e.Location)
				if e.Message == "" {
					t.Errorf("%s has no message", e.Location)
				}
			}
			slices.Sort(fields)
			want := slices.Sorted(slices.Values(tc.fields))
			if !slices.Equal(fields, want) {
				t.Errorf("fields %q, want %q: %+v", fields, want, p.Errors)
			}
			if w.changes != 0 {
				t.Fatalf("the store was changed")
			}
		})
	}
}

// TestBadUpdates are changes that are fine by themselves, but not with what is stored.
func TestBadUpdates(t *testing.T) {
	tests := []struct {
		name, path, body string
		fields           []string
	}{
		{"image below another registry", "definition", `{"registry_url":"a.example.com","image_name":"b.example.com:5000/x"}`, []string{"body.image_name"}},
		{"health check without port", "definition", `{"health_check_config":{"endpoint":"/health"}}`, []string{"body.health_check_config.port"}},
		{"tcp check without port", "definition", `{"health_check_config":{"type":"tcp"}}`, []string{"body.health_check_config.port"}},
		{"two bad fields", "definition", `{"image_tag":"","name":"A"}`, []string{"body.image_tag", "body.name"}},
		{"null for a name", "definition", `{"name":null}`, []string{"body.name"}},
		{"null for a list", "definition", `{"volume_mounts":null}`, []string{"body.volume_mounts"}},
		{"null inside credentials", "definition", `{"registry_credentials":{"username":null,"password":"x"}}`, []string{"body.registry_credentials.username"}},
		{"partial limits", "definition", `{"resource_limits":{"cpu":"1"}}`, []string{"body.resource_limits.memory"}},
		{"gateway outside the stored subnet", "network", `{"gateway":"10.99.0.1"}`, []string{"body.gateway"}},
		{"IPv6 on the stored subnet", "network", `{"network_config":{"enable_ipv6":true}}`, []string{"body.network_config.enable_ipv6"}},
		{"one cookie for two, with the stored one", "route", `{"canary_cookie":"wedding_session"}`, []string{"body.canary_cookie"}},
		{"target beside the stored thresholds", "policy", `{"target_value":70}`, []string{"body.target_value"}},
		{"stored thresholds that cross", "policy", `{"scale_down_threshold":80.5}`, []string{"body.scale_down_threshold"}},
		{"three of the stored thresholds", "policy", `{"scale_up_adjustment":null}`, []string{"body.scale_up_adjustment"}},
		{"another type that needs more", "policy", `{"scaling_type":"vertical","trigger_metric":"memory","min_limit":"1Gi"}`, []string{"body.max_limit"}},
		{"cooldown of a schedule", "policy", `{"scaling_type":"scheduled","schedule_start":"0 8 * * 6","schedule_end":"0 9 * * 6","time_zone":"UTC","max_replicas":2,"cooldown_period":5}`, []string{"body.cooldown_period"}},
		{"no metric", "policy", `{"trigger_metric":null}`, []string{"body.trigger_metric"}},
		{"another environment", "network", `{"environment":"production"}`, []string{"body.environment"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			definition, network, _, _ := w.seed(t)
			_, route := w.seedTraffic(t)
			path := map[string]string{"definition": definitions + "/" + definition, "network": networks + "/" + network, "route": routes + "/" + route, "policy": policies + "/" + w.seedPolicy(t)}[tc.path]
			p := problem(t, w.do(t, request{method: "PUT", path: path, body: tc.body}))
			var fields []string
			for _, e := range p.Errors {
				fields = append(fields, e.Location)
			}
			slices.Sort(fields)
			if p.Status != 422 || p.Code != "invalid" || !slices.Equal(fields, tc.fields) {
				t.Errorf("%+v, want 422 invalid with %q", p, tc.fields)
			}
			if w.changes != 0 {
				t.Error("the store was changed")
			}
		})
	}
}
