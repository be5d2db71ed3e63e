package daemon_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// patience bounds every wait of these tests.
const patience = 3 * time.Minute

// fixture is a daemon with a definition of the demo application.
type fixture struct {
	*testenv.DaemonHandle
	client *client.Client
}

func start(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{DaemonHandle: testenv.Daemon(t)}
	f.client = f.Client(t)
	return f
}

// define creates a definition of the demo application in a version. Its checks
// forgive what comes of a machine on which other tests run.
func (f *fixture) define(t testing.TB, name, version string, change ...func(*api.CreateDefinitionRequest)) api.Definition {
	t.Helper()
	repository, tag, _ := strings.Cut(testenv.DemoImage(t, version), ":")
	r := api.CreateDefinitionRequest{
		Name: name, ServiceName: name, ImageName: repository, ImageTag: tag,
		ResourceLimits:    api.ResourceLimits{CPU: "500m", Memory: "64Mi"},
		ScalingConfig:     api.ScalingConfig{MinReplicas: 1, MaxReplicas: 100},
		NetworkConfig:     &api.NetworkConfig{Ports: []int{8080}},
		HealthCheckConfig: &api.HealthCheckConfig{Endpoint: "/health", Interval: 1, Timeout: 1, Retries: 10},
		RuntimeConfig:     &api.RuntimeConfig{StopTimeout: 5},
	}
	for _, c := range change {
		c(&r)
	}
	d, err := f.client.CreateDefinition(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// quick asks for a rollout into staging that waits for nothing but health; an
// empty strategy means the default.
func quick(strategy string, replicas int) api.DeployRequest {
	return api.DeployRequest{
		Environment: "staging", ReplicaCount: &replicas, DeploymentStrategy: strategy,
		RolloutConfig: &api.RolloutConfig{
			MinHealthyTime: new(0), DrainTime: new(0), KeepWarmTime: new(0),
			CanarySteps: &[]api.CanaryStep{{Weight: 50}},
		},
	}
}

// deploy deploys and waits until the deployment has ended well.
func (f *fixture) deploy(t testing.TB, definitionID string, replicas int) api.Deployment {
	t.Helper()
	accepted, err := f.client.Deploy(t.Context(), definitionID, quick("", replicas))
	if err != nil {
		t.Fatal(err)
	}
	return f.completed(t, accepted.DeploymentID)
}

func (f *fixture) completed(t testing.TB, deploymentID string) api.Deployment {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := f.client.WaitDeployment(ctx, deploymentID, client.WaitOptions{PollMin: 10 * time.Millisecond, PollMax: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// instances lists what is not terminated of a definition in staging.
func (f *fixture) instances(t testing.TB, definitionID string) []api.Instance {
	t.Helper()
	var list []api.Instance
	for i, err := range f.client.AllInstances(t.Context(), api.ListInstancesOptions{DefinitionID: definitionID, Environment: "staging"}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, i)
	}
	return list
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience) // a clean-up may wait too
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s in vain until %s", patience, what)
		case <-ticker.C:
		}
	}
}

// docker runs the Docker client and returns what it printed, by line.
func docker(t testing.TB, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", args...).Output()
	if err != nil {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return strings.Fields(string(out))
}

// containers are the ids of a definition's containers in the engine, running or not.
func containers(t testing.TB, definitionID string) []string {
	t.Helper()
	ids := docker(t, "ps", "--all", "--quiet", "--no-trunc", "--filter", "label=wedsync.definition="+definitionID)
	slices.Sort(ids)
	return ids
}

// update changes the definition's image tag.
func (f *fixture) update(t testing.TB, definitionID, tag string) {
	t.Helper()
	if _, err := f.client.UpdateDefinition(t.Context(), definitionID, api.UpdateDefinitionRequest{ImageTag: &tag}); err != nil {
		t.Fatal(err)
	}
}

// settled checks that the engine and the rows agree on the deployment's replicas and nothing else.
func (f *fixture) settled(t *testing.T, definitionID, deploymentID string, replicas int) {
	t.Helper()
	list := f.instances(t, definitionID)
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ContainerID)
		if i.DeploymentID != deploymentID || i.CurrentStatus != api.InstanceRunning || i.RestartCount != 0 {
			t.Errorf("instance %s of deployment %s is %s with %d restarts", i.InstanceName, i.DeploymentID, i.CurrentStatus, i.RestartCount)
		}
	}
	slices.Sort(ids)
	if running := containers(t, definitionID); len(ids) != replicas || !slices.Equal(ids, running) {
		t.Errorf("rows name the containers %v, the engine has %v, want the same %d", ids, running, replicas)
	}
}

