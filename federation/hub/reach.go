package hub

import (
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// A hub that has lost its own way to the database keeps its members, whose
// leases come from the leader, and delivers nothing to them. So it ends their
// sessions, and they dial another hub; but only while that is better there:
// where the database is away from all, no session is ended for it, for none
// could be opened, and what a lease covers goes on longer in the old one.
//
// What tells the two apart is that a lease is granted only when the leader has
// recorded it. So the way is lost when leases have kept coming, without a pause
// in which the database may have been away from the leader too, for longer than
// such a pause and a look at the outbox last together, and no look has succeeded
// since before the first of them.
const (
	// grantSlack is what a beat may take besides the time between two renewals.
	grantSlack = 3 * time.Second
	// lostSlack is what is waited for beyond a pause of grants: a look that began
	// before the database came back may fail after its first grant.
	lostSlack = beatTimeout + time.Second
)

// reach is what a hub knows of its way to the database. Times are the hub's own
// clock.
type reach struct {
	mu    sync.Mutex
	first time.Duration // lease that the leader has recorded, since the last good look, without a pause
	last  time.Duration // such lease
	lost  bool          // whoever dials in is sent elsewhere
}

// grantPause is the longest time without a grant that a leader with a database
// leaves: members renew six times in a lease.
func (h *Hub) grantPause() time.Duration { return h.o.Lease/6 + grantSlack }

// granted notes that leases came from the leader.
func (r *reach) granted(now, pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == 0 || now-r.last > pause {
		r.first = now
	}
	r.last = now
}

// looked notes how a look at the outbox went, and reports whether by that the
// way to the database is lost.
func (r *reach) looked(now, pause time.Duration, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.first, r.last, r.lost = 0, 0, false
		return false
	}
	if r.last == 0 || now-r.last > pause || now-r.first < pause+lostSlack {
		return false
	}
	r.first, r.last, r.lost = 0, 0, true
	return true
}

// answered notes that the database has answered something. A hub without
// sessions has no outbox to look at.
func (r *reach) answered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = false
}

// reaches refuses members with Unavailable while other hubs can serve them and
// this one cannot.
func (h *Hub) reaches() error {
	h.reach.mu.Lock()
	defer h.reach.mu.Unlock()
	if !h.reach.lost || h.o.Revocations == nil { // what is read each second says when it is found again
		return nil
	}
	return fault.E(fault.Unavailable, "this hub does not reach the database; others do")
}
