package discovery

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// resource is something that Consul's API lists. name is the last part of the
// path, where it has one.
type resource struct {
	// index is that at which the answer for the name last changed.
	index func(v view, name string) uint64
	// body is the answer; the index of what it contains is in terms of base.
	body func(v view, q query, name string, base uint64) any
	// check refuses names that cannot be; nil refuses none.
	check func(name string) error
}

func (d *Directory) consulRoutes(mux *http.ServeMux) {
	everything := func(v view, _ string) uint64 { return v.lastChange() }
	for path, r := range map[string]resource{
		"/v1/catalog/services":       {index: everything, body: listServices},
		"/v1/catalog/nodes":          {index: everything, body: listNodes},
		"/v1/catalog/service/{name}": {index: view.lastChangeOf, body: listCatalog},
		"/v1/health/service/{name}":  {index: view.lastChangeOf, body: listHealth},
		"/v1/health/state/{name}":    {index: everything, body: listChecks, check: checkState},
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, req *http.Request) { d.serveResource(w, req, r) })
	}
	mux.HandleFunc("GET /v1/catalog/datacenters", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, []string{datacenter})
	})
	mux.HandleFunc("GET /v1/agent/self", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, self()) })
	mux.HandleFunc("GET /v1/status/leader", d.serveLeader)
}

// serveResource answers at once, or, when the request has an index, as soon as the
// resource's own differs from it. It may differ downwards, by what the client had
// from another daemon: Consul's rule is that the client then begins anew.
func (d *Directory) serveResource(w http.ResponseWriter, r *http.Request, res resource) {
	name := r.PathValue("name")
	q, err := parseQuery(r.URL.Query())
	if err == nil && res.check != nil {
		err = res.check(name)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s := d.current.Load()
	if q.index > 0 && s.known() {
		holdOpen(w)
		s = d.wait(r.Context(), q.wait, func(s *snapshot) bool { return d.base+res.index(seen(s, r), name) != q.index })
	}
	if !s.known() {
		// What Consul says in the same situation; clients keep what they have and ask again.
		refuse(w, http.StatusInternalServerError, "No cluster leader")
		return
	}
	d.told(catalogLifetime)
	v := seen(s, r)
	w.Header().Set("X-Consul-Index", strconv.FormatUint(d.base+res.index(v, name), 10))
	w.Header().Set("X-Consul-KnownLeader", "true")
	w.Header().Set("X-Consul-LastContact", "0")
	writeJSON(w, res.body(v, q, name, d.base))
}

// holdOpen takes the server's time limits off a request that may wait longer. They
// are back for the next one on its connection.
func holdOpen(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
}

// serveLeader names the server that answers as the leader: each daemon's registry
// is whole, and none is written to here.
func (d *Directory) serveLeader(w http.ResponseWriter, r *http.Request) {
	leader := ""
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && d.current.Load().known() {
		leader = addr.String()
	}
	writeJSON(w, leader)
}

// listServices maps the names of services to their endpoints' tags.
func listServices(v view, q query, _ string, _ uint64) any {
	services := make(map[string][]string)
	for _, s := range v.visible() {
		tags := make(map[string]bool)
		found := false
		for _, e := range s.entries {
			if !q.selects(e) {
				continue
			}
			found = true
			for _, tag := range tagsOf(e) {
				tags[tag] = true
			}
		}
		if found {
			services[s.qualified()] = slices.Sorted(maps.Keys(tags))
		}
	}
	return services
}

func listNodes(v view, q query, _ string, base uint64) any {
	nodes := []consulNode{}
	for _, s := range v.visible() {
		nodes = append(nodes, collect(s, q, base, newConsulNode)...)
	}
	return nodes
}

func listCatalog(v view, q query, name string, base uint64) any {
	return collect(v.find(name), q, base, newCatalogService)
}

func listHealth(v view, q query, name string, base uint64) any {
	return collect(v.find(name), q, base, newServiceEntry)
}

func listChecks(v view, q query, state string, base uint64) any {
	checks := []consulCheck{}
	for _, s := range v.visible() {
		checks = append(checks, collect(s, q, base, newConsulCheck)...)
	}
	if state == stateAny {
		return checks
	}
	return slices.DeleteFunc(checks, func(c consulCheck) bool { return c.Status != state })
}

// collect converts the endpoints of a service that the query selects, always in
// the same order: Traefik takes catalog and health for parallel lists.
func collect[T any](s *service, q query, base uint64, convert func(e *entry, index uint64) T) []T {
	list := []T{}
	if s == nil {
		return list
	}
	for _, e := range s.entries {
		if q.selects(e) {
			list = append(list, convert(e, base+s.index))
		}
	}
	return list
}
