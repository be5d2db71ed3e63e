package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// CreateNetwork makes a network in an environment. [IsConflict] when the
// environment has one of this name.
func (c *Client) CreateNetwork(ctx context.Context, r api.CreateNetworkRequest) (api.Network, error) {
	var out api.Network
	err := c.call(ctx, http.MethodPost, resourcePath("networks"), nil, r, &out)
	return out, err
}

// GetNetwork reads a network by its identifier.
func (c *Client) GetNetwork(ctx context.Context, id string) (api.Network, error) {
	var out api.Network
	err := c.call(ctx, http.MethodGet, resourcePath("networks", id), nil, nil, &out)
	return out, err
}

// ListNetworks reads one page of networks, by name.
func (c *Client) ListNetworks(ctx context.Context, o api.ListNetworksOptions) (api.NetworkList, error) {
	var out api.NetworkList
	q := pageQuery(o.Page, "environment", o.Environment, "name", o.Name)
	err := c.call(ctx, http.MethodGet, resourcePath("networks"), q, nil, &out)
	return out, err
}

// AllNetworks yields every network that the options select, page by page.
func (c *Client) AllNetworks(ctx context.Context, o api.ListNetworksOptions) iter.Seq2[api.Network, error] {
	return pages(o.Cursor, func(cursor string) ([]api.Network, string, error) {
		o.Cursor = cursor
		page, err := c.ListNetworks(ctx, o)
		return page.Networks, page.NextCursor, err
	})
}

// UpdateNetwork changes the fields that the request gives and returns the whole
// network. [IsConflict] while containers are attached and the engine's network
// would have to change.
func (c *Client) UpdateNetwork(ctx context.Context, id string, r api.UpdateNetworkRequest) (api.Network, error) {
	var out api.Network
	err := c.call(ctx, http.MethodPut, resourcePath("networks", id), nil, r, &out)
	return out, err
}

// DeleteNetwork removes a network. [IsConflict] while something needs it.
func (c *Client) DeleteNetwork(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, resourcePath("networks", id), nil, nil, nil)
}
