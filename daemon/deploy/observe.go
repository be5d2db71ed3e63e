package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// killed is the exit code of a process that SIGKILL ended. Engines do not always
// learn that the kernel sent it because the memory ran out.
const killed = 137

// keptExits bounds how many exits an instance remembers.
const keptExits = 2 * fleet.CrashLimit

// Observe brings an instance up to date with what the engine says of its
// container, and returns the events to record. checked says whether its
// definition has a health check; without one, running is healthy. It is pure, and
// returns nothing and changes nothing when the facts are known already. An engine
// whose clock is ahead tells of ends that are yet to come: they count as of now.
func Observe(i *fleet.Instance, c fleet.Container, checked bool, now time.Time) []fleet.Event {
	switch {
	case i.Current == fleet.StatusTerminated:
		return nil
	case c.State == fleet.ContainerGone:
		return observeGone(i, c)
	case c.State == fleet.ContainerCreated && i.Current == fleet.StatusRunning:
		c.Error = errHalfStarted.Error()
		return observeGone(i, c)
	}
	i.ContainerID = c.ID
	if c.Node != "" {
		i.Node = c.Node
	}
	switch c.State {
	case fleet.ContainerRunning, fleet.ContainerPaused:
		return observeRunning(i, c, checked)
	case fleet.ContainerExited:
		return observeExited(i, c, now)
	default:
		return nil
	}
}

func observeRunning(i *fleet.Instance, c fleet.Container, checked bool) []fleet.Event {
	i.IPAddress = c.IPAddress
	if len(c.Ports) > 0 && !maps.Equal(i.Ports, c.Ports) {
		i.Ports = maps.Clone(c.Ports)
	}
	started := c.StartedAt.UTC().Truncate(time.Microsecond) // the store's resolution
	if i.Current == fleet.StatusRunning && i.StartedAt != nil && i.StartedAt.Equal(started) {
		return nil
	}
	if i.StartedAt != nil {
		i.Restarts++
	}
	i.Current, i.StartedAt, i.Error, i.Force = fleet.StatusRunning, &started, "", false
	unjudged(i)
	if !checked {
		i.Health, i.HealthySince = fleet.HealthHealthy, &started
	}
	return []fleet.Event{event(*i, fleet.EventStarted, map[string]any{"restart_count": i.Restarts, "container_id": c.ID})}
}

func observeExited(i *fleet.Instance, c fleet.Container, now time.Time) []fleet.Event {
	finished := c.FinishedAt.UTC().Truncate(time.Microsecond)
	known := i.Current == fleet.StatusStopped || i.Current == fleet.StatusFailed
	if known && i.StoppedAt != nil && finished.Equal(*i.StoppedAt) {
		return nil
	}
	code, counts := c.ExitCode, struck(*i)
	i.ExitCode, i.StoppedAt, i.IPAddress = &code, &finished, ""
	unjudged(i)
	if counts && fleet.CrashLoop(i.RecentExits) {
		return observeFailed(i, i.Error, map[string]any{"exit_code": code})
	}
	if counts || i.Desired != fleet.StatusRunning || restartDue(*i) || i.DrainingSince != nil || c.EngineStopped {
		i.Current, i.Error = fleet.StatusStopped, ""
		return []fleet.Event{event(*i, fleet.EventStopped, map[string]any{"exit_code": code, "engine_stopped": c.EngineStopped})}
	}
	i.RecentExits = remembered(i.RecentExits, earlier(finished, now.UTC().Truncate(time.Microsecond)))
	return observeFailed(i, exitMessage(*i, c), map[string]any{"exit_code": code, "oom_killed": c.OOMKilled})
}

// unjudged takes back what checks have said of a run: another one begins, or none does.
func unjudged(i *fleet.Instance) {
	i.Health, i.HealthySince, i.SettledAt, i.UnhealthySince = fleet.HealthUnknown, nil, nil, nil
}

// observeFailed: the instance is down after a run that ended badly.
func observeFailed(i *fleet.Instance, why string, data map[string]any) []fleet.Event {
	i.Current, i.Error = fleet.StatusFailed, why
	if fleet.CrashLoop(i.RecentExits) {
		i.Error = fmt.Sprintf("crash loop: %d failures within %s, left stopped; last: %s; start it or deploy again once the cause is mended",
			len(fleet.RecentExits(i.RecentExits)), fleet.CrashWindow, why)
	}
	failed := event(*i, fleet.EventFailed, data)
	failed.Error = i.Error
	return []fleet.Event{failed}
}

// observeIll: the run is about to be ended because it is unhealthy. It counts from
// now on, whatever becomes of the daemon before it has ended.
func observeIll(i *fleet.Instance, why string) []fleet.Event {
	if struck(*i) {
		return nil
	}
	strike(i)
	i.Error = why
	failed := event(*i, fleet.EventFailed, map[string]any{
		"health_status": string(i.Health), "unhealthy_since": *i.UnhealthySince, "recent_failures": len(fleet.RecentExits(i.RecentExits)),
	})
	failed.Error = why
	return []fleet.Event{failed}
}

// exitMessage says how a container ended, in a sentence.
func exitMessage(i fleet.Instance, c fleet.Container) string {
	after := ""
	if i.StartedAt != nil || !c.StartedAt.IsZero() {
		after = fmt.Sprintf(" after %s", c.FinishedAt.Sub(c.StartedAt).Round(10*time.Millisecond))
	}
	switch {
	case c.OOMKilled:
		return fmt.Sprintf("exited with code %d%s: it needed more memory than its limit", c.ExitCode, after)
	case c.ExitCode == killed:
		return fmt.Sprintf("exited with code %d%s: it was killed; if nobody did that, it needed more memory than its limit", c.ExitCode, after)
	case c.Error != "":
		return fmt.Sprintf("exited with code %d%s: %s", c.ExitCode, after, c.Error)
	default:
		return fmt.Sprintf("exited with code %d%s", c.ExitCode, after)
	}
}

// observeGone: the container was removed, by somebody else unless it tells why.
func observeGone(i *fleet.Instance, c fleet.Container) []fleet.Event {
	if i.ContainerID == "" {
		return nil
	}
	lost := i.ContainerID
	i.ContainerID, i.IPAddress = "", ""
	unjudged(i)
	if i.Desired == fleet.StatusStopped {
		i.Current = fleet.StatusStopped
	} else {
		i.Current = fleet.StatusPending
	}
	failed := event(*i, fleet.EventFailed, map[string]any{"container_id": lost})
	failed.Error = cmp.Or(c.Error, "the container was removed from outside")
	return []fleet.Event{failed}
}

// event is an event about an instance, made by the daemon.
func event(i fleet.Instance, kind string, data map[string]any) fleet.Event {
	return fleet.Event{
		InstanceID:   i.ID,
		DefinitionID: i.DefinitionID,
		DeploymentID: i.DeploymentID,
		Environment:  i.Environment,
		Type:         kind,
		Source:       fleet.SourceSystem,
		Data:         data,
	}
}

// known reports whether an engine's report tells nothing that the row does not
// say already. A report without a state asks for a look in any case.
func known(i fleet.Instance, e fleet.ContainerEvent) bool {
	switch e.State {
	case fleet.ContainerCreated:
		return true
	case fleet.ContainerRunning:
		return i.Current == fleet.StatusRunning && i.StartedAt != nil && e.At.Sub(*i.StartedAt).Abs() < time.Second
	default:
		return false
	}
}
