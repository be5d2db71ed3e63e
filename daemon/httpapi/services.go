package httpapi

import (
	"context"
	"net/http"

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
