package provider_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

var (
	autoscalePlans = flag.Int("autoscale-plans", 3, "how many plans TestAutoscaled makes with each CLI while the autoscaler works")
	autoscaleLimit = flag.Duration("autoscale-limit", 0, "how long after a doubling of the load a new replica may take to serve; 0 only prints it")
)

const (
	// autoscaledHost is the service of autoscaledConfig at the balancer.
	autoscaledHost = "api.staging.localhost"
	// burnMS is how long a request of the load keeps a processor busy.
	burnMS = 10
	// maxCalls bounds the requests that wait for a replica which cannot keep up: so
	// many keep it as busy as it can be, and leave room for its health checks.
	maxCalls = 16
	// calmRate, in requests per second, is 40 % of a replica's 500m; twice that is 80 %.
	calmRate = 20
	// autoscalePatience bounds every wait.
	autoscalePatience = 3 * time.Minute
)

// autoscaledConfig is a service that is kept at half of its processor's limit, and
// goes back soon: its windows are short.
func autoscaledConfig(repository, tag string) string {
	return fmt.Sprintf(`
resource "wedsync_container_definition" "api" {
  name         = "wedding-api"
  service_name = "api"
  image_name   = %q
  image_tag    = %q

  resource_limits     = { cpu = "500m", memory = "64Mi" }
  health_check_config = { endpoint = "/health", interval = 5, timeout = 5, retries = 5 }
  scaling_config      = { min_replicas = 1, max_replicas = 3 }
  network_config      = { ports = [8080] }
}

resource "wedsync_deployment" "api" {
  definition_id       = wedsync_container_definition.api.id
  definition_revision = wedsync_container_definition.api.revision
  environment         = "staging"

  rollout_config = { min_healthy_time = 1, keep_warm_time = 1, drain_time = 5 }
}

resource "wedsync_scaling_policy" "cpu" {
  definition_id = wedsync_container_definition.api.id
  environment   = wedsync_deployment.api.environment
  policy_name   = "cpu"
  scaling_type  = "horizontal"

  trigger_metric       = "cpu"
  target_value         = 50
  scale_down_cooldown  = 0
  stabilization_window = 10
}
`, repository, tag)
}

// burner asks for work at a rate that can be changed, whether earlier requests have ended or not.
type burner struct {
	address string
	rate    atomic.Int64 // requests per second
	stop    chan struct{}
	calls   sync.WaitGroup
	going   atomic.Int64
	made    atomic.Int64
	failed  atomic.Int64
}

func burn(t *testing.T, address string) *burner {
	b := &burner{address: address, stop: make(chan struct{})}
	b.calls.Go(b.run)
	t.Cleanup(func() {
		close(b.stop)
		b.calls.Wait()
	})
	return b
}

func (b *burner) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-timer.C:
		}
		rate := b.rate.Load()
		if rate == 0 {
			timer.Reset(10 * time.Millisecond)
			continue
		}
		if b.going.Load() < maxCalls {
			b.going.Add(1)
			b.calls.Go(b.call)
		}
		timer.Reset(time.Second / time.Duration(rate))
	}
}

func (b *burner) call() {
	defer b.going.Add(-1)
	b.made.Add(1)
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/burn?ms=%d", b.address, burnMS), http.NoBody)
	if err != nil {
		b.failed.Add(1)
		return
	}
	req.Host = autoscaledHost
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.failed.Add(1)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b.failed.Add(1)
	}
}

// serving is how many replicas of the service get requests.
func serving(t *testing.T, c *client.Client) int {
	t.Helper()
	list, err := c.ListServices(t.Context(), api.ListServicesOptions{ServiceName: "api"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Services) == 0 {
		return 0
	}
	return list.Services[0].HealthyInstances
}

// awaitServing waits until so many replicas serve, and says how long that took.
func awaitServing(t *testing.T, c *client.Client, what string, enough func(int) bool) time.Duration {
	t.Helper()
	began := time.Now()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		n := serving(t, c)
		if enough(n) {
			return time.Since(began)
		}
		if time.Since(began) > autoscalePatience {
			page, err := c.ListScalingDecisions(t.Context(), api.ListScalingDecisionsOptions{})
			t.Fatalf("%d replicas serve after %s, want %s; decisions: %+v, %v", n, autoscalePatience, what, page.Decisions, err)
		}
		<-ticker.C
	}
}

