package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathServices = "/api/containers/services"

// Input types of the operations on services.
type (
	// ListServicesInput selects services.
	ListServicesInput struct {
		Environment string `query:"environment" doc:"Only services of this environment." example:"staging" minLength:"1" maxLength:"63"`
		ServiceName string `query:"service_name" doc:"Only the service of this name." example:"api" minLength:"1" maxLength:"63"`
	}
	// DiscoverInput selects endpoints of a service.
	DiscoverInput struct {
		ServiceParams
		Body api.DiscoverRequest
	}
	// SetWeightInput is the new weight of an endpoint.
	SetWeightInput struct {
		ServiceParams
		InstanceParams
		MutationParams
		Body api.WeightRequest
	}
	// RegisterEndpointInput is an external endpoint.
	RegisterEndpointInput struct {
		ServiceParams
		MutationParams
		Body api.RegisterEndpointRequest
	}
	// BeatEndpointInput is a heartbeat of an external endpoint.
	BeatEndpointInput struct {
		ServiceParams
		EndpointParams
		Body *api.HeartbeatRequest
	}
	// DeregisterEndpointInput names the external endpoint to take out.
	DeregisterEndpointInput struct {
		ServiceParams
		EndpointParams
		MutationParams
	}
)

func (s *server) registerServices(a huma.API) {
	register(s, a, operation{
		id: "listServices", method: http.MethodGet, path: pathServices, tag: "services",
		summary: "List services", description: "Services of the environments that the token covers, with their endpoints, by name and environment. They are few and come without pages.",
		status: http.StatusOK, success: "All services that match.",
	}, s.listServices)
	register(s, a, operation{
		id: "discoverService", method: http.MethodPost, path: pathServices + "/{service_name}/discover", tag: "services",
		summary: "Discover a service", description: "Which endpoints a service has in an environment. One that has none answers with an empty list, as does one that does not exist: it may come.",
		status: http.StatusOK, success: "The service with the endpoints that all filters fit.",
		problems: []int{http.StatusNotFound, http.StatusUnsupportedMediaType},
	}, s.discoverService)
	register(s, a, operation{
		id: "setWeight", method: http.MethodPut, path: pathServices + "/{service_name}/instances/{instance_id}/weight", tag: "services",
		summary: "Set the weight of an endpoint", description: "Changes the share of requests that an endpoint gets beside its siblings. At 0 it gets no new one; what is under way goes on.",
		status: http.StatusOK, success: "The endpoint after the change.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.setWeight)
	register(s, a, operation{
		id: "watchServices", method: http.MethodGet, path: pathServiceStream, tag: "services",
		summary: "Watch services", description: "A stream of Server-Sent Events that goes on until either side ends it. First comes a snapshot, whose data is a ServiceList of all services that match; " +
			"then, for each service that changes, service with the whole Service, or removed with a ServiceRemoved when it has no endpoint any more. Heartbeats alone are no change. " +
			"The id rises with every change. A comment comes every 15 seconds, to show that the stream is alive. Whoever connects anew gets a snapshot again.",
		status: http.StatusOK, success: "The stream. It ends when the daemon does, and soon after the token is revoked.", stream: exampleStream,
	}, s.watchServices)
	a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.ServiceRemoved](), true, "")
	s.registerEndpoints(a)
}

