package flow

import "time"

// Sender is who speaks on the road: a member, in one session of it. Every
// event and ack is checked against it before anything else is looked at.
type Sender struct {
	Member
	Generation  uint64 // the session's generation; members obey the newest only
	Incarnation uint64 // the cluster's, as of the session's opening
}

// Session is what the control plane fixes when a member's session opens.
type Session struct {
	Sender
	Era               uint64
	OwnershipRevision uint64
	Rebuild           bool // the control plane is in REBUILD: the inventory is a report, no lease follows
}

// Held is one execution in a member's inventory: a FlyteWorkflow that exists in
// its cluster, tombstones included.
type Held struct {
	Execution ExecutionID
	Epoch     Epoch
	Revision  uint64 // the applied revision
	Sequence  uint64 // highest status sequence so far
	Terminal  bool
	// Desired is abort where a user asked for its abort, and gone where it was
	// stopped for another reason: it is not placed there, or has moved away.
	Desired Desired
	// Leaving says of one that is gone that it was stopped for a planned move: whether
	// the control plane has had the ack of that, and placed it elsewhere since, the
	// member does not know. It is not sent.
	Leaving bool
}

// Order is the hub's word on one (execution, epoch) after an inventory.
type Order string

// What a verdict can order.
const (
	OrderKeep   Order = "keep"   // it is yours: go on
	OrderStop   Order = "stop"   // it is not: stop it, and start nothing for it
	OrderReport Order = "report" // it is yours and has ended: send again what was not acked
)

// Verdict is one order about one (execution, epoch).
type Verdict struct {
	Execution ExecutionID
	Epoch     Epoch
	Order     Order
	Acked     uint64 // highest status sequence that the database has; later ones are to be sent
}

// Verdicts answer an inventory. What no verdict lists is to be stopped.
type Verdicts struct {
	OwnershipRevision uint64
	List              []Verdict
}

// LeaseRequest asks for the right to start work until the lease ends.
type LeaseRequest struct {
	Sender
	Nonce             uint64 // of the request; echoed by the grant
	OwnershipRevision uint64 // of the member's last verdicts
}

// Lease is a granted lease. It counts for the member from when it sent the
// request with that nonce, on its own boot-time clock.
type Lease struct {
	Sender
	Nonce             uint64
	Duration          time.Duration
	OwnershipRevision uint64 // the database's value, which the member must match
}

// Beat is what one hub tells the leader of one member, once a second.
type Beat struct {
	Sender
	Age   time.Duration // since the member's last heartbeat reached the hub
	Lease *LeaseRequest // the newest request that has not been answered
}
