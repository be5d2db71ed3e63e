package daemon_test

import (
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// checks are a health check of each type that the demo application passes.
var checks = map[string]api.HealthCheckConfig{
	"http": {
		Endpoint: "/health", ExpectedStatus: []string{"200"}, Headers: map[string]string{"Host": "shop.example.com"},
		Interval: 5, Timeout: 5, Retries: 3, Rise: 2,
	},
	"tcp":     {Type: "tcp", Interval: 5, Timeout: 5, Retries: 3},
	"command": {Type: "command", Command: []string{"/demo-app", "check"}, Interval: 5, Timeout: 5, Retries: 3},
	"image":   {Type: "image", Interval: 5, Timeout: 5},
}

// checkedBy has a definition checked in a way, by an image that has a HEALTHCHECK.
func checkedBy(t *testing.T, kind string, options ...testenv.ImageOption) func(*api.CreateDefinitionRequest) {
	t.Helper()
	reference := testenv.DemoImage(t, "v1", append(options, testenv.WithHealthcheck("/demo-app", "check"))...)
	return func(r *api.CreateDefinitionRequest) {
		r.ImageName, r.ImageTag, _ = strings.Cut(reference, ":")
		check := checks[kind]
		r.HealthCheckConfig = &check
		r.RuntimeConfig.StopTimeout = 1
		if kind == "command" || kind == "image" {
			r.NetworkConfig = nil // nothing has to be reached from outside
		}
	}
}

// hasty has the first failure that counts condemn.
func hasty(r *api.CreateDefinitionRequest) { r.HealthCheckConfig.Retries = 1 }

// TestHealthChecks deploys what passes and what fails each type of check. What
// fails is condemned by the first failure that counts, an interval after the start.
func TestHealthChecks(t *testing.T) {
	f := start(t)
	for kind := range checks {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := f.define(t, "well-"+kind, "v1", checkedBy(t, kind))
			f.deploy(t, d.ID, 2)
			for _, i := range f.instances(t, d.ID) {
				if i.HealthStatus != api.HealthHealthy || i.RestartCount != 0 {
					t.Errorf("instance %s is %s after %d restarts", i.InstanceName, i.HealthStatus, i.RestartCount)
				}
			}
		})
	}
	ill := map[string]struct {
		options []testenv.ImageOption
		change  func(*api.CreateDefinitionRequest)
		want    string
	}{
		"http":    {[]testenv.ImageOption{testenv.Unhealthy()}, func(*api.CreateDefinitionRequest) {}, "status 503"},
		"tcp":     {nil, func(r *api.CreateDefinitionRequest) { r.HealthCheckConfig.Port = 9 }, "connection to port 9: connection refused"},
		"command": {[]testenv.ImageOption{testenv.Unhealthy()}, func(*api.CreateDefinitionRequest) {}, "FAIL_HEALTH is set"},
		"image":   {[]testenv.ImageOption{testenv.Unhealthy()}, func(*api.CreateDefinitionRequest) {}, "HEALTHCHECK of the image: unhealthy"},
		"image without one": {nil, func(r *api.CreateDefinitionRequest) {
			r.ImageName, r.ImageTag, _ = strings.Cut(testenv.DemoImage(t, "v1"), ":")
		}, "the image has no HEALTHCHECK"},
		"command that hangs": {[]testenv.ImageOption{testenv.Hanging()}, func(r *api.CreateDefinitionRequest) {
			r.HealthCheckConfig.Interval, r.HealthCheckConfig.Timeout = 3, 3 // of the second check, as the first begins too soon to count
		}, "has not ended within 3 s"},
	}
	for name, tt := range ill {
		t.Run(name+" fails", func(t *testing.T) {
			t.Parallel()
			kind, _, _ := strings.Cut(name, " ")
			d := f.define(t, "ill-"+strings.ReplaceAll(name, " ", "-"), "v1", checkedBy(t, kind, tt.options...), hasty, tt.change)
			accepted, err := f.client.Deploy(t.Context(), d.ID, quick("", 1))
			if err != nil {
				t.Fatal(err)
			}
			if _, err = f.client.WaitDeployment(t.Context(), accepted.DeploymentID, client.WaitOptions{}); err == nil ||
				!strings.Contains(err.Error(), "is unhealthy") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("deployment ended with %v, want %q", err, tt.want)
			}
		})
	}
}

// TestUnhealthyIsRestarted has a replica whose first check passes, in each run, and
// no other: it is restarted, and given up as a crash loop, with its container
// stopped, until somebody asks for another try. The daemon is killed meanwhile, and
// forgets nothing.
func TestUnhealthyIsRestarted(t *testing.T) {
	f := start(t)
	once := testenv.Flapping("+" + strings.Repeat("-", 500))
	d := f.define(t, "api", "v1", checkedBy(t, "http", once), hasty, func(r *api.CreateDefinitionRequest) {
		r.HealthCheckConfig.Interval, r.HealthCheckConfig.Timeout, r.HealthCheckConfig.Rise = 2, 2, 1
	})
	f.deploy(t, d.ID, 1)
	first := f.instances(t, d.ID)[0]
	now := func() api.Instance {
		i, err := f.client.GetInstance(t.Context(), first.ID)
		if err != nil {
			return api.Instance{} // the daemon is away
		}
		return i
	}
	eventually(t, "the unhealthy instance is restarted", func() bool { return now().RestartCount >= 1 })
	f.Kill()
	f.Start(t)
	eventually(t, "the instance is in a crash loop", func() bool { return now().CurrentStatus == api.InstanceFailed })
	loop := now()
	if loop.RestartCount != 4 || loop.ContainerID != first.ContainerID ||
		!strings.Contains(loop.ErrorMessage, "crash loop: 5 failures within 10m0s") || !strings.Contains(loop.ErrorMessage, "is unhealthy: ") {
		t.Errorf("after %d restarts: %s", loop.RestartCount, loop.ErrorMessage)
	}
	if running := docker(t, "ps", "--quiet", "--no-trunc", "--filter", "id="+first.ContainerID); len(running) != 0 {
		t.Error("the container of a crash loop still runs")
	}
	reasons, said := 0, false
	for e, err := range f.client.AllEvents(t.Context(), api.ListEventsOptions{InstanceID: first.ID, EventType: "failed"}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.ErrorMessage, "is unhealthy: GET /health on port 8080: ") {
			reasons++
		}
		said = said || strings.Contains(e.ErrorMessage, "GET /health on port 8080: status 503")
	}
	if reasons != 6 || !said { // each of five, and the loop
		t.Errorf("%d events say why, want 6; the status among them: %v", reasons, said)
	}
	if _, err := f.client.Act(t.Context(), first.ID, api.ActionRequest{Action: api.ActionStart, Reason: "mended"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the instance is started and restarted anew", func() bool { return now().RestartCount >= 6 })
}
