package discovery

import (
	"fmt"
	"maps"
	"slices"
)

// The states of checks. There is no warning and no maintenance here.
const (
	stateAny      = "any"
	statePassing  = "passing"
	stateCritical = "critical"
)

// checkState refuses a state of /v1/health/state/ that does not exist in Consul.
func checkState(state string) error {
	if !slices.Contains([]string{stateAny, statePassing, "warning", stateCritical}, state) {
		return fmt.Errorf("no state %q: use any, passing, warning or critical", state)
	}
	return nil
}

// consulNode is a node. Every endpoint is on one of its own, since it has an
// address of its own.
type consulNode struct {
	ID              string
	Node            string
	Address         string
	Datacenter      string
	TaggedAddresses map[string]string
	Meta            map[string]string
	CreateIndex     uint64
	ModifyIndex     uint64
}

// consulWeights are the shares of an endpoint by the state of its checks.
type consulWeights struct {
	Passing int
	Warning int
}

// catalogService is an endpoint as the catalog lists it.
type catalogService struct {
	ID                       string
	Node                     string
	Address                  string
	Datacenter               string
	TaggedAddresses          map[string]string
	NodeMeta                 map[string]string
	ServiceKind              string
	ServiceID                string
	ServiceName              string
	ServiceTags              []string
	ServiceAddress           string
	ServiceWeights           consulWeights
	ServiceMeta              map[string]string
	ServicePort              int
	ServiceEnableTagOverride bool
	CreateIndex              uint64
	ModifyIndex              uint64
}

// agentService is an endpoint as health lists it.
type agentService struct {
	ID                string
	Service           string
	Tags              []string
	Address           string
	Meta              map[string]string
	Port              int
	Weights           consulWeights
	EnableTagOverride bool
	CreateIndex       uint64
	ModifyIndex       uint64
}

// consulCheck is the verdict on an endpoint.
type consulCheck struct {
	Node        string
	CheckID     string
	Name        string
	Status      string
	Notes       string
	Output      string
	ServiceID   string
	ServiceName string
	ServiceTags []string
	Type        string
	Definition  struct{}
	CreateIndex uint64
	ModifyIndex uint64
}

// serviceEntry is an endpoint with its node and its check.
type serviceEntry struct {
	Node    consulNode
	Service agentService
	Checks  []consulCheck
}

func newConsulNode(e *entry, index uint64) consulNode {
	return consulNode{
		ID: e.id, Node: e.id, Address: e.host, Datacenter: datacenter,
		TaggedAddresses: map[string]string{}, Meta: nodeMeta(e), CreateIndex: index, ModifyIndex: index,
	}
}

func newCatalogService(e *entry, index uint64) catalogService {
	return catalogService{
		ID: e.id, Node: e.id, Address: e.host, Datacenter: datacenter,
		TaggedAddresses: map[string]string{}, NodeMeta: nodeMeta(e),
		ServiceID: e.id, ServiceName: qualify(e.service, e.environment), ServiceTags: tagsOf(e),
		ServiceAddress: e.host, ServicePort: e.port, ServiceMeta: serviceMeta(e), ServiceWeights: weightsOf(e),
		CreateIndex: index, ModifyIndex: index,
	}
}

func newServiceEntry(e *entry, index uint64) serviceEntry {
	return serviceEntry{
		Node: newConsulNode(e, index),
		Service: agentService{
			ID: e.id, Service: qualify(e.service, e.environment), Tags: tagsOf(e),
			Address: e.host, Port: e.port, Meta: serviceMeta(e), Weights: weightsOf(e),
			CreateIndex: index, ModifyIndex: index,
		},
		Checks: []consulCheck{newConsulCheck(e, index)},
	}
}

func newConsulCheck(e *entry, index uint64) consulCheck {
	status := stateCritical
	if e.healthy {
		status = statePassing
	}
	return consulCheck{
		Node: e.id, CheckID: "service:" + e.id, Name: "Health as wedsyncd knows it", Status: status,
		ServiceID: e.id, ServiceName: qualify(e.service, e.environment), ServiceTags: tagsOf(e),
		CreateIndex: index, ModifyIndex: index,
	}
}

func weightsOf(e *entry) consulWeights { return consulWeights{Passing: e.weight, Warning: 1} }

func nodeMeta(e *entry) map[string]string { return map[string]string{"environment": e.environment} }

// serviceMeta is the endpoint's metadata and, stronger than it, what wedsyncd
// itself knows: metadata cannot pass an endpoint off as another environment's.
func serviceMeta(e *entry) map[string]string {
	meta := maps.Clone(e.metadata)
	if meta == nil {
		meta = make(map[string]string)
	}
	for key, value := range own(e) {
		switch {
		case value != "":
			meta[key] = value
		case key != keyVersion:
			delete(meta, key)
		}
	}
	return meta
}

// keyVersion is the image's tag, or what the metadata of something external says.
const keyVersion = "version"

// own is what is known of an endpoint besides its metadata.
func own(e *entry) map[string]string {
	return map[string]string{
		"service": e.service, "environment": e.environment, "scheme": e.scheme, keyVersion: e.imageTag,
		"instance_id": e.instanceID, "deployment_id": e.deploymentID,
	}
}

// tagsOf are the environment, the version and the metadata of an endpoint, each
// KEY=VALUE, so that metadata such as traefik.enable are the tags that Traefik reads.
func tagsOf(e *entry) []string {
	tags := []string{"environment=" + e.environment}
	if e.imageTag != "" {
		tags = append(tags, keyVersion+"="+e.imageTag)
	}
	known := own(e)
	for _, key := range slices.Sorted(maps.Keys(e.metadata)) {
		if value, taken := known[key]; !taken || (key == keyVersion && value == "") {
			tags = append(tags, key+"="+e.metadata[key])
		}
	}
	return tags
}

// self is what is told of the agent; Prometheus asks it for the datacenter.
func self() map[string]map[string]any {
	return map[string]map[string]any{
		"Config": {"Datacenter": datacenter, "PrimaryDatacenter": datacenter, "NodeName": datacenter, "Server": true},
		"Member": {"Name": datacenter, "Status": 1, "Tags": map[string]string{"dc": datacenter, "role": "consul"}},
	}
}
