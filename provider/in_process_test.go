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
