package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// Deploy starts the rollout of a definition into an environment and returns as
// soon as it is accepted; follow it with [Client.WaitDeployment]. [IsConflict]
// when the request names a revision that is not the definition's current one.
func (c *Client) Deploy(ctx context.Context, definitionID string, r api.DeployRequest) (api.DeploymentAccepted, error) {
	var out api.DeploymentAccepted
	err := c.call(ctx, http.MethodPost, resourcePath("instances", definitionID, "deploy"), nil, r, &out)
	return out, err
}

// RemoveDeployment starts taking a definition out of an environment: all of its
// instances there are stopped and removed. [IsNotFound] when it is not deployed there.
func (c *Client) RemoveDeployment(ctx context.Context, definitionID, environment string) (api.DeploymentAccepted, error) {
	var out api.DeploymentAccepted
	q := url.Values{"environment": {environment}}
	err := c.call(ctx, http.MethodDelete, resourcePath("instances", definitionID, "deploy"), q, nil, &out)
	return out, err
}

// Rollback starts bringing back what an earlier deployment ran in the place of
// this one; follow the rollback with [Client.WaitDeployment]. [IsConflict] when
// the current state speaks against it and the request does not force it.
func (c *Client) Rollback(ctx context.Context, id string, r api.RollbackRequest) (api.DeploymentAccepted, error) {
	var out api.DeploymentAccepted
	err := c.call(ctx, http.MethodPost, resourcePath("deployments", id, "rollback"), nil, r, &out)
	return out, err
}

// PauseDeployment keeps a rollout from starting or removing anything until it is
// resumed; its replicas are still watched. [IsConflict] when it has ended or is
// paused already.
func (c *Client) PauseDeployment(ctx context.Context, id string, r api.CommandRequest) (api.Deployment, error) {
	return c.steer(ctx, id, "pause", r)
}

// ResumeDeployment lets a paused rollout go on. [IsConflict] when it has ended or
// is not paused.
func (c *Client) ResumeDeployment(ctx context.Context, id string, r api.CommandRequest) (api.Deployment, error) {
	return c.steer(ctx, id, "resume", r)
}

// PromoteDeployment cuts a blue-green or canary rollout over as soon as all of
// its replicas are healthy. [IsConflict] when it has ended, is promoted already
// or is a rolling update.
func (c *Client) PromoteDeployment(ctx context.Context, id string, r api.CommandRequest) (api.Deployment, error) {
	return c.steer(ctx, id, "promote", r)
}

// AbortDeployment ends a rollout as failed and starts bringing back what was
// live; RollbackID of the answer names the rollback. [IsConflict] when it has
// ended already.
func (c *Client) AbortDeployment(ctx context.Context, id string, r api.CommandRequest) (api.Deployment, error) {
	return c.steer(ctx, id, "abort", r)
}

func (c *Client) steer(ctx context.Context, id, command string, r api.CommandRequest) (api.Deployment, error) {
	var out api.Deployment
	err := c.call(ctx, http.MethodPost, resourcePath("deployments", id, command), nil, r, &out)
	return out, err
}

// GetDeployment reads a deployment by its identifier.
func (c *Client) GetDeployment(ctx context.Context, id string) (api.Deployment, error) {
	var out api.Deployment
	err := c.call(ctx, http.MethodGet, resourcePath("deployments", id), nil, nil, &out)
	return out, err
}

// GetDeploymentStatus reads the progress of a deployment and the state of its instances.
func (c *Client) GetDeploymentStatus(ctx context.Context, id string) (api.DeploymentStatus, error) {
	var out api.DeploymentStatusResponse
	err := c.call(ctx, http.MethodGet, resourcePath("deployments", id, "status"), nil, nil, &out)
	return out.Deployment, err
}

// ListDeployments reads one page of deployments, newest first.
func (c *Client) ListDeployments(ctx context.Context, o api.ListDeploymentsOptions) (api.DeploymentList, error) {
	var out api.DeploymentList
	q := pageQuery(o.Page,
		"definition_id", o.DefinitionID,
		"environment", o.Environment,
		"status", o.Status,
		"live", queryFlag(o.Live))
	err := c.call(ctx, http.MethodGet, resourcePath("deployments"), q, nil, &out)
	return out, err
}

// AllDeployments yields every deployment that the options select, page by page.
func (c *Client) AllDeployments(ctx context.Context, o api.ListDeploymentsOptions) iter.Seq2[api.Deployment, error] {
	return pages(o.Cursor, func(cursor string) ([]api.Deployment, string, error) {
		o.Cursor = cursor
		page, err := c.ListDeployments(ctx, o)
		return page.Deployments, page.NextCursor, err
	})
}
