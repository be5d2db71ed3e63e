package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/httpapi"
)

func TestProblemsOfErrors(t *testing.T) {
	tests := []struct {
		err    error
		status int
		code   string
		detail string // a part of it
		field  string
	}{
		{fleet.ErrNotFound, 404, api.CodeNotFound, "there is no definition", ""},
		{fleet.Errorf(fleet.ErrNotFound, "gone since noon"), 404, api.CodeNotFound, "gone since noon", ""},
		{fmt.Errorf("select: %w", fleet.ErrNotFound), 404, api.CodeNotFound, "there is no definition", ""},
		{fleet.FieldErrorf(fleet.ErrAlreadyExists, "name", "taken"), 409, api.CodeAlreadyExists, "taken", "body.name"},
		{fleet.ErrConflict, 409, api.CodeConflict, "current state", ""},
		{fleet.ErrInUse, 409, api.CodeInUse, "still needs", ""},
		{fleet.ErrPortTaken, 409, api.CodeConflict, "host port", ""},
		{fleet.ErrForbidden, 403, api.CodeForbidden, "do not allow", ""},
		{fleet.ErrUnauthenticated, 401, api.CodeUnauthenticated, "Bearer", ""},
		{fleet.ErrIdempotencyMismatch, 409, api.CodeIdempotencyMismatch, "Idempotency-Key", ""},
		{fleet.ErrImageNotFound, 422, api.CodeImageNotFound, "image", ""},
		{fleet.FieldErrorf(fleet.ErrRefused, "network_config.internal_networks[0]", "no such network"), 422, api.CodeInvalid, "no such network", "body.network_config.internal_networks[0]"},
		{fleet.FieldErrorf(fleet.ErrInvalid, "query.cursor", "no cursor"), 422, api.CodeInvalid, "no cursor", "query.cursor"},
		{&fleet.InvalidError{Fields: []fleet.FieldError{{Field: "name", Message: "bad"}}}, 422, api.CodeInvalid, "1 field is invalid", "body.name"},
		{fleet.ErrUnavailable, 503, api.CodeUnavailable, "try again", ""},
		{context.DeadlineExceeded, 503, api.CodeUnavailable, "too long", ""},
		{errors.New("password=hunter2"), 500, api.CodeInternal, "log", ""},
		{fmt.Errorf("password=hunter2: %w", fleet.ErrConflict), 409, api.CodeConflict, "current state", ""},
	}
	for _, tc := range tests {
		t.Run(tc.err.Error(), func(t *testing.T) {
			w := newWorld(t)
			w.fail = tc.err
			answer := w.do(t, request{method: "PUT", path: definitions + "/" + newID(), body: `{"image_tag":"v2"}`})
			if strings.Contains(answer.Body.String(), "hunter2") {
				t.Errorf("the answer holds what is for the log: %s", answer.Body)
			}
			switch {
			case tc.status == 503 && answer.Header().Get("Retry-After") == "":
				t.Error("no Retry-After")
			case tc.status == 401 && !strings.HasPrefix(answer.Header().Get("WWW-Authenticate"), "Bearer"):
				t.Error("no WWW-Authenticate")
			case tc.status == 500 && !strings.Contains(w.log.String(), "hunter2"):
				t.Error("the cause is not in the log")
			}
			p := problem(t, answer)
			if p.Status != tc.status || p.Code != tc.code || !strings.Contains(p.Detail, tc.detail) {
				t.Errorf("%+v, want %d %s with %q", p, tc.status, tc.code, tc.detail)
			}
			if field := fieldOf(p); field != tc.field {
				t.Errorf("field %q, want %q", field, tc.field)
			}
		})
	}
}

func fieldOf(p api.Problem) string {
	if len(p.Errors) == 0 {
		return ""
	}
	return p.Errors[0].Location
}

// TestFieldsOfQueries names a domain error's field where the request had it.
func TestFieldsOfQueries(t *testing.T) {
	w := newWorld(t)
	w.fail = fleet.FieldErrorf(fleet.ErrInvalid, "cursor", "is not a cursor of this list")
	if p := problem(t, w.do(t, request{method: "GET", path: definitions + "?cursor=abc"})); fieldOf(p) != "query.cursor" {
		t.Errorf("%+v", p)
	}
}

func TestUnauthenticated(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"", "Bearer", "Bearer ", "Bearer nobody", "Token admin", "admin"} {
		answer := w.do(t, request{method: "GET", path: definitions, header: http.Header{"Authorization": {value}}})
		if got := answer.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
			t.Errorf("%q: WWW-Authenticate %q", value, got)
		}
		if p := problem(t, answer); p.Status != 401 {
			t.Errorf("%q: %+v", value, p)
		}
	}
	if got := w.do(t, request{method: "GET", path: definitions, header: http.Header{"Authorization": {"bearer admin"}}}); got.Code != 200 {
		t.Errorf("scheme in lower case: %d", got.Code)
	}
	if len(w.calls) != 1 {
		t.Errorf("the store was called %d times, want once", len(w.calls))
	}
}

