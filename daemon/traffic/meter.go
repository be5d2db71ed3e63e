package traffic

import (
	"math"
	"sync/atomic"
	"time"
)

// Classes of answers, by the first digit of their status; 0 is an answer that
// never came or broke off.
const classes = 6

// buckets are the upper bounds of the response times that are told apart, in
// seconds: 0.25 ms, and a quarter more each time, up to a minute and a half.
var buckets = func() (bounds [57]float64) {
	for k := range bounds {
		bounds[k] = 0.00025 * math.Pow(1.25, float64(k))
	}
	return bounds
}()

// bucketOf is the index of the first bound that d does not exceed; len(buckets) beyond the last.
func bucketOf(d time.Duration) int {
	s := d.Seconds()
	if s <= buckets[0] {
		return 0
	}
	k := int(math.Ceil(math.Log(s/buckets[0]) / math.Log(1.25)))
	switch {
	case k > len(buckets)-1 && s > buckets[len(buckets)-1]:
		return len(buckets)
	case k > len(buckets)-1:
		return len(buckets) - 1
	case s > buckets[k]: // the logarithm was rounded down
		return k + 1
	case k > 0 && s <= buckets[k-1]: // or up
		return k - 1
	}
	return k
}

// meter counts a backend's answers. It is safe for concurrent use, without locks.
type meter struct {
	answers [classes]atomic.Uint64
	times   [len(buckets) + 1]atomic.Uint64
	// nanoseconds is the sum of all response times.
	nanoseconds atomic.Uint64
	ejections   atomic.Uint64
	retries     atomic.Uint64

	last reading // of the last call of since; used by one goroutine only
}

// count notes one answer: its status, or 0, and the time until its head came.
func (m *meter) count(status int, d time.Duration) {
	class := status / 100
	if class < 0 || class >= classes {
		class = 0
	}
	m.answers[class].Add(1)
	m.times[bucketOf(d)].Add(1)
	m.nanoseconds.Add(uint64(max(d, 0)))
}

// reading is what a meter shows.
type reading struct {
	answers [classes]uint64
	times   [len(buckets) + 1]uint64
}

func (m *meter) read() (r reading) {
	for k := range r.answers {
		r.answers[k] = m.answers[k].Load()
	}
	for k := range r.times {
		r.times[k] = m.times[k].Load()
	}
	return r
}

// since is what came since the call before.
func (m *meter) since() reading {
	now := m.read()
	d := now
	for k := range d.answers {
		d.answers[k] -= m.last.answers[k]
	}
	for k := range d.times {
		d.times[k] -= m.last.times[k]
	}
	m.last = now
	return d
}

// total is the number of answers.
func (r reading) total() (n uint64) {
	for _, c := range r.answers {
		n += c
	}
	return n
}

// quantile is the response time that a share q of the answers did not exceed, in
// milliseconds: the upper bound of its bucket. Zero without answers.
func (r reading) quantile(q float64) float64 {
	total := uint64(0)
	for _, n := range r.times {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(total)))
	seen := uint64(0)
	for k, n := range r.times {
		if seen += n; seen >= rank {
			return buckets[min(k, len(buckets)-1)] * 1000
		}
	}
	return buckets[len(buckets)-1] * 1000
}
