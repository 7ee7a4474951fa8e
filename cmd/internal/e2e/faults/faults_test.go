package faults

import (
	"testing"

	"github.com/skein-project/skein/cmd/internal/local"
)

// TestFaults runs all that shares one federation, in turn: each leaves it
// whole for the next.
func TestFaults(t *testing.T) {
	r := newRig(t, local.Options{Lease: lease})
	for _, c := range []struct {
		name string
		run  func(*testing.T, *rig)
	}{
		{"aborts are obeyed while events stream", abortsMeetEvents},
		{"an upload outlives the replica that signed it", signerDies},
		{"a run outlives its propeller", propellerDies},
		{"a run outlives the database's restart", databaseRestarts},
		{"clients leave, and nothing stays", clientsLeave},
		{"everything outlives any one process", anyoneDies},
		{"the work of a cluster that falls silent goes on elsewhere", clusterLapses},
	} {
		if !t.Run(c.name, func(t *testing.T) { c.run(t, r) }) {
			t.Fatalf("the federation may not be whole after this")
		}
	}
}
