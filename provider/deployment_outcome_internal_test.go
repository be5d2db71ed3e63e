package provider

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// TestDrains: an abort has the patience that the requests of what it undoes may need.
func TestDrains(t *testing.T) {
	deployments := map[string]api.Deployment{"first": {ID: "first"}, "lost": {ID: "lost", RollbackID: "unknown"}}
	for id, seconds := range map[string]int{"short": 50, "long": 86400} {
		deployments[id] = api.Deployment{ID: id, RollbackID: "back-" + id, RolloutConfig: api.RolloutConfig{DrainTime: new(7)}}
		deployments["back-"+id] = api.Deployment{ID: "back-" + id, RolloutConfig: api.RolloutConfig{DrainTime: new(seconds)}}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, ok := deployments[path.Base(r.URL.Path)]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if err := json.NewEncoder(w).Encode(d); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	c, err := client.New(srv.URL, "wst_fake_token")
	if err != nil {
		t.Fatal(err)
	}
	r := &deploymentResource{}
	r.client = c
	for id, want := range map[string]time.Duration{"short": 50 * time.Second, "long": drainPatience, "first": 0, "lost": 0} {
		if got := r.drains(t.Context(), id); got != want {
			t.Errorf("%s has %s, want %s", id, got, want)
		}
	}
}
