package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestFollow(t *testing.T) {
	const output = `{"@level":"info","type":"version","terraform":"1.5.7"}
not JSON
{"type":"apply_start","hook":{"resource":{"addr":"wedsync_network.app[\"staging\"]"},"action":"create"}}
{"type":"apply_complete","hook":{"resource":{"addr":"wedsync_network.app[\"staging\"]"},"action":"create","elapsed_seconds":1}}
{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"Provider development overrides are in effect"}}
{"type":"diagnostic","diagnostic":{"severity":"error","summary":"Deployment failed","detail":"api-staging-1 exited with code 1"}}
{"type":"change_summary","changes":{"add":1,"change":2,"remove":3,"operation":"apply"}}
`
	var progress strings.Builder
	done, problems := follow(strings.NewReader(output), &progress)
	if want := (outcome{Add: 1, Change: 2, Remove: 3}); done != want {
		t.Errorf("outcome %+v, want %+v", done, want)
	}
	if want := "wedsync_network.app[\"staging\"] created in 1s\n"; progress.String() != want {
		t.Errorf("progress %q, want %q", progress.String(), want)
	}
	if problems == nil || !strings.Contains(problems.Error(), "exited with code 1") || strings.Contains(problems.Error(), "overrides") {
		t.Errorf("problems %v, want the error alone", problems)
	}
}

func TestRecordSurvives(t *testing.T) {
	d := &demo{dir: t.TempDir(), record: record{Listen: "127.0.0.1:7366", CLI: "/usr/bin/tofu", BuiltImages: []string{demoImage}}}
	if err := d.save(); err != nil {
		t.Fatal(err)
	}
	again := &demo{dir: d.dir}
	if err := again.load(); err != nil {
		t.Fatal(err)
	}
	if again.Listen != d.Listen || again.CLI != d.CLI || !slices.Equal(again.BuiltImages, d.BuiltImages) {
		t.Errorf("read %+v, want %+v", again.record, d.record)
	}
}

func TestSettingsOfOthersAreDropped(t *testing.T) {
	got := withoutSettings([]string{"PATH=/bin", "WEDSYNC_DATABASE_URL=x", "TF_CLI_ARGS=-destroy", "HOME=/h"})
	if want := []string{"PATH=/bin", "HOME=/h"}; !slices.Equal(got, want) {
		t.Errorf("withoutSettings = %v, want %v", got, want)
	}
}

func TestStepsTellWhatHappened(t *testing.T) {
	broken := errors.New("disk full")
	tests := []struct {
		name    string
		do      func(context.Context, *line) error
		want    string
		changed bool
		err     error
	}{
		{"found", func(_ context.Context, l *line) error { return l.found("it") }, "found: it", false, nil},
		{"did", func(_ context.Context, l *line) error { return l.did("made it") }, `made it \(\S+\)`, true, nil},
		{"failed", func(context.Context, *line) error { return broken }, "failed", false, broken},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			s := newStepper(&out)
			if err := s.run(t.Context(), "step", tc.do); !errors.Is(err, tc.err) {
				t.Errorf("run = %v, want %v", err, tc.err)
			}
			if !regexp.MustCompile(`^  step .*` + tc.want + `\n$`).MatchString(out.String()) {
				t.Errorf("shown %q, want the title and %q", out.String(), tc.want)
			}
			if s.changed != tc.changed {
				t.Errorf("changed = %v, want %v", s.changed, tc.changed)
			}
		})
	}
}

func TestDownWithoutUpRemovesNothing(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "somebody-else's")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d := &demo{dir: dir, steps: newStepper(&out)}
	if err := d.down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}
