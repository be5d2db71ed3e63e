package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// silence is how long a stream may be without a sign of life, which the daemon gives
// every 15 seconds.
const silence = 50 * time.Second

var errSilent = fmt.Errorf("nothing came for %s", silence)

// ServiceChange is one step of [Client.WatchServices]; one of the pointers is set.
type ServiceChange struct {
	// Index rises with every change; that of another daemon may be lower.
	Index uint64
	// Snapshot is everything that the options select. It comes first, and again when
	// the connection was lost and made anew; it takes the place of all before.
	Snapshot *api.ServiceList
	// Service is new or has changed.
	Service *api.Service
	// Removed has no endpoint any more.
	Removed *api.ServiceRemoved
}

// WatchServices yields a snapshot of the services that the options select, and then
// every change of them, until ctx ends or the loop is left. A connection that is lost
// is made anew; the sequence ends with an error when that has failed as often as the
// client retries, or at once when the daemon refuses.
func (c *Client) WatchServices(ctx context.Context, o api.ListServicesOptions) iter.Seq2[ServiceChange, error] {
	path := resourcePath("services", "stream")
	q := pageQuery(api.Page{}, "environment", o.Environment, "service_name", o.ServiceName)
	return func(yield func(ServiceChange, error) bool) {
		for failures := 0; ; failures++ {
			var came, left bool
			header, err := c.stream(ctx, path, q, func(e event) (bool, error) {
				change, err := serviceChange(e)
				if err != nil || change == (ServiceChange{}) {
					return err == nil, err
				}
				came, left = true, !yield(change, nil)
				return !left, nil
			})
			if left || ctx.Err() != nil {
				return
			}
			if came {
				failures = 0
			}
			if failures >= c.http.RetryMax || !lost(err) {
				yield(ServiceChange{}, err)
				return
			}
			if sleep(ctx, backoff(c.http.RetryWaitMin, c.http.RetryWaitMax, failures, &http.Response{Header: header})) != nil {
				return
			}
		}
	}
}

// serviceChange decodes an event; one of a name that is not known is nothing.
func serviceChange(e event) (change ServiceChange, err error) {
	var data any
	switch e.name {
	case api.EventSnapshot:
		change.Snapshot = &api.ServiceList{}
		data = change.Snapshot
	case api.EventService:
		change.Service = &api.Service{}
		data = change.Service
	case api.EventRemoved:
		change.Removed = &api.ServiceRemoved{}
		data = change.Removed
	default:
		return ServiceChange{}, nil
	}
	if err := json.Unmarshal(e.data, data); err != nil {
		return ServiceChange{}, fmt.Errorf("decode event %q: %w", e.name, err)
	}
	change.Index, err = strconv.ParseUint(e.id, 10, 64)
	if err != nil {
		return ServiceChange{}, fmt.Errorf("decode event %q: %w", e.name, err)
	}
	return change, nil
}

// lost reports whether a stream ended for a reason that connecting anew may mend.
func lost(err error) bool {
	var refused *Error
	var unreachable *UnreachableError
	return errors.As(err, &unreachable) || errors.As(err, &refused) && retryableStatus(refused.Problem.Status)
}

// event is one Server-Sent Event.
type event struct {
	id, name string
	data     []byte
}

// stream reads events until take wants no more, which alone is no error. It is one
// attempt; the header is that of a refusal.
func (c *Client) stream(ctx context.Context, path string, q url.Values, take func(event) (more bool, err error)) (http.Header, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := c.newRequest(ctx, http.MethodGet, path, q, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", http.MethodGet, path, err)
	}
	req.Header.Set("Accept", "text/event-stream, application/problem+json")
	alive := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer alive.Stop()
	open := *c.http.HTTPClient
	open.Timeout = 0 // a stream has no end to wait for
	c.logAttempt(nil, req.Request, 0)
	resp, err := open.Do(req.Request)
	if err != nil {
		return nil, c.transportError(context.WithoutCancel(ctx), http.MethodGet, path, causeOr(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	c.logAnswer(nil, resp)
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what is cut off is not from wedsyncd
		return resp.Header, newError(http.MethodGet, path, resp.StatusCode, resp.Header, body)
	}
	if err := readEvents(resp.Body, func() { alive.Reset(silence) }, take); err != nil {
		var read *readError
		if errors.As(err, &read) {
			err = c.transportError(context.WithoutCancel(ctx), http.MethodGet, path, causeOr(ctx, read.error))
		}
		return nil, err
	}
	return nil, nil
}

// causeOr is why the context ended, or err where it has not.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// readError is that of a connection, not of what came over it.
type readError struct{ error }

// readEvents parses a stream of events, none larger than the answer of a list may
// be. heard is called with every line.
func readEvents(r io.Reader, heard func(), take func(event) (bool, error)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxAnswer)
	var e event
	for lines.Scan() {
		heard()
		line := lines.Text()
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if more, err := take(e); err != nil || !more {
				return err
			}
			e = event{}
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			if len(e.data)+len(value) > maxAnswer {
				return errAnswerTooLarge
			}
			e.data = append(e.data, value...)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return errAnswerTooLarge
	}
	return &readError{cmp.Or(lines.Err(), io.EOF)}
}
