package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	imagetypes "github.com/docker/docker/api/types/image"
	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// pulled forgets an image when the test ends: it is of no use to other tests.
func pulled(t *testing.T, e *Engine, digest string) {
	t.Helper()
	t.Cleanup(func() {
		_, err := e.client.ImageRemove(context.Background(), digest, imagetypes.RemoveOptions{Force: true})
		if err != nil && !errdefs.IsNotFound(err) {
			t.Errorf("forget image: %v", err)
		}
	})
}

// unique makes an image that no other test and no earlier run has.
func unique(t *testing.T) testenv.ImageOption {
	t.Helper()
	return testenv.WithEnv("TEST_RUN", t.Name()+uuid.NewString())
}

func resolve(t *testing.T, e *Engine, ref, policy string, credentials *fleet.RegistryCredentials) string {
	t.Helper()
	digest, err := e.ResolveImage(t.Context(), ref, policy, credentials)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestResolveImageOfTheEngine(t *testing.T) {
	e := newEngine(t)
	ref := testenv.DemoImage(t, "v1")
	digest := resolve(t, e, ref, fleet.PullIfNotPresent, nil)
	found, err := e.client.ImageInspect(t.Context(), ref)
	if err != nil || digest != found.ID && !strings.HasPrefix(digest, "wedsync-test/demo-app@sha256:") {
		t.Errorf("pinned %s; the image is %s, %v", digest, found.ID, err)
	}
	if err := e.EnsureImage(t.Context(), digest, nil); err != nil {
		t.Errorf("ensure what is there: %v", err)
	}
}

func TestPullFromRegistry(t *testing.T) {
	e := newEngine(t)
	r := testenv.Registry(t)
	pushed := r.PushDemo(t, "team/app:v1", "v1", unique(t))
	ref := r.Reference("team/app:v1")
	for _, policy := range []string{fleet.PullIfNotPresent, fleet.PullAlways} {
		digest := resolve(t, e, ref, policy, nil)
		if want := r.Reference("team/app@") + pushed; digest != want {
			t.Fatalf("%s: pinned %s, want %s", policy, digest, want)
		}
		pulled(t, e, digest)
		for range 2 {
			if err := e.EnsureImage(t.Context(), digest, nil); err != nil {
				t.Fatal(err)
			}
		}
		s := newSpec(t, "staging", func(s *fleet.ContainerSpec) { s.Instance.ImageDigest = digest })
		awaitState(t, e, run(t, e, s), fleet.ContainerRunning)
	}
}

// A pinned digest stays what it was when the tag has moved on; always asks
// again, if_not_present does not.
func TestTagMoves(t *testing.T) {
	e := newEngine(t)
	r := testenv.Registry(t)
	ref, option := r.Reference("app:stable"), unique(t)
	r.PushDemo(t, "app:stable", "v1", option)
	old := resolve(t, e, ref, fleet.PullAlways, nil)
	second := r.PushDemo(t, "app:stable", "v2", option)
	pulled(t, e, old)
	if err := e.EnsureImage(t.Context(), old, nil); err != nil {
		t.Fatal(err)
	}
	moved := resolve(t, e, ref, fleet.PullAlways, nil)
	if want := r.Reference("app@") + second; moved != want {
		t.Errorf("always: pinned %s, want %s", moved, want)
	}
	port := testenv.FreePort(t)
	s := newSpec(t, "staging", func(s *fleet.ContainerSpec) {
		s.Instance.ImageDigest, s.Instance.Ports = old, map[int]int{8080: port}
	})
	run(t, e, s)
	var body string
	await(t, "the container answers", func() (ok bool) {
		body, ok = get(fmt.Sprintf("http://127.0.0.1:%d/version", port))
		return ok
	})
	if !strings.HasSuffix(strings.TrimSpace(body), "v1") {
		t.Errorf("the pinned image answers %q, want v1", body)
	}
}

func TestIfNotPresentKeepsTheEnginesTag(t *testing.T) {
	e := newEngine(t)
	r := testenv.Registry(t)
	ref, option := r.Reference("app:stable"), unique(t)
	first := r.PushDemo(t, "app:stable", "v1", option)
	progress, err := e.client.ImagePull(t.Context(), ref, imagetypes.PullOptions{}) // as somebody at the machine does
	if err != nil {
		t.Fatal(err)
	}
	defer progress.Close()
	if err := pullResult(progress); err != nil {
		t.Fatal(err)
	}
	pulled(t, e, ref)
	r.PushDemo(t, "app:stable", "v2", option)
	if got, want := resolve(t, e, ref, fleet.PullIfNotPresent, nil), r.Reference("app@")+first; got != want {
		t.Errorf("pinned %s, want %s", got, want)
	}
}

func TestRegistryWithLogIn(t *testing.T) {
	e := newEngine(t)
	r := testenv.Registry(t, testenv.WithAuth("deploy", "s3cret-word"))
	r.PushDemo(t, "team/app:v1", "v1", unique(t))
	ref := r.Reference("team/app:v1")
	right := &fleet.RegistryCredentials{Username: "deploy", Password: "s3cret-word"}
	wrong := &fleet.RegistryCredentials{Username: "deploy", Password: "not-the-word"}

	digest := resolve(t, e, ref, fleet.PullIfNotPresent, right)
	pulled(t, e, digest)
	tests := map[string]struct {
		credentials *fleet.RegistryCredentials
		part        string
	}{
		"none":  {nil, "wants a log-in"},
		"wrong": {wrong, "to the user deploy"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := e.ResolveImage(t.Context(), ref, fleet.PullIfNotPresent, tt.credentials)
			wantKind(t, err, fleet.ErrImageNotFound, tt.part, r.Host, "team/app")
			wantNoSecret(t, err)
			err = e.EnsureImage(t.Context(), digest, tt.credentials)
			wantKind(t, err, fleet.ErrImageNotFound, tt.part, r.Host, "team/app")
			wantNoSecret(t, err)
		})
	}
	if err := e.EnsureImage(t.Context(), digest, right); err != nil {
		t.Fatal(err)
	}
}

func wantNoSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{"s3cret-word", "not-the-word"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

func TestImagesThatAreNotThere(t *testing.T) {
	e := newEngine(t)
	r := testenv.Registry(t)
	r.PushDemo(t, "team/app:v1", "v1")
	gone := testenv.Registry(t)
	gone.Close()
	nobody := "sha256:" + strings.Repeat("1", 64)
	tests := map[string]struct {
		ref  string
		kind error
		part string
	}{
		"no tag":        {r.Reference("team/app:v9"), fleet.ErrImageNotFound, "has no image"},
		"no repository": {r.Reference("team/none:v1"), fleet.ErrImageNotFound, "has no image"},
		"no digest":     {r.Reference("team/app@") + nobody, fleet.ErrImageNotFound, "has no image"},
		"no registry":   {gone.Reference("team/app:v1"), fleet.ErrUnavailable, "cannot be reached"},
		"no reference":  {"Not A Reference", fleet.ErrRefused, "not an image reference"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, policy := range []string{fleet.PullIfNotPresent, fleet.PullAlways} {
				_, err := e.ResolveImage(t.Context(), tt.ref, policy, nil)
				wantKind(t, err, tt.kind, tt.part)
			}
			if errors.Is(tt.kind, fleet.ErrRefused) {
				return
			}
			wantKind(t, e.EnsureImage(t.Context(), tt.ref, nil), tt.kind, tt.part)
		})
	}
	wantKind(t, e.EnsureImage(t.Context(), nobody, nil), fleet.ErrImageNotFound, "no longer on this engine")
	wantKind(t, e.EnsureImage(t.Context(), "Not A Reference", nil), fleet.ErrRefused)
}

// A policy of always never falls back to what the engine has.
func TestAlwaysDoesNotFallBack(t *testing.T) {
	e := newEngine(t)
	r := testenv.Registry(t)
	r.PushDemo(t, "app:v1", "v1", unique(t))
	digest := resolve(t, e, r.Reference("app:v1"), fleet.PullAlways, nil)
	pulled(t, e, digest)
	if err := e.EnsureImage(t.Context(), digest, nil); err != nil {
		t.Fatal(err)
	}
	r.Close()
	_, err := e.ResolveImage(t.Context(), r.Reference("app:v1"), fleet.PullAlways, nil)
	wantKind(t, err, fleet.ErrUnavailable, "cannot be reached")
	if err := e.EnsureImage(t.Context(), digest, nil); err != nil {
		t.Errorf("the engine has it, but: %v", err)
	}
}

