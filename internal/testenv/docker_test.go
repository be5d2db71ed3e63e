package testenv

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/google/uuid"
)

// recorder is a test whose failures are what is tested.
type recorder struct {
	testing.TB

	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, _ ...any) { r.failures = append(r.failures, format) }

func TestInstallationIsClearedAway(t *testing.T) {
	Docker(t)
	c, err := engineClient()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	installation := "test-" + uuid.NewString()
	labels := map[string]string{labelInstallation: installation}
	made, err := c.NetworkCreate(t.Context(), installation, network.CreateOptions{Driver: "bridge", Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	running, err := c.ContainerCreate(t.Context(),
		&container.Config{Image: DemoImage(t, "v1"), Labels: labels},
		&container.HostConfig{NetworkMode: container.NetworkMode(made.ID), Mounts: []mount.Mount{{
			Type: mount.TypeVolume, Source: installation, Target: "/data", VolumeOptions: &mount.VolumeOptions{Labels: labels},
		}}}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ContainerStart(t.Context(), running.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	found := &recorder{TB: t}
	AssertNoLeftovers(found, installation)
	if len(found.failures) != 2 {
		t.Errorf("reported %q; want the container and the network", found.failures)
	}
	for range 2 {
		if err := ClearInstallation(t.Context(), installation); err != nil {
			t.Fatal(err)
		}
	}
	AssertNoLeftovers(t, installation)
	if _, err := c.VolumeInspect(t.Context(), installation); err == nil {
		t.Error("the volume is still there")
	}
}

func TestDemoImageIsTheSameEveryTime(t *testing.T) {
	first, err := BuildDemoImage(t.Context(), "v1", Crashing())
	if err != nil {
		t.Fatal(err)
	}
	built.Lock()
	built.program = nil // as in another process
	built.Unlock()
	second, err := BuildDemoImage(t.Context(), "v1", Crashing())
	if err != nil {
		t.Fatal(err)
	}
	a, errA := first.Digest()
	b, errB := second.Digest()
	if errA != nil || errB != nil || a != b {
		t.Errorf("two builds give %s and %s (%v, %v)", a, b, errA, errB)
	}
}

func TestDemoImageReferences(t *testing.T) {
	plain, crashing, unhealthy := DemoImage(t, "v1"), DemoImage(t, "v1", Crashing()), DemoImage(t, "v1", Unhealthy())
	if plain != "wedsync-test/demo-app:v1" || crashing == plain || unhealthy == plain || crashing == unhealthy {
		t.Errorf("got %s, %s, %s", plain, crashing, unhealthy)
	}
	if again := DemoImage(t, "v1", Crashing()); again != crashing {
		t.Errorf("got %s, then %s", crashing, again)
	}
}

func TestDemoImageVariants(t *testing.T) {
	tests := map[string]struct {
		option     ImageOption
		entrypoint string
		env        []string
	}{
		"crashing":       {Crashing(), "/demo-app", []string{"CRASH_AFTER=1ms", "FAIL_HEALTH=true"}},
		"crashing later": {CrashingAfter(3 * time.Second), "/demo-app", []string{"CRASH_AFTER=3s"}},
		"flapping":       {Flapping("+-"), "/demo-app", []string{"HEALTH_PATTERN=+-"}},
		"hanging":        {Hanging(), "/demo-app", []string{"HANG=true"}},
		"slow":           {SlowStart(time.Minute), "/demo-app", []string{"START_DELAY=1m0s"}},
		"leaking":        {Leaking(64), "/demo-app", []string{"FAIL_HEALTH=true", "LEAK=64"}},
		"no program":     {WithEntrypoint("/none"), "/none", nil},
	}
	seen := make(map[string]string)
	for name, tt := range tests {
		img, err := BuildDemoImage(t.Context(), "v1", tt.option)
		if err != nil {
			t.Fatal(err)
		}
		file, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if want := slices.Concat(tt.env, []string{"VERSION=v1"}); !slices.Equal(file.Config.Env, want) || !slices.Equal(file.Config.Entrypoint, []string{tt.entrypoint}) {
			t.Errorf("%s: %v with %v; want %s with %v", name, file.Config.Entrypoint, file.Config.Env, tt.entrypoint, want)
		}
		tag := suffix([]ImageOption{tt.option})
		if other, ok := seen[tag]; ok {
			t.Errorf("%s and %s share the suffix %s", name, other, tag)
		}
		seen[tag] = name
	}
}

func TestRegistryAsksForItsLogIn(t *testing.T) {
	r := Registry(t, WithAuth("deploy", "word"))
	digest := r.PushDemo(t, "team/app:v1", "v1")
	if !strings.HasPrefix(digest, "sha256:") {
		t.Errorf("digest %q", digest)
	}
	tests := map[string]struct {
		username, password string
		status             int
	}{
		"none":  {"", "", http.StatusUnauthorized},
		"wrong": {"deploy", "other", http.StatusUnauthorized},
		"right": {"deploy", "word", http.StatusOK},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Host+"/v2/team/app/manifests/v1", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.username != "" {
				request.SetBasicAuth(tt.username, tt.password)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != tt.status {
				t.Errorf("status %d, want %d", answer.StatusCode, tt.status)
			}
		})
	}
	if manifests, _ := r.Downloads(); manifests != 1 {
		t.Errorf("counted %d downloads of manifests, want 1", manifests)
	}
}
