package member

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/session"
)

// While no hub commits anything, what a member makes of its objects is bounded
// in number and in bytes; the rest stays in the objects, and is told afterwards.
func TestWhatIsNotSentIsBounded(t *testing.T) {
	const objects, nodes = 60, 400
	var held []flow.Held
	var keep []flow.Verdict
	id := func(i int) flow.ExecutionID {
		return flow.ExecutionID{Project: "p", Domain: "d", Name: fmt.Sprintf("x%d", i)}
	}
	for i := range objects {
		held = append(held, flow.Held{Execution: id(i), Epoch: first})
		keep = append(keep, flow.Verdict{Execution: id(i), Epoch: first, Order: flow.OrderKeep})
	}
	m := lived(t, held, keep...)
	m.reporter.reset(1, keep)
	at := metav1.NewMicroTime(time.Now())
	for i := range objects {
		fw := Render(flow.Assignment{Execution: id(i), Epoch: first, Desired: flow.DesiredRun, Revision: 1})
		fw.Status = v1alpha1.FlyteWorkflowStatus{Sequence: 1, Nodes: map[string]v1alpha1.NodeStatus{}}
		for n := range nodes {
			fw.Status.Nodes[fmt.Sprintf("n%d", n)] = v1alpha1.NodeStatus{
				Sequence: 1, Phase: int32(flow.NodeSucceeded), StartedAt: &at, OutputURI: "s3://" + strings.Repeat("x", 1000),
			}
		}
		if err := m.o.Client.Create(t.Context(), fw); err != nil {
			t.Fatal(err)
		}
		m.reporter.touch(id(i), first)
	}
	r, told := m.reporter, map[string]bool{}
	one := 0 // the largest object's events
	for round := 0; len(told) < objects; round++ {
		if round > 100*objects {
			t.Fatalf("%d of %d objects were told", len(told), objects)
		}
		r.gather(t.Context())
		for _, c := range r.backlog {
			one = max(one, c.bytes)
		}
		if got := r.waiting(); got > backlogBytes+one || len(r.backlog) > batchEvents {
			t.Fatalf("%d parcels of %d bytes wait", len(r.backlog), got)
		}
		for msg := r.pack(); msg != nil; msg = r.pack() {
			for _, e := range msg.GetEvents().GetEvents() {
				told[e.GetExecution().GetName()] = true
			}
		}
		if len(r.batches) > session.Credit {
			t.Fatalf("%d batches are under way", len(r.batches))
		}
		for n := range r.batches {
			r.acked(&skeinv1.EventAck{Batch: n})
		}
	}
	if one*objects < backlogBytes*3/2 {
		t.Fatalf("all objects together are %d bytes: the bound was never met", one*objects)
	}
}
