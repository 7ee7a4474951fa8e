package flow

import (
	"cmp"
	"fmt"
)

// Epoch orders ownership. Era belongs to the control plane and rises when a
// restored database is rebuilt; N rises at each (re)placement of an execution,
// or at each change of scheduler. Epochs of different things are not
// comparable.
type Epoch struct {
	Era uint64
	N   uint64
}

// Compare orders epochs by era, then by number: -1, 0 or +1.
func (e Epoch) Compare(o Epoch) int {
	if c := cmp.Compare(e.Era, o.Era); c != 0 {
		return c
	}
	return cmp.Compare(e.N, o.N)
}

// Less reports whether e is older than o.
func (e Epoch) Less(o Epoch) bool { return e.Compare(o) < 0 }

// Zero reports whether nothing was placed yet.
func (e Epoch) Zero() bool { return e == Epoch{} }

// Next is the epoch of the next placement in the same era.
func (e Epoch) Next() Epoch { return Epoch{Era: e.Era, N: e.N + 1} }

// String prints "era.n".
func (e Epoch) String() string { return fmt.Sprintf("%d.%d", e.Era, e.N) }

// Fence is what a scheduler holds while it leads: its epoch and the beat that
// it expects to find in the database. Every fenced transaction raises the beat.
type Fence struct {
	Epoch Epoch
	Beat  uint64
}

// Compare orders fences by epoch, then by beat. A replica that remembers a
// higher fence than the database's has met a restored backup.
func (f Fence) Compare(o Fence) int {
	if c := f.Epoch.Compare(o.Epoch); c != 0 {
		return c
	}
	return cmp.Compare(f.Beat, o.Beat)
}

// String prints "era.n/beat".
func (f Fence) String() string { return fmt.Sprintf("%s/%d", f.Epoch, f.Beat) }
