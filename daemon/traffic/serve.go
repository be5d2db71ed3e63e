package traffic

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// newProxy is the proxy that carries what the balancer has checked.
func (b *Balancer) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      b,
		BufferPool:     &copyBuffers,
		ModifyResponse: b.respond,
		ErrorHandler:   b.explainTo,
		ErrorLog:       slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP implements http.Handler.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.access != nil {
		b.access.record(w, r, b.serve)
		return
	}
	b.serve(w, r)
}

func (b *Balancer) serve(w http.ResponseWriter, r *http.Request) {
	if b.security != nil && b.gate(w, r) {
		return
	}
	id := requestID(r)
	if b.ending.Load() && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	m, no := b.locate(r)
	if no != nil {
		b.refuse(w, r, *no, id)
		return
	}
	x := &exchange{match: m, started: time.Now(), requestID: id, forwarded: b.readForwarded(r), header: w.Header()}
	if m.limits.RequireTLS && x.forwarded.proto != "https" {
		host, _ := hostName(r.Host) // locate has found it to be one
		b.redirect(w, r, host)
		return
	}
	x.choose(r)
	x.watch.response, x.watch.idle = time.Duration(m.limits.ResponseTimeout)*time.Second, time.Duration(m.limits.IdleTimeout)*time.Second
	x.watch.controller = http.NewResponseController(w)
	hasBody := r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
	if hasBody {
		x.upload = newUpload(r, m.limits.maxBody, x.watch.uploaded)
	}
	x.watch.start(hasBody)
	defer x.end()
	if rec, ok := w.(*recorder); ok {
		defer rec.take(x)
	}
	if !b.roundabout && x.simple(r) {
		b.serveDirectly(w, r, x)
		return
	}
	if hasBody && r.ProtoMajor == 1 {
		_ = x.watch.controller.EnableFullDuplex()
	}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), exchangeKey{}, x))
	defer cancel()
	x.watch.cancel = cancel
	// The server keeps its own request: what it noted there of a body that the
	// client waits to send is not to be changed.
	b.proxy.ServeHTTP(w, r.WithContext(ctx))
}

// end lets go of all that the exchange holds, also when its answer broke off.
func (x *exchange) end() {
	x.watch.stop()
	if x.upload != nil {
		x.upload.finish(x.watch.controller)
	}
	if x.backend != nil {
		x.backend.leave()
	}
}

// locate finds the match of a request, and checks what can be checked before an
// instance is asked.
func (b *Balancer) locate(r *http.Request) (match, *refusal) {
	if r.Method == http.MethodConnect {
		return match{}, &refuseMethod
	}
	host, ok := hostName(r.Host)
	if !ok {
		return match{}, &refuseBadHost
	}
	if !strings.HasPrefix(r.URL.Path, "/") || !resolved(r.URL.Path) {
		return match{}, &refusePath
	}
	m, ok := b.table.Load().find(host, r.URL.Path)
	switch {
	case !ok:
		return match{}, &refuseHost
	case r.ContentLength > m.limits.maxBody:
		return match{}, &refuseBody
	case m.limits.maxHeader < grammar.MaxHeaderBytes && headerBytes(r) > m.limits.maxHeader:
		return match{}, &refuseHeader
	}
	return m, nil
}

// choose finds out where the request wants to go: to the replicas of a deployment
// in progress, or to those before them, or to the instance where the client was.
func (x *exchange) choose(r *http.Request) {
	x.ring = x.pool.all
	if x.pool.incoming != nil {
		switch x.wish(r) {
		case "always":
			x.ring = x.pool.incoming
		case "never":
			x.ring = x.pool.before
		}
	}
	if name := x.limits.StickyCookie; name != "" {
		if c, err := r.Cookie(name); err == nil {
			x.sticky = x.ring.byToken[c.Value]
		}
	}
}

// wish is what the route's canary header or cookie says.
func (x *exchange) wish(r *http.Request) string {
	if name := x.limits.CanaryHeader; name != "" {
		if v := r.Header.Get(name); v != "" {
			return v
		}
	}
	if name := x.limits.CanaryCookie; name != "" {
		if c, err := r.Cookie(name); err == nil {
			return c.Value
		}
	}
	return ""
}

// rewrite is the request as the instance sees it: as it came, with what tells of
// the client.
func rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In.Context())
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Host = p.In.Host
	x.describe(p.Out.Header)
	x.strip(p.Out.URL)
}

// describe sets the headers that tell an instance of the client and the request.
func (x *exchange) describe(h http.Header) {
	x.forwarded.write(h)
	h["X-Request-Id"] = []string{x.requestID}
	delete(h, "X-Forwarded-Prefix")
	if x.strips() {
		h["X-Forwarded-Prefix"] = []string{x.prefix}
	}
}

func (x *exchange) strips() bool { return x.limits.StripPrefix && x.prefix != "/" }

// strip takes the route's prefix away from a URL's path, where the route says so.
func (x *exchange) strip(u *url.URL) {
	if !x.strips() {
		return
	}
	u.Path = "/" + strings.TrimPrefix(strings.TrimPrefix(u.Path, x.prefix), "/")
	if raw, ok := strings.CutPrefix(u.RawPath, x.prefix); ok {
		u.RawPath = "/" + strings.TrimPrefix(raw, "/")
	} else {
		u.RawPath = ""
	}
}

// respond is dress for the proxy.
func (b *Balancer) respond(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	x.dress(res)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	if x.upload != nil && !x.upload.finished() && res.Request.ProtoMajor == 1 {
		// The answer comes before the request has: nobody knows where the next one begins.
		res.Header.Set("Connection", "close")
	}
	return nil
}

// dress adds the balancer's own to an answer.
func (x *exchange) dress(res *http.Response) {
	res.Header["X-Request-Id"] = []string{x.requestID}
	if res.Header["Content-Type"] == nil {
		x.header["Content-Type"] = nil // or the server would guess one
	}
	if name := x.limits.StickyCookie; name != "" && x.sticky != x.backend {
		c := http.Cookie{ //nolint:gosec // over plain HTTP a secure cookie would never come back
			Name: name, Value: x.backend.token, Path: "/", HttpOnly: true,
			SameSite: http.SameSiteLaxMode, Secure: x.forwarded.proto == "https",
		}
		res.Header.Add("Set-Cookie", c.String())
	}
}

// explainTo answers a request that no instance has answered.
func (b *Balancer) explainTo(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	if errors.Is(x.watch.cause(), errGone) || r.Context().Err() != nil && !x.watch.ended() {
		b.refused.count("client_gone")
		because(w, "client_gone")
		panic(http.ErrAbortHandler) // nobody is there to answer
	}
	b.log.Debug("no answer", "service", x.pool.service, "environment", x.pool.environment, "request_id", x.requestID, "error", err)
	no := x.explain(err)
	x.watch.answered()
	b.refuse(w, r, no, x.requestID)
}

func (b *Balancer) refuse(w http.ResponseWriter, r *http.Request, f refusal, id string) {
	b.refused.count(f.kind)
	because(w, f.kind)
	w.Header()["X-Request-Id"] = []string{id}
	f.write(w, r, id)
}

// buffers are what answers are copied through.
type buffers struct{ pool sync.Pool }

var copyBuffers = buffers{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	buf, _ := b.pool.Get().(*[32 << 10]byte)
	return buf[:]
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
