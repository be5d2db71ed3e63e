package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// FuzzParseJSON: what is accepted is JSON that encoding/json reads to the same.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `null`, `"a"`, `1.5e3`, `{"a":{"b":[1,true,null,"x"]}}`, `{"a":1,"a":2}`, `{"a":1}{}`, `{"a"`, `[1,]`, `{"a":}`,
		"\"\xff\"", `"\u0000"`, `"\ud800"`, ` `, ``, strings.Repeat("[", 40), strings.Repeat("[", 32) + strings.Repeat("]", 32),
		strings.Repeat("[", 33) + strings.Repeat("]", 33), `01`, `1e999`, `{"":{"":0}}`, "\ufeff{}", `//x`, `{a:1}`, "{}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseJSON(body)
		if err != nil {
			m := (*malformed)(nil)
			if !errors.As(err, &m) || !within(m.location, "body") || m.message == "" {
				t.Errorf("%q is refused with %v", body, err)
			}
			return
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil || !json.Valid(body) {
			t.Fatalf("%q is accepted, encoding/json says %v", body, err)
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			t.Errorf("%q is accepted, but has more after the value", body)
		}
		a, errA := json.Marshal(got)
		b, errB := json.Marshal(want)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%q is read as %s, encoding/json says %s", body, a, b)
		}
	})
}

