package daemon_test

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// Log-in at a fickle registry that asks for one.
const (
	fickleUser     = "deploy"
	ficklePassword = "the password"
)

// mood is how a fickle registry behaves.
type mood int

const (
	locked                mood = iota // it asks for the log-in
	locksAfterResolving               // it asks for the log-in, and takes it no more once a tag was resolved
	forgetsAfterResolving             // it has nothing any more once a tag was resolved
)

// fickleRegistry stands before a registry and changes its mind. To resolve a tag,
// an engine fetches the manifest by its digest once; the pull fetches it again.
type fickleRegistry struct {
	mood   mood
	server *httptest.Server

	mu      sync.Mutex
	fetched int // manifests by digest
}

func (r *badRun) fickle(m mood) *fickleRegistry {
	r.t.Helper()
	f := &fickleRegistry{mood: m}
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.registry.Host})
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if status, code := f.refusal(req); status != 0 {
			w.Header().Set("WWW-Authenticate", `Basic realm="fickle"`)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"errors":[{"code":"` + code + `","message":"` + strings.ToLower(code) + `"}]}`))
			return
		}
		behind.ServeHTTP(w, req)
	}))
	r.t.Cleanup(f.server.Close)
	return f
}

func (f *fickleRegistry) host() string { return f.server.Listener.Addr().String() }

// refusal is the status and code of an answer that it makes itself; zero when it serves.
func (f *fickleRegistry) refusal(req *http.Request) (status int, code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Method == http.MethodGet && strings.HasPrefix(path.Base(req.URL.Path), "sha256:") && strings.Contains(req.URL.Path, "/manifests/") {
		f.fetched++
	}
	resolved := f.fetched > 1
	user, password, _ := req.BasicAuth()
	logged := user == fickleUser && password == ficklePassword
	switch {
	case f.mood == locked && !logged, f.mood == locksAfterResolving && (resolved || !logged):
		return http.StatusUnauthorized, "UNAUTHORIZED"
	case f.mood == forgetsAfterResolving && resolved:
		return http.StatusNotFound, "MANIFEST_UNKNOWN"
	default:
		return 0, ""
	}
}

// pruneWhileItDrains removes the image once an old replica drains, which is
// after the image was found and before a new replica is created.
func (r *badRun) pruneWhileItDrains(deploymentID string) {
	r.t.Helper()
	d, err := r.client.GetDeployment(r.t.Context(), deploymentID)
	if err != nil {
		r.t.Fatal(err)
	}
	defer r.release()
	r.awaitDraining()
	if _, err := r.engine.ImageRemove(r.t.Context(), d.ImageDigest, image.RemoveOptions{Force: true}); err != nil {
		r.t.Fatal(err)
	}
}

// awaitDraining waits until an old replica is out of service.
func (r *badRun) awaitDraining() {
	r.t.Helper()
	eventually(r.t, "an old replica drains", func() bool {
		return slices.ContainsFunc(r.instances(r.t, r.definition.ID), func(i api.Instance) bool { return i.DrainingSince != nil })
	})
}

// hold keeps a request at each old replica, so that it drains until release.
func (r *badRun) hold() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	var requests sync.WaitGroup
	for range 8 { // the balancer spreads them
		requests.Go(func() {
			for ctx.Err() == nil {
				requested(ctx, "http://"+r.Traffic+"/slow?ms=60000", r.definition.ServiceName+".staging.localhost")
			}
		})
	}
	r.release = func() {
		cancel()
		requests.Wait()
	}
	eventually(r.t, "each old replica has a request", func() bool {
		return !slices.ContainsFunc(containers(r.t, r.definition.ID), func(id string) bool {
			return !slices.Contains(docker(r.t, "logs", id), `msg="answering`)
		})
	})
}

// requested makes a request of a host, if one is given, whatever becomes of it.
func requested(ctx context.Context, url, host string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return
	}
	req.Host = cmp.Or(host, req.Host)
	if res, err := http.DefaultClient.Do(req); err == nil {
		_ = res.Body.Close()
	}
}

