package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

var (
	start = session.Clock{Boot: time.Hour, Wall: 1000 * time.Hour}
	one   = flow.ExecutionID{Project: "p", Domain: "d", Name: "one"}
	two   = flow.ExecutionID{Project: "p", Domain: "d", Name: "two"}
	e1    = flow.Epoch{Era: 1, N: 1}
	e2    = flow.Epoch{Era: 1, N: 2}
)

// end drives a member and remembers what it asked.
type end struct {
	m     session.Member
	at    session.Clock
	nonce uint64
	out   []session.MemberOutput
}

func (e *end) do(in session.MemberInput) *end {
	e.m, e.out = e.m.Step(e.at, in)
	for _, o := range e.out {
		if a, ok := o.(session.AskLease); ok {
			e.nonce = a.Request.Nonce
		}
	}
	return e
}

func (e *end) wait(d time.Duration) *end {
	e.at = e.at.Later(d)
	return e
}

func sender(generation uint64) flow.Sender { return flow.Sender{Generation: generation} }

// live brings a member to its verdicts.
func (e *end) live(generation, ownership uint64, keep ...flow.ExecutionID) *end {
	e.do(session.Dialled{})
	e.do(session.Welcomed{Session: flow.Session{Sender: sender(generation), Era: 1}, Heartbeat: time.Second, Lease: 30 * time.Second})
	e.do(session.Listed{})
	v := flow.Verdicts{OwnershipRevision: ownership}
	for _, id := range keep {
		v.List = append(v.List, flow.Verdict{Execution: id, Epoch: e1, Order: flow.OrderKeep})
	}
	return e.do(session.Judged{Verdicts: v, Last: true})
}

func (e *end) grant(generation, ownership uint64) *end {
	return e.do(session.Granted{Lease: flow.Lease{Sender: sender(generation), Nonce: e.nonce, Duration: 30 * time.Second, OwnershipRevision: ownership}})
}

// askAgain lets time go by until the next request, with the hub heard.
func (e *end) askAgain() *end {
	for before := e.nonce; e.nonce == before; {
		e.wait(time.Second).do(session.Answered{Generation: 1}).do(session.Ticked{})
	}
	return e
}

func (e *end) shorter(generation uint64) *end {
	return e.do(session.Granted{Lease: flow.Lease{Sender: sender(generation), Nonce: e.nonce, Duration: 2 * time.Second}})
}

func (e *end) reported(generation uint64) *end {
	e.do(session.Dialled{}).do(session.Welcomed{Session: flow.Session{Sender: sender(generation), Era: 1}, Lease: 30 * time.Second}).do(session.Listed{})
	return e.do(session.Judged{Last: true, Verdicts: flow.Verdicts{List: []flow.Verdict{{Execution: one, Epoch: e1, Order: flow.OrderReport}}}})
}

// listed brings a member to its verdicts, of which none keeps what it lists.
func (e *end) listed(generation uint64) *end {
	e.do(session.Dialled{}).do(session.Welcomed{Session: flow.Session{Sender: sender(generation), Era: 1}, Lease: 30 * time.Second})
	return e.do(session.Listed{Held: []flow.Held{{Execution: one, Epoch: e1}}}).do(session.Judged{Last: true})
}

func (e *end) assign(generation uint64, a flow.Assignment) *end {
	return e.do(session.Assigned{Generation: generation, Assignment: a})
}

func (e *end) may(id flow.ExecutionID) bool {
	_, why := e.m.MayStart(e.at, id, e1)
	return why == ""
}

func begin() *end { return &end{at: start} }

func runs(id flow.ExecutionID, e flow.Epoch, revision, ownership uint64) flow.Assignment {
	return flow.Assignment{Execution: id, Epoch: e, Revision: revision, OwnershipRevision: ownership, Desired: flow.DesiredRun}
}

func has[T session.MemberOutput](out []session.MemberOutput) bool {
	for _, o := range out {
		if _, ok := o.(T); ok {
			return true
		}
	}
	return false
}

