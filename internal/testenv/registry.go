package testenv

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// RegistryServer is a registry in memory on this machine's loopback address,
// which an Engine reaches without TLS.
type RegistryServer struct {
	// Host is its address, such as 127.0.0.1:41234.
	Host string

	server             *httptest.Server
	username, password string
	manifests, blobs   atomic.Int64
}

// RegistryOption changes a registry.
type RegistryOption func(*RegistryServer)

// WithAuth makes a registry that nobody may use without this log-in.
func WithAuth(username, password string) RegistryOption {
	return func(r *RegistryServer) { r.username, r.password = username, password }
}

// Registry starts a registry that ends with the test.
func Registry(tb testing.TB, options ...RegistryOption) *RegistryServer {
	tb.Helper()
	r := &RegistryServer{}
	for _, option := range options {
		option(r)
	}
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.server = httptest.NewServer(r.guarded(store))
	tb.Cleanup(r.server.Close)
	r.Host = r.server.Listener.Addr().String()
	return r
}

// guarded asks for the log-in and counts downloads.
func (r *RegistryServer) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		username, password, _ := req.BasicAuth()
		if r.username != "" && (username != r.username || password != r.password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test registry"`)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return
		}
		switch {
		case req.Method != http.MethodGet:
		case strings.Contains(req.URL.Path, "/manifests/"):
			r.manifests.Add(1)
		case strings.Contains(req.URL.Path, "/blobs/"):
			r.blobs.Add(1)
		}
		next.ServeHTTP(w, req)
	})
}

// Close ends the registry before the test ends: nobody answers at its address then.
func (r *RegistryServer) Close() { r.server.Close() }

// Downloads are how many manifests and blobs clients have fetched.
func (r *RegistryServer) Downloads() (manifests, blobs int) {
	return int(r.manifests.Load()), int(r.blobs.Load())
}

// Reference is the full reference of an image such as "team/app:v1" in the registry.
func (r *RegistryServer) Reference(image string) string { return r.Host + "/" + image }

// Push stores an image under a name such as "team/app:v1", which moves the tag
// if it is there, and returns its digest.
func (r *RegistryServer) Push(tb testing.TB, image string, img v1.Image) (digest string) {
	tb.Helper()
	reference, err := name.NewTag(r.Reference(image), name.Insecure)
	if err != nil {
		tb.Fatalf("push %s: %v", image, err)
	}
	options := []remote.Option{remote.WithContext(tb.Context())}
	if r.username != "" {
		options = append(options, remote.WithAuth(&authn.Basic{Username: r.username, Password: r.password}))
	}
	if err := remote.Write(reference, img, options...); err != nil {
		tb.Fatalf("push %s: %v", image, err)
	}
	hash, err := img.Digest()
	if err != nil {
		tb.Fatalf("push %s: %v", image, err)
	}
	return hash.String()
}

// PushDemo builds a demo image, as [DemoImage] does, and pushes it.
func (r *RegistryServer) PushDemo(tb testing.TB, image, version string, options ...ImageOption) (digest string) {
	tb.Helper()
	img, err := BuildDemoImage(tb.Context(), version, options...)
	if err != nil {
		tb.Fatal(err)
	}
	return r.Push(tb, image, img)
}