// A registry that accepts connections and never answers must not hang a request.
func TestSilentRegistryIsBounded(t *testing.T) {
	e := newEngine(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e.registryTimeout = 100 * time.Millisecond
	_, err = e.ResolveImage(t.Context(), l.Addr().String()+"/app:v1", fleet.PullIfNotPresent, nil)
	wantKind(t, err, fleet.ErrUnavailable, "did not answer in time", l.Addr().String())
}

func TestParallelPullsShareOneDownload(t *testing.T) {
	e := newEngine(t)
	r := testenv.Registry(t)
	r.PushDemo(t, "app:v1", "v1", unique(t))
	digest := resolve(t, e, r.Reference("app:v1"), fleet.PullAlways, nil)
	pulled(t, e, digest)
	before, _ := r.Downloads()
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if err := e.EnsureImage(t.Context(), digest, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if after, _ := r.Downloads(); after-before > 2 {
		t.Errorf("fetched the manifest %d times for ten callers", after-before)
	}
}

func TestPullGivesUpWithItsCaller(t *testing.T) {
	e := newEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.EnsureImage(ctx, "127.0.0.1:1/app@sha256:"+strings.Repeat("2", 64), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestPinned(t *testing.T) {
	hex := strings.Repeat("a", 64)
	tests := map[string]struct {
		ref     string
		digests []string
		want    string
	}{
		"never in a registry": {"app:v1", nil, "id"},
		"same repository":     {"host:5000/app:v1", []string{"host:5000/app@sha256:" + hex}, "host:5000/app@sha256:" + hex},
		"other repository":    {"host:5000/app:v1", []string{"host:5000/other@sha256:" + hex}, "id"},
		"short name":          {"nginx:1", []string{"nginx@sha256:" + hex}, "nginx@sha256:" + hex},
		"same name, own host": {"host/nginx:1", []string{"nginx@sha256:" + hex}, "id"},
		"unreadable":          {"app:v1", []string{"<none>@<none>"}, "id"},
		"one of several":      {"b/app:1", []string{"a/app@sha256:" + hex, "b/app@sha256:" + hex}, "b/app@sha256:" + hex},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			named, err := reference.ParseNormalizedNamed(tt.ref)
			if err != nil {
				t.Fatal(err)
			}
			if got := pinned(named, "id", tt.digests); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// The messages of registries and engines of several versions.
func TestAnswerOf(t *testing.T) {
	tests := map[string]struct {
		err  error
		want answer
	}{
		"manifest unknown":    {errors.New("manifest for x:v9 not found: manifest unknown: manifest unknown"), answerMissing},
		"name unknown":        {errors.New("name unknown: repository name not known to registry"), answerMissing},
		"not found status":    {fmt.Errorf("x: %w", errdefs.ErrNotFound), answerMissing},
		"unauthorised":        {errors.New("unauthorized: authentication required"), answerUnauthorised},
		"no basic auth":       {errors.New("Head http://h/v2/x/manifests/v1: no basic auth credentials"), answerUnauthorised},
		"unauthorised status": {fmt.Errorf("x: %w", errdefs.ErrUnauthenticated), answerUnauthorised},
		"docker hub":          {errors.New("pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"), answerUnauthorised},
		"forbidden status":    {fmt.Errorf("x: %w", errdefs.ErrPermissionDenied), answerUnauthorised},
		"refused":             {errors.New("Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused"), answerNone},
		"no such host":        {errors.New("dial tcp: lookup registry.invalid: no such host"), answerNone},
		"no TLS":              {errors.New("http: server gave HTTP response to HTTPS client"), answerNone},
		"bad certificate":     {errors.New("x509: certificate signed by unknown authority"), answerNone},
		"time is up":          {errors.New("net/http: request canceled while waiting for connection"), answerNone},
		"other platform":      {errors.New("no matching manifest for linux/amd64 in the manifest list entries"), answerRefused},
		"outdated format":     {errors.New("Docker Image Format v1, and Docker Image manifest version 2, schema 1 support is removed"), answerRefused},
		"anything else":       {errors.New("received unexpected HTTP status: 502 Bad Gateway"), answerNone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := answerOf(tt.err); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestPullResult(t *testing.T) {
	tests := map[string]struct{ progress, want string }{
		"success":   {`{"status":"Pulling"}{"status":"Done"}`, ""},
		"empty":     {"", ""},
		"failure":   {`{"status":"Pulling"}{"errorDetail":{"message":"no space left"},"error":"no space left"}`, "no space left"},
		"cut short": {`{"status":"Pul`, "read pull progress"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := pullResult(strings.NewReader(tt.progress))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
