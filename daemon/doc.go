// Package daemon wires wedsyncd together: it is the only place where the parts
// meet. Calls go down, from the API to the store and the engine; facts come up
// as rows.
package daemon
