// Package health checks the instances that have a health check and keeps the
// verdicts.
//
// Until its checks have passed without a break for the settling time an instance
// is probed in quick succession, so that a rollout goes on as soon as it can and
// misses no break; from then on at the check's interval. One failed check breaks
// the streak, and probing is quick again, although the verdict needs more of them.
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
