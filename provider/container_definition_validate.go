package provider

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// ValidateConfig holds fields against each other, as the daemon does. What is
// known only after apply is left to the daemon.
func (r *containerDefinitionResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	config := definitionConfig{ctx: ctx, config: req.Config, diags: &resp.Diagnostics}
	config.checkImage()
	config.checkScaling()
	config.checkHealth()
	config.checkNetworks()
	config.checkMounts()
}

// definitionConfig is the configuration while it is checked. Its values may be
// null or unknown.
type definitionConfig struct {
	ctx    context.Context
	config tfsdk.Config
	diags  *diag.Diagnostics
}

func (c definitionConfig) read(name string, into any) {
	c.diags.Append(c.config.GetAttribute(c.ctx, path.Root(name), into)...)
}

// object reads a nested attribute. It is false when that is left out or unknown.
func (c definitionConfig) object(name string, into any) bool {
	var object types.Object
	c.read(name, &object)
	if object.IsNull() || object.IsUnknown() {
		return false
	}
	c.diags.Append(object.As(c.ctx, into, basetypes.ObjectAsOptions{})...)
	return true
}

func (c definitionConfig) refuse(at path.Path, summary, format string, args ...any) {
	c.diags.AddAttributeError(at, summary, fmt.Sprintf(format, args...))
}

// checkImage refuses a registry and a name that are right alone but not together.
func (c definitionConfig) checkImage() {
	var registry, name, tag types.String
	c.read("registry_url", &registry)
	c.read("image_name", &name)
	c.read("image_tag", &tag)
	if registry.IsUnknown() || name.IsUnknown() || tag.IsUnknown() || registry.IsNull() {
		return
	}
	if _, err := grammar.Registry(registry.ValueString()); err != nil || grammar.ImageName(name.ValueString()) != nil {
		return // reported by the attribute itself
	}
	if _, err := grammar.ImageReference(registry.ValueString(), name.ValueString(), "latest"); err != nil {
		c.refuse(path.Root("image_name"), "Invalid image reference", "Together with registry_url, %s.", err)
	}
}

func (c definitionConfig) checkScaling() {
	var scaling scalingModel
	if !c.object("scaling_config", &scaling) {
		return
	}
	least, most := scaling.MinReplicas, scaling.MaxReplicas
	if known(least, most) && least.ValueInt64() > most.ValueInt64() {
		c.refuse(path.Root("scaling_config").AtName("min_replicas"), "More least than most replicas",
			"min_replicas is %d but max_replicas is %d; min_replicas must not be above it.", least.ValueInt64(), most.ValueInt64())
	}
}

// checkHealth holds the fields of a health check against each other. What depends
// on a value that is not known yet is left to the daemon.
func (c definitionConfig) checkHealth() {
	var health healthCheckModel
	if !c.object("health_check_config", &health) || health.Type.IsUnknown() {
		return
	}
	unknown := map[string]bool{
		"endpoint": health.Endpoint.IsUnknown(), "port": health.Port.IsUnknown(),
		"timeout":         health.Timeout.IsUnknown() || health.Interval.IsUnknown(),
		"expected_status": !wholly(health.ExpectedStatus), "headers": !wholly(health.Headers), "command": !wholly(health.Command),
	}
	ports := []int{1}
	if c.hasNoPorts() {
		ports = nil
	}
	for _, fault := range health.grammar().Faults(ports) {
		field, at := healthField(fault.Field)
		if unknown[field] || health.ownFault(fault.Field) {
			continue
		}
		c.refuse(at, "Invalid health check", "%s %s.", at, fault.Err)
	}
}

// ownFault reports whether a field is refused by its own validators, which say so.
func (m healthCheckModel) ownFault(field string) bool {
	name, isHeader := strings.CutPrefix(field, "headers.")
	switch {
	case isHeader:
		return grammar.HealthHeaderName(name) != nil
	case field == "endpoint":
		return !m.Endpoint.IsNull() && grammar.HTTPPath(m.Endpoint.ValueString()) != nil
	case field == "port":
		return !m.Port.IsNull()
	case field == "command":
		return !m.Command.IsNull() && len(m.Command.Elements()) == 0
	default:
		return field == "type" || strings.HasPrefix(field, "expected_status[")
	}
}

