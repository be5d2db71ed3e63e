package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// stepper shows the steps, a line each, while they are done.
type stepper struct {
	mu      sync.Mutex
	out     io.Writer
	changed bool // by any step
}

func newStepper(out io.Writer) *stepper { return &stepper{out: out} }

func (s *stepper) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// beat is how often a step that takes long shows that it is alive.
const beat = 5 * time.Second

// run does one step. It prints the title at once, a dot now and then, what the
// step tells of its progress, and how it ended.
func (s *stepper) run(ctx context.Context, title string, do func(context.Context, *line) error) error {
	l := &line{stepper: s, began: time.Now()}
	fmt.Fprintf(s.out, "  %-36s", title)
	done := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() { l.beat(done) })
	err := do(ctx, l)
	close(done)
	beats.Wait()
	if err != nil {
		l.end("failed")
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted while it was to %s; run it again to go on", title)
		}
		return err
	}
	return nil
}

// line is the line of one step. Writing to it adds progress below it.
type line struct {
	*stepper
	began time.Time
	shown time.Time // when Write last showed something
	lines int
}

func (l *line) beat(done <-chan struct{}) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			l.mu.Lock()
			if time.Since(l.shown) >= beat {
				fmt.Fprint(l.out, ".")
			}
			l.mu.Unlock()
		}
	}
}

// Write shows progress, each line indented below the step.
func (l *line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range strings.Lines(string(p)) {
		fmt.Fprintf(l.out, "\n    %s", strings.TrimRight(text, "\n"))
		l.lines++
	}
	l.shown = time.Now()
	return len(p), nil
}

// found ends the step: it was done before.
func (l *line) found(detail string) error {
	l.end("found: " + detail)
	return nil
}

// did ends the step: it changed something.
func (l *line) did(detail string) error {
	l.changed = true
	l.end(fmt.Sprintf("%s (%s)", detail, time.Since(l.began).Round(100*time.Millisecond)))
	return nil
}

func (l *line) end(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines > 0 {
		fmt.Fprint(l.out, "\n    ")
	}
	fmt.Fprintln(l.out, text)
}
