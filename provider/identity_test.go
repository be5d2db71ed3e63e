package provider_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// Terraform 1.12 and newer import by identity; the CLIs of the other tests can't.
func TestImportByIdentity(t *testing.T) {
	f := startFakeDaemon(t)
	now := time.Now().UTC()
	f.definitions = []api.Definition{{ID: f.id(), Name: "wedding-api", Revision: 2, IsActive: true, CreatedAt: now, UpdatedAt: now}}
	f.networks = []api.Network{{ID: f.id(), NetworkName: "app", Environment: "staging", IsActive: true}}
	f.routes = []api.Route{{ID: f.id(), Name: "shop", Environment: "staging", ServiceName: "api", PathPrefixes: []string{"/"}}}
	f.policies = []api.ScalingPolicy{{ID: f.id(), DefinitionID: f.definitions[0].ID, Environment: "staging", PolicyName: "load", ScalingType: "horizontal"}}
	f.deployments = []api.Deployment{{
		ID: f.id(), DefinitionID: f.definitions[0].ID, DefinitionRevision: 2, Environment: "staging", IsLive: true, StartedAt: now,
		DeploymentStatus: api.DeploymentCompleted, DeploymentStrategy: api.StrategyRollingUpdate,
	}}
	p := startInProcess(t)
	if errs := p.configure(fmt.Sprintf(`{"endpoint": %q, "token": %q}`, f.URL, fakeToken)); len(errs) > 0 {
		t.Fatal(errs)
	}
	identities, err := p.server.GetResourceIdentitySchemas(t.Context(), &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		typeName, identity string
		shows              map[string]string
	}{
		{"wedsync_container_definition", fmt.Sprintf(`{"id": %q}`, f.definitions[0].ID), map[string]string{"name": "wedding-api"}},
		{"wedsync_network", `{"environment": "staging", "network_name": "app"}`, map[string]string{"id": f.networks[0].ID}},
		{"wedsync_route", `{"environment": "staging", "name": "shop"}`, map[string]string{"id": f.routes[0].ID, "service_name": "api"}},
		{"wedsync_scaling_policy", fmt.Sprintf(`{"definition_id": %q, "environment": "staging", "policy_name": "load"}`, f.definitions[0].ID), map[string]string{
			"id": f.policies[0].ID, "scaling_type": "horizontal",
		}},
		{"wedsync_deployment", fmt.Sprintf(`{"definition_id": %q, "environment": "staging"}`, f.definitions[0].ID), map[string]string{
			"deployment_id": f.deployments[0].ID, "deployment_strategy": "rolling_update",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.typeName, func(t *testing.T) {
			p.t = t
			identity := p.value(identities.IdentitySchemas[tt.typeName].ValueType(), tt.identity)
			imported, err := p.server.ImportResourceState(t.Context(), &tfprotov6.ImportResourceStateRequest{
				TypeName: tt.typeName, Identity: &tfprotov6.ResourceIdentityData{IdentityData: identity},
			})
			if err != nil || len(errorsOf(imported.Diagnostics)) > 0 {
				t.Fatal(err, errorsOf(imported.Diagnostics))
			}
			got := imported.ImportedResources[0]
			read, err := p.server.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{
				TypeName: tt.typeName, CurrentState: got.State, CurrentIdentity: got.Identity, Private: got.Private,
			})
			if err != nil || len(errorsOf(read.Diagnostics)) > 0 {
				t.Fatal(err, errorsOf(read.Diagnostics))
			}
			p.shows(tt.typeName, read.NewState, tt.shows)
			kind := identities.IdentitySchemas[tt.typeName].ValueType()
			before, _ := identity.Unmarshal(kind)
			after, err := read.NewIdentity.IdentityData.Unmarshal(kind)
			if err != nil || !after.Equal(before) {
				t.Errorf("identity %s after the read, want %s (%v)", after, before, err)
			}
		})
	}
}

// shows checks attributes that are strings.
func (p inProcess) shows(typeName string, state *tfprotov6.DynamicValue, want map[string]string) {
	p.t.Helper()
	members := p.members(p.schemas.ResourceSchemas[typeName].ValueType(), state)
	for name, text := range want {
		var got string
		if err := members[name].As(&got); err != nil || got != text {
			p.t.Errorf("%s is %q, want %q (%v)", name, got, text, err)
		}
	}
}
