package httpapi

import (
	"fmt"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// faults collects everything that is wrong with one request. A location is
// reported once: the first fault explains it, later ones would only follow from it.
type faults struct {
	list []api.FieldError
}

func (f *faults) add(location, format string, args ...any) {
	if f.touches(location) {
		return
	}
	f.list = append(f.list, api.FieldError{Location: location, Message: fmt.Sprintf(format, args...)})
}

// refuse adds err, unless it is nil.
func (f *faults) refuse(location string, err error) {
	if err != nil {
		f.add(location, "%s", err.Error())
	}
}

// touches reports whether a fault lies at the location, above it or below it:
// whether the value there cannot be relied on.
func (f *faults) touches(location string) bool {
	for _, e := range f.list {
		if within(e.Location, location) || within(location, e.Location) {
			return true
		}
	}
	return false
}

// sound reports whether all the locations can be relied on, for a rule that spans several fields.
func (f *faults) sound(locations ...string) bool {
	for _, l := range locations {
		if f.touches(l) {
			return false
		}
	}
	return true
}

// within reports whether location is outer or a part of it.
func within(location, outer string) bool {
	rest, ok := strings.CutPrefix(location, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// err is nil without faults, else a fleet.InvalidError for use inside a change
// of the store. Its fields carry no leading "body.".
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	fields := make([]fleet.FieldError, len(f.list))
	for i, e := range f.list {
		fields[i] = fleet.FieldError{Field: strings.TrimPrefix(e.Location, "body."), Message: e.Message}
	}
	return &fleet.InvalidError{Fields: fields}
}
