package discovery

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// entry is an endpoint, with nothing but what can be seen from outside: two
// snapshots are equal when their entries are.
type entry struct {
	// id is the instance's identifier, or the registry's for something external.
	id                   string
	service, environment string
	scheme, host         string
	// addr is host as an address; invalid where host is a name.
	addr    netip.Addr
	port    int
	healthy bool
	weight  int

	instanceID, deploymentID, imageTag string
	metadata                           map[string]string
}

// serving reports whether new requests may go to the endpoint.
func (e *entry) serving() bool { return e.healthy && e.weight > 0 }

func (e *entry) equal(o *entry) bool {
	return e.id == o.id && e.scheme == o.scheme && e.host == o.host && e.port == o.port &&
		e.healthy == o.healthy && e.weight == o.weight &&
		e.instanceID == o.instanceID && e.deploymentID == o.deploymentID && e.imageTag == o.imageTag &&
		maps.Equal(e.metadata, o.metadata)
}

// newEntry reads an endpoint; false says that its URL leads nowhere.
func newEntry(p fleet.Endpoint) (*entry, bool) {
	u, err := url.Parse(p.URL)
	if err != nil || u.Hostname() == "" {
		return nil, false
	}
	port, ok := portOf(u)
	if !ok {
		return nil, false
	}
	e := &entry{
		id: p.InstanceID, service: p.ServiceName, environment: p.Environment,
		scheme: u.Scheme, host: u.Hostname(), port: port,
		healthy: p.Healthy, weight: p.Weight,
		instanceID: p.InstanceID, deploymentID: p.DeploymentID, imageTag: p.ImageTag,
		metadata: p.Metadata,
	}
	if p.External() {
		e.id = p.ID
	}
	if addr, err := netip.ParseAddr(e.host); err == nil {
		e.addr = addr.Unmap().WithZone("")
	}
	return e, true
}

func portOf(u *url.URL) (int, bool) {
	switch {
	case u.Port() != "":
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		return int(port), err == nil && port > 0
	case u.Scheme == "http":
		return 80, true
	case u.Scheme == "https":
		return 443, true
	}
	return 0, false
}

// service is what is registered under one name in one environment; never changed
// once it is part of a snapshot.
type service struct {
	name, environment string
	// entries are by identifier.
	entries []*entry
	// index is that of the snapshot in which the service last changed.
	index uint64
}

// qualified is the service's name beyond its environment. Neither part has a dot,
// so that no two services share one.
func (s *service) qualified() string { return qualify(s.name, s.environment) }

func qualify(name, environment string) string { return name + "." + environment }

func (s *service) equal(o *service) bool {
	return slices.EqualFunc(s.entries, o.entries, (*entry).equal)
}

// snapshot is the directory as of one moment. Only superseded ever changes: it is
// closed when there is a newer one.
type snapshot struct {
	index uint64
	// services are by qualified name, in order and by key.
	services []*service
	byName   map[string]*service
	// environments holds the index of each environment's last change, that of its
	// end too. Their number is bounded by the daemon's configuration.
	environments map[string]uint64
	// extinct is the index at which a service last ended.
	extinct   uint64
	instances map[string]bool
	zone      map[string]*node

	superseded chan struct{}
}

// unknown is the snapshot before the first one.
func unknown() *snapshot { return &snapshot{superseded: make(chan struct{})} }

// known reports whether anything was received yet.
func (s *snapshot) known() bool { return s.index > 0 }

// successor is the snapshot after this one, or nil where nothing can be seen to differ.
func (s *snapshot) successor(endpoints []fleet.Endpoint) *snapshot {
	next := &snapshot{
		index:        s.index + 1,
		byName:       group(endpoints),
		environments: maps.Clone(s.environments),
		extinct:      s.extinct,
		superseded:   make(chan struct{}),
	}
	if next.environments == nil {
		next.environments = make(map[string]uint64)
	}
	if !next.compare(s) && s.known() {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(next.byName)) {
		next.services = append(next.services, next.byName[name])
	}
	next.instances = next.listInstances()
	next.zone = newZone(next.services)
	return next
}

// group sorts endpoints by service.
func group(endpoints []fleet.Endpoint) map[string]*service {
	services := make(map[string]*service)
	for _, p := range endpoints {
		e, ok := newEntry(p)
		if !ok {
			continue
		}
		name := qualify(e.service, e.environment)
		if services[name] == nil {
			services[name] = &service{name: e.service, environment: e.environment}
		}
		services[name].entries = append(services[name].entries, e)
	}
	for _, s := range services {
		slices.SortFunc(s.entries, func(a, b *entry) int { return strings.Compare(a.id, b.id) })
	}
	return services
}

// compare keeps the services of the snapshot before that are the same, marks the
// others with the new index, and reports whether there are any.
func (s *snapshot) compare(before *snapshot) bool {
	changed := false
	for name, now := range s.byName {
		if was := before.byName[name]; was != nil && was.equal(now) {
			s.byName[name] = was
			continue
		}
		now.index, s.environments[now.environment] = s.index, s.index
		changed = true
	}
	for name, was := range before.byName {
		if s.byName[name] == nil {
			s.extinct, s.environments[was.environment] = s.index, s.index
			changed = true
		}
	}
	return changed
}

func (s *snapshot) listInstances() map[string]bool {
	instances := make(map[string]bool)
	for _, svc := range s.services {
		for _, e := range svc.entries {
			if e.instanceID != "" {
				instances[e.instanceID] = true
			}
		}
	}
	return instances
}

// view is as much of a snapshot as one principal may see.
type view struct {
	*snapshot
	sees func(environment string) bool
}

// visible are the services of the view.
func (v view) visible() []*service {
	return slices.DeleteFunc(slices.Clone(v.services), func(s *service) bool { return !v.sees(s.environment) })
}

// find is the service of that qualified name, or nil. One that may not be seen is
// not told from one that is not there.
func (v view) find(name string) *service {
	if s := v.byName[name]; s != nil && v.sees(s.environment) {
		return s
	}
	return nil
}

// lastChange is the index at which anything in the view last changed.
func (v view) lastChange() uint64 {
	last := uint64(1)
	for environment, index := range v.environments {
		if v.sees(environment) {
			last = max(last, index)
		}
	}
	return last
}

// lastChangeOf is the index at which the service last changed; of one that is not
// there, that at which one last ended, which is later than all of its own.
func (v view) lastChangeOf(name string) uint64 {
	if s := v.find(name); s != nil {
		return s.index
	}
	return max(1, v.extinct)
}
