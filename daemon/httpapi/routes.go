package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathRoutes = "/api/containers/routes"

// Input types of the operations on routes.
type (
	// ListRoutesInput selects and pages routes.
	ListRoutesInput struct {
		PageParams
		Environment string `query:"environment" doc:"Only routes of this environment." example:"staging" minLength:"1" maxLength:"63"`
		ServiceName string `query:"service_name" doc:"Only routes to this service." example:"api" minLength:"1" maxLength:"63"`
		Name        string `query:"name" doc:"Only routes of this name." example:"shop" minLength:"1" maxLength:"63"`
	}
	// CreateRouteInput is a new route.
	CreateRouteInput struct {
		MutationParams
		Body api.CreateRouteRequest
	}
	// UpdateRouteInput changes a route.
	UpdateRouteInput struct {
		RouteParams
		MutationParams
		Body api.UpdateRouteRequest
	}
	// DeleteRouteInput names the route to delete.
	DeleteRouteInput struct {
		RouteParams
		MutationParams
	}
)

func (s *server) registerRoutes(a huma.API) {
	register(s, a, operation{
		id: "listRoutes", method: http.MethodGet, path: pathRoutes, tag: "routes",
		summary: "List routes", description: "Routes of the environments that the token covers, by name.",
		status: http.StatusOK, success: "One page of routes.",
	}, s.listRoutes)
	register(s, a, operation{
		id: "createRoute", method: http.MethodPost, path: pathRoutes, tag: "routes",
		summary: "Create a route", description: "Leads requests of hosts and paths to a service of the environment. A host belongs to one environment, and a path of it to one route.",
		status: http.StatusCreated, success: "The route as it is stored, its defaults filled in.", location: pathRoutes + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a19",
		problems: []int{http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.createRoute)
	register(s, a, operation{
		id: "getRoute", method: http.MethodGet, path: pathRoutes + "/{route_id}", tag: "routes",
		summary: "Read a route", description: "One route.",
		status: http.StatusOK, success: "The route.",
		problems: []int{http.StatusNotFound},
	}, s.getRoute)
	register(s, a, operation{
		id: "updateRoute", method: http.MethodPut, path: pathRoutes + "/{route_id}", tag: "routes",
		summary: "Update a route", description: "Replaces the fields that are given whole and leaves the others. It holds for requests that come from then on.",
		status: http.StatusOK, success: "The route after the change.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.updateRoute)
	register(s, a, operation{
		id: "deleteRoute", method: http.MethodDelete, path: pathRoutes + "/{route_id}", tag: "routes",
		summary: "Delete a route", description: "Its hosts and paths are free afterwards. The service goes on running.",
		status: http.StatusNoContent, success: "The route is deleted.",
		problems: []int{http.StatusNotFound, http.StatusConflict},
	}, s.deleteRoute)

	checkBody(s, "createRoute", func(f *faults, r api.CreateRouteRequest) { checkRoute(f, routeFromAPI(r), s.Domain) })
	checkBody(s, "updateRoute", func(f *faults, r api.UpdateRouteRequest) { checkRouteChange(f, r, s.Domain) })
}

func (s *server) listRoutes(ctx context.Context, in *ListRoutesInput) (*Answer[api.RouteList], error) {
	page, err := s.Store.ListRoutes(ctx, fleet.RouteFilter{Environment: in.Environment, ServiceName: in.ServiceName, Name: in.Name}, in.page())
	if err != nil {
		return nil, err
	}
	return &Answer[api.RouteList]{Body: api.RouteList{
		Routes:     list(page.Items, routeToAPI),
		TotalCount: page.Total,
		NextCursor: page.NextCursor,
	}}, nil
}

func (s *server) createRoute(ctx context.Context, in *CreateRouteInput) (*Located[api.Route], error) {
	r, err := s.Store.CreateRoute(ctx, routeFromAPI(in.Body))
	if err != nil {
		return nil, err
	}
	return &Located[api.Route]{Location: pathRoutes + "/" + r.ID, Body: routeToAPI(r)}, nil
}

func (s *server) getRoute(ctx context.Context, in *RouteParams) (*Answer[api.Route], error) {
	r, err := s.Store.Route(ctx, in.RouteID)
	if err != nil {
		return nil, missing(err, "route", in.RouteID)
	}
	return &Answer[api.Route]{Body: routeToAPI(r)}, nil
}

func (s *server) updateRoute(ctx context.Context, in *UpdateRouteInput) (*Answer[api.Route], error) {
	r, err := s.Store.UpdateRoute(ctx, in.RouteID, func(r *fleet.Route) error {
		applyRoute(r, in.Body)
		f := &faults{}
		checkRoute(f, *r, s.Domain)
		return f.err()
	})
	if err != nil {
		return nil, missing(err, "route", in.RouteID)
	}
	return &Answer[api.Route]{Body: routeToAPI(r)}, nil
}

func (s *server) deleteRoute(ctx context.Context, in *DeleteRouteInput) (*struct{}, error) {
	return nil, missing(s.Store.DeleteRoute(ctx, in.RouteID), "route", in.RouteID)
}
