package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathDefinitions = "/api/containers/definitions"

// Input types of the operations on definitions.
type (
	// ListDefinitionsInput selects and pages definitions.
	ListDefinitionsInput struct {
		PageParams
		Name        string `query:"name" doc:"Only the definition of this name." example:"wedding-api" minLength:"1" maxLength:"63"`
		ServiceName string `query:"service_name" doc:"Only definitions of this service." example:"api" minLength:"1" maxLength:"63"`
	}
	// CreateDefinitionInput is a new definition.
	CreateDefinitionInput struct {
		MutationParams
		Body api.CreateDefinitionRequest
	}
	// UpdateDefinitionInput changes a definition.
	UpdateDefinitionInput struct {
		DefinitionParams
		MutationParams
		Body api.UpdateDefinitionRequest
	}
	// DeleteDefinitionInput names the definition to delete.
	DeleteDefinitionInput struct {
		DefinitionParams
		MutationParams
	}
)

func (s *server) registerDefinitions(a huma.API) {
	register(s, a, operation{
		id: "listDefinitions", method: http.MethodGet, path: pathDefinitions, tag: "definitions",
		summary: "List definitions", description: "Active definitions, by name.",
		status: http.StatusOK, success: "One page of definitions.",
	}, s.listDefinitions)
	register(s, a, operation{
		id: "createDefinition", method: http.MethodPost, path: pathDefinitions, tag: "definitions",
		summary: "Create a definition", description: "Stores a definition at revision 1. Nothing runs until it is deployed.",
		status: http.StatusCreated, success: "The definition as it is stored, its defaults filled in.", location: pathDefinitions + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11",
		problems: []int{http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.createDefinition)
	register(s, a, operation{
		id: "getDefinition", method: http.MethodGet, path: pathDefinitions + "/{definition_id}", tag: "definitions",
		summary: "Read a definition", description: "One active definition.",
		status: http.StatusOK, success: "The definition.",
		problems: []int{http.StatusNotFound},
	}, s.getDefinition)
	register(s, a, operation{
		id: "updateDefinition", method: http.MethodPut, path: pathDefinitions + "/{definition_id}", tag: "definitions",
		summary: "Update a definition", description: "Replaces the fields that are given whole and leaves the others. A change raises the revision; what runs stays as it is until the next deployment.",
		status: http.StatusOK, success: "The definition after the change.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.updateDefinition)
	register(s, a, operation{
		id: "deleteDefinition", method: http.MethodDelete, path: pathDefinitions + "/{definition_id}", tag: "definitions",
		summary: "Delete a definition", description: "Possible only while it is deployed nowhere. Its history stays.",
		status: http.StatusNoContent, success: "The definition is deleted.",
		problems: []int{http.StatusNotFound, http.StatusConflict},
	}, s.deleteDefinition)

	checkBody(s, "createDefinition", func(f *faults, r api.CreateDefinitionRequest) {
		checkDefinition(f, definitionToAPI(definitionFromAPI(r)))
	})
	checkBody(s, "updateDefinition", checkDefinitionChange)
}

func (s *server) listDefinitions(ctx context.Context, in *ListDefinitionsInput) (*Answer[api.DefinitionList], error) {
	page, err := s.Store.ListDefinitions(ctx, fleet.DefinitionFilter{Name: in.Name, ServiceName: in.ServiceName}, in.page())
	if err != nil {
		return nil, err
	}
	return &Answer[api.DefinitionList]{Body: api.DefinitionList{
		Definitions: list(page.Items, definitionToAPI),
		TotalCount:  page.Total,
		NextCursor:  page.NextCursor,
	}}, nil
}

func (s *server) createDefinition(ctx context.Context, in *CreateDefinitionInput) (*Located[api.Definition], error) {
	d, err := s.Store.CreateDefinition(ctx, definitionFromAPI(in.Body), optional(in.Body.RegistryCredentials, credentialsFromAPI))
	if err != nil {
		return nil, err
	}
	return &Located[api.Definition]{Location: pathDefinitions + "/" + d.ID, Body: definitionToAPI(d)}, nil
}

func (s *server) getDefinition(ctx context.Context, in *DefinitionParams) (*Answer[api.Definition], error) {
	d, err := s.Store.Definition(ctx, in.DefinitionID)
	if err != nil {
		return nil, missing(err, "definition", in.DefinitionID)
	}
	return &Answer[api.Definition]{Body: definitionToAPI(d)}, nil
}

func (s *server) updateDefinition(ctx context.Context, in *UpdateDefinitionInput) (*Answer[api.Definition], error) {
	credentials := credentialsChangeFromAPI(in.Body.RegistryCredentials)
	d, err := s.Store.UpdateDefinition(ctx, in.DefinitionID, credentials, func(d *fleet.Definition) error {
		applyDefinition(d, in.Body)
		f := &faults{}
		checkDefinition(f, definitionToAPI(*d))
		return f.err()
	})
	if err != nil {
		return nil, missing(err, "definition", in.DefinitionID)
	}
	return &Answer[api.Definition]{Body: definitionToAPI(d)}, nil
}

func (s *server) deleteDefinition(ctx context.Context, in *DeleteDefinitionInput) (*struct{}, error) {
	return nil, missing(s.Store.DeleteDefinition(ctx, in.DefinitionID), "definition", in.DefinitionID)
}

// page is the page that the parameters ask for.
func (p PageParams) page() fleet.Page { return fleet.Page{Limit: p.Limit, Cursor: p.Cursor} }
