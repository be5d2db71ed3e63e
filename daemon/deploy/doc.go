// Package deploy makes what runs equal to what was asked for.
//
// A workload is one definition in one environment. Its target is a deployment:
// the one in progress, or the last one that completed, which is live. One worker
// per workload repeats a single pass: read the state from the store, bring its
// facts up to date from the engine, plan, decide, begin. What the engine takes
// its time for goes on beside it, one thing at a time for each instance.
//
//	         changes, engine events, verdicts, ticks, ends of work
//	                         │ wake
//	                         ▼
//	load state ──► observe ──► Plan (pure) ──► decide (rows) ──┐
//	    ▲                          │                           │
//	    │                          └──► begin (engine) ─ ─ ─ ─ ┤ rows
//	    └──────────────────────────────────────────────────────┘
//
// A deployment, whatever its type (deploy, scale, rollback, removal):
//
//	            nothing but its own replicas is left,
//	            and each of them has proved itself
//	in_progress ─────────────────────────────────────► completed ─┐
//	     │                                                        │ a rollback of it
//	     │ · a replica of its own exits, turns unhealthy, or      │ by hand completes
//	     │   misses the healthy deadline                          ▼
//	     │ · the image cannot be had, the engine refuses     rolled_back
//	     │ · no progress within the progress deadline             ▲
//	     │ · a user aborts it                                     │ its rollback
//	     │ · a newer deployment supersedes it                     │ completes
//	     └──────────────────────────────────────────────► failed ─┘
//
// With the failure, in the same transaction, a deployment of type rollback
// begins, if something was live: it brings back the live one's configuration,
// image and number of replicas, or the number that was being brought when the failed
// one took the place of that. A scaling that fails leaves those of its replicas that
// have proved themselves, and waits for none but its own. The failure of a rollback
// calls for no other; the live one is the target then, and is kept up like in a
// steady state. A superseded deployment is not rolled back, as another one goes on in
// its place.
//
// Where a rollout that replaces something stands, by strategy. Each arrow but the
// pauses needs the replicas there to have been healthy without a break for the
// minimum time, and leads to "failed" instead when one of them fails:
//
//	rolling_update   pull ─► ┌ add within the surge ─► healthy ─► drain as many old ones ┐ ─► completed
//	                         └───────────────────────────────────────────────────────────┘
//
//	blue_green       pull ─► add all, weight 0 ─► healthy ─► (promotion) ─► weight 100,
//	                 old ones out of service ─► keep warm ─► remove old ones ─► completed
//
//	canary           pull ─► ┌ add the step's share ─► healthy ─► weight of the step ─► pause ┐
//	                         └────────────────────────────────────────────────────────────────┘
//	                 ─► add all ─► healthy ─► (promotion) ─► weight 100, and on as blue_green
//
// A first deploy and a change of the number of replicas replace nothing, and are
// rolling in every strategy. What these plans look like in time stands in
// testdata, one story a file.
//
// An instance:
//
//	pending ──create, start──► running ◄──start── stopped
//	   ▲                        │   │                ▲
//	   │ container gone         │   ├──── stop ──────┤
//	   └────────────────────────┤   └─ engine stops ─┘
//	                            │ exits by itself
//	                            ▼
//	                          failed ──restart after a back-off──► running
//
//	running ──drain──► out of service ──drain time──► stop, remove ──► terminated
//	any other ──stop, remove──► terminated
//
// Every step may be repeated without harm: containers have deterministic names,
// the row that announces one is written before it is created, and what was done
// is written after it succeeded. A crash at any moment therefore costs nothing but
// the time until the next pass. Every deadline is computed from rows, so that it
// survives a restart too.
package deploy
