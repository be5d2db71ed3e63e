package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathDeployments = "/api/containers/deployments"

// Input types of the operations on deployments.
type (
	// ListDeploymentsInput selects and pages deployments.
	ListDeploymentsInput struct {
		PageParams
		DefinitionID string `query:"definition_id" doc:"Only deployments of this definition." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
		Environment  string `query:"environment" doc:"Only deployments into this environment." example:"staging" minLength:"1" maxLength:"63"`
		Status       string `query:"status" doc:"Only deployments with this deployment_status." example:"completed" enum:"in_progress,completed,failed,rolled_back"`
		Live         bool   `query:"live" doc:"Only what environments run now." example:"true"`
	}
	// RollbackInput asks for a rollback of a deployment.
	RollbackInput struct {
		DeploymentParams
		MutationParams
		Body api.RollbackRequest
	}
	// CommandInput tells something to a deployment in progress.
	CommandInput struct {
		DeploymentParams
		MutationParams
		Body api.CommandRequest
	}
)

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
		summary: "Follow a deployment", description: "The progress of a deployment and the state of each of its instances. One that has failed and has a rollback_id is not over: follow that deployment to its end.",
		status: http.StatusOK, success: "Where the deployment stands.",
		problems: []int{http.StatusNotFound},
	}, s.getDeploymentStatus)
	register(s, a, operation{
		id: "rollbackDeployment", method: http.MethodPost, path: pathDeployments + "/{deployment_id}/rollback", tag: "deployments",
		summary: "Roll a deployment back",
		description: "Brings back what another deployment ran: its whole configuration, the image by its content and its number of replicas. Without a target that is the last stable one before this. " +
			"Once the rollback has completed, this deployment is rolled_back. Refused (409) when there is no stable deployment before it and no target is named, or it is a rollback itself and no target is named; " +
			"and, unless it is forced, when it is not what the environment runs, another one is in progress, or the target never was stable.",
		status: http.StatusAccepted, success: "The rollback has begun; follow it at its own status.", location: pathDeployments + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a1a",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.rollbackDeployment)
	s.registerCommand(a, fleet.CommandPause, "Pause a deployment",
		"Keeps a rollout from starting or removing anything until it is resumed. Its replicas are still watched. Refused (409) when it has ended or is paused already.")
	s.registerCommand(a, fleet.CommandResume, "Resume a deployment",
		"Lets a paused rollout go on. Its progress deadline begins anew. Refused (409) when it has ended or is not paused.")
	s.registerCommand(a, fleet.CommandPromote, "Promote a deployment",
		"Cuts a blue-green or canary rollout over as soon as all of its replicas are healthy, whatever canary steps are left. Refused (409) when it has ended, is promoted already, or is a rolling update.")
	s.registerCommand(a, fleet.CommandAbort, "Abort a deployment",
		"Ends a rollout as failed and begins to bring back what was live, if anything was: rollback_id of the answer is the deployment that does. Refused (409) when it has ended already.")
}

// registerCommand adds the operation that carries a command into a deployment in progress.
func (s *server) registerCommand(a huma.API, command fleet.Command, summary, description string) {
	register(s, a, operation{
		id: string(command) + "Deployment", method: http.MethodPost, path: pathDeployments + "/{deployment_id}/" + string(command), tag: "deployments",
		summary: summary, description: description,
		status: http.StatusOK, success: "The deployment after the command.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, func(ctx context.Context, in *CommandInput) (*Answer[api.Deployment], error) {
		d, err := s.Deployer.Steer(ctx, in.DeploymentID, command, in.Body.Reason)
		if err != nil {
			return nil, missing(err, "deployment", in.DeploymentID)
		}
		return &Answer[api.Deployment]{Body: deploymentToAPI(d)}, nil
	})
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

func (s *server) rollbackDeployment(ctx context.Context, in *RollbackInput) (*Located[api.DeploymentAccepted], error) {
	d, err := s.Deployer.Rollback(ctx, fleet.RollbackRequest{
		DeploymentID: in.DeploymentID,
		TargetID:     in.Body.TargetDeploymentID,
		Reason:       in.Body.Reason,
		Force:        in.Body.Force,
	})
	if err != nil {
		return nil, missing(err, "deployment", in.DeploymentID)
	}
	return accepted(d), nil
}
