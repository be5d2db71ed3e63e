package client

import (
	"context"
	"iter"
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

// CreateScalingPolicy hands the scaling of a definition in an environment to the
// autoscaler. [IsConflict] when another policy has the name or works against it,
// [IsInvalid] when it goes beyond the definition's range.
func (c *Client) CreateScalingPolicy(ctx context.Context, r api.CreateScalingPolicyRequest) (api.ScalingPolicy, error) {
	var out api.ScalingPolicy
	err := c.call(ctx, http.MethodPost, resourcePath("scaling", "policies"), nil, r, &out)
	return out, err
}

// GetScalingPolicy reads a scaling policy by its identifier.
func (c *Client) GetScalingPolicy(ctx context.Context, id string) (api.ScalingPolicy, error) {
	var out api.ScalingPolicy
	err := c.call(ctx, http.MethodGet, resourcePath("scaling", "policies", id), nil, nil, &out)
	return out, err
}

// ListScalingPolicies reads one page of scaling policies, by name.
func (c *Client) ListScalingPolicies(ctx context.Context, o api.ListScalingPoliciesOptions) (api.ScalingPolicyList, error) {
	var out api.ScalingPolicyList
	q := pageQuery(o.Page, "definition_id", o.DefinitionID, "environment", o.Environment, "policy_name", o.PolicyName, "scaling_type", o.ScalingType)
	err := c.call(ctx, http.MethodGet, resourcePath("scaling", "policies"), q, nil, &out)
	return out, err
}

// AllScalingPolicies yields every scaling policy that the options select, page by page.
func (c *Client) AllScalingPolicies(ctx context.Context, o api.ListScalingPoliciesOptions) iter.Seq2[api.ScalingPolicy, error] {
	return pages(o.Cursor, func(cursor string) ([]api.ScalingPolicy, string, error) {
		o.Cursor = cursor
		page, err := c.ListScalingPolicies(ctx, o)
		return page.Policies, page.NextCursor, err
	})
}

// UpdateScalingPolicy changes the fields that the request gives, takes away those
// that are null, and returns the whole policy. It fails as [Client.CreateScalingPolicy] does.
func (c *Client) UpdateScalingPolicy(ctx context.Context, id string, r api.UpdateScalingPolicyRequest) (api.ScalingPolicy, error) {
	var out api.ScalingPolicy
	err := c.call(ctx, http.MethodPut, resourcePath("scaling", "policies", id), nil, r, &out)
	return out, err
}

// DeleteScalingPolicy removes a scaling policy; what runs stays as it is.
func (c *Client) DeleteScalingPolicy(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, resourcePath("scaling", "policies", id), nil, nil, nil)
}

// BacktestScaling tells what a policy, which is not stored, would have done with
// what was measured. It changes nothing.
func (c *Client) BacktestScaling(ctx context.Context, r api.BacktestRequest) (api.BacktestResult, error) {
	var out api.BacktestResult
	err := c.call(ctx, http.MethodPost, resourcePath("scaling", "backtest"), nil, r, &out)
	return out, err
}

// ListScalingDecisions reads one page of what the autoscaler has decided, newest first.
func (c *Client) ListScalingDecisions(ctx context.Context, o api.ListScalingDecisionsOptions) (api.ScalingDecisionList, error) {
	var out api.ScalingDecisionList
	q := pageQuery(o.Page,
		"definition_id", o.DefinitionID,
		"environment", o.Environment,
		"policy_id", o.PolicyID,
		"outcome", o.Outcome,
		"changes_only", queryFlag(o.ChangesOnly),
		"from", queryTime(o.From),
		"to", queryTime(o.To))
	err := c.call(ctx, http.MethodGet, resourcePath("scaling", "decisions"), q, nil, &out)
	return out, err
}

// AllScalingDecisions yields every decision that the options select, page by page.
func (c *Client) AllScalingDecisions(ctx context.Context, o api.ListScalingDecisionsOptions) iter.Seq2[api.ScalingDecision, error] {
	return pages(o.Cursor, func(cursor string) ([]api.ScalingDecision, string, error) {
		o.Cursor = cursor
		page, err := c.ListScalingDecisions(ctx, o)
		return page.Decisions, page.NextCursor, err
	})
}
