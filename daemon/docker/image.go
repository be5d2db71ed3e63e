package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// ResolveImage pins a reference to content. With the policy if_not_present it
// takes the engine's own image if there is one: its digest in the reference's
// repository, or its id if it never came from there. Otherwise, and with the
// policy always, it asks the registry. ErrImageNotFound when the registry says
// that there is no such image or that these credentials may not have it,
// ErrUnavailable when the registry gives no answer.
func (e *Engine) ResolveImage(ctx context.Context, ref, policy string, credentials *fleet.RegistryCredentials) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fleet.FieldErrorf(fleet.ErrRefused, "image_name", "%q is not an image reference: %v", ref, err)
	}
	named = reference.TagNameOnly(named)
	if policy != fleet.PullAlways {
		digest, err := e.localDigest(ctx, named)
		if err != nil || digest != "" {
			return digest, err
		}
	}
	return e.registryDigest(ctx, named, credentials)
}

// localDigest is empty when the engine does not have the image.
func (e *Engine) localDigest(ctx context.Context, named reference.Named) (string, error) {
	call, cancel := bounded(ctx, callTimeout)
	defer cancel()
	image, err := e.client.ImageInspect(call, reference.FamiliarString(named))
	if cerrdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", e.translate(ctx, "inspect image", err)
	}
	return pinned(named, image.ID, image.RepoDigests), nil
}

// pinned is the image's digest in the repository that was asked for, or its id.
func pinned(named reference.Named, id string, repoDigests []string) string {
	for _, s := range slices.Sorted(slices.Values(repoDigests)) {
		r, err := reference.ParseNormalizedNamed(s)
		if err != nil || r.Name() != named.Name() {
			continue
		}
		if _, ok := r.(reference.Canonical); ok {
			return reference.FamiliarString(r)
		}
	}
	return id
}

func (e *Engine) registryDigest(ctx context.Context, named reference.Named, credentials *fleet.RegistryCredentials) (string, error) {
	auth, err := encodeAuth(named, credentials)
	if err != nil {
		return "", err
	}
	// The registry's bound holds whatever the caller allows: the caller may wait
	// long for the engine, but nobody wants to wait long for a typing mistake.
	call, cancel := context.WithTimeout(ctx, e.registryTimeout)
	defer cancel()
	found, err := e.client.DistributionInspect(call, reference.FamiliarString(named), auth)
	if err != nil {
		return "", e.imageError(ctx, named, credentials, err)
	}
	pin, err := reference.WithDigest(reference.TrimNamed(named), found.Descriptor.Digest)
	if err != nil {
		return "", fmt.Errorf("pin image %s: %w", reference.FamiliarString(named), err)
	}
	return reference.FamiliarString(pin), nil
}

// encodeAuth is empty without credentials.
func encodeAuth(named reference.Named, credentials *fleet.RegistryCredentials) (string, error) {
	if credentials == nil {
		return "", nil
	}
	auth, err := registry.EncodeAuthConfig(registry.AuthConfig{
		Username:      credentials.Username,
		Password:      credentials.Password,
		ServerAddress: reference.Domain(named),
	})
	if err != nil {
		// The cause is left out: it could quote the password.
		return "", errors.New("encode registry credentials: they cannot be encoded")
	}
	return auth, nil
}

// imageError says why an image could not be had from its registry.
func (e *Engine) imageError(ctx context.Context, named reference.Named, credentials *fleet.RegistryCredentials, err error) error {
	image, host := reference.FamiliarString(named), reference.Domain(named)
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("find image %s: %w", image, ctx.Err())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fleet.FieldErrorf(fleet.ErrUnavailable, "image_name", "the engine does not have the image %s, and the registry %s did not answer in time; check registry_url and the network", image, host)
	}
	if lost(err) {
		return e.unavailable(err)
	}
	switch answerOf(err) {
	case answerUnauthorised:
		if credentials == nil {
			return fleet.FieldErrorf(fleet.ErrImageNotFound, "registry_credentials", "the registry %s wants a log-in for the image %s; set registry_credentials, and check that the image exists", host, image)
		}
		return fleet.FieldErrorf(fleet.ErrImageNotFound, "registry_credentials", "the registry %s refuses the image %s to the user %s; check registry_credentials, and that the image exists", host, image, credentials.Username)
	case answerMissing:
		return fleet.FieldErrorf(fleet.ErrImageNotFound, "image_name", "the registry %s has no image %s; check image_name, image_tag and registry_url, or push the image", host, image)
	case answerRefused:
		return fleet.FieldErrorf(fleet.ErrRefused, "image_name", "the image %s cannot be used: %s", image, reason(err))
	default:
		return fleet.FieldErrorf(fleet.ErrUnavailable, "image_name", "the engine does not have the image %s, and the registry %s cannot be reached: %s", image, host, reason(err))
	}
}

// answer is what a registry said, as far as the engine passes it on.
type answer int

const (
	answerNone answer = iota
	answerMissing
	answerUnauthorised
	answerRefused
)

// answerOf reads a registry's answer out of the engine's error. Engines pass
// some answers on as status codes and some only in words.
func answerOf(err error) answer {
	text := strings.ToLower(err.Error())
	contains := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	switch {
	case contains("dial tcp", "no such host", "connection refused", "i/o timeout", "tls handshake", "x509:",
		"server gave http response", "network is unreachable", "request canceled"):
		return answerNone
	case cerrdefs.IsUnauthorized(err), contains("unauthorized", "authentication required", "no basic auth credentials", "incorrect username or password"):
		return answerUnauthorised
	case cerrdefs.IsPermissionDenied(err), contains("denied"):
		return answerUnauthorised
	case cerrdefs.IsNotFound(err), contains("manifest unknown", "name unknown", "not found", "does not exist"):
		return answerMissing
	case cerrdefs.IsInvalidArgument(err), contains("no matching manifest", "unsupported", "schema 1", "schema1"):
		return answerRefused
	default:
		return answerNone
	}
}