func (s *server) registerEndpoints(a huma.API) {
	const path = pathServices + "/{service_name}/endpoints"
	register(s, a, operation{
		id: "registerEndpoint", method: http.MethodPost, path: path, tag: "services",
		summary: "Register an external endpoint", description: "Makes an endpoint of the service out of something that wedsyncd does not run, for as long as heartbeats come. It is healthy until a heartbeat says otherwise. " +
			"Registering service, environment and URL again renews the endpoint, whose identifier stays, and replaces all else.",
		status: http.StatusCreated, success: "The endpoint as it is registered.", location: pathServices + "/api/endpoints/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a20",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.registerEndpoint)
	register(s, a, operation{
		id: "beatEndpoint", method: http.MethodPut, path: path + "/{endpoint_id}/heartbeat", tag: "services",
		summary: "Send a heartbeat", description: "Says that an external endpoint is there, and whether it can take requests. Send one at least every third of its TTL. It may be repeated without a key. " +
			"Heartbeats are written within a second, those that change the endpoint's health at once. After not_found, register the endpoint again.",
		status: http.StatusNoContent, success: "The heartbeat is noted.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.beatEndpoint)
	register(s, a, operation{
		id: "deregisterEndpoint", method: http.MethodDelete, path: path + "/{endpoint_id}", tag: "services",
		summary: "Deregister an external endpoint", description: "It gets no new request from then on; what is under way goes on.",
		status: http.StatusNoContent, success: "The endpoint is deregistered.",
		problems: []int{http.StatusNotFound, http.StatusConflict},
	}, s.deregisterEndpoint)

	checkBody(s, "registerEndpoint", checkEndpoint)
}

func (s *server) listServices(ctx context.Context, in *ListServicesInput) (*Answer[api.ServiceList], error) {
	endpoints, err := s.Store.Endpoints(ctx, fleet.EndpointFilter{Environment: in.Environment, ServiceName: in.ServiceName})
	if err != nil {
		return nil, err
	}
	return &Answer[api.ServiceList]{Body: api.ServiceList{Services: servicesToAPI(endpoints)}}, nil
}

func (s *server) discoverService(ctx context.Context, in *DiscoverInput) (*Answer[api.Service], error) {
	endpoints, err := s.Store.Endpoints(ctx, filterFromAPI(in.ServiceName, in.Body))
	if err != nil {
		return nil, err
	}
	return &Answer[api.Service]{Body: serviceToAPI(in.ServiceName, in.Body.Environment, endpoints)}, nil
}

func (s *server) setWeight(ctx context.Context, in *SetWeightInput) (*Answer[api.ServiceInstance], error) {
	e, err := s.Store.SetWeight(ctx, in.ServiceName, in.InstanceID, in.Body.Weight, in.Body.Reason)
	if err != nil {
		return nil, missing(err, "endpoint", in.InstanceID)
	}
	return &Answer[api.ServiceInstance]{Body: endpointToAPI(e)}, nil
}

func (s *server) registerEndpoint(ctx context.Context, in *RegisterEndpointInput) (*Located[api.ServiceInstance], error) {
	e, err := s.Store.RegisterEndpoint(ctx, endpointFromAPI(in.ServiceName, in.Body))
	if err != nil {
		return nil, err
	}
	return &Located[api.ServiceInstance]{Location: pathServices + "/" + e.ServiceName + "/endpoints/" + e.ID, Body: endpointToAPI(e)}, nil
}

// beatEndpoint goes by what is in memory; what is not there was registered a moment
// ago, or is not at all.
func (s *server) beatEndpoint(ctx context.Context, in *BeatEndpointInput) (*struct{}, error) {
	call, _ := fleet.CallFrom(ctx)
	e, ok := s.Registry.Endpoint(in.EndpointID)
	if !ok {
		var err error
		if e, err = s.Store.Endpoint(ctx, in.EndpointID); err != nil {
			return nil, missing(err, "endpoint", in.EndpointID)
		}
	}
	switch {
	case e.ServiceName != in.ServiceName || !call.Principal.MaySee(e.Environment):
		return nil, missing(fleet.ErrNotFound, "endpoint", in.EndpointID)
	case !e.External():
		return nil, fleet.Errorf(fleet.ErrConflict, "endpoint %s is that of an instance, whose health wedsyncd checks by itself; it takes no heartbeats", e.ID)
	}
	b := heartbeatFromAPI(e.ID, valueOf(in.Body), time.Now())
	s.Heartbeats.Beat(b, e.Healthy != (b.Status == fleet.HeartbeatPassing))
	return nil, nil
}

func (s *server) deregisterEndpoint(ctx context.Context, in *DeregisterEndpointInput) (*struct{}, error) {
	return nil, missing(s.Store.DeregisterEndpoint(ctx, in.ServiceName, in.EndpointID), "endpoint", in.EndpointID)
}
