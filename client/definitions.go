package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// CreateDefinition stores a new definition. [IsConflict] when its name is taken.
func (c *Client) CreateDefinition(ctx context.Context, r api.CreateDefinitionRequest) (api.Definition, error) {
	var out api.Definition
	err := c.call(ctx, http.MethodPost, resourcePath("definitions"), nil, r, &out)
	return out, err
}

// GetDefinition reads a definition by its identifier.
func (c *Client) GetDefinition(ctx context.Context, id string) (api.Definition, error) {
	var out api.Definition
	err := c.call(ctx, http.MethodGet, resourcePath("definitions", id), nil, nil, &out)
	return out, err
}

// ListDefinitions reads one page of definitions, by name.
func (c *Client) ListDefinitions(ctx context.Context, o api.ListDefinitionsOptions) (api.DefinitionList, error) {
	var out api.DefinitionList
	q := pageQuery(o.Page, "name", o.Name, "service_name", o.ServiceName)
	err := c.call(ctx, http.MethodGet, resourcePath("definitions"), q, nil, &out)
	return out, err
}

// AllDefinitions yields every definition that the options select, page by page.
func (c *Client) AllDefinitions(ctx context.Context, o api.ListDefinitionsOptions) iter.Seq2[api.Definition, error] {
	return pages(o.Cursor, func(cursor string) ([]api.Definition, string, error) {
		o.Cursor = cursor
		page, err := c.ListDefinitions(ctx, o)
		return page.Definitions, page.NextCursor, err
	})
}

// UpdateDefinition changes the fields that the request gives and returns the
// whole definition. What runs stays as it is until the definition is deployed again.
func (c *Client) UpdateDefinition(ctx context.Context, id string, r api.UpdateDefinitionRequest) (api.Definition, error) {
	var out api.Definition
	err := c.call(ctx, http.MethodPut, resourcePath("definitions", id), nil, r, &out)
	return out, err
}

// DeleteDefinition deletes a definition. [IsConflict] while it is deployed anywhere.
func (c *Client) DeleteDefinition(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, resourcePath("definitions", id), nil, nil, nil)
}
