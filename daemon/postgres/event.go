package postgres

import (
	"context"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

// record writes events of the transaction's principal into the audit trail. An
// event without a source is a user's, or the system's where that acts.
func (t *transaction) record(ctx context.Context, events ...fleet.Event) error {
	if len(events) == 0 {
		return nil
	}
	rows := make([]dbsqlc.InsertEventParams, len(events))
	for n, e := range events {
		id, err := newID()
		if err != nil {
			return err
		}
		rows[n] = eventParams(id, e, t.call.Principal)
	}
	var failed error
	t.InsertEvent(ctx, rows).Exec(func(_ int, err error) {
		if failed == nil {
			failed = err
		}
	})
	return failed
}

func eventParams(id string, e fleet.Event, by fleet.Principal) dbsqlc.InsertEventParams {
	source := e.Source
	if source == "" {
		source = fleet.SourceUser
		if by.ID == fleet.System.ID {
			source = fleet.SourceSystem
		}
	}
	data := dbsqlc.Data(e.Data)
	if data == nil {
		data = dbsqlc.Data{}
	}
	return dbsqlc.InsertEventParams{
		ID:           id,
		InstanceID:   nullable(e.InstanceID),
		DefinitionID: nullable(e.DefinitionID),
		DeploymentID: nullable(e.DeploymentID),
		NetworkID:    nullable(e.NetworkID),
		Environment:  nullable(e.Environment),
		EventType:    e.Type,
		EventSource:  source,
		EventData:    data,
		ErrorMessage: nullable(e.Error),
		StackTrace:   nullable(e.StackTrace),
		UserID:       nullable(by.ID),
		UserName:     nullable(by.Name),
	}
}

func event(r dbsqlc.ContainerEvent) fleet.Event {
	return fleet.Event{
		ID:           r.ID,
		InstanceID:   text(r.InstanceID),
		DefinitionID: text(r.DefinitionID),
		DeploymentID: text(r.DeploymentID),
		NetworkID:    text(r.NetworkID),
		Environment:  text(r.Environment),
		Type:         r.EventType,
		Source:       r.EventSource,
		Data:         r.EventData,
		Error:        text(r.ErrorMessage),
		StackTrace:   text(r.StackTrace),
		UserID:       text(r.UserID),
		UserName:     text(r.UserName),
		Timestamp:    r.Timestamp,
	}
}

// ListEvents implements httpapi.Store: newest first.
func (s *Store) ListEvents(ctx context.Context, f fleet.EventFilter, p fleet.Page) (fleet.Result[fleet.Event], error) {
	var none fleet.Result[fleet.Event]
	page, err := pageOf(p)
	if err != nil {
		return none, err
	}
	count := dbsqlc.CountEventsParams{
		InstanceID:   nullable(f.InstanceID),
		DefinitionID: nullable(f.DefinitionID),
		DeploymentID: nullable(f.DeploymentID),
		NetworkID:    nullable(f.NetworkID),
		Environment:  nullable(f.Environment),
		EventType:    nullable(f.Type),
	}
	if !f.Since.IsZero() {
		count.Since = &f.Since
	}
	rows := dbsqlc.ListEventsParams{
		InstanceID: count.InstanceID, DefinitionID: count.DefinitionID, DeploymentID: count.DeploymentID,
		NetworkID: count.NetworkID, Environment: count.Environment, EventType: count.EventType, Since: count.Since,
		BeforeID: page.after, MaxRows: page.rowsToFetch,
	}
	total, found, err := listRows(ctx, s, "list events",
		func(q *dbsqlc.Queries) (int64, error) { return q.CountEvents(ctx, count) },
		func(q *dbsqlc.Queries) ([]dbsqlc.ContainerEvent, error) { return q.ListEvents(ctx, rows) })
	if err != nil {
		return none, err
	}
	return resultOf(page, found, total, event, func(e fleet.Event) cursor { return cursor{ID: e.ID} }), nil
}
