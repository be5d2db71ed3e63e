package traffic

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// refusal is an answer of the balancer's own: a problem of RFC 9457.
type refusal struct {
	status int
	// kind is the label of the refusal in metrics.
	kind   string
	detail string
	// retryAfter is seconds; zero for none.
	retryAfter int
}

// Refusals.
var (
	refuseHost    = refusal{status: http.StatusNotFound, kind: "unknown_host", detail: "no service answers to this host and path; see GET /api/containers/routes of wedsyncd"}
	refuseMethod  = refusal{status: http.StatusNotImplemented, kind: "method", detail: "CONNECT is not possible here"}
	refusePath    = refusal{status: http.StatusBadRequest, kind: "path", detail: "the path has a segment . or .., a backslash or a control character; send it resolved"}
	refuseBadHost = refusal{status: http.StatusBadRequest, kind: "host", detail: "the Host header is not a host name"}
	refuseHeader  = refusal{status: http.StatusRequestHeaderFieldsTooLarge, kind: "header_size", detail: "the request's header is larger than the route allows (max_header_size)"}
	refuseBody    = refusal{status: http.StatusRequestEntityTooLarge, kind: "body_size", detail: "the request's body is larger than the route allows (max_body_size)"}
	refuseLate    = refusal{status: http.StatusRequestTimeout, kind: "late_body", detail: "the request's body did not go on within the route's idle_timeout"}
	refuseNobody  = refusal{status: http.StatusServiceUnavailable, kind: "no_instance", detail: "the service has no healthy instance", retryAfter: 1}
	refuseBusy    = refusal{status: http.StatusServiceUnavailable, kind: "overload", detail: "every instance of the service has as many requests as the route allows (max_requests)", retryAfter: 1}
	refuseBroken  = refusal{status: http.StatusBadGateway, kind: "broken", detail: "the instance ended the connection before it answered"}
	refuseConnect = refusal{status: http.StatusBadGateway, kind: "connect", detail: "no instance of the service could be connected to"}
	refuseSlow    = refusal{status: http.StatusGatewayTimeout, kind: "response_timeout", detail: "the instance did not begin its answer within the route's response_timeout"}
)

// write answers with the refusal. What is left of the request's body is not waited for.
func (f refusal) write(w http.ResponseWriter, r *http.Request, requestID string) {
	body, err := json.Marshal(map[string]any{
		"type": "about:blank", "title": http.StatusText(f.status), "status": f.status, "detail": f.detail, "request_id": requestID,
	})
	if err != nil {
		body = []byte(`{}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		h.Set("Connection", "close")
	}
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
