// Package placement chooses the cluster of each pending execution.
//
// It is pure: Decide takes a View, which holds everything including the time,
// and returns a Plan. It reads no database, keeps no state between calls, and
// is not told who leads. The scheduler's cycle calls it with what it observed;
// explain, dry runs and simulations call it with what they invented.
//
//	View ── order ──▶ for each pending execution, oldest first:
//	                    filter every cluster ──▶ score those left ──▶ best one
//	                        │                                            │
//	                        ▼ none left                                  ▼
//	                      Wait (a reason per cluster)    Placement (a reason per cluster),
//	                                                     its reservation counts from now on
//
// Invariants, for every Plan:
//
//  1. Each pending execution has exactly one Placement or one Wait, and each of
//     these has a reason for every cluster.
//  2. A placement passes every filter against the reservations of the view plus
//     those of the placements before it: capacity is never over-committed by
//     another pod.
//  3. The same View gives the same Plan, in whatever order its lists come.
//  4. An execution that waits never holds up the one behind it.
package placement
