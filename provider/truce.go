package provider

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// The number of replicas has one owner: a wedsync_deployment that names it, or the
// scaling policies of the workload. Both at once is refused when it is planned.
// What the daemon has already, it is asked for; what comes with the same run of
// Terraform meets in the truce, since one process plans all of it.

// truceKey is a workload; the zero value is one that is not known yet.
type truceKey struct{ definitionID, environment string }

func truceKeyOf(definitionID, environment types.String) truceKey {
	if definitionID.ValueString() == "" || environment.ValueString() == "" {
		return truceKey{}
	}
	return truceKey{definitionID.ValueString(), environment.ValueString()}
}

// truce notes who is planned as the owner of a number of replicas, from Configure
// on: for one walk of Terraform over its configuration.
type truce struct {
	mu       sync.Mutex
	numbers  map[truceKey]bool   // deployments that name a number
	policies map[truceKey]string // policies that own it, one name of each workload
}

func newTruce() *truce {
	return &truce{numbers: map[truceKey]bool{}, policies: map[truceKey]string{}}
}

// number notes a deployment that names its replicas.
func (t *truce) number(w truceKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.numbers[w] = true
}

// named reports whether such a deployment is planned.
func (t *truce) named(w truceKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.numbers[w]
}

// policy notes a policy that decides on the number of replicas.
func (t *truce) policy(w truceKey, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policies[w] = name
}

// owner is such a policy that is planned; empty for none.
func (t *truce) owner(w truceKey) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.policies[w]
}

// ownsReplicas reports whether a policy decides on the number of replicas at present.
func ownsReplicas(p api.ScalingPolicy) bool {
	return p.IsEnabled && (p.ScalingType == api.ScalingHorizontal || p.ScalingType == api.ScalingScheduled)
}

// replicasOwner is a policy that owns a workload's number of replicas, planned or
// in the daemon; empty for none.
func (r *deploymentResource) replicasOwner(ctx context.Context, w truceKey) (string, error) {
	if w == (truceKey{}) {
		return "", nil // nothing can be there of what is not known yet
	}
	if name := r.truce.owner(w); name != "" {
		return name, nil
	}
	for p, err := range r.client.AllScalingPolicies(ctx, api.ListScalingPoliciesOptions{DefinitionID: w.definitionID, Environment: w.environment}) {
		if client.IsNotFound(err) {
			return "", nil // a daemon from before there were policies
		}
		if err != nil {
			return "", err
		}
		if ownsReplicas(p) {
			return p.PolicyName, nil
		}
	}
	return "", nil
}

// refuseReplicas refuses a number of replicas where a policy owns it.
func (r *deploymentResource) refuseReplicas(ctx context.Context, m deploymentResourceModel, replicas types.Int64, diags *diag.Diagnostics) {
	w := truceKeyOf(m.DefinitionID, m.Environment)
	if !known(replicas) || w == (truceKey{}) {
		return
	}
	r.truce.number(w) // before it looks: of two that are planned at once, one sees the other
	owner, err := r.replicasOwner(ctx, w)
	switch {
	case err != nil:
		addClientError(diags, "Read scaling policies", err)
	case owner != "":
		diags.AddAttributeError(path.Root("replicas"), "Two owners of the number of replicas", fmt.Sprintf(
			"replicas = %d is given, but scaling policy %q decides on the number of replicas of this definition in %s.\n\n"+
				"Leave replicas out; or delete or disable the policy first, in an apply of its own.",
			replicas.ValueInt64(), owner, w.environment))
	}
}

// refusePolicy refuses a policy that owns a number of replicas which a deployment
// of the same run names.
func (r *scalingPolicyResource) refusePolicy(m scalingPolicyResourceModel, diags *diag.Diagnostics) {
	w := truceKeyOf(m.DefinitionID, m.Environment)
	if w == (truceKey{}) || !m.IsEnabled.ValueBool() || !m.owns() {
		return
	}
	r.truce.policy(w, m.PolicyName.ValueString())
	if r.truce.named(w) {
		diags.AddAttributeError(path.Root("scaling_type"), "Two owners of the number of replicas", fmt.Sprintf(
			"Scaling policy %q would decide on the number of replicas of this definition in %s, but the wedsync_deployment there names them.\n\n"+
				"Leave replicas out of the deployment; or set is_enabled = false here.",
			m.PolicyName.ValueString(), w.environment))
	}
}
