package hub

import (
	"context"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// backup is a restored database.
type backup struct {
	Rebuilder
	fence flow.Fence
	err   error // of EnterRebuild
	since time.Time
	tries int
}

func (b *backup) ReadFence(context.Context) (flow.Fence, error) { return b.fence, nil }

func (b *backup) Rebuild(context.Context) (flow.Rebuild, error) {
	return flow.Rebuild{Since: b.since}, nil
}

func (b *backup) EnterRebuild(context.Context, flow.Fence, string) (flow.Rebuild, error) {
	b.tries++
	if b.err == nil {
		b.since = time.Now()
	}
	return flow.Rebuild{Since: b.since}, b.err
}

// What becomes of a sign for which REBUILD could not be entered at once. (I76.)
func TestWhatBecomesOfASign(t *testing.T) {
	away, never := fault.E(fault.Unavailable, "away"), fault.E(fault.Forbidden, "that cannot be")
	seen := sign{era: 3, why: "a member has seen a higher incarnation"}
	higher := sign{known: flow.Fence{Epoch: flow.Epoch{Era: 5}}, era: 3, why: "a member has seen a higher era"}
	for _, c := range []struct {
		name  string
		sign  sign
		err   error
		later func(*backup)
		tries int // after the next look
		serve bool
		began bool
	}{
		{"it is tried again, and nobody is served", seen, away, func(*backup) {}, 2, false, false},
		{"one with a fence is tried again", higher, away, func(*backup) {}, 2, false, false},
		{"it is entered when that is possible", seen, away, func(b *backup) { b.err = nil }, 2, true, true},
		{"one that the store does not believe is forgotten", higher, never, func(*backup) {}, 1, true, false},
		{"it has been rebuilt since", seen, away, func(b *backup) { b.fence.Epoch.Era = 4 }, 1, true, false},
		{"it has been rebuilt above the sign since", higher, away, func(b *backup) { b.fence.Epoch.Era = 6 }, 1, true, false},
		{"it was rebuilt, and not above the sign", higher, away, func(b *backup) { b.fence.Epoch.Era = 4 }, 2, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &backup{fence: flow.Fence{Epoch: flow.Epoch{Era: 3, N: 1}}, err: c.err}
			h := New(Options{Rebuilder: b})
			if err := h.restored(t.Context(), c.sign); err == nil {
				t.Fatal("it was entered at once")
			}
			c.later(b)
			_ = h.lookForRestored(t.Context())
			if err := h.served(); b.tries != c.tries || (err == nil) != c.serve || !b.since.IsZero() != c.began {
				t.Errorf("it was tried %d times, and began: %t; members are told %v", b.tries, !b.since.IsZero(), err)
			}
		})
	}
}
