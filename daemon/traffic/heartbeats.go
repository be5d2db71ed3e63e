package traffic

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// flushEvery is how often heartbeats are written.
	flushEvery = time.Second
	// hurryTime collects heartbeats that cannot wait for that.
	hurryTime = 20 * time.Millisecond
	// flushTime bounds one writing.
	flushTime = 10 * time.Second
)

// Heartbeats gathers the heartbeats that this daemon gets and writes them in
// batches. While the database is away it keeps the newest one of each endpoint.
type Heartbeats struct {
	store  HeartbeatStore
	log    *slog.Logger
	urgent chan struct{}
	away   bool // for Run alone

	mu      sync.Mutex
	pending map[string]fleet.Heartbeat
}

// NewHeartbeats makes a Heartbeats; Run sets it to work.
func NewHeartbeats(store HeartbeatStore, log *slog.Logger) *Heartbeats {
	return &Heartbeats{store: store, log: log, urgent: make(chan struct{}, 1), pending: make(map[string]fleet.Heartbeat)}
}

// Beat takes a heartbeat of an endpoint that is registered. One that brings news of
// its health is written at once, others within a second.
func (h *Heartbeats) Beat(b fleet.Heartbeat, news bool) {
	h.mu.Lock()
	h.add(b)
	h.mu.Unlock()
	if news {
		select {
		case h.urgent <- struct{}{}:
		default:
		}
	}
}

// add keeps the newer one of a heartbeat and what is there of its endpoint.
func (h *Heartbeats) add(b fleet.Heartbeat) {
	if other, ok := h.pending[b.EndpointID]; !ok || b.At.After(other.At) {
		h.pending[b.EndpointID] = b
	}
}

// Run writes until ctx ends, and then what is left.
func (h *Heartbeats) Run(ctx context.Context) error {
	ctx = fleet.AsSystem(ctx)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			h.flush(context.WithoutCancel(ctx))
			return nil
		case <-ticker.C:
		case <-h.urgent:
			time.Sleep(hurryTime)
		}
		h.flush(ctx)
	}
}

// flush writes what there is. What cannot be written stays, unless something newer
// of the same endpoint has come.
func (h *Heartbeats) flush(ctx context.Context) {
	h.mu.Lock()
	batch := h.pending
	h.pending = make(map[string]fleet.Heartbeat, len(batch))
	h.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	beats := slices.SortedFunc(maps.Values(batch), func(a, b fleet.Heartbeat) int { return strings.Compare(a.EndpointID, b.EndpointID) })
	err := h.store.RecordHeartbeats(ctx, beats)
	if err != nil {
		h.mu.Lock()
		for _, b := range batch {
			h.add(b)
		}
		h.mu.Unlock()
	}
	switch {
	case err != nil && !h.away:
		h.away = true
		h.log.Warn("cannot write heartbeats; the newest of each endpoint is kept", "error", err)
	case err == nil && h.away:
		h.away = false
		h.log.Info("writing heartbeats again", "kept", len(batch))
	}
}
