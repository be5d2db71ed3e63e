package fleet

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinel errors. Adapters translate their own errors into these once, at
// their edge; everybody else tests with errors.Is.
var (
	// ErrNotFound: the noun does not exist, or the principal may not know that it does.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyExists: another noun has the name.
	ErrAlreadyExists = errors.New("already exists")
	// ErrConflict: the request does not fit the current state.
	ErrConflict = errors.New("conflict")
	// ErrInUse: something else still needs the noun.
	ErrInUse = errors.New("in use")
	// ErrInvalid: the request can never be right as it is.
	ErrInvalid = errors.New("invalid")
	// ErrForbidden: the principal's role or environments do not allow it.
	ErrForbidden = errors.New("forbidden")
	// ErrUnauthenticated: no valid token.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrIdempotencyMismatch: the idempotency key was used with another request.
	ErrIdempotencyMismatch = errors.New("idempotency key reused")
	// ErrImageNotFound: neither the engine nor the registry has the image.
	ErrImageNotFound = errors.New("image not found")
	// ErrPortTaken: another process holds the host port, or no host port is left.
	ErrPortTaken = errors.New("host port taken")
	// ErrRefused: the engine does not accept the request as it is; repeating it changes nothing.
	ErrRefused = errors.New("refused by the engine")
	// ErrUnavailable: Postgres or the engine cannot be reached; repeating may help.
	ErrUnavailable = errors.New("unavailable")
)

// Error is a sentinel with a sentence for people. Its message is safe to show to a client.
type Error struct {
	Kind    error  // one of the sentinels
	Message string // what was wrong, where, and what would be right
	Field   string // field at fault, as a path such as "network_config.internal_networks", or empty
}

func (e *Error) Error() string { return e.Message }

// Unwrap makes errors.Is find the sentinel.
func (e *Error) Unwrap() error { return e.Kind }

// Errorf makes an Error of the kind.
func Errorf(kind error, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// FieldErrorf makes an Error of the kind that names the field at fault.
func FieldErrorf(kind error, field, format string, args ...any) error {
	return &Error{Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}

// FieldError says what is wrong with one field, named as a path such as
// "resource_limits.cpu".
type FieldError struct {
	Field   string
	Message string
}

// InvalidError is ErrInvalid with every field that is wrong.
type InvalidError struct {
	Fields []FieldError
}

func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return strings.Join(parts, "; ")
}

// Unwrap makes errors.Is find ErrInvalid.
func (e *InvalidError) Unwrap() error { return ErrInvalid }
