package client

import (
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const apiRoot = "/api/containers"

// resourcePath joins escaped segments under the root of the API.
func resourcePath(segments ...string) string {
	path := apiRoot
	for _, s := range segments {
		path += "/" + url.PathEscape(s)
	}
	return path
}

// pageQuery is the query of a list. Further pairs are names and values; an empty
// value leaves its pair out.
func pageQuery(p api.Page, pairs ...string) url.Values {
	q := url.Values{}
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	pairs = append(pairs, "cursor", p.Cursor)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func queryTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func queryFlag(set bool) string {
	if !set {
		return ""
	}
	return "true"
}

// pages yields every item of a list from the cursor on. fetch reads one page; a
// failed page is yielded once, as the last pair.
func pages[T any](cursor string, fetch func(cursor string) (items []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			items, next, err := fetch(cursor)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" || next == cursor {
				return
			}
			cursor = next
		}
	}
}
