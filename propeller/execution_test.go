package propeller_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/propeller"
)

func TestAFanOutSucceeds(t *testing.T) {
	r := newRig(t)
	begun := time.Now()
	wf := r.ended(r.submit("fan", fanOut(3, 0)), flow.ExecutionSucceeded)
	t.Logf("5 nodes in 3 layers took %s, %d status writes", time.Since(begun), wf.Status.Sequence)
	// x=1; n0=2; n1…n3=3 each; last=10.
	if got := r.output(wf); got != 10 {
		t.Errorf("the workflow gave %d, want 10", got)
	}
	for _, id := range []string{"start-node", "n0", "n1", "n2", "n3", "last", "end-node"} {
		if n := wf.Status.Nodes[id]; flow.NodePhase(n.Phase) != flow.NodeSucceeded || n.EndedAt == nil || n.Sequence == 0 {
			t.Errorf("%s: %+v", id, n)
		}
	}
	pod := &corev1.Pod{}
	if err := r.client.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: "fan-n0-0"}, pod); err != nil {
		t.Fatal(err)
	}
	if pod.Labels["team"] != "blue" || pod.Labels[v1alpha1.LabelNode] != "n0" || !metav1.IsControlledBy(pod, wf) {
		t.Errorf("pod: %v %v", pod.Labels, pod.OwnerReferences)
	}
}

func TestFailedAttemptsAreTriedAgain(t *testing.T) {
	r := newRig(t)
	r.fate("retry-n0-0", func(p *corev1.Pod) { ends(p, 1, "Error") })
	r.fate("retry-n1-0", func(p *corev1.Pod) { ends(p, 137, "Error") })
	r.fate("retry-n2-0", func(p *corev1.Pod) { ends(p, 0, "Completed") }) // without outputs
	wf := r.ended(r.submit("retry", fanOut(2, 1)), flow.ExecutionSucceeded)
	for node, code := range map[string]string{"n0": "Error", "n1": "Interrupted", "n2": "OutputsNotFound"} {
		n := wf.Status.Nodes[node]
		if len(n.Attempts) != 2 || n.Attempts[0].Error == nil || n.Attempts[0].Error.Code != code {
			t.Errorf("%s: %+v", node, n.Attempts)
		}
	}
	if s := wf.Status.Nodes["n1"].SystemFailures; s != 1 {
		t.Errorf("%d system failures, want 1", s)
	}
}

func TestErrorFilesHaveTheLastWord(t *testing.T) {
	r := newRig(t)
	r.fate("bad-n0-0", func(p *corev1.Pod) {
		doc, _ := proto.Marshal(&core.ErrorDocument{Error: &core.ContainerError{Code: "USER:Value", Message: "no", Origin: core.ExecutionError_USER}})
		if err := r.store.Write(context.Background(), p.Spec.Containers[0].Args[1]+"/error.pb", doc); err != nil {
			t.Error(err)
		}
		r.succeed(p)
	})
	wf := r.ended(r.submit("bad", fanOut(1, 3)), flow.ExecutionFailed)
	if e := wf.Status.Error; e == nil || e.Code != "USER:Value" || e.Kind != "USER" {
		t.Errorf("error: %+v", e)
	}
}

func TestAnAbortLeavesNothingRunning(t *testing.T) {
	r := newRig(t)
	r.fate("stop-n0-0", runs)
	wf := r.submit("stop", fanOut(2, 0))
	wf = r.await(wf, "n0 runs", func(w *v1alpha1.FlyteWorkflow) bool {
		return flow.NodePhase(w.Status.Nodes["n0"].Phase) == flow.NodeRunning
	})
	wf.Spec.Desired, wf.Spec.Cause, wf.Spec.Revision = v1alpha1.DesiredAbort, "enough", 2
	if err := r.client.Patch(t.Context(), wf, client.MergeFrom(&v1alpha1.FlyteWorkflow{ObjectMeta: wf.ObjectMeta})); err != nil {
		t.Fatal(err)
	}
	wf = r.ended(wf, flow.ExecutionAborted)
	if wf.Status.ObservedRevision != 2 || wf.Status.Error.Message != "enough" {
		t.Errorf("status: %+v", wf.Status)
	}
	var pods corev1.PodList
	if err := r.client.List(t.Context(), &pods, client.InNamespace(r.namespace)); err != nil || len(pods.Items) > 0 {
		t.Errorf("%d pods are left, %v", len(pods.Items), err)
	}
}

// A member makes such an object of what is to leave its cluster and never was
// there: it names no workflow, and is to be aborted.
func TestATombstoneOfNothingEnds(t *testing.T) {
	r := newRig(t)
	wf := r.assigned("never", fanOut(1, 0))
	s := &wf.Spec
	wf.Spec = v1alpha1.FlyteWorkflowSpec{Execution: s.Execution, Era: s.Era, Epoch: s.Epoch, Incarnation: s.Incarnation, Revision: 3,
		Desired: v1alpha1.DesiredAbort, Cause: "moved away", CreatedAt: s.CreatedAt}
	wf = r.ended(r.create(wf), flow.ExecutionAborted)
	if wf.Status.ObservedRevision != 3 || len(wf.Status.Nodes) > 0 {
		t.Errorf("status: %+v", wf.Status)
	}
	var pods corev1.PodList
	if err := r.client.List(t.Context(), &pods, client.InNamespace(r.namespace)); err != nil || len(pods.Items) > 0 {
		t.Errorf("%d pods were made, %v", len(pods.Items), err)
	}
}

