// Package health checks the instances that have a health check and keeps the
// verdicts.
//
// Until its first passed check an instance is probed in quick succession, so that
// a rollout goes on as soon as it can; from then on at the check's interval.
//
//	          a check passes
//	unknown ───────────────────► healthy
//	   │                          │   ▲
//	   │ retries checks in a row  │   │ a check passes
//	   │ fail after start_period  ▼   │
//	   └────────────────────────► unhealthy
//
// A restart begins anew at unknown.
package health
