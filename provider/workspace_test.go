package provider_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/wedsync/terraform-provider-wedsync/client"
)

// workspace is a folder in which a CLI is run as a user runs it, with the provider
// in a process of its own, so that it can be interrupted.
type workspace struct {
	t        *testing.T
	dir      string
	binary   string
	settings string // the CLI's configuration file
}

// buildProvider builds the provider's program into a folder and returns that.
func buildProvider(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir, ".")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the provider: %v\n%s", err, out)
	}
	return dir
}

// newWorkspace makes a workspace for the CLI that isolateCLI has chosen.
func newWorkspace(t *testing.T, provider string) workspace {
	t.Helper()
	w := workspace{t: t, dir: t.TempDir(), binary: os.Getenv("TF_ACC_TERRAFORM_PATH")}
	w.settings = filepath.Join(t.TempDir(), "cli.tfrc")
	settings := fmt.Sprintf("provider_installation {\n  dev_overrides { \"wedsync/wedsync\" = %q }\n  direct {}\n}\n", provider)
	if err := os.WriteFile(w.settings, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// write makes a configuration the workspace's.
func (w workspace) write(config string) {
	w.t.Helper()
	requirements := "terraform {\n  required_providers {\n    wedsync = { source = \"wedsync/wedsync\" }\n  }\n}\n"
	if err := os.WriteFile(filepath.Join(w.dir, "main.tf"), []byte(requirements+config), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w workspace) command(out *bytes.Buffer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), w.binary, args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+w.settings, "TF_IN_AUTOMATION=1")
	cmd.Stdout, cmd.Stderr = out, out
	return cmd
}

// apply applies the configuration and returns what the CLI printed.
func (w workspace) apply() string {
	w.t.Helper()
	var out bytes.Buffer
	if err := w.command(&out, "apply", "-auto-approve", "-input=false", "-no-color").Run(); err != nil {
		w.t.Fatalf("apply: %v\n%s", err, out.String())
	}
	return out.String()
}

// fails applies a configuration that must fail and returns what the CLI printed.
func (w workspace) fails() string {
	w.t.Helper()
	var out bytes.Buffer
	if err := w.command(&out, "apply", "-auto-approve", "-input=false", "-no-color").Run(); err == nil {
		w.t.Fatalf("an apply succeeds that should not:\n%s", out.String())
	}
	return out.String()
}

// plan plans and returns what the plan changes of the deployment.
func (w workspace) plan() (p planRecorder) {
	w.t.Helper()
	var out bytes.Buffer
	if err := w.command(&out, "plan", "-input=false", "-no-color", "-out=tfplan").Run(); err != nil {
		w.t.Fatalf("plan: %v\n%s", err, out.String())
	}
	var plan tfjson.Plan
	w.show(&plan, "tfplan")
	if err := p.record(&plan); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// show reads the state, or a file that holds a plan.
func (w workspace) show(into json.Unmarshaler, file ...string) {
	w.t.Helper()
	var out bytes.Buffer
	err := w.command(&out, append([]string{"show", "-json"}, file...)...).Run()
	if err == nil {
		err = json.Unmarshal(out.Bytes(), into)
	}
	if err != nil {
		w.t.Fatalf("show: %v\n%s", err, out.String())
	}
}

// interrupted applies, sends the CLI an interrupt, as Ctrl-C does, once a rollout
// is in progress, and returns the rollout's identifier and what the CLI printed.
func (w workspace) interrupted(c *client.Client) (id, text string) {
	w.t.Helper()
	var out bytes.Buffer
	cmd := w.command(&out, "apply", "-auto-approve", "-input=false", "-no-color")
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	id, unmet := rolloutBegins(ctx, c)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		w.t.Fatal(err)
	}
	err := cmd.Wait()
	if unmet != nil {
		w.t.Fatalf("%v\n%s", unmet, out.String())
	}
	if err == nil {
		w.t.Errorf("an interrupted apply succeeds:\n%s", out.String())
	}
	return id, out.String()
}

// deployment is the deployment as the state shows it.
func (w workspace) deployment() map[string]any {
	w.t.Helper()
	var state tfjson.State
	w.show(&state)
	if state.Values == nil {
		return nil
	}
	for _, r := range state.Values.RootModule.Resources {
		if r.Address == deploymentAddress {
			if r.Tainted {
				w.t.Errorf("%s is tainted: the next apply would replace it", r.Address)
			}
			return r.AttributeValues
		}
	}
	return nil
}

// shows checks attributes of the deployment in the state.
func (w workspace) shows(want map[string]any) {
	w.t.Helper()
	got := w.deployment()
	for name, value := range want {
		if fmt.Sprint(got[name]) != fmt.Sprint(value) {
			w.t.Errorf("%s is %v in the state, want %v", name, got[name], value)
		}
	}
}

// says checks that words stand in a text, in this order, however its lines are broken.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	rest := strings.Join(strings.Fields(strings.ReplaceAll(text, "│", " ")), " ")
	for _, w := range words {
		_, after, found := strings.Cut(rest, w)
		if !found {
			t.Errorf("%q is missing, or not in its place, in:\n%s", w, text)
			return
		}
		rest = after
	}
}
