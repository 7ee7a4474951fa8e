package hub

import (
	"context"
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

const (
	restoredEvery   = time.Second
	restoredTimeout = 3 * time.Second
	shoutEvery      = 10 * time.Second
)

// Rebuilder is where a restored backup is noticed and rebuilt.
type Rebuilder interface {
	// ReadFence gives the fence that the database holds now.
	ReadFence(ctx context.Context) (flow.Fence, error)
	// EnterRebuild ends all sessions, and lets no normal one begin before REBUILD
	// has ended. known is above the database's fence, or zero if the sign is
	// another one. It may be repeated. Forbidden if known cannot be.
	EnterRebuild(ctx context.Context, known flow.Fence, why string) (flow.Rebuild, error)
	// Rebuild says how far it has come; Since is zero if there is none.
	Rebuild(ctx context.Context) (flow.Rebuild, error)
	// TakeInventory takes an inventory as a report, and gives back what the
	// database has no row for. Stale if the session is not the member's newest.
	TakeInventory(ctx context.Context, who flow.Sender, held []flow.Held) (unknown []flow.Held, err error)
	// TakeHoldings makes rows again; with last, the member has reported.
	TakeHoldings(ctx context.Context, who flow.Sender, list []flow.Holding, last bool) error
}

// sign is what has given a restored backup away: a fence above the database's,
// or, if that is zero, what a member has seen in a session of an era.
type sign struct {
	known flow.Fence
	era   uint64
	why   string
}

// holds reports whether a sign still says something of a database at that fence.
// A REBUILD that has ended since, entered by whomever, has begun another era.
func (s sign) holds(found flow.Fence) bool {
	if s.known == (flow.Fence{}) {
		return found.Epoch.Era <= s.era
	}
	return s.known.Compare(found) > 0
}

// backups is what a hub knows of restored backups.
type backups struct {
	signs chan sign // that streams found

	mu     sync.Mutex
	halted *sign // for which nobody is served until REBUILD was entered; nil: all are
	shout  time.Duration
}

// halt ends all sessions, and lets nobody in until REBUILD was entered. The sign
// is kept until then: nobody may give it again.
func (h *Hub) halt(s sign) {
	h.backup.mu.Lock()
	h.backup.halted = &s
	h.backup.mu.Unlock()
	h.EndSessions("the control plane's database was restored from a backup")
}

// resume lets members in again.
func (h *Hub) resume() {
	h.backup.mu.Lock()
	defer h.backup.mu.Unlock()
	h.backup.halted = nil
}

// halting is the sign for which nobody is served; nil if there is none.
func (h *Hub) halting() *sign {
	h.backup.mu.Lock()
	defer h.backup.mu.Unlock()
	return h.backup.halted
}

// served refuses members with Unavailable while a restored backup was noticed,
// and REBUILD was not entered.
func (h *Hub) served() error {
	s := h.halting()
	if s == nil {
		return nil
	}
	return fault.E(fault.Unavailable, "the control plane's database was restored from a backup, and REBUILD has not begun yet: %s", s.why)
}

// notice is told by a stream whose member has seen more than the database. It
// never blocks: one sign is enough.
func (h *Hub) notice(o session.Restored) {
	select {
	case h.backup.signs <- sign{known: o.Known, era: o.Era, why: o.Why}:
	default:
	}
}

// watchRestored compares each second what this replica knows with what the
// database holds, and ends the sessions that are not of the database's era, or
// began before a REBUILD, or in one that has ended.
func (h *Hub) watchRestored(ctx context.Context) {
	if h.o.Rebuilder == nil {
		return
	}
	tick := time.NewTicker(restoredEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case s := <-h.backup.signs:
			err = h.restored(ctx, s)
		case <-tick.C:
			err = h.lookForRestored(ctx)
		}
		if err != nil && ctx.Err() == nil {
			h.log.Warn("whether a backup was restored is not known", "error", err)
		}
	}
}

func (h *Hub) lookForRestored(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restoredTimeout)
	defer cancel()
	known := h.o.Known() // before the database's: they rise together
	found, err := h.o.Rebuilder.ReadFence(ctx)
	if err != nil {
		return err
	}
	if known.Compare(found) > 0 {
		return h.restored(ctx, sign{known: known, why: "replica " + h.o.Name + " knows the fence " + known.String() + ", and the database is at " + found.String()})
	}
	if s := h.halting(); s != nil && s.holds(found) { // REBUILD could not be entered for it yet
		return h.restored(ctx, *s)
	}
	now, err := h.o.Rebuilder.Rebuild(ctx)
	if err != nil {
		return err
	}
	h.resume()
	h.settle(found.Epoch.Era, now)
	return nil
}

// restored stops serving, and enters REBUILD. If that fails, it is tried again at
// the next look, unless the store says that the sign cannot be.
func (h *Hub) restored(ctx context.Context, s sign) error {
	h.log.Error("a backup of the control plane's database was restored: entering REBUILD", "why", s.why)
	h.halt(s)
	ctx, cancel := context.WithTimeout(ctx, restoredTimeout)
	defer cancel()
	now, err := h.o.Rebuilder.EnterRebuild(ctx, s.known, s.why)
	if fault.Is(err, fault.Forbidden) {
		h.resume()
	}
	if err != nil {
		return err
	}
	h.log.Error("the control plane is in REBUILD", "since", now.Since, "why", now.Why)
	h.resume()
	return nil
}

// settle tells all sessions what the control plane is in.
func (h *Hub) settle(era uint64, now flow.Rebuild) {
	rebuilding := !now.Since.IsZero()
	h.metrics.rebuilding(rebuilding)
	for _, s := range h.all() {
		s.step(session.Looked{Era: era, Rebuild: now})
	}
	if rebuilding && h.shouts() {
		h.log.Warn("the control plane is in REBUILD: members are asked what they hold, and nothing is served",
			"since", now.Since, "why", now.Why, "waitingFor", now.Waiting, "forced", now.Forced)
	}
}

func (h *Hub) shouts() bool {
	h.backup.mu.Lock()
	defer h.backup.mu.Unlock()
	if now := h.now(); h.backup.shout == 0 || now-h.backup.shout >= shoutEvery {
		h.backup.shout = now
		return true
	}
	return false
}

// reports takes what a member says it holds, one part after the other.
func (s *stream) reports(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case held := <-s.inventory:
			unknown, err := bounded(ctx, judgeWait(len(held)), func(ctx context.Context) ([]flow.Held, error) {
				return s.hub.o.Rebuilder.TakeInventory(ctx, s.sender, held)
			})
			if err != nil {
				s.fail(err)
				return nil
			}
			s.log.Info("inventory taken for REBUILD", "held", len(held), "unknown", len(unknown))
			s.step(session.InventoryTaken{Unknown: unknown})
		case o := <-s.holdings:
			err := within(ctx, callWait, func(ctx context.Context) error {
				return s.hub.o.Rebuilder.TakeHoldings(ctx, s.sender, o.List, o.Last)
			})
			if err != nil {
				s.fail(err)
				return nil
			}
			if o.Last && !o.Again {
				s.log.Info("all that the member holds was taken for REBUILD")
			}
			s.step(session.HoldingsTaken{})
		}
	}
}
