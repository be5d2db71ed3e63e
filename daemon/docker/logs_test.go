package docker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

var logStart = time.Date(2026, 6, 6, 8, 0, 0, 0, time.UTC)

func at(nanosecond int) time.Time { return logStart.Add(time.Duration(nanosecond)) }

func record(nanosecond int, text string) []byte {
	return []byte(at(nanosecond).Format("2006-01-02T15:04:05.000000000Z") + " " + text)
}

func texts(lines []fleet.LogLine) []string {
	var list []string
	for _, l := range lines {
		list = append(list, l.Message)
	}
	return list
}

func TestLogStream(t *testing.T) {
	part := strings.Repeat("x", maxLogLine)
	tests := map[string]struct {
		after   int
		records []string
		want    []string
	}{
		"lines":           {-1, []string{"a\n", "b\n"}, []string{"a", "b"}},
		"empty line":      {-1, []string{"\n"}, []string{""}},
		"carriage return": {-1, []string{"a\r\n"}, []string{"a"}},
		"spaces stay":     {-1, []string{"  a b \n"}, []string{"  a b "}},
		"strictly after":  {0, []string{"a\n", "b\n"}, []string{"b"}},
		"parts of a line": {-1, []string{part, part, "end\n", "next\n"}, []string{part[:maxLogLine-len(truncated)] + truncated, "next"}},
		"not UTF-8":       {-1, []string{"a\xffb\n"}, []string{"a\uFFFDb"}},
		"no line's end":   {-1, []string{"a"}, []string{"a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &logCollector{after: at(tt.after)}
			s := &logStream{c: c, source: sourceStdout}
			for i, text := range tt.records {
				r := record(i, text)
				if n, err := s.Write(r); err != nil || n != len(r) {
					t.Fatalf("wrote %d of %d, %v", n, len(r), err)
				}
			}
			if got := texts(c.lines); !slices.Equal(got, tt.want) {
				t.Errorf("got %.60q, want %.60q", got, tt.want)
			}
		})
	}
	if _, err := (&logStream{c: &logCollector{}}).Write([]byte("no time\n")); err == nil {
		t.Error("read a record without a time")
	}
}

func TestMessageIsBoundedAndValid(t *testing.T) {
	got := message([]byte(strings.Repeat("é", maxLogLine)+"\n"), true)
	if len(got) > maxLogLine || !utf8.ValidString(got) || !strings.HasSuffix(got, truncated) {
		t.Errorf("got %d bytes, valid %t, ending %q", len(got), utf8.ValidString(got), got[len(got)-30:])
	}
}