func TestANewPropellerFindsTheWork(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.fate("again-n1-0", func(p *corev1.Pod) {
		select {
		case <-hold:
			r.succeed(p)
		default:
		}
	})
	wf := r.submit("again", fanOut(3, 0))
	r.await(wf, "n1 is queued", func(w *v1alpha1.FlyteWorkflow) bool { return len(w.Status.Nodes["n1"].Attempts) == 1 })
	r.stop()
	close(hold)
	time.Sleep(100 * time.Millisecond)
	r.start()
	wf = r.ended(wf, flow.ExecutionSucceeded)
	for id, n := range wf.Status.Nodes {
		if len(n.Attempts) > 1 {
			t.Errorf("%s was attempted %d times", id, len(n.Attempts))
		}
	}
}

func TestWithoutALeaseNothingStarts(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.fate("lease-n0-0", func(p *corev1.Pod) {
		select {
		case <-hold:
			r.succeed(p)
		default:
		}
	})
	wf := r.submit("lease", fanOut(1, 0))
	r.await(wf, "n0 is queued", func(w *v1alpha1.FlyteWorkflow) bool { return len(w.Status.Nodes["n0"].Attempts) == 1 })
	r.gate.closed.Store(true)
	close(hold)
	wf = r.await(wf, "n0 has succeeded", func(w *v1alpha1.FlyteWorkflow) bool {
		return flow.NodePhase(w.Status.Nodes["n0"].Phase) == flow.NodeSucceeded
	})
	time.Sleep(300 * time.Millisecond)
	r.await(wf, "n1 has not started", func(w *v1alpha1.FlyteWorkflow) bool { return len(w.Status.Nodes["n1"].Attempts) == 0 })
	r.gate.closed.Store(false)
	r.wake()
	r.ended(wf, flow.ExecutionSucceeded)
}

// shutting shuts the gate before the first inputs of a node other than n0 are
// written: within the step that starts it, which the gate has let pass.
type shutting struct {
	propeller.Blobs
	gate atomic.Pointer[gate]
	once sync.Once
	met  chan struct{}
}

func (s *shutting) Write(ctx context.Context, uri string, data []byte) error {
	if g := s.gate.Load(); g != nil && strings.HasSuffix(uri, "/inputs.pb") && !strings.Contains(uri, "/n0/") {
		s.once.Do(func() { g.closed.Store(true); close(s.met) })
	}
	return s.Blobs.Write(ctx, uri, data)
}

func TestALeaseThatEndsWithinAStepStartsNoMore(t *testing.T) {
	before := &shutting{met: make(chan struct{})}
	r := newRigBefore(t, func(b propeller.Blobs) propeller.Blobs { before.Blobs = b; return before })
	before.gate.Store(r.gate)
	wf := r.submit("within", fanOut(8, 0))
	select {
	case <-before.met:
	case <-time.After(30 * time.Second):
		t.Fatal("n1 to n8 were not begun")
	}
	time.Sleep(300 * time.Millisecond)
	var pods corev1.PodList
	if err := r.client.List(t.Context(), &pods, client.InNamespace(r.namespace)); err != nil || len(pods.Items) != 1 {
		t.Errorf("%d pods were made, want only n0's: %v", len(pods.Items), err)
	}
	r.await(wf, "n1 is as if it had not begun", func(w *v1alpha1.FlyteWorkflow) bool { return len(w.Status.Nodes["n1"].Attempts) == 0 })
	r.gate.closed.Store(false)
	r.wake()
	r.ended(wf, flow.ExecutionSucceeded)
}

func TestADeletedObjectTakesItsPodsAlong(t *testing.T) {
	r := newRig(t)
	r.fate("gone-n1-0", runs)
	wf := r.submit("gone", fanOut(2, 0))
	r.await(wf, "n1 runs", func(w *v1alpha1.FlyteWorkflow) bool {
		return flow.NodePhase(w.Status.Nodes["n1"].Phase) == flow.NodeRunning
	})
	if err := r.client.Delete(t.Context(), wf); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := r.client.Get(t.Context(), client.ObjectKeyFromObject(wf), &v1alpha1.FlyteWorkflow{})
		if apierrors.IsNotFound(err) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the object is still there")
		}
	}
	var pods corev1.PodList
	if err := r.client.List(t.Context(), &pods, client.InNamespace(r.namespace)); err != nil || len(pods.Items) > 0 {
		t.Errorf("%d pods are left, %v", len(pods.Items), err)
	}
}

func TestALargeStatusIsCompressed(t *testing.T) {
	r := newRig(t)
	begun := time.Now()
	wf := r.ended(r.submit("wide", fanOut(600, 0), 300), flow.ExecutionSucceeded)
	t.Logf("602 tasks took %s, %d status writes", time.Since(begun), wf.Status.Sequence)
	nodes, err := v1alpha1.Nodes(&wf.Status)
	if err != nil || len(wf.Status.CompressedNodes) == 0 || len(nodes) != 604 {
		t.Errorf("%d nodes, %d bytes compressed, %v", len(nodes), len(wf.Status.CompressedNodes), err)
	}
	if got := r.output(wf); got != 600*3+1 {
		t.Errorf("the workflow gave %d", got)
	}
}
