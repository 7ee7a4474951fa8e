// Package election says which replica may schedule, and until when.
//
// Replicas elect a leader among themselves with raft. The winner begins a term:
// a context that dies with leadership, and a fence that the database gave it.
// Raft holds no placements and is no second store: it replicates one value, the
// highest fence that any leader saw, so that a restored database is noticed
// before a term's first transaction. Losing all raft data loses nothing but
// that. The caller is the scheduler; it does its work inside the function that
// it gives to Run.
//
//	           LeaderCh true             barrier, fences agree (or REBUILD),
//	follower ────────────────▶ elected ──── BeginTerm ────────────▶ leading
//	   ▲                        │   ▲                                 │
//	   │      database is older │   │ after a pause                   │
//	   │ and REBUILD fails      ▼   │                                 │
//	   │                       refusing (restored backup: loud,       │
//	   │                        keeps raft leadership, leads nothing) │
//	   │                                                              │
//	   ├────── LeaderCh false, or true again (lost and regained) ─────┤
//	   └────── the work failed: transfer leadership, pause ───────────┘
//
// A replica whose log cannot be written, mostly over a full disk, leaves the
// election whole and joins it again when the log can be: Check says so. What it
// had begun to write, only the disk knows, so a new raft reads that, as after a
// crash.
//
// LeaderCh is lossy: a loss and a win in quick succession arrive as one "true".
// It is taken for what it is: the old term ends, and a new one begins.
//
// Invariants: two terms never have the same fence epoch (the database raises
// it, in one UPDATE). A term's context is cancelled, and its work has returned,
// before the next term of the same replica begins. No term begins on a database
// whose fence is lower than the replicated one, before REBUILD was entered in it;
// then the fence is above the replicated one.
//
// Duties of the caller: every transaction of a term is fenced with the term's
// fence, since a paused leader cannot know that it was replaced; the tls.Config
// admits replicas only, as whoever is let in can write raft messages.
package election
