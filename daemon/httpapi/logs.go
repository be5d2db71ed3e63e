package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// LogsInput selects and pages log lines of an instance.
type LogsInput struct {
	InstanceParams
	Limit  int       `query:"limit" doc:"Most lines to return." example:"100" default:"100" minimum:"1" maximum:"1000"`
	Cursor string    `query:"cursor" doc:"Continues after the last line of an earlier answer: its next_cursor." example:"MjAyNi0wNi0wNlQwODozMDowMFo" maxLength:"128"`
	Since  time.Time `query:"since" doc:"Only lines at or after this time, oldest first; without it and without cursor, the last lines." example:"2026-06-06T08:30:00Z"`
	Source string    `query:"source" doc:"Only lines of this stream." example:"stdout" enum:"stdout,stderr"`
}

func (s *server) registerLogs(a huma.API) {
	register(s, a, operation{
		id: "getInstanceLogs", method: http.MethodGet, path: pathInstances + "/{instance_id}/logs", tag: "instances",
		summary: "Read an instance's log", description: "What the container wrote, oldest first. The last page has a cursor too: ask again with it to follow the log.",
		status: http.StatusOK, success: "One page of lines.",
		problems: []int{http.StatusNotFound},
	}, s.getInstanceLogs)
}

func (s *server) getInstanceLogs(ctx context.Context, in *LogsInput) (*Answer[api.LogList], error) {
	from, err := logStart(in)
	if err != nil {
		return nil, err
	}
	instance, err := s.Store.Instance(ctx, in.InstanceID)
	if err != nil {
		return nil, missing(err, "instance", in.InstanceID)
	}
	if from.isZero() {
		from.resume = instance.CreatedAt
	}
	if instance.ContainerID == "" {
		return &Answer[api.LogList]{Body: api.LogList{Logs: []api.LogEntry{}, NextCursor: from.cursor()}}, nil
	}
	lines, more, err := s.Engine.Logs(ctx, instance.ContainerID, from.since(), in.Limit+from.seen, in.Source)
	if errors.Is(err, fleet.ErrNotFound) {
		return nil, fleet.Errorf(fleet.ErrNotFound, "the container of instance %s is gone, and its log with it", in.InstanceID)
	}
	if err != nil {
		return nil, err
	}
	lines = from.unseen(lines)
	return &Answer[api.LogList]{Body: api.LogList{
		Logs:       list(lines, logLineToAPI),
		HasMore:    more,
		NextCursor: from.after(lines).cursor(),
	}}, nil
}

// logPosition is a place in a log: behind all lines before time at, and behind
// seen lines of that very time. Without at, it is the end of the log.
type logPosition struct {
	at   time.Time
	seen int
	// resume is where a log that has no lines yet is continued.
	resume time.Time
}

func logStart(in *LogsInput) (logPosition, error) {
	p := logPosition{at: in.Since}
	if in.Cursor == "" {
		return p, nil
	}
	cursor, err := parseLogCursor(in.Cursor)
	if err != nil {
		return p, fleet.FieldErrorf(fleet.ErrInvalid, "query.cursor", "is not a cursor of a log; pass next_cursor as it was returned")
	}
	if cursor.at.Before(in.Since) {
		return p, nil
	}
	return cursor, nil
}

func (p logPosition) isZero() bool { return p.at.IsZero() }

// since is the time after which the engine is asked for lines; zero asks for the last ones.
func (p logPosition) since() time.Time {
	if p.isZero() {
		return time.Time{}
	}
	return p.at.Add(-time.Nanosecond)
}

// unseen leaves out the lines that the client has already.
func (p logPosition) unseen(lines []fleet.LogLine) []fleet.LogLine {
	for n := 0; n < p.seen && len(lines) > 0 && lines[0].Timestamp.Equal(p.at); n++ {
		lines = lines[1:]
	}
	return lines
}

// after is the position behind the lines that follow p.
func (p logPosition) after(lines []fleet.LogLine) logPosition {
	if len(lines) == 0 {
		return p
	}
	next := logPosition{at: lines[len(lines)-1].Timestamp}
	for i := len(lines) - 1; i >= 0 && lines[i].Timestamp.Equal(next.at); i-- {
		next.seen++
	}
	if next.at.Equal(p.at) {
		next.seen += p.seen
	}
	return next
}

// maxSeen bounds the lines of one and the same time that a cursor can count.
const maxSeen = 10_000

// cursor is the position as an opaque text.
func (p logPosition) cursor() string {
	at := p.at
	if p.isZero() {
		at = p.resume
	}
	text := at.UTC().Format(time.RFC3339Nano)
	if p.seen > 0 {
		text += " " + strconv.Itoa(min(p.seen, maxSeen))
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func parseLogCursor(cursor string) (logPosition, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return logPosition{}, err
	}
	at, seen, counted := strings.Cut(string(text), " ")
	p := logPosition{}
	if p.at, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return logPosition{}, err
	}
	if !counted {
		return p, nil
	}
	if p.seen, err = strconv.Atoi(seen); err == nil && (p.seen < 1 || p.seen > maxSeen) {
		err = strconv.ErrRange
	}
	return p, err
}

var (
	levelPair = regexp.MustCompile(`(?i)(?:^|\s)(?:level|lvl|severity)="?([a-z]+)`)
	levelWord = regexp.MustCompile(`^\[?([A-Z]+)\]?(?:$|[\s:|])`)
	levels    = map[string]string{
		"trace": "debug", "debug": "debug", "dbg": "debug",
		"info": "info", "inf": "info", "notice": "info",
		"warn": "warn", "warning": "warn", "wrn": "warn",
		"error": "error", "err": "error",
		"fatal": "fatal", "panic": "fatal", "critical": "fatal", "crit": "fatal", "emergency": "fatal", "alert": "fatal",
	}
)

// levelOf reads the level of a line where it has one in JSON, as level=… or as
// its first word in capitals; otherwise the stream decides.
func levelOf(line fleet.LogLine) string {
	if level, ok := levels[strings.ToLower(writtenLevel(line.Message))]; ok {
		return level
	}
	if line.Source == "stderr" {
		return "error"
	}
	return "info"
}

func writtenLevel(message string) string {
	message = strings.TrimSpace(message)
	if strings.HasPrefix(message, "{") {
		var entry struct {
			Level    any `json:"level"`
			Lvl      any `json:"lvl"`
			Severity any `json:"severity"`
		}
		if json.Unmarshal([]byte(message), &entry) == nil {
			for _, v := range []any{entry.Level, entry.Lvl, entry.Severity} {
				if s, ok := v.(string); ok {
					return s
				}
			}
		}
		return ""
	}
	if m := levelWord.FindStringSubmatch(message); m != nil {
		return m[1]
	}
	if m := levelPair.FindStringSubmatch(message); m != nil {
		return m[1]
	}
	return ""
}