// TestBodyOfStrangerIsNotRead sends a large body without a token.
func TestBodyOfStrangerIsNotRead(t *testing.T) {
	w := newWorld(t)
	body := &countingReader{left: 10 << 20}
	r := httptest.NewRequest(http.MethodPost, definitions, body)
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	if p := problem(t, answer); p.Status != 401 || body.read != 0 {
		t.Errorf("%d after %d bytes, want 401 after none", p.Status, body.read)
	}
	r = httptest.NewRequest(http.MethodPost, definitions, body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer admin")
	answer = httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	if p := problem(t, answer); p.Status != 413 || body.read > 2<<20 {
		t.Errorf("%d after %d bytes, want 413 after little more than 1 MiB", p.Status, body.read)
	}
}

type countingReader struct{ left, read int }

func (c *countingReader) Read(p []byte) (int, error) {
	n := min(len(p), c.left)
	for i := range n {
		p[i] = ' '
	}
	c.left -= n
	c.read += n
	return n, nil
}

func TestMethodNotAllowed(t *testing.T) {
	w := newWorld(t)
	tests := map[string]string{
		definitions:                           "GET, POST",
		definitions + "/" + newID():           "GET, PUT, DELETE",
		instances + "/" + newID() + "/deploy": "POST, DELETE",
		instances + "/" + newID() + "/logs":   "GET",
		"/healthz":                            "GET",
	}
	for path, allow := range tests {
		answer := w.do(t, request{method: "PATCH", path: path})
		if got := answer.Header().Get("Allow"); got != allow {
			t.Errorf("%s allows %q, want %q", path, got, allow)
		}
		if p := problem(t, answer); p.Status != 405 || p.Code != "method_not_allowed" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := decode[httpapi.Health](t, w.do(t, request{method: "GET", path: path, token: "-"}), 200); got.Status != "ok" || got.Version != "1.2.3" {
			t.Errorf("%s: %+v", path, got)
		}
	}
	w.fail, w.engine.fail = errors.New("dial /run/secret.sock"), errors.New("refused")
	if got := w.do(t, request{method: "GET", path: "/healthz", token: "-"}); got.Code != 200 {
		t.Errorf("/healthz without a database: %d", got.Code)
	}
	p := problem(t, w.do(t, request{method: "GET", path: "/readyz", token: "-"}))
	if p.Status != 503 || p.Detail != "the database does not answer; the container engine does not answer" {
		t.Errorf("/readyz: %+v", p)
	}
	if !strings.Contains(w.log.String(), "secret.sock") {
		t.Error("the cause is not in the log")
	}
}

// TestCall looks at the circumstances that reach the store.
func TestCall(t *testing.T) {
	w := newWorld(t)
	post := func(path, body, key string) fleet.Call {
		t.Helper()
		header := http.Header{}
		if key != "" {
			header.Set("Idempotency-Key", key)
		}
		answer := w.do(t, request{method: "POST", path: path, body: body, header: header})
		call := w.calls[len(w.calls)-1]
		if call.RequestID != answer.Header().Get("X-Request-Id") {
			t.Errorf("request id %s, the answer says %s", call.RequestID, answer.Header().Get("X-Request-Id"))
		}
		if id, err := uuid.Parse(call.RequestID); err != nil || id.Version() != 7 {
			t.Errorf("request id %q is not a UUIDv7", call.RequestID)
		}
		return call
	}
	first := post(definitions, `{"name":"a","service_name":"api","image_name":"x","resource_limits":{"cpu":"1","memory":"1Gi"},"scaling_config":{"min_replicas":1,"max_replicas":3}}`, "key-1")
	if first.Principal.Name != "admin" || first.IdempotencyKey != "key-1" || len(first.Fingerprint) != 32 {
		t.Errorf("call %+v", first)
	}
	same := post(definitions, ` {"scaling_config":{"max_replicas":3, "min_replicas":1},"name":"a","service_name":"api","image_name":"x","resource_limits":{"memory":"1Gi","cpu":"1"}}`, "")
	if same.IdempotencyKey != "" || !bytes.Equal(same.Fingerprint, first.Fingerprint) {
		t.Error("white space and order change the fingerprint")
	}
	other := post(definitions, `{"name":"b","service_name":"api","image_name":"x","resource_limits":{"cpu":"1","memory":"1Gi"},"scaling_config":{"min_replicas":1,"max_replicas":3}}`, "")
	if bytes.Equal(other.Fingerprint, first.Fingerprint) {
		t.Error("another body has the same fingerprint")
	}
	deploy := instances + "/" + newID() + "/deploy"
	w.do(t, request{method: "DELETE", path: deploy + "?environment=staging"})
	staging := w.calls[len(w.calls)-1].Fingerprint
	w.do(t, request{method: "DELETE", path: deploy + "?environment=production"})
	if bytes.Equal(staging, w.calls[len(w.calls)-1].Fingerprint) {
		t.Error("another query has the same fingerprint")
	}
}

func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.onCall = func() { panic("the sky falls") }
	answer := w.do(t, request{method: "GET", path: definitions})
	if strings.Contains(answer.Body.String(), "sky") {
		t.Errorf("the answer holds the panic: %s", answer.Body)
	}
	if p := problem(t, answer); p.Status != 500 || p.Code != "internal" {
		t.Errorf("%+v", p)
	}
	if log := w.log.String(); !strings.Contains(log, "the sky falls") || !strings.Contains(log, "guard_test.go") || !strings.Contains(log, `"status":500`) {
		t.Errorf("the log lacks the panic, its stack or the status: %s", log)
	}
}

