package docker

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// diskTimeout bounds the measurement of all writable layers.
	diskTimeout = 2 * time.Minute
	// maxStreams bounds the streams that are held of an engine: each is a connection.
	maxStreams = 1024
	// staleAfter is how long what a stream told last counts.
	staleAfter = 10 * time.Second
)

// streamMeter keeps the last of what the engine tells of a container, once a second.
type streamMeter struct {
	cancel context.CancelFunc
	body   io.Closer

	mu     sync.Mutex
	opened time.Time
	last   fleet.ContainerStats
	ended  bool
}

// openStream has the engine tell about a container until the meter is closed.
func (e *Engine) openStream(ctx context.Context, id string) (meter, error) {
	if e.stats.streams() >= maxStreams {
		return nil, fleet.Errorf(fleet.ErrUnavailable, "%d containers are measured through the engine already, which is the most", maxStreams)
	}
	stream, cancel := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(e.background, cancel)
	opening := time.AfterFunc(callTimeout, cancel)
	answer, err := e.client.ContainerStats(stream, id, true)
	opening.Stop()
	if err != nil {
		release()
		cancel()
		return nil, e.translate(ctx, "measure container", err)
	}
	m := &streamMeter{opened: time.Now(), body: answer.Body, cancel: func() { release(); cancel() }}
	go m.follow(answer.Body)
	return m, nil
}

// streams is the number of those that are held.
func (r *statsReader) streams() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.held {
		if _, ok := m.(*streamMeter); ok {
			n++
		}
	}
	return n
}

func (m *streamMeter) follow(body io.Reader) {
	decoder := json.NewDecoder(body)
	for {
		var told container.StatsResponse
		err := decoder.Decode(&told)
		m.mu.Lock()
		if err != nil {
			m.ended = true
			m.mu.Unlock()
			return
		}
		m.last = statsOf(told)
		m.mu.Unlock()
	}
}

func (m *streamMeter) read([]byte) (fleet.ContainerStats, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	heard := m.opened
	if m.last.Known {
		heard = m.last.At
	}
	if m.ended || time.Since(heard) > staleAfter {
		return fleet.ContainerStats{}, true
	}
	return m.last, false
}

func (m *streamMeter) close() {
	m.cancel()
	_ = m.body.Close() // read only
}

// statsOf is what the engine told, by this machine's clock. An engine tells zeros of a
// container that does not run.
func statsOf(told container.StatsResponse) fleet.ContainerStats {
	if told.Read.IsZero() || told.CPUStats.CPUUsage.TotalUsage == 0 {
		return fleet.ContainerStats{}
	}
	inactive := told.MemoryStats.Stats["total_inactive_file"] // version 1
	if inactive == 0 {
		inactive = told.MemoryStats.Stats["inactive_file"]
	}
	s := fleet.ContainerStats{
		Known: true, At: time.Now(), CPU: time.Duration(told.CPUStats.CPUUsage.TotalUsage), HasNetwork: len(told.Networks) > 0,
		MemoryBytes: max(0, int64(told.MemoryStats.Usage)-int64(inactive)),
	}
	for _, n := range told.Networks {
		s.NetworkRx += int64(n.RxBytes)
		s.NetworkTx += int64(n.TxBytes)
	}
	return s
}
