package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// routeModel is a route as the resource and the data sources show it.
type routeModel struct {
	ID              types.String `tfsdk:"id"`
	Name            types.String `tfsdk:"name"`
	Environment     types.String `tfsdk:"environment"`
	ServiceName     types.String `tfsdk:"service_name"`
	Hosts           types.Set    `tfsdk:"hosts"`
	PathPrefixes    types.Set    `tfsdk:"path_prefixes"`
	Strategy        types.String `tfsdk:"strategy"`
	StickyCookie    types.String `tfsdk:"sticky_cookie"`
	CanaryHeader    types.String `tfsdk:"canary_header"`
	CanaryCookie    types.String `tfsdk:"canary_cookie"`
	StripPrefix     types.Bool   `tfsdk:"strip_prefix"`
	RequireTLS      types.Bool   `tfsdk:"require_tls"`
	MaxBodySize     types.String `tfsdk:"max_body_size"`
	MaxHeaderSize   types.String `tfsdk:"max_header_size"`
	ResponseTimeout types.Int64  `tfsdk:"response_timeout"`
	IdleTimeout     types.Int64  `tfsdk:"idle_timeout"`
	MaxRequests     types.Int64  `tfsdk:"max_requests"`
	CreatedBy       types.String `tfsdk:"created_by"`
	CreatedAt       types.String `tfsdk:"created_at"`
	UpdatedAt       types.String `tfsdk:"updated_at"`
}

func routeFromAPI(r api.Route) routeModel {
	return routeModel{
		ID:              types.StringValue(r.ID),
		Name:            types.StringValue(r.Name),
		Environment:     types.StringValue(r.Environment),
		ServiceName:     types.StringValue(r.ServiceName),
		Hosts:           setOf(r.Hosts),
		PathPrefixes:    setOf(r.PathPrefixes),
		Strategy:        types.StringValue(r.Strategy),
		StickyCookie:    nullIfEmpty(r.StickyCookie),
		CanaryHeader:    nullIfEmpty(r.CanaryHeader),
		CanaryCookie:    nullIfEmpty(r.CanaryCookie),
		StripPrefix:     types.BoolValue(r.StripPrefix),
		RequireTLS:      types.BoolValue(r.RequireTLS),
		MaxBodySize:     types.StringValue(r.MaxBodySize),
		MaxHeaderSize:   types.StringValue(r.MaxHeaderSize),
		ResponseTimeout: int64Value(r.ResponseTimeout),
		IdleTimeout:     int64Value(r.IdleTimeout),
		MaxRequests:     int64Value(r.MaxRequests),
		CreatedBy:       nullIfEmpty(r.CreatedBy),
		CreatedAt:       timeValue(r.CreatedAt),
		UpdatedAt:       timeValue(r.UpdatedAt),
	}
}

func createRouteRequest(m routeModel) api.CreateRouteRequest {
	return api.CreateRouteRequest{
		Name:            m.Name.ValueString(),
		Environment:     m.Environment.ValueString(),
		ServiceName:     m.ServiceName.ValueString(),
		Hosts:           stringsOf(m.Hosts),
		PathPrefixes:    stringsOf(m.PathPrefixes),
		Strategy:        m.Strategy.ValueString(),
		StickyCookie:    m.StickyCookie.ValueString(),
		CanaryHeader:    m.CanaryHeader.ValueString(),
		CanaryCookie:    m.CanaryCookie.ValueString(),
		StripPrefix:     m.StripPrefix.ValueBool(),
		RequireTLS:      m.RequireTLS.ValueBool(),
		MaxBodySize:     m.MaxBodySize.ValueString(),
		MaxHeaderSize:   m.MaxHeaderSize.ValueString(),
		ResponseTimeout: intOf(m.ResponseTimeout),
		IdleTimeout:     intOf(m.IdleTimeout),
		MaxRequests:     intOf(m.MaxRequests),
	}
}

// updateRouteRequest replaces everything: what is null in the plan becomes empty.
func updateRouteRequest(plan routeModel) api.UpdateRouteRequest {
	return api.UpdateRouteRequest{
		ServiceName:     plan.ServiceName.ValueStringPointer(),
		Hosts:           pointer(stringsOf(plan.Hosts)),
		PathPrefixes:    pointer(stringsOf(plan.PathPrefixes)),
		Strategy:        plan.Strategy.ValueStringPointer(),
		StickyCookie:    pointer(plan.StickyCookie.ValueString()),
		CanaryHeader:    pointer(plan.CanaryHeader.ValueString()),
		CanaryCookie:    pointer(plan.CanaryCookie.ValueString()),
		StripPrefix:     plan.StripPrefix.ValueBoolPointer(),
		RequireTLS:      plan.RequireTLS.ValueBoolPointer(),
		MaxBodySize:     plan.MaxBodySize.ValueStringPointer(),
		MaxHeaderSize:   plan.MaxHeaderSize.ValueStringPointer(),
		ResponseTimeout: pointer(intOf(plan.ResponseTimeout)),
		IdleTimeout:     pointer(intOf(plan.IdleTimeout)),
		MaxRequests:     pointer(intOf(plan.MaxRequests)),
	}
}

// matches are the hosts and path prefixes of a configuration as the grammar checks
// them: those that are known.
func (m routeModel) matches() (hosts, prefixes []string) {
	hosts, prefixes = stringsOf(m.Hosts), stringsOf(m.PathPrefixes)
	if given := !m.PathPrefixes.IsNull() && !m.PathPrefixes.IsUnknown(); len(prefixes) == 0 && (!given || len(m.PathPrefixes.Elements()) > 0) {
		prefixes = []string{"/"}
	}
	return hosts, prefixes
}

// routing are the settings of a configuration as the grammar checks them. What is
// left out, or unknown yet, has its default.
func (m routeModel) routing() grammar.Routing {
	r := grammar.DefaultRouting()
	settle(&r.Strategy, m.Strategy, types.String.ValueString)
	settle(&r.StickyCookie, m.StickyCookie, types.String.ValueString)
	settle(&r.CanaryHeader, m.CanaryHeader, types.String.ValueString)
	settle(&r.CanaryCookie, m.CanaryCookie, types.String.ValueString)
	settle(&r.StripPrefix, m.StripPrefix, types.Bool.ValueBool)
	settle(&r.RequireTLS, m.RequireTLS, types.Bool.ValueBool)
	settle(&r.MaxBodySize, m.MaxBodySize, types.String.ValueString)
	settle(&r.MaxHeaderSize, m.MaxHeaderSize, types.String.ValueString)
	settle(&r.ResponseTimeout, m.ResponseTimeout, intOf)
	settle(&r.IdleTimeout, m.IdleTimeout, intOf)
	settle(&r.MaxRequests, m.MaxRequests, intOf)
	return r
}

// settle sets what a configuration gives and what is known of it.
func settle[V attr.Value, T any](to *T, v V, plain func(V) T) {
	if !v.IsNull() && !v.IsUnknown() {
		*to = plain(v)
	}
}

// setOf is a set of strings, empty rather than null.
func setOf(in []string) types.Set {
	values := make([]attr.Value, len(in))
	for i, s := range in {
		values[i] = types.StringValue(s)
	}
	return types.SetValueMust(types.StringType, values)
}

// stringsOf are the strings of a set or list as far as they are known, empty rather than nil.
func stringsOf(all interface{ Elements() []attr.Value }) []string {
	out := []string{}
	for _, v := range all.Elements() {
		if s, ok := v.(types.String); ok && !s.IsNull() && !s.IsUnknown() {
			out = append(out, s.ValueString())
		}
	}
	return out
}
