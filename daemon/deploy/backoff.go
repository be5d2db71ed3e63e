package deploy

import (
	"context"
	"math/rand/v2"
	"time"
)

// Bounds of the time between two tries of something that is unavailable.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
	// lastSubscription is lastRetry of subscribing to the engine's events, which
	// costs next to nothing; until it succeeds nothing is noticed.
	lastSubscription = 500 * time.Millisecond
	// lastResize is lastRetry of resizing, without which an instance runs on as it is.
	lastResize = time.Minute
)

// patience is lastRetry of a step.
func patience(kind StepKind) time.Duration {
	if kind == StepResize {
		return lastResize
	}
	return lastRetry
}

// backoff is the growing time between tries, with jitter.
type backoff struct{ next, last time.Duration }

func newBackoff(last time.Duration) *backoff { return &backoff{next: firstRetry, last: last} }

func (b *backoff) reset() { b.next = firstRetry }

// delay is the time until the next try; it doubles with each call.
func (b *backoff) delay() time.Duration {
	d := b.next
	b.next = min(2*b.next, b.last)
	return d/2 + rand.N(d/2+1)
}

// wait sleeps for the delay, or until the context ends.
func (b *backoff) wait(ctx context.Context) {
	timer := time.NewTimer(b.delay())
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
