// Package tools pins the code generators of this repository. They are built by the script generate, which `make
// generate` runs.
//
// It is a Go module of its own, so that what the generators need does not raise the versions that the product is built
// with. It holds no Go code.
//
// Invariant: a generator is named in go.mod with a version, and what it writes depends on nothing else.
package tools
