// Package simulate measures placement policies before they are used: the
// production placement.Decide, and what others do, on a virtual clock over
// generated or recorded fleets and loads.
//
// A Scenario says which clusters there are, who launches what and when, and which
// clusters fail. Run plays it under one policy, Compare under several, and a
// Report has what came out: waits, utilisation, shares, cost, moves, lost work.
// It is pure and keeps no state: the same scenario gives the same decisions, and
// says so with a hash of them.
//
//	arrivals ──▶ pending ── a cycle of the policy ──▶ queue of a cluster ──▶ runs ──▶ ends
//	                ▲                                                         │
//	                └────────────── its cluster failed, and lapsed ◀──────────┘
//
// What it leaves out: an execution runs with as many of its pods as fit when it
// starts, holds these to its end, and takes the longer for those that it lacks;
// control and start-up take no time; a failed cluster loses what runs at once,
// and keeps what nodes have finished. Policies
// that look at no capacity place at once, and the execution waits in the cluster
// where it was put, as pods do: first come, first served, smaller ones pass.
//
// Invariant: a cluster runs at most what it holds, under every policy.
package simulate
