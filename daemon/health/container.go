package health

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// command makes a check by running a command inside the container: exit code 0
// passes. What the engine cannot do is no verdict.
func (p *prober) command(ctx context.Context, t fleet.HealthTarget) outcome {
	what := "command " + t.Check.Command[0]
	result, err := p.engine.RunCommand(ctx, t.ContainerID, t.Check.Command)
	switch {
	case err != nil:
		return undecided("%s: cannot be run: %v", what, err)
	case result.Busy:
		return failed("%s: that of an earlier check has not ended yet", what)
	case result.TimedOut:
		return failed("%s: has not ended within %d s%s", what, t.Check.Timeout, said(result.Output))
	case result.Missing:
		return failed("%s: cannot be run in this container%s", what, said(result.Output))
	}
	return judged(result.ExitCode == 0, "%s: exit code %d%s", what, result.ExitCode, said(result.Output))
}

// image makes a check by asking the engine for the verdict of the image's own.
func (p *prober) image(ctx context.Context, t fleet.HealthTarget) outcome {
	found, err := p.engine.ImageHealth(ctx, t.ContainerID)
	switch {
	case err != nil:
		return undecided("HEALTHCHECK of the image: cannot be asked for: %v", err)
	case found.Missing:
		return failed("the image has no HEALTHCHECK; give it one, or choose another type in health_check_config")
	case found.Health == fleet.HealthUnknown:
		return undecided("HEALTHCHECK of the image: starting%s", said(found.Output))
	}
	return judged(found.Health == fleet.HealthHealthy, "HEALTHCHECK of the image: %s%s", found.Health, said(found.Output))
}

// said is what a command has written, behind what has come of it.
func said(output string) string {
	output = strings.TrimSpace(output)
	if output == "" {
		return ""
	}
	return ": " + output
}

// clipped is text as a database takes it, with a bound.
func clipped(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= maxDetails {
		return s
	}
	cut := maxDetails - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s…", s[:cut])
}
