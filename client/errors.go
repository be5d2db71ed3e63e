package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"syscall"
	"unicode"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// Error is a refusal: an answer that is not a success.
type Error struct {
	// Method and Path are the request's.
	Method, Path string
	// Problem is what the daemon said. Where something else answered in the
	// daemon's place, such as a proxy, it is made up from the status and the
	// beginning of the body. Never nil.
	Problem *api.Problem
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s", e.Method, e.Path, e.Problem)
}

// Unwrap gives the problem to [errors.As].
func (e *Error) Unwrap() error { return e.Problem }

// UnreachableError says that no answer came: nothing listens at the endpoint,
// or the connection broke more often than the client retries.
type UnreachableError struct {
	Method, Path string
	Endpoint     string
	Err          error
}

func (e *UnreachableError) Error() string {
	if errors.Is(e.Err, syscall.ECONNREFUSED) {
		return fmt.Sprintf("%s %s: wedsyncd does not answer at %s: start it with \"wedsyncd serve\" or set WEDSYNC_ENDPOINT to where it listens (%v)",
			e.Method, e.Path, e.Endpoint, e.Err)
	}
	return fmt.Sprintf("%s %s: no answer from %s: %v", e.Method, e.Path, e.Endpoint, e.Err)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// IsNotFound reports whether the noun does not exist, or the token may not see it.
func IsNotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// IsConflict reports whether the request does not fit the current state: a taken
// name, something still in use, another revision, a reused idempotency key.
func IsConflict(err error) bool { return hasStatus(err, http.StatusConflict) }

// IsForbidden reports whether the token's role or environments do not allow it.
func IsForbidden(err error) bool { return hasStatus(err, http.StatusForbidden) }

// IsUnauthenticated reports whether the token is unknown, revoked or malformed.
func IsUnauthenticated(err error) bool { return hasStatus(err, http.StatusUnauthorized) }

// IsInvalid reports whether the request itself is wrong; the problem's Errors
// name the fields.
func IsInvalid(err error) bool {
	return hasStatus(err, http.StatusBadRequest, http.StatusUnprocessableEntity)
}

// IsUnavailable reports whether the daemon cannot be reached or cannot work at
// the moment; asking again later may help.
func IsUnavailable(err error) bool {
	var unreachable *UnreachableError
	return errors.As(err, &unreachable) ||
		hasStatus(err, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
}

// HasCode reports whether err is a problem of one of the codes, such as [api.CodeInUse].
func HasCode(err error, codes ...string) bool {
	var p *api.Problem
	if !errors.As(err, &p) {
		return false
	}
	for _, code := range codes {
		if p.Code == code {
			return true
		}
	}
	return false
}

func hasStatus(err error, statuses ...int) bool {
	var p *api.Problem
	if !errors.As(err, &p) {
		return false
	}
	for _, status := range statuses {
		if p.Status == status {
			return true
		}
	}
	return false
}

func (c *Client) transportError(ctx context.Context, method, path string, err error) error {
	if ctx.Err() != nil || errors.Is(err, errAnswerTooLarge) {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return &UnreachableError{Method: method, Path: path, Endpoint: c.endpoint, Err: err}
}

func newError(method, path string, status int, header http.Header, body []byte) *Error {
	return &Error{Method: method, Path: path, Problem: decodeProblem(status, header, body)}
}

func decodeProblem(status int, header http.Header, body []byte) *api.Problem {
	var p api.Problem
	if isJSON(header.Get("Content-Type")) && json.Unmarshal(body, &p) == nil && (p.Code != "" || p.Detail != "") {
		p.Status = status
		return &p
	}
	return foreignProblem(status, header, body)
}

// foreignProblem stands for an answer that did not come from wedsyncd's API.
func foreignProblem(status int, header http.Header, body []byte) *api.Problem {
	detail := http.StatusText(status)
	switch excerpt := plainExcerpt(body); {
	case status >= 300 && status <= 399:
		detail = fmt.Sprintf("the answer redirects to %q; set the endpoint to the daemon's own address", header.Get("Location"))
	case excerpt != "":
		detail = fmt.Sprintf("the answer is not from wedsyncd's API: %s", excerpt)
	case detail == "":
		detail = "an answer without content"
	}
	return &api.Problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
		Code:   codeOf(status),
	}
}

func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return api.CodeInvalid
	case http.StatusUnauthorized:
		return api.CodeUnauthenticated
	case http.StatusForbidden:
		return api.CodeForbidden
	case http.StatusNotFound:
		return api.CodeNotFound
	case http.StatusMethodNotAllowed:
		return api.CodeMethodNotAllowed
	case http.StatusConflict:
		return api.CodeConflict
	case http.StatusRequestEntityTooLarge:
		return api.CodeTooLarge
	case http.StatusUnsupportedMediaType:
		return api.CodeUnsupportedMediaType
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return api.CodeUnavailable
	default:
		return api.CodeInternal
	}
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// plainExcerpt is the beginning of the words in a body, without markup.
func plainExcerpt(body []byte) string {
	const most = 200
	var words strings.Builder
	inTag := false
	for _, r := range string(body[:min(len(body), 4096)]) {
		switch {
		case r == '<':
			inTag = true
			words.WriteByte(' ')
		case r == '>' && inTag:
			inTag = false
		case !inTag && (unicode.IsPrint(r) || unicode.IsSpace(r)):
			words.WriteRune(r)
		}
	}
	runes := []rune(strings.Join(strings.Fields(words.String()), " "))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}
