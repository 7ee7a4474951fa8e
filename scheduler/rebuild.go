package scheduler

import (
	"context"
	"sync"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// Rebuilder tells of a REBUILD, and ends it.
type Rebuilder interface {
	// Rebuild says how far it has come; Since is zero if there is none.
	Rebuild(ctx context.Context) (flow.Rebuild, error)
	// EndRebuild begins the next era, in one fenced transaction. It fails if
	// clusters are waited for.
	EndRebuild(ctx context.Context, f flow.Fence, at time.Time) (flow.Fence, flow.Rebuilt, error)
}

// driftPercent is by how much a member's clock may be slower than this leader's.
// What a backup has forgotten is waited for by it and the margin, since nobody
// knows who granted it.
const driftPercent = 2

// shoutRebuild is how often it is said who is waited for.
const shoutRebuild = 10 * time.Second

// askAgain is how often a term that knows of no REBUILD asks whether one has
// begun. Its next transaction would tell; but when all is silent, there may be
// nothing to write, and nobody else ends a REBUILD.
const askAgain = 5 * time.Second

// rebuild is what a term knows of a REBUILD. A term that has begun outside of one
// never gets into one: what enters it ends the term.
type rebuild struct {
	mu      sync.Mutex
	asked   time.Time // whether one has begun
	over    bool      // there is none, or it has ended
	began   time.Time // the term: no lease of the forgotten past is younger
	shouted time.Time
}

// rebuilding asks whether a REBUILD lasts, until it is known that none does. It
// asks without a lock: a cycle that waits for the database holds up no grant, nor
// the other way round.
func (t *Term) rebuilding(ctx context.Context) (now flow.Rebuild, lasts bool, err error) {
	if t.deps.Rebuild == nil || t.rebuild.done(false) {
		return flow.Rebuild{}, false, nil
	}
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	now, err = t.deps.Rebuild.Rebuild(ctx)
	return now, !t.rebuild.done(err == nil && now.Since.IsZero()), err
}

// done reports whether there is no REBUILD, or none any more; over says so for good.
func (r *rebuild) done(over bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = r.over || over
	return r.over
}

// overtaken reports whether a REBUILD has begun since this term knew of none: the
// term is over.
func (t *Term) overtaken(ctx context.Context) (bool, error) {
	if t.deps.Rebuild == nil || !t.rebuild.due(t.deps.Now()) {
		return false, nil
	}
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	now, err := t.deps.Rebuild.Rebuild(ctx)
	return err == nil && !now.Since.IsZero(), err
}

// due reports, at most once in askAgain, that it is time to ask.
func (r *rebuild) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.asked.IsZero() // it was asked just now that there is none
	if !r.over || !first && now.Sub(r.asked) < askAgain {
		return false
	}
	r.asked = now
	return !first
}

// left is for how long a lease of the forgotten past may still be out: the
// database remembers the longest of some time, and the newest may be longer, as
// they are configured now. It counts from the term's beginning, on this leader's
// own clock: what its predecessor waited is not known.
func (t *Term) left(now flow.Rebuild) time.Duration {
	if mutant.On("rebuild-does-not-wait") {
		return 0
	}
	longest := max(now.Longest, t.cfg.Lease)
	return longest + longest*driftPercent/100 + t.cfg.Health.Margin - t.deps.Now().Sub(t.rebuild.began)
}

// watch is all that a term does while REBUILD lasts: it ends it when all have
// reported, or an operator waits for nobody, and no lease can be out. Then the
// term goes on as if it had begun anew.
func (t *Term) watch(ctx context.Context, now flow.Rebuild) (more bool, err error) {
	left := t.left(now)
	waits := len(now.Waiting) > 0 && !now.Forced
	t.metrics.rebuilds(true, len(now.Waiting))
	if waits || left > 0 {
		t.tell(now, max(left, 0))
		return false, nil
	}
	done, err := t.commit.EndRebuild(ctx, t.deps.Now())
	if err != nil {
		return false, err
	}
	t.rebuild.done(true)
	// Members have no lease before they come back, as after a change of leader.
	t.gather.Since = t.deps.Now()
	t.metrics.rebuilds(false, 0)
	t.deps.Log.Warn("REBUILD has ended: a new era begins", "era", done.Era, "kept", done.Kept, "moved", done.Moved,
		"created", done.Created, "released", done.Released, "forced", now.Forced, "without", now.Waiting)
	return true, nil
}

// tell says loudly, and not too often, why nothing is placed.
func (t *Term) tell(now flow.Rebuild, left time.Duration) {
	at := t.deps.Now()
	if at.Sub(t.rebuild.shouted) < shoutRebuild {
		return
	}
	t.rebuild.shouted = at
	t.deps.Log.Error("NOTHING IS PLACED: the control plane's database was restored from a backup and is rebuilt; "+
		"skein admin status shows it, and skein admin finish-rebuild ends it without those that do not come back",
		"since", now.Since, "why", now.Why, "waitingFor", now.Waiting, "reported", now.Reported, "forced", now.Forced,
		"leasesMayBeOutFor", left.Round(time.Second).String())
}
