package traffic

import (
	"slices"
	"sync"
)

// pool is a service in an environment: the backends that may get its requests.
type pool struct {
	service, environment string
	// all shares out by weights and splits. While a deployment goes on, incoming are
	// its replicas alone and before the others alone; both are nil otherwise.
	all, incoming, before *ring
	budget                *budget
}

// sameAs reports whether a pool shares out as another does, so that the other's
// place in its cycle may be kept.
func (p *pool) sameAs(other *pool) bool {
	return other != nil && sameRing(p.all, other.all) && sameRing(p.incoming, other.incoming) && sameRing(p.before, other.before)
}

func sameRing(a, b *ring) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.members, b.members)
}

// Bounds of retries.
const (
	// retryShare is how many of a service's requests may be tried again, beside
	// those that never reached an instance.
	retryShare = 0.2
	// retryReserve is how many may be tried again although there were few requests.
	retryReserve = 10
	// maxTries bounds the instances that one request is offered to.
	maxTries = 5
)

// budget bounds how many of a service's requests are tried again, so that
// retries do not bring down what is overloaded.
type budget struct {
	mu    sync.Mutex
	saved float64
}

func newBudget() *budget { return &budget{saved: retryReserve} }

// earn counts a request.
func (b *budget) earn() {
	b.mu.Lock()
	b.saved = min(b.saved+retryShare, 10*retryReserve)
	b.mu.Unlock()
}

// spend takes one retry, if there is one.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.saved < 1 {
		return false
	}
	b.saved--
	return true
}
