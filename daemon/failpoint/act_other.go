//go:build !linux

package failpoint

// act needs Linux, as do the containers of the tests that arm failpoints.
func act(action Action) { panic("failpoint: this system cannot " + string(action) + " at a boundary") }
