// Package autoscale decides how many replicas a workload has, and what each of
// them may use.
//
// [Decide] is pure: the same state, read from the store in one transaction, gives
// the same verdict, whichever daemon asks and however often it was restarted.
//
//	       readings              wanted                 limited
//	policies ──► one wish each ──► the largest ──► limits, one after the other ──► verdict
//	                                   │           ▲
//	                                   ▼           │
//	                            recommendations (rows, for the stabilization window)
//
// The limits are, for both directions, the upper bound (of the open windows, else of
// the policies). Down: missing metrics, stabilization window, max_scale_down,
// cooldown. Up: max_scale_up, cooldown. Then, for both, the lower bound and the
// definition's range, which win over all before them; and last what keeps everything
// as it is: a scaling that failed a moment ago, and a deployment in progress.
//
// What comes of it is written as rows that join without a gap; fold.go says when a
// new one begins.
//
// [Backtest] replays what was measured through the same function.
package autoscale
