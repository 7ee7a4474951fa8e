package federation_test

import (
	"errors"
	"io"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	k8stesting "k8s.io/client-go/testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/session"
)

var (
	epoch1 = flow.Epoch{Era: 1, N: 1}
	run    = &flow.Run{Workflow: flow.EntityID{Project: "proj", Domain: "dev", Name: "wf", Version: "v1"}, Closure: []byte("closure")}
)

func now() *metav1.MicroTime {
	t := metav1.NowMicro()
	return &t
}

// finish writes what a propeller writes of a run with one task.
func finish(s *v1alpha1.FlyteWorkflowStatus) {
	s.Sequence, s.PhaseSequence, s.Phase, s.StartedAt, s.EndedAt = 3, 3, "SUCCEEDED", now(), now()
	s.Nodes = map[string]v1alpha1.NodeStatus{
		"start-node": {Sequence: 1, Phase: int32(flow.NodeSucceeded)},
		"n0": {Sequence: 2, Phase: int32(flow.NodeSucceeded), StartedAt: now(), EndedAt: now(),
			Attempts: []v1alpha1.AttemptStatus{{Sequence: 2, Phase: int32(flow.TaskSucceeded), Object: "x-n0-0"}}},
	}
}

func TestAnExecutionGoesDownAndItsEventsComeUp(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	m, _ := r.member(addr)
	id := r.plane.place("one", run)

	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	r.until("the assignment is acked", func() bool { return r.plane.row(id).acked == 1 })
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	until, _, _ := m.MayStart(id, epoch1)
	if left := time.Until(until); left > 30*time.Second {
		t.Errorf("the lease is said to last %s, longer than was granted", left)
	}
	if _, why, ok := m.MayStart(id, epoch1.Next()); ok || why == "" {
		t.Error("the gate is open for an epoch that was never placed")
	}
	for opened := false; !opened; {
		for _, n := range <-r.opens {
			opened = opened || n == types.NamespacedName{Namespace: "proj-dev", Name: "one-e1"}
		}
	}
	var sa corev1.ServiceAccount
	if err := r.kube.Get(t.Context(), types.NamespacedName{Namespace: "proj-dev", Name: "default"}, &sa); err != nil {
		t.Errorf("the default service account: %v", err)
	}

	r.status(id, 1, finish)
	r.until("the end is recorded", func() bool { return r.plane.row(id).phase == flow.ExecutionSucceeded })
	r.until("the tombstone is marked", func() bool { return r.workflow(id, 1).Annotations[v1alpha1.AnnotationAcked] == "3" })
	r.plane.set(func(p *plane) {
		var kinds []flow.EventKind
		for _, e := range p.events {
			kinds = append(kinds, e.Kind)
		}
		if len(kinds) != 3 || kinds[0] != flow.EventNode || kinds[1] != flow.EventTask || kinds[2] != flow.EventWorkflow {
			t.Errorf("events came as %v, want node, task, workflow", kinds)
		}
	})
	r.until("the capacity was reported", func() bool {
		var got flow.Resources
		r.plane.set(func(p *plane) { got = p.report.Capacity })
		return got == flow.Resources{MilliCPU: 4000, Pods: 110}
	})
}

func TestAMemberDialsTheOtherHubAndLosesNothing(t *testing.T) {
	r := newRig(t)
	_, a, stopA := r.hub("a")
	_, b, _ := r.hub("b")
	m, _ := r.member(a, b)
	id := r.plane.place("one", run)
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	stopA()
	if _, why, ok := m.MayStart(id, epoch1); !ok {
		t.Errorf("the end of a session shut the gate though the lease lives: %s", why)
	}
	r.status(id, 1, finish)
	two := r.plane.place("two", run)
	r.until("the end is recorded through the other hub", func() bool { return r.plane.row(id).phase == flow.ExecutionSucceeded })
	r.until("new work comes through the other hub", func() bool { return r.workflow(two, 1) != nil })
}

func TestASlowDatabaseOpensOneSession(t *testing.T) {
	r := newRig(t)
	r.plane.opening = session.Silence + 1500*time.Millisecond
	_, a, _ := r.hub("a")
	_, b, _ := r.hub("b")
	m, _ := r.member(a, b)
	id := r.plane.place("one", run)
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	var generations []uint64
	r.plane.set(func(p *plane) {
		for _, g := range p.gens {
			generations = append(generations, g)
		}
	})
	if len(generations) != 1 || generations[0] != 1 {
		t.Errorf("the generations are %v, want one session", generations)
	}
}

