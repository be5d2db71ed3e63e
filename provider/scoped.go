package provider

import (
	"fmt"
	"strings"
)

// findScoped finds what belongs to an environment by its identifier, or as
// "environment/name".
func findScoped[T any](wanted, noun, example string, byID func(id string) (T, error), byName func(environment, name string) (T, error)) (T, error) {
	environment, name, named := strings.Cut(wanted, "/")
	switch {
	case named:
		return byName(environment, name)
	case !uuidPattern.MatchString(wanted):
		var none T
		return none, fmt.Errorf("%q names no %s; write its identifier, or environment and name as %s", wanted, noun, example)
	default:
		return byID(wanted)
	}
}
