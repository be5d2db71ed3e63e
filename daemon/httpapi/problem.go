package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const problemMediaType = "application/problem+json"

// kind is one kind of problem: how a sentinel is told to a client.
type kind struct {
	sentinel error
	status   int
	code     string
	title    string
	// detail stands where the error has no sentence that is safe to show.
	detail string
}

// kinds is the one table from errors to answers. The first sentinel that
// matches decides; an error that none matches is internal.
var kinds = []kind{
	{fleet.ErrInvalid, http.StatusUnprocessableEntity, api.CodeInvalid, "Invalid request", "the request is invalid"},
	{fleet.ErrUnauthenticated, http.StatusUnauthorized, api.CodeUnauthenticated, "Not authenticated", "send a valid token as Authorization: Bearer <token>"},
	{fleet.ErrForbidden, http.StatusForbidden, api.CodeForbidden, "Not allowed", "the token's role or environments do not allow this"},
	{fleet.ErrNotFound, http.StatusNotFound, api.CodeNotFound, "Not found", "it does not exist, or lies in an environment that the token does not cover"},
	{fleet.ErrAlreadyExists, http.StatusConflict, api.CodeAlreadyExists, "Already exists", "the name is taken; choose another one"},
	{fleet.ErrInUse, http.StatusConflict, api.CodeInUse, "In use", "something else still needs it"},
	{fleet.ErrPortTaken, http.StatusConflict, api.CodeConflict, "Conflict", "another process holds the host port"},
	{fleet.ErrConflict, http.StatusConflict, api.CodeConflict, "Conflict", "the request does not fit the current state; read it again and decide anew"},
	{fleet.ErrIdempotencyMismatch, http.StatusConflict, api.CodeIdempotencyMismatch, "Idempotency key reused", "the Idempotency-Key was used with another request; send a new key"},
	{fleet.ErrImageNotFound, http.StatusUnprocessableEntity, api.CodeImageNotFound, "Image not found", "neither the engine nor the registry has the image"},
	{fleet.ErrRefused, http.StatusUnprocessableEntity, api.CodeInvalid, "Refused by the engine", "the container engine does not accept the request"},
	{fleet.ErrUnavailable, http.StatusServiceUnavailable, api.CodeUnavailable, "Unavailable", "the database or the container engine cannot be reached; try again"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, api.CodeUnavailable, "Unavailable", "the request took too long; try again"},
	{context.Canceled, http.StatusServiceUnavailable, api.CodeUnavailable, "Unavailable", "the request was given up"},
}

// Kinds of problem that arise from HTTP itself, not from an error of the domain.
var (
	kindInvalid          = kinds[0]
	kindMalformed        = kind{nil, http.StatusBadRequest, api.CodeInvalid, "Malformed request", "the request cannot be read"}
	kindUnauthenticated  = kinds[1]
	kindNotFound         = kinds[3]
	kindConflict         = kinds[7]
	kindUnavailable      = kinds[11]
	kindMethodNotAllowed = kind{nil, http.StatusMethodNotAllowed, api.CodeMethodNotAllowed, "Method not allowed", "the path does not have this method"}
	kindTooLarge         = kind{nil, http.StatusRequestEntityTooLarge, api.CodeTooLarge, "Request too large", "the body is larger than 1 MiB"}
	kindUnsupportedMedia = kind{nil, http.StatusUnsupportedMediaType, api.CodeUnsupportedMediaType, "Unsupported media type", "send the body as Content-Type: application/json"}
	kindInternal         = kind{nil, http.StatusInternalServerError, api.CodeInternal, "Internal error", "something went wrong inside of wedsyncd; its log has the details under this request_id"}
)

// retryAfterSeconds is what a client is told to wait when something is unavailable.
const retryAfterSeconds = "1"

// problem is an error answer on its way out.
type problem struct {
	api.Problem
	header http.Header
}

// GetStatus makes it a huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders makes it a huma.HeadersError.
func (p *problem) GetHeaders() http.Header { return p.header }

// ContentType makes it a huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return problemMediaType }

