package httpapi_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/httpapi"
)

// TestDocumentIsFresh fails when docs/openapi.yaml is not what the code says.
func TestDocumentIsFresh(t *testing.T) {
	want, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/openapi.yaml is stale; run go generate ./daemon/httpapi")
	}
	again, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, again) {
		t.Error("the document differs from one making to the next")
	}
}

// document is the served document, as plain JSON.
func document(t *testing.T, w *world) map[string]any {
	t.Helper()
	return decode[map[string]any](t, w.do(t, request{method: "GET", path: "/openapi.json", token: "-"}), 200)
}

func TestDocumentIsComplete(t *testing.T) {
	d := document(t, newWorld(t))
	components := d["components"].(map[string]any)
	each(components, "schemas", func(name string, schema map[string]any) { toldSchema(t, name, schema) })
	each(components, "responses", func(name string, response map[string]any) { toldResponse(t, name, response) })
	told(t, "token", components["securitySchemes"].(map[string]any)["token"].(map[string]any), "description", "scheme")
	told(t, "document", d, "info", "servers", "security", "tags")

	var ids []string
	each(d, "paths", func(path string, item map[string]any) {
		for method, v := range item {
			op := v.(map[string]any)
			ids = append(ids, op["operationId"].(string))
			toldOperation(t, method+" "+path, op)
			told(t, method+" "+path, op["responses"].(map[string]any), problems(path, op)...)
		}
	})
	slices.Sort(ids)
	want := []string{"abortDeployment", "actOnInstance", "backtestScaling", "beatEndpoint", "createDefinition", "createNetwork", "createRoute", "createScalingPolicy",
		"deleteDefinition", "deleteNetwork", "deleteRoute", "deleteScalingPolicy", "deployDefinition", "deregisterEndpoint", "discoverService", "getDefinition",
		"getDeployment", "getDeploymentStatus", "getHealth", "getInstance", "getInstanceLogs", "getInstanceMetrics", "getNetwork", "getReadiness", "getRoute", "getScalingPolicy",
		"listDefinitions", "listDeployments", "listEvents", "listInstances", "listNetworks", "listRoutes", "listScalingDecisions", "listScalingPolicies",
		"listServices", "pauseDeployment", "postInstanceMetrics", "promoteDeployment", "registerEndpoint", "removeDefinition", "resumeDeployment", "rollbackDeployment", "scaleManually",
		"setWeight", "updateDefinition", "updateNetwork", "updateRoute", "updateScalingPolicy", "watchServices"}
	if !slices.Equal(ids, want) {
		t.Errorf("operations %q, want %q", ids, want)
	}
}

// problems are the statuses of the problems that an operation has to document.
func problems(path string, op map[string]any) []string {
	want := []string{"500", "503"}
	if strings.HasPrefix(path, "/api/") {
		want = append(want, "400", "401", "403", "413", "422")
	}
	if strings.Contains(path, "{") {
		want = append(want, "404")
	}
	if op["requestBody"] != nil {
		want = append(want, "415")
	}
	return want
}

// told fails unless the node has each of the members.
func told(t *testing.T, at string, node map[string]any, members ...string) {
	t.Helper()
	for _, member := range members {
		if node[member] == nil || node[member] == "" {
			t.Errorf("%s has no %s", at, member)
		}
	}
}

// each runs check on every member of an object of objects; absent is empty.
func each(parent map[string]any, member string, check func(name string, node map[string]any)) {
	nodes, _ := parent[member].(map[string]any)
	for name, node := range nodes {
		check(name, node.(map[string]any))
	}
}

// toldSchema asks every property, however deep, for a description and an example.
func toldSchema(t *testing.T, at string, schema map[string]any) {
	t.Helper()
	each(schema, "properties", func(name string, property map[string]any) {
		told(t, at+"."+name, property, "description", "examples")
		toldSchema(t, at+"."+name, property)
	})
	for _, inner := range []string{"items", "additionalProperties"} {
		if node, ok := schema[inner].(map[string]any); ok {
			toldSchema(t, at+"[]", node)
		}
	}
}

func toldContent(t *testing.T, at string, node map[string]any) {
	t.Helper()
	each(node, "content", func(mediaType string, media map[string]any) {
		told(t, at+" "+mediaType, media, "example", "schema")
	})
}

func toldResponse(t *testing.T, at string, response map[string]any) {
	t.Helper()
	if response["$ref"] != nil {
		return
	}
	told(t, at, response, "description", "headers")
	toldContent(t, at, response)
	each(response, "headers", func(name string, header map[string]any) {
		told(t, at+" header "+name, header, "description", "example")
	})
}

func toldOperation(t *testing.T, at string, op map[string]any) {
	t.Helper()
	told(t, at, op, "operationId", "summary", "description", "tags", "responses")
	parameters, _ := op["parameters"].([]any)
	for _, p := range parameters {
		parameter := p.(map[string]any)
		told(t, at+" parameter "+parameter["name"].(string), parameter, "description", "example", "schema")
	}
	if body, ok := op["requestBody"].(map[string]any); ok {
		told(t, at+" body", body, "description", "content")
		toldContent(t, at+" body", body)
	}
	each(op, "responses", func(status string, response map[string]any) {
		toldResponse(t, at+" "+status, response)
	})
}

// TestExamplesAreAccepted sends every documented request as its example shows it.
func TestExamplesAreAccepted(t *testing.T) {
	w := newWorld(t)
	w.measured = 90
	definition, network, instance, deployment := w.seed(t)
	endpoint, route := w.seedTraffic(t)
	replace := strings.NewReplacer("{service_name}/instances/{instance_id}", "api/instances/"+endpoint, "{endpoint_id}", endpoint, "{service_name}", "api", "{route_id}", route, "{policy_id}", w.seedPolicy(t),
		"{definition_id}", definition, "{network_id}", network, "{instance_id}", instance, "{deployment_id}", deployment)
	const exampleDefinition = "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11"
	sent := 0
	for path, item := range document(t, w)["paths"].(map[string]any) {
		for method, v := range item.(map[string]any) {
			body, ok := v.(map[string]any)["requestBody"].(map[string]any)
			if !ok {
				continue
			}
			sent++
			media := body["content"].(map[string]any)["application/json"].(map[string]any)
			example, err := json.Marshal(media["example"])
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(example), exampleDefinition, definition)
			if method == "post" {
				// The seeded definition has the name of the example.
				text = strings.Replace(text, `"name":"wedding-api"`, `"name":"wedding-example"`, 1)
			}
			answer := w.do(t, request{method: strings.ToUpper(method), path: replace.Replace(path), body: text})
			if answer.Code >= 300 {
				t.Errorf("%s %s with its example: %d %s", method, path, answer.Code, answer.Body)
			}
		}
	}
	if sent != 22 {
		t.Errorf("%d operations take a body, want 22", sent)
	}
}

func TestDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	answer := w.do(t, request{method: "GET", path: "/openapi.yaml", token: "-"})
	want, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	if answer.Code != 200 || answer.Header().Get("Content-Type") != "application/openapi+yaml" || !bytes.Equal(answer.Body.Bytes(), want) {
		t.Errorf("/openapi.yaml: %d %s", answer.Code, answer.Header())
	}
}
