package flow

import "time"

// Placed is a live placement as the scheduler sees it when it may have to leave
// its cluster. Pending.From is that cluster, Pending.Epoch the epoch held there.
type Placed struct {
	Pending
	Desired   Desired  // run or abort
	Revoking  MoveKind // a planned move is under way; empty: none
	RevokedAt time.Time
	PlacedAt  time.Time
	Started   bool // some event of this epoch was accepted
}

// Batch is what one scheduling transaction makes true.
type Batch struct {
	Placements []Placement
	Waits      []Wait
	// Takeovers guard the placements that take work from a cluster by force: one
	// for each Placement.From. Where a lease row is not as it was seen, nothing is
	// taken from that cluster, and the rest of the batch stands.
	Takeovers []Takeover
	Trails    []Trail // that placements and waits refer to and that are not stored yet
	Round     *Round  // nil: the round is stored already, or is not to be
	// RoundID is the round that placements and waits were decided in, stored by
	// this batch or by an earlier one; empty: none is recorded.
	RoundID string
	At      time.Time
}

// Revocation asks a cluster to give an execution up: a planned move.
type Revocation struct {
	Execution ExecutionID
	Epoch     Epoch // the epoch that was read; another one: nothing happens
	Kind      MoveKind
	Reason    string
}
