package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// maxBody bounds the body of a request.
	maxBody = 1 << 20
	// bodyTimeout bounds how long a client may take to send it.
	bodyTimeout = 15 * time.Second
)

// guarded is the huma.Adapter that puts the guard before every operation.
type guarded struct {
	*http.ServeMux
	server *server
}

// Handle registers an operation.
func (g guarded) Handle(op *huma.Operation, handle func(huma.Context)) {
	g.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		x, _ := exchangeFrom(r.Context())
		x.operation = op.OperationID
		call, err := g.server.admit(op, w, r)
		if err != nil {
			g.server.problemFor(r.Context(), err).write(w, r)
			return
		}
		r = r.WithContext(fleet.WithCall(r.Context(), call))
		r.Body = io.NopCloser(bytes.NewReader(x.body))
		handle(humago.NewContext(op, r, w))
	})
}

// admit authenticates, authorises, reads and checks a request. A request that
// gets through can be handled; nothing was changed by then.
func (s *server) admit(op *huma.Operation, w http.ResponseWriter, r *http.Request) (fleet.Call, error) {
	x, _ := exchangeFrom(r.Context())
	if _, public := publicOperations[op.OperationID]; !public {
		if err := s.authenticate(r); err != nil {
			return fleet.Call{}, err
		}
		if !slices.Contains(roles[op.OperationID], x.principal.Role) {
			return fleet.Call{}, fleet.Errorf(fleet.ErrForbidden, "the role %s does not allow %s", x.principal.Role, op.OperationID)
		}
	}
	parsed, err := x.read(op, w, r)
	if err != nil {
		return fleet.Call{}, err
	}
	if err := s.inspect(op, r, x, parsed); err != nil {
		return fleet.Call{}, err
	}
	return fleet.Call{
		Principal:      x.principal,
		IdempotencyKey: r.Header.Get(api.HeaderIdempotencyKey),
		Fingerprint:    fingerprint(r, parsed),
		RequestID:      x.id,
	}, nil
}

// authenticate finds the principal of the request's token.
func (s *server) authenticate(r *http.Request) error {
	x, _ := exchangeFrom(r.Context())
	secret := secretOf(r)
	if secret == "" {
		return kindUnauthenticated.problem("")
	}
	principal, err := s.Authenticator.Authenticate(r.Context(), secret)
	if errors.Is(err, fleet.ErrNotFound) {
		err = fleet.ErrUnauthenticated
	}
	x.principal = principal
	return err
}

// secretOf is the request's bearer token; empty when there is none, or several.
func secretOf(r *http.Request) string {
	values := r.Header.Values("Authorization")
	if len(values) == 0 && strings.HasPrefix(r.URL.Path, pathConsul) {
		if values = r.Header.Values(headerConsulToken); len(values) == 1 {
			return values[0]
		}
	}
	if len(values) != 1 {
		return ""
	}
	scheme, secret, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return secret
}

// inspect runs every check and returns all faults in one answer; an environment
// outside of the token's list is refused only when nothing else is wrong.
func (s *server) inspect(op *huma.Operation, r *http.Request, x *exchange, parsed any) error {
	f := &faults{}
	s.checker.parameters(f, op, r)
	if x.body != nil {
		s.checker.value(f, "body", op.RequestBody.Content["application/json"].Schema, parsed)
	}
	hidden := s.environments(f, r, x.principal, parsed)
	if check := s.semantics[op.OperationID]; check != nil {
		check(f, x.body)
	}
	if len(f.list) > 0 {
		return invalid(f.list)
	}
	if hidden != nil {
		return hidden
	}
	return nil
}

// environments checks every environment that the request names. It adds a fault
// for an unknown one and returns an error for one that the principal may not see.
func (s *server) environments(f *faults, r *http.Request, p fleet.Principal, parsed any) (hidden error) {
	type mention struct{ location, name string }
	var named []mention
	if name := r.URL.Query().Get("environment"); name != "" {
		named = append(named, mention{"query.environment", name})
	}
	if members, ok := parsed.(map[string]any); ok {
		if name, ok := members["environment"].(string); ok {
			named = append(named, mention{"body.environment", name})
		}
	}
	for _, m := range named {
		switch {
		case f.touches(m.location):
		case !slices.Contains(s.Environments, m.name):
			f.add(m.location, "%q is not an environment; known are %s", m.name, strings.Join(s.Environments, ", "))
		case !p.MaySee(m.name):
			hidden = fleet.FieldErrorf(fleet.ErrForbidden, m.location, "the token does not cover the environment %s", m.name)
		}
	}
	return hidden
}

// read reads and parses the body that the operation takes; nil for one that takes
// none, or to which it was not given.
func (x *exchange) read(op *huma.Operation, w http.ResponseWriter, r *http.Request) (any, error) {
	takes := op.RequestBody != nil && (op.RequestBody.Required || r.ContentLength != 0)
	if takes {
		if err := checkMediaType(r); err != nil {
			return nil, err
		}
	}
	control := http.NewResponseController(w)
	deadline := control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if deadline == nil {
		// A deadline that stayed would cancel a handler that works longer than it.
		_ = control.SetReadDeadline(time.Time{})
	}
	switch tooLarge := (*http.MaxBytesError)(nil); {
	case errors.As(err, &tooLarge):
		return nil, kindTooLarge.problem("")
	case err != nil:
		return nil, kindMalformed.problem("the body could not be read to its end")
	case op.RequestBody == nil && len(body) > 0:
		return nil, (&malformed{"body", "is not expected; this operation takes none"}).problem()
	case !takes:
		return nil, nil
	}
	parsed, err := parseJSON(body)
	if m := (*malformed)(nil); errors.As(err, &m) {
		return nil, m.problem()
	}
	x.body = body
	return parsed, err
}

func checkMediaType(r *http.Request) error {
	if r.Header.Get("Content-Encoding") != "" {
		return kindUnsupportedMedia.problem("send the body without Content-Encoding")
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return kindUnsupportedMedia.problem("")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return kindUnsupportedMedia.problem("send the body in UTF-8")
	}
	return nil
}

// fingerprint is the same for two requests that ask for the same thing: neither
// white space nor the order of members or parameters counts.
func fingerprint(r *http.Request, parsed any) []byte {
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.Path, r.URL.Query().Encode()} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	if parsed != nil {
		canonical, err := json.Marshal(parsed) // sorts members
		if err == nil {
			h.Write(canonical)
		}
	}
	return h.Sum(nil)
}

// problemFor translates an error and logs what the client is not told.
func (s *server) problemFor(ctx context.Context, err error) *problem {
	x, _ := exchangeFrom(ctx)
	root := "query"
	if x.body != nil {
		root = "body"
	}
	p := problemOf(err, root)
	switch {
	case p.Status == http.StatusInternalServerError:
		s.Logger.ErrorContext(ctx, "request failed", "request_id", x.id, "operation", x.operation, "error", err)
	case p.Status == http.StatusServiceUnavailable && ctx.Err() == nil:
		s.Logger.WarnContext(ctx, "request failed", "request_id", x.id, "operation", x.operation, "error", err)
	}
	return p
}
