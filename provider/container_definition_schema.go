package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func (r *containerDefinitionResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	attributes := definitionAttributes()
	attributes["registry_credentials"] = schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Log-in at the registry of the image. The daemon stores it encrypted and never returns it; " +
			"Terraform keeps it in its state. Taking the block out removes it from the daemon.",
		Attributes: map[string]schema.Attribute{
			"username": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "User name at the registry.",
				Validators:          []validator.String{stringvalidator.UTF8LengthBetween(1, 256)},
			},
			"password": schema.StringAttribute{
				Required:            true,
				Sensitive:           true,
				MarkdownDescription: "Password or token at the registry.",
				Validators:          []validator.String{stringvalidator.UTF8LengthBetween(1, 8192)},
			},
		},
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Describes the containers of one service: image, limits, health check, networks. " +
			"A definition runs nothing by itself; `wedsync_deployment` deploys it into an environment. " +
			"Every change is made in place and raises `revision`, which deployments refer to.",
		Attributes: attributes,
	}
}

// definitionAttributes are what the resource and the data sources have in common.
func definitionAttributes() map[string]schema.Attribute {
	resourceLimits, scaling := resourceLimitsAttributes(), scalingAttributes()
	network, runtime := networkConfigAttributes(), runtimeConfigAttributes()
	volume := schema.NestedAttributeObject{Attributes: volumeMountAttributes()}
	return map[string]schema.Attribute{
		"id":                       keptString("Identifier of the definition, a UUID."),
		"name":                     requiredString("Unique name, a DNS label.", isName),
		"service_name":             requiredString("Service that the instances belong to, a DNS label; also their alias on networks.", isName),
		"image_name":               requiredString("Image repository without tag, such as `wedsync/api`.", isImageName),
		"image_tag":                defaultString("Image tag.", "latest", isImageTag),
		"registry_url":             optionalString("Registry of the image, such as `registry.example.com`. The engine's default when left out.", isRegistry, stringvalidator.UTF8LengthAtMost(255)),
		"has_registry_credentials": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the daemon holds registry credentials for it."},
		"environment_config": schema.MapAttribute{
			ElementType: types.StringType, Optional: true, Computed: true, Default: emptyStringMap(),
			MarkdownDescription: "Environment variables of the containers.",
			Validators:          []validator.Map{mapvalidator.KeysAre(isEnvVar), mapvalidator.NoNullValues(), entrySizeValidator{maxEnvEntry, true}},
		},
		"resource_limits": schema.SingleNestedAttribute{
			Required: true, Attributes: resourceLimits,
			MarkdownDescription: "Limits per instance.",
		},
		"health_check_config": schema.SingleNestedAttribute{
			Optional: true, Attributes: healthCheckAttributes(),
			MarkdownDescription: "Health check. An instance gets requests once it is healthy, gets none while it is unhealthy, and is restarted then. " +
				"Without one an instance is healthy while it runs. Headers are not kept secret: do not put credentials there.",
		},
		"scaling_config": schema.SingleNestedAttribute{
			Required: true, Attributes: scaling,
			MarkdownDescription: "Range and targets of the number of replicas.",
		},
		"network_config": schema.SingleNestedAttribute{
			Optional: true, Computed: true, Attributes: network, Default: defaultObject(network),
			MarkdownDescription: "Ports and networks.",
		},
		"volume_mounts": schema.ListNestedAttribute{
			Optional: true, Computed: true, NestedObject: volume,
			Default:             listdefault.StaticValue(types.ListValueMust(volume.Type(), nil)),
			MarkdownDescription: "Host directories and volumes to mount.",
			Validators:          []validator.List{listvalidator.SizeAtMost(64), listvalidator.NoNullValues()},
		},
		"runtime_config": schema.SingleNestedAttribute{
			Optional: true, Computed: true, Attributes: runtime, Default: defaultObject(runtime),
			MarkdownDescription: "How the process inside an instance is run. `no-new-privileges` is always set.",
		},
		"revision": schema.Int64Attribute{
			Computed: true,
			MarkdownDescription: "Raised by one with every change of the definition. " +
				"Give it to `wedsync_deployment.definition_revision`, so that a change is rolled out.",
		},
		"is_active": schema.BoolAttribute{
			Computed: true, MarkdownDescription: "False once the definition is deleted.",
			PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
		},
		"created_by": keptString("Principal that created it, a UUID."),
		"created_at": keptString("When it was created (RFC 3339)."),
		"updated_at": computedString("When it was last changed (RFC 3339)."),
	}
}

func resourceLimitsAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"cpu":     requiredString("CPU limit, in thousandths of a core (`500m`) or cores (`1`, `0.5`).", isCPU),
		"memory":  requiredString("Memory limit, such as `512Mi` or `2Gi`; every unit is a power of 1,024. Beyond it the kernel ends the instance.", isMemory),
		"storage": optionalString("Limit of the writable layer, such as `10Gi`; enforced where the engine's storage driver can.", isBytes),
	}
}

func healthCheckAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"type": defaultString("What is done: `http` requests a path, `tcp` makes a connection, `command` runs a program inside the container, "+
			"and `image` goes by the image's own HEALTHCHECK.", grammar.HealthHTTP,
			stringvalidator.OneOf(grammar.HealthHTTP, grammar.HealthTCP, grammar.HealthCommand, grammar.HealthImage)),
		"endpoint": optionalString("Path that a check of type `http` requests, such as `/health`.", isHTTPPath),
		"port": schema.Int64Attribute{
			Optional: true, MarkdownDescription: "Container port that a check of type `http` or `tcp` connects to. The first of `network_config.ports` when left out.",
			Validators: []validator.Int64{int64validator.Between(1, 65535)},
		},
		"expected_status": schema.ListAttribute{
			ElementType: types.StringType, Optional: true,
			MarkdownDescription: "Statuses, such as `200`, and ranges of them with both ends, such as `200-299`, with which a check of type `http` passes. `200-399` when left out. Redirects are not followed.",
			Validators: []validator.List{
				listvalidator.SizeAtLeast(1), listvalidator.NoNullValues(), listvalidator.ValueStringsAre(isStatusRange),
			},
		},
		"headers": schema.MapAttribute{
			ElementType: types.StringType, Optional: true,
			MarkdownDescription: "Headers that a check of type `http` sends; `Host` sets the host that it asks for. They are not kept secret.",
			Validators:          []validator.Map{mapvalidator.SizeAtLeast(1), mapvalidator.NoNullValues(), mapvalidator.KeysAre(isHealthHeader)},
		},
		"command": schema.ListAttribute{
			ElementType: types.StringType, Optional: true,
			MarkdownDescription: "Program with its arguments that a check of type `command` runs inside the container, without a shell; exit code 0 passes.",
			Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.NoNullValues()},
		},
		"interval": defaultInt64("Seconds between two checks.", defaultHealthInterval, 1, 3600),
		"timeout":  defaultInt64("Seconds until a check without an answer fails; not longer than `interval`.", defaultHealthTimeout, 1, 3600),
		"retries": defaultInt64("Failed checks in a row that make an instance unhealthy. With type `image` the engine has counted already, and its word counts at once.",
			defaultHealthRetries, 1, 100),
		"rise":         defaultInt64("Passed checks in a row that make an instance healthy; with type `image` see `retries`.", defaultHealthRise, 1, 100),
		"start_period": defaultInt64("Seconds after the start in which failed checks do not count.", 0, 0, 3600),
	}
}

// Defaults of a health check, which are the daemon's.
const (
	defaultHealthInterval = 30
	defaultHealthTimeout  = 10
	defaultHealthRetries  = 3
	defaultHealthRise     = 1
)

func scalingAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"min_replicas":  requiredInt64("Fewest replicas; also the number deployed when a deployment names none.", 0, grammar.MaxReplicas),
		"max_replicas":  requiredInt64("Most replicas.", 1, grammar.MaxReplicas),
		"target_cpu":    defaultInt64("Average CPU use to aim for, in percent of the limit.", 70, 1, 100),
		"target_memory": defaultInt64("Average memory use to aim for, in percent of the limit.", 80, 1, 100),
	}
}

func networkConfigAttributes() map[string]schema.Attribute {
	networks := []validator.List{
		listvalidator.SizeAtMost(16), listvalidator.NoNullValues(), listvalidator.UniqueValues(), listvalidator.ValueStringsAre(isName),
	}
	return map[string]schema.Attribute{
		"ports": schema.ListAttribute{
			ElementType: types.Int64Type, Optional: true, Computed: true, Default: emptyList(types.Int64Type),
			MarkdownDescription: "TCP ports that the container listens on.",
			Validators: []validator.List{
				listvalidator.SizeAtMost(32), listvalidator.NoNullValues(), listvalidator.UniqueValues(),
				listvalidator.ValueInt64sAre(int64validator.Between(1, 65535)),
			},
		},
		"internal_networks": defaultStrings("Names of internal or overlay networks of the instance's environment to join.", networks...),
		"external_networks": defaultStrings("Names of external networks of the instance's environment to join.", networks...),
		"publish_ports":     defaultBool("Publish every port on a free port of the host's loopback address. Needs a network that is not internal."),
	}
}

func volumeMountAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"source":    requiredString("Absolute host path, or name of a volume that is created when it is missing.", isVolumeSource, stringvalidator.UTF8LengthAtMost(1024)),
		"target":    requiredString("Absolute path inside the container.", isContainerPath, stringvalidator.UTF8LengthAtMost(1024)),
		"read_only": defaultBool("Mount without write access."),
	}
}

func runtimeConfigAttributes() map[string]schema.Attribute {
	words := []validator.List{listvalidator.SizeAtMost(256), listvalidator.NoNullValues()}
	return map[string]schema.Attribute{
		"entrypoint":                defaultStrings("Replaces the image's entrypoint.", words...),
		"command":                   defaultStrings("Replaces the image's command.", words...),
		"user":                      optionalString("User and optional group to run as, by name or number, such as `10001:10001`. The image's own when left out.", isUser, stringvalidator.UTF8LengthAtMost(128)),
		"read_only_root_filesystem": defaultBool("Mount the root filesystem without write access."),
		"tmpfs": defaultStrings("Paths that get an empty in-memory filesystem.",
			listvalidator.SizeAtMost(16), listvalidator.NoNullValues(), listvalidator.UniqueValues(), listvalidator.ValueStringsAre(isContainerPath)),
		"labels": schema.MapAttribute{
			ElementType: types.StringType, Optional: true, Computed: true, Default: emptyStringMap(),
			MarkdownDescription: "Labels on the containers, beside those of wedsyncd, which begin with `wedsync.`.",
			Validators:          []validator.Map{mapvalidator.KeysAre(isLabel), mapvalidator.NoNullValues(), entrySizeValidator{maxLabelValue, false}},
		},
		"stop_timeout":  defaultInt64("Seconds between the stop signal and the kill.", 10, 1, 3600),
		"log_max_size":  defaultString("Size at which a container's log file is rotated.", "10Mi", isBytes),
		"log_max_files": defaultInt64("Rotated log files kept per container.", 3, 1, 100),
		"pull_policy": defaultString("When a deployment asks the registry: `if_not_present` only if the engine lacks the image, or `always`.",
			"if_not_present", stringvalidator.OneOf("if_not_present", "always")),
	}
}

// The shapes that attributes come in.

// defaultText stands between what an attribute is and its default. A data source,
// which has no defaults, shows only what is before it.
const defaultText = " Default: "

func requiredString(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: description, Validators: validators}
}

func optionalString(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func computedString(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

// keptString is computed once and never changes again.
func keptString(description string) schema.StringAttribute {
	a := computedString(description)
	a.PlanModifiers = []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	return a
}

func defaultString(description, value string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, Computed: true, Default: stringdefault.StaticString(value),
		MarkdownDescription: fmt.Sprintf("%s%s`%s`.", description, defaultText, value), Validators: validators,
	}
}

func requiredInt64(description string, low, high int64) schema.Int64Attribute {
	return schema.Int64Attribute{
		Required:            true,
		MarkdownDescription: description, Validators: []validator.Int64{int64validator.Between(low, high)},
	}
}

func defaultInt64(description string, value, low, high int64) schema.Int64Attribute {
	return schema.Int64Attribute{
		Optional: true, Computed: true, Default: int64default.StaticInt64(value),
		MarkdownDescription: fmt.Sprintf("%s%s`%d`.", description, defaultText, value),
		Validators:          []validator.Int64{int64validator.Between(low, high)},
	}
}

func defaultBool(description string) schema.BoolAttribute {
	return schema.BoolAttribute{
		Optional: true, Computed: true, Default: booldefault.StaticBool(false),
		MarkdownDescription: description + defaultText + "`false`.",
	}
}

func defaultStrings(description string, validators ...validator.List) schema.ListAttribute {
	return schema.ListAttribute{
		ElementType: types.StringType, Optional: true, Computed: true, Default: emptyList(types.StringType),
		MarkdownDescription: description, Validators: validators,
	}
}