// problem makes the answer of a kind; an empty detail means the kind's own.
func (k kind) problem(detail string, errs ...api.FieldError) *problem {
	if detail == "" {
		detail = k.detail
	}
	p := &problem{
		Problem: api.Problem{
			Type:   "urn:wedsync:problem:" + k.code,
			Title:  k.title,
			Status: k.status,
			Detail: detail,
			Code:   k.code,
			Errors: errs,
		},
		header: http.Header{},
	}
	switch k.status {
	case http.StatusUnauthorized:
		p.header.Set("WWW-Authenticate", `Bearer realm="wedsyncd"`)
	case http.StatusServiceUnavailable:
		p.header.Set("Retry-After", retryAfterSeconds)
	}
	return p
}

// invalid is the answer to a request with faults.
func invalid(list []api.FieldError) *problem {
	detail := "1 field is invalid"
	if len(list) != 1 {
		detail = fmt.Sprintf("%d fields are invalid", len(list))
	}
	return kindInvalid.problem(detail, list...)
}

// problemOf translates an error of the domain. Only sentences of fleet.Error and
// fleet.InvalidError reach the client; whatever wraps them is for the log. Root
// is where the fields that the domain names are in the request: body or query.
func problemOf(err error, root string) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	if many := (*fleet.InvalidError)(nil); errors.As(err, &many) {
		list := make([]api.FieldError, len(many.Fields))
		for i, f := range many.Fields {
			list[i] = api.FieldError{Location: location(root, f.Field), Message: f.Message}
		}
		return invalid(list)
	}
	for _, k := range kinds {
		if !errors.Is(err, k.sentinel) {
			continue
		}
		one := (*fleet.Error)(nil)
		if !errors.As(err, &one) {
			return k.problem("")
		}
		if one.Field == "" {
			return k.problem(one.Message)
		}
		return k.problem(one.Message, api.FieldError{Location: location(root, one.Field), Message: one.Message})
	}
	return kindInternal.problem("")
}

// location puts the field of a domain error below the root, unless it names one itself.
func location(root, field string) string {
	for _, known := range []string{"body", "query", "path", "header"} {
		if within(field, known) {
			return field
		}
	}
	return root + "." + field
}

// missing gives a bare fleet.ErrNotFound the noun and the identifier that were asked for.
func missing(err error, noun, id string) error {
	described := (*fleet.Error)(nil)
	if errors.Is(err, fleet.ErrNotFound) && !errors.As(err, &described) {
		return fleet.Errorf(fleet.ErrNotFound, "there is no %s %s, or it lies in an environment that the token does not cover", noun, id)
	}
	return err
}

// write sends a problem outside of huma.
func (p *problem) write(w http.ResponseWriter, r *http.Request) {
	p.complete(r)
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemMediaType)
	w.WriteHeader(p.Status)
	body, err := json.Marshal(&p.Problem)
	if err != nil {
		return // strings and numbers always have a JSON form
	}
	// The client is gone if this fails; there is nobody to tell.
	_, _ = w.Write(body)
}

// complete adds what only the request knows.
func (p *problem) complete(r *http.Request) {
	p.Instance = r.URL.Path
	if x, ok := exchangeFrom(r.Context()); ok {
		p.RequestID = x.id
	}
}

// asProblem is a huma.Transformer that turns huma's own errors, which the check
// before it leaves no cause for, into problems too.
func asProblem(ctx huma.Context, _ string, v any) (any, error) {
	var p *problem
	switch e := v.(type) {
	case *problem:
		p = e
	case *huma.ErrorModel:
		p = problemOfHuma(e)
	default:
		return v, nil
	}
	u := ctx.URL()
	p.Instance = u.Path
	if x, ok := exchangeFrom(ctx.Context()); ok {
		p.RequestID = x.id
	}
	return &p.Problem, nil
}

func problemOfHuma(e *huma.ErrorModel) *problem {
	k := kindMalformed
	if e.Status >= http.StatusInternalServerError {
		k = kindInternal
	}
	k.status = e.Status
	var list []api.FieldError
	if e.Status < http.StatusInternalServerError {
		for _, d := range e.Errors {
			list = append(list, api.FieldError{Location: strings.TrimSpace(d.Location), Message: d.Message})
		}
	}
	return k.problem("", list...)
}
