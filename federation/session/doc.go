// Package session decides what each end of a session on the road may do next,
// given what has happened: it holds the order of messages, generations, the
// highest revision of each row, and what a lease covers. It is pure: time comes
// in as data, and what is to be done goes out as data.
//
// It is not the transport and writes nothing; federation/member and
// federation/hub feed it and carry its outputs out. Invariant: MayStart is true
// only while a lease lives that was granted in a session which, by a verdict or
// by an assignment after its verdicts, confirmed that (execution, epoch); or if
// that execution is pinned and was covered so once.
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
// In REBUILD, after a restored backup, the inventory is a report:
//
//	Waiting    │──────────────── Inventory… ────────────▶│  (TakeInventory)
//	           │◀─────────────── Recall ─────────────────│  Recalling: what the database has no row for
//	           │──────────────── Holdings… ─────────────▶│  (TakeHoldings), part by part
//	           │◀──────────────▶ Heartbeat ◀────────────▶│  Reported: until REBUILD ends
//	           │◀─────────────── Goodbye ────────────────│
//
// A lapse, another ownership revision, a wall-clock step, silence, a message of
// another generation: each ends the session. What the lease of the old session
// still covers may go on until that lease ends; a new session owns nothing
// until its verdicts, and covers nothing new until its first grant.
//
// What a lapse means depends on the execution (its failover policy):
//
//   - Movable work starts nothing more. What runs may finish.
//   - Strict work that runs must have ended when the lease ends: MustStop tells
//     when that is. A process that was just started goes by the end of its
//     predecessor's lease, until a session says something newer.
//   - Pinned work goes on. It is pinned from the first grant that covered it, and
//     stays so over lapses, new sessions, wall-clock steps and raised ownership
//     revisions, until verdicts that do not keep it, an abort, a release, another
//     epoch, or its end. After a restart, and before the first stream is dialled,
//     what is found to be pinned, begun, and wanted by its object is pinned too:
//     nobody places it elsewhere while this cluster stands, and if it does not
//     stand any more, the first Welcome raises the Fence and its verdicts stop it.
//
// What is to leave by a planned move is still this cluster's until its release
// was acked: it starts nothing, and what it came to is reported (Reports).
//
// Duties of callers:
//
//  1. A State is used once: Step hands its contents on to the State it returns.
//     Callers hold a lock around Step, and carry outputs out in order.
//  2. The inventory is read from the API server, not from a cache, and after
//     every write of the old session has ended.
//  3. Clock.Boot is CLOCK_BOOTTIME, which goes on while a machine sleeps.
//  4. A lease request is stamped before it is handed to the transport.
//  5. Recalled is told before the first stream is dialled, and never later.
//  6. The Fence is raised after Welcomed and before anything else is written.
//  7. The hub commits before it tells: leases, event acks and verdicts.
package session
