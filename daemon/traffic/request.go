package traffic

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// forwarded is what a request's headers tell an instance of its client.
type forwarded struct {
	client string
	host   string
	proto  string
	chain  []string // X-Forwarded-For of a trusted proxy
}

// readForwarded reads who asks. What a proxy says is believed only where it is trusted.
func (b *Balancer) readForwarded(r *http.Request) forwarded {
	f := forwarded{host: r.Host, proto: "http"}
	if r.TLS != nil || overTLS(r.Context()) {
		f.proto = "https"
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	f.client = host
	if !b.trusts(host) {
		return f
	}
	f.chain = r.Header["X-Forwarded-For"]
	if p := strings.ToLower(r.Header.Get("X-Forwarded-Proto")); p == "http" || p == "https" {
		f.proto = p
	}
	if h := r.Header.Get("X-Forwarded-Host"); h != "" {
		f.host = h
	}
	return f
}

func (b *Balancer) trusts(host string) bool {
	if len(b.trusted) == 0 {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range b.trusted {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// write sets the headers that tell of the client: the older ones, and RFC 7239's.
func (f forwarded) write(h http.Header) {
	chain := f.client
	if len(f.chain) > 0 {
		chain = strings.Join(f.chain, ", ") + ", " + f.client
	}
	h["X-Forwarded-For"] = []string{chain}
	h["X-Forwarded-Host"] = []string{f.host}
	h["X-Forwarded-Proto"] = []string{f.proto}
	node := f.client
	if strings.Contains(node, ":") {
		node = `"[` + node + `]"`
	}
	host := f.host
	if strings.ContainsAny(host, ":") {
		host = `"` + host + `"`
	}
	h["Forwarded"] = []string{"for=" + node + ";host=" + host + ";proto=" + f.proto}
}

// requestID is the client's, where it has a form that does no harm in a log, or a new one.
func requestID(r *http.Request) string {
	if ids := r.Header["X-Request-Id"]; len(ids) == 1 && harmless(ids[0]) {
		return ids[0]
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails
	return hex.EncodeToString(raw[:])
}

func harmless(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for k := range len(id) {
		c := id[k]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}

// resolved reports whether a path means the same to everybody: no segment . or
// .., no backslash and no control character, whether they are escaped or not.
func resolved(path string) bool {
	for k := range len(path) {
		if c := path[k]; c == '\\' || c < ' ' || c == 0x7f {
			return false
		}
	}
	if !strings.Contains(path, "/.") {
		return true
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// headerBytes is about what a request's header takes on the wire.
func headerBytes(r *http.Request) int64 {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host) + 24
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return int64(n)
}