// FuzzDefinition: a body that passes the schema decodes without error, and one
// that passes every check passes it again after it went through the domain.
func FuzzDefinition(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","service_name":"b","image_name":"c","resource_limits":{"cpu":"1","memory":"1Gi"},"scaling_config":{"min_replicas":1,"max_replicas":2}}`,
		`{"name":"a","service_name":"b","image_name":"c","image_tag":"","resource_limits":{"cpu":"1","memory":"1Gi","storage":""},"scaling_config":{"min_replicas":0,"max_replicas":2},` +
			`"health_check_config":{"endpoint":"/","port":1},"network_config":{"ports":[1,2],"publish_ports":true},"volume_mounts":[{"source":"ab","target":"/x"}],` +
			`"runtime_config":{"labels":{"a":"b"},"tmpfs":["/y"],"user":"1:1"},"environment_config":{"A":"b"},"registry_url":"r.example.com","registry_credentials":{"username":"u","password":"p"}}`,
		`{"name":null}`, `{"network_config":{"ports":[1.0,1e2,99999999999999999999]}}`, `{"NAME":"a"}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	s, document := build(Config{})
	schema := document.Paths[pathDefinitions].Post.RequestBody.Content["application/json"].Schema
	f.Fuzz(func(t *testing.T, body []byte) {
		parsed, err := parseJSON(body)
		if err != nil {
			return
		}
		faults := &faults{}
		s.checker.value(faults, "body", schema, parsed)
		var r api.CreateDefinitionRequest
		if err := json.Unmarshal(body, &r); err != nil && len(faults.list) == 0 {
			t.Fatalf("%s passes the schema and cannot be decoded: %v", body, err)
		}
		wire := definitionToAPI(definitionFromAPI(r))
		checkDefinition(faults, wire)
		if len(faults.list) > 0 {
			return
		}
		again := *faults
		checkDefinition(&again, definitionToAPI(definitionFromAPI(r)))
		if len(again.list) > 0 {
			t.Errorf("%s is accepted once, then refused: %+v", body, again.list)
		}
	})
}

// FuzzRoute: a body that passes the schema decodes without error; what passes every
// check is accepted by the grammar, and comes back as it was.
func FuzzRoute(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","environment":"staging","service_name":"b"}`,
		`{"name":"a","environment":"staging","service_name":"b","hosts":["a.example.com"],"path_prefixes":["/","/a"],"strategy":"least_requests","sticky_cookie":"c","canary_header":"X-D",` +
			`"canary_cookie":"e","strip_prefix":true,"require_tls":true,"max_body_size":"1","max_header_size":"1Ki","response_timeout":1,"idle_timeout":86400,"max_requests":1000000}`,
		`{"name":"a","environment":"e","service_name":"b","hosts":["x.staging.localhost"],"path_prefixes":[]}`, `{"hosts":[null]}`, `{"response_timeout":0,"max_requests":1.0}`,
		`{"sticky_cookie":"a","canary_cookie":"a"}`, `{"path_prefixes":null}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	s, document := build(Config{})
	schema := document.Paths[pathRoutes].Post.RequestBody.Content["application/json"].Schema
	f.Fuzz(func(t *testing.T, body []byte) {
		parsed, err := parseJSON(body)
		if err != nil {
			return
		}
		faults := &faults{}
		s.checker.value(faults, "body", schema, parsed)
		var r api.CreateRouteRequest
		if err := json.Unmarshal(body, &r); err != nil && len(faults.list) == 0 {
			t.Fatalf("%s passes the schema and cannot be decoded: %v", body, err)
		}
		route := routeFromAPI(r)
		checkRoute(faults, route, "localhost")
		if len(faults.list) > 0 {
			return
		}
		if refused := append(grammar.RouteFaults(route.Hosts, route.PathPrefixes), route.Settings.Faults()...); len(refused) > 0 {
			t.Errorf("%s is accepted, the grammar refuses %v", body, refused)
		}
		again := routeToAPI(routeFromAPI(createRouteRequest(routeToAPI(route))))
		if !reflect.DeepEqual(again, routeToAPI(route)) {
			t.Errorf("%s is %+v, and comes back as %+v", body, routeToAPI(route), again)
		}
	})
}

// FuzzScalingPolicy: as FuzzRoute, of scaling policies.
func FuzzScalingPolicy(f *testing.F) {
	const head = `{"definition_id":"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11","environment":"staging","policy_name":"a","scaling_type":`
	for _, s := range []string{
		head + `"horizontal","trigger_metric":"cpu","scale_up_threshold":80,"scale_down_threshold":0.5e1,"scale_up_adjustment":1,"scale_down_adjustment":1,"cooldown_period":0}`,
		head + `"horizontal","trigger_metric":"custom","metric_name":"a:b","target_value":1e308,"min_replicas":1,"max_replicas":1,"scale_up_cooldown":1,"scale_down_cooldown":2,` +
			`"stabilization_window":3,"max_scale_up":4,"max_scale_down":5,"scale_period":6,"is_enabled":false}`,
		head + `"vertical","trigger_metric":"memory","min_limit":"64Mi","max_limit":"1Gi"}`,
		head + `"scheduled","min_replicas":0,"schedule_start":"0 8 * * 6","schedule_end":"*/5 9-17 * * MON-FRI","time_zone":"Europe/London"}`,
		head + `"horizontal","trigger_metric":"cpu","target_value":1e999}`, head + `"horizontal","trigger_metric":null,"target_value":-0}`, head + `"scheduled","cooldown_period":5}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	s, document := build(Config{})
	schema := document.Paths[pathScalingPolicies].Post.RequestBody.Content["application/json"].Schema
	f.Fuzz(func(t *testing.T, body []byte) {
		parsed, err := parseJSON(body)
		if err != nil {
			return
		}
		faults := &faults{}
		s.checker.value(faults, "body", schema, parsed)
		var r api.CreateScalingPolicyRequest
		if err := json.Unmarshal(body, &r); err != nil && len(faults.list) == 0 {
			t.Fatalf("%s passes the schema and cannot be decoded: %v", body, err)
		}
		policy := scalingPolicyFromAPI(r)
		checkScalingPolicy(faults, policy, r.CooldownPeriod != nil, cooldowns(r.ScaleUpCooldown, r.ScaleDownCooldown)...)
		if len(faults.list) > 0 {
			return
		}
		if refused := policy.Rules.Faults(); len(refused) > 0 {
			t.Errorf("%s is accepted, the grammar refuses %v", body, refused)
		}
		again := scalingPolicyToAPI(scalingPolicyFromAPI(createPolicyRequest(scalingPolicyToAPI(policy))))
		if !reflect.DeepEqual(again, scalingPolicyToAPI(policy)) {
			t.Errorf("%s is %+v, and comes back as %+v", body, scalingPolicyToAPI(policy), again)
		}
	})
}

