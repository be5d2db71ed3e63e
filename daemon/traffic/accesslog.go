package traffic

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxLogQueue bounds the lines that wait to be written.
	maxLogQueue = 8192
	// maxLogField bounds what a line repeats of a request, in bytes.
	maxLogField = 1024
)

// AccessLog writes a line of JSON for each request, or for a share of them. It
// keeps no request waiting: lines that cannot be written in time are dropped, and counted.
type AccessLog struct {
	out     io.Writer
	sample  float64
	log     *slog.Logger
	lines   chan []byte
	dropped atomic.Uint64
}

// NewAccessLog writes to out, once it runs, a share of the requests between 0 and
// 1. Requests that ended badly are always written.
func NewAccessLog(out io.Writer, sample float64, log *slog.Logger) *AccessLog {
	return &AccessLog{out: out, sample: sample, log: log, lines: make(chan []byte, maxLogQueue)}
}

// Run writes until ctx ends, and then what is left.
func (l *AccessLog) Run(ctx context.Context) {
	w := bufio.NewWriterSize(l.out, 64<<10)
	failing := false
	for {
		select {
		case line := <-l.lines:
			failing = l.write(w, line, failing)
			continue
		default:
		}
		// Nothing waits: what has been gathered goes out.
		if w.Buffered() > 0 {
			if err := w.Flush(); err != nil {
				failing = l.failed(w, err, failing)
			} else {
				failing = false
			}
		}
		select {
		case <-ctx.Done():
			l.rest(w, failing)
			return
		case line := <-l.lines:
			failing = l.write(w, line, failing)
		}
	}
}

func (l *AccessLog) rest(w *bufio.Writer, failing bool) {
	for {
		select {
		case line := <-l.lines:
			failing = l.write(w, line, failing)
		default:
			if err := w.Flush(); err != nil {
				l.failed(w, err, failing)
			}
			return
		}
	}
}

// write writes a line, and reports whether the log fails.
func (l *AccessLog) write(w *bufio.Writer, line []byte, failing bool) bool {
	if _, err := w.Write(line); err != nil {
		return l.failed(w, err, failing)
	}
	return failing
}

// failed begins anew after an error: what was gathered is lost. The first error is told.
func (l *AccessLog) failed(w *bufio.Writer, err error, failing bool) bool {
	l.dropped.Add(1)
	w.Reset(l.out)
	if !failing {
		l.log.Warn("cannot write the access log", "error", err)
	}
	return true
}

// entry is a line.
type entry struct {
	Time         time.Time `json:"time"`
	RequestID    string    `json:"request_id"`
	TraceID      string    `json:"trace_id,omitempty"`
	Client       string    `json:"client"`
	ForwardedFor string    `json:"forwarded_for,omitempty"`
	Host         string    `json:"host"`
	Method       string    `json:"method"`
	Path         string    `json:"path"`
	Proto        string    `json:"proto"`
	TLS          bool      `json:"tls"`
	// Status is 0 where the client went away before the answer came.
	Status int `json:"status"`
	// Refusal is the reason of an answer of the balancer's own.
	Refusal string `json:"refusal,omitempty"`
	// Aborted says that the answer is not whole.
	Aborted    bool    `json:"aborted,omitempty"`
	BytesIn    int64   `json:"bytes_in"`
	BytesOut   int64   `json:"bytes_out"`
	DurationMS float64 `json:"duration_ms"`
	// ResponseMS is the time to the head of the answer.
	ResponseMS  float64 `json:"response_ms"`
	Service     string  `json:"service,omitempty"`
	Environment string  `json:"environment,omitempty"`
	Route       string  `json:"route,omitempty"`
	Instance    string  `json:"instance,omitempty"`
	Retries     int     `json:"retries,omitempty"`
}

// recorder notes what becomes of a request on its way to the client.
type recorder struct {
	http.ResponseWriter

	entry
	started time.Time
	whole   bool
}

// record answers a request, and writes its line.
func (l *AccessLog) record(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	rec := &recorder{ResponseWriter: w, started: time.Now()}
	defer l.end(rec, r)
	serve(rec, r)
	rec.whole = true
}

// Unwrap implements what http.ResponseController looks for.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// WriteHeader notes the status.
func (rec *recorder) WriteHeader(status int) {
	if rec.Status == 0 && status >= http.StatusOK {
		rec.head(status)
	}
	rec.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (rec *recorder) Write(p []byte) (int, error) {
	if rec.Status == 0 {
		rec.head(http.StatusOK)
	}
	n, err := rec.ResponseWriter.Write(p)
	rec.BytesOut += int64(n)
	return n, err
}

// Hijack notes that the connection changes to another protocol.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(rec.ResponseWriter).Hijack()
	if err == nil {
		rec.head(http.StatusSwitchingProtocols)
	}
	return conn, buffer, err
}

func (rec *recorder) head(status int) {
	rec.Status, rec.ResponseMS = status, milliseconds(time.Since(rec.started))
	rec.RequestID = rec.Header().Get("X-Request-Id")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// take notes what the exchange knows, before it ends.
func (rec *recorder) take(x *exchange) {
	rec.RequestID, rec.Client, rec.ForwardedFor = x.requestID, x.forwarded.client, strings.Join(x.forwarded.chain, ", ")
	rec.Service, rec.Environment, rec.Route, rec.Retries = x.pool.service, x.pool.environment, x.route, x.retries
	rec.BytesIn += x.tunnelIn.Load()
	rec.BytesOut += x.tunnelOut.Load()
	if x.upload != nil {
		rec.BytesIn += x.upload.read()
	}
	if x.backend != nil {
		rec.Instance = x.backend.endpoint.ID
	}
}

// because notes why the balancer gives an answer of its own, or none.
func because(w http.ResponseWriter, reason string) {
	if rec, ok := w.(*recorder); ok {
		rec.Refusal = reason
	}
}

// end writes the line, if it is to be written.
func (l *AccessLog) end(rec *recorder, r *http.Request) {
	rec.Aborted = !rec.whole
	bad := rec.Aborted || rec.Refusal != "" || rec.Status >= http.StatusInternalServerError
	if !bad && l.sample < 1 && rand.Float64() >= l.sample {
		return
	}
	rec.DurationMS = milliseconds(time.Since(rec.started))
	rec.Time = rec.started.UTC()
	if rec.Client == "" {
		rec.Client, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	_, rec.TLS = nameOfConnection(r)
	rec.TraceID = traceID(r.Header.Get("Traceparent"))
	// Not the query: it may hold what is secret.
	rec.Host, rec.Method, rec.Path, rec.Proto = short(r.Host), short(r.Method), short(r.URL.EscapedPath()), r.Proto
	rec.ForwardedFor = short(rec.ForwardedFor)
	line, err := json.Marshal(&rec.entry)
	if err != nil {
		l.dropped.Add(1)
		return
	}
	select {
	case l.lines <- append(line, '\n'):
	default:
		l.dropped.Add(1)
	}
}

func short(s string) string {
	if len(s) > maxLogField {
		return s[:maxLogField]
	}
	return s
}

// traceID is that of a header of W3C's Trace Context; empty without a good one.
func traceID(parent string) string {
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' {
		return ""
	}
	id := parent[3:35]
	for k := range len(id) {
		if c := id[k]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}
