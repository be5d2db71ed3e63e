package embedded

import "testing"

// SetPlaces replaces where the server programs are looked for, beside the PATH,
// until the test ends.
func SetPlaces(t *testing.T, patterns ...string) {
	before := places
	places = patterns
	t.Cleanup(func() { places = before })
}