// crashAfterCutOver ends a new replica once the old ones get no more requests.
func (r *badRun) crashAfterCutOver(deploymentID string) {
	r.t.Helper()
	r.awaitDraining()
	for _, i := range r.instances(r.t, r.definition.ID) {
		if i.DeploymentID != deploymentID {
			continue
		}
		requested(r.t.Context(), "http://"+i.IPAddress+":8080/exit?code=1", "")
		return
	}
	r.t.Fatal("there is no new replica")
}

// leased is the host port of the only instance of a definition that publishes its port.
func (f *fixture) leased(t testing.TB, definitionID string) int {
	t.Helper()
	list := f.instances(t, definitionID)
	if len(list) != 1 || list[0].PortMappings["8080"] == 0 {
		t.Fatalf("instances %+v, want one with a host port", list)
	}
	return list[0].PortMappings["8080"]
}

// occupy listens on a host port until the test ends, unless somebody else has it.
func occupy(t testing.TB, port int) {
	t.Helper()
	if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
		t.Cleanup(func() { _ = l.Close() })
	}
}

// occupyPorts takes the host ports that are next in turn, more of them than the
// daemon tries for all replicas.
func (r *badRun) occupyPorts() {
	r.t.Helper()
	conn := r.connect(r.t)
	if _, err := conn.Exec(r.t.Context(), "DELETE FROM host_port_leases WHERE blocked_until IS NOT NULL"); err != nil {
		r.t.Fatal(err)
	}
	d := r.define(r.t, "first-port", "v1", func(d *api.CreateDefinitionRequest) { d.NetworkConfig.PublishPorts = true })
	r.deploy(r.t, d.ID, 1)
	first := r.leased(r.t, d.ID)
	r.remove(r.t, d.ID)
	for port := first; port < first+16; port++ {
		occupy(r.t, port)
	}
}

// TestTakenPortIsExchanged publishes a port while a foreign process holds the
// host ports that are next in turn: the deployment takes another.
func TestTakenPortIsExchanged(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1", func(r *api.CreateDefinitionRequest) { r.NetworkConfig.PublishPorts = true })
	f.deploy(t, d.ID, 1)
	first := f.leased(t, d.ID)
	for next := first + 1; next <= first+3; next++ {
		occupy(t, next)
	}
	_, tag, _ := strings.Cut(testenv.DemoImage(t, "v2"), ":")
	f.update(t, d.ID, tag)
	f.deploy(t, d.ID, 1)
	if port := f.leased(t, d.ID); port < first+4 {
		t.Errorf("port %d was leased, want one behind those that are taken, from %d on", port, first+4)
	}
}

// TestRollbackToAPrunedImage goes back to an image that was never in a registry
// and that somebody has removed since: the rollback says so at once, and what is
// live stays.
func TestRollbackToAPrunedImage(t *testing.T) {
	f := start(t)
	d := f.define(t, "api", "v1")
	unique := testenv.DemoImage(t, "v1", testenv.WithEnv("RUN", client.NewIdempotencyKey()))
	_, tag, _ := strings.Cut(unique, ":")
	f.update(t, d.ID, tag)
	f.deploy(t, d.ID, 1)
	_, tag, _ = strings.Cut(testenv.DemoImage(t, "v2"), ":")
	f.update(t, d.ID, tag)
	live := f.deploy(t, d.ID, 1)
	docker(t, "image", "rm", unique)
	before := containers(t, d.ID)

	accepted, err := f.client.Rollback(t.Context(), live.ID, api.RollbackRequest{Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rollback, err := f.client.WaitDeployment(ctx, accepted.DeploymentID, client.WaitOptions{PollMin: 10 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "was never in a registry and is no longer on this engine") {
		t.Fatalf("the rollback ended as %s: %v", rollback.DeploymentStatus, err)
	}
	now, err := f.client.GetDeployment(t.Context(), live.ID)
	if err != nil || !now.IsLive || now.DeploymentStatus != api.DeploymentCompleted {
		t.Errorf("deployment is %s, live %v (%v); want it completed and live", now.DeploymentStatus, now.IsLive, err)
	}
	if after := containers(t, d.ID); !slices.Equal(after, before) {
		t.Errorf("containers %v, want those of before, %v", after, before)
	}
}
