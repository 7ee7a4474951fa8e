package memstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// What a member's newest session is to a REBUILD.
const (
	sessionNormal = iota
	sessionOpened
	sessionListed
	sessionReported
)

// forgottenSessions is by how much generations rise when REBUILD is entered.
const forgottenSessions = 1 << 32

// firstGeneration is above every generation from before the last REBUILD.
func (t *tables) firstGeneration() uint64 {
	era := t.fence.Epoch.Era
	if t.rebuild.Since.IsZero() {
		era--
	}
	return forgottenSessions*era + 1
}

// EnterRebuild is as admin/store's.
func (s *Store) EnterRebuild(ctx context.Context, known flow.Fence, why string) (out flow.Rebuild, err error) {
	err = s.write(ctx, "EnterRebuild", func(t *tables) error {
		lasting, behind := !t.rebuild.Since.IsZero(), known.Compare(t.fence) > 0
		switch {
		case known.Epoch.Era > max(t.fence.Epoch.Era, lastEra):
			return fault.E(fault.Forbidden, "era %d cannot be: %s", known.Epoch.Era, why)
		case lasting && behind:
			t.raiseAbove(known)
		case !lasting && (behind || known == flow.Fence{}):
			t.beginRebuild(known, why, s.o.Now())
		}
		out = t.progress()
		return nil
	})
	return out, err
}

func (t *tables) raiseAbove(known flow.Fence) {
	e := t.fence.Epoch
	t.fence = flow.Fence{Epoch: flow.Epoch{Era: max(e.Era, known.Epoch.Era), N: max(e.N, known.Epoch.N) + 1}}
}

func (t *tables) beginRebuild(known flow.Fence, why string, now time.Time) {
	t.raiseAbove(known)
	t.rebuild = flow.Rebuild{Since: stamp(now), Why: why}
	t.stages, t.held = map[flow.Member]int{}, map[flow.ExecutionID]heldBy{}
	for _, m := range t.members {
		if m.Generation > 0 && !mutant.On("rebuild-counts-old-inventory") {
			m.Generation = max(m.Generation, forgottenSessions*(t.fence.Epoch.Era-1)) + forgottenSessions
		}
		m.Hub = ""
		m.LeaseGeneration, m.LeaseDuration, m.LeaseExpiresAt, m.LeaseRecordedAt = 0, 0, time.Time{}, time.Time{}
	}
	t.log(flow.Audit{Actor: "skein", Action: "rebuild.begin", Detail: why}, "control-plane", now)
}

// progress says how far the REBUILD that lasts has come.
func (t *tables) progress() flow.Rebuild {
	r := t.rebuild
	r.Longest = t.longest
	if r.Since.IsZero() {
		return r
	}
	for _, name := range t.clusterNames() {
		waiting := false
		for _, m := range t.membersOf(name) {
			waiting = waiting || m.Generation > 0 && !m.Revoked && t.stages[m.Member] < sessionReported
		}
		if waiting && !t.clusters[name].Lost {
			r.Waiting = append(r.Waiting, name)
		} else {
			r.Reported = append(r.Reported, name)
		}
	}
	return r
}

// Rebuild is as admin/store's.
func (s *Store) Rebuild(ctx context.Context) (out flow.Rebuild, err error) {
	err = s.read(ctx, "Rebuild", func(t *tables) error { out = t.progress(); return nil })
	return out, err
}

// LastRebuilt is as admin/store's.
func (s *Store) LastRebuilt(ctx context.Context) (out flow.Rebuilt, err error) {
	err = s.read(ctx, "LastRebuilt", func(t *tables) error {
		if t.rebuilt == nil {
			return fault.E(fault.NotFound, "the control plane was never rebuilt")
		}
		out = *t.rebuilt
		return nil
	})
	return out, err
}

// ForceRebuild is as admin/store's.
func (s *Store) ForceRebuild(ctx context.Context, a flow.Audit) error {
	return s.write(ctx, "ForceRebuild", func(t *tables) error {
		if t.rebuild.Since.IsZero() {
			return fault.E(fault.Precondition, "there is no REBUILD")
		}
		t.rebuild.Forced = true
		t.log(a, "control-plane", s.o.Now())
		return nil
	})
}

