package client

import (
	"context"
	"iter"
	"net/http"
	"strconv"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// GetInstance reads an instance by its identifier.
func (c *Client) GetInstance(ctx context.Context, id string) (api.Instance, error) {
	var out api.Instance
	err := c.call(ctx, http.MethodGet, resourcePath("instances", id), nil, nil, &out)
	return out, err
}

// ListInstances reads one page of instances, newest first.
func (c *Client) ListInstances(ctx context.Context, o api.ListInstancesOptions) (api.InstanceList, error) {
	var out api.InstanceList
	q := pageQuery(o.Page,
		"definition_id", o.DefinitionID,
		"deployment_id", o.DeploymentID,
		"environment", o.Environment,
		"service_name", o.ServiceName,
		"status", o.Status)
	err := c.call(ctx, http.MethodGet, resourcePath("instances"), q, nil, &out)
	return out, err
}

// AllInstances yields every instance that the options select, page by page.
func (c *Client) AllInstances(ctx context.Context, o api.ListInstancesOptions) iter.Seq2[api.Instance, error] {
	return pages(o.Cursor, func(cursor string) ([]api.Instance, string, error) {
		o.Cursor = cursor
		page, err := c.ListInstances(ctx, o)
		return page.Instances, page.NextCursor, err
	})
}

// Act asks for an action on an instance, such as [api.ActionRestart], and
// returns the instance as it stands then; follow it with [Client.WaitInstance].
// [IsConflict] when the instance is terminated.
func (c *Client) Act(ctx context.Context, instanceID string, r api.ActionRequest) (api.Instance, error) {
	var out api.Instance
	err := c.call(ctx, http.MethodPost, resourcePath("instances", instanceID, "action"), nil, r, &out)
	return out, err
}

// Metrics reads what an instance used.
func (c *Client) Metrics(ctx context.Context, instanceID string, o api.MetricsOptions) (api.InstanceMetrics, error) {
	var out api.InstanceMetrics
	step := ""
	if o.Step != 0 {
		step = strconv.Itoa(o.Step)
	}
	q := pageQuery(api.Page{}, "from", queryTime(o.From), "to", queryTime(o.To), "step", step, "metric_name", o.MetricName)
	err := c.call(ctx, http.MethodGet, resourcePath("instances", instanceID, "metrics"), q, nil, &out)
	return out, err
}

// PostMetrics stores what was measured of an instance: all of it or nothing.
func (c *Client) PostMetrics(ctx context.Context, instanceID string, metrics ...api.PostedMetric) (api.PostMetricsResponse, error) {
	var out api.PostMetricsResponse
	err := c.call(ctx, http.MethodPost, resourcePath("instances", instanceID, "metrics"), nil, api.PostMetricsRequest{Metrics: metrics}, &out)
	return out, err
}

// Logs reads one page of what an instance's container wrote, oldest first. Pass
// NextCursor of the answer to read on; it is given even when no line follows yet.
func (c *Client) Logs(ctx context.Context, instanceID string, o api.LogsOptions) (api.LogList, error) {
	var out api.LogList
	q := pageQuery(o.Page, "since", queryTime(o.Since), "source", o.Source)
	err := c.call(ctx, http.MethodGet, resourcePath("instances", instanceID, "logs"), q, nil, &out)
	return out, err
}

// AllLogs yields the lines from the options' start up to the newest, page by page.
func (c *Client) AllLogs(ctx context.Context, instanceID string, o api.LogsOptions) iter.Seq2[api.LogEntry, error] {
	return pages(o.Cursor, func(cursor string) ([]api.LogEntry, string, error) {
		o.Cursor = cursor
		page, err := c.Logs(ctx, instanceID, o)
		if !page.HasMore {
			return page.Logs, "", err
		}
		return page.Logs, page.NextCursor, err
	})
}
