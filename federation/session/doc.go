// Package session decides what each end of a session on the road may do next,
// given what has happened: it holds the order of messages, generations, the
// highest revision of each row, and what a lease covers. It is pure: time comes
// in as data, and what is to be done goes out as data.
//
// It is not the transport and writes nothing; federation/member and
// federation/hub feed it and carry its outputs out. Invariant: MayStart is true
// only while a lease lives that was granted in a session which, by a verdict or
// by an assignment after its verdicts, confirmed that (execution, epoch).
//
//	         member                                     hub
//	           │                                         │
//	Idle       │──────────────── Hello ─────────────────▶│  (OpenSession: generation + 1)
//	Greeting   │◀─────────────── Welcome ────────────────│  Opened
//	Listing    │   list every FlyteWorkflow              │
//	           │──────────────── Inventory… ────────────▶│  (Verdicts: one transaction)
//	Waiting    │                                         │  Judging
//	           │◀─────────────── Verdicts… ──────────────│
//	Live       │   keep, report, stop the rest           │  Live
//	           │──────────────── LeaseRequest ──────────▶│  (recorded before it is granted)
//	           │◀─────────────── Lease ──────────────────│
//	           │◀─────────────── Assignment ─────────────│  read when it is sent
//	           │──────────────── Ack ───────────────────▶│  after the object was written
//	           │──────────────── EventBatch ────────────▶│  (one transaction)
//	           │◀─────────────── EventAck ───────────────│  after its commit
//	           │◀──────────────▶ Heartbeat ◀────────────▶│  each second, answered
//	           │◀─────────────── Goodbye ────────────────│
//
// A lapse, another ownership revision, a wall-clock step, silence, a message of
// another generation: each ends the session. What the lease of the old session
// still covers may go on until that lease ends; a new session owns nothing
// until its verdicts, and covers nothing new until its first grant.
//
// Duties of callers:
//
//  1. A State is used once: Step hands its contents on to the State it returns.
//     Callers hold a lock around Step, and carry outputs out in order.
//  2. The inventory is read from the API server, not from a cache, and after
//     every write of the old session has ended.
//  3. Clock.Boot is CLOCK_BOOTTIME, which goes on while a machine sleeps.
//  4. A lease request is stamped before it is handed to the transport.
//  5. The hub commits before it tells: leases, event acks and verdicts.
package session
