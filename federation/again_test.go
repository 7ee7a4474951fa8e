package federation_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/identity"
)

func TestAFinishedExecutionIsNeverRunAgain(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	m, _ := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	r.status(id, 1, finish)
	r.until("the tombstone is marked", func() bool { return r.workflow(id, 1).Annotations[v1alpha1.AnnotationAcked] != "" })
	r.until("the gate is shut for it", func() bool { _, _, ok := m.MayStart(id, epoch1); return !ok })
	before := r.workflow(id, 1)

	// The ack was lost, and the database has forgotten the events.
	r.plane.set(func(p *plane) {
		p.rows[id].Revision, p.rows[id].acked, p.rows[id].sequence, p.rows[id].phase = 9, 0, 0, flow.ExecutionQueued
		p.events = nil
	})
	r.until("the events come again", func() bool { return r.plane.row(id).phase == flow.ExecutionSucceeded })
	r.until("the assignment is acked", func() bool { return r.plane.row(id).acked == 9 })
	if after := r.workflow(id, 1); after.Spec.Desired != before.Spec.Desired || after.UID != before.UID || after.Status.Phase != "SUCCEEDED" {
		t.Errorf("the tombstone was changed: %+v", after.Spec)
	}
}

func TestATombstoneIsMarkedThoughTheFirstMarkWasLost(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	_, stop := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	r.status(id, 1, finish)
	marked := func() bool { return r.workflow(id, 1).Annotations[v1alpha1.AnnotationAcked] == "3" }
	r.until("the tombstone is marked", marked)
	stop()

	// As if the member had been killed between the ack and the mark.
	fw := r.workflow(id, 1)
	fw.Annotations = nil
	if err := r.kube.Update(t.Context(), fw); err != nil {
		t.Fatal(err)
	}
	r.member(addr)
	r.until("the tombstone is marked after all", marked)
}

func TestAMoveAwayAndBackLeavesOneOwner(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	m, _ := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the first epoch is acked", func() bool { return r.plane.row(id).acked == 1 })
	r.plane.place("one", run)
	r.until("the second epoch is there", func() bool { return r.workflow(id, 2) != nil })
	r.until("the first epoch is stopped", func() bool { return r.aborted(id) })
	r.until("the gate is open for the second", func() bool {
		_, _, ok := m.MayStart(id, flow.Epoch{Era: 1, N: 2})
		return ok
	})
	if _, _, ok := m.MayStart(id, epoch1); ok {
		t.Error("the gate is open for both epochs")
	}
	if fw := r.workflow(id, 2); fw.Spec.Desired != v1alpha1.DesiredRun {
		t.Errorf("the second epoch wants %s", fw.Spec.Desired)
	}
}

func TestAMemberComesBackWithItsCertificate(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	_, stop := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the assignment is acked", func() bool { return r.plane.row(id).acked == 1 })
	stop()
	for _, f := range []string{"member.key", "member.crt"} {
		if info, err := os.Stat(filepath.Join(r.state, f)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", f, info, err)
		}
	}
	r.token = ""
	m, _ := r.member(addr)
	r.until("the gate is open without a token", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
}

// An expired certificate, or one of a control plane that was made anew, would
// end every handshake: the member joins as if it had none.
func TestAMemberWithAUselessCertificateJoinsAnew(t *testing.T) {
	for _, c := range []struct {
		name    string
		foreign bool
		age     time.Duration
	}{
		{"expired", false, 48 * time.Hour},
		{"of another authority", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			_, addr, _ := r.hub("a")
			_, stop := r.member(addr)
			id := r.plane.place("one", run)
			r.until("the assignment is acked", func() bool { return r.plane.row(id).acked == 1 })
			stop()
			ca := r.ca
			if c.foreign {
				ca = newRig(t).ca
			}
			r.replaceCertificate(ca, time.Now().Add(-c.age))
			var err error
			if r.token, _, err = r.desk.Mint(t.Context(), "east", 0); err != nil {
				t.Fatal(err)
			}
			m, _ := r.member(addr)
			r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
		})
	}
}

// replaceCertificate gives the member's key another certificate, of a day.
func (r *rig) replaceCertificate(ca *identity.CA, from time.Time) {
	r.t.Helper()
	key, err := os.ReadFile(filepath.Join(r.state, "member.key"))
	if err != nil {
		r.t.Fatal(err)
	}
	csr, err := identity.NewCSR(key)
	if err != nil {
		r.t.Fatal(err)
	}
	cert, err := ca.SignMember(csr, "east", "prop-0", from, 24*time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.state, "member.crt"), cert, 0o600); err != nil {
		r.t.Fatal(err)
	}
}
