package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// exampleDaemon stands for a wedsyncd that knows one definition and rolls it out at once.
func exampleDaemon() *httptest.Server {
	const id = "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14"
	mux := http.NewServeMux()
	reply := func(pattern string, status int, v any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v)
		})
	}
	reply("POST /api/containers/services/{name}/discover", 200, api.Service{ServiceName: "api", Environment: "staging", TotalInstances: 1, HealthyInstances: 1,
		Instances: []api.ServiceInstance{{EndpointURL: "http://172.18.0.4:8080", IsHealthy: true, LoadBalancerWeight: 100}}})
	mux.HandleFunc("GET /api/containers/services/stream", func(w http.ResponseWriter, _ *http.Request) {
		told(w, snapshotEvent+serviceEvent+removedEvent)
	})
	reply("POST /api/containers/services/{name}/endpoints", 201, api.ServiceInstance{InstanceID: id, EndpointURL: "http://10.20.0.7:8080", External: true, TTLSeconds: 30})
	reply("PUT /api/containers/services/{name}/endpoints/{id}/heartbeat", 204, nil)
	reply("DELETE /api/containers/services/{name}/endpoints/{id}", 204, nil)
	reply("POST /api/containers/routes", 201, api.Route{Name: "shop", Environment: "staging", ServiceName: "api", Hosts: []string{"shop.example.com"}, PathPrefixes: []string{"/"}})
	load := 91.5
	reply("POST /api/containers/scaling/policies", 201, api.ScalingPolicy{PolicyName: "load", ScalingType: api.ScalingHorizontal, TriggerMetric: api.MetricCPU, ScaleDownCooldown: 300, IsEnabled: true})
	reply("GET /api/containers/scaling/decisions", 200, api.ScalingDecisionList{TotalCount: 1, Decisions: []api.ScalingDecision{{
		PolicyName: "load", Outcome: api.OutcomeScaledUp, Current: 2, Wanted: 3, Limited: 3, Unit: "replicas", Inputs: []api.ScalingReading{{PolicyName: "load", Value: &load}},
	}}})
	definition := api.Definition{ID: "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", Name: "wedding-api", ImageTag: "v1.4.2", Revision: 1}
	reply("GET /api/containers/definitions", 200, api.DefinitionList{Definitions: []api.Definition{definition}, TotalCount: 1})
	reply("POST /api/containers/definitions", 201, definition)
	reply("GET /api/containers/definitions/{id}", 404, api.Problem{Status: 404, Code: api.CodeNotFound, Detail: "there is no such definition"})
	reply("POST /api/containers/instances/{id}/deploy", 202, api.DeploymentAccepted{DeploymentID: id})
	reply("POST /api/containers/instances/{id}/metrics", 201, api.PostMetricsResponse{StoredCount: 1})
	reply("GET /api/containers/instances/{id}/metrics", 200, api.InstanceMetrics{Metrics: api.MetricSeries{CPU: []api.MetricPoint{{Value: 45.2, Unit: "%"}}}})
	reply("GET /api/containers/deployments/{id}", 200, api.Deployment{ID: id, Environment: "staging", ImageTag: "v1.4.2", InstancesAfter: 2, DeploymentStatus: api.DeploymentCompleted})
	reply("GET /api/containers/deployments/{id}/status", 200, api.DeploymentStatusResponse{Deployment: api.DeploymentStatus{
		ID: id, Status: api.DeploymentCompleted, Progress: api.DeploymentProgress{TotalSteps: 4, CompletedSteps: 4},
	}})
	return httptest.NewServer(mux)
}

func ExampleNew() {
	daemon := exampleDaemon()
	defer daemon.Close()

	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}
	for definition, err := range c.AllDefinitions(context.Background(), api.ListDefinitionsOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(definition.Name, definition.ImageTag)
	}
	// Output: wedding-api v1.4.2
}

