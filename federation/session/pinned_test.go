package session_test

import (
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

type epochs = map[flow.ExecutionID]flow.Epoch

func pinned(id flow.ExecutionID, e flow.Epoch, revision uint64) flow.Assignment {
	a := runs(id, e, revision, 0)
	a.Run = &flow.Run{Failover: flow.Failover{Mode: flow.FailoverNever}}
	return a
}

// keeps brings a member to verdicts that keep one, which is pinned.
func (e *end) keeps(generation, ownership uint64) *end {
	e.do(session.Dialled{}).do(session.Welcomed{Session: flow.Session{Sender: sender(generation), Era: 1}, Heartbeat: time.Second, Lease: 30 * time.Second})
	e.do(session.Listed{Held: []flow.Held{{Execution: one, Epoch: e1}}, Pinned: epochs{one: e1}})
	return e.do(session.Judged{Last: true, Verdicts: flow.Verdicts{OwnershipRevision: ownership, List: []flow.Verdict{{Execution: one, Epoch: e1, Order: flow.OrderKeep}}}})
}

// TestPinnedWorkGoesOn: what nobody places elsewhere goes on through a lapse,
// and over new sessions, until a verdict or an assignment ends it.
func TestPinnedWorkGoesOn(t *testing.T) {
	const lapse = 40 * time.Second
	gone := pinned(one, e1, 2)
	gone.Desired = flow.DesiredGone
	abort := pinned(one, e1, 2)
	abort.Desired = flow.DesiredAbort
	found := func() *end { return begin().do(session.Recalled{Pinned: epochs{one: e1}}) }
	for _, tc := range []struct {
		name string
		e    *end
		may  bool
	}{
		{"granted, then a lapse", begin().keeps(1, 0).grant(1, 0).wait(lapse).do(session.Ticked{}), true},
		{"assigned under a grant, then a lapse", begin().live(1, 0).grant(1, 0).assign(1, pinned(one, e1, 1)).wait(lapse), true},
		{"movable, then a lapse", begin().live(1, 0, one).grant(1, 0).wait(lapse).do(session.Ticked{}), false},
		{"never granted", begin().keeps(1, 0), false},
		{"assigned, never granted", begin().live(1, 0).assign(1, pinned(one, e1, 1)).wait(lapse), false},
		{"over a new session", begin().keeps(1, 0).grant(1, 0).wait(lapse).do(session.Ticked{}).keeps(2, 0), true},
		{"a new session's verdict stops it", begin().keeps(1, 0).grant(1, 0).wait(lapse).do(session.Ticked{}).live(2, 0), false},
		{"the wall clock was set", begin().keeps(1, 0).grant(1, 0).step(time.Hour).do(session.Ticked{}), true},
		{"an ownership revision that was raised for others", begin().keeps(1, 0).grant(1, 0).askAgain().grant(1, 1), true},
		{"aborted", begin().keeps(1, 0).grant(1, 0).assign(1, abort), false},
		{"given up by a planned move", begin().keeps(1, 0).grant(1, 0).assign(1, gone), false},
		{"finished", begin().keeps(1, 0).grant(1, 0).do(session.Finished{Execution: one, Epoch: e1}), false},
		{"placed here again at another epoch", begin().keeps(1, 0).grant(1, 0).assign(1, runs(one, e2, 2, 0)), false},
		{"had begun before a restart", found(), true},
		{"had begun before a restart, and no hub answers", found().do(session.Dialled{}).do(session.Dropped{}).wait(lapse), true},
		{"had begun before a restart, and was kept", found().keeps(1, 0), true},
		{"had begun before a restart, and was not kept", found().live(1, 0), false},
		{"found after a session was dialled", begin().do(session.Dialled{}).do(session.Recalled{Pinned: epochs{one: e1}}), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.e.may(one); got != tc.may {
				t.Errorf("may start: %v, want %v", got, tc.may)
			}
		})
	}
}

// TestStrictWorkEndsInsideTheLease asks by when strict work must have ended.
func TestStrictWorkEndsInsideTheLease(t *testing.T) {
	const lease = 30*time.Second - 600*time.Millisecond
	recalled := func() *end {
		return begin().do(session.Recalled{Lease: start.Boot + 10*time.Second})
	}
	for _, tc := range []struct {
		name string
		e    *end
		left time.Duration // zero: now
	}{
		{"under a lease", begin().live(1, 0, one).grant(1, 0), lease},
		{"a while later", begin().live(1, 0, one).grant(1, 0).wait(20 * time.Second), lease - 20*time.Second},
		{"after a renewal", begin().live(1, 0, one).grant(1, 0).askAgain().grant(1, 0), lease},
		{"after the session's end, the lease goes on", begin().live(1, 0, one).grant(1, 0).do(session.Dropped{}).wait(time.Second), lease - time.Second},
		{"after the lease's end", begin().live(1, 0, one).grant(1, 0).wait(lease), 0},
		{"aborted: the propeller ends it anyway", begin().live(1, 0, one).grant(1, 0).assign(1, abortOf(one)), 0},
		{"the wall clock was set", begin().live(1, 0, one).grant(1, 0).step(time.Minute), 0},
		{"a new process that knows its predecessor's lease", recalled(), 10 * time.Second},
		{"the same, kept and not yet granted", recalled().live(1, 0, one), 10 * time.Second},
		{"the same, granted", recalled().live(1, 0, one).grant(1, 0), lease},
		{"the same, not kept", recalled().live(1, 0), 0},
		{"the same, and the wall clock was set", recalled().step(time.Minute).do(session.Ticked{}), 0},
		{"a new process that knows nothing", begin(), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			left, bounded := tc.e.m.MustStop(tc.e.at, one, e1)
			if !bounded || max(left, 0) != tc.left {
				t.Errorf("must stop in %s (bounded: %t), want %s", left, bounded, tc.left)
			}
		})
	}
	if _, bounded := begin().keeps(1, 0).grant(1, 0).m.MustStop(start, one, e1); bounded {
		t.Error("pinned work is stopped, and no successor of it ever runs")
	}
}

func abortOf(id flow.ExecutionID) flow.Assignment {
	a := runs(id, e1, 2, 0)
	a.Desired = flow.DesiredAbort
	return a
}
