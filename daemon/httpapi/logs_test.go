package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

var noon = time.Date(2026, 6, 6, 12, 0, 0, 0, time.UTC)

func readLog(t *testing.T, w *world, instance, query string) api.LogList {
	t.Helper()
	return decode[api.LogList](t, w.do(t, request{method: "GET", path: instances + "/" + instance + "/logs?" + query}), 200)
}

func messages(l api.LogList) string {
	var all []string
	for _, e := range l.Logs {
		all = append(all, e.Message)
	}
	return strings.Join(all, " ")
}

func line(second int, source, message string) fleet.LogLine {
	return fleet.LogLine{Timestamp: noon.Add(time.Duration(second) * time.Second), Source: source, Message: message}
}

func TestLogPages(t *testing.T) {
	w := newWorld(t)
	_, _, instance, _ := w.seed(t)
	// Lines 3 to 6 were written at one and the same time.
	for i, second := range []int{0, 1, 2, 3, 3, 3, 3, 4} {
		source := "stdout"
		if i == 1 {
			source = "stderr"
		}
		w.engine.lines = append(w.engine.lines, line(second, source, fmt.Sprint("line", i)))
	}

	last := readLog(t, w, instance, "limit=2")
	if messages(last) != "line6 line7" || last.HasMore || last.NextCursor == "" {
		t.Errorf("the last lines: %+v", last)
	}
	if next := readLog(t, w, instance, "cursor="+last.NextCursor); len(next.Logs) != 0 || next.HasMore || next.NextCursor == "" {
		t.Errorf("behind the end: %+v", next)
	}
	w.engine.lines = append(w.engine.lines, line(4, "stdout", "line8"), line(5, "stdout", "line9"))
	if next := readLog(t, w, instance, "cursor="+last.NextCursor); messages(next) != "line8 line9" {
		t.Errorf("followed: %+v", next)
	}

	for _, limit := range []int{1, 2, 3, 5} {
		var seen []string
		query := fmt.Sprintf("limit=%d&since=2026-06-06T12:00:00Z", limit)
		for range 20 {
			page := readLog(t, w, instance, query)
			if len(page.Logs) > limit {
				t.Fatalf("limit %d: %d lines", limit, len(page.Logs))
			}
			if len(page.Logs) > 0 {
				seen = append(seen, messages(page))
			}
			if !page.HasMore {
				break
			}
			query = fmt.Sprintf("limit=%d&cursor=%s", limit, page.NextCursor)
		}
		if got := strings.Join(seen, " "); got != "line0 line1 line2 line3 line4 line5 line6 line7 line8 line9" {
			t.Errorf("limit %d: %s", limit, got)
		}
	}

	if got := readLog(t, w, instance, "source=stderr"); messages(got) != "line1" || got.Logs[0].Level != "error" {
		t.Errorf("stderr: %+v", got)
	}
	if got := readLog(t, w, instance, "since=2026-06-06T12:00:04Z"); messages(got) != "line7 line8 line9" {
		t.Errorf("since: %+v", got)
	}
	if got := readLog(t, w, instance, "since=2026-06-06T12:00:05Z&cursor="+last.NextCursor); messages(got) != "line9" {
		t.Errorf("a later since than the cursor: %+v", got)
	}
}

func TestLogOfNothing(t *testing.T) {
	w := newWorld(t)
	_, _, instance, _ := w.seed(t)
	empty := readLog(t, w, instance, "")
	if len(empty.Logs) != 0 || empty.Logs == nil || empty.NextCursor == "" {
		t.Errorf("no lines: %+v", empty)
	}
	w.engine.lines = []fleet.LogLine{line(0, "stdout", "first")}
	if got := readLog(t, w, instance, "cursor="+empty.NextCursor); messages(got) != "first" {
		t.Errorf("followed from nothing: %+v", got)
	}
	pending := w.instances[instance]
	pending.ContainerID = ""
	w.instances[instance] = pending
	if got := readLog(t, w, instance, ""); len(got.Logs) != 0 || got.NextCursor == "" {
		t.Errorf("no container yet: %+v", got)
	}
	pending.ContainerID = "gone"
	w.instances[instance] = pending
	w.engine.fail = fmt.Errorf("read log: %w", fleet.ErrNotFound)
	if p := problem(t, w.do(t, request{method: "GET", path: instances + "/" + instance + "/logs"})); p.Status != 404 || !strings.Contains(p.Detail, "is gone") {
		t.Errorf("no container any more: %+v", p)
	}
}

func TestLevels(t *testing.T) {
	tests := []struct{ message, source, level string }{
		{"listening on :8080", "stdout", "info"},
		{"listening on :8080", "stderr", "error"},
		{"", "stdout", "info"},
		{`{"level":"warn","msg":"x"}`, "stdout", "warn"},
		{`{"severity":"ERROR"}`, "stdout", "error"},
		{`{"lvl":"debug"}`, "stderr", "debug"},
		{`{"level":30}`, "stdout", "info"},
		{`{"level":`, "stderr", "error"},
		{`time=12:00 level=WARN msg=x`, "stdout", "warn"},
		{`lvl="fatal" msg=x`, "stdout", "fatal"},
		{`sublevel=warn`, "stdout", "info"},
		{"INFO starting", "stderr", "info"},
		{"[ERROR] no database", "stdout", "error"},
		{"WARNING: disk", "stdout", "warn"},
		{"DEBUG|x", "stdout", "debug"},
		{"TRACE x", "stdout", "debug"},
		{"PANIC", "stdout", "fatal"},
		{"HELLO world", "stdout", "info"},
		{"INFORMATION desk", "stderr", "error"},
	}
	w := newWorld(t)
	_, _, instance, _ := w.seed(t)
	for _, tc := range tests {
		w.engine.lines = []fleet.LogLine{line(0, tc.source, tc.message)}
		if got := readLog(t, w, instance, ""); got.Logs[0].Level != tc.level || got.Logs[0].Message != tc.message {
			t.Errorf("%q on %s: %+v, want level %s", tc.message, tc.source, got.Logs[0], tc.level)
		}
	}
}
