package postgres

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Bounds of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// cursor is the key of the last row of a page; the next page begins behind it.
// Keys never change their order, so that a list that is paged while rows come and
// go shows each row that stays exactly once.
type cursor struct {
	Name string `json:"k,omitempty"`
	ID   string `json:"i"`
}

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil { // two strings always marshal
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// page is a request for rows behind a key; one row more than the limit is read,
// to know whether another page follows.
type page struct {
	limit       int
	after       *string
	afterName   *string
	rowsToFetch int
}

func pageOf(p fleet.Page) (page, error) {
	limit := p.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	limit = min(max(limit, 1), maxLimit)
	result := page{limit: limit, rowsToFetch: limit + 1}
	if p.Cursor == "" {
		return result, nil
	}
	c, err := parseCursor(p.Cursor)
	if err != nil {
		return page{}, err
	}
	result.after, result.afterName = &c.ID, &c.Name
	return result, nil
}

func parseCursor(s string) (cursor, error) {
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err == nil {
		err = uuid.Validate(c.ID)
	}
	if err != nil {
		return cursor{}, errForeignCursor
	}
	return c, nil
}

var errForeignCursor = fleet.FieldErrorf(fleet.ErrInvalid, "cursor",
	"is not a cursor of this list; pass next_cursor of an earlier answer as it is, or leave it out")

// afterTime is the key of a list that is in order of time; nil on its first page.
func (p page) afterTime() (*time.Time, error) {
	if p.afterName == nil {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, *p.afterName)
	if err != nil {
		return nil, errForeignCursor
	}
	return &t, nil
}

// resultOf is the page of rows, converted, with the cursor of the last.
func resultOf[R, T any](p page, rows []R, total int64, convert func(R) T, key func(T) cursor) fleet.Result[T] {
	more := len(rows) > p.limit
	if more {
		rows = rows[:p.limit]
	}
	result := fleet.Result[T]{Items: convertAll(rows, convert), Total: int(total)}
	if more {
		result.NextCursor = key(result.Items[len(rows)-1]).String()
	}
	return result
}

// convertAll is never nil.
func convertAll[R, T any](rows []R, convert func(R) T) []T {
	items := make([]T, len(rows))
	for i, r := range rows {
		items[i] = convert(r)
	}
	return items
}
