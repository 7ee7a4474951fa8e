// Package member is the cluster's end of the road: it dials a hub, says what
// the cluster holds, writes assignments as FlyteWorkflows, reports what their
// status says, and tells the propeller what it may start.
//
// It runs nothing itself, and decides nothing about a session: that is
// federation/session's. It is called by the room that wires the propeller's
// process. Invariants: an ack is sent after the object was written; an event is
// sent again until a hub has said that it was committed; the gate opens only
// for what session.Member.MayStart allows.
//
//	            ┌────────┐ welcome  inventory  verdicts  ┌──────┐
//	join ──▶ dial ──────▶ greeting ──▶ listing ──▶ waiting ──▶ live ──▶ goodbye, silence, lapse
//	  ▲        ▲                                          │  ├ assignment ─▶ apply ─▶ ack
//	  │        └──────────── next hub ◀───────────────────┘  ├ status ─▶ events ─▶ ack
//	 renew at two thirds of the certificate                  └ lease ─▶ gate
//
// In REBUILD the session stays waiting: what the hub asks for is told whole, out
// of the FlyteWorkflows, and nothing is written.
//
// Duties of callers:
//
//  1. Run runs as long as the process; MayStart answers no without it.
//  2. Ask MayStart before each act that starts work, and give API writes the
//     returned time as their deadline.
//  3. Reader must not be a cache.
package member
