package rig

import (
	"flag"
	"testing"
)

var huntFlag = flag.Uint64("hunt", 0, "how many worlds of each kind TestHunt looks at")

// TestHunt looks for a world that breaks a promise, and prints the first. It is
// for builds in which a mistake is compiled in; TestMutantsAreCaught runs it.
func TestHunt(t *testing.T) {
	if *huntFlag == 0 {
		t.Skip("no number of worlds was named: -hunt N")
	}
	for seed := uint64(1); seed <= *huntFlag; seed++ {
		for _, kind := range Kinds() {
			if r := Run(seed, kind, nil); len(r.Violations) > 0 {
				t.Fatalf("caught: %s seed %d: %s", kind, seed, r.Violations[0])
			}
		}
	}
}
