// Package placement chooses the cluster of each pending execution.
//
// It is pure: Decide takes a View, which holds everything including the time,
// and returns a Plan. It reads no database, keeps no state between calls, and
// is not told who leads. The scheduler's cycle calls it with what it observed;
// explain, dry runs and simulations call it with what they invented.
//
//	View ── order ──▶ for each execution, at its turn:
//	                    filter every cluster ──▶ score those left ──▶ best one
//	                        │                                            │
//	                        ▼ none left                                  ▼
//	                      Wait ───────▶ Trail ◀──────────────────── Placement,
//	                              a reason per cluster     its reservation counts from now on
//
// # Order
//
// Whose turn it is falls by, in this order: what starves goes first; higher
// priority; what had a cluster before, or is to be taken from a lost one; the
// tenant whose dominant share, over its weight, is smallest at that moment; the
// oldest of that tenant. A tenant is a (project, domain), and its dominant share
// is the largest share that its live placements hold of the fleet's CPU, memory
// or GPUs. Who cannot be placed holds up nobody: the next turn follows.
//
// An execution starves when it is Limits.Starve old and not being moved by
// force. When a tenant's oldest starving execution finds no cluster, room for
// its largest pod is held on one that could take it if it were empty, the same
// in each plan: nothing else takes that room. One such hold is made for a
// tenant, one on a cluster, and none other. What else that tenant has comes last
// in the plan, so that its share does not grow by younger work meanwhile.
//
// The bound: an execution that is its tenant's oldest, that some cluster could
// take when empty, and whose tenant's quota has room, waits at most
//
//	Starve + (a+1) × D + one cycle
//
// where D is the longest time for which an execution holds its cluster, and a is
// how many executions starve that are older, of tenants that hold no more by
// weight: they come first, and what had been freed may go to them. Work of a
// tenant that holds less comes first as well while it starves too: that is fair
// share, and the bound counts from when the tenant holds no more than these. For
// the only tenant that has starving work it is Starve + D + one cycle, whatever
// that tenant holds, and whatever the priorities.
//
// Quotas are hard, count what live placements reserve over all clusters, and do
// not count again what is moved.
//
// # What a class is
//
// All executions with equal requirements, under the same policies, are one
// class: each cluster is asked once for all of them. Trails are made for
// classes: one when it is examined, which explains its placements by the loads
// of that moment, and one if it then fits nowhere. A quota or a back-off is a
// trail of one reason that names no cluster.
//
// # Invariants
//
//  1. Each pending execution has exactly one Placement or one Wait, whose Trail
//     is in the plan.
//  2. A placement passes every filter against the loads of the view and of the
//     placements before it: its largest pod fits, and no quota is broken.
//  3. The same View gives the same Plan, in whatever order its lists come.
//  4. An execution that waits never holds up the one behind it, but for the one
//     hold of a starved one.
package placement
