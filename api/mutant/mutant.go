//go:build !mutants

// Package mutant lets a test ask whether the tests would notice a certain
// mistake. A mutant is a known mistake with a name, written beside the right
// code; the build tag `mutants` compiles the mistakes in, and the environment
// variable SKEIN_MUTANT chooses one of them when the program runs.
//
// It is not a feature switch: nothing that is released is built with the tag.
// Invariant: without the tag, On is the constant false, and the compiler
// leaves every mutant out.
package mutant

// On reports whether the named mistake is to be made: never, in this build.
func On(string) bool { return false }
