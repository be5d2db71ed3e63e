package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathDeployments = "/api/containers/deployments"

// ListDeploymentsInput selects and pages deployments.
type ListDeploymentsInput struct {
	PageParams
	DefinitionID string `query:"definition_id" doc:"Only deployments of this definition." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	Environment  string `query:"environment" doc:"Only deployments into this environment." example:"staging" minLength:"1" maxLength:"63"`
	Status       string `query:"status" doc:"Only deployments with this deployment_status." example:"completed" enum:"in_progress,completed,failed,rolled_back"`
	Live         bool   `query:"live" doc:"Only what environments run now." example:"true"`
}

func (s *server) registerDeployments(a huma.API) {
	register(s, a, operation{
		id: "listDeployments", method: http.MethodGet, path: pathDeployments, tag: "deployments",
		summary: "List deployments", description: "Deployments into the environments that the token covers, newest first.",
		status: http.StatusOK, success: "One page of deployments.",
	}, s.listDeployments)
	register(s, a, operation{
		id: "getDeployment", method: http.MethodGet, path: pathDeployments + "/{deployment_id}", tag: "deployments",
		summary: "Read a deployment", description: "One deployment, of whatever age.",
		status: http.StatusOK, success: "The deployment.",
		problems: []int{http.StatusNotFound},
	}, s.getDeployment)
	register(s, a, operation{
		id: "getDeploymentStatus", method: http.MethodGet, path: pathDeployments + "/{deployment_id}/status", tag: "deployments",
		summary: "Follow a deployment", description: "The progress of a deployment and the state of each of its instances.",
		status: http.StatusOK, success: "Where the deployment stands.",
		problems: []int{http.StatusNotFound},
	}, s.getDeploymentStatus)
}

func (s *server) listDeployments(ctx context.Context, in *ListDeploymentsInput) (*Answer[api.DeploymentList], error) {
	page, err := s.Store.ListDeployments(ctx, fleet.DeploymentFilter{
		DefinitionID: in.DefinitionID,
		Environment:  in.Environment,
		Status:       fleet.DeploymentStatus(in.Status),
		Live:         in.Live,
	}, in.page())
	if err != nil {
		return nil, err
	}
	return &Answer[api.DeploymentList]{Body: api.DeploymentList{
		Deployments: list(page.Items, deploymentToAPI),
		TotalCount:  page.Total,
		NextCursor:  page.NextCursor,
	}}, nil
}

func (s *server) getDeployment(ctx context.Context, in *DeploymentParams) (*Answer[api.Deployment], error) {
	d, err := s.Store.Deployment(ctx, in.DeploymentID)
	if err != nil {
		return nil, missing(err, "deployment", in.DeploymentID)
	}
	return &Answer[api.Deployment]{Body: deploymentToAPI(d)}, nil
}

func (s *server) getDeploymentStatus(ctx context.Context, in *DeploymentParams) (*Answer[api.DeploymentStatusResponse], error) {
	d, err := s.Store.Deployment(ctx, in.DeploymentID)
	if err != nil {
		return nil, missing(err, "deployment", in.DeploymentID)
	}
	instances, err := s.Store.DeploymentInstances(ctx, in.DeploymentID)
	if err != nil {
		return nil, missing(err, "deployment", in.DeploymentID)
	}
	return &Answer[api.DeploymentStatusResponse]{Body: deploymentStatusToAPI(d, instances)}, nil
}
