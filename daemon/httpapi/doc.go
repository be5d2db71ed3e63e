// Package httpapi is the HTTP API of wedsyncd under /api/containers.
//
// A request passes, in this order:
//
//	identify → log → recover → bound → route → authenticate → authorise → read → check → handle
//
// Everything up to "check" is this package's own (middleware.go, guard.go), so
// that no operation can be registered around it. The check (check.go) holds the
// path, the query, the headers and the JSON body against the schemas of the
// OpenAPI document, then runs the semantic rules of validate.go, and answers
// with every fault at once. Huma turns the registered operations into that
// document, binds parameters and bodies, and writes answers. Its own validation
// is off: it stops at the first unknown query parameter, lets null and
// differently cased names pass, and reports a missing field at its parent.
//
// Handlers are one file per noun. They speak wire types (client/api) outwards
// and domain types (fleet) inwards; convert.go is the only crossing. Errors
// become RFC 9457 problems in problem.go, by one table.
package httpapi

//go:generate go run ./openapi -o ../../docs/openapi.yaml
