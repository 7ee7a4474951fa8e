// Package archtest proves the layering that docs/architecture.md draws: which
// folders may import which, and which packages stay pure.
//
// It holds tests only. It parses import clauses in this process rather than
// asking the go command, so that a cached pass never hides a new violation.
package archtest
