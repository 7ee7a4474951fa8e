// Package model checks the rules of ownership: who may work on an execution, when
// that ends, and how it passes on.
//
// It is a small world of two clusters and one execution, in which everything may
// go wrong at any moment, and a search that visits every state which that world
// can reach, breadth first, comparing states exactly. What breaks a promise is
// shown with a shortest trace. It runs nothing of the product: it checks the
// rules, as docs/invariants.md words them, and is their source. A rule is changed
// here first, or together with the code.
//
//	State ── stepper ──▶ every next State, with a Label ──▶ broken? seen before?
//	  ▲                                                          │ no
//	  └──────────────────────── the heap of states ◀─────────────┘
//
// Steps are as small as what can be torn apart: one transaction, one message sent
// or taken, one decision. Time is ticks; all timers are relative and saturate, so
// that time, sessions, elections, restarts and breaks are unbounded in number. A
// lease is counted in its longest true length: drift is folded into it. A paused
// process is one that takes no steps.
//
// What is checked, by the numbers of docs/invariants.md: I1 (from every state an
// end can be reached by steps that need no luck), I2, I3, I9, I29, I69 to I72.
//
// What is not: more than one execution, and more than three epochs; that an end
// is reached, not only reachable; nodes and attempts; children, catalog and
// signals; self-doubt and rate limits; the admission policy of the API server;
// leases of different lengths; two hubs that serve one session (the generation
// of the newest is a fact of the database). A hub's death is a step of its own:
// the stream stays half-open, and the session is known to nobody. The model's
// tombstones are collected once no message of their epoch is under way and no
// backup knows it: that is what retention.crTTL has to cover.
//
// The two instances of a cluster are not told apart: within a trace, A/1 and A/2
// may change places.
//
// Run a configuration or a mutant by name and see its trace:
//
//	go test ./chaos/model -v -run . -configuration replace-without-lease-row
package model