// version asks a running instance for the version that it serves.
func version(t testing.TB, i api.Instance) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+i.IPAddress+":8080/version", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var b strings.Builder
	if _, err := io.Copy(&b, res.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDeployUpdateScaleRemove(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1")
	first := f.deploy(t, d.ID, 2)
	if !first.IsLive || first.ImageDigest == "" || first.InstancesAfter != 2 {
		t.Errorf("deployment is %+v, want it live with a digest", first)
	}
	before := containers(t, d.ID)
	if len(before) != 2 {
		t.Fatalf("%d containers, want 2", len(before))
	}

	// Scaling keeps what runs.
	f.deploy(t, d.ID, 3)
	if after := containers(t, d.ID); len(after) != 3 || !subset(before, after) {
		t.Errorf("scaling replaced containers: %v, then %v", before, after)
	}
	f.deploy(t, d.ID, 1)
	if after := containers(t, d.ID); len(after) != 1 || !subset(after, before) {
		t.Errorf("scaling down left %v of %v", after, before)
	}

	// Another version replaces them.
	_, tag, _ := strings.Cut(testenv.DemoImage(t, "v2"), ":")
	if _, err := f.client.UpdateDefinition(t.Context(), d.ID, api.UpdateDefinitionRequest{ImageTag: &tag}); err != nil {
		t.Fatal(err)
	}
	f.deploy(t, d.ID, 2)
	list := f.instances(t, d.ID)
	if len(list) != 2 || len(containers(t, d.ID)) != 2 {
		t.Fatalf("%d instances and %d containers, want 2", len(list), len(containers(t, d.ID)))
	}
	for _, i := range list {
		if i.CurrentStatus != api.InstanceRunning || i.HealthStatus != api.HealthHealthy || !strings.Contains(version(t, i), "v2") {
			t.Errorf("instance %s is %s, %s, serves %s", i.InstanceName, i.CurrentStatus, i.HealthStatus, version(t, i))
		}
	}

	accepted, err := f.client.RemoveDeployment(t.Context(), d.ID, "staging")
	if err != nil {
		t.Fatal(err)
	}
	f.completed(t, accepted.DeploymentID)
	if left := containers(t, d.ID); len(left) != 0 {
		t.Errorf("containers %v are left", left)
	}
	if err := f.client.DeleteDefinition(t.Context(), d.ID); err != nil {
		t.Errorf("delete definition: %v", err)
	}
}

func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

func TestFailedRolloutLeavesTheOldServing(t *testing.T) {
	tests := []struct {
		name   string
		change func(*api.UpdateDefinitionRequest)
		want   string
	}{
		{"crashes", func(r *api.UpdateDefinitionRequest) {
			r.EnvironmentConfig = &map[string]string{"CRASH_AFTER": "50ms", "FAIL_HEALTH": "true"}
		}, "exited with code 1"},
		{"never healthy", func(r *api.UpdateDefinitionRequest) {
			r.EnvironmentConfig = &map[string]string{"FAIL_HEALTH": "true"}
		}, "is unhealthy"},
		{"cannot be started", func(r *api.UpdateDefinitionRequest) {
			r.RuntimeConfig = &api.RuntimeConfig{Entrypoint: []string{"/no-such-program"}}
		}, "no-such-program"},
	}
	f := start(t)
	for k, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := f.define(t, "api-"+strconv.Itoa(k), "v1")
			live := f.deploy(t, d.ID, 2)
			before := containers(t, d.ID)
			var r api.UpdateDefinitionRequest
			tt.change(&r)
			if _, err := f.client.UpdateDefinition(t.Context(), d.ID, r); err != nil {
				t.Fatal(err)
			}
			accepted, err := f.client.Deploy(t.Context(), d.ID, quick("", 2))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			failed, err := f.client.WaitDeployment(ctx, accepted.DeploymentID, client.WaitOptions{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("deployment ended as %s: %v, want %q", failed.DeploymentStatus, err, tt.want)
			}
			if now := containers(t, d.ID); !slices.Equal(now, before) {
				t.Errorf("containers %v, want those of before, %v", now, before)
			}
			rollback, err := f.client.GetDeployment(t.Context(), failed.RollbackID)
			if err != nil || !rollback.IsLive || rollback.RollbackTargetID != live.ID || rollback.ImageDigest != live.ImageDigest {
				t.Errorf("the rollback is %+v (%v), want it live and of %s", rollback, err, live.ID)
			}
		})
	}
}

