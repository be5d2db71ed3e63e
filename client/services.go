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

// RegisterEndpoint makes an endpoint of the service out of something that wedsyncd
// does not run. It stays as long as heartbeats come: see [Client.Heartbeat]. The
// same environment and URL again renew it, under the identifier that it has.
func (c *Client) RegisterEndpoint(ctx context.Context, serviceName string, r api.RegisterEndpointRequest) (api.ServiceInstance, error) {
	var out api.ServiceInstance
	err := c.call(ctx, http.MethodPost, resourcePath("services", serviceName, "endpoints"), nil, r, &out)
	return out, err
}

// Heartbeat says that an endpoint is there, which is named by the instance_id of its
// registration. [IsNotFound] when it is not registered any more: register it again.
func (c *Client) Heartbeat(ctx context.Context, serviceName, endpointID string, r api.HeartbeatRequest) error {
	return c.call(ctx, http.MethodPut, resourcePath("services", serviceName, "endpoints", endpointID, "heartbeat"), nil, r, nil)
}

// DeregisterEndpoint takes an external endpoint out of its service.
func (c *Client) DeregisterEndpoint(ctx context.Context, serviceName, endpointID string) error {
	return c.call(ctx, http.MethodDelete, resourcePath("services", serviceName, "endpoints", endpointID), nil, nil, nil)
}
