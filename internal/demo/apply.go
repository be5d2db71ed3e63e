package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cliConfig makes the CLI take the provider from our folder: no registry is asked.
const cliConfig = `provider_installation {
  dev_overrides {
    "wedsync/wedsync" = %q
  }
  direct {}
}
`

// outcome is what an apply or destroy did.
type outcome struct {
	Add    int `json:"add"`
	Change int `json:"change"`
	Remove int `json:"remove"`
}

func (o outcome) String() string {
	return fmt.Sprintf("%d added, %d changed, %d removed", o.Add, o.Change, o.Remove)
}

// apply makes the machine run what examples/quickstart declares.
func (d *demo) apply(ctx context.Context, l *line) error {
	done, err := d.terraform(ctx, l, "apply")
	if err != nil {
		return err
	}
	if err := d.noteInstallation(ctx); err != nil {
		return err
	}
	if done == (outcome{}) {
		return l.found("no changes")
	}
	return l.did(done.String())
}

// terraform applies or destroys, and tells each resource that it is through with.
func (d *demo) terraform(ctx context.Context, progress io.Writer, command string) (outcome, error) {
	token, err := d.token()
	if err != nil {
		return outcome{}, err
	}
	config := d.path("cli.tfrc")
	if err := os.WriteFile(config, fmt.Appendf(nil, cliConfig, d.path("bin")), 0o600); err != nil {
		return outcome{}, fmt.Errorf("write CLI configuration: %w", err)
	}
	// Canceled, the CLI finishes what it has begun and writes its state.
	cmd := exec.CommandContext(ctx, d.CLI, "-chdir="+filepath.Join(d.root, "examples", "quickstart"),
		command, "-auto-approve", "-input=false", "-json", "-lock-timeout=30s", "-state="+d.path("terraform.tfstate"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Env = append(withoutSettings(os.Environ()),
		"TF_CLI_CONFIG_FILE="+config, "TF_DATA_DIR="+d.path("terraform"), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
		"WEDSYNC_ENDPOINT="+d.endpoint(), "WEDSYNC_TOKEN="+token)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return outcome{}, fmt.Errorf("%s: %w", command, err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return outcome{}, fmt.Errorf("%s: %w", command, err)
	}
	done, problems := follow(stdout, progress)
	if err := cmd.Wait(); err != nil {
		return done, fmt.Errorf("%s examples/quickstart: %w", command, errors.Join(err, problems, errors.New(strings.TrimSpace(stderr.String()))))
	}
	return done, nil
}

// message is one line of the CLI's machine-readable output.
type message struct {
	Type    string  `json:"type"`
	Message string  `json:"@message"`
	Changes outcome `json:"changes"`
	Hook    struct {
		Resource struct {
			Address string `json:"addr"`
		} `json:"resource"`
		Action  string  `json:"action"`
		Elapsed float64 `json:"elapsed_seconds"`
	} `json:"hook"`
	Diagnostic struct {
		Severity string `json:"severity"`
		Summary  string `json:"summary"`
		Detail   string `json:"detail"`
	} `json:"diagnostic"`
}

// follow reads the output to its end and returns what was done, and the errors.
func follow(output io.Reader, progress io.Writer) (done outcome, problems error) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue
		}
		switch m.Type {
		case "apply_complete":
			fmt.Fprintf(progress, "%s %sd in %.0fs\n", m.Hook.Resource.Address, m.Hook.Action, m.Hook.Elapsed)
		case "change_summary":
			done = m.Changes
		case "diagnostic":
			if m.Diagnostic.Severity == "error" {
				problems = errors.Join(problems, fmt.Errorf("%s: %s", m.Diagnostic.Summary, m.Diagnostic.Detail))
			}
		}
	}
	return done, errors.Join(problems, lines.Err())
}
