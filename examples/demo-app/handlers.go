package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what one request can ask for.
const (
	maxSlow    = 60_000 // milliseconds
	maxBurn    = 2 * maxSlow * time.Millisecond
	maxCores   = 64
	maxMB      = 16_384
	maxSeconds = 600
)

// app answers requests.
type app struct {
	cfg     config
	log     *slog.Logger
	exit    func(int)
	started time.Time
	checks  atomic.Int64 // health checks so far
	sockets sockets
}

func newApp(cfg config, log *slog.Logger, exit func(int)) *app {
	return &app{cfg: cfg, log: log, exit: exit, started: time.Now(), sockets: sockets{going: make(chan struct{})}}
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.root)
	mux.HandleFunc("GET /version", a.version)
	mux.HandleFunc("GET /health", a.health)
	mux.HandleFunc("GET /slow", a.slow)
	mux.HandleFunc("GET /fail", a.fail)
	mux.HandleFunc("GET /burn", a.burn)
	mux.HandleFunc("GET /alloc", a.alloc)
	mux.HandleFunc("GET /exit", a.quit)
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("GET /events", a.events)
	mux.HandleFunc("GET /ws", a.socket)
	if a.cfg.hang {
		return http.HandlerFunc(hang)
	}
	return a.signed(a.logged(orGRPC(newGRPC(), mux)))
}

// signed says in the header of every answer who gives it.
func (a *app) signed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Demo-Version", a.cfg.version)
		w.Header().Set("Demo-Hostname", a.cfg.hostname)
		next.ServeHTTP(w, r)
	})
}

// hang keeps a request until its client leaves.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// logged writes a line about every request but health checks, which would hide all others.
func (a *app) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		next.ServeHTTP(w, r)
		if r.URL.Path != "/health" {
			a.log.Info("request", "method", r.Method, "path", r.URL.Path, "took", time.Since(began).Round(time.Microsecond))
		}
	})
}

// self is who answered.
type self struct {
	Version     string `json:"version"`
	Hostname    string `json:"hostname"`
	Environment string `json:"environment"`
	Instance    string `json:"instance"`
}

func (a *app) root(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, self{a.cfg.version, a.cfg.hostname, a.cfg.environment, a.cfg.instance})
}

func (a *app) version(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, a.cfg.version)
}

// health is 503 until START_DELAY has passed, for ever with FAIL_HEALTH, and at
// every "-" of HEALTH_PATTERN, and takes HEALTH_DELAY to say so.
func (a *app) health(w http.ResponseWriter, r *http.Request) {
	if !pause(r, a.cfg.healthDelay) {
		return
	}
	switch left := a.cfg.startDelay - time.Since(a.started); {
	case a.cfg.failHealth:
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": "failing", "reason": "FAIL_HEALTH is set"})
	case left > 0:
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": "starting", "reason": "ready in " + left.Round(time.Millisecond).String()})
	case !a.nextPasses():
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": "failing", "reason": "HEALTH_PATTERN says so"})
	default:
		reply(w, http.StatusOK, map[string]string{"status": "ok", "version": a.cfg.version})
	}
}

// nextPasses goes through HEALTH_PATTERN, over and over.
func (a *app) nextPasses() bool {
	pattern := a.cfg.healthPattern
	return pattern == "" || pattern[int(a.checks.Add(1)-1)%len(pattern)] == '+'
}

// slow answers after ms milliseconds.
func (a *app) slow(w http.ResponseWriter, r *http.Request) {
	ms, ok := number(w, r, "ms", 1000, 0, maxSlow)
	if !ok {
		return
	}
	a.log.Info("answering slowly", "ms", ms)
	if !pause(r, milliseconds(ms)) {
		return
	}
	reply(w, http.StatusOK, map[string]int{"ms": ms})
}

// fail answers with the status that is asked for.
func (a *app) fail(w http.ResponseWriter, r *http.Request) {
	status, ok := number(w, r, "status", http.StatusInternalServerError, 400, 599)
	if ok {
		reply(w, status, map[string]string{"error": "as asked"})
	}
}

// burn uses ms milliseconds of each of so many cores. Where it gets less than a whole
// one it takes longer, but not for ever.
func (a *app) burn(w http.ResponseWriter, r *http.Request) {
	ms, ok := number(w, r, "ms", 1000, 1, maxSlow)
	if !ok {
		return
	}
	cores, ok := number(w, r, "cores", 1, 1, maxCores)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxBurn)
	defer cancel()
	var group sync.WaitGroup
	for range cores {
		group.Go(func() { use(ctx, milliseconds(ms)) })
	}
	group.Wait()
	reply(w, http.StatusOK, map[string]int{"ms": ms, "cores": cores})
}

// use works until it has used that much processor time, or ctx ends.
func use(ctx context.Context, d time.Duration) {
	runtime.LockOSThread() // whose time is counted
	defer runtime.UnlockOSThread()
	for began := threadTime(); threadTime()-began < d && ctx.Err() == nil; {
		sink.Add(spin())
	}
}

// epoch is from when wallTime counts.
var epoch = time.Now()

// wallTime is the time that has gone by since the program's start.
func wallTime() time.Duration { return time.Since(epoch) }

// sink keeps the compiler from leaving out work whose result nobody needs.
var sink atomic.Int64

// spin is a little work between two looks at the clock.
func spin() (sum int64) {
	for i := range int64(100_000) {
		sum += i * i
	}
	return sum
}

// alloc holds mb megabytes for s seconds.
func (a *app) alloc(w http.ResponseWriter, r *http.Request) {
	mb, ok := number(w, r, "mb", 16, 1, maxMB)
	if !ok {
		return
	}
	seconds, ok := number(w, r, "s", 0, 0, maxSeconds)
	if !ok {
		return
	}
	block := occupy(mb << 20)
	if pause(r, time.Duration(seconds)*time.Second) {
		reply(w, http.StatusOK, map[string]int{"mb": mb, "s": seconds})
	}
	runtime.KeepAlive(block)
}

// occupy is a block of memory that counts: untouched pages do not.
func occupy(size int) []byte {
	block := make([]byte, size)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	return block
}

// leak takes LEAK megabytes a second, in ten parts, and gives none back, until
// it has maxMB or ctx ends.
func (a *app) leak(ctx context.Context) {
	a.log.Info("taking memory, as LEAK asks", "mb_per_second", a.cfg.leak)
	ticker := time.NewTicker(time.Second / 10)
	defer ticker.Stop()
	var blocks [][]byte
	for part := a.cfg.leak << 20 / 10; len(blocks)*part < maxMB<<20; {
		blocks = append(blocks, occupy(part))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
	<-ctx.Done()
	runtime.KeepAlive(blocks)
}

// quit ends the program with the code that is asked for.
func (a *app) quit(w http.ResponseWriter, r *http.Request) {
	code, ok := number(w, r, "code", 1, 0, 255)
	if !ok {
		return
	}
	reply(w, http.StatusAccepted, map[string]int{"code": code})
	_ = http.NewResponseController(w).Flush() // the answer is a courtesy
	a.log.Info("exiting, as a request asks", "code", code)
	a.exit(code)
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// pause waits for d; false if the client left meanwhile.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// number reads a whole number from the query; false after it has answered that it is wrong.
func number(w http.ResponseWriter, r *http.Request, name string, otherwise, least, most int) (int, bool) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		reply(w, http.StatusBadRequest, map[string]string{"error": fmt.Sprintf("%s is %q; write a whole number from %d to %d", name, s, least, most)})
		return 0, false
	}
	return n, true
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // the client may have left; every body here can be encoded
}
