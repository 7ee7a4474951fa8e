// Package lint pins the linter of this repository; the script lint beside it
// builds it once and runs it over the tree.
//
// It is a Go module of its own: the linter's graph is large and must raise
// neither the product's versions nor the generators'. It holds no Go code.
package lint
