package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// CreateRoute makes a route in an environment. [IsConflict] when the environment
// has one of this name, another environment has one of the hosts, or another route
// one of the paths.
func (c *Client) CreateRoute(ctx context.Context, r api.CreateRouteRequest) (api.Route, error) {
	var out api.Route
	err := c.call(ctx, http.MethodPost, resourcePath("routes"), nil, r, &out)
	return out, err
}

// GetRoute reads a route by its identifier.
func (c *Client) GetRoute(ctx context.Context, id string) (api.Route, error) {
	var out api.Route
	err := c.call(ctx, http.MethodGet, resourcePath("routes", id), nil, nil, &out)
	return out, err
}

// ListRoutes reads one page of routes, by name.
func (c *Client) ListRoutes(ctx context.Context, o api.ListRoutesOptions) (api.RouteList, error) {
	var out api.RouteList
	q := pageQuery(o.Page, "environment", o.Environment, "service_name", o.ServiceName, "name", o.Name)
	err := c.call(ctx, http.MethodGet, resourcePath("routes"), q, nil, &out)
	return out, err
}

// AllRoutes yields every route that the options select, page by page.
func (c *Client) AllRoutes(ctx context.Context, o api.ListRoutesOptions) iter.Seq2[api.Route, error] {
	return pages(o.Cursor, func(cursor string) ([]api.Route, string, error) {
		o.Cursor = cursor
		page, err := c.ListRoutes(ctx, o)
		return page.Routes, page.NextCursor, err
	})
}

// UpdateRoute changes the fields that the request gives and returns the whole
// route. [IsConflict] when a host or a path is taken.
func (c *Client) UpdateRoute(ctx context.Context, id string, r api.UpdateRouteRequest) (api.Route, error) {
	var out api.Route
	err := c.call(ctx, http.MethodPut, resourcePath("routes", id), nil, r, &out)
	return out, err
}

// DeleteRoute removes a route; what it led to goes on running.
func (c *Client) DeleteRoute(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, resourcePath("routes", id), nil, nil, nil)
}
