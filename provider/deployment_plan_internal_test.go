package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

func TestPlanUpdate(t *testing.T) {
	completed := deploymentResourceModel{
		DefinitionRevision: types.Int64Value(1), Replicas: types.Int64Value(2), WaitForRollout: types.BoolValue(true),
		DeploymentID: types.StringValue("d1"), DeploymentStatus: types.StringValue(api.DeploymentCompleted), LiveRevision: types.Int64Value(1),
	}
	going := completed
	going.DeploymentStatus = types.StringValue(api.DeploymentInProgress)

	tests := []struct {
		name               string
		state              deploymentResourceModel
		change             func(*deploymentResourceModel)
		leftOut, remembers bool
		replicas           types.Int64
		rollsOut           bool
		deploymentID       types.String
		status             types.String
	}{
		{"settings", completed, func(m *deploymentResourceModel) { m.DeploymentNotes = types.StringValue("x") }, false, true,
			types.Int64Value(2), false, types.StringValue("d1"), types.StringValue("completed")},
		{"revision", completed, func(m *deploymentResourceModel) { m.DefinitionRevision = types.Int64Value(2) }, false, true,
			types.Int64Value(2), true, types.StringUnknown(), types.StringUnknown()},
		{"revision unknown", completed, func(m *deploymentResourceModel) { m.DefinitionRevision = types.Int64Unknown() }, false, true,
			types.Int64Value(2), true, types.StringUnknown(), types.StringUnknown()},
		{"revision, replicas left out", completed, func(m *deploymentResourceModel) { m.DefinitionRevision = types.Int64Value(2) }, true, false,
			types.Int64Unknown(), true, types.StringUnknown(), types.StringUnknown()},
		{"replicas", completed, func(m *deploymentResourceModel) { m.Replicas = types.Int64Value(3) }, false, true,
			types.Int64Value(3), true, types.StringUnknown(), types.StringUnknown()},
		{"replicas taken out", completed, func(m *deploymentResourceModel) { m.Replicas = types.Int64Unknown() }, true, true,
			types.Int64Unknown(), true, types.StringUnknown(), types.StringUnknown()},
		{"replicas never given", completed, func(m *deploymentResourceModel) { m.Replicas = types.Int64Unknown() }, true, false,
			types.Int64Value(2), false, types.StringValue("d1"), types.StringValue("completed")},
		{"goes on, waits", going, func(*deploymentResourceModel) {}, false, true,
			types.Int64Value(2), false, types.StringValue("d1"), types.StringUnknown()},
		{"goes on, does not wait", going, func(m *deploymentResourceModel) { m.WaitForRollout = types.BoolValue(false) }, false, true,
			types.Int64Value(2), false, types.StringValue("d1"), types.StringValue("in_progress")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := tt.state
			tt.change(&plan)
			planUpdate(&plan, tt.state, tt.leftOut, tt.remembers)
			if !plan.Replicas.Equal(tt.replicas) {
				t.Errorf("replicas %s, want %s", plan.Replicas, tt.replicas)
			}
			if rollsOut(plan, tt.state) != tt.rollsOut {
				t.Errorf("rolls out: %v, want %v", !tt.rollsOut, tt.rollsOut)
			}
			if !plan.DeploymentID.Equal(tt.deploymentID) || !plan.DeploymentStatus.Equal(tt.status) {
				t.Errorf("deployment %s %s, want %s %s", plan.DeploymentID, plan.DeploymentStatus, tt.deploymentID, tt.status)
			}
		})
	}
}

func TestCurrentDeployment(t *testing.T) {
	live, rollout, removal := &api.Deployment{ID: "live"}, &api.Deployment{ID: "rollout"}, &api.Deployment{ID: "removal", IsRemoval: true}
	tests := []struct {
		name string
		in   workload
		want *api.Deployment
	}{
		{"nothing", workload{}, nil},
		{"live", workload{live: live}, live},
		{"first rollout", workload{pending: rollout}, rollout},
		{"rollout over live", workload{live: live, pending: rollout}, rollout},
		{"removal over live", workload{live: live, pending: removal}, live},
		{"removal of a failed one", workload{pending: removal}, nil},
	}
	for _, tt := range tests {
		if got := tt.in.current(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