func TestEventsAreSentAgainUntilTheyAreCommitted(t *testing.T) {
	r := newRig(t)
	fails := 2
	r.plane.ingest = func() (err error) {
		r.plane.set(func(*plane) {
			if fails > 0 {
				fails--
				err = fault.E(fault.Internal, "the disk is on fire")
			}
		})
		return err
	}
	_, addr, _ := r.hub("a")
	_, stop := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	r.status(id, 1, finish)
	r.until("the end is recorded at last", func() bool { return r.plane.row(id).phase == flow.ExecutionSucceeded })
	stop()

	// While the member is away more happens; a new process tells it.
	two := r.plane.place("two", run)
	_, stop = r.member(addr)
	r.until("the second FlyteWorkflow is there", func() bool { return r.workflow(two, 1) != nil })
	stop()
	r.status(two, 1, finish)
	r.member(addr)
	r.until("what happened meanwhile is recorded", func() bool { return r.plane.row(two).phase == flow.ExecutionSucceeded })
}

func TestALapseShutsTheGate(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	m, _ := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	r.plane.set(func(p *plane) { p.grants = false })
	r.clock.forward(31 * time.Second)
	if _, _, ok := m.MayStart(id, epoch1); ok {
		t.Fatal("the gate is open after the lease's end")
	}
	var before uint64
	r.plane.set(func(p *plane) { before = p.gens[flow.Member{Cluster: "east", Instance: "prop-0"}] })
	r.until("a new session is opened", func() bool {
		var n uint64
		r.plane.set(func(p *plane) { n = p.gens[flow.Member{Cluster: "east", Instance: "prop-0"}] })
		return n > before
	})
	if _, _, ok := m.MayStart(id, epoch1); ok {
		t.Fatal("the gate is open without a grant in the new session")
	}
	r.plane.set(func(p *plane) { p.grants = true })
	r.until("the gate is open again", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
}

func TestAForcedRemovalStopsTheOldOwner(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	m, _ := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	r.plane.set(func(p *plane) {
		p.rows[id].Cluster, p.rows[id].Epoch = "west", flow.Epoch{Era: 1, N: 2}
		p.ownership[flow.Member{Cluster: "east", Instance: "prop-0"}]++
		p.lease = time.Second // ask sooner
	})
	r.clock.forward(6 * time.Second)
	r.until("what is not owned is stopped", func() bool { return r.aborted(id) })
	if _, _, ok := m.MayStart(id, epoch1); ok {
		t.Fatal("the gate is open for what was taken away")
	}
}

// aborted reports whether an abort is wanted of an execution's first epoch.
func (r *rig) aborted(id flow.ExecutionID) bool {
	fw := r.workflow(id, 1)
	return fw != nil && fw.Spec.Desired == v1alpha1.DesiredAbort
}

func TestAbortAndRelease(t *testing.T) {
	r := newRig(t)
	h, addr, _ := r.hub("a")
	m, _ := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })

	r.until("the run is acked", func() bool { return r.plane.row(id).acked == 1 })
	r.plane.want(id, flow.DesiredAbort)
	h.Wake([]string{"east"})
	r.until("the abort is wanted", func() bool { return r.aborted(id) })
	r.until("the abort is acked", func() bool { return r.plane.row(id).acked == 2 })
	if fw := r.workflow(id, 1); fw.Spec.Revision != 2 || fw.Spec.Cause == "" {
		t.Errorf("spec is at revision %d with cause %q", fw.Spec.Revision, fw.Spec.Cause)
	}
	r.until("the gate is shut for it", func() bool { _, _, ok := m.MayStart(id, epoch1); return !ok })

	never := r.plane.place("never", run)
	r.plane.want(never, flow.DesiredAbort)
	r.until("an unknown one is made to be aborted", func() bool { return r.aborted(never) })

	moved := r.plane.place("moved", run)
	r.until("it is acked", func() bool { return r.plane.row(moved).acked == 1 })
	r.plane.want(moved, flow.DesiredGone)
	r.until("its end is wanted", func() bool { return r.aborted(moved) })
	if r.plane.row(moved).acked != 1 {
		t.Fatal("a release was acked before its workers had drained")
	}
	r.status(moved, 1, func(s *v1alpha1.FlyteWorkflowStatus) { s.Sequence, s.PhaseSequence, s.Phase = 1, 1, "ABORTED" })
	r.until("the release is acked", func() bool { return r.plane.row(moved).acked == 2 })
}

// An idle session costs the database nothing of its own: its hub looks for all.
// That what waits without a wake is delivered, TestAbortAndRelease shows.
func TestAnIdleSessionReadsNothing(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	r.member(addr)
	id := r.plane.place("one", run)
	r.until("the run is acked", func() bool { return r.plane.row(id).acked == 1 })
	var looks, reads int
	count := func(looks, reads *int) {
		r.plane.set(func(p *plane) { *looks, *reads = p.looks, p.reads })
	}
	count(&looks, &reads)
	var nowLooks, nowReads int
	r.until("the hub has looked for the time of three sweeps", func() bool { count(&nowLooks, &nowReads); return nowLooks >= looks+6 })
	if nowReads > reads+1 { // a look before the ack may have been right
		t.Errorf("%d reads of the outbox while nothing waited", nowReads-reads)
	}
}