func TestMember(t *testing.T) {
	abort := runs(one, e1, 2, 0)
	abort.Desired = flow.DesiredAbort
	vanished := session.Vanished{Execution: one, Epoch: e1}
	gone := runs(one, e1, 2, 0)
	gone.Desired = flow.DesiredGone
	for _, tc := range []struct {
		name  string
		e     *end
		may   bool // start one at epoch 1
		stage session.Stage
		why   string
	}{
		{"kept by a verdict and granted", begin().live(1, 0, one).grant(1, 0), true, session.Live, ""},
		{"kept, not granted", begin().live(1, 0, one), false, session.Live, "no write, no grant"},
		{"granted, kept by no verdict", begin().live(1, 0, two).grant(1, 0), false, session.Live, "unlisted is stopped"},
		{"assigned after the grant", begin().live(1, 0).grant(1, 0).assign(1, runs(one, e1, 1, 0)), true, session.Live, ""},
		{"assigned before the grant", begin().live(1, 0).assign(1, runs(one, e1, 1, 0)).grant(1, 0), true, session.Live, ""},
		{"abort then the older run (F2)", begin().live(1, 0).grant(1, 0).assign(1, abort).assign(1, runs(one, e1, 1, 0)), false, session.Live, "the highest revision is remembered without a CR"},
		{"aborted under a lease", begin().live(1, 0, one).grant(1, 0).assign(1, abort), false, session.Live, "an abort starts nothing more"},
		{"released under a lease", begin().live(1, 0, one).grant(1, 0).assign(1, gone), false, session.Live, "a release starts nothing more"},
		{"a shorter lease after a longer", begin().live(1, 0, one).grant(1, 0).wait(time.Second).do(session.Answered{Generation: 1}).askAgain().shorter(1).wait(3 * time.Second), false, session.Live, "the record of the shorter replaced the longer"},
		{"a report is not a keep", begin().reported(1).grant(1, 0), false, session.Live, "it has ended"},
		{"release then the older run (F2)", begin().live(1, 0).grant(1, 0).assign(1, gone).assign(1, runs(one, e1, 1, 0)), false, session.Live, "the same"},
		{"an assignment of another generation", begin().live(2, 0).grant(2, 0).assign(1, runs(one, e1, 1, 0)), false, session.Idle, "an old session's message"},
		{"a grant of another generation", begin().live(2, 0, one).grant(1, 0), false, session.Live, "an old session's message"},
		{"a grant with another ownership revision (F3b)", begin().live(1, 0, one).grant(1, 1), false, session.Idle, "something was taken away"},
		{"the same while a lease lives", begin().live(1, 0, one).grant(1, 0).askAgain().grant(1, 1), false, session.Idle, "what the old lease covers is not known"},
		{"an assignment below the ownership revision (F3)", begin().live(1, 5).grant(1, 5).assign(1, runs(one, e1, 1, 4)), false, session.Live, "it was read before the removal"},
		{"an assignment above the ownership revision", begin().live(1, 5).grant(1, 5).assign(1, runs(one, e1, 1, 6)), false, session.Idle, "a removal that this session does not know"},
		{"an older epoch", begin().live(1, 0).grant(1, 0).assign(1, runs(one, e2, 1, 0)).assign(1, runs(one, e1, 2, 0)), false, session.Live, "the highest epoch is known"},
		{"another epoch of it", begin().live(1, 0).grant(1, 0).assign(1, runs(one, e2, 1, 0)), false, session.Live, "a cluster's name cannot tell A, B, A apart"},
		{"a lease counts from the request", begin().live(1, 0, one).wait(20*time.Second).grant(1, 0).wait(10 * time.Second), false, session.Live, "30 s after it was asked it is over, whenever it came"},
		{"a lease is shortened by the drift", begin().live(1, 0, one).grant(1, 0).wait(29500 * time.Millisecond), false, session.Live, "2% of 30 s is 0.6 s"},
		{"within the lease", begin().live(1, 0, one).grant(1, 0).wait(29 * time.Second), true, session.Live, ""},
		{"a grant that comes after its end", begin().live(1, 0, one).wait(40*time.Second).grant(1, 0), false, session.Live, "too late"},
		{"a grant after the lapse", begin().live(1, 0, one).grant(1, 0).wait(40*time.Second).grant(1, 0), false, session.Idle, "a lapse ends the session"},
		{"a new session under the old lease", begin().live(1, 0, one).grant(1, 0).do(session.Dropped{}).live(2, 0, one), true, session.Live, "what the old lease covers goes on"},
		{"a new session that does not confirm", begin().live(1, 0, one).grant(1, 0).do(session.Dropped{}).live(2, 0), false, session.Live, "a verdict took it"},
		{"newly confirmed, under the old lease only", begin().live(1, 0, two).grant(1, 0).do(session.Dropped{}).live(2, 0, one, two), false, session.Live, "a new session covers nothing new before its grant"},
		{"assigned under the old lease only", begin().live(1, 0, two).grant(1, 0).do(session.Dropped{}).live(2, 0, two).assign(2, runs(one, e1, 1, 0)), false, session.Live, "the same"},
		{"an assignment before the verdicts (F3)", begin().do(session.Dialled{}).do(session.Welcomed{Session: flow.Session{Sender: sender(1)}}).assign(1, runs(one, e1, 1, 0)), false, session.Idle, "none is taken earlier"},
		{"what has ended is deleted while the verdicts are awaited", begin().do(session.Dialled{}).do(session.Welcomed{Session: flow.Session{Sender: sender(1)}}).do(vanished), false, session.Idle, "they may be of what is made again"},
		{"what is reported is deleted", begin().reported(1).do(vanished), false, session.Idle, "its end may not have been told"},
		{"what is nobody's is deleted", begin().listed(1).do(vanished), false, session.Live, "nobody waits for it"},
		{"what this session never heard of is deleted", begin().live(1, 0, two).do(vanished), false, session.Idle, "an assignment of it may be under way"},
		{"what an ended session's lease covers is deleted", begin().live(1, 0, one).grant(1, 0).do(session.Dropped{}).do(vanished), false, session.Idle, "a write under way may make it again"},
		{"an older object of what the lease covers is deleted", begin().live(1, 0, one).grant(1, 0).do(session.Dropped{}).do(session.Vanished{Execution: one}), true, session.Idle, "that one was not covered"},
		{"the wall clock was set", begin().live(1, 0, one).grant(1, 0).step(time.Minute).do(session.Ticked{}), false, session.Idle, "a wall-clock step ends lease and session"},
		{"the wall clock was set just now", begin().live(1, 0, one).grant(1, 0).step(-time.Minute), false, session.Live, "seen by MayStart before any tick"},
		{"the hub is silent", begin().live(1, 0, one).grant(1, 0).wait(4 * time.Second).do(session.Ticked{}), true, session.Idle, "the session ends, the lease goes on"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.e.may(one); got != tc.may {
				t.Errorf("may start: %v, want %v: %s", got, tc.may, tc.why)
			}
			if got := tc.e.m.Stage(); got != tc.stage {
				t.Errorf("stage %s, want %s: %s", got, tc.stage, tc.why)
			}
		})
	}
}

