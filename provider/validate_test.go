package provider_test

import (
	"encoding/json"
	"strings"
	"testing"
)

const goodDefinition = `{
  "name": "wedding-api", "service_name": "api", "image_name": "wedsync/api",
  "resource_limits": {"cpu": "500m", "memory": "512Mi"},
  "scaling_config": {"min_replicas": 1, "max_replicas": 4}
}`

const goodNetwork = `{"network_name": "app", "network_type": "internal", "environment": "staging"}`

const goodRoute = `{"name": "shop", "environment": "staging", "service_name": "api"}`

const goodPolicy = `{"definition_id": "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", "environment": "staging", "policy_name": "load", "scaling_type": "horizontal", "trigger_metric": "cpu"}`

const goodDeployment = `{"definition_id": "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", "environment": "staging", "definition_revision": 1}`

// with lays the members of extra over those of base.
func with(t *testing.T, base, extra string) string {
	t.Helper()
	var members map[string]any
	for _, text := range []string{base, extra} {
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	out, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

type validationTest struct {
	name    string
	extra   string
	unknown []string
	want    []string // "path: …text" of every error; none means valid
}

func runValidation(t *testing.T, typeName, base string, tests []validationTest) {
	p := startInProcess(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.t = t
			got := p.validate(typeName, with(t, base, tt.extra), tt.unknown...)
			if len(got) != len(tt.want) {
				t.Fatalf("%d errors, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for _, want := range tt.want {
				at, text, _ := strings.Cut(want, ": ")
				found := false
				for _, err := range got {
					found = found || strings.HasPrefix(err, at+": ") && strings.Contains(err, text)
				}
				if !found {
					t.Errorf("no error %q among:\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

func TestValidateDefinition(t *testing.T) {
	runValidation(t, "wedsync_container_definition", goodDefinition, []validationTest{
		{name: "least", extra: `{}`},
		{name: "name", extra: `{"name": "Wedding_API"}`, want: []string{"name: not a DNS label"}},
		{name: "service name", extra: `{"service_name": ""}`, want: []string{"service_name: must not be empty"}},
		{name: "image with tag", extra: `{"image_name": "wedsync/api:v1"}`, want: []string{"image_name: put the tag into image_tag"}},
		{name: "image upper case", extra: `{"image_name": "WedSync/api"}`, want: []string{"image_name: upper-case"}},
		{name: "tag", extra: `{"image_tag": "a b"}`, want: []string{"image_tag: not an image tag"}},
		{name: "registry", extra: `{"registry_url": "https://a/b"}`, want: []string{"registry_url: not a registry"}},
		{name: "registry empty", extra: `{"registry_url": ""}`, want: []string{"registry_url: not a registry"}},
		{name: "registry and name", extra: `{"registry_url": "registry.example.com", "image_name": "ghcr.io:443/x"}`, want: []string{"image_name: Together with registry_url"}},
		{name: "registry in name", extra: `{"registry_url": "registry.example.com", "image_name": "registry.example.com/x"}`},
		{name: "registry unknown", extra: `{"registry_url": "x", "image_name": "ghcr.io:443/x"}`, unknown: []string{"registry_url"}},
		{name: "credentials", extra: `{"registry_credentials": {"username": "", "password": ""}}`, want: []string{"registry_credentials.username: between 1 and 256", "registry_credentials.password: between 1 and 8192"}},
		{name: "variable", extra: `{"environment_config": {"9LIVES": "x"}}`, want: []string{"environment_config.9LIVES: not a variable name"}},
		{name: "variable null", extra: `{"environment_config": {"A": null}}`, want: []string{"environment_config: null"}},
		{name: "variable too long", extra: `{"environment_config": {"A": "` + strings.Repeat("x", 128<<10) + `"}}`, want: []string{"environment_config.A: at most 131072"}},
		{name: "cpu", extra: `{"resource_limits": {"cpu": "1x", "memory": "1Mi"}}`, want: []string{"resource_limits.cpu: not a CPU quantity", "resource_limits.memory: minimum of 6Mi"}},
		{name: "storage", extra: `{"resource_limits": {"cpu": "1", "memory": "1Gi", "storage": "big"}}`, want: []string{"resource_limits.storage: not a quantity of bytes"}},
		{name: "replicas", extra: `{"scaling_config": {"min_replicas": 5, "max_replicas": 2}}`, want: []string{"scaling_config.min_replicas: min_replicas is 5 but max_replicas is 2"}},
		{name: "replicas bounds", extra: `{"scaling_config": {"min_replicas": -1, "max_replicas": 1001, "target_cpu": 0}}`, want: []string{"scaling_config.min_replicas: between 0", "scaling_config.max_replicas: and 1000", "scaling_config.target_cpu: between 1"}},
		{name: "replicas unknown", extra: `{"scaling_config": {"min_replicas": 5, "max_replicas": 2}}`, unknown: []string{"scaling_config.max_replicas"}},
		{name: "health timeout", extra: `{"health_check_config": {"endpoint": "/", "port": 80, "interval": 5}}`, want: []string{"health_check_config.timeout: of 10 s is longer than the interval of 5 s"}},
		{name: "health timeout unknown", extra: `{"health_check_config": {"endpoint": "/", "port": 80, "interval": 5}}`, unknown: []string{"health_check_config.timeout"}},
		{name: "health endpoint", extra: `{"health_check_config": {"endpoint": "health", "port": 0}}`, want: []string{"health_check_config.endpoint: start it with a slash", "health_check_config.port: between 1"}},
		{name: "health without port", extra: `{"health_check_config": {"endpoint": "/"}}`, want: []string{"health_check_config.port: is needed"}},
		{name: "health with empty ports", extra: `{"health_check_config": {"endpoint": "/"}, "network_config": {"ports": []}}`, want: []string{"health_check_config.port: is needed"}},
		{name: "health by tcp", extra: `{"health_check_config": {"type": "tcp", "port": 80}}`},
		{name: "health by command", extra: `{"health_check_config": {"type": "command", "command": ["/app", "check"]}}`},
		{name: "health by image", extra: `{"health_check_config": {"type": "image"}}`},
		{name: "health by everything of HTTP", extra: `{"health_check_config": {"endpoint": "/", "port": 80, "expected_status": ["200-299", "401"], "headers": {"Host": "shop.example.com", "X-A": "1"}, "rise": 2}}`},
		{name: "health type", extra: `{"health_check_config": {"type": "grpc", "port": 80}}`, want: []string{"health_check_config.type: grpc"}},
		{name: "health without endpoint", extra: `{"health_check_config": {"port": 80}}`, want: []string{"health_check_config.endpoint: is needed by a check of type http"}},
		{name: "health endpoint unknown", extra: `{"health_check_config": {"endpoint": "/", "port": 80}}`, unknown: []string{"health_check_config.endpoint"}},
		{name: "health without command", extra: `{"health_check_config": {"type": "command"}}`, want: []string{"health_check_config.command: list the program"}},
		{name: "health with empty command", extra: `{"health_check_config": {"type": "command", "command": []}}`, want: []string{"health_check_config.command: at least 1"}},
		{name: "health command unknown", extra: `{"health_check_config": {"type": "command", "command": ["x"]}}`, unknown: []string{"health_check_config.command"}},
		{name: "health by tcp with what HTTP needs", extra: `{"health_check_config": {"type": "tcp", "port": 80, "endpoint": "/", "headers": {"A": "1"}}}`,
			want: []string{"health_check_config.endpoint: means nothing to a check of type tcp", "health_check_config.headers: set type to http"}},
		{name: "health type unknown", extra: `{"health_check_config": {"type": "tcp", "endpoint": "/"}}`, unknown: []string{"health_check_config.type"}},
		{name: "health statuses", extra: `{"health_check_config": {"endpoint": "/", "port": 80, "expected_status": ["200", "6xx"]}}`,
			want: []string{"health_check_config.expected_status.1: write 200 or 200-399"}},
		{name: "health headers", extra: `{"health_check_config": {"endpoint": "/", "port": 80, "headers": {"Host": "a b", "Upgrade": "x"}}}`,
			want: []string{`health_check_config.headers.Host: is not a host`, `health_check_config.headers.Upgrade: belongs to the connection`}},
		{name: "health with ports", extra: `{"health_check_config": {"endpoint": "/"}, "network_config": {"ports": [80]}}`},
		{name: "health with unknown ports", extra: `{"health_check_config": {"endpoint": "/"}, "network_config": {"ports": []}}`, unknown: []string{"network_config.ports"}},
		{name: "health with unknown networks", extra: `{"health_check_config": {"endpoint": "/"}, "network_config": {}}`, unknown: []string{"network_config"}},
		{name: "ports", extra: `{"network_config": {"ports": [80, 80, 70000]}}`, want: []string{"network_config.ports: duplicate", "network_config.ports.2: 65535"}},
		{name: "network names", extra: `{"network_config": {"internal_networks": ["App"], "external_networks": ["edge", "edge"]}}`, want: []string{"network_config.internal_networks.0: not a DNS label", "network_config.external_networks: duplicate"}},
		{name: "network twice", extra: `{"network_config": {"internal_networks": ["app"], "external_networks": ["edge", "app"]}}`, want: []string{"network_config.external_networks.1: among internal_networks too"}},
		{name: "nothing to publish", extra: `{"network_config": {"publish_ports": true}}`, want: []string{"network_config.publish_ports: nothing to publish"}},
		{name: "published on internal", extra: `{"network_config": {"ports": [80], "publish_ports": true, "internal_networks": ["app"]}}`, want: []string{"network_config.publish_ports: internal networks alone"}},
		{name: "published on unknown", extra: `{"network_config": {"ports": [80], "publish_ports": true, "internal_networks": ["app"]}}`, unknown: []string{"network_config.external_networks"}},
		{name: "volume", extra: `{"volume_mounts": [{"source": "a/b", "target": "data"}]}`, want: []string{"volume_mounts.0.source: neither an absolute host path", "volume_mounts.0.target: absolute and clean"}},
		{name: "volume twice", extra: `{"volume_mounts": [{"source": "aa", "target": "/a"}, {"source": "bb", "target": "/a"}]}`, want: []string{"volume_mounts.1.target: volume_mounts[0].target already"}},
		{name: "volume under tmpfs", extra: `{"volume_mounts": [{"source": "aa", "target": "/a"}], "runtime_config": {"tmpfs": ["/a"]}}`, want: []string{"runtime_config.tmpfs.0: volume_mounts[0].target already"}},
		{name: "volumes unknown", extra: `{"volume_mounts": [], "runtime_config": {"tmpfs": ["/a"]}}`, unknown: []string{"volume_mounts"}},
		{name: "user", extra: `{"runtime_config": {"user": "a b"}}`, want: []string{"runtime_config.user: not a user"}},
		{name: "labels", extra: `{"runtime_config": {"labels": {"wedsync.x": "1", "Team": "2"}}}`, want: []string{"runtime_config.labels.wedsync.x: reserved", "runtime_config.labels.Team: not a label key"}},
		{name: "logs", extra: `{"runtime_config": {"log_max_size": "0", "log_max_files": 0, "stop_timeout": 0, "pull_policy": "never"}}`, want: []string{"runtime_config.log_max_size: greater than zero", "runtime_config.log_max_files: between 1", "runtime_config.stop_timeout: between 1", "runtime_config.pull_policy: one of"}},
	})
}

func TestValidateNetwork(t *testing.T) {
	runValidation(t, "wedsync_network", goodNetwork, []validationTest{
		{name: "least", extra: `{}`},
		{name: "names", extra: `{"network_name": "A", "environment": "B"}`, want: []string{"network_name: DNS label", "environment: DNS label"}},
		{name: "type", extra: `{"network_type": "bridge"}`, want: []string{"network_type: one of"}},
		{name: "subnet", extra: `{"subnet": "10.20.0.1/24"}`, want: []string{"subnet: the network is 10.20.0.0/24"}},
		{name: "gateway", extra: `{"subnet": "10.20.0.0/24", "gateway": "x"}`, want: []string{"gateway: not an IP address"}},
		{name: "gateway alone", extra: `{"gateway": "10.20.0.1"}`, want: []string{"gateway: needs a subnet"}},
		{name: "gateway outside", extra: `{"subnet": "10.20.0.0/24", "gateway": "10.21.0.1"}`, want: []string{"gateway: outside of the subnet"}},
		{name: "gateway, subnet unknown", extra: `{"subnet": "x", "gateway": "10.21.0.1"}`, unknown: []string{"subnet"}},
		{name: "dns", extra: `{"dns_config": {"servers": ["a"], "search": ["-"], "options": ["N"]}}`, want: []string{"dns_config.servers.0: IP address", "dns_config.search.0: domain name", "dns_config.options.0: resolver option"}},
		{name: "mtu", extra: `{"network_config": {"mtu": 10}}`, want: []string{"network_config.mtu: between 576"}},
		{name: "ipv6 without subnet", extra: `{"network_config": {"enable_ipv6": true}}`, want: []string{"network_config.enable_ipv6: needs an IPv6 subnet"}},
		{name: "ipv6 with ipv4", extra: `{"subnet": "10.20.0.0/24", "network_config": {"enable_ipv6": true}}`, want: []string{"network_config.enable_ipv6: needs an IPv6 subnet"}},
		{name: "ipv6", extra: `{"subnet": "fd00:20::/64", "gateway": "fd00:20::1", "network_config": {"enable_ipv6": true, "mtu": 1280}}`},
		{name: "ipv6 mtu", extra: `{"subnet": "fd00:20::/64", "network_config": {"enable_ipv6": true, "mtu": 1000}}`, want: []string{"network_config.mtu: at least 1280"}},
	})
}

func TestValidateRoute(t *testing.T) {
	runValidation(t, "wedsync_route", goodRoute, []validationTest{
		{name: "least", extra: `{}`},
		{name: "all", extra: `{"hosts": ["a.example.com", "b.example.com"], "path_prefixes": ["/", "/api"], "strategy": "least_requests", "sticky_cookie": "a", "canary_header": "X-A",
			"canary_cookie": "b", "strip_prefix": true, "require_tls": true, "max_body_size": "1", "max_header_size": "1Ki", "response_timeout": 1, "idle_timeout": 86400, "max_requests": 1000000}`},
		{name: "names", extra: `{"name": "A", "environment": "b_c", "service_name": ""}`, want: []string{"name: not a DNS label", "environment: not a DNS label", "service_name: must not be empty"}},
		{name: "hosts", extra: `{"hosts": ["A.example.com", "b.example.com:80", "c.example.com"]}`, want: []string{
			`hosts: write "a.example.com"`, `hosts: holds a port`}},
		{name: "host null", extra: `{"hosts": [null]}`, want: []string{"hosts: null"}},
		{name: "no host", extra: `{"hosts": []}`},
		{name: "no path", extra: `{"path_prefixes": []}`, want: []string{"path_prefixes: must not be empty"}},
		{name: "paths", extra: `{"path_prefixes": ["api", "/a/"]}`, want: []string{
			`path_prefixes: does not begin with a slash`, `path_prefixes: write "/a"`}},
		{name: "settings", extra: `{"strategy": "random", "sticky_cookie": "a b", "canary_header": "Host", "canary_cookie": "c;d", "max_body_size": "much", "max_header_size": "65Ki",
			"response_timeout": 0, "idle_timeout": 86401, "max_requests": 1000001}`, want: []string{
			"strategy: use round_robin or least_requests", "sticky_cookie: not the name of a cookie", "canary_header: has a meaning already", "canary_cookie: not the name of a cookie",
			"max_body_size: much", "max_header_size: between 1Ki and 64Ki", "response_timeout: between 1 and 86400", "idle_timeout: between 1 and 86400", "max_requests: between 1 and 1000000"}},
		{name: "empty names", extra: `{"sticky_cookie": "", "canary_header": "", "canary_cookie": ""}`, want: []string{
			"sticky_cookie: at least 1", "canary_header: at least 1", "canary_cookie: at least 1"}},
		{name: "one cookie for two", extra: `{"sticky_cookie": "a", "canary_cookie": "a"}`, want: []string{"canary_cookie: cannot mean both"}},
		{name: "one cookie unknown", extra: `{"sticky_cookie": "a", "canary_cookie": "a"}`, unknown: []string{"canary_cookie"}},
		{name: "all unknown", extra: `{"hosts": [], "path_prefixes": [], "strategy": "x", "max_requests": 0}`,
			unknown: []string{"name", "environment", "service_name", "hosts", "path_prefixes", "strategy", "max_requests"}},
	})
}

func TestValidateScalingPolicy(t *testing.T) {
	const thresholds = `"scale_up_threshold": 80, "scale_down_threshold": 30, "scale_up_adjustment": 2, "scale_down_adjustment": 1`
	goals := []string{"scale_up_threshold", "scale_down_threshold", "scale_up_adjustment", "scale_down_adjustment"}
	const schedule = `"scaling_type": "scheduled", "trigger_metric": null, "min_replicas": 2, "schedule_start": "0 8 * * 6", "schedule_end": "0 23 * * 6", "time_zone": "Europe/London"`
	runValidation(t, "wedsync_scaling_policy", goodPolicy, []validationTest{
		{name: "least", extra: `{}`},
		{name: "thresholds", extra: `{` + thresholds + `, "min_replicas": 1, "max_replicas": 1, "cooldown_period": 0, "stabilization_window": 0, "max_scale_up": 1, "scale_period": 1}`},
		{name: "vertical", extra: `{"scaling_type": "vertical", "min_limit": "250m", "max_limit": "2"}`},
		{name: "schedule", extra: `{` + schedule + `}`},
		{name: "names", extra: `{"definition_id": "wedding-api", "environment": "b_c", "policy_name": " a"}`, want: []string{"definition_id: refer to the id", "environment: not a DNS label", "policy_name: not the name of a policy"}},
		{name: "type", extra: `{"scaling_type": "diagonal"}`, want: []string{"scaling_type: use horizontal, vertical or scheduled"}},
		{name: "metric", extra: `{"trigger_metric": "disk"}`, want: []string{"trigger_metric: is not a metric"}},
		{name: "all at once", extra: `{` + thresholds + `, "target_value": 0, "scale_down_threshold": 81, "min_replicas": 3, "max_replicas": 2, "cooldown_period": -1, "stabilization_window": 86401,
			"max_scale_down": -1, "min_limit": "1", "time_zone": "UTC"}`, want: []string{"target_value: not above 0", "target_value: does not go together", "scale_down_threshold: not below scale_up_threshold",
			"min_replicas: more than max_replicas", "cooldown_period: between 0 and 86400", "stabilization_window: between 0", "max_scale_down: between 0", "min_limit: does not belong", "time_zone: does not belong"}},
		{name: "one threshold", extra: `{"scale_up_threshold": 80}`, want: []string{"scale_down_threshold: is needed beside", "scale_up_adjustment: is needed", "scale_down_adjustment: is needed"}},
		{name: "cooldowns", extra: `{"cooldown_period": 5, "scale_up_cooldown": -1, "scale_down_cooldown": 86401}`, want: []string{"scale_up_cooldown: between 0", "scale_down_cooldown: between 0"}},
		{name: "schedule that never comes", extra: `{` + schedule + `, "schedule_start": "0 0 30 2 *"}`, want: []string{"schedule_start: never fires"}},
		{name: "schedule in nowhere", extra: `{` + schedule + `, "time_zone": "Europe/Weddington"}`, want: []string{"time_zone: not a time zone"}},
		{name: "schedule with the rest", extra: `{` + schedule + `, "trigger_metric": "cpu", "cooldown_period": 60}`, want: []string{"trigger_metric: by the clock", "cooldown_period: by the clock"}},
		{name: "empty texts", extra: `{"trigger_metric": "cpu", "metric_name": ""}`, want: []string{"metric_name: at least 1"}},

		{name: "type unknown", extra: `{"min_limit": "x", "target_value": 0}`, unknown: []string{"scaling_type"}},
		{name: "threshold unknown", extra: `{` + thresholds + `}`, unknown: goals[:1]},
		{name: "thresholds unknown", extra: `{"trigger_metric": "request_rate", ` + thresholds + `}`, unknown: goals},
		{name: "thresholds unknown beside a target", extra: `{"target_value": 70, ` + thresholds + `}`, unknown: goals},
		{name: "target unknown", extra: `{"trigger_metric": "request_rate", "target_value": 70}`, unknown: []string{"target_value"}},
		{name: "metric unknown", extra: `{"trigger_metric": "x", "target_value": 5000, "metric_name": "x"}`, unknown: []string{"trigger_metric"}},
		{name: "bounds unknown", extra: `{"min_replicas": 3, "max_replicas": 2}`, unknown: []string{"max_replicas"}},
		{name: "bounds of a schedule unknown", extra: `{` + schedule + `}`, unknown: []string{"min_replicas"}},
		{name: "limits unknown", extra: `{"scaling_type": "vertical", "min_limit": "2", "max_limit": "1"}`, unknown: []string{"max_limit"}},
		{name: "end unknown", extra: `{` + schedule + `, "schedule_end": "0 8 * * 6"}`, unknown: []string{"schedule_end"}},
		{name: "zone unknown", extra: `{` + schedule + `, "schedule_end": "0 0 30 2 *"}`, unknown: []string{"time_zone"}, want: []string{"schedule_end: never fires"}},
		{name: "what is wrong whatever comes", extra: `{"target_value": -1, "max_replicas": 0, "min_replicas": 2, "scale_period": 0}`, unknown: []string{"min_replicas", "definition_id", "is_enabled"},
			want: []string{"target_value: not above 0", "max_replicas: between 1", "scale_period: between 1"}},
	})
}

func TestValidateDeployment(t *testing.T) {
	runValidation(t, "wedsync_deployment", goodDeployment, []validationTest{
		{name: "least", extra: `{}`},
		{name: "definition by name", extra: `{"definition_id": "wedding-api"}`, want: []string{"definition_id: refer to the id"}},
		{name: "environment", extra: `{"environment": "Staging"}`, want: []string{"environment: DNS label"}},
		{name: "revision", extra: `{"definition_revision": 0}`, want: []string{"definition_revision: at least 1"}},
		{name: "replicas", extra: `{"replicas": 1001}`, want: []string{"replicas: between 0 and 1000"}},
		{name: "strategy", extra: `{"deployment_strategy": "big_bang"}`, want: []string{"deployment_strategy: one of"}},
		{name: "strategies", extra: `{"deployment_strategy": "canary"}`},
		{name: "rollout empty", extra: `{"rollout_config": {}}`},
		{name: "rollout", extra: `{"rollout_config": {"max_surge": "100%", "max_unavailable": "2", "canary_steps": [{"weight": 1, "pause": 0}, {"weight": 99, "pause": 86400}]}}`},
		{name: "shares", extra: `{"rollout_config": {"max_surge": "2.5", "max_unavailable": "101%"}}`, want: []string{
			"rollout_config.max_surge: write 2 or 25%", "rollout_config.max_unavailable: above 100%"}},
		{name: "times", extra: `{"rollout_config": {"min_healthy_time": -1, "healthy_deadline": 0, "progress_deadline": 86401, "keep_warm_time": -1, "drain_time": -1}}`, want: []string{
			"rollout_config.min_healthy_time: between 0 and 86400", "rollout_config.healthy_deadline: between 1", "rollout_config.progress_deadline: between 1",
			"rollout_config.keep_warm_time: between 0", "rollout_config.drain_time: between 0"}},
		{name: "surge of nothing", extra: `{"rollout_config": {"max_surge": "0"}}`, want: []string{"rollout_config.max_surge: must not be 0 with start_first"}},
		{name: "stop first", extra: `{"rollout_config": {"start_first": false}}`},
		{name: "stop first with surge", extra: `{"rollout_config": {"start_first": false, "max_surge": "1"}}`, want: []string{"rollout_config.max_surge: does not fit start_first = false"}},
		{name: "stop first, none missing", extra: `{"rollout_config": {"start_first": false, "max_unavailable": "0%"}}`, want: []string{"rollout_config.max_unavailable: must not be 0"}},
		{name: "deadlines", extra: `{"rollout_config": {"min_healthy_time": 300, "progress_deadline": 299}}`, want: []string{
			"rollout_config.healthy_deadline: not longer than min_healthy_time", "rollout_config.progress_deadline: shorter than healthy_deadline"}},
		{name: "deadline unknown", extra: `{"rollout_config": {"min_healthy_time": 300, "healthy_deadline": 1}}`, unknown: []string{"rollout_config.healthy_deadline"}},
		{name: "step unknown", extra: `{"rollout_config": {"canary_steps": [{"weight": 100, "pause": 0}]}}`, unknown: []string{"rollout_config.canary_steps"}},
		{name: "steps", extra: `{"rollout_config": {"canary_steps": [{"weight": 0, "pause": 0}, {"weight": 20, "pause": -1}, {"weight": 20, "pause": 0}]}}`, want: []string{
			"rollout_config.canary_steps.0.weight: between 1 and 99", "rollout_config.canary_steps.1.pause: between 0", "rollout_config.canary_steps.2.weight: not above 20"}},
		{name: "step null", extra: `{"rollout_config": {"canary_steps": [null]}}`, want: []string{"rollout_config.canary_steps: null"}},
		{name: "timeout", extra: `{"timeouts": {"create": "soon"}}`, want: []string{"timeouts.create: Time Duration"}},
		{name: "all unknown", extra: `{}`, unknown: []string{"definition_id", "environment", "definition_revision"}},
	})
}

func TestConfigureProvider(t *testing.T) {
	tests := []struct {
		name, config, token, endpoint string
		unknown                       []string
		want                          string // empty means no error
	}{
		{name: "all in the configuration", config: `{"endpoint": "http://127.0.0.1:1", "token": "t"}`},
		{name: "all in the environment", config: `{}`, token: "t", endpoint: "http://127.0.0.1:1"},
		{name: "default endpoint", config: `{"token": "t"}`},
		{name: "no token", config: `{}`, want: "token: Missing API token: Set the provider's argument token or the environment variable WEDSYNC_TOKEN"},
		{name: "empty token", config: `{"token": ""}`, token: "t", want: "admin.token"},
		{name: "unknown token", config: `{"token": "t"}`, unknown: []string{"token"}, token: "t", want: "token: Unknown provider configuration"},
		{name: "unknown endpoint", config: `{"token": "t"}`, unknown: []string{"endpoint"}, want: "endpoint: Unknown provider configuration"},
		{name: "bad endpoint", config: `{"token": "t", "endpoint": "127.0.0.1:7266"}`, want: "is not an HTTP address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("WEDSYNC_TOKEN", tt.token)
			t.Setenv("WEDSYNC_ENDPOINT", tt.endpoint)
			got := strings.Join(startInProcess(t).configure(tt.config, tt.unknown...), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("errors %q, want %q", got, tt.want)
			}
		})
	}
}
