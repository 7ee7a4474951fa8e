package federation_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/member"
)

// drive plays a cluster's propeller: it ends every run as soon as it sees it.
func (r *rig) drive(ctx context.Context) {
	for ctx.Err() == nil {
		var list v1alpha1.FlyteWorkflowList
		if err := r.kube.List(ctx, &list); err != nil {
			return
		}
		for i := range list.Items {
			fw := &list.Items[i]
			if fw.Status.Phase != "" || strings.HasPrefix(fw.Name, "stays") {
				continue
			}
			finish(&fw.Status)
			fw.Status.ObservedRevision = fw.Spec.Revision
			_ = r.kube.Status().Update(ctx, fw) // it is tried again
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Certificates are renewed, and streams dialled anew with them, while work goes
// on: no event is lost, and no lease lapses.
func TestCertificatesRotateUnderLoad(t *testing.T) {
	const clusters, life, turns = 6, 15 * time.Second, 2
	east := newRigOf(t, life)
	_, a, _ := east.hub("a")
	_, b, _ := east.hub("b")
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()

	rigs := []*rig{east}
	for i := 1; i < clusters; i++ {
		rigs = append(rigs, east.cluster(fmt.Sprintf("c%d", i)))
	}
	var members []*member.Member
	for i, r := range rigs {
		r.sweep = 200 * time.Millisecond // six of them list all that there is
		m, _ := r.member(a, b)
		members = append(members, m)
		east.plane.placeOn(r.name, fmt.Sprintf("stays-%d", i), run)
		work.Go(func() { r.drive(ctx) })
	}
	gate := func(i int) error {
		_, why, ok := members[i].MayStart(flow.ExecutionID{Project: "proj", Domain: "dev", Name: fmt.Sprintf("stays-%d", i)}, epoch1)
		if !ok {
			return fmt.Errorf("cluster %d: %s", i, why)
		}
		return nil
	}
	for i := range rigs {
		east.until("every gate is open", func() bool { return gate(i) == nil })
	}
	seen := make([]map[string]bool, clusters)
	for i := range seen {
		seen[i] = map[string]bool{}
	}
	turned := func() bool {
		for i, r := range rigs {
			seen[i][r.serial()] = true
			if len(seen[i]) < turns {
				return false
			}
		}
		return true
	}
	n := 0
	for end := time.Now().Add(2 * time.Minute); !turned() && time.Now().Before(end); n++ {
		for i, r := range rigs {
			east.plane.placeOn(r.name, fmt.Sprintf("x%d-%d", i, n), run)
			if err := gate(i); err != nil {
				t.Fatalf("a rotation shut the gate: %v", err)
			}
		}
		time.Sleep(500 * time.Millisecond) // the load, not a wait
	}
	if !turned() {
		t.Fatalf("certificates were not renewed: %v", seen)
	}
	t.Logf("%d executions, %d sessions", n*clusters, east.plane.sessions())
	east.until("every end is recorded", func() (all bool) {
		all = true
		east.plane.set(func(p *plane) {
			for id, r := range p.rows {
				all = all && (r.phase == flow.ExecutionSucceeded || strings.HasPrefix(id.Name, "stays"))
			}
		})
		return all
	})
	told := map[flow.ExecutionID]map[flow.EventKind]bool{}
	for _, e := range east.plane.accepted() {
		if told[e.Execution] == nil {
			told[e.Execution] = map[flow.EventKind]bool{}
		}
		told[e.Execution][e.Kind] = true
	}
	for id, kinds := range told {
		if len(kinds) != 3 {
			t.Errorf("of %s came %v, want the node's, the task's and the workflow's end", id, kinds)
		}
	}
}

// A member that was away for longer than its certificate lives is told what it needs.
func TestAnExpiredCertificateNeedsANewToken(t *testing.T) {
	r := newRigOf(t, 2*time.Second)
	_, addr, _ := r.hub("a")
	m, stop := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	stop()
	r.until("the certificate has expired", func() bool { return time.Now().After(r.leaf().NotAfter) })
	for what, token := range map[string]string{"no token": "", "the used token": r.token} {
		r.token = token
		said := r.listen()
		_, stop := r.member(addr)
		r.until(what+": the log says what to do", func() bool {
			return strings.Contains(said(), "a new join token is needed (skein cluster register east makes one)")
		})
		stop()
	}
	tok, _, err := r.desk.Mint(t.Context(), "east", 0)
	if err != nil {
		t.Fatal(err)
	}
	r.token = tok
	m, _ = r.member(addr)
	r.until("a new token lets it in", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	first := r.serial()
	r.until("the new certificate is renewed in its turn", func() bool { return r.serial() != first })
}
