package discovery

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Handler answers GET /http_sd, for Prometheus, and the reading part of Consul's
// API under /v1/. The request's principal is that of [fleet.CallFrom], which
// whoever authenticates has put there; without one the answer is 401. Nothing
// shows whether an environment exists that the principal may not see.
func (d *Directory) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /http_sd", d.serveTargets)
	d.consulRoutes(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := fleet.CallFrom(r.Context()); !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "send a token of wedsyncd as Authorization: Bearer TOKEN")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// seen is what the request's principal sees of the snapshot.
func seen(s *snapshot, r *http.Request) view {
	call, _ := fleet.CallFrom(r.Context())
	return view{snapshot: s, sees: call.Principal.MaySee}
}

// refuse answers in one line of text, as Consul does.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

func writeJSON(w http.ResponseWriter, body any) {
	data, err := json.Marshal(body)
	if err != nil { // impossible: bodies are maps, slices and structs of text and numbers
		refuse(w, http.StatusInternalServerError, "encode answer: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(data) // who asked may have gone
}
