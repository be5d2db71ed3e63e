package api

import "time"

// Event is one entry of the audit trail.
type Event struct {
	ID           string         `json:"id" doc:"Identifier of the event." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a16" format:"uuid"`
	InstanceID   string         `json:"instance_id,omitempty" doc:"Instance that it is about." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13" format:"uuid"`
	DefinitionID string         `json:"definition_id,omitempty" doc:"Definition that it is about." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	DeploymentID string         `json:"deployment_id,omitempty" doc:"Deployment that it is about." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	NetworkID    string         `json:"network_id,omitempty" doc:"Network that it is about." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a12" format:"uuid"`
	Environment  string         `json:"environment,omitempty" doc:"Environment that it happened in." example:"staging"`
	EventType    string         `json:"event_type" doc:"What happened." example:"started"`
	EventSource  string         `json:"event_source" doc:"Who made it happen." example:"user" enum:"system,user,scheduler,health_monitor"`
	EventData    map[string]any `json:"event_data" doc:"Details." example:"{\"action\":\"restart\"}" nullable:"false"`
	ErrorMessage string         `json:"error_message,omitempty" doc:"What went wrong." example:"exit code 137: out of memory"`
	UserID       string         `json:"user_id,omitempty" doc:"Acting principal." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a10" format:"uuid"`
	UserName     string         `json:"user_name,omitempty" doc:"Name of the acting principal." example:"ci"`
	Timestamp    time.Time      `json:"timestamp" doc:"When it happened." example:"2026-06-06T08:30:00Z"`
}

// EventList is one page of events, newest first.
type EventList struct {
	Events     []Event `json:"events" doc:"One page of events, newest first." nullable:"false"`
	TotalCount int     `json:"total_count" doc:"Events that match, over all pages." example:"2"`
	NextCursor string  `json:"next_cursor,omitempty" doc:"Continues the list; absent on its last page." example:"eyJrIjoiMDE5OGM1ZjAifQ"`
}

// ListEventsOptions select and page events.
type ListEventsOptions struct {
	Page
	InstanceID   string
	DefinitionID string
	DeploymentID string
	NetworkID    string
	Environment  string
	EventType    string
	// Since leaves out events before this time.
	Since time.Time
}
