package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// ListEvents reads one page of the audit trail, newest first.
func (c *Client) ListEvents(ctx context.Context, o api.ListEventsOptions) (api.EventList, error) {
	var out api.EventList
	q := pageQuery(o.Page,
		"instance_id", o.InstanceID,
		"definition_id", o.DefinitionID,
		"deployment_id", o.DeploymentID,
		"network_id", o.NetworkID,
		"environment", o.Environment,
		"event_type", o.EventType,
		"since", queryTime(o.Since))
	err := c.call(ctx, http.MethodGet, resourcePath("events"), q, nil, &out)
	return out, err
}

// AllEvents yields every event that the options select, page by page.
func (c *Client) AllEvents(ctx context.Context, o api.ListEventsOptions) iter.Seq2[api.Event, error] {
	return pages(o.Cursor, func(cursor string) ([]api.Event, string, error) {
		o.Cursor = cursor
		page, err := c.ListEvents(ctx, o)
		return page.Events, page.NextCursor, err
	})
}
