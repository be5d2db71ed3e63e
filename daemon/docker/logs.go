package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// maxLogLine bounds one line; the engine itself splits longer ones there.
	maxLogLine = 16 << 10
	// maxLogLines bounds one answer.
	maxLogLines = 10_000
	// logTimeout bounds reading, since an engine reads rotated files from their beginning.
	logTimeout = 30 * time.Second
	// logLookahead is how many lines past the limit are read, to put lines in
	// order whose two streams the engine wrote down slightly out of it.
	logLookahead = 64
	// truncated marks a line that was longer than maxLogLine.
	truncated = "… (truncated)"
)

// Sources of log lines.
const (
	sourceStdout = "stdout"
	sourceStderr = "stderr"
)

// LogTail returns the last lines that the container wrote.
func (e *Engine) LogTail(ctx context.Context, containerID string, lines int) ([]fleet.LogLine, error) {
	tail, _, err := e.Logs(ctx, containerID, time.Time{}, lines, "")
	return tail, err
}

// Logs returns at most limit lines after the time since, oldest first, and
// whether more follow; with a zero since, the last lines. Source is stdout,
// stderr or empty for both. A page may end between two lines of one and the same
// time: who continues from a time counts those that it has. ErrNotFound.
func (e *Engine) Logs(ctx context.Context, containerID string, since time.Time, limit int, source string) ([]fleet.LogLine, bool, error) {
	if containerID == "" {
		return nil, false, fleet.Errorf(fleet.ErrNotFound, "read logs: the instance has no container yet")
	}
	limit = max(1, min(limit, maxLogLines))
	call, cancel := bounded(ctx, logTimeout)
	defer cancel()
	var (
		lines []fleet.LogLine
		more  bool
		err   error
	)
	if since.IsZero() {
		lines, err = e.lastLines(call, containerID, limit, source)
	} else {
		lines, more, err = e.linesAfter(call, containerID, since, limit, source)
	}
	if err != nil {
		return nil, false, e.translate(ctx, "read logs", err)
	}
	return lines, more, nil
}

func (e *Engine) linesAfter(ctx context.Context, id string, since time.Time, limit int, source string) ([]fleet.LogLine, bool, error) {
	c := &logCollector{after: since, stopAt: limit + logLookahead}
	options := logOptions(source)
	options.Since = fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond())
	options.Tail = "all"
	if err := e.readLogs(ctx, id, options, c); err != nil {
		return nil, false, err
	}
	lines, more := page(c.lines, limit)
	return lines, more, nil
}

// lastLines asks for a growing tail until it holds enough: the engine counts
// lines of both streams, and parts of long lines as lines.
func (e *Engine) lastLines(ctx context.Context, id string, limit int, source string) ([]fleet.LogLine, error) {
	for tail := limit; ; tail *= 8 {
		c := &logCollector{keepLast: limit}
		options := logOptions(source)
		options.Tail = strconv.Itoa(tail)
		if tail > maxLogLines*8 {
			options.Tail = "all"
		}
		if err := e.readLogs(ctx, id, options, c); err != nil {
			return nil, err
		}
		if len(c.lines) >= limit || options.Tail == "all" || source == "" && c.records < tail {
			return c.last(), nil
		}
	}
}

func logOptions(source string) container.LogsOptions {
	return container.LogsOptions{
		ShowStdout: source != sourceStderr,
		ShowStderr: source != sourceStdout,
		Timestamps: true,
	}
}

func (e *Engine) readLogs(ctx context.Context, id string, options container.LogsOptions, c *logCollector) error {
	stream, err := e.client.ContainerLogs(ctx, id, options)
	if err != nil {
		return err
	}
	defer stream.Close()
	_, err = stdcopy.StdCopy(&logStream{c: c, source: sourceStdout}, &logStream{c: c, source: sourceStderr}, stream)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// page puts lines in order and cuts them at limit.
func page(lines []fleet.LogLine, limit int) (first []fleet.LogLine, more bool) {
	sortLines(lines)
	return lines[:min(len(lines), limit)], len(lines) > limit
}

func sortLines(lines []fleet.LogLine) {
	slices.SortStableFunc(lines, func(a, b fleet.LogLine) int { return a.Timestamp.Compare(b.Timestamp) })
}

// errEnough ends the reading of a log that holds more than is wanted.
var errEnough = errors.New("enough lines")

// logCollector gathers the lines of both streams.
type logCollector struct {
	after    time.Time // lines up to and at this time are left out
	stopAt   int       // end reading at this many lines; zero: never
	keepLast int       // keep only this many; zero: all
	lines    []fleet.LogLine
	records  int // what the engine counts as lines
}

// last are the lines to keep, in order.
func (c *logCollector) last() []fleet.LogLine {
	sortLines(c.lines)
	return c.lines[max(0, len(c.lines)-c.keepLast):]
}

// logStream gets one record of the engine with every Write: a time, a space and
// a line, or a part of a line that was too long, which lacks the line's end.
type logStream struct {
	c      *logCollector
	source string
	inside bool // the last record was a part of a line that goes on
}

func (s *logStream) Write(record []byte) (int, error) {
	s.c.records++
	stamp, text, _ := bytes.Cut(record, []byte(" "))
	ended := bytes.HasSuffix(text, []byte("\n"))
	continued := s.inside
	s.inside = !ended
	if continued {
		return len(record), nil
	}
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return 0, fmt.Errorf("read log time: %w", err)
	}
	if !at.After(s.c.after) {
		return len(record), nil
	}
	if err := s.c.add(fleet.LogLine{Timestamp: at.UTC(), Source: s.source, Message: message(text, ended)}); err != nil {
		return 0, err
	}
	return len(record), nil
}

func (c *logCollector) add(line fleet.LogLine) error {
	c.lines = append(c.lines, line)
	if c.keepLast > 0 && len(c.lines) >= 2*c.keepLast+logLookahead {
		c.lines = append(c.lines[:0], c.lines[len(c.lines)-c.keepLast:]...)
	}
	if c.stopAt > 0 && len(c.lines) >= c.stopAt {
		return errEnough
	}
	return nil
}

// message is a line's text: valid, without its end, and no longer than allowed.
func message(text []byte, ended bool) string {
	text = bytes.TrimRight(text, "\r\n")
	long := len(text) > maxLogLine || !ended && len(text) == maxLogLine
	if long {
		text = text[:min(len(text), maxLogLine-len(truncated))]
	}
	s := strings.ToValidUTF8(string(text), "\uFFFD")
	if long {
		s = strings.TrimRight(s, "\uFFFD") + truncated
	}
	return s
}