// plansStayEmpty plans over and over, n times at least and until told to end, and says how
// often; enough is closed after n. No plan may show a change.
func (w workspace) plansStayEmpty(n int, end <-chan struct{}) (enough chan struct{}, made chan int) {
	enough, made = make(chan struct{}), make(chan int, 1)
	go func() {
		for k := 1; ; k++ {
			w.planIsEmpty(k)
			if k == n {
				close(enough)
			}
			select {
			case <-end:
				made <- k
				return
			default:
			}
		}
	}()
	return enough, made
}

func (w workspace) planIsEmpty(k int) {
	var out bytes.Buffer
	err := w.command(&out, "plan", "-detailed-exitcode", "-input=false", "-no-color").Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 2:
		w.t.Errorf("plan %d shows changes:\n%s", k, out.String())
	case err != nil:
		w.t.Errorf("plan %d: %v\n%s", k, err, out.String())
	}
}

// comesAndGoes has the load come, double and go, and says how long it took from
// the doubling until another replica served.
func comesAndGoes(t *testing.T, c *client.Client, b *burner) time.Duration {
	t.Helper()
	b.rate.Store(calmRate)
	awaitMeasured(t, c)
	if n := serving(t, c); n != 1 {
		t.Logf("%d replicas serve a load that one can bear, as a machine may that has caught up", n)
	}
	b.rate.Store(2 * calmRate)
	took := awaitServing(t, c, "2 at least", func(n int) bool { return n >= 2 })
	b.rate.Store(0)
	awaitServing(t, c, "1", func(n int) bool { return n == 1 })
	return took
}

// awaitMeasured waits until the load is seen by the autoscaler, which leaves all as it is.
func awaitMeasured(t *testing.T, c *client.Client) {
	t.Helper()
	deadline := time.Now().Add(autoscalePatience)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		page, err := c.ListInstances(t.Context(), api.ListInstancesOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Metrics(t.Context(), page.Instances[0].ID, api.MetricsOptions{From: time.Now().Add(-10 * time.Second), Step: 1})
		if err != nil {
			t.Fatal(err)
		}
		if cpu := m.Metrics.CPU; len(cpu) >= 3 && cpu[len(cpu)-2].Value > 25 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the load does not show in the metrics: %+v", m)
		}
		<-ticker.C
	}
}

// TestAutoscaled is the whole way: Terraform declares a policy, load comes and
// goes by way of the balancer, replicas follow, and Terraform sees no difference.
func TestAutoscaled(t *testing.T) {
	provider := buildProvider(t)
	eachCLI(t, func(t *testing.T) {
		daemon := testenv.Daemon(t, testenv.WithEnvironment("WEDSYNC_METRICS_INTERVAL=1s"))
		useDaemon(t, daemon.Endpoint, daemon.Token)
		c := daemon.Client(t)
		repository, tag, _ := strings.Cut(testenv.DemoImage(t, "v1"), ":")
		w := newWorkspace(t, provider)
		w.write(autoscaledConfig(repository, tag))
		says(t, w.apply(), "3 added")

		load, end := burn(t, daemon.Traffic), make(chan struct{})
		enough, made := w.plansStayEmpty(*autoscalePlans, end)
		var slowest time.Duration
		rounds := 0
		for planning := true; planning; rounds++ {
			slowest = max(slowest, comesAndGoes(t, c, load))
			select {
			case <-enough:
				planning = false
			default:
			}
		}
		close(end)
		t.Logf("%d rounds, %d plans, %d requests, of which %d failed; a new replica served at the latest %s after the load had doubled",
			rounds, <-made, load.made.Load(), load.failed.Load(), slowest.Round(time.Millisecond))
		if *autoscaleLimit > 0 && slowest > *autoscaleLimit {
			t.Errorf("that is more than %s", *autoscaleLimit)
		}
	})
}
