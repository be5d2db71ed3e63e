package docker

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// eventBuffer lets the engine go on while the reader writes to the database.
const eventBuffer = 256

// Events streams the changes of this installation's containers. It is
// subscribed when it returns, so that a listing made afterwards misses nothing.
// The error channel yields once, when the context has ended or the engine is lost.
//
// Nothing is asked of the engine on the way: it keeps a container that has just
// ended locked until it has cleared up behind it, and everybody else's events would
// wait for that. Whoever wants to know why one ended asks when it is its turn.
func (e *Engine) Events(ctx context.Context) (<-chan fleet.ContainerEvent, <-chan error) {
	args := e.ours()
	args.Add("type", string(events.ContainerEventType))
	for _, action := range []events.Action{
		events.ActionCreate, events.ActionStart, events.ActionDie,
		events.ActionPause, events.ActionUnPause, events.ActionDestroy,
	} {
		args.Add("event", string(action))
	}
	out, failed := make(chan fleet.ContainerEvent, eventBuffer), make(chan error, 1)
	stream, cancel := context.WithCancel(ctx)
	messages, errs := e.client.Events(stream, events.ListOptions{Filters: args})
	go func() {
		defer cancel()
		failed <- e.relay(ctx, messages, errs, out)
	}()
	return out, failed
}

func (e *Engine) relay(ctx context.Context, messages <-chan events.Message, errs <-chan error, out chan<- fleet.ContainerEvent) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-errs:
			return e.lostStream(ctx, err)
		case m := <-messages:
			event, ok := translateEvent(m)
			if !ok {
				continue
			}
			select {
			case out <- event:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// lostStream is the error of a stream that ended, orderly or because the
// connection broke.
func (e *Engine) lostStream(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, errors.Is(err, io.EOF):
		return fleet.Errorf(fleet.ErrUnavailable, "the Docker Engine at %s ended the stream of events", e.Host())
	default:
		return e.unavailable(err)
	}
}

// translateEvent tells the state that a container is in after an event; false
// for one that changes none.
func translateEvent(m events.Message) (fleet.ContainerEvent, bool) {
	event := fleet.ContainerEvent{
		ContainerID: m.Actor.ID,
		InstanceID:  m.Actor.Attributes[fleet.LabelInstance],
		Workload: fleet.Workload{
			DefinitionID: m.Actor.Attributes[fleet.LabelDefinition],
			Environment:  m.Actor.Attributes[fleet.LabelEnvironment],
		},
		At: time.Unix(0, m.TimeNano).UTC(),
	}
	switch m.Action {
	case events.ActionCreate:
		event.State = fleet.ContainerCreated
	case events.ActionStart, events.ActionUnPause:
		event.State = fleet.ContainerRunning
	case events.ActionPause:
		event.State = fleet.ContainerPaused
	case events.ActionDie:
		event.State = fleet.ContainerExited
		event.ExitCode, _ = strconv.Atoi(m.Actor.Attributes["exitCode"])
	case events.ActionDestroy:
		event.State = fleet.ContainerGone
	default:
		return fleet.ContainerEvent{}, false
	}
	return event, true
}