// FuzzDeploy: a body that passes the schema decodes without error, and one that
// passes every check asks for a rollout that the grammar accepts and that comes
// back as it was.
func FuzzDeploy(f *testing.F) {
	for _, s := range []string{
		`{"environment":"staging"}`,
		`{"environment":"staging","replica_count":2,"deployment_strategy":"canary","deployment_notes":"n","definition_revision":1,"rollout_config":{"max_surge":"2","max_unavailable":"50%",` +
			`"start_first":true,"min_healthy_time":0,"healthy_deadline":1,"progress_deadline":1,"canary_steps":[{"weight":1,"pause":0},{"weight":99,"pause":5}],"auto_promote":false,"keep_warm_time":0,"drain_time":0}}`,
		`{"environment":"e","rollout_config":{"start_first":false}}`, `{"environment":"e","rollout_config":{"start_first":false,"max_surge":"1"}}`,
		`{"environment":"e","rollout_config":{"canary_steps":[]}}`, `{"rollout_config":{"max_surge":"9999%","canary_steps":[{"weight":2,"pause":1},{"weight":1,"pause":1}]}}`,
		`{"rollout_config":null}`, `{"rollout_config":{"canary_steps":[null]}}`, `{"rollout_config":[]}`,
	} {
		f.Add([]byte(s))
	}
	s, document := build(Config{})
	schema := document.Paths[pathInstances+"/{definition_id}/deploy"].Post.RequestBody.Content["application/json"].Schema
	f.Fuzz(func(t *testing.T, body []byte) {
		parsed, err := parseJSON(body)
		if err != nil {
			return
		}
		faults := &faults{}
		s.checker.value(faults, "body", schema, parsed)
		var r api.DeployRequest
		if err := json.Unmarshal(body, &r); err != nil && len(faults.list) == 0 {
			t.Fatalf("%s passes the schema and cannot be decoded: %v", body, err)
		}
		checkDeploy(faults, r)
		if len(faults.list) > 0 {
			return
		}
		rollout := rolloutFromAPI(valueOf(r.RolloutConfig))
		if refused := rollout.Faults(); len(refused) > 0 {
			t.Errorf("%s is accepted, the grammar refuses %v", body, refused)
		}
		if again := rolloutFromAPI(rolloutToAPI(rollout)); !reflect.DeepEqual(again, rollout) {
			t.Errorf("%s is %+v, and comes back as %+v", body, rollout, again)
		}
	})
}

// FuzzPostMetrics: a body that passes the schema decodes without error; what passes
// every check is finite, of the present and named, and there is something of it.
func FuzzPostMetrics(f *testing.F) {
	for _, s := range []string{
		`{"metric_type":"cpu","metric_name":"cpu_percent","metric_value":85}`, `{"metric_type":"cpu","metric_name":"cpu_percent","metric_value":1e999}`,
		`{"metrics":[{"metric_type":"custom","metric_name":"a","metric_value":-1.5e-300,"metric_unit":"x","labels":{"a":"b"},"timestamp":"2026-06-06T08:30:00Z"}]}`,
		`{"metrics":[]}`, `{"metrics":null}`, `{"metrics":[null]}`, `{"metrics":[{}]}`, `{"metric_value":null}`, `{"metric_value":"NaN"}`, `{"metric_value":1E400}`, `{}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	s, document := build(Config{})
	schema := document.Paths[pathInstances+"/{instance_id}/metrics"].Post.RequestBody.Content["application/json"].Schema
	now := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		parsed, err := parseJSON(body)
		if err != nil {
			return
		}
		faults := &faults{}
		s.checker.value(faults, "body", schema, parsed)
		var r api.PostMetricsRequest
		if err := json.Unmarshal(body, &r); err != nil && len(faults.list) == 0 {
			t.Fatalf("%s passes the schema and cannot be decoded: %v", body, err)
		}
		checkPostMetrics(faults, r, now)
		if len(faults.list) > 0 {
			return
		}
		metrics := postedMetricsFromAPI(r, now)
		if len(metrics) == 0 || len(metrics) > 1000 {
			t.Errorf("%s is accepted, and is %d metrics", body, len(metrics))
		}
		for _, m := range metrics {
			if m.Type == "" || m.Name == "" || math.IsNaN(m.Value) || math.IsInf(m.Value, 0) || m.At.Sub(now).Abs() > time.Hour {
				t.Errorf("%s is accepted, and is %+v", body, m)
			}
		}
	})
}

// FuzzLogCursor: what is accepted comes back as it was.
func FuzzLogCursor(f *testing.F) {
	now := time.Date(2026, 6, 6, 8, 30, 0, 123456789, time.UTC)
	for _, p := range []logPosition{{at: now}, {at: now, seen: 1}, {at: now, seen: maxSeen}, {at: now, seen: maxSeen + 1}} {
		f.Add(p.cursor())
	}
	for _, s := range []string{"", "x", "====", "MjAyNi0wNi0wNlQwODozMDowMFo", "MjAyNi0wNi0wNlQwODozMDowMFogLTE"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		p, err := parseLogCursor(cursor)
		if err != nil {
			return
		}
		if p.seen < 0 || p.seen > maxSeen {
			t.Errorf("%q counts %d lines", cursor, p.seen)
		}
		if p.isZero() {
			return // the year 1 is before every log
		}
		again, err := parseLogCursor(p.cursor())
		if err != nil || !again.at.Equal(p.at) || again.seen != p.seen {
			t.Errorf("%q is %+v, and comes back as %+v, %v", cursor, p, again, err)
		}
	})
}