func (e *end) step(d time.Duration) *end {
	e.at.Wall += d
	return e
}

func TestAnOlderRevisionIsIgnoredAndTheSameIsAppliedAgain(t *testing.T) {
	e := begin().live(1, 0).assign(1, runs(one, e1, 7, 0))
	if !has[session.Apply](e.out) {
		t.Error("a new revision is not applied")
	}
	if e.assign(1, runs(one, e1, 7, 0)); !has[session.Apply](e.out) {
		t.Error("the same revision is not applied again: its ack may be lost")
	}
	if e.assign(1, runs(one, e1, 6, 0)); !has[session.Ignore](e.out) {
		t.Error("an older revision is not ignored")
	}
}

// The release of what has left may be done at the very moment at which a user's
// abort overtakes it: the abort is told, whatever the order in which they come.
func TestALateReleaseDoesNotForgetWhatIsRetold(t *testing.T) {
	gone, abort := runs(one, e1, 2, 0), runs(one, e1, 3, 0)
	gone.Desired, abort.Desired = flow.DesiredGone, flow.DesiredAbort
	released := session.Finished{Execution: one, Epoch: e1, Revision: 2}
	retold := session.Retold{Execution: one, Epoch: e1, Revision: 3, Spec: 3}
	left := func() *end { return begin().live(1, 0, one).grant(1, 0).assign(1, gone) }
	for name, tc := range map[string]struct {
		e       *end
		reports bool
	}{
		"it comes before the abort":               {left().do(released).assign(1, abort).do(retold), true},
		"it comes before all is told again":       {left().assign(1, abort).do(released).do(retold), true},
		"it comes after":                          {left().assign(1, abort).do(retold).do(released), true},
		"it comes after, and the abort again":     {left().assign(1, abort).do(retold).assign(1, abort).do(released), true},
		"the end itself was told":                 {left().assign(1, abort).do(retold).do(session.Finished{Execution: one, Epoch: e1, Revision: 3}), false},
		"of a session that is over":               {left().assign(1, abort).do(session.Dropped{}).live(2, 0).do(retold), false},
		"of an assignment that is not the newest": {left().assign(1, abort).do(released).assign(1, runs(one, e2, 4, 0)).do(retold), false},
	} {
		t.Run(name, func(t *testing.T) {
			if reports := tc.e.m.Reports(one, e1); reports != tc.reports {
				t.Errorf("it is reported: %t", reports)
			}
			if tc.e.may(one) {
				t.Error("the gate is open")
			}
		})
	}
}

