package httpapi

import (
	"log/slog"
	"net/http"
	"path"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what the API needs; every field but Domain, Discovery, Metrics and Version is required.
type Config struct {
	Store         Store
	Deployer      Deployer
	Engine        Engine
	Authenticator Authenticator
	Registry      Registry
	Heartbeats    Heartbeats
	// Environments are the configured ones; a request that names another one is refused.
	Environments []string
	// Domain is the one below which every service has a host of its own,
	// SERVICE.ENVIRONMENT.Domain. No route may answer to a host in it.
	Domain string
	// Discovery answers at pathHTTPDiscovery and below pathConsul, to whoever has a
	// token; its requests carry the fleet.Call of the principal. Nil serves nothing there.
	Discovery http.Handler
	// Metrics are served at pathMetrics.
	Metrics prometheus.Gatherer
	Logger  *slog.Logger
	// Version of the daemon, told at /healthz.
	Version string
}

type server struct {
	Config
	mux     *http.ServeMux
	checker *checker
	// semantics are the rules beyond the schema, by operation.
	semantics map[string]func(*faults, []byte)
}

// New is the handler of the whole API: /api/containers, /healthz, /readyz and
// the API document. Every answer that is not a success is a problem of RFC 9457.
func New(config Config) http.Handler {
	s, document := build(config)
	s.serveDocument(document)
	s.serveDiscovery()
	s.serveMetrics()
	limited, waiting, watching := bound(maxInFlight, s.routed()), bound(maxWaiting, s.routed()), bound(maxWatchers, s.routed())
	replaying := bound(maxBacktests, s.routed())
	served := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isPublic(r.URL.Path):
			s.routed().ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, pathConsul):
			waiting.ServeHTTP(w, r)
		case r.URL.Path == pathServiceStream:
			watching.ServeHTTP(w, r)
		case r.URL.Path == pathBacktest:
			replaying.ServeHTTP(w, r)
		default:
			limited.ServeHTTP(w, r)
		}
	})
	return identify(logAccess(config.Logger, recoverPanics(config.Logger, served)))
}

// routed is the mux with problems for what it does not know. Who has no token
// learns only that one is needed.
func (s *server) routed() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := s.mux.Handler(r)
		if pattern != "" && path.Clean(r.URL.Path) == r.URL.Path {
			s.mux.ServeHTTP(w, r)
			return
		}
		if !isPublic(r.URL.Path) {
			if err := s.authenticate(r); err != nil {
				s.problemFor(r.Context(), err).write(w, r)
				return
			}
		}
		if allow := s.allowed(r); allow != "" {
			p := kindMethodNotAllowed.problem(r.Method + " is not possible here; use " + allow)
			p.header.Set("Allow", allow)
			p.write(w, r)
			return
		}
		kindNotFound.problem("there is nothing at this path; see "+pathOpenAPIYAML).write(w, r)
	})
}

// allowed lists the methods that the path of a request has, if any.
func (s *server) allowed(r *http.Request) string {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.WithContext(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "" && path.Clean(r.URL.Path) == r.URL.Path {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}

// list turns a page of the domain into wire types.
func list[From, To any](items []From, convert func(From) To) []To {
	out := make([]To, len(items))
	for i, item := range items {
		out[i] = convert(item)
	}
	return out
}
