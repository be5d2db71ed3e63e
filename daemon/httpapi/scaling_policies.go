package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	pathScalingPolicies  = pathScaling + "/policies"
	pathScalingDecisions = pathScaling + "/decisions"
)

// Input types of the operations on scaling policies and decisions.
type (
	// ListScalingPoliciesInput selects and pages scaling policies.
	ListScalingPoliciesInput struct {
		PageParams
		DefinitionID string `query:"definition_id" doc:"Only policies of this definition." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
		Environment  string `query:"environment" doc:"Only policies of this environment." example:"staging" minLength:"1" maxLength:"63"`
		PolicyName   string `query:"policy_name" doc:"Only policies of this name." example:"load" minLength:"1" maxLength:"128"`
		ScalingType  string `query:"scaling_type" doc:"Only policies of this type." example:"horizontal" enum:"horizontal,vertical,scheduled"`
	}
	// CreateScalingPolicyInput is a new scaling policy.
	CreateScalingPolicyInput struct {
		MutationParams
		Body api.CreateScalingPolicyRequest
	}
	// UpdateScalingPolicyInput changes a scaling policy.
	UpdateScalingPolicyInput struct {
		ScalingPolicyParams
		MutationParams
		Body api.UpdateScalingPolicyRequest
	}
	// DeleteScalingPolicyInput names the scaling policy to delete.
	DeleteScalingPolicyInput struct {
		ScalingPolicyParams
		MutationParams
	}
	// ListScalingDecisionsInput selects and pages scaling decisions.
	ListScalingDecisionsInput struct {
		PageParams
		DefinitionID string    `query:"definition_id" doc:"Only decisions about this definition." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
		Environment  string    `query:"environment" doc:"Only decisions in this environment." example:"staging" minLength:"1" maxLength:"63"`
		PolicyID     string    `query:"policy_id" doc:"Only decisions of this policy." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a21" format:"uuid"`
		Outcome      string    `query:"outcome" doc:"Only decisions that came to this." example:"scaled_up" enum:"scaled_up,scaled_down,resized,limited,no_change"`
		ChangesOnly  bool      `query:"changes_only" doc:"Only decisions that changed something." example:"true"`
		From         time.Time `query:"from" doc:"Only decisions that were still in force at this time, not replaced by another, or made later. With to at the same time: what was in force then." example:"2026-06-06T08:30:00Z"`
		To           time.Time `query:"to" doc:"Only decisions made at this time or before." example:"2026-06-06T09:30:00Z"`
	}
)

func (s *server) registerScalingPolicies(a huma.API) {
	register(s, a, operation{
		id: "listScalingPolicies", method: http.MethodGet, path: pathScalingPolicies, tag: "scaling",
		summary: "List scaling policies", description: "Scaling policies of the environments that the token covers, by name.",
		status: http.StatusOK, success: "One page of policies.",
	}, s.listScalingPolicies)
	register(s, a, operation{
		id: "createScalingPolicy", method: http.MethodPost, path: pathScalingPolicies, tag: "scaling",
		summary: "Create a scaling policy",
		description: "Hands a definition's scaling in an environment to the autoscaler. A horizontal policy changes the number of replicas so that the mean of a metric stays at a target, or between two thresholds; " +
			"a vertical one changes what each replica may use; a scheduled one bounds the number of replicas while its window is open. Several horizontal ones add up: the largest wish counts. " +
			"The definition need not be deployed yet.",
		status: http.StatusCreated, success: "The policy as it is stored, its defaults filled in.", location: pathScalingPolicies + "/0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a21",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.createScalingPolicy)
	register(s, a, operation{
		id: "getScalingPolicy", method: http.MethodGet, path: pathScalingPolicies + "/{policy_id}", tag: "scaling",
		summary: "Read a scaling policy", description: "One scaling policy.",
		status: http.StatusOK, success: "The policy.",
		problems: []int{http.StatusNotFound},
	}, s.getScalingPolicy)
	register(s, a, operation{
		id: "updateScalingPolicy", method: http.MethodPut, path: pathScalingPolicies + "/{policy_id}", tag: "scaling",
		summary: "Update a scaling policy", description: "Replaces the fields that are given, takes away those that are null and leaves the others; " +
			"but the scale_up_cooldown of a policy that is given thresholds in the place of a target, or a target in theirs, is as of a new one unless it is given too. It holds from the next evaluation on. " +
			"A policy can always be disabled, whatever became of the definition's range since.",
		status: http.StatusOK, success: "The policy after the change.",
		problems: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType},
	}, s.updateScalingPolicy)
	register(s, a, operation{
		id: "deleteScalingPolicy", method: http.MethodDelete, path: pathScalingPolicies + "/{policy_id}", tag: "scaling",
		summary: "Delete a scaling policy", description: "The number of replicas stays as it is. Limits that a vertical policy has set go back to the definition's, of running containers too; memory as soon as less than that is in use. What the policy has decided stays in the list of decisions.",
		status: http.StatusNoContent, success: "The policy is deleted.",
		problems: []int{http.StatusNotFound, http.StatusConflict},
	}, s.deleteScalingPolicy)
	register(s, a, operation{
		id: "listScalingDecisions", method: http.MethodGet, path: pathScalingDecisions, tag: "scaling",
		summary: "List scaling decisions", description: "What the autoscaler has decided in the environments that the token covers, newest first, with the inputs of each decision. " +
			"Decisions that follow each other and change nothing for the same reason are one, with a count and the inputs of the last of them. Those that changed nothing are kept as long as measurements, the others as long as the means of an hour.",
		status: http.StatusOK, success: "One page of decisions.",
	}, s.listScalingDecisions)

	checkBody(s, "createScalingPolicy", func(f *faults, r api.CreateScalingPolicyRequest) {
		checkScalingPolicy(f, scalingPolicyFromAPI(r), r.CooldownPeriod != nil, cooldowns(r.ScaleUpCooldown, r.ScaleDownCooldown)...)
	})
}

