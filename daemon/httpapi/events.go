package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const pathEvents = "/api/containers/events"

// ListEventsInput selects and pages events.
type ListEventsInput struct {
	PageParams
	InstanceID   string    `query:"instance_id" doc:"Only events about this instance." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13" format:"uuid"`
	DefinitionID string    `query:"definition_id" doc:"Only events about this definition." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	DeploymentID string    `query:"deployment_id" doc:"Only events about this deployment." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	NetworkID    string    `query:"network_id" doc:"Only events about this network." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a12" format:"uuid"`
	Environment  string    `query:"environment" doc:"Only events in this environment." example:"staging" minLength:"1" maxLength:"63"`
	EventType    string    `query:"event_type" doc:"Only events of this type." example:"started" minLength:"1" maxLength:"64"`
	Since        time.Time `query:"since" doc:"Only events at or after this time." example:"2026-06-06T08:30:00Z"`
}

func (s *server) registerEvents(a huma.API) {
	register(s, a, operation{
		id: "listEvents", method: http.MethodGet, path: pathEvents, tag: "events",
		summary: "List events", description: "The audit trail of the environments that the token covers, newest first.",
		status: http.StatusOK, success: "One page of events.",
	}, s.listEvents)
}

func (s *server) listEvents(ctx context.Context, in *ListEventsInput) (*Answer[api.EventList], error) {
	page, err := s.Store.ListEvents(ctx, fleet.EventFilter{
		InstanceID:   in.InstanceID,
		DefinitionID: in.DefinitionID,
		DeploymentID: in.DeploymentID,
		NetworkID:    in.NetworkID,
		Environment:  in.Environment,
		Type:         in.EventType,
		Since:        in.Since,
	}, in.page())
	if err != nil {
		return nil, err
	}
	return &Answer[api.EventList]{Body: api.EventList{
		Events:     list(page.Items, eventToAPI),
		TotalCount: page.Total,
		NextCursor: page.NextCursor,
	}}, nil
}
