package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathScaling = "/api/containers/scaling"

// ScaleInput asks for another number of replicas.
type ScaleInput struct {
	MutationParams
	Body api.ManualScaleRequest
}

func (s *server) registerScaling(a huma.API) {
	register(s, a, operation{
		id: "scaleManually", method: http.MethodPost, path: pathScaling + "/manual", tag: "scaling",
		summary: "Scale a definition",
		description: "Changes the number of replicas of what is live in an environment. Content and configuration stay those of the live deployment, even if the definition has changed since. " +
			"Refused (409) while a deployment is in progress there.",
		status: http.StatusAccepted, success: "The scaling has begun; follow it at the deployment's status.", location: pathDeployments + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.scaleManually)
	s.registerScalingPolicies(a)
	s.registerBacktest(a)
	exemplifyScaling(a.OpenAPI().Components.Schemas)
}

func (s *server) scaleManually(ctx context.Context, in *ScaleInput) (*Located[api.DeploymentAccepted], error) {
	d, err := s.Deployer.Scale(ctx, fleet.ScaleRequest{
		Workload: fleet.Workload{DefinitionID: in.Body.DefinitionID, Environment: in.Body.Environment},
		Replicas: in.Body.TargetReplicas,
		Reason:   in.Body.Reason,
	})
	if err != nil {
		return nil, missing(err, "definition", in.Body.DefinitionID)
	}
	return accepted(d), nil
}
