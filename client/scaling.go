package client

import (
	"context"
	"net/http"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// Scale starts changing the number of replicas of what is live; follow it with
// [Client.WaitDeployment]. [IsNotFound] when the definition is not deployed in
// the environment, [IsConflict] while a deployment is in progress there.
func (c *Client) Scale(ctx context.Context, r api.ManualScaleRequest) (api.DeploymentAccepted, error) {
	var out api.DeploymentAccepted
	err := c.call(ctx, http.MethodPost, resourcePath("scaling", "manual"), nil, r, &out)
	return out, err
}
