// Package tools builds the command line tools that development and tests need,
// at the versions that the nested modules beside this file pin, and keeps them
// in a cache folder outside of the repository. Each module's go.sum vouches for
// what is built, so nothing but the Go module proxy is trusted or needed.
//
// A tool's file name carries its version: raising a version in a go.mod leaves
// the old build alone and makes a new one at the next use.
package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Tool is one pinned program.
type Tool struct {
	// Name is the tool's name and that of its module's folder.
	Name string
	// Binary is the program's name without its version.
	Binary string
	// Package is the main package to build.
	Package string
	// Module is the module whose version in the tool's go.mod is the tool's.
	Module string
	// LDFlags are passed to the linker.
	LDFlags string
}

// Names of the pinned tools.
const (
	OpenTofu     = "opentofu"
	Terraform    = "terraform"
	GolangCI     = "golangci-lint"
	SQLC         = "sqlc"
	TFPluginDocs = "tfplugindocs"
	Pebble       = "pebble"
)

// EnvCache names the environment variable that moves the cache folder.
const EnvCache = "WEDSYNC_TOOLS"

var catalogue = []Tool{
	{
		Name: OpenTofu, Binary: "tofu",
		Package: "github.com/opentofu/opentofu/cmd/tofu", Module: "github.com/opentofu/opentofu",
		// Without it the program calls itself a pre-release.
		LDFlags: "-s -w -X github.com/opentofu/opentofu/version.dev=no",
	},
	{
		Name: Terraform, Binary: "terraform",
		Package: "github.com/hashicorp/terraform", Module: "github.com/hashicorp/terraform",
		LDFlags: "-s -w",
	},
	{
		Name: GolangCI, Binary: "golangci-lint",
		Package: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", Module: "github.com/golangci/golangci-lint/v2",
		LDFlags: "-s -w",
	},
	{
		Name: SQLC, Binary: "sqlc",
		Package: "github.com/sqlc-dev/sqlc/cmd/sqlc", Module: "github.com/sqlc-dev/sqlc",
		LDFlags: "-s -w",
	},
	{
		Name: TFPluginDocs, Binary: "tfplugindocs",
		Package: "github.com/hashicorp/terraform-plugin-docs/cmd/tfplugindocs", Module: "github.com/hashicorp/terraform-plugin-docs",
		LDFlags: "-s -w",
	},
	{
		Name: Pebble, Binary: "pebble",
		Package: "github.com/letsencrypt/pebble/v2/cmd/pebble", Module: "github.com/letsencrypt/pebble/v2",
		LDFlags: "-s -w",
	},
}

// Names lists the pinned tools.
func Names() []string {
	names := make([]string, 0, len(catalogue))
	for _, t := range catalogue {
		names = append(names, t.Name)
	}
	return names
}

// Path returns the program of a pinned tool and builds it first if this machine
// has no build of that version. Processes that ask at the same time build once.
// What takes long is told to progress, a line each.
func Path(ctx context.Context, name string, progress io.Writer) (string, error) {
	i := slices.IndexFunc(catalogue, func(t Tool) bool { return t.Name == name })
	if i < 0 {
		return "", fmt.Errorf("find tool: there is none named %q; there are %s", name, strings.Join(Names(), ", "))
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	tool, source := catalogue[i], filepath.Join(root, "internal", "tools", name)
	version, err := pinned(filepath.Join(source, "go.mod"), tool.Module)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, tool.Binary+"-"+version)
	if isProgram(path) {
		return path, nil
	}
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if isProgram(path) {
		return path, nil
	}
	return path, build(ctx, tool, version, source, path, progress)
}

// Root is the top folder of this repository, found from the working directory upwards.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(data, []byte("module github.com/wedsync/terraform-provider-wedsync\n")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find repository: %s is not inside of it; change into its folder first", start)
		}
	}
}

// pinned is the version of a module in a go.mod file, without the leading v.
func pinned(goMod, module string) (string, error) {
	data, err := os.ReadFile(goMod)
	if err != nil {
		return "", fmt.Errorf("read pinned version: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == module {
			return strings.TrimPrefix(fields[1], "v"), nil
		}
	}
	return "", fmt.Errorf("read pinned version: %s does not require %s", goMod, module)
}

func cacheDir() (string, error) {
	dir := os.Getenv(EnvCache)
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find cache folder: %w; set %s to a folder for built tools", err, EnvCache)
		}
		dir = filepath.Join(base, "wedsync-tools")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w; set %s to a folder that can be written", err, EnvCache)
	}
	return dir, nil
}

// build compiles into a file beside path and renames it, so that path is never half a program.
func build(ctx context.Context, t Tool, version, source, path string, progress io.Writer) error {
	fmt.Fprintf(progress, "building %s %s once into %s (some minutes)\n", t.Name, version, filepath.Dir(path))
	began := time.Now()
	partial := path + ".partial"
	defer os.Remove(partial)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", t.LDFlags, "-o", partial, t.Package)
	cmd.Dir = source
	// Pure Go needs no C compiler. The settings of a surrounding go command are not the tool module's.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS=", "GOARCH=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s %s: %w\n%s", t.Name, version, errors.Join(context.Cause(ctx), err), bytes.TrimSpace(out))
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("build %s: %w", t.Name, err)
	}
	fmt.Fprintf(progress, "built %s %s in %s\n", t.Name, version, time.Since(began).Round(time.Second))
	return nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// lock takes an exclusive lock on a file and waits for it as long as the context
// lives. The kernel gives the lock back when the process ends, however it ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = flock(f)
	}()
	select {
	case <-done:
		if failed != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, failed)
		}
		return func() { f.Close() }, nil
	case <-ctx.Done():
		go func() { // a lock that comes too late is given back
			<-done
			f.Close()
		}()
		return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
	}
}

func flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
