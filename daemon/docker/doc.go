// Package docker is the adapter to a container engine that speaks the Docker
// Engine API: Engine 20.10 (API 1.41) and every later one, by version
// negotiation. It implements the Engine interfaces of the deploy and httpapi
// packages, translates between their nouns and the engine's, and turns every
// engine error into a sentinel of package fleet.
//
// An Engine belongs to one installation. Whatever it creates carries the
// installation's label, and it lists, watches and clears away nothing else, so
// that several daemons can share one engine.
//
// It keeps no memory of its own: every method asks the engine, may be repeated
// without harm, and is bounded in time even when its context is not.
package docker
