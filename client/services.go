package client

import (
	"context"
	"net/http"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// ListServices reads all services that the options select, with their endpoints.
// They are few and come without pages.
func (c *Client) ListServices(ctx context.Context, o api.ListServicesOptions) (api.ServiceList, error) {
	var out api.ServiceList
	q := pageQuery(api.Page{}, "environment", o.Environment, "service_name", o.ServiceName)
	err := c.call(ctx, http.MethodGet, resourcePath("services"), q, nil, &out)
	return out, err
}

// DiscoverService reads the endpoints of one service that the request selects; a
// service that has none, or does not exist, is one without endpoints.
func (c *Client) DiscoverService(ctx context.Context, serviceName string, r api.DiscoverRequest) (api.Service, error) {
	var out api.Service
	err := c.call(ctx, http.MethodPost, resourcePath("services", serviceName, "discover"), nil, r, &out)
	return out, err
}

// SetWeight changes the share of requests that an endpoint gets beside its
// siblings; an instance keeps it through restarts. [IsNotFound] when the service has
// no such endpoint now.
func (c *Client) SetWeight(ctx context.Context, serviceName, instanceID string, r api.WeightRequest) (api.ServiceInstance, error) {
	var out api.ServiceInstance
	err := c.call(ctx, http.MethodPut, resourcePath("services", serviceName, "instances", instanceID, "weight"), nil, r, &out)
	return out, err
}
