// Package memstore is the database of the simulated federation: the store's
// ports, in memory, without a clock or a goroutine of its own.
//
// It is for chaos/rig and nothing else; production has admin/store. It passes
// the store suite (admin/store/storetest) for every port that it has, so that
// what the rig finds holds for the real one too. Registry, lists and tokens are
// left out: the simulated federation does not use them.
//
// It can break as a database does, each call by the word of an oracle: refuse
// before anything happened, lose the answer to a COMMIT that landed, run a
// transaction again, or let it land long after its caller has given up. It can
// also be put back to what it was at some time: a restored backup.
//
// Invariant: the same calls with the same words of the oracle give the same
// answers, in the same order. Each call is one serialisable transaction, and
// one that fails leaves nothing behind.
package memstore