// healthField is the field of a path such as "command[1]" or "headers.Host", and
// where that is in the configuration.
func healthField(fault string) (string, path.Path) {
	at := path.Root("health_check_config")
	if field, key, ok := strings.Cut(fault, "."); ok {
		return field, at.AtName(field).AtMapKey(key)
	}
	field, rest, ok := strings.Cut(fault, "[")
	at = at.AtName(field)
	if n, err := strconv.Atoi(strings.TrimSuffix(rest, "]")); ok && err == nil {
		at = at.AtListIndex(n)
	}
	return field, at
}

// wholly reports whether a list or map and all that it has is known.
func wholly(v attr.Value) bool {
	tf, err := v.ToTerraformValue(context.Background())
	return err == nil && tf.IsFullyKnown()
}

// hasNoPorts is true when it is known that the configuration names no port.
func (c definitionConfig) hasNoPorts() bool {
	var object types.Object
	c.read("network_config", &object)
	if object.IsUnknown() {
		return false
	}
	if object.IsNull() {
		return true
	}
	ports, ok := object.Attributes()["ports"].(types.List)
	return ok && !ports.IsUnknown() && len(ports.Elements()) == 0
}

// checkNetworks refuses a network that is named as internal and as external, and
// published ports that nothing could reach.
func (c definitionConfig) checkNetworks() {
	var object types.Object
	c.read("network_config", &object)
	if object.IsNull() || object.IsUnknown() {
		return
	}
	internal, _ := object.Attributes()["internal_networks"].(types.List)
	external, _ := object.Attributes()["external_networks"].(types.List)
	publish, _ := object.Attributes()["publish_ports"].(types.Bool)
	at := path.Root("network_config")
	for i, name := range external.Elements() {
		for _, other := range internal.Elements() {
			if !name.IsUnknown() && !name.IsNull() && name.Equal(other) {
				c.refuse(at.AtName("external_networks").AtListIndex(i), "Network named twice",
					"%s is among internal_networks too; a network is one or the other.", name)
			}
		}
	}
	if !publish.ValueBool() {
		return
	}
	if c.hasNoPorts() {
		c.refuse(at.AtName("publish_ports"), "No port to publish", "publish_ports has nothing to publish; list the container's ports in ports.")
	}
	if len(internal.Elements()) > 0 && !external.IsUnknown() && len(external.Elements()) == 0 {
		c.refuse(at.AtName("publish_ports"), "Ports published on internal networks only",
			"publish_ports cannot work with internal networks alone; add a network to external_networks.")
	}
}

// checkMounts refuses two mounts on one path.
func (c definitionConfig) checkMounts() {
	var mounts types.List
	c.read("volume_mounts", &mounts)
	taken := map[string]string{}
	for i, element := range mounts.Elements() {
		mount, ok := element.(types.Object)
		if !ok || mount.IsUnknown() || mount.IsNull() {
			continue
		}
		target, _ := mount.Attributes()["target"].(types.String)
		c.claim(taken, path.Root("volume_mounts").AtListIndex(i).AtName("target"), target)
	}
	var runtime types.Object
	c.read("runtime_config", &runtime)
	tmpfs, _ := runtime.Attributes()["tmpfs"].(types.List)
	for i, element := range tmpfs.Elements() {
		target, _ := element.(types.String)
		c.claim(taken, path.Root("runtime_config").AtName("tmpfs").AtListIndex(i), target)
	}
}

func (c definitionConfig) claim(taken map[string]string, at path.Path, target types.String) {
	if target.IsNull() || target.IsUnknown() {
		return
	}
	if first, ok := taken[target.ValueString()]; ok {
		c.refuse(at, "Two mounts on one path", "%q is the target of %s already; mount each path once.", target.ValueString(), first)
		return
	}
	taken[target.ValueString()] = at.String()
}

func known(values ...types.Int64) bool {
	for _, v := range values {
		if v.IsNull() || v.IsUnknown() {
			return false
		}
	}
	return true
}

func orInt64(v types.Int64, fallback int64) types.Int64 {
	if v.IsNull() {
		return types.Int64Value(fallback)
	}
	return v
}
