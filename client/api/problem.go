package api

import (
	"fmt"
	"strings"
)

// Codes of problems: stable names to switch on, whatever the sentence says.
const (
	CodeInvalid              = "invalid"
	CodeUnauthenticated      = "unauthenticated"
	CodeForbidden            = "forbidden"
	CodeNotFound             = "not_found"
	CodeConflict             = "conflict"
	CodeAlreadyExists        = "already_exists"
	CodeInUse                = "in_use"
	CodeImageNotFound        = "image_not_found"
	CodeIdempotencyMismatch  = "idempotency_key_reused"
	CodeTooLarge             = "too_large"
	CodeUnsupportedMediaType = "unsupported_media_type"
	CodeMethodNotAllowed     = "method_not_allowed"
	CodeUnavailable          = "unavailable"
	CodeInternal             = "internal"
)

// FieldError says what is wrong with one field of a request.
type FieldError struct {
	Location string `json:"location" doc:"Where the field is: body, query, path or header, then its path." example:"body.resource_limits.cpu"`
	Message  string `json:"message" doc:"What was wrong and what would be right." example:"\"1x\" is not a CPU quantity; write thousandths of a core as 500m, or cores as 1 or 0.5"`
}

// Problem is an error answer as of RFC 9457, media type application/problem+json.
type Problem struct {
	Type      string       `json:"type" doc:"URI that names the kind of problem." example:"urn:wedsync:problem:invalid"`
	Title     string       `json:"title" doc:"The kind of problem in words." example:"Invalid request"`
	Status    int          `json:"status" doc:"HTTP status." example:"422"`
	Detail    string       `json:"detail" doc:"What was wrong this time." example:"2 fields are invalid"`
	Instance  string       `json:"instance,omitempty" doc:"Path of the request." example:"/api/containers/definitions"`
	Code      string       `json:"code" doc:"Stable name of the kind of problem." example:"invalid"`
	RequestID string       `json:"request_id,omitempty" doc:"Finds the request in the daemon's log." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a17"`
	Errors    []FieldError `json:"errors,omitempty" doc:"Every field that is wrong." nullable:"false"`
}

// Error is the problem in one line, with every wrong field.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%d %s)", p.Detail, p.Status, p.Code)
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "; %s: %s", e.Location, e.Message)
	}
	return b.String()
}