func TestRepair(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 1)
	before := f.instances(t, d.ID)[0]
	runsAgain := func(t *testing.T, changed func(api.Instance) bool) api.Instance {
		t.Helper()
		var i api.Instance
		eventually(t, "the instance runs again", func() bool {
			list := f.instances(t, d.ID)
			if len(list) != 1 {
				return false
			}
			i = list[0]
			return i.CurrentStatus == api.InstanceRunning && i.HealthStatus == api.HealthHealthy && changed(i)
		})
		return i
	}
	t.Run("killed from outside", func(t *testing.T) {
		docker(t, "kill", before.ContainerID)
		i := runsAgain(t, func(i api.Instance) bool { return i.RestartCount == before.RestartCount+1 })
		if i.ContainerID != before.ContainerID {
			t.Errorf("the container was replaced")
		}
	})
	t.Run("removed from outside", func(t *testing.T) {
		docker(t, "rm", "--force", before.ContainerID)
		i := runsAgain(t, func(i api.Instance) bool { return i.ContainerID != before.ContainerID })
		if i.ID != before.ID {
			t.Errorf("another instance came: %s, want %s", i.ID, before.ID)
		}
	})
	t.Run("removed while the daemon was away", func(t *testing.T) {
		now := f.instances(t, d.ID)[0]
		f.Kill()
		docker(t, "rm", "--force", now.ContainerID)
		f.Start(t)
		runsAgain(t, func(i api.Instance) bool { return i.ContainerID != now.ContainerID })
	})
	t.Run("running containers survive the daemon", func(t *testing.T) {
		now := f.instances(t, d.ID)[0]
		f.Stop()
		stray := f.stray(t)
		f.Start(t)
		// It tells of the stray when it has compared all rows with the engine, and
		// what comes of that for the definition is done before the next rollout is.
		eventually(t, "the daemon has looked at what runs", func() bool { return strings.Contains(f.Log(), "container="+stray) })
		f.deploy(t, d.ID, 1)
		i := runsAgain(t, func(api.Instance) bool { return true })
		if i.ContainerID != now.ContainerID || i.RestartCount != now.RestartCount {
			t.Errorf("a restart of the daemon touched the container: %+v, then %+v", now, i)
		}
	})
}

// stray makes a container of the installation that no instance stands for, and
// returns its name.
func (f *fixture) stray(t *testing.T) (name string) {
	t.Helper()
	installation, err := f.Installation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name = "stray-" + client.NewIdempotencyKey()
	docker(t, "create", "--name", name, "--label", "wedsync.installation="+installation, testenv.DemoImage(t, "v1"))
	return name
}

