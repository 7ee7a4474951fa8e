package federation_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/session"
)

func (p *plane) Known() (f flow.Fence) {
	p.set(func(p *plane) { f = p.known })
	return f
}

func (p *plane) ReadFence(context.Context) (f flow.Fence, err error) {
	p.set(func(p *plane) { f = p.fence })
	return f, nil
}

func (p *plane) Rebuild(context.Context) (r flow.Rebuild, err error) {
	p.set(func(p *plane) { r = p.rebuild })
	return r, nil
}

func (p *plane) EnterRebuild(_ context.Context, known flow.Fence, why string) (flow.Rebuild, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entering++
	if p.refuse != nil {
		return flow.Rebuild{}, p.refuse
	}
	if p.rebuild.Since.IsZero() {
		p.rebuild = flow.Rebuild{Since: time.Now(), Why: why}
		p.endSessions()
	}
	p.fence = flow.Fence{Epoch: flow.Epoch{Era: max(p.fence.Epoch.Era, known.Epoch.Era), N: max(p.fence.Epoch.N, known.Epoch.N) + 1}}
	return p.rebuild, nil
}

func (p *plane) endSessions() {
	for m := range p.gens {
		p.gens[m]++
	}
}

func (p *plane) endRebuild() {
	p.set(func(p *plane) {
		p.rebuild = flow.Rebuild{}
		p.fence.Epoch.Era++
		p.endSessions()
	})
}

func (p *plane) TakeInventory(_ context.Context, who flow.Sender, held []flow.Held) (unknown []flow.Held, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range held {
		if p.rows[h.Execution] == nil {
			unknown = append(unknown, h)
		}
	}
	return unknown, p.check(who)
}

func (p *plane) TakeHoldings(_ context.Context, who flow.Sender, list []flow.Holding, last bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(who); err != nil {
		return err
	}
	for _, h := range list {
		h.Assignment.Revision = max(h.Held.Revision, 1)
		p.rows[h.Held.Execution] = &row{Assignment: h.Assignment, acked: h.Held.Revision, phase: flow.ExecutionRunning}
	}
	p.holdings = append(p.holdings, list...)
	if last {
		p.reported[who.Member] = who.Generation
	}
	return nil
}

// restore forgets all that was placed, and the newest terms.
func (p *plane) restore() {
	p.set(func(p *plane) {
		clear(p.rows)
		p.known, p.fence = p.fence, flow.Fence{Epoch: flow.Epoch{Era: 1, N: 2}}
	})
}

func (p *plane) hasReported() (yes bool) {
	p.set(func(p *plane) {
		for m, generation := range p.reported {
			yes = yes || p.gens[m] == generation
		}
	})
	return yes
}

// TestWhatABackupHasForgottenIsToldByTheMembers: the hub finds that it knows a
// higher fence, ends its sessions, and REBUILD begins; what is held is told
// whole, goes on under its lease, and is kept in the next era. (I76, I77.)
func TestWhatABackupHasForgottenIsToldByTheMembers(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	m, _ := r.member(addr)
	id := r.plane.place("one", run)
	r.until("it is acked", func() bool { return r.plane.row(id).acked == 1 })
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	r.plane.restore()

	r.until("the member has reported", r.plane.hasReported)
	r.plane.set(func(p *plane) {
		if len(p.holdings) != 1 {
			t.Fatalf("%d executions were told", len(p.holdings))
		}
		a := p.holdings[0].Assignment
		if a.Execution != id || a.Cluster != "east" || a.Epoch != epoch1 || a.Run == nil || a.Run.Workflow != run.Workflow {
			t.Errorf("what was told is %+v", a)
		}
	})
	if _, why, ok := m.MayStart(id, epoch1); !ok {
		t.Errorf("what the last session's lease covers has stopped: %s", why)
	}
	before := r.plane.sessions()
	time.Sleep(2 * time.Second) // two looks of the hub
	if after := r.plane.sessions(); after != before {
		t.Errorf("who has reported waits for the end: %d sessions were opened meanwhile", after-before)
	}

	r.plane.endRebuild()
	r.until("a normal session of the next era has begun", func() bool { return r.stage() == int(session.Live) })
	two := r.plane.place("two", run)
	r.until("what is placed then is acked", func() bool { return r.plane.row(two).acked == 1 })
	if fw := r.workflow(id, 1); fw == nil || fw.Spec.Desired != v1alpha1.DesiredRun {
		t.Error("what was kept was stopped")
	}
}

// TestIdleSessionsNoticeARebuildThatAnotherReplicaHasEntered.
func TestIdleSessionsNoticeARebuildThatAnotherReplicaHasEntered(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	r.member(addr)
	r.until("a session is live", func() bool { return r.stage() == int(session.Live) })
	if _, err := r.plane.EnterRebuild(t.Context(), flow.Fence{}, "seen elsewhere"); err != nil {
		t.Fatal(err)
	}
	r.until("the member has reported", r.plane.hasReported)
	r.plane.endRebuild()
	r.until("a session is live again", func() bool { return r.stage() == int(session.Live) })
}

// TestNobodyIsServedBeforeRebuildIsEntered: a database that is known to be old
// gives no member anything, also while it does not take the note of that.
func TestNobodyIsServedBeforeRebuildIsEntered(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	r.member(addr)
	r.until("a session is live", func() bool { return r.stage() == int(session.Live) })
	r.plane.set(func(p *plane) { p.refuse = fault.E(fault.Unavailable, "the database is busy") })
	r.plane.restore()
	r.until("the session has ended", func() bool { return r.stage() < int(session.Listing) })
	before := r.plane.sessions()
	time.Sleep(2 * time.Second)
	if after := r.plane.sessions(); after != before {
		t.Errorf("%d sessions were opened on a database that is known to be old", after-before)
	}
	r.plane.set(func(p *plane) { p.refuse = nil })
	r.until("the member has reported", r.plane.hasReported)
}

// TestASignIsKeptUntilRebuildIsEntered: who has given it may never come again, and
// meanwhile the restored database looks like any other. (I76.)
func TestASignIsKeptUntilRebuildIsEntered(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	r.plane.set(func(p *plane) { p.refuse = fault.E(fault.Unavailable, "the database is busy") })
	w, err := r.raw(addr, r.certificate(time.Hour)).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.send(w, &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Hello{Hello: &skeinv1.Hello{HighestEra: 1, HighestIncarnation: 9}}})
	for bye := ""; bye == ""; {
		bye = r.recv(w).GetGoodbye().GetReason()
	}
	r.until("it is tried again", func() (again bool) {
		r.plane.set(func(p *plane) { again = p.entering > 2 })
		return again
	})
	if err := r.open(addr, r.certificate(time.Hour)); status.Code(err) != codes.Unavailable {
		t.Errorf("a member is let in on a database that is known to be old: %v", err)
	}
	r.plane.set(func(p *plane) { p.refuse = nil })
	r.until("REBUILD is entered", func() (lasts bool) {
		r.plane.set(func(p *plane) { lasts = !p.rebuild.Since.IsZero() })
		return lasts
	})
	r.until("members are let in", func() bool { return r.open(addr, r.certificate(time.Hour)) == nil })
}

// stage is the session's at the member that was started last.
func (r *rig) stage() int {
	families, err := r.stats.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "skein_federation_member_stage" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return -1
}
