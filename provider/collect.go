package provider

import (
	"iter"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// pageOfDataSource is the size of the pages that data sources ask for: they read
// all of them, so few and large ones.
var pageOfDataSource = api.Page{Limit: 500}

// collect reads a whole list and converts its items. It is never nil without an error.
func collect[From, To any](all iter.Seq2[From, error], convert func(From) To) ([]To, error) {
	out := []To{}
	for item, err := range all {
		if err != nil {
			return nil, err
		}
		out = append(out, convert(item))
	}
	return out, nil
}
