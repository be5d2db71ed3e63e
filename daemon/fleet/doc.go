// Package fleet is the nouns of wedsyncd: definitions, networks, instances,
// deployments, principals and events, their states, their transitions and the
// sentinel errors. Every other package of the daemon speaks in these types; this
// one knows neither SQL, nor HTTP, nor Docker.
//
// The JSON tags are the shape in which a noun is stored in a JSONB column and in
// a deployment's configuration snapshot.
package fleet
