package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func (r *routeResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Leads requests to a service of one environment: those to one of its hosts and below one of its path prefixes. " +
			"A host belongs to one environment, and each path of it to one route.",
		Attributes: routeAttributes(),
	}
}

// routeAttributes are what the resource and the data sources have in common.
// Hosts, paths and settings are checked together, by routeResource.ValidateConfig.
//
// Hosts and path prefixes are sets: their order means nothing, since the longest
// prefix that fits wins whatever stands before it. So a review shows what comes
// and what goes, and never that something moved.
func routeAttributes() map[string]schema.Attribute {
	d := grammar.DefaultRouting()
	return map[string]schema.Attribute{
		"id":           keptString("Identifier of the route, a UUID."),
		"name":         identityString("Name, unique in its environment; a DNS label. Changing it makes a new route.", isName),
		"environment":  identityString("Environment that it belongs to. Changing it makes a new route.", isName),
		"service_name": requiredString("Service that gets the requests. It need not run yet.", isName),
		"hosts": defaultSet("Host names that it answers to, in lower case and without a port. "+
			"Left out, it is the service's own: `SERVICE.ENVIRONMENT` and the daemon's domain.", nil),
		"path_prefixes": defaultSet("Paths that it takes, each with all below; the longest one that fits a request wins."+defaultText+"`[\"/\"]`.", []string{"/"}),
		"strategy": defaultString("How requests are shared out between endpoints: `round_robin` gives each its share in turn, "+
			"`least_requests` prefers the less busy of two drawn at random.", d.Strategy),
		"sticky_cookie": optionalString("Cookie that keeps a client at one instance. None when left out.", stringvalidator.LengthAtLeast(1)),
		"canary_header": optionalString("Header by which a client chooses, while a deployment goes on, between its replicas (`always`) and those that were there before (`never`). "+
			"None when left out.", stringvalidator.LengthAtLeast(1)),
		"canary_cookie":    optionalString("Cookie by which a client chooses like by `canary_header`. None when left out.", stringvalidator.LengthAtLeast(1)),
		"strip_prefix":     defaultBool("Take the path prefix away before a request goes on."),
		"require_tls":      defaultBool("Redirect requests that come without TLS to where they have it. The certificate is the daemon's matter, by files or by ACME."),
		"max_body_size":    defaultString("Largest body of a request, such as `64Mi`.", d.MaxBodySize),
		"max_header_size":  defaultString("Largest head of a request, at most `64Ki`.", d.MaxHeaderSize),
		"response_timeout": settingInt64("Seconds that an instance may take until its answer begins.", d.ResponseTimeout),
		"idle_timeout":     settingInt64("Seconds that a request or an answer may stand still on its way.", d.IdleTimeout),
		"max_requests":     settingInt64("Requests that one instance is given at a time.", d.MaxRequests),
		"created_by":       keptString("Principal that created it, a UUID."),
		"created_at":       keptString("When it was created (RFC 3339)."),
		"updated_at":       computedString("When it was last changed (RFC 3339)."),
	}
}

// defaultSet is a set of strings that has a value when it is left out.
func defaultSet(description string, value []string) schema.SetAttribute {
	return schema.SetAttribute{
		ElementType: types.StringType, Optional: true, Computed: true, Default: setdefault.StaticValue(setOf(value)),
		MarkdownDescription: description, Validators: []validator.Set{setvalidator.NoNullValues()},
	}
}

// ValidateConfig holds hosts, paths and settings against the grammar and against each other, as
// the daemon does.
func (r *routeResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config routeModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	for _, fault := range append(grammar.RouteFaults(config.matches()), config.routing().Faults()...) {
		at, _ := attributePath("body." + fault.Field)
		resp.Diagnostics.AddAttributeError(at, "Invalid route setting", fmt.Sprintf("%s %s.", at, fault.Err))
	}
}
