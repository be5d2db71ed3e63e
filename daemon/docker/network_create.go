package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// labelSettings holds a fingerprint of the settings that a network was made
	// with, to find out whether it has to be made anew.
	labelSettings = "wedsync.settings"
	optionMTU     = "com.docker.network.driver.mtu"
)

// errOtherInstallation: the name belongs to another installation on the same engine.
var errOtherInstallation = errors.New("name of another installation")

// createNetwork creates a network under its name. When another installation on
// the same engine has that name, this installation's is appended: networks are
// found by their labels, names are for people.
func (e *Engine) createNetwork(ctx context.Context, n fleet.Network) (network.Summary, error) {
	name, options := engineName(n), networkOptions(n, e.installation)
	made, err := e.createNamed(ctx, name, n, options)
	if errors.Is(err, errOtherInstallation) {
		name += "." + shortInstallation(e.installation)
		made, err = e.createNamed(ctx, name, n, options)
	}
	if errors.Is(err, errOtherInstallation) {
		err = fleet.FieldErrorf(fleet.ErrRefused, "name", "the engine has a network named %s of another wedsyncd installation; remove it", name)
	}
	return made, err
}

// createNamed creates a network under one name, after removing what an earlier
// network of this installation left there.
func (e *Engine) createNamed(ctx context.Context, name string, n fleet.Network, options network.CreateOptions) (network.Summary, error) {
	for {
		made, err := e.client.NetworkCreate(ctx, name, options)
		if err == nil {
			return network.Summary{ID: made.ID, Name: name, Labels: options.Labels}, e.stepAside(ctx, name, made.ID)
		}
		if !nameTaken(err) {
			return network.Summary{}, e.networkError(ctx, n, err)
		}
		holder, found, err := e.holderOf(ctx, name)
		if err != nil {
			return network.Summary{}, e.translate(ctx, "find network "+name, err)
		}
		if !found {
			continue // it went meanwhile; the context bounds this
		}
		if same(holder, options) {
			return holder, nil // made this very moment by an earlier call
		}
		if err := e.clearName(ctx, name, holder); err != nil {
			return network.Summary{}, err
		}
	}
}

// stepAside removes the network that was just made, with errOtherInstallation,
// if another installation made one of that name at the same moment: engines let
// both pass then, and start no container on either, because a container names its
// network. Whoever sees the other one goes.
func (e *Engine) stepAside(ctx context.Context, name, id string) error {
	list, err := e.client.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", name))})
	if err != nil {
		return e.translate(ctx, "list networks", err)
	}
	for _, n := range list {
		if n.Name != name || n.ID == id || n.Labels[fleet.LabelInstallation] == e.installation {
			continue
		}
		if err := e.client.NetworkRemove(ctx, id); err != nil && !cerrdefs.IsNotFound(err) {
			return e.translate(ctx, "remove network "+name, err)
		}
		return errOtherInstallation
	}
	return nil
}

// same reports whether a network of the engine is the one that is to be created.
func same(holder network.Summary, options network.CreateOptions) bool {
	for _, label := range []string{fleet.LabelInstallation, fleet.LabelEnvironment, fleet.LabelNetwork} {
		if holder.Labels[label] != options.Labels[label] {
			return false
		}
	}
	return true
}

// clearName removes the network that holds a name, if it may.
func (e *Engine) clearName(ctx context.Context, name string, holder network.Summary) error {
	switch holder.Labels[fleet.LabelInstallation] {
	case e.installation:
		return e.removeUnattached(ctx, holder, name)
	case "":
		return fleet.FieldErrorf(fleet.ErrRefused, "name", "the engine has a network named %s that wedsyncd did not create; remove it or choose another name", name)
	default:
		return errOtherInstallation
	}
}

// nameTaken reports whether a creation failed because the engine has that name.
func nameTaken(err error) bool {
	return cerrdefs.IsConflict(err) || strings.Contains(err.Error(), "already exists")
}

// holderOf is the network that has exactly this name; the engine's filter also matches parts.
func (e *Engine) holderOf(ctx context.Context, name string) (network.Summary, bool, error) {
	list, err := e.client.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", name))})
	if err != nil {
		return network.Summary{}, false, err
	}
	i := slices.IndexFunc(list, func(n network.Summary) bool { return n.Name == name })
	if i < 0 {
		return network.Summary{}, false, nil
	}
	return list[i], true, nil
}