func ExampleClient_Deploy() {
	daemon := exampleDaemon()
	defer daemon.Close()
	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	definition, err := c.CreateDefinition(ctx, api.CreateDefinitionRequest{
		Name:           "wedding-api",
		ServiceName:    "api",
		ImageName:      "wedsync/api",
		ImageTag:       "v1.4.2",
		ResourceLimits: api.ResourceLimits{CPU: "500m", Memory: "512Mi"},
		ScalingConfig:  api.ScalingConfig{MinReplicas: 2, MaxReplicas: 4},
	})
	if err != nil {
		log.Fatal(err)
	}
	accepted, err := c.Deploy(ctx, definition.ID, api.DeployRequest{Environment: "staging"})
	if err != nil {
		log.Fatal(err)
	}
	deployment, err := c.WaitDeployment(ctx, accepted.DeploymentID, client.WaitOptions{
		OnProgress: func(s api.DeploymentStatus) {
			fmt.Printf("%d of %d steps\n", s.Progress.CompletedSteps, s.Progress.TotalSteps)
		},
	})
	var failed *client.DeploymentFailedError
	if errors.As(err, &failed) {
		log.Fatalf("the environment keeps what it ran before: %v", failed)
	}
	fmt.Println(deployment.ImageTag, deployment.DeploymentStatus)
	// Output:
	// 4 of 4 steps
	// v1.4.2 completed
}

func ExampleClient_PostMetrics() {
	daemon := exampleDaemon()
	defer daemon.Close()
	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	const instance = "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13"
	stored, err := c.PostMetrics(ctx, instance, api.PostedMetric{MetricType: api.MetricCustom, MetricName: "queue_length", MetricValue: 42, MetricUnit: "jobs"})
	if err != nil {
		log.Fatal(err)
	}
	used, err := c.Metrics(ctx, instance, api.MetricsOptions{From: time.Now().Add(-24 * time.Hour), Step: 60})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored:", stored.StoredCount)
	for _, p := range used.Metrics.CPU {
		fmt.Println("cpu:", p.Value, p.Unit)
	}
	// Output:
	// stored: 1
	// cpu: 45.2 %
}

func ExampleClient_DiscoverService() {
	daemon := exampleDaemon()
	defer daemon.Close()
	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}

	healthy := true
	service, err := c.DiscoverService(context.Background(), "api", api.DiscoverRequest{
		Environment: "staging", Filters: &api.ServiceFilters{IsHealthy: &healthy},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, instance := range service.Instances {
		fmt.Println(instance.EndpointURL, instance.LoadBalancerWeight)
	}
	// Output: http://172.18.0.4:8080 100
}

func ExampleClient_CreateRoute() {
	daemon := exampleDaemon()
	defer daemon.Close()
	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}

	route, err := c.CreateRoute(context.Background(), api.CreateRouteRequest{
		Name: "shop", Environment: "staging", ServiceName: "api", Hosts: []string{"shop.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(route.Hosts, route.PathPrefixes, "to", route.ServiceName)
	// Output: [shop.example.com] [/] to api
}

func ExampleClient_CreateScalingPolicy() {
	daemon := exampleDaemon()
	defer daemon.Close()
	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}

	target, most := 60.0, 8
	policy, err := c.CreateScalingPolicy(context.Background(), api.CreateScalingPolicyRequest{
		DefinitionID: "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", Environment: "staging", PolicyName: "load",
		ScalingType: api.ScalingHorizontal, TriggerMetric: api.MetricCPU, TargetValue: &target, MaxReplicas: &most,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(policy.PolicyName, policy.IsEnabled, policy.ScaleUpCooldown, policy.ScaleDownCooldown)
	// Output: load true 0 300
}

func ExampleClient_AllScalingDecisions() {
	daemon := exampleDaemon()
	defer daemon.Close()
	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}

	for d, err := range c.AllScalingDecisions(context.Background(), api.ListScalingDecisionsOptions{Environment: "staging", ChangesOnly: true}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(d.Outcome, d.Current, "to", d.Limited, d.Unit, "at", *d.Inputs[0].Value)
	}
	// Output: scaled_up 2 to 3 replicas at 91.5
}

func ExampleIsNotFound() {
	daemon := exampleDaemon()
	defer daemon.Close()
	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}

	_, err = c.GetDefinition(context.Background(), "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2aff")
	fmt.Println(client.IsNotFound(err))
	// Output: true
}

func ExampleWithIdempotencyKey() {
	daemon := exampleDaemon()
	defer daemon.Close()
	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		log.Fatal(err)
	}

	// A pipeline that is started again deploys a commit once.
	ctx := client.WithIdempotencyKey(context.Background(), "release-4f1c0a6b")
	accepted, err := c.Deploy(ctx, "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", api.DeployRequest{Environment: "staging"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(accepted.DeploymentID)
	// Output: 0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14
}
