package testenv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

// labelInstallation is repeated here rather than taken from package fleet, so
// that the cleaning up of a test does not trust what the test checks.
const labelInstallation = "wedsync.installation"

// clearTimeout bounds the cleaning up after a test.
const clearTimeout = 2 * time.Minute

// Docker is the address of a Docker Engine that answers.
func Docker(tb testing.TB) string {
	tb.Helper()
	host := machine.EngineHost()
	if err := machine.EngineAnswers(tb.Context(), host); err != nil {
		tb.Fatalf("this test needs a Docker Engine: run it with \"make test\", which starts one, or set DOCKER_HOST (%v)", err)
	}
	return host
}

// engineClient is a client of the Engine that [Docker] finds.
func engineClient() (*client.Client, error) { return engineClientAt(machine.EngineHost()) }

func engineClientAt(host string) (*client.Client, error) {
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("make engine client: %w", err)
	}
	return c, nil
}

// Installation is the identifier of a new installation. When the test ends, all
// containers, networks and volumes with its label are removed.
func Installation(tb testing.TB) string {
	tb.Helper()
	Docker(tb)
	installation := "test-" + uuid.NewString()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), clearTimeout)
		defer cancel()
		if err := ClearInstallation(ctx, installation); err != nil {
			tb.Errorf("clean up after the test: %v", err)
		}
	})
	return installation
}

// AssertNoLeftovers fails the test for each container and network of the
// installation that is still there. Volumes are data and may stay.
func AssertNoLeftovers(tb testing.TB, installation string) {
	tb.Helper()
	c, err := engineClient()
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(tb.Context(), clearTimeout)
	defer cancel()
	containers, err := c.ContainerList(ctx, container.ListOptions{All: true, Filters: labelled(installation)})
	if err != nil {
		tb.Fatalf("list containers: %v", err)
	}
	for _, left := range containers {
		tb.Errorf("container %s is left over, %s", strings.Join(left.Names, ","), left.Status)
	}
	networks, err := c.NetworkList(ctx, network.ListOptions{Filters: labelled(installation)})
	if err != nil {
		tb.Fatalf("list networks: %v", err)
	}
	for _, left := range networks {
		tb.Errorf("network %s is left over", left.Name)
	}
}

func labelled(installation string) filters.Args {
	return filters.NewArgs(filters.Arg("label", labelInstallation+"="+installation))
}

// ClearInstallation removes all containers, networks and volumes of an installation.
func ClearInstallation(ctx context.Context, installation string) error {
	c, err := engineClient()
	if err != nil {
		return err
	}
	defer c.Close()
	return errors.Join(
		clearContainers(ctx, c, labelled(installation)),
		clearNetworks(ctx, c, labelled(installation)),
		clearVolumes(ctx, c, labelled(installation)),
	)
}

// clearTries and clearPause bound how often, and how soon, the removal of a network
// is tried again.
const (
	clearTries = 10
	clearPause = 200 * time.Millisecond
)

func clearContainers(ctx context.Context, c *client.Client, ours filters.Args) error {
	list, err := c.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	errs := []error{err}
	for _, found := range list {
		err := c.ContainerRemove(ctx, found.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if cerrdefs.IsConflict(err) { // somebody else is removing it
			removed, failed := c.ContainerWait(ctx, found.ID, container.WaitConditionRemoved)
			select {
			case <-removed:
				err = nil
			case err = <-failed:
			}
		}
		errs = append(errs, unlessGone(err))
	}
	return errors.Join(errs...)
}

func clearNetworks(ctx context.Context, c *client.Client, ours filters.Args) error {
	list, err := c.NetworkList(ctx, network.ListOptions{Filters: ours})
	errs := []error{err}
	for _, found := range list {
		errs = append(errs, clearNetwork(ctx, c, found.ID, ours))
	}
	return errors.Join(errs...)
}

// clearNetwork removes a network. What a daemon asked for just before it ended may
// come into being after the containers were listed, and the Engine may forget an
// endpoint when it removes a container: both are looked for a few times.
func clearNetwork(ctx context.Context, c *client.Client, id string, ours filters.Args) error {
	err := unlessGone(c.NetworkRemove(ctx, id))
	for range clearTries {
		if err == nil || ctx.Err() != nil {
			break
		}
		pause(ctx, clearPause)
		if err = clearContainers(ctx, c, ours); err != nil {
			continue
		}
		if n, inspectErr := c.NetworkInspect(ctx, id, network.InspectOptions{}); inspectErr == nil {
			for endpoint := range n.Containers {
				_ = c.NetworkDisconnect(ctx, id, endpoint, true)
			}
		}
		err = unlessGone(c.NetworkRemove(ctx, id))
	}
	return err
}

func clearVolumes(ctx context.Context, c *client.Client, ours filters.Args) error {
	list, err := c.VolumeList(ctx, volume.ListOptions{Filters: ours})
	errs := []error{err}
	for _, found := range list.Volumes {
		errs = append(errs, unlessGone(c.VolumeRemove(ctx, found.Name, true)))
	}
	return errors.Join(errs...)
}

func unlessGone(err error) error {
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}