// EndRebuild is as admin/store's.
func (s *Store) EndRebuild(ctx context.Context, f flow.Fence, at time.Time) (flow.Fence, flow.Rebuilt, error) {
	var out flow.Rebuilt
	next := flow.Fence{Epoch: flow.Epoch{Era: f.Epoch.Era + 1, N: f.Epoch.N}, Beat: f.Beat + 1}
	err := s.write(ctx, "EndRebuild", func(t *tables) error {
		r := t.progress()
		switch {
		case t.fence != f:
			return fault.E(fault.Stale, "fence %s is over", f)
		case r.Since.IsZero():
			return fault.E(fault.Precondition, "there is no REBUILD")
		case len(r.Waiting) > 0 && !r.Forced:
			return fault.E(fault.Precondition, "not all members of %v have reported what they hold", r.Waiting)
		}
		done := t.countRebuilt()
		done.Era, done.EndedAt = next.Epoch.Era, stamp(at)
		t.fence, t.rebuilt, t.rebuild = next, &done, flow.Rebuild{}
		t.stages, t.held = map[flow.Member]int{}, map[flow.ExecutionID]heldBy{}
		for _, m := range t.members {
			m.Generation++
			m.OwnershipRevision++
			m.Hub = ""
		}
		t.log(flow.Audit{At: at, Actor: "skein", Action: "rebuild.end", Detail: fmt.Sprintf("era %d begins", done.Era)}, "control-plane", at)
		out = done
		return nil
	})
	if err != nil {
		return f, flow.Rebuilt{}, err
	}
	return next, out, nil
}

// countRebuilt counts what members have reported, and what nobody has.
func (t *tables) countRebuilt() flow.Rebuilt {
	var r flow.Rebuilt
	for _, h := range t.held {
		switch h.outcome {
		case outcomeKept:
			r.Kept++
		case outcomeMoved:
			r.Moved++
		case outcomeCreated:
			r.Created++
		}
	}
	for _, id := range t.order {
		e, h := &t.runs[id].e, t.held[id]
		if e.Cluster != "" && !e.Phase.Terminal() && (h.cluster != e.Cluster || h.epoch != e.Epoch) {
			r.Released++
		}
	}
	return r
}

// reporting checks that a session may report, that it is as far as it has to be,
// and notes how far it is now.
func (t *tables) reporting(sender flow.Sender, from, to int) error {
	if _, err := t.newest(sender); err != nil {
		return err
	}
	stage := t.stages[sender.Member]
	switch {
	case mutant.On("rebuild-counts-old-inventory"):
	case stage == sessionNormal:
		return fault.E(fault.Stale, "session %d of member %s was not opened in a REBUILD that lasts", sender.Generation, sender.Member)
	case stage < from:
		return fault.E(fault.Precondition, "session %d of member %s has given no inventory yet", sender.Generation, sender.Member)
	}
	t.stages[sender.Member] = max(stage, to)
	return nil
}

// TakeInventory is as admin/store's.
func (s *Store) TakeInventory(ctx context.Context, sender flow.Sender, inventory []flow.Held) (out []flow.Held, err error) {
	err = s.served(ctx, "TakeInventory", func(t *tables) error {
		if err := t.reporting(sender, sessionOpened, sessionListed); err != nil {
			return err
		}
		var unknown []flow.Held
		for _, h := range slices.SortedStableFunc(slices.Values(inventory), func(a, b flow.Held) int { return a.Epoch.Compare(b.Epoch) }) {
			r := t.runs[h.Execution]
			switch {
			case r == nil && !h.Epoch.Zero():
				unknown = append(unknown, h)
			case r != nil:
				t.take(r, sender.Member, h, s.o.Now())
			}
		}
		out = unknown
		return nil
	})
	return out, err
}

// TakeHoldings is as admin/store's.
func (s *Store) TakeHoldings(ctx context.Context, sender flow.Sender, list []flow.Holding, last bool) error {
	return s.served(ctx, "TakeHoldings", func(t *tables) error {
		to := sessionListed
		if last {
			to = sessionReported
		}
		if err := t.reporting(sender, sessionListed, to); err != nil {
			return err
		}
		for _, h := range slices.SortedStableFunc(slices.Values(list), func(a, b flow.Holding) int { return a.Held.Epoch.Compare(b.Held.Epoch) }) {
			r := t.runs[h.Held.Execution]
			if r == nil && h.Assignment.Run == nil {
				continue // a tombstone of what never was here
			}
			if r == nil {
				r = t.makeAgain(h, s.o.Now())
			}
			t.take(r, sender.Member, h.Held, s.o.Now())
		}
		return nil
	})
}