// A row may be sent once more though its work has ended: the ack was lost, or a
// backup restored. The tombstone says that it has ended.
func TestAFinishedPlacementIsNeverRunAgain(t *testing.T) {
	r := newRig(t)
	h, addr, _ := r.hub("a")
	r.member(addr)
	id := r.plane.place("one", run)
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	r.status(id, 1, finish)
	r.until("the end is recorded, and the member has noted it", func() bool {
		fw := r.workflow(id, 1)
		return r.plane.row(id).phase == flow.ExecutionSucceeded && (fw == nil || fw.Annotations[v1alpha1.AnnotationAcked] == "3")
	})
	r.until("the run is acked", func() bool { return r.plane.row(id).acked == 1 })
	r.plane.set(func(p *plane) { p.rows[id].acked = 0 })
	h.Wake([]string{"east"})
	r.until("it is acked again", func() bool { return r.plane.row(id).acked == 1 })
	if fw := r.workflow(id, 1); fw == nil || fw.Status.Phase != "SUCCEEDED" {
		t.Fatal("what has ended was made anew, and would run again")
	}
}

func TestManyEventsOfOneExecutionArriveWhole(t *testing.T) {
	r := newRig(t)
	calls := 0
	r.plane.ingest = func() (err error) { // the first batch is committed, the second breaks the session
		r.plane.set(func(*plane) {
			if calls++; calls == 2 {
				err = fault.E(fault.Internal, "the disk is on fire")
			}
		})
		return err
	}
	_, addr, _ := r.hub("a")
	r.member(addr)
	id := r.plane.place("wide", run)
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	const nodes = 1700
	r.status(id, 1, func(s *v1alpha1.FlyteWorkflowStatus) {
		finish(s)
		for i := range nodes - 1 {
			s.Nodes["m"+strconv.Itoa(i)] = v1alpha1.NodeStatus{Sequence: 2, Phase: int32(flow.NodeSucceeded)}
		}
	})
	r.until("the end is recorded", func() bool { return r.plane.row(id).phase == flow.ExecutionSucceeded })
	r.plane.set(func(p *plane) {
		seen := map[string]bool{}
		for _, e := range p.events {
			seen[e.Node] = true
		}
		if len(seen) != nodes+1 || p.events[len(p.events)-1].Kind != flow.EventWorkflow {
			t.Errorf("events of %d nodes came, want %d, and the workflow's last", len(seen)-1, nodes)
		}
	})
}

func TestALogIsReadThroughACallOfItsOwn(t *testing.T) {
	r := newRig(t)
	h, addr, _ := r.hub("a")
	r.member(addr)
	id := r.plane.place("one", run)
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	log, err := h.ReadLog(t.Context(), "east", &skeinv1.LogRequest{
		Execution: &skeinv1.ExecutionRef{Project: "proj", Domain: "dev", Name: "one"}, Pod: "one-n0-0", LimitBytes: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if b, err := io.ReadAll(log); err != nil || string(b) != "fake" {
		t.Errorf("read %q, %v; want the first four bytes of client-go's fake log", b, err)
	}
	if _, err := h.ReadLog(t.Context(), "nowhere", &skeinv1.LogRequest{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a log of an unknown cluster: %v, want NotFound", err)
	}
}

// TestALogThatIsNotThere: what the API server says reaches the reader as its
// kind, not as a road that is out of order.
func TestALogThatIsNotThere(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for _, c := range []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"the pod is gone", apierrors.NewNotFound(pods, "one-n0-0"), fault.NotFound},
		{"the container waits to start", apierrors.NewBadRequest("container is waiting to start: ContainerCreating"), fault.Precondition},
		{"the node does not answer", apierrors.NewInternalError(errors.New("dial tcp: connection refused")), fault.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.pods.PrependReactor("get", "pods/log", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, c.err })
			h, addr, _ := r.hub("a")
			r.member(addr)
			id := r.plane.place("one", run)
			r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
			log, err := h.ReadLog(t.Context(), "east", &skeinv1.LogRequest{
				Execution: &skeinv1.ExecutionRef{Project: "proj", Domain: "dev", Name: "one"}, Pod: "one-n0-0",
			})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			if b, err := io.ReadAll(log); !fault.Is(err, c.want) {
				t.Errorf("read %q, %v; want %s", b, err, c.want)
			}
		})
	}
}

func TestOneTraceGoesDownTheRoad(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	old := otel.GetTracerProvider()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	t.Cleanup(func() { otel.SetTracerProvider(old) })
	r := newRig(t)
	_, addr, _ := r.hub("a")
	r.member(addr)
	traced := *run
	traced.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	id := r.plane.place("one", &traced)
	r.until("the assignment is acked", func() bool { return r.plane.row(id).acked == 1 })
	found := map[string]bool{}
	for _, s := range spans.Ended() {
		if s.SpanContext().TraceID().String() == "0af7651916cd43dd8448eb211c80319c" {
			found[s.Name()] = true
		}
	}
	if !found["hub.deliver"] || !found["member.apply"] {
		t.Errorf("spans %v, want hub.deliver and member.apply in the execution's trace", found)
	}
}
