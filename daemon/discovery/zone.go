package discovery

import (
	"strings"

	"github.com/miekg/dns"
)

const (
	// apex is the zone.
	apex = "wedsync."
	// nameServer is what the zone calls the server that answers.
	nameServer = "ns." + apex
	// ttl of every record, in seconds, and of the absence of one.
	ttl = 1
	// maxLabel is the longest part of a name, and maxName the longest name, in characters.
	maxLabel, maxName = 63, 254
)

// node is what is known of one name of the zone. The zero node exists without
// records of its own, as the names of environments do.
type node struct {
	// addressed answer questions for addresses, located those for SRV.
	addressed, located []*entry
}

// newZone lists the names of the zone below its apex, in lower case:
//
//	SERVICE.ENVIRONMENT               addresses and SRV of what serves
//	_SERVICE._tcp.ENVIRONMENT         SRV, as RFC 2782 has it
//	INSTANCE.SERVICE.ENVIRONMENT      addresses of one that serves; targets of SRV
//
// A service that is registered has its names although nothing of it serves: then
// there is no data, but not no such name, which resolvers may extend to all below it.
func newZone(services []*service) map[string]*node {
	zone := make(map[string]*node)
	for _, s := range services {
		if isLabel(s.name) && isLabel(s.environment) && s.name[0] != '_' && len(s.name) < maxLabel {
			zoneOf(zone, s)
		}
	}
	return zone
}

func zoneOf(zone map[string]*node, s *service) {
	environment := strings.ToLower(s.environment) + "." + apex
	name := strings.ToLower(s.name)
	whole, located := &node{}, &node{}
	zone[environment] = at(zone, environment)
	zone["_tcp."+environment] = &node{}
	zone[name+"."+environment] = whole
	zone["_"+name+"._tcp."+environment] = located
	for _, e := range s.entries {
		if !e.serving() {
			continue
		}
		target := targetOf(e)
		if target == "" {
			continue
		}
		whole.located = append(whole.located, e)
		if e.addr.IsValid() {
			whole.addressed = append(whole.addressed, e)
			zone[target] = &node{addressed: []*entry{e}}
		}
	}
	located.located = whole.located
}

// at is the node of the name, or a new one.
func at(zone map[string]*node, name string) *node {
	if n := zone[name]; n != nil {
		return n
	}
	return &node{}
}

// targetOf is the name that leads to one endpoint: its own in the zone, or the
// host of its URL where that is a name; empty where there is no valid one.
func targetOf(e *entry) string {
	target := strings.ToLower(e.id + "." + e.service + "." + e.environment + "." + apex)
	valid := isLabel(e.id)
	if !e.addr.IsValid() {
		target = dns.Fqdn(e.host)
		valid = isHost(target)
	}
	if !valid || len(target) > maxName {
		return ""
	}
	return target
}

func isHost(fqdn string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(fqdn, "."), ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether the text can be one part of a name as it is.
func isLabel(s string) bool {
	if s == "" || len(s) > maxLabel {
		return false
	}
	for _, c := range []byte(s) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
