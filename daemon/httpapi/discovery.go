package httpapi

import (
	"net/http"
	"slices"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// pathHTTPDiscovery is where monitoring looks for its targets.
	pathHTTPDiscovery = "/http_sd"
	// pathConsul is the root of Consul's API.
	pathConsul = "/v1/"
	// headerConsulToken is how clients of Consul send a token.
	headerConsulToken = "X-Consul-Token"
)

// serveDiscovery puts authentication before Config.Discovery.
func (s *server) serveDiscovery() {
	if s.Discovery == nil {
		return
	}
	for _, path := range []string{pathHTTPDiscovery, pathConsul} {
		s.mux.HandleFunc("GET "+path, s.admitting("discovery", s.Discovery))
	}
}

// admitting puts authentication before a handler that stands beside the API, for
// programs that have formats of their own. The handler shows what the principal
// of its context's call may see.
func (s *server) admitting(operation string, next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x, _ := exchangeFrom(r.Context())
		x.operation = operation
		err := s.authenticate(r)
		if err == nil && !slices.Contains(everyone, x.principal.Role) {
			err = fleet.Errorf(fleet.ErrForbidden, "the role %s does not allow it", x.principal.Role)
		}
		if err != nil {
			s.problemFor(r.Context(), err).write(w, r)
			return
		}
		call := fleet.Call{Principal: x.principal, RequestID: x.id}
		next.ServeHTTP(w, r.WithContext(fleet.WithCall(r.Context(), call)))
	}
}