func TestAccessLog(t *testing.T) {
	w := newWorld(t)
	w.do(t, request{method: "GET", path: definitions + "?name=query-secret"})
	w.do(t, request{method: "POST", path: definitions, body: with(t, goodDefinition, object{
		"environment_config":   object{"TOKEN": "body-secret"},
		"registry_credentials": object{"username": "u", "password": "password-secret"},
	}), header: http.Header{"Idempotency-Key": {"header-secret"}, "Authorization": {"Bearer admin"}}})
	w.do(t, request{method: "GET", path: definitions, token: "token-secret"})
	if strings.Contains(w.log.String(), "-secret") {
		t.Errorf("the log holds a secret: %s", w.log)
	}
	var line struct {
		Method, Path, Operation, Principal string
		Status                             int
		Bytes                              int
		RequestID                          string `json:"request_id"`
	}
	first, _, _ := strings.Cut(w.log.String(), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatal(err)
	}
	if line.Method != http.MethodGet || line.Path != definitions || line.Operation != "listDefinitions" || line.Principal != "admin" ||
		line.Status != 200 || line.Bytes == 0 || line.RequestID == "" {
		t.Errorf("line %+v", line)
	}
}

// TestBusy fills every slot, and asks once more.
func TestBusy(t *testing.T) {
	t.Run("requests", func(t *testing.T) {
		testBusy(t, newWorld(t), 256, request{method: "GET", path: definitions})
	})
	t.Run("backtests, of which few keep no other request out", func(t *testing.T) {
		w, definition := measuredWorld(t, 90)
		testBusy(t, w, 2, request{method: "POST", path: backtest, body: backtestOf(definition, "")})
	})
}

func testBusy(t *testing.T, w *world, slots int, busy request) {
	t.Helper()
	entered, release := make(chan struct{}), make(chan struct{})
	w.onCall = func() {
		select {
		case entered <- struct{}{}:
			<-release
		case <-release: // by one that has entered before
		}
	}
	var all sync.WaitGroup
	for range slots {
		all.Go(func() { w.do(t, busy) })
	}
	for range slots {
		<-entered
	}
	answer := w.do(t, busy)
	if answer.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if p := problem(t, answer); p.Status != 503 || p.Code != "unavailable" {
		t.Errorf("%+v", p)
	}
	if got := w.do(t, request{method: "GET", path: "/healthz", token: "-"}); got.Code != 200 {
		t.Errorf("/healthz while busy: %d", got.Code)
	}
	close(release)
	all.Wait()
	w.onCall = nil
	if got := w.do(t, busy); got.Code != 200 {
		t.Errorf("afterwards: %d", got.Code)
	}
}

// TestAcceptIsAlwaysJSON asks for what there is not.
func TestAcceptIsAlwaysJSON(t *testing.T) {
	w := newWorld(t)
	for _, accept := range []string{"text/html", "application/cbor", "*/*", "application/json;q=0"} {
		answer := w.do(t, request{method: "GET", path: definitions, header: http.Header{"Accept": {accept}}})
		if answer.Code != 200 || answer.Header().Get("Content-Type") != "application/json" {
			t.Errorf("Accept %q: %d %s", accept, answer.Code, answer.Header().Get("Content-Type"))
		}
	}
}

// deadlines notes the read deadlines that are set on the connection.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// TestReadDeadline: a slow body is cut off, a slow handler is not.
func TestReadDeadline(t *testing.T) {
	w := newWorld(t)
	answer := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	w.onCall = func() {
		if len(answer.set) < 2 || answer.set[0].IsZero() || !answer.set[len(answer.set)-1].IsZero() {
			t.Errorf("deadlines when the handler works: %v; want one that was lifted again", answer.set)
		}
	}
	r := httptest.NewRequest(http.MethodPost, definitions, strings.NewReader(goodDefinition))
	r.Header.Set("Authorization", "Bearer admin")
	r.Header.Set("Content-Type", "application/json")
	w.handler.ServeHTTP(answer, r)
	if answer.Code != 201 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