func engineName(n fleet.Network) string {
	if n.Name == "" {
		return fleet.DefaultNetworkName(n.Environment)
	}
	return n.EngineName()
}

func shortInstallation(installation string) string {
	sum := sha256.Sum256([]byte(installation))
	return hex.EncodeToString(sum[:4])
}

// networkOptions translates a network. One without identifier is a default network.
func networkOptions(n fleet.Network, installation string) network.CreateOptions {
	options := network.CreateOptions{Driver: "bridge", Options: map[string]string{}, Labels: map[string]string{}}
	switch n.Type {
	case fleet.NetworkInternal:
		options.Internal = true
	case fleet.NetworkExternal: // an ordinary bridge
	case fleet.NetworkOverlay:
		options.Driver, options.Attachable = "overlay", true
	}
	if n.Subnet != "" {
		options.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: n.Subnet, Gateway: n.Gateway}}}
	}
	if n.Settings.MTU > 0 {
		options.Options[optionMTU] = strconv.Itoa(n.Settings.MTU)
	}
	if n.Settings.EnableIPv6 {
		enabled := true
		options.EnableIPv6 = &enabled
	}
	maps.Copy(options.Labels, n.Settings.Labels)
	fingerprint := settingsFingerprint(options)
	maps.Copy(options.Labels, map[string]string{
		fleet.LabelInstallation: installation,
		fleet.LabelEnvironment:  n.Environment,
		labelSettings:           fingerprint,
	})
	if n.ID != "" {
		options.Labels[fleet.LabelNetwork] = n.ID
	}
	return options
}

func settingsFingerprint(options network.CreateOptions) string {
	// Maps are printed in the order of their keys.
	text := fmt.Sprintln(options.Driver, options.Internal, options.Attachable, options.EnableIPv6 != nil, options.Options, options.Labels)
	if options.IPAM != nil {
		text += fmt.Sprintln(options.IPAM.Config)
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// networkError says why the engine does not create a network.
func (e *Engine) networkError(ctx context.Context, n fleet.Network, err error) error {
	text := reason(err)
	switch {
	case lost(err) || ctx.Err() != nil:
		return e.translate(ctx, "create network", err)
	case strings.Contains(text, "overlaps"):
		return fleet.FieldErrorf(fleet.ErrRefused, "subnet", "the subnet %s overlaps with %s; choose a free one", n.Subnet, e.overlapping(ctx, n.Subnet))
	case strings.Contains(text, "IPv6 address pool"):
		return fleet.FieldErrorf(fleet.ErrRefused, "subnet", "this engine does not choose an IPv6 range by itself; set an IPv6 subnet for the network %s, or leave IPv6 off", engineName(n))
	case strings.Contains(text, "non-overlapping") || strings.Contains(text, "fully subnetted"):
		return fleet.FieldErrorf(fleet.ErrRefused, "subnet", "the engine has no free address range left for the network %s; set a subnet, or remove networks that are not used", engineName(n))
	case n.Type == fleet.NetworkOverlay && strings.Contains(text, "swarm"):
		return fleet.FieldErrorf(fleet.ErrRefused, "network_type", "overlay networks need Docker Swarm, which is not active on this engine; run docker swarm init, or use the type internal or external")
	default:
		return fleet.Errorf(fleet.ErrRefused, "the engine does not create the network %s: %s", engineName(n), text)
	}
}

// overlapping names the engine's network that is in the way of a subnet.
func (e *Engine) overlapping(ctx context.Context, subnet string) string {
	const somebody = "an address range that the machine uses already"
	want, err := netip.ParsePrefix(subnet)
	if err != nil {
		return somebody
	}
	list, err := e.client.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return somebody
	}
	for _, n := range list {
		for _, c := range n.IPAM.Config {
			if have, err := netip.ParsePrefix(c.Subnet); err == nil && have.Overlaps(want) {
				return fmt.Sprintf("%s of the network %s", have, n.Name)
			}
		}
	}
	return somebody
}