func TestActions(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 1)
	i := f.instances(t, d.ID)[0]
	act := func(t *testing.T, action, status string) api.Instance {
		t.Helper()
		if _, err := f.client.Act(t.Context(), i.ID, api.ActionRequest{Action: action, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		now, err := f.client.WaitInstance(ctx, i.ID, status, client.WaitOptions{PollMin: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	if now := act(t, api.ActionStop, api.InstanceStopped); now.IPAddress != "" {
		t.Errorf("a stopped instance has the address %s", now.IPAddress)
	}
	act(t, api.ActionStart, api.InstanceRunning)
	before := f.instances(t, d.ID)[0]
	if _, err := f.client.Act(t.Context(), i.ID, api.ActionRequest{Action: api.ActionRestart}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the instance has been restarted", func() bool {
		now := f.instances(t, d.ID)[0]
		return now.CurrentStatus == api.InstanceRunning && now.StartedAt.After(*before.StartedAt)
	})
	act(t, api.ActionTerminate, api.InstanceTerminated)
	eventually(t, "another instance has taken its place", func() bool {
		list := f.instances(t, d.ID)
		return len(list) == 1 && list[0].ID != i.ID && list[0].CurrentStatus == api.InstanceRunning
	})
	if _, err := f.client.Act(t.Context(), i.ID, api.ActionRequest{Action: api.ActionStart}); !client.IsConflict(err) {
		t.Errorf("starting a terminated instance: %v, want a conflict", err)
	}
}

func TestPublishedPorts(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1", func(r *api.CreateDefinitionRequest) { r.NetworkConfig.PublishPorts = true })
	f.deploy(t, d.ID, 3)
	seen := make(map[int]bool)
	for _, i := range f.instances(t, d.ID) {
		port := i.PortMappings["8080"]
		if port == 0 || seen[port] {
			t.Fatalf("instance %s has port mappings %v; taken are %v", i.InstanceName, i.PortMappings, seen)
		}
		seen[port] = true
		res, err := http.Get("http://127.0.0.1:" + strconv.Itoa(port) + "/health")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("health on port %d: %s", port, res.Status)
		}
	}
}

// TestOwnPostgres runs the daemon without a database of somebody else's.
func TestOwnPostgres(t *testing.T) {
	f := &fixture{DaemonHandle: testenv.StandaloneDaemon(t)}
	f.client = f.Client(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 1)
	before := containers(t, d.ID)
	same := func(t *testing.T) {
		t.Helper()
		eventually(t, "the definition can be read again", func() bool {
			_, err := f.client.GetDefinition(t.Context(), d.ID)
			return err == nil
		})
		if now := containers(t, d.ID); !slices.Equal(now, before) {
			t.Errorf("containers %v, want those of before, %v", now, before)
		}
	}
	postmaster := func(t *testing.T) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(f.DataDir, "postgres", "data", "postmaster.pid"))
		if err != nil {
			t.Fatal(err)
		}
		pid, _, _ := strings.Cut(string(text), "\n")
		return pid
	}
	t.Run("daemon killed", func(t *testing.T) {
		server := postmaster(t)
		f.Kill()
		f.Start(t)
		same(t)
		if now := postmaster(t); now != server {
			t.Errorf("Postgres %s was not found again: %s runs", server, now)
		}
	})
	t.Run("daemon stopped", func(t *testing.T) {
		server := postmaster(t)
		f.Stop()
		eventually(t, "the process of its Postgres is gone", func() bool {
			_, err := os.Stat("/proc/" + server)
			return errors.Is(err, fs.ErrNotExist)
		})
		f.Start(t)
		same(t)
	})
	t.Run("Postgres killed", func(t *testing.T) {
		server := postmaster(t)
		pid, err := strconv.Atoi(server)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another Postgres runs", func() bool {
			text, err := os.ReadFile(filepath.Join(f.DataDir, "postgres", "data", "postmaster.pid"))
			return err == nil && !strings.HasPrefix(string(text), server+"\n")
		})
		same(t)
	})
	t.Run("token commands beside the daemon", func(t *testing.T) {
		secret := f.Run(t, "token", "create", "reader", "--role", "developer", "--environment", "staging")
		c, err := client.New(f.Endpoint, strings.TrimSpace(secret))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetDefinition(t.Context(), d.ID); err != nil {
			t.Errorf("read with the new token: %v", err)
		}
		if err := c.DeleteDefinition(t.Context(), d.ID); !client.IsForbidden(err) {
			t.Errorf("delete with the new token: %v, want it forbidden", err)
		}
		if list := f.Run(t, "token", "list"); !strings.Contains(list, "reader") || strings.Contains(list, strings.TrimSpace(secret)) {
			t.Errorf("list of tokens:\n%s", list)
		}
		f.Run(t, "token", "revoke", "reader")
		eventually(t, "the revoked token ends", func() bool {
			_, err := c.GetDefinition(t.Context(), d.ID)
			return client.IsUnauthenticated(err)
		})
	})
}
