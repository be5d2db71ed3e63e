package provider_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// inProcess asks the provider server directly, where a CLI would add nothing but time.
type inProcess struct {
	t       *testing.T
	server  tfprotov6.ProviderServer
	schemas *tfprotov6.GetProviderSchemaResponse
}

func startInProcess(t *testing.T) inProcess {
	t.Helper()
	server, err := protoV6["wedsync"]()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(context.Background(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return inProcess{t: t, server: server, schemas: schemas}
}

// value reads a configuration in JSON; attributes at the unknown paths, written
// "a.b", become unknown. What is left out is null.
func (p inProcess) value(kind tftypes.Type, config string, unknown ...string) *tfprotov6.DynamicValue {
	p.t.Helper()
	v, err := tfprotov6.DynamicValue{JSON: []byte(config)}.Unmarshal(kind)
	if err != nil {
		p.t.Fatalf("read %s: %v", config, err)
	}
	v, err = tftypes.Transform(v, func(at *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		if slices.Contains(unknown, dotted(at)) {
			return tftypes.NewValue(v.Type(), tftypes.UnknownValue), nil
		}
		return v, nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := tfprotov6.NewDynamicValue(kind, v)
	if err != nil {
		p.t.Fatal(err)
	}
	return &out
}

func dotted(at *tftypes.AttributePath) string {
	if at == nil {
		return ""
	}
	var steps []string
	for _, step := range at.Steps() {
		steps = append(steps, strings.Trim(fmt.Sprint(step), `"`))
	}
	return strings.Join(steps, ".")
}

// validate returns the errors of a resource's configuration, as "path: detail".
func (p inProcess) validate(typeName, config string, unknown ...string) []string {
	p.t.Helper()
	resp, err := p.server.ValidateResourceConfig(p.t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		TypeName: typeName,
		Config:   p.value(p.schemas.ResourceSchemas[typeName].ValueType(), config, unknown...),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return errorsOf(resp.Diagnostics)
}

// configure returns the errors of a configuration of the provider.
func (p inProcess) configure(config string, unknown ...string) []string {
	p.t.Helper()
	resp, err := p.server.ConfigureProvider(p.t.Context(), &tfprotov6.ConfigureProviderRequest{
		Config: p.value(p.schemas.Provider.ValueType(), config, unknown...),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return errorsOf(resp.Diagnostics)
}

func errorsOf(diags []*tfprotov6.Diagnostic) []string {
	var out []string
	for _, d := range diags {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			out = append(out, fmt.Sprintf("%s: %s: %s", dotted(d.Attribute), d.Summary, d.Detail))
		}
	}
	return out
}

// resourceState is a resource as a CLI keeps it between its calls.
type resourceState struct {
	typeName string
	value    *tfprotov6.DynamicValue // null when there is none
	private  []byte
	identity *tfprotov6.ResourceIdentityData
}

func (p inProcess) nothing(typeName string) resourceState {
	p.t.Helper()
	kind := p.schemas.ResourceSchemas[typeName].ValueType()
	null, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, nil))
	if err != nil {
		p.t.Fatal(err)
	}
	return resourceState{typeName: typeName, value: &null}
}

// apply plans and applies a configuration, and returns what the state is then and
// the diagnostics of the apply.
func (p inProcess) apply(before resourceState, config string) (resourceState, []*tfprotov6.Diagnostic) {
	p.t.Helper()
	kind := p.schemas.ResourceSchemas[before.typeName].ValueType()
	wanted := p.value(kind, config)
	planned, err := p.server.PlanResourceChange(p.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: before.typeName, PriorState: before.value, ProposedNewState: p.proposed(kind, before.value, wanted), Config: wanted,
		PriorPrivate: before.private, PriorIdentity: before.identity,
	})
	if err != nil || len(errorsOf(planned.Diagnostics)) > 0 {
		p.t.Fatal(err, errorsOf(planned.Diagnostics))
	}
	applied, err := p.server.ApplyResourceChange(p.t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: before.typeName, PriorState: before.value, PlannedState: planned.PlannedState, Config: wanted,
		PlannedPrivate: planned.PlannedPrivate, PlannedIdentity: planned.PlannedIdentity,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return resourceState{before.typeName, applied.NewState, applied.Private, applied.NewIdentity}, applied.Diagnostics
}

// proposed is the configuration with what it leaves out as it was before.
func (p inProcess) proposed(kind tftypes.Type, before, wanted *tfprotov6.DynamicValue) *tfprotov6.DynamicValue {
	p.t.Helper()
	was, is := p.members(kind, before), p.members(kind, wanted)
	for name, v := range is {
		if old, ok := was[name]; ok && v.IsNull() {
			is[name] = old
		}
	}
	out, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, is))
	if err != nil {
		p.t.Fatal(err)
	}
	return &out
}

// members are the attributes of a resource; none of one that is null.
func (p inProcess) members(kind tftypes.Type, value *tfprotov6.DynamicValue) map[string]tftypes.Value {
	p.t.Helper()
	v, err := value.Unmarshal(kind)
	if err != nil {
		p.t.Fatal(err)
	}
	members := map[string]tftypes.Value{}
	if !v.IsNull() {
		if err := v.As(&members); err != nil {
			p.t.Fatal(err)
		}
	}
	return members
}

// refresh reads a resource anew.
func (p inProcess) refresh(before resourceState) (resourceState, []*tfprotov6.Diagnostic) {
	p.t.Helper()
	read, err := p.server.ReadResource(p.t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: before.typeName, CurrentState: before.value, CurrentIdentity: before.identity, Private: before.private,
	})
	if err != nil || len(errorsOf(read.Diagnostics)) > 0 {
		p.t.Fatal(err, errorsOf(read.Diagnostics))
	}
	return resourceState{before.typeName, read.NewState, read.Private, read.NewIdentity}, read.Diagnostics
}
