package discovery

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// labelPrefix begins the labels of a target; Prometheus drops those that begin
// with __ when relabelling is over.
const labelPrefix = "__meta_wedsync_"

// targetGroup is one element of what http_sd answers.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// serveTargets answers with all endpoints of a view, those that do not serve too:
// they are the ones whose metrics somebody will look for. Parameters service and
// environment select.
func (d *Directory) serveTargets(w http.ResponseWriter, r *http.Request) {
	v := seen(d.current.Load(), r)
	if !v.known() {
		// Prometheus keeps its targets when it gets an error, and drops them when it gets an empty list.
		refuse(w, http.StatusServiceUnavailable, "the registry has not been read yet; ask again")
		return
	}
	parameters := r.URL.Query()
	service, environment := parameters.Get("service"), parameters.Get("environment")
	groups := []targetGroup{}
	for _, s := range v.visible() {
		if (service != "" && s.name != service) || (environment != "" && s.environment != environment) {
			continue
		}
		for _, e := range s.entries {
			groups = append(groups, groupOf(e))
		}
	}
	writeJSON(w, groups)
}

// groupOf is a group for one endpoint, since its labels are its own.
func groupOf(e *entry) targetGroup {
	labels := map[string]string{
		labelPrefix + "service":       e.service,
		labelPrefix + "environment":   e.environment,
		labelPrefix + "endpoint_id":   e.id,
		labelPrefix + "instance_id":   e.instanceID,
		labelPrefix + "deployment_id": e.deploymentID,
		labelPrefix + "image_tag":     e.imageTag,
		labelPrefix + "scheme":        e.scheme,
		labelPrefix + "weight":        strconv.Itoa(e.weight),
		labelPrefix + "healthy":       strconv.FormatBool(e.healthy),
	}
	for _, key := range slices.Sorted(maps.Keys(e.metadata)) {
		label := labelPrefix + "metadata_" + labelName(key)
		if _, taken := labels[label]; !taken {
			labels[label] = e.metadata[key]
		}
	}
	return targetGroup{Targets: []string{net.JoinHostPort(e.host, strconv.Itoa(e.port))}, Labels: labels}
}

// labelName replaces all that a label's name cannot have by underscores, as
// Prometheus' own discoveries do.
func labelName(key string) string {
	return strings.Map(func(c rune) rune {
		if c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') {
			return c
		}
		return '_'
	}, key)
}
