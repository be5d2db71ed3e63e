package testenv

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

const (
	demoPackage    = "github.com/wedsync/terraform-provider-wedsync/examples/demo-app"
	demoRepository = "wedsync-test/demo-app"
	// demoProgramPath is where the program is in the image.
	demoProgramPath = "/demo-app"
	// labelDemo is on every demo image, also on one whose tag has moved on.
	labelDemo = "wedsync.test"
	// demoUser is a user without a name, as the image has no passwd file.
	demoUser = "10001:10001"
	// buildTimeout bounds the building of the program on a machine with a cold cache.
	buildTimeout = 5 * time.Minute
)

// ImageOption makes a variant of the demo image.
type ImageOption func(*demoVariant)

// demoVariant is what two demo images can differ in.
type demoVariant struct {
	variables  map[string]string
	entrypoint string
	health     *v1.HealthConfig
}

// WithEnv bakes an environment variable into the image; see examples/demo-app for its knobs.
func WithEnv(key, value string) ImageOption {
	return func(v *demoVariant) { v.variables[key] = value }
}

// Crashing makes an image whose program ends with exit code 1 right after its
// start, and was not healthy before, however slow the machine is to end it.
func Crashing() ImageOption {
	return func(v *demoVariant) {
		v.variables["CRASH_AFTER"], v.variables["FAIL_HEALTH"] = "1ms", "true"
	}
}

// CrashingAfter makes an image whose program is healthy and then ends with exit
// code 1, that long after its start.
func CrashingAfter(d time.Duration) ImageOption { return WithEnv("CRASH_AFTER", d.String()) }

// Unhealthy makes an image whose program runs, but whose health check always fails.
func Unhealthy() ImageOption { return WithEnv("FAIL_HEALTH", "true") }

// Flapping makes an image whose health checks pass ("+") and fail ("-") in a
// pattern that repeats, such as "+-".
func Flapping(pattern string) ImageOption { return WithEnv("HEALTH_PATTERN", pattern) }

// Hanging makes an image whose program listens, but never answers.
func Hanging() ImageOption { return WithEnv("HANG", "true") }

// SlowStart makes an image that is not healthy for that long after its start.
func SlowStart(d time.Duration) ImageOption { return WithEnv("START_DELAY", d.String()) }

// Leaking makes an image whose program takes that many megabytes of memory each
// second until it is killed for it. It was not healthy before.
func Leaking(megabytes int) ImageOption {
	return func(v *demoVariant) {
		v.variables["LEAK"], v.variables["FAIL_HEALTH"] = strconv.Itoa(megabytes), "true"
	}
}

// WithEntrypoint makes an image that starts another program than the one that it
// holds, such as one that it lacks.
func WithEntrypoint(program string) ImageOption {
	return func(v *demoVariant) { v.entrypoint = program }
}

// WithHealthcheck makes an image with a HEALTHCHECK that runs a command each
// second and condemns at the third failure in a row.
func WithHealthcheck(command ...string) ImageOption {
	return func(v *demoVariant) {
		v.health = &v1.HealthConfig{Test: append([]string{"CMD"}, command...), Interval: time.Second, Timeout: 30 * time.Second, Retries: 3}
	}
}

// DemoImage loads an image of examples/demo-app that answers with the version
// into the Engine and returns its reference. The same version and options give
// the same image under the same reference, in every test and every process, so
// tests must not retag or remove it.
func DemoImage(tb testing.TB, version string, options ...ImageOption) (reference string) {
	tb.Helper()
	return demoImage(tb, Docker(tb), version, options)
}

// demoImage is DemoImage for the Engine at an address.
func demoImage(tb testing.TB, host, version string, options []ImageOption) (reference string) {
	tb.Helper()
	reference = demoRepository + ":" + version + suffix(options)
	if err := loadDemoImage(tb.Context(), host, reference, version, options); err != nil {
		tb.Fatal(err)
	}
	return reference
}

// suffix tells apart images that differ in more than the version.
func suffix(options []ImageOption) string {
	if len(options) == 0 {
		return ""
	}
	v := variant("", options)
	text := strings.Join(v.environment(), "\n") + v.entrypoint
	if v.health != nil {
		text += "\n" + strings.Join(v.health.Test, " ")
	}
	sum := sha256.Sum256([]byte(text))
	return "-" + hex.EncodeToString(sum[:4])
}

func variant(version string, options []ImageOption) demoVariant {
	v := demoVariant{variables: map[string]string{"VERSION": version}, entrypoint: demoProgramPath}
	for _, option := range options {
		option(&v)
	}
	return v
}

