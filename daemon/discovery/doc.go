// Package discovery tells other programs where services answer: over DNS, in the
// form that Prometheus asks for (http_sd), and as the part of Consul's API that
// reads.
//
// Everything is answered from the newest snapshot of the registry, in memory, so
// that a database that is away changes nothing. Until the first snapshot has come
// there are no answers, rather than empty ones: those who ask then keep what they have.
//
//	fleet.Traffic ──Receive──► Directory ──┬── DNS      names of the zone wedsync.
//	                              │        └── Handler  /http_sd and /v1/…
//	                              └── Drained, Wait
//
// What is shown of an endpoint depends on who asks:
//
//	                 healthy   unhealthy   weight 0
//	DNS                 ●          –           –
//	Consul              ●     critical         –
//	http_sd             ●          ●           ●
//
// A request sees the environments of its principal. DNS knows no principal and
// shows all.
package discovery
