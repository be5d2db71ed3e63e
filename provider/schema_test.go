package provider_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/wedsync/terraform-provider-wedsync/provider"
)

func TestSchemasAreSound(t *testing.T) {
	ctx := context.Background()
	p := provider.New("test")()
	var own fwprovider.SchemaResponse
	p.Schema(ctx, fwprovider.SchemaRequest{}, &own)
	if d := own.Schema.ValidateImplementation(ctx); d.HasError() {
		t.Errorf("provider: %v", d)
	}
	for _, factory := range p.Resources(ctx) {
		r := factory()
		var resp resource.SchemaResponse
		r.Schema(ctx, resource.SchemaRequest{}, &resp)
		if d := resp.Schema.ValidateImplementation(ctx); d.HasError() {
			t.Errorf("%T: %v", r, d)
		}
		identified, ok := r.(resource.ResourceWithIdentity)
		if !ok {
			t.Fatalf("%T has no identity", r)
		}
		var identity resource.IdentitySchemaResponse
		identified.IdentitySchema(ctx, resource.IdentitySchemaRequest{}, &identity)
		if d := identity.IdentitySchema.ValidateImplementation(ctx); d.HasError() {
			t.Errorf("%T: %v", r, d)
		}
	}
	for _, factory := range p.DataSources(ctx) {
		d := factory()
		var resp datasource.SchemaResponse
		d.Schema(ctx, datasource.SchemaRequest{}, &resp)
		if d := resp.Schema.ValidateImplementation(ctx); d.HasError() {
			t.Errorf("%T: %v", d, d)
		}
	}
}

func TestEveryAttributeIsDescribed(t *testing.T) {
	schemas := startInProcess(t).schemas
	check := func(name string, s *tfprotov6.Schema) {
		if s.Block.Description == "" {
			t.Errorf("%s has no description", name)
		}
		described(t, name, s.Block.Attributes)
	}
	check("provider", schemas.Provider)
	for name, s := range schemas.ResourceSchemas {
		check(name, s)
	}
	for name, s := range schemas.DataSourceSchemas {
		check("data."+name, s)
	}
}

func described(t *testing.T, at string, attributes []*tfprotov6.SchemaAttribute) {
	for _, a := range attributes {
		name := at + "." + a.Name
		if a.Description == "" {
			t.Errorf("%s has no description", name)
		}
		if a.NestedType != nil {
			described(t, name, a.NestedType.Attributes)
		}
	}
}
