package health

import (
	"context"
	"fmt"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// maxDetails bounds, in bytes, what a check's result says in words.
const maxDetails = 4 << 10

// heldUp is how much longer than its timeout a check can take only if the daemon stood still.
const heldUp = time.Second

// outcome is what one check has found: healthy or unhealthy, or unknown when it
// could not be made, through no fault of the instance, or has no verdict yet.
type outcome struct {
	health  fleet.Health
	details string
}

func passed(format string, args ...any) outcome {
	return outcome{fleet.HealthHealthy, fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) outcome {
	return outcome{fleet.HealthUnhealthy, fmt.Sprintf(format, args...)}
}

func undecided(format string, args ...any) outcome {
	return outcome{fleet.HealthUnknown, fmt.Sprintf(format, args...)}
}

// unless is the outcome, but no verdict on the instance when this daemon was held
// up meanwhile: stopped, or without processor time. Then the timeout says nothing.
func (o outcome) unless(late bool, took time.Duration) outcome {
	if o.health != fleet.HealthUnhealthy || !late {
		return o
	}
	return undecided("wedsyncd was held up and took %s to see: %s", took.Round(time.Millisecond), o.details)
}

// judged passes or fails.
func judged(ok bool, format string, args ...any) outcome {
	if ok {
		return passed(format, args...)
	}
	return failed(format, args...)
}

// prober makes checks of every type.
type prober struct {
	requester requester
	dialer    dialer
	engine    Engine
}

func newProber(e Engine) *prober {
	return &prober{requester: newRequester(), engine: e}
}

// probe makes one check. It always yields a result; what went wrong is in its details.
func (p *prober) probe(ctx context.Context, t fleet.HealthTarget) fleet.HealthResult {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(t.Check.Timeout)*time.Second)
	defer cancel()
	found := p.check(ctx, t)
	if took := time.Since(began); t.Check.NeedsPort() {
		found = found.unless(took > time.Duration(t.Check.Timeout)*time.Second+heldUp, took)
	}
	return fleet.HealthResult{
		Timestamp:    began.UTC().Truncate(time.Microsecond), // the store's resolution
		Status:       found.health,
		ResponseTime: float64(time.Since(began).Microseconds()) / 1000,
		Details:      clipped(found.details),
	}
}

func (p *prober) check(ctx context.Context, t fleet.HealthTarget) outcome {
	switch t.Check.Kind() {
	case grammar.HealthTCP:
		return p.dialer.check(ctx, t)
	case grammar.HealthCommand:
		return p.command(ctx, t)
	case grammar.HealthImage:
		return p.image(ctx, t)
	default:
		return p.requester.check(ctx, t)
	}
}
