package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// TestExternalEndpoint: something that wedsyncd does not run gets requests for as long
// as its heartbeats come, by whichever daemon, or else as long as it answers; and
// whoever watches is told.
func TestExternalEndpoint(t *testing.T) {
	f := start(t)
	second := f.Another(t)
	standby := second.Client(t)
	ctx := t.Context()
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "outside") }))
	defer outside.Close()

	watching, leave := context.WithCancel(ctx)
	defer leave()
	next, stop := iter.Pull2(standby.WatchServices(watching, api.ListServicesOptions{Environment: "staging", ServiceName: "billing"}))
	defer stop()
	told := func() client.ServiceChange {
		t.Helper()
		change, err, ok := next()
		if err != nil || !ok {
			t.Fatalf("the stream ended: %v", err)
		}
		return change
	}
	if change := told(); change.Snapshot == nil || len(change.Snapshot.Services) != 0 {
		t.Fatalf("at first was told %+v", change)
	}

	e, err := f.client.RegisterEndpoint(ctx, "billing", api.RegisterEndpointRequest{Environment: "staging", EndpointURL: outside.URL, TTLSeconds: 5})
	if err != nil {
		t.Fatal(err)
	}
	if change := told(); change.Service == nil || change.Service.Instances[0].EndpointURL != outside.URL {
		t.Errorf("of the registration was told %+v", change)
	}
	answers := func() string {
		req, err := http.NewRequest(http.MethodGet, "http://"+f.Traffic, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "billing.staging.localhost"
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			return res.Status
		}
		return string(body)
	}
	eventually(t, "it gets requests", func() bool { return answers() == "outside" })

	beat := func(status string, want bool) {
		t.Helper()
		began := time.Now()
		if err := standby.Heartbeat(ctx, "billing", e.InstanceID, api.HeartbeatRequest{Status: status}); err != nil {
			t.Fatal(err)
		}
		if change := told(); change.Service == nil || change.Service.Instances[0].IsHealthy != want {
			t.Errorf("of a heartbeat that is %s was told %+v", status, change)
		}
		t.Logf("a heartbeat that is %s was told after %s", status, time.Since(began))
	}
	beat(api.HeartbeatCritical, false)
	eventually(t, "it gets no requests", func() bool { return strings.HasPrefix(answers(), "503") })
	beat(api.HeartbeatPassing, true)
	eventually(t, "it gets requests again", func() bool { return answers() == "outside" })

	heard := func() time.Time {
		s, err := f.client.DiscoverService(ctx, "billing", api.DiscoverRequest{Environment: "staging"})
		if err != nil || s.TotalInstances != 1 {
			t.Fatalf("the service is %+v, %v", s, err)
		}
		return s.Instances[0].LastHeartbeat
	}
	last := heard()
	eventually(t, "it has answered a probe", func() bool { return heard().After(last) })

	outside.Close()
	if change := told(); change.Removed == nil || change.Removed.ServiceName != "billing" {
		t.Errorf("of the expiry was told %+v", change)
	}
	if err := standby.Heartbeat(ctx, "billing", e.InstanceID, api.HeartbeatRequest{}); !client.IsNotFound(err) {
		t.Errorf("a heartbeat after it has expired: %v", err)
	}
	events, err := f.client.ListEvents(ctx, api.ListEventsOptions{EventType: fleet.EventEndpointExpired})
	if err != nil || len(events.Events) != 1 || !strings.Contains(fmt.Sprint(events.Events[0].EventData["probe"]), "connection refused") {
		t.Errorf("events are %+v, %v", events.Events, err)
	}

	began := time.Now()
	second.Stop()
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("the daemon took %s to end, as if it waited for the stream to", took)
	}
}