// exemplifyScaling gives examples as wholes where those of the fields do not go together.
func exemplifyScaling(schemas huma.Registry) {
	schemas.Map()["CreateScalingPolicyRequest"].Examples = []any{map[string]any{
		"definition_id": "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", "environment": "staging", "policy_name": "load", "scaling_type": "horizontal",
		"trigger_metric": "cpu", "scale_up_threshold": 80, "scale_down_threshold": 30, "scale_up_adjustment": 2, "scale_down_adjustment": 1, "cooldown_period": 300,
	}}
	schemas.Map()["BacktestRequest"].Examples = []any{map[string]any{
		"definition_id": "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", "environment": "staging", "policy_name": "load", "scaling_type": "horizontal",
		"trigger_metric": "cpu", "target_value": 60, "max_replicas": 3, "from": "2026-06-06T06:00:00Z", "to": "2026-06-06T18:00:00Z", "step": 60,
	}}
	schemas.Map()["UpdateScalingPolicyRequest"].Examples = []any{map[string]any{"max_replicas": 3, "min_replicas": nil, "is_enabled": true}}
	schemas.Map()["ScalingPolicy"].Examples = []any{map[string]any{
		"id": "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a21", "definition_id": "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11", "definition_name": "wedding-api", "environment": "staging",
		"policy_name": "load", "scaling_type": "horizontal", "trigger_metric": "cpu", "scale_up_threshold": 80, "scale_down_threshold": 30,
		"scale_up_adjustment": 2, "scale_down_adjustment": 1, "scale_up_cooldown": 300, "scale_down_cooldown": 300, "stabilization_window": 300,
		"max_scale_up": 0, "max_scale_down": 0, "scale_period": 60, "is_enabled": true, "created_by": "0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a10",
		"created_at": "2026-06-06T08:30:00Z", "updated_at": "2026-06-06T08:30:00Z",
	}}
}

func (s *server) listScalingPolicies(ctx context.Context, in *ListScalingPoliciesInput) (*Answer[api.ScalingPolicyList], error) {
	page, err := s.Store.ListScalingPolicies(ctx, fleet.ScalingPolicyFilter{
		DefinitionID: in.DefinitionID, Environment: in.Environment, Name: in.PolicyName, Type: in.ScalingType,
	}, in.page())
	if err != nil {
		return nil, err
	}
	return &Answer[api.ScalingPolicyList]{Body: api.ScalingPolicyList{
		Policies:   list(page.Items, scalingPolicyToAPI),
		TotalCount: page.Total,
		NextCursor: page.NextCursor,
	}}, nil
}

func (s *server) createScalingPolicy(ctx context.Context, in *CreateScalingPolicyInput) (*Located[api.ScalingPolicy], error) {
	p, err := s.Store.CreateScalingPolicy(ctx, scalingPolicyFromAPI(in.Body))
	if err != nil {
		return nil, err
	}
	return &Located[api.ScalingPolicy]{Location: pathScalingPolicies + "/" + p.ID, Body: scalingPolicyToAPI(p)}, nil
}

func (s *server) getScalingPolicy(ctx context.Context, in *ScalingPolicyParams) (*Answer[api.ScalingPolicy], error) {
	p, err := s.Store.ScalingPolicy(ctx, in.PolicyID)
	if err != nil {
		return nil, missing(err, "scaling policy", in.PolicyID)
	}
	return &Answer[api.ScalingPolicy]{Body: scalingPolicyToAPI(p)}, nil
}

func (s *server) updateScalingPolicy(ctx context.Context, in *UpdateScalingPolicyInput) (*Answer[api.ScalingPolicy], error) {
	p, err := s.Store.UpdateScalingPolicy(ctx, in.PolicyID, func(p *fleet.ScalingPolicy) error {
		before := *p
		applyScalingPolicy(p, in.Body)
		if !p.Enabled && reflect.DeepEqual(p.Rules, before.Rules) {
			return nil // whatever was allowed once can be turned off
		}
		f := &faults{}
		checkScalingPolicy(f, *p, in.Body.CooldownPeriod != nil, cooldowns(in.Body.ScaleUpCooldown, in.Body.ScaleDownCooldown)...)
		return f.err()
	})
	if err != nil {
		return nil, missing(err, "scaling policy", in.PolicyID)
	}
	return &Answer[api.ScalingPolicy]{Body: scalingPolicyToAPI(p)}, nil
}

func (s *server) deleteScalingPolicy(ctx context.Context, in *DeleteScalingPolicyInput) (*struct{}, error) {
	return nil, missing(s.Store.DeleteScalingPolicy(ctx, in.PolicyID), "scaling policy", in.PolicyID)
}

func (s *server) listScalingDecisions(ctx context.Context, in *ListScalingDecisionsInput) (*Answer[api.ScalingDecisionList], error) {
	page, err := s.Store.ListScalingDecisions(ctx, fleet.ScalingDecisionFilter{
		DefinitionID: in.DefinitionID, Environment: in.Environment, PolicyID: in.PolicyID, Outcome: fleet.ScalingOutcome(in.Outcome),
		Changes: in.ChangesOnly, From: unlessZero(in.From), To: unlessZero(in.To),
	}, in.page())
	if err != nil {
		return nil, err
	}
	return &Answer[api.ScalingDecisionList]{Body: api.ScalingDecisionList{
		Decisions:  list(page.Items, scalingDecisionToAPI),
		TotalCount: page.Total,
		NextCursor: page.NextCursor,
	}}, nil
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