func TestLogCollectorKeepsTheLast(t *testing.T) {
	c := &logCollector{keepLast: 3}
	for i := range 1000 {
		if err := c.add(fleet.LogLine{Timestamp: at(i), Message: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	lines := c.last()
	if got := texts(lines); !slices.Equal(got, []string{"997", "998", "999"}) {
		t.Errorf("got %v", got)
	}
}

func TestPage(t *testing.T) {
	tests := map[string]struct {
		times []int
		limit int
		want  []int
		more  bool
	}{
		"fits":   {[]int{1, 2}, 2, []int{1, 2}, false},
		"more":   {[]int{1, 2, 3}, 2, []int{1, 2}, true},
		"sorted": {[]int{3, 1, 2}, 2, []int{1, 2}, true},
		"equal":  {[]int{1, 2, 2, 2}, 3, []int{1, 2, 2}, true},
		"none":   {nil, 2, nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var lines []fleet.LogLine
			for _, n := range tt.times {
				lines = append(lines, fleet.LogLine{Timestamp: at(n)})
			}
			got, more := page(lines, tt.limit)
			var times []int
			for _, l := range got {
				times = append(times, int(l.Timestamp.Sub(logStart)))
			}
			if !slices.Equal(times, tt.want) || more != tt.more {
				t.Errorf("got %v, %t; want %v, %t", times, more, tt.want, tt.more)
			}
		})
	}
}

// requests makes the demo program write one line for each path, in order.
func requests(t *testing.T, url string, count int) {
	t.Helper()
	for i := range count {
		if _, ok := get(fmt.Sprintf("%s/fail?status=599&n=%d", url, i)); ok {
			t.Fatal("the request succeeded")
		}
	}
}

func TestLogsFromTheEngine(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging"))
	awaitLog(t, e, id, "serving")
	requests(t, "http://"+inspect(t, e, id).IPAddress+":8080", 30)
	var all []fleet.LogLine
	await(t, "all lines are there", func() bool {
		lines, more, err := e.Logs(t.Context(), id, time.Time{}, 100, "")
		if err != nil || more {
			t.Fatalf("more %t, %v", more, err)
		}
		all = lines
		return len(all) == 31
	})
	if !slices.IsSortedFunc(all, func(a, b fleet.LogLine) int { return a.Timestamp.Compare(b.Timestamp) }) {
		t.Error("the lines are out of order")
	}
	t.Run("tail", func(t *testing.T) {
		tail, err := e.LogTail(t.Context(), id, 5)
		if err != nil || !slices.Equal(tail, all[26:]) {
			t.Errorf("got %v, %v", tail, err)
		}
	})
	t.Run("pages", func(t *testing.T) {
		var read []fleet.LogLine
		since, more := all[0].Timestamp.Add(-1), true
		for more {
			var lines []fleet.LogLine
			var err error
			lines, more, err = e.Logs(t.Context(), id, since, 7, "")
			if err != nil || len(lines) == 0 || len(lines) > 7 {
				t.Fatalf("page of %d, %v", len(lines), err)
			}
			read = append(read, lines...)
			since = lines[len(lines)-1].Timestamp
		}
		if !slices.Equal(read, all) {
			t.Errorf("pages hold %d lines, want %d", len(read), len(all))
		}
		if lines, more, err := e.Logs(t.Context(), id, since, 7, ""); err != nil || more || len(lines) != 0 {
			t.Errorf("after the last: %v, %t, %v", lines, more, err)
		}
	})
	t.Run("source", func(t *testing.T) {
		if lines, _, err := e.Logs(t.Context(), id, time.Time{}, 5, sourceStdout); err != nil || !slices.Equal(lines, all[26:]) {
			t.Errorf("stdout: %v, %v", lines, err)
		}
		if lines, _, err := e.Logs(t.Context(), id, time.Time{}, 5, sourceStderr); err != nil || len(lines) != 0 {
			t.Errorf("stderr: %v, %v", lines, err)
		}
	})
}

func TestLogsOfBothStreams(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging", func(s *fleet.ContainerSpec) {
		// The runtime traces to stderr, then the program refuses its port on stdout.
		s.Spec.Environment = map[string]string{"GODEBUG": "inittrace=1", "PORT": "nope"}
	}))
	awaitState(t, e, id, fleet.ContainerExited)
	tests := map[string]struct{ source, with, without string }{
		"both":   {"", "PORT is", "nothing of the kind"},
		"stdout": {sourceStdout, "PORT is", "init "},
		"stderr": {sourceStderr, "init ", "PORT is"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, since := range []time.Time{{}, time.Unix(1, 0)} {
				lines, _, err := e.Logs(t.Context(), id, since, 1000, tt.source)
				if err != nil {
					t.Fatal(err)
				}
				all := strings.Join(texts(lines), "\n")
				if !strings.Contains(all, tt.with) || strings.Contains(all, tt.without) {
					t.Errorf("since %s: %s", since, all)
				}
				wrong := func(l fleet.LogLine) bool { return tt.source != "" && l.Source != tt.source }
				if slices.ContainsFunc(lines, wrong) {
					t.Errorf("since %s: lines of the other stream: %v", since, lines)
				}
			}
		})
	}
	// The one line of stdout comes last, after more lines of stderr than asked for.
	if lines, _, err := e.Logs(t.Context(), id, time.Time{}, 1, sourceStderr); err != nil || len(lines) != 1 {
		t.Errorf("the last line of stderr: %v, %v", lines, err)
	}
}

func TestLogsOfWhatIsNot(t *testing.T) {
	e := newEngine(t)
	_, _, err := e.Logs(t.Context(), uuid.NewString(), time.Time{}, 5, "")
	wantKind(t, err, fleet.ErrNotFound)
	never := ensure(t, e, demo(t, e, "staging"))
	if lines, more, err := e.Logs(t.Context(), never, time.Time{}, 5, ""); err != nil || more || len(lines) != 0 {
		t.Errorf("of a container that never ran: %v, %t, %v", lines, more, err)
	}
}
