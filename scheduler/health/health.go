// Package health judges a cluster's health from heartbeats and leases.
//
// It is pure: the clock is an argument. It holds no heartbeats itself (the
// leader's memory does), stores nothing, and decides nothing about ownership:
// a Lapsed cluster is one whose members can hold no lease any more, and what
// is done about that is decided elsewhere. Whether an outage is the clusters' or
// our own is judged by Window.
//
//	          beat + live recorded lease
//	Unknown ──────────────────────────────▶ Healthy ◀─────────────┐
//	                                           │ no beat for      │ beat + live
//	                                           ▼ the suspect time │ recorded lease
//	                                        Suspect ──────────────┤
//	                                           │ every lease and  │
//	                                           ▼ the margin ended │
//	                                        Lapsed ───────────────┘
//
// Lost, an operator's word, is above all: a cluster is Lost from when it is
// declared lost until it is declared found.
//
// Invariants: Healthy needs a heartbeat and a live recorded lease of the same
// member. Lapsed is never said while a member may still hold a lease, whatever
// the clocks of earlier leaders were.
package health

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Policy says how long silence is borne.
type Policy struct {
	Suspect time.Duration // without a heartbeat: gets nothing new
	Margin  time.Duration // after the end of a lease, until it counts as ended
}

// Problems lists what is wrong with the policy under leases of that duration,
// naming the inequality that fails.
func (p Policy) Problems(lease time.Duration) []string {
	var out []string
	if p.Suspect < 2*time.Second {
		out = append(out, fmt.Sprintf("suspect time %s must be at least 2s, two heartbeats", p.Suspect))
	}
	if p.Suspect >= lease {
		out = append(out, fmt.Sprintf("suspect time %s < lease %s does not hold", p.Suspect, lease))
	}
	if p.Margin < lease/100 {
		out = append(out, fmt.Sprintf("margin %s >= lease/100 = %s does not hold (clocks drift)", p.Margin, lease/100))
	}
	return out
}

// Liveness is what the leader remembers of one member in this term.
type Liveness struct {
	Generation uint64 // of the session whose heartbeats are heard
	Hub        string
	SeenAt     time.Time // the newest heartbeat, on the leader's clock
	LeaseEnds  time.Time // of the newest lease granted in this term; zero if none
	// Asked is the end of a lease that is being recorded; zero: none is.
	Asked time.Time
}

// Member is what the judge looks at of one member.
type Member struct {
	SeenAt     time.Time // newest heartbeat of its newest session in this term; zero if none
	LeaseUntil time.Time // end of the lease recorded for its newest session; zero if none
	HoldsUntil time.Time // the latest at which any lease given to it ends; zero if it never had one
}

// Recall joins a member's row with what the leader heard of it since it took
// over. The row's times come from another leader's clock, so a lease of an
// earlier term is taken to last its whole duration from the start of this one,
// on this leader's clock; and as long as the longest that was ever granted,
// since the row tells of the newest alone: a member that has not had that one
// goes by an earlier one.
func Recall(row flow.MemberState, live Liveness, since time.Time, longest time.Duration) Member {
	var m Member
	if live.Generation >= row.Generation {
		m.SeenAt = live.SeenAt
	}
	if row.LeaseExpiresAt.IsZero() && live.LeaseEnds.IsZero() {
		m.HoldsUntil = live.Asked
		return m
	}
	if row.LeaseGeneration == row.Generation {
		m.LeaseUntil = row.LeaseExpiresAt
	}
	m.HoldsUntil = since.Add(max(row.LeaseDuration, longest))
	for _, ends := range []time.Time{live.LeaseEnds, live.Asked} {
		if ends.After(m.HoldsUntil) {
			m.HoldsUntil = ends
		}
	}
	return m
}

// Heard reports whether the member's heartbeat is at most the suspect time old.
func (m Member) Heard(now time.Time, p Policy) bool {
	return !m.SeenAt.IsZero() && now.Sub(m.SeenAt) <= p.Suspect
}

// Leased reports whether a lease is recorded for its newest session, and live.
func (m Member) Leased(now time.Time) bool { return m.LeaseUntil.After(now) }

// Holds reports whether it may hold a lease, in any session. Its clock may be
// slower than ours by the margin.
func (m Member) Holds(now time.Time, p Policy) bool {
	return !m.HoldsUntil.IsZero() && !now.After(m.HoldsUntil.Add(p.Margin))
}

// History is all that a judgement rests on.
type History struct {
	Recorded flow.Health // what the database says now
	Since    time.Time   // when this leader took over
	Members  []Member
	Lost     bool // declared lost
}

// Judge gives the cluster's health. For the suspect time after a leader took
// over, silence says nothing: the recorded health stays.
func Judge(h History, now time.Time, p Policy) flow.Health {
	if h.Lost {
		return flow.HealthLost
	}
	if h.Recorded == flow.HealthLost { // found: it owns nothing until it renews
		h.Recorded = flow.HealthLapsed
	}
	leased, held := false, false
	for _, m := range h.Members {
		if m.Heard(now, p) && m.Leased(now) {
			return flow.HealthHealthy
		}
		leased = leased || !m.HoldsUntil.IsZero()
		held = held || m.Holds(now, p)
	}
	switch {
	case now.Sub(h.Since) <= p.Suspect:
		return h.Recorded
	case !leased:
		return flow.HealthUnknown
	case !held:
		return flow.HealthLapsed
	case h.Recorded == flow.HealthLapsed:
		// Only a heartbeat under a live lease ends a lapse: a new leader that
		// cannot know how long old leases last must not unsay one.
		return flow.HealthLapsed
	}
	return flow.HealthSuspect
}
