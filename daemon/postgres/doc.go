// Package postgres keeps the fleet in Postgres: it implements the Store
// interfaces of httpapi, deploy, health and access, and is the only importer of
// pgx. Its SQL is in queries/, from which sqlc generates package dbsqlc; its
// schema is in migrations/.
//
// # Row level security
//
// Every statement runs as the role wedsync_app, which owns nothing, is no
// superuser and has no BYPASSRLS, in a transaction that sets request.jwt.claims
// to the principal of the context's call (see [fleet.CallFrom]). The policies of
// the schema then decide what the principal sees and may change; the checks of
// httpapi come before them, not instead of them. A context without a call is
// refused. Open refuses a database in which the role could bypass the policies.
//
// # Reads and writes
//
// A read of one statement goes to the server together with its claims, in one
// round trip (type claimed). A write is a transaction with the claims set first
// (type transaction), which also writes its audit events. Mutations that clients
// may repeat go through mutate, which does them at most once per idempotency key.
//
// # Leadership
//
// Lead holds an advisory lock, renews a lease by pings over the connection that
// has it, and raises an epoch. Writes in the context that it hands out are refused
// by the database once another daemon has raised the epoch; what else a leader
// changes is refused by the context's fence once its lease is over. A candidate
// that sees the leader silent for longer than a lease lasts ends its connection
// and leads.
package postgres

//go:generate sqlc generate
