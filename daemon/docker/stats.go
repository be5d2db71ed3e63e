package docker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// opensAtOnce bounds the questions to the engine about containers that are new.
	opensAtOnce = 8
	// openPatience is how long a reading waits for them. A container whose start the
	// engine is busy with is known from a later reading on.
	openPatience = 250 * time.Millisecond
	// listedAtOnce bounds the containers that a list is asked for by name, which are
	// part of the address.
	listedAtOnce = 50
)

var errNotRunning = errors.New("the container does not run")

// statsReader reads what containers have used: from their files where the engine is
// on this machine, else from streams of the engine's.
type statsReader struct {
	mu      sync.Mutex
	held    map[string]meter
	opening map[string]bool
	slots   chan struct{}
	local   *cgroups // nil where the engine's containers are not this machine's
	located bool     // local was found out
	buf     []byte
}

func newStatsReader() statsReader {
	return statsReader{held: make(map[string]meter), opening: make(map[string]bool), slots: make(chan struct{}, opensAtOnce), buf: make([]byte, 64<<10)}
}

// meter reads one run of a container.
type meter interface {
	// read is not Known when there is nothing to read; over says that there will be
	// nothing any more, because the run has ended.
	read(buf []byte) (s fleet.ContainerStats, over bool)
	close()
}

// Stats implements metrics.Engine.
func (e *Engine) Stats(ctx context.Context, containerIDs []string) []fleet.ContainerStats {
	r := &e.stats
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(containerIDs)
	stats := make([]fleet.ContainerStats, len(containerIDs))
	if fresh := e.read(ctx, containerIDs, stats); fresh != nil {
		r.mu.Unlock()
		patience := time.NewTimer(openPatience)
		select {
		case <-fresh:
		case <-patience.C:
		case <-ctx.Done():
		}
		patience.Stop()
		r.mu.Lock()
		e.read(ctx, containerIDs, stats)
	}
	return stats
}

// read fills in what is not known yet, and begins to open what is not held. What it
// returns is closed when that has come to an end; it is nil when there is nothing to open.
func (e *Engine) read(ctx context.Context, containerIDs []string, stats []fleet.ContainerStats) <-chan struct{} {
	r := &e.stats
	var opened sync.WaitGroup
	some := false
	for k, id := range containerIDs {
		if stats[k].Known {
			continue
		}
		if m := r.held[id]; m != nil {
			var over bool
			if stats[k], over = m.read(r.buf); !over {
				continue
			}
			m.close()
			delete(r.held, id)
		}
		if !r.opening[id] {
			r.opening[id], some = true, true
			opened.Go(func() { e.open(ctx, id) })
		}
	}
	if !some {
		return nil
	}
	done := make(chan struct{})
	go func() {
		opened.Wait()
		close(done)
	}()
	return done
}

// letGo closes everything.
func (r *statsReader) letGo() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(nil)
}

// keep lets go of what is not among the containers.
func (r *statsReader) keep(containerIDs []string) {
	if len(r.held) == 0 {
		return
	}
	wanted := make(map[string]bool, len(containerIDs))
	for _, id := range containerIDs {
		wanted[id] = true
	}
	for id, m := range r.held {
		if !wanted[id] {
			m.close()
			delete(r.held, id)
		}
	}
}

// open begins to hold a container, or leaves that to the next reading.
func (e *Engine) open(ctx context.Context, id string) {
	r := &e.stats
	r.slots <- struct{}{}
	defer func() { <-r.slots }()
	m, err := e.openMeter(ctx, id)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.opening, id)
	switch {
	case err != nil:
		e.log.Debug("cannot measure a container yet", "container", id, "error", err)
	case ctx.Err() != nil || r.held[id] != nil: // nobody would close it
		m.close()
	default:
		r.held[id] = m
	}
}

func (e *Engine) openMeter(ctx context.Context, id string) (meter, error) {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	found, err := e.client.ContainerInspect(call, id)
	if err != nil {
		return nil, e.translate(ctx, "inspect container", err)
	}
	if found.State == nil || !found.State.Running || found.State.Pid <= 0 {
		return nil, errNotRunning
	}
	if local := e.stats.groups(e); local != nil {
		m, err := local.open(found)
		if err == nil {
			return m, nil
		}
		e.log.Debug("cannot read a container's files", "container", id, "error", err)
	}
	return e.openStream(ctx, id)
}

// groups are this machine's control groups; nil where the engine is elsewhere.
func (r *statsReader) groups(e *Engine) *cgroups {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.located {
		r.local, r.located = e.locate(), true
	}
	return r.local
}

// DiskUsage implements metrics.Engine. The engine walks through the layers of those
// containers only that it lists.
func (e *Engine) DiskUsage(ctx context.Context, containerIDs []string) (map[string]int64, error) {
	sizes := make(map[string]int64)
	if containerIDs == nil {
		return sizes, e.addDiskUsage(ctx, sizes, e.ours())
	}
	for some := range slices.Chunk(containerIDs, listedAtOnce) {
		named := e.ours()
		for _, id := range some {
			named.Add("id", id)
		}
		if err := e.addDiskUsage(ctx, sizes, named); err != nil {
			return nil, err
		}
	}
	return sizes, nil
}

func (e *Engine) addDiskUsage(ctx context.Context, sizes map[string]int64, which filters.Args) error {
	call, cancel := bounded(ctx, diskTimeout)
	defer cancel()
	list, err := e.client.ContainerList(call, container.ListOptions{Size: true, Filters: which})
	for _, c := range list {
		sizes[c.ID] = c.SizeRw
	}
	return e.translate(ctx, "measure writable layers", err)
}

// Machine implements metrics.Engine.
func (e *Engine) Machine(ctx context.Context) (fleet.Machine, error) {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	info, err := e.client.Info(call)
	if err != nil {
		return fleet.Machine{}, e.translate(ctx, "describe machine", err)
	}
	return fleet.Machine{Processors: info.NCPU, MemoryBytes: info.MemTotal}, nil
}
