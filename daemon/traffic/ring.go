package traffic

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// member is a backend and its share of a ring.
type member struct {
	backend *backend
	weight  int64
}

// ring shares requests out among backends by their weights.
type ring struct {
	members []member
	// byToken finds the backend that a sticky cookie names.
	byToken map[string]*backend

	mu      sync.Mutex
	current []int64
}

// newRing leaves out what has no weight.
func newRing(members []member) *ring {
	members = slices.DeleteFunc(slices.Clone(members), func(m member) bool { return m.weight <= 0 })
	r := &ring{members: members, byToken: make(map[string]*backend, len(members)), current: make([]int64, len(members))}
	for _, m := range members {
		r.byToken[m.backend.token] = m.backend
	}
	return r
}

// next is smooth weighted round robin, as nginx does it: each backend gains its
// weight, the one that has most is picked and pays the weights of all. Over one
// cycle each gets exactly its share, spread evenly. Backends that usable refuses
// take no part; nil when none is left.
func (r *ring) next(usable func(*backend) bool) *backend {
	r.mu.Lock()
	defer r.mu.Unlock()
	best, total := -1, int64(0)
	for k := range r.members {
		m := &r.members[k]
		if !usable(m.backend) {
			continue
		}
		r.current[k] += m.weight
		total += m.weight
		if best < 0 || r.current[k] > r.current[best] {
			best = k
		}
	}
	if best < 0 {
		return nil
	}
	r.current[best] -= total
	return r.members[best].backend
}

// lessBusy draws two different backends at random, by their weights, and picks
// the one with fewer requests for its weight (Mitzenmacher: The Power of Two
// Choices in Randomized Load Balancing, 2001).
func (r *ring) lessBusy(usable func(*backend) bool) *backend {
	candidates := make([]member, 0, 16)
	for _, m := range r.members {
		if usable(m.backend) {
			candidates = append(candidates, m)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	first := draw(candidates)
	a := candidates[first]
	if len(candidates) == 1 {
		return a.backend
	}
	candidates[first] = candidates[len(candidates)-1]
	candidates = candidates[:len(candidates)-1]
	b := candidates[draw(candidates)]
	if (b.backend.inFlight.Load()+1)*a.weight < (a.backend.inFlight.Load()+1)*b.weight {
		return b.backend
	}
	return a.backend
}

// draw is the index of one of the candidates, at random by their weights.
func draw(candidates []member) int {
	total := int64(0)
	for _, m := range candidates {
		total += m.weight
	}
	at := rand.Int64N(total)
	for k, m := range candidates {
		if at -= m.weight; at < 0 {
			return k
		}
	}
	return len(candidates) - 1
}
