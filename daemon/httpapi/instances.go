package httpapi

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathInstances = "/api/containers/instances"

// Input types of the operations on instances.
type (
	// ListInstancesInput selects and pages instances.
	ListInstancesInput struct {
		PageParams
		DefinitionID string `query:"definition_id" doc:"Only instances of this definition." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
		DeploymentID string `query:"deployment_id" doc:"Only instances of this deployment." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
		Environment  string `query:"environment" doc:"Only instances in this environment." example:"staging" minLength:"1" maxLength:"63"`
		ServiceName  string `query:"service_name" doc:"Only instances of this service." example:"api" minLength:"1" maxLength:"63"`
		Status       string `query:"status" doc:"Only instances with this current_status; without it, terminated ones are left out." example:"running" enum:"pending,running,stopped,failed,terminated"`
	}
	// DeployInput asks for a deployment of a definition.
	DeployInput struct {
		DefinitionParams
		MutationParams
		Body api.DeployRequest
	}
	// RemoveInput names the environment that a definition is taken out of.
	RemoveInput struct {
		DefinitionParams
		MutationParams
		Environment string `query:"environment" required:"true" doc:"Environment to take the definition out of." example:"staging" minLength:"1" maxLength:"63"`
	}
	// ActionInput asks for an action on an instance.
	ActionInput struct {
		InstanceParams
		MutationParams
		Body api.ActionRequest
	}
)

func (s *server) registerInstances(a huma.API) {
	register(s, a, operation{
		id: "listInstances", method: http.MethodGet, path: pathInstances, tag: "instances",
		summary: "List instances", description: "Instances in the environments that the token covers, newest first.",
		status: http.StatusOK, success: "One page of instances.",
	}, s.listInstances)
	register(s, a, operation{
		id: "getInstance", method: http.MethodGet, path: pathInstances + "/{instance_id}", tag: "instances",
		summary: "Read an instance", description: "One instance, terminated ones too.",
		status: http.StatusOK, success: "The instance.",
		problems: []int{http.StatusNotFound},
	}, s.getInstance)
	register(s, a, operation{
		id: "deployDefinition", method: http.MethodPost, path: pathInstances + "/{definition_id}/deploy", tag: "instances",
		summary: "Deploy a definition", description: "Rolls the definition's current revision out into an environment, as deployment_strategy and rollout_config say. The image's content is fixed now; a deployment that is still in progress there is superseded. When the rollout fails, what was stable there last is brought back.",
		status: http.StatusAccepted, success: "The rollout has begun; follow it at the deployment's status.", location: pathDeployments + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.deployDefinition)
	register(s, a, operation{
		id: "removeDefinition", method: http.MethodDelete, path: pathInstances + "/{definition_id}/deploy", tag: "instances",
		summary: "Remove a definition from an environment", description: "Stops and removes every instance of the definition in the environment.",
		status: http.StatusAccepted, success: "The removal has begun; follow it at the deployment's status.", location: pathDeployments + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14",
		problems: []int{http.StatusNotFound, http.StatusConflict},
	}, s.removeDefinition)
	register(s, a, operation{
		id: "actOnInstance", method: http.MethodPost, path: pathInstances + "/{instance_id}/action", tag: "instances",
		summary: "Act on an instance", description: "Starts, stops, restarts or terminates one instance, in the background.",
		status: http.StatusAccepted, success: "The instance with its new desired_status.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.actOnInstance)

	checkBody(s, "deployDefinition", checkDeploy)
}

func (s *server) listInstances(ctx context.Context, in *ListInstancesInput) (*Answer[api.InstanceList], error) {
	page, err := s.Store.ListInstances(ctx, fleet.InstanceFilter{
		DefinitionID: in.DefinitionID,
		DeploymentID: in.DeploymentID,
		Environment:  in.Environment,
		ServiceName:  in.ServiceName,
		Status:       fleet.Status(in.Status),
	}, in.page())
	if err != nil {
		return nil, err
	}
	return &Answer[api.InstanceList]{Body: api.InstanceList{
		Instances:  list(page.Items, instanceToAPI),
		TotalCount: page.Total,
		NextCursor: page.NextCursor,
	}}, nil
}

func (s *server) getInstance(ctx context.Context, in *InstanceParams) (*Answer[api.Instance], error) {
	i, err := s.Store.Instance(ctx, in.InstanceID)
	if err != nil {
		return nil, missing(err, "instance", in.InstanceID)
	}
	return &Answer[api.Instance]{Body: instanceToAPI(i)}, nil
}

func (s *server) deployDefinition(ctx context.Context, in *DeployInput) (*Located[api.DeploymentAccepted], error) {
	d, err := s.Deployer.Deploy(ctx, fleet.DeployRequest{
		Workload: fleet.Workload{DefinitionID: in.DefinitionID, Environment: in.Body.Environment},
		Replicas: in.Body.ReplicaCount,
		Strategy: cmp.Or(fleet.Strategy(in.Body.DeploymentStrategy), fleet.StrategyRollingUpdate),
		Rollout:  rolloutFromAPI(valueOf(in.Body.RolloutConfig)),
		Notes:    in.Body.DeploymentNotes,
		Revision: in.Body.DefinitionRevision,
	})
	if err != nil {
		return nil, missing(err, "definition", in.DefinitionID)
	}
	return accepted(d), nil
}

func (s *server) removeDefinition(ctx context.Context, in *RemoveInput) (*Located[api.DeploymentAccepted], error) {
	d, err := s.Deployer.Remove(ctx, fleet.Workload{DefinitionID: in.DefinitionID, Environment: in.Environment})
	if err != nil {
		return nil, missing(err, "definition", in.DefinitionID)
	}
	return accepted(d), nil
}

func accepted(d fleet.Deployment) *Located[api.DeploymentAccepted] {
	return &Located[api.DeploymentAccepted]{
		Location: pathDeployments + "/" + d.ID,
		Body:     api.DeploymentAccepted{DeploymentID: d.ID},
	}
}

func (s *server) actOnInstance(ctx context.Context, in *ActionInput) (*Answer[api.Instance], error) {
	i, err := s.Deployer.Act(ctx, in.InstanceID, fleet.Action(in.Body.Action), in.Body.Force, in.Body.Reason)
	if err != nil {
		return nil, missing(err, "instance", in.InstanceID)
	}
	return &Answer[api.Instance]{Body: instanceToAPI(i)}, nil
}