// TestNeverStartsWithoutAGrantOfTheSession lets anything happen in any order,
// and compares the gate with a second, dumb account of the rule.
func TestNeverStartsWithoutAGrantOfTheSession(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := begin()
		var generation, ownership uint64
		asked := map[uint64]time.Duration{} // nonce to boot time
		var leaseEnd time.Duration          // the latest end of any lease ever recorded
		t.Repeat(map[string]func(*rapid.T){
			"session": func(t *rapid.T) {
				generation++
				var keep []flow.ExecutionID
				if rapid.Bool().Draw(t, "keep") {
					keep = append(keep, one)
				}
				e.live(generation, ownership, keep...)
				asked[e.nonce] = e.at.Boot
			},
			"wait": func(t *rapid.T) {
				e.wait(time.Duration(rapid.IntRange(0, 20000).Draw(t, "ms")) * time.Millisecond)
				before := e.nonce
				e.do(session.Ticked{})
				if e.nonce != before {
					asked[e.nonce] = e.at.Boot
				}
			},
			"grant": func(t *rapid.T) {
				g := rapid.Uint64Range(0, generation+1).Draw(t, "generation")
				nonce := rapid.Uint64Range(0, e.nonce+1).Draw(t, "nonce")
				rev := rapid.SampledFrom([]uint64{ownership, ownership + 1}).Draw(t, "ownership")
				if at, ok := asked[nonce]; ok && g == generation && rev == ownership {
					leaseEnd = max(leaseEnd, at+30*time.Second)
				}
				e.do(session.Granted{Lease: flow.Lease{Sender: sender(g), Nonce: nonce, Duration: 30 * time.Second, OwnershipRevision: rev}})
			},
			"assign": func(t *rapid.T) {
				a := runs(one, e1, rapid.Uint64Range(1, 5).Draw(t, "revision"), ownership)
				a.Desired = rapid.SampledFrom([]flow.Desired{flow.DesiredRun, flow.DesiredAbort, flow.DesiredGone}).Draw(t, "desired")
				e.assign(rapid.Uint64Range(max(generation, 1)-1, generation).Draw(t, "generation"), a)
				if has[session.Apply](e.out) && a.Desired != flow.DesiredRun && e.may(one) {
					t.Fatalf("the gate is open after %s", a.Desired)
				}
			},
			"drop": func(*rapid.T) { e.do(session.Dropped{Reason: "x"}) },
			"": func(t *rapid.T) {
				if e.may(one) && e.at.Boot >= leaseEnd {
					t.Fatalf("may start at %s though every lease had ended by %s", e.at.Boot, leaseEnd)
				}
			},
		})
	})
}

func BenchmarkGrantWithManyExecutions(b *testing.B) {
	var ids []flow.ExecutionID
	for i := range 5000 {
		ids = append(ids, flow.ExecutionID{Project: "p", Domain: "d", Name: string(rune('a'+i%26)) + time.Duration(i).String()})
	}
	e := begin().live(1, 0, ids...)
	for b.Loop() {
		e.wait(6 * time.Second).do(session.Answered{Generation: 1})
		e.do(session.Ticked{})
		e.grant(1, 0)
	}
}
