package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathNetworks = "/api/containers/networks"

// Input types of the operations on networks.
type (
	// ListNetworksInput selects and pages networks.
	ListNetworksInput struct {
		PageParams
		Environment string `query:"environment" doc:"Only networks of this environment." example:"staging" minLength:"1" maxLength:"63"`
		Name        string `query:"name" doc:"Only networks of this name." example:"app" minLength:"1" maxLength:"63"`
	}
	// CreateNetworkInput is a new network.
	CreateNetworkInput struct {
		MutationParams
		Body api.CreateNetworkRequest
	}
	// UpdateNetworkInput changes a network.
	UpdateNetworkInput struct {
		NetworkParams
		MutationParams
		Body api.UpdateNetworkRequest
	}
	// DeleteNetworkInput names the network to delete.
	DeleteNetworkInput struct {
		NetworkParams
		MutationParams
	}
)

func (s *server) registerNetworks(a huma.API) {
	register(s, a, operation{
		id: "listNetworks", method: http.MethodGet, path: pathNetworks, tag: "networks",
		summary: "List networks", description: "Active networks of the environments that the token covers, by name.",
		status: http.StatusOK, success: "One page of networks.",
	}, s.listNetworks)
	register(s, a, operation{
		id: "createNetwork", method: http.MethodPost, path: pathNetworks, tag: "networks",
		summary: "Create a network", description: "Makes the network in the engine and stores it, or does neither.",
		status: http.StatusCreated, success: "The network.", location: pathNetworks + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a12",
		problems: []int{http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.createNetwork)
	register(s, a, operation{
		id: "getNetwork", method: http.MethodGet, path: pathNetworks + "/{network_id}", tag: "networks",
		summary: "Read a network", description: "One active network.",
		status: http.StatusOK, success: "The network.",
		problems: []int{http.StatusNotFound},
	}, s.getNetwork)
	register(s, a, operation{
		id: "updateNetwork", method: http.MethodPut, path: pathNetworks + "/{network_id}", tag: "networks",
		summary: "Update a network", description: "Replaces the fields that are given whole and leaves the others. What changes the engine's network is possible only while no container is attached.",
		status: http.StatusOK, success: "The network after the change.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.updateNetwork)
	register(s, a, operation{
		id: "deleteNetwork", method: http.MethodDelete, path: pathNetworks + "/{network_id}", tag: "networks",
		summary: "Delete a network", description: "Possible only while no deployed definition names it and no container is attached.",
		status: http.StatusNoContent, success: "The network is deleted.",
		problems: []int{http.StatusNotFound, http.StatusConflict},
	}, s.deleteNetwork)

	checkBody(s, "createNetwork", func(f *faults, r api.CreateNetworkRequest) {
		checkNetwork(f, networkToAPI(networkFromAPI(r)))
	})
	checkBody(s, "updateNetwork", checkNetworkChange)
}

func (s *server) listNetworks(ctx context.Context, in *ListNetworksInput) (*Answer[api.NetworkList], error) {
	page, err := s.Store.ListNetworks(ctx, fleet.NetworkFilter{Environment: in.Environment, Name: in.Name}, in.page())
	if err != nil {
		return nil, err
	}
	return &Answer[api.NetworkList]{Body: api.NetworkList{
		Networks:   list(page.Items, networkToAPI),
		TotalCount: page.Total,
		NextCursor: page.NextCursor,
	}}, nil
}

func (s *server) createNetwork(ctx context.Context, in *CreateNetworkInput) (*Located[api.Network], error) {
	n, err := s.Deployer.CreateNetwork(ctx, networkFromAPI(in.Body))
	if err != nil {
		return nil, err
	}
	return &Located[api.Network]{Location: pathNetworks + "/" + n.ID, Body: networkToAPI(n)}, nil
}

func (s *server) getNetwork(ctx context.Context, in *NetworkParams) (*Answer[api.Network], error) {
	n, err := s.Store.Network(ctx, in.NetworkID)
	if err != nil {
		return nil, missing(err, "network", in.NetworkID)
	}
	return &Answer[api.Network]{Body: networkToAPI(n)}, nil
}

func (s *server) updateNetwork(ctx context.Context, in *UpdateNetworkInput) (*Answer[api.Network], error) {
	n, err := s.Deployer.UpdateNetwork(ctx, in.NetworkID, func(n *fleet.Network) error {
		applyNetwork(n, in.Body)
		f := &faults{}
		checkNetwork(f, networkToAPI(*n))
		return f.err()
	})
	if err != nil {
		return nil, missing(err, "network", in.NetworkID)
	}
	return &Answer[api.Network]{Body: networkToAPI(n)}, nil
}

func (s *server) deleteNetwork(ctx context.Context, in *DeleteNetworkInput) (*struct{}, error) {
	return nil, missing(s.Deployer.DeleteNetwork(ctx, in.NetworkID), "network", in.NetworkID)
}
