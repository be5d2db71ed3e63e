// Package deploy makes what runs equal to what was asked for.
//
// A workload is one definition in one environment. Its target is a deployment:
// the one in progress, or the last one that completed. One worker per workload
// repeats a single pass: read the state from the store, bring its facts up to
// date from the engine, plan, execute the plan's steps, until the plan is empty.
//
//	         changes, engine events, verdicts, ticks
//	                         │ wake
//	                         ▼
//	load state ──► observe ──► Plan (pure) ──► execute ──┐
//	    ▲                                                │ rows
//	    └────────────────────────────────────────────────┘
//
// A deployment:
//
//	            all replicas healthy, old ones removed
//	in_progress ──────────────────────────────────────► completed
//	     │
//	     │  a replica exits, turns unhealthy, is refused by the engine,
//	     │  or a newer deployment takes over
//	     └────────────────────────────────────────────► failed
//
// While it is in progress the old replicas go on serving. When it fails, the
// last completed deployment becomes the target again and its replicas, which
// never stopped, stay; those of the failed one are removed.
//
// An instance:
//
//	pending ──create, start──► running ◄──start── stopped
//	   ▲                        │   │                ▲
//	   │ container gone         │   └──── stop ──────┘
//	   └────────────────────────┤
//	                            │ exits by itself
//	                            ▼
//	                          failed ──restart after a back-off──► running
//
//	any ──stop, remove──► terminated
//
// Every step may be repeated without harm: containers have deterministic names,
// and the row that announces one is written before it is created. A crash at any
// moment therefore costs nothing but the time until the next pass.
package deploy
