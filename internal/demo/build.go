package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
	"github.com/wedsync/terraform-provider-wedsync/internal/tools"
)

// demoImage is what examples/quickstart deploys.
const demoImage = "wedsync/demo-app:v1"

// oldestCLI is the oldest version that the provider supports.
const oldestCLI = "1.5.0"

// ensureCLI uses the CLI that wrote the state, else one of the user's, else the
// pinned OpenTofu, which it may have to build.
func (d *demo) ensureCLI(ctx context.Context, l *line) error {
	if version, err := machine.CLIVersion(ctx, d.CLI); d.CLI != "" && err == nil {
		return l.found(filepath.Base(d.CLI) + " " + version)
	}
	for _, name := range []string{"tofu", "terraform"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		version, err := machine.CLIVersion(ctx, path)
		if err == nil && !machine.OlderThan(version, oldestCLI) {
			d.CLI = path
			if err := d.save(); err != nil {
				return err
			}
			return l.found(name + " " + version)
		}
	}
	path, err := tools.Path(ctx, tools.OpenTofu, l)
	if err != nil {
		return err
	}
	d.CLI = path
	if err := d.save(); err != nil {
		return err
	}
	return l.did(path)
}

// build builds both programs into the folder of the demonstration. Go rebuilds
// only what changed.
func (d *demo) build(ctx context.Context, l *line) error {
	before := d.fingerprint("wedsyncd") + d.fingerprint("terraform-provider-wedsync")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", d.path("bin")+"/", ".", "./daemon/wedsyncd")
	cmd.Dir = d.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, bytes.TrimSpace(out))
	}
	if before == d.fingerprint("wedsyncd")+d.fingerprint("terraform-provider-wedsync") {
		return l.found(d.path("bin"))
	}
	return l.did("into " + d.path("bin"))
}

// fingerprint tells one build of a program from another; empty when there is none.
func (d *demo) fingerprint(program string) string {
	f, err := os.Open(d.path("bin", program))
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ensureImage builds the demo image from scratch; nothing is pulled.
func (d *demo) ensureImage(ctx context.Context, l *line) error {
	before, err := machine.ImageID(ctx, d.engine, demoImage)
	if err != nil {
		return err
	}
	if before == "" {
		d.BuiltImages = []string{demoImage}
		if err := d.save(); err != nil {
			return err
		}
	}
	_, version, _ := strings.Cut(demoImage, ":")
	if err := testenv.LoadDemoImage(ctx, demoImage, version); err != nil {
		return err
	}
	after, err := machine.ImageID(ctx, d.engine, demoImage)
	if err != nil {
		return err
	}
	if before == after {
		return l.found(after[:19])
	}
	return l.did(after[:19])
}
