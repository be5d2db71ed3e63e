package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// EnsureImage pulls pinned content unless the engine has it. Callers that want
// the same content at the same time share one download, which goes on when one
// of them gives up. ErrImageNotFound, ErrUnavailable.
func (e *Engine) EnsureImage(ctx context.Context, digest string, credentials *fleet.RegistryCredentials) error {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	_, err := e.client.ImageInspect(call, digest)
	if err == nil {
		return nil
	}
	if !cerrdefs.IsNotFound(err) {
		return e.translate(ctx, "inspect image", err)
	}
	if strings.HasPrefix(digest, "sha256:") {
		return fleet.FieldErrorf(fleet.ErrImageNotFound, "image_name", "the image %s was never in a registry and is no longer on this engine; build or load it again, then deploy", digest)
	}
	named, err := reference.ParseNormalizedNamed(digest)
	if err != nil {
		return fleet.FieldErrorf(fleet.ErrRefused, "image_name", "%q is not an image reference: %v", digest, err)
	}
	return e.sharedPull(ctx, named, credentials)
}

func (e *Engine) sharedPull(ctx context.Context, named reference.Named, credentials *fleet.RegistryCredentials) error {
	auth, err := encodeAuth(named, credentials)
	if err != nil {
		return err
	}
	// Callers with other credentials must not profit from each other's.
	done := e.pulls.DoChan(named.String()+" "+auth, func() (any, error) {
		call, cancel := e.shared(ctx, pullTimeout)
		defer cancel()
		if err := e.pull(call, named, auth); err != nil {
			return nil, e.imageError(e.background, named, credentials, err)
		}
		return nil, nil
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return e.imageError(ctx, named, credentials, ctx.Err())
	}
}

func (e *Engine) pull(ctx context.Context, named reference.Named, auth string) error {
	progress, err := e.client.ImagePull(ctx, named.String(), image.PullOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer progress.Close()
	return pullResult(progress)
}

// pullResult reads a pull's progress to its end, which is when the engine has
// the image, and returns the error that it may hold.
func pullResult(progress io.Reader) error {
	decoder := json.NewDecoder(progress)
	for {
		var message struct {
			Error string `json:"error"`
		}
		switch err := decoder.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read pull progress: %w", err)
		case message.Error != "":
			return errors.New(message.Error)
		}
	}
}
