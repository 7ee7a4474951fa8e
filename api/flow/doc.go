// Package flow holds the nouns of one execution's life: identities, epochs,
// phases, clusters, placements, assignments, leases and events.
//
// It is the vocabulary in which the planes (admin, scheduler, federation,
// propeller) speak to each other through ports; it holds no behaviour beyond
// comparing and printing its own values, does no I/O, keeps no time and
// imports only the standard library.
//
// Invariant: every value that can own or move an execution carries an Epoch,
// and epochs are compared only with Epoch.Compare (see docs/invariants.md).
package flow
