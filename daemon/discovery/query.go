package discovery

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// datacenter is the only one.
	datacenter = "wedsync"
	// defaultWait and maxWait bound a blocking query, as Consul's do.
	defaultWait, maxWait = 5 * time.Minute, 10 * time.Minute
	// jitterPart of the wait is added at most, so that those who began together do
	// not come again together.
	jitterPart = 16
)

// query is what a request of Consul's API asks for.
type query struct {
	// index is that after which to answer; 0 is at once.
	index uint64
	wait  time.Duration
	// tags are all wanted.
	tags     []string
	passing  bool
	nodeMeta map[string]string
}

// enterprise are parameters of Consul Enterprise. What they select does not exist
// here, so an answer that ignored them would be another one than was asked for.
var enterprise = []string{"ns", "partition", "peer", "sameness-group"}

// parseQuery reads a request's parameters. Those that only choose how consistent,
// or in which order, an answer is are ignored: every answer is from one snapshot.
func parseQuery(v url.Values) (query, error) {
	q := query{tags: slices.DeleteFunc(slices.Clone(v["tag"]), func(tag string) bool { return tag == "" })}
	for _, parse := range []func(url.Values) error{checkSelection, q.parseBlocking, q.parsePassing, q.parseNodeMeta} {
		if err := parse(v); err != nil {
			return query{}, err
		}
	}
	return q, nil
}

func checkSelection(v url.Values) error {
	if dc := v.Get("dc"); dc != "" && dc != datacenter {
		return fmt.Errorf("no datacenter %q: the only one is %q", dc, datacenter)
	}
	if v.Get("filter") != "" {
		return fmt.Errorf("filter expressions are not supported: select with tag or node-meta")
	}
	for _, name := range enterprise {
		if value := v.Get(name); value != "" && value != "default" {
			return fmt.Errorf("invalid query parameter %q: environments are part of service names, as SERVICE.ENVIRONMENT", name)
		}
	}
	return nil
}

func (q *query) parseBlocking(v url.Values) (err error) {
	if index := v.Get("index"); index != "" {
		if q.index, err = strconv.ParseUint(index, 10, 64); err != nil {
			return fmt.Errorf("invalid index %q: send the X-Consul-Index of an answer", index)
		}
	}
	q.wait = defaultWait
	if wait := v.Get("wait"); wait != "" {
		if q.wait, err = time.ParseDuration(wait); err != nil || q.wait < 0 {
			return fmt.Errorf("invalid wait time %q: send a duration such as 30s or 5m", wait)
		}
		if q.wait == 0 {
			q.wait = defaultWait
		}
	}
	q.wait = min(q.wait, maxWait)
	if jitter := q.wait / jitterPart; jitter > 0 {
		q.wait += rand.N(jitter)
	}
	return nil
}

func (q *query) parsePassing(v url.Values) (err error) {
	if !v.Has("passing") {
		return nil
	}
	q.passing = true
	if passing := v.Get("passing"); passing != "" {
		if q.passing, err = strconv.ParseBool(passing); err != nil {
			return fmt.Errorf("invalid value for passing %q: send true or false", passing)
		}
	}
	return nil
}

func (q *query) parseNodeMeta(v url.Values) error {
	for _, pair := range v["node-meta"] {
		key, value, found := strings.Cut(pair, ":")
		if !found || key == "" {
			return fmt.Errorf("invalid node-meta %q: send KEY:VALUE", pair)
		}
		if q.nodeMeta == nil {
			q.nodeMeta = make(map[string]string)
		}
		q.nodeMeta[key] = value
	}
	return nil
}

// selects reports whether the endpoint is asked for; tags are compared as Consul
// does, whatever their case.
func (q *query) selects(e *entry) bool {
	if e.weight == 0 || (q.passing && !e.healthy) {
		return false
	}
	node := nodeMeta(e)
	for key, value := range q.nodeMeta {
		if node[key] != value {
			return false
		}
	}
	tags := tagsOf(e)
	for _, wanted := range q.tags {
		if !slices.ContainsFunc(tags, func(tag string) bool { return strings.EqualFold(tag, wanted) }) {
			return false
		}
	}
	return true
}
