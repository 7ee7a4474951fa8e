//go:build mutants

// Package mutant lets a test ask whether the tests would notice a certain
// mistake; in this build the mistakes are compiled in.
package mutant

import "os"

var chosen = os.Getenv("SKEIN_MUTANT")

// On reports whether the named mistake is to be made: if SKEIN_MUTANT names it.
func On(name string) bool { return chosen == name }