// environment are the variables that are baked into the image, in order.
func (v demoVariant) environment() []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(v.variables)) {
		lines = append(lines, key+"="+v.variables[key])
	}
	return lines
}

// LoadDemoImage builds the demo image and loads it into the Engine under a
// reference of the caller's choice, unless the Engine has exactly that already.
func LoadDemoImage(ctx context.Context, reference, version string, options ...ImageOption) error {
	return loadDemoImage(ctx, machine.EngineHost(), reference, version, options)
}

func loadDemoImage(ctx context.Context, host, reference, version string, options []ImageOption) error {
	img, err := BuildDemoImage(ctx, version, options...)
	if err != nil {
		return err
	}
	c, err := engineClientAt(host)
	if err != nil {
		return err
	}
	defer c.Close()
	return loadImage(ctx, c, reference, img)
}

// RemoveDemoImages removes all demo images that no container uses, whatever
// their references; LoadDemoImage may have given them any.
func RemoveDemoImages(ctx context.Context) error {
	c, err := engineClient()
	if err != nil {
		return err
	}
	defer c.Close()
	list, err := c.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelDemo))})
	errs := []error{err}
	for _, found := range list {
		_, err := c.ImageRemove(ctx, found.ID, image.RemoveOptions{Force: true, PruneChildren: true})
		if !cerrdefs.IsConflict(err) { // in use
			errs = append(errs, unlessGone(err))
		}
	}
	return errors.Join(errs...)
}

// BuildDemoImage builds an image from scratch that holds nothing but the demo program.
func BuildDemoImage(ctx context.Context, version string, options ...ImageOption) (v1.Image, error) {
	program, err := demoProgram(ctx)
	if err != nil {
		return nil, err
	}
	layer, err := programLayer(program)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("build demo image: %w", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("build demo image: %w", err)
	}
	made := variant(version, options)
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = v1.Config{
		Entrypoint:   []string{made.entrypoint},
		User:         demoUser,
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Env:          made.environment(),
		Labels:       map[string]string{labelDemo: "demo-app"},
		Healthcheck:  made.health,
	}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return nil, fmt.Errorf("build demo image: %w", err)
	}
	return img, nil
}

// programLayer is a layer with the program, the same for the same program.
func programLayer(program []byte) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	header := &tar.Header{Name: strings.TrimPrefix(demoProgramPath, "/"), Mode: 0o755, Size: int64(len(program)), ModTime: time.Unix(0, 0)}
	err := w.WriteHeader(header)
	if err == nil {
		_, err = w.Write(program)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("build demo image: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	})
	if err != nil {
		return nil, fmt.Errorf("build demo image: %w", err)
	}
	return layer, nil
}

// built keeps the demo program once a process has built it.
var built struct {
	sync.Mutex
	program []byte
}

// demoProgram builds the program, static and reproducible.
func demoProgram(ctx context.Context) ([]byte, error) {
	built.Lock()
	defer built.Unlock()
	if built.program != nil {
		return built.program, nil
	}
	dir, err := os.MkdirTemp("", "wedsync-demo-app-")
	if err != nil {
		return nil, fmt.Errorf("build demo program: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	out := filepath.Join(dir, "demo-app")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out, demoPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build demo program: %w\n%s", err, bytes.TrimSpace(text))
	}
	if built.program, err = os.ReadFile(out); err != nil {
		return nil, fmt.Errorf("build demo program: %w", err)
	}
	return built.program, nil
}

// loadImage gives an image to the Engine under a reference.
func loadImage(ctx context.Context, c *client.Client, reference string, img v1.Image) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return fmt.Errorf("load image: %w", err)
	}
	id, err := img.ConfigName()
	if err != nil {
		return fmt.Errorf("load image %s: %w", reference, err)
	}
	if found, err := c.ImageInspect(ctx, reference); err == nil && found.ID == id.String() {
		return nil
	}
	archive, w := io.Pipe()
	go func() { w.CloseWithError(tarball.Write(tag, img, w)) }()
	defer func() { _ = archive.Close() }() // ends the writer when the Engine gave up
	answer, err := c.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("load image %s: %w", reference, err)
	}
	defer answer.Body.Close()
	return loadResult(reference, answer.Body)
}

// loadResult reads the Engine's progress to its end and returns the error that it may hold.
func loadResult(reference string, progress io.Reader) error {
	decoder := json.NewDecoder(progress)
	for {
		var message struct {
			Error string `json:"error"`
		}
		switch err := decoder.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("load image %s: %w", reference, err)
		case message.Error != "":
			return fmt.Errorf("load image %s: %s", reference, message.Error)
		}
	}
}
