// Schemajson writes the schemas of the provider as "terraform providers schema
// -json" does, for tfplugindocs, into the file that its argument names. It asks
// the provider server in this process, so that it needs no CLI and sees all that
// a CLI might not show.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/wedsync/terraform-provider-wedsync/provider"
)

// source is the key under which tfplugindocs looks for a provider, whatever its namespace.
const source = "wedsync"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schemajson FILE")
		os.Exit(2)
	}
	if err := writeFile(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "write provider schema: %v\n", err)
		os.Exit(1)
	}
}

func writeFile(ctx context.Context, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := write(ctx, &b); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}

func write(ctx context.Context, w io.Writer) error {
	server, err := providerserver.NewProtocol6WithError(provider.New("dev")())()
	if err != nil {
		return fmt.Errorf("start provider server: %w", err)
	}
	schemas, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		return fmt.Errorf("get schemas: %w", err)
	}
	identities, err := server.GetResourceIdentitySchemas(ctx, &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil {
		return fmt.Errorf("get identity schemas: %w", err)
	}
	if err := problems(append(schemas.Diagnostics, identities.Diagnostics...)); err != nil {
		return err
	}
	out := document{FormatVersion: "1.0", Schemas: map[string]providerSchema{source: {
		Provider:    convertSchema(schemas.Provider),
		Resources:   convertSchemas(schemas.ResourceSchemas),
		DataSources: convertSchemas(schemas.DataSourceSchemas),
		Identities:  convertIdentities(identities.IdentitySchemas),
	}}}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(out)
}

func problems(diags []*tfprotov6.Diagnostic) error {
	var all []error
	for _, d := range diags {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			all = append(all, fmt.Errorf("%s: %s", d.Summary, d.Detail))
		}
	}
	return errors.Join(all...)
}

// The form of "terraform providers schema -json".
type (
	document struct {
		FormatVersion string                    `json:"format_version"`
		Schemas       map[string]providerSchema `json:"provider_schemas"`
	}
	providerSchema struct {
		Provider    schema              `json:"provider"`
		Resources   map[string]schema   `json:"resource_schemas"`
		DataSources map[string]schema   `json:"data_source_schemas"`
		Identities  map[string]identity `json:"resource_identity_schemas"`
	}
	schema struct {
		Version int64 `json:"version"`
		Block   block `json:"block"`
	}
	block struct {
		Attributes      map[string]attribute `json:"attributes"`
		Description     string               `json:"description"`
		DescriptionKind string               `json:"description_kind"`
	}
	attribute struct {
		Type            tftypes.Type `json:"type,omitempty"`
		Nested          *nested      `json:"nested_type,omitempty"`
		Description     string       `json:"description"`
		DescriptionKind string       `json:"description_kind"`
		Required        bool         `json:"required,omitempty"`
		Optional        bool         `json:"optional,omitempty"`
		Computed        bool         `json:"computed,omitempty"`
		Sensitive       bool         `json:"sensitive,omitempty"`
		WriteOnly       bool         `json:"write_only,omitempty"`
		Deprecated      bool         `json:"deprecated,omitempty"`
	}
	nested struct {
		Attributes  map[string]attribute `json:"attributes"`
		NestingMode string               `json:"nesting_mode"`
	}
	identity struct {
		Version    int64                        `json:"version"`
		Attributes map[string]identityAttribute `json:"attributes"`
	}
	identityAttribute struct {
		Type              tftypes.Type `json:"type"`
		Description       string       `json:"description"`
		RequiredForImport bool         `json:"required_for_import,omitempty"`
		OptionalForImport bool         `json:"optional_for_import,omitempty"`
	}
)

func convertSchemas(schemas map[string]*tfprotov6.Schema) map[string]schema {
	out := make(map[string]schema, len(schemas))
	for name, s := range schemas {
		out[name] = convertSchema(s)
	}
	return out
}

func convertSchema(s *tfprotov6.Schema) schema {
	return schema{Version: s.Version, Block: block{
		Attributes:      convertAttributes(s.Block.Attributes),
		Description:     s.Block.Description,
		DescriptionKind: kind(s.Block.DescriptionKind),
	}}
}

func convertAttributes(attributes []*tfprotov6.SchemaAttribute) map[string]attribute {
	out := make(map[string]attribute, len(attributes))
	for _, a := range attributes {
		out[a.Name] = attribute{
			Type:            a.Type,
			Nested:          convertNested(a.NestedType),
			Description:     a.Description,
			DescriptionKind: kind(a.DescriptionKind),
			Required:        a.Required,
			Optional:        a.Optional,
			Computed:        a.Computed,
			Sensitive:       a.Sensitive,
			WriteOnly:       a.WriteOnly,
			Deprecated:      a.Deprecated,
		}
	}
	return out
}

func convertNested(o *tfprotov6.SchemaObject) *nested {
	if o == nil {
		return nil
	}
	modes := map[tfprotov6.SchemaObjectNestingMode]string{
		tfprotov6.SchemaObjectNestingModeSingle: "single",
		tfprotov6.SchemaObjectNestingModeList:   "list",
		tfprotov6.SchemaObjectNestingModeSet:    "set",
		tfprotov6.SchemaObjectNestingModeMap:    "map",
	}
	return &nested{Attributes: convertAttributes(o.Attributes), NestingMode: modes[o.Nesting]}
}

func convertIdentities(schemas map[string]*tfprotov6.ResourceIdentitySchema) map[string]identity {
	out := make(map[string]identity, len(schemas))
	for name, s := range schemas {
		attributes := make(map[string]identityAttribute, len(s.IdentityAttributes))
		for _, a := range s.IdentityAttributes {
			attributes[a.Name] = identityAttribute{
				Type:              a.Type,
				Description:       a.Description,
				RequiredForImport: a.RequiredForImport,
				OptionalForImport: a.OptionalForImport,
			}
		}
		out[name] = identity{Version: s.Version, Attributes: attributes}
	}
	return out
}

func kind(k tfprotov6.StringKind) string {
	if k == tfprotov6.StringKindMarkdown {
		return "markdown"
	}
	return "plain"
}
