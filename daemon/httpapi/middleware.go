package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// maxInFlight bounds the requests that are worked on at the same time; beyond
// it a client is told to come back.
const maxInFlight = 256

// maxWaiting bounds the requests to Consul's API, most of which only wait for a change.
const maxWaiting = 2048

// exchange is what is known of a request and its answer, filled on its way in
// and written to the access log on its way out.
type exchange struct {
	id        string
	operation string
	principal fleet.Principal
	body      []byte // as sent, after it was read and found to be JSON
}

type exchangeKey struct{}

func exchangeFrom(ctx context.Context) (*exchange, bool) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	return x, ok
}

// identify gives every request an identifier of ours; one that the client sent
// could forge the log.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{id: uuid.Must(uuid.NewV7()).String()}
		w.Header().Set("X-Request-Id", x.id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
	})
}

// recoverPanics answers a panic with a problem and keeps its stack in the log.
func recoverPanics(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(cause)
			}
			x, _ := exchangeFrom(r.Context())
			log.ErrorContext(r.Context(), "request panicked", "request_id", x.id, "operation", x.operation,
				"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			if rec.status != 0 {
				panic(http.ErrAbortHandler) // the answer is half sent; cut it off
			}
			kindInternal.problem("").write(rec, r)
		}()
		next.ServeHTTP(rec, r)
	})
}

// logAccess writes one line per request: never a query or a header, which may
// hold secrets.
func logAccess(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		began := time.Now()
		defer func() {
			x, _ := exchangeFrom(r.Context())
			level := slog.LevelInfo
			if isPublic(r.URL.Path) {
				level = slog.LevelDebug
			}
			log.LogAttrs(r.Context(), level, "request",
				slog.String("request_id", x.id),
				slog.String("method", r.Method),
				slog.String("path", r.URL.Path),
				slog.String("operation", x.operation),
				slog.String("principal", x.principal.Name),
				slog.Int("status", rec.status),
				slog.Int64("bytes", rec.bytes),
				slog.Duration("took", time.Since(began)))
		}()
		next.ServeHTTP(rec, r)
	})
}

// bound refuses requests beyond the limit rather than queueing them.
func bound(limit int, next http.Handler) http.Handler {
	slots := make(chan struct{}, limit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r)
		default:
			kindUnavailable.problem(fmt.Sprintf("%d requests are being worked on already; try again", limit)).write(w, r)
		}
	})
}

// recorder notes the status and the size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
