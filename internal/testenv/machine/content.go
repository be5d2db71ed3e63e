package machine

import (
	"context"
	"fmt"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

func dial(host string) (*client.Client, error) {
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("reach Docker Engine: %w", err)
	}
	return cli, nil
}

// ContainerLabel reads one label of a container.
func ContainerLabel(ctx context.Context, host, container, label string) (string, error) {
	cli, err := dial(host)
	if err != nil {
		return "", err
	}
	defer cli.Close()
	found, err := cli.ContainerInspect(ctx, container)
	if err != nil {
		return "", fmt.Errorf("inspect container: %w", err)
	}
	return found.Config.Labels[label], nil
}

// ImageID is the identifier of an image in the Engine, empty when it has none of that reference.
func ImageID(ctx context.Context, host, reference string) (string, error) {
	cli, err := dial(host)
	if err != nil {
		return "", err
	}
	defer cli.Close()
	found, err := cli.ImageInspect(ctx, reference)
	switch {
	case cerrdefs.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("inspect image %s: %w", reference, err)
	}
	return found.ID, nil
}

// RemoveImage removes an image by its reference; one that is not there is no error.
func RemoveImage(ctx context.Context, host, reference string) error {
	cli, err := dial(host)
	if err != nil {
		return err
	}
	defer cli.Close()
	if _, err := cli.ImageRemove(ctx, reference, image.RemoveOptions{PruneChildren: true}); err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove image %s: %w", reference, err)
	}
	return nil
}
