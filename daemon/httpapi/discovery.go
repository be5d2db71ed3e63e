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
		s.mux.HandleFunc("GET "+path, s.discover)
	}
}

func (s *server) discover(w http.ResponseWriter, r *http.Request) {
	x, _ := exchangeFrom(r.Context())
	x.operation = "discovery"
	err := s.authenticate(r)
	if err == nil && !slices.Contains(everyone, x.principal.Role) {
		err = fleet.Errorf(fleet.ErrForbidden, "the role %s does not allow discovery", x.principal.Role)
	}
	if err != nil {
		s.problemFor(r.Context(), err).write(w, r)
		return
	}
	call := fleet.Call{Principal: x.principal, RequestID: x.id}
	s.Discovery.ServeHTTP(w, r.WithContext(fleet.WithCall(r.Context(), call)))
}
