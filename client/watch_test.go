package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// told sends text of a stream.
func told(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

const (
	snapshotEvent = "id: 7\nevent: snapshot\ndata: {\"services\":[{\"service_name\":\"api\"}]}\n\n"
	serviceEvent  = "id: 8\nevent: service\ndata: {\"service_name\":\"web\",\"environment\":\"staging\"}\n\n"
	removedEvent  = "id: 9\nevent: removed\ndata: {\"service_name\":\"api\",\"environment\":\"staging\"}\n\n"
)

// watched are the first steps of a watch, in words, up to most of them.
func watched(ctx context.Context, c *client.Client, most int) (steps []string) {
	for change, err := range c.WatchServices(ctx, api.ListServicesOptions{Environment: "staging", ServiceName: "api"}) {
		switch {
		case err != nil:
			steps = append(steps, err.Error())
		case change.Snapshot != nil:
			steps = append(steps, fmt.Sprintf("%d: all %d", change.Index, len(change.Snapshot.Services)))
		case change.Service != nil:
			steps = append(steps, fmt.Sprintf("%d: %s", change.Index, change.Service.ServiceName))
		default:
			steps = append(steps, fmt.Sprintf("%d: -%s", change.Index, change.Removed.ServiceName))
		}
		if len(steps) == most {
			return steps
		}
	}
	return append(steps, "over")
}

func TestWatchServices(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		told(w, ": hello\n\n"+snapshotEvent+": keep-alive\n\nevent: later\ndata: [1]\n\nretry: 5\n"+strings.ReplaceAll(serviceEvent, "\n", "\r\n")+removedEvent)
		<-r.Context().Done()
	})
	if got, want := watched(t.Context(), newClient(t, srv.URL), 3), []string{"7: all 1", "8: web", "9: -api"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if got := srv.all()[0]; got.Method != http.MethodGet || got.URI != "/api/containers/services/stream?environment=staging&service_name=api" || got.Authorization != "Bearer "+testToken {
		t.Errorf("asked %+v", got)
	}
}

// TestWatchServicesAgain: a stream that was lost is made anew, whatever broke it.
func TestWatchServicesAgain(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request, attempt int) {
		switch attempt {
		case 1, 4:
			told(w, snapshotEvent+"id: 8\nevent: serv")
			reset(w)
		case 2:
			reset(w)
		case 3:
			problem(w, api.Problem{Status: 503, Code: api.CodeUnavailable, Detail: "too many"})
		default:
			told(w, snapshotEvent+serviceEvent)
		}
	})
	got := watched(t.Context(), newClient(t, srv.URL), 4)
	if want := []string{"7: all 1", "7: all 1", "7: all 1", "8: web"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestWatchServicesEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		respond  func(http.ResponseWriter)
		want     string
		attempts int
	}{
		"refused": {func(w http.ResponseWriter) {
			problem(w, api.Problem{Status: 403, Code: api.CodeForbidden, Detail: "not for you"})
		}, "not for you", 1},
		"unavailable": {func(w http.ResponseWriter) {
			problem(w, api.Problem{Status: 503, Code: api.CodeUnavailable, Detail: "too many"})
		}, "too many", 4},
		"lost":           {reset, "no answer from", 4},
		"empty":          {func(w http.ResponseWriter) { told(w, ": hello\n\n") }, "EOF", 4},
		"no stream":      {func(w http.ResponseWriter) { answer(w, 200, struct{}{}) }, "not from wedsyncd", 1},
		"no JSON":        {func(w http.ResponseWriter) { told(w, "id: 1\nevent: service\ndata: {\n\n") }, `decode event "service"`, 1},
		"no index":       {func(w http.ResponseWriter) { told(w, "event: service\ndata: {}\n\n") }, `decode event "service"`, 1},
		"line too long":  {func(w http.ResponseWriter) { told(w, "data: "+strings.Repeat("x", 64<<20)) }, "larger than 64 MiB", 1},
		"event too long": {func(w http.ResponseWriter) { told(w, strings.Repeat("data: "+strings.Repeat("x", 33<<20)+"\n", 2)) }, "larger than 64 MiB", 1},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { tt.respond(w) })
			got := watched(t.Context(), newClient(t, srv.URL), 0)
			if len(got) != 2 || !strings.Contains(got[0], tt.want) || got[1] != "over" || len(srv.all()) != tt.attempts {
				t.Errorf("told %.200q after %d attempts, want %q after %d", got, len(srv.all()), tt.want, tt.attempts)
			}
		})
	}
}

// TestWatchServicesStops: the end of the context is the end, and no error.
func TestWatchServicesStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		told(w, snapshotEvent)
		cancel()
		<-r.Context().Done()
	})
	if got := watched(ctx, newClient(t, srv.URL), 0); !slices.Equal(got, []string{"7: all 1", "over"}) && !slices.Equal(got, []string{"over"}) {
		t.Errorf("told %q", got)
	}
}

// silentTransport answers with a stream that says one thing, and nothing more.
type silentTransport struct{ attempts int }

func (s *silentTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	s.attempts++
	body, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, snapshotEvent)
		<-r.Context().Done()
		w.CloseWithError(r.Context().Err())
	}()
	answer := httptest.NewRecorder()
	answer.Header().Set("Content-Type", "text/event-stream")
	answer.WriteHeader(http.StatusOK)
	resp := answer.Result()
	resp.Body, resp.Request = body, r
	return resp, nil
}

// TestWatchServicesSilence: a stream without a sign of life is given up, although the
// connection stands; and one that has such signs outlasts the bound of other requests.
func TestWatchServicesSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := &silentTransport{}
		c := newClient(t, "http://127.0.0.1:1", client.WithTransport(silent))
		began := time.Now()
		got := watched(t.Context(), c, 3)
		if took := time.Since(began); !slices.Equal(got, []string{"7: all 1", "7: all 1", "7: all 1"}) || silent.attempts != 3 || took < 90*time.Second || took > 2*time.Minute {
			t.Errorf("told %q in %d attempts within %s", got, silent.attempts, took)
		}
	})
}

func ExampleClient_RegisterEndpoint() {
	daemon := exampleDaemon()
	defer daemon.Close()

	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	endpoint, err := c.RegisterEndpoint(ctx, "billing", api.RegisterEndpointRequest{
		Environment: "staging", EndpointURL: "http://10.20.0.7:8080", TTLSeconds: 30,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Every ten seconds, until it ends:
	err = c.Heartbeat(ctx, "billing", endpoint.InstanceID, api.HeartbeatRequest{Status: api.HeartbeatPassing})
	if client.IsNotFound(err) {
		fmt.Println("it has expired; register it again")
	}
	if err := c.DeregisterEndpoint(ctx, "billing", endpoint.InstanceID); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(endpoint.EndpointURL)
	// Output: http://10.20.0.7:8080
}

func ExampleClient_WatchServices() {
	daemon := exampleDaemon()
	defer daemon.Close()

	c, err := client.New(daemon.URL, "a-token")
	if err != nil {
		fmt.Println(err)
		return
	}
	for change, err := range c.WatchServices(context.Background(), api.ListServicesOptions{Environment: "staging"}) {
		switch {
		case err != nil:
			fmt.Println(err)
			return
		case change.Snapshot != nil:
			fmt.Println(len(change.Snapshot.Services), "services")
		case change.Service != nil:
			fmt.Println(change.Service.ServiceName, change.Service.HealthyInstances)
		case change.Removed != nil:
			fmt.Println(change.Removed.ServiceName, "has gone")
			return
		}
	}
	// Output:
	// 1 services
	// web 0
	// api has gone
}
