package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	pathServiceStream = pathServices + "/stream"
	eventMediaType    = "text/event-stream"
	// maxWatchers bounds the streams that are open.
	maxWatchers = 256
	// keepAliveEvery is how often a stream shows that it is alive, and is looked
	// whether its token still is.
	keepAliveEvery = 15 * time.Second
	// sendTime is how long a watcher may take to take what is sent.
	sendTime = 30 * time.Second

	exampleStream = `id: 1780734600001
event: snapshot
data: {"services":[]}

id: 1780734600002
event: service
data: {"service_name":"api","environment":"staging","instances":[],"total_instances":0,"healthy_instances":0}

: keep-alive

id: 1780734600003
event: removed
data: {"service_name":"api","environment":"staging"}

`
)

// watchServices answers with a stream. Where nothing can come, it is a problem.
func (s *server) watchServices(_ context.Context, in *ListServicesInput) (*huma.StreamResponse, error) {
	switch now := s.Registry.Current(); {
	case now.Closed:
		return nil, fleet.Errorf(fleet.ErrUnavailable, "wedsyncd is ending; try again")
	case now.Index == 0:
		return nil, fleet.Errorf(fleet.ErrUnavailable, "wedsyncd has just started and has not read its registry; try again")
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		r, w := humago.Unwrap(c)
		t := &serviceStream{server: s, request: r, writer: w, control: http.NewResponseController(w), in: in, told: map[fleet.Service]uint64{}}
		t.run()
	}}, nil
}

// serviceStream is one stream to one watcher.
type serviceStream struct {
	*server

	request *http.Request
	writer  http.ResponseWriter
	control *http.ResponseController
	in      *ListServicesInput
	// told are the services that the watcher knows, and at which index each last changed.
	told map[fleet.Service]uint64
	out  bytes.Buffer
}

// run sends until the watcher has gone, cannot keep up or may not watch any more, or
// nothing new will come.
func (t *serviceStream) run() {
	// The server's own limits are for answers that end. They may be out of reach in tests.
	_ = t.control.SetReadDeadline(time.Time{})
	t.writer.Header().Set("Content-Type", eventMediaType)
	t.writer.Header().Set("X-Accel-Buffering", "no") // nginx in front would keep events back
	alive := time.NewTicker(keepAliveEvery)
	defer alive.Stop()
	defer t.Registry.Watch()()
	registry := t.Registry.Current()
	err := t.snapshot(registry)
	for err == nil && !registry.Closed {
		select {
		case <-t.request.Context().Done():
			return
		case <-registry.Superseded:
			registry = t.Registry.Current()
			err = t.changes(registry)
		case <-alive.C:
			if !t.admitted() {
				return
			}
			t.out.WriteString(": keep-alive\n\n")
			err = t.send()
		}
	}
}

// admitted asks anew whether the token is valid. That nobody knows, because the
// database is away, is no reason to end.
func (t *serviceStream) admitted() bool {
	err := t.authenticate(t.request)
	var refused *problem
	return !errors.Is(err, fleet.ErrUnauthenticated) && !errors.As(err, &refused)
}

// shows reports whether the watcher asked for the service and may see it.
func (t *serviceStream) shows(s fleet.Service) bool {
	call, _ := fleet.CallFrom(t.request.Context())
	return call.Principal.MaySee(s.Environment) && (t.in.Environment == "" || t.in.Environment == s.Environment) &&
		(t.in.ServiceName == "" || t.in.ServiceName == s.Name)
}

func (t *serviceStream) snapshot(registry fleet.Registry) error {
	all := api.ServiceList{Services: []api.Service{}}
	for _, s := range registry.Services {
		if t.shows(s.Service) {
			t.told[s.Service] = s.Index
			all.Services = append(all.Services, serviceToAPI(s.Name, s.Environment, s.Endpoints))
		}
	}
	t.event(registry.Index, api.EventSnapshot, all)
	return t.send()
}

// changes sends what the watcher does not know.
func (t *serviceStream) changes(registry fleet.Registry) error {
	there := make(map[fleet.Service]bool, len(t.told))
	for _, s := range registry.Services {
		if !t.shows(s.Service) {
			continue
		}
		there[s.Service] = true
		if known, ok := t.told[s.Service]; !ok || known != s.Index {
			t.told[s.Service] = s.Index
			t.event(registry.Index, api.EventService, serviceToAPI(s.Name, s.Environment, s.Endpoints))
		}
	}
	for s := range t.told {
		if there[s] {
			continue
		}
		delete(t.told, s)
		t.event(registry.Index, api.EventRemoved, api.ServiceRemoved{ServiceName: s.Name, Environment: s.Environment})
	}
	return t.send()
}

// event puts an event into what is to be sent. JSON has no line breaks.
func (t *serviceStream) event(index uint64, name string, data any) {
	encoded, err := json.Marshal(data)
	if err != nil {
		panic("marshal an event: " + err.Error()) // strings, numbers and times always have a JSON form
	}
	fmt.Fprintf(&t.out, "id: %d\nevent: %s\ndata: %s\n\n", index, name, encoded)
}

func (t *serviceStream) send() error {
	if t.out.Len() == 0 {
		return nil
	}
	_ = t.control.SetWriteDeadline(time.Now().Add(sendTime))
	_, err := t.out.WriteTo(t.writer)
	if err == nil {
		err = t.control.Flush()
	}
	return err
}
