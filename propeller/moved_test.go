package propeller_test

import (
	"slices"
	"strings"
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
	"github.com/skein-project/skein/propeller/workflow"
)

// TestAMovedRunGoesOn: n0 succeeded in another cluster and n1 ran there; here n0
// is only read, and n1 runs again.
func TestAMovedRunGoesOn(t *testing.T) {
	r := newRig(t)
	closure := fanOut(1, 0)
	c := closure.Tasks[0].Template.GetContainer()
	c.Args = append(c.Args, "{{.prevCheckpointPrefix}}")
	wf := r.assigned("moved", closure)
	wf.Name, wf.Spec.Epoch = "moved-e2", 2
	old := wf.Spec.DataPrefix + "/n0/data/0/outputs.pb"
	data, err := proto.Marshal(&core.LiteralMap{Literals: map[string]*core.Literal{"o0": integer(40)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.Write(t.Context(), old, data); err != nil {
		t.Fatal(err)
	}
	wf.Spec.Recovery = &v1alpha1.Recovery{Nodes: []v1alpha1.RecoveredNode{
		{Node: "n0", Phase: int32(flow.NodeSucceeded), OutputURI: old, NextAttempt: 1},
		{Node: "n1", NextAttempt: 1, Checkpoint: "/somewhere/else"},
	}}
	wf = r.ended(r.create(wf), flow.ExecutionSucceeded)
	if got := r.output(wf); got != 42 {
		t.Errorf("the workflow gave %d, want 42", got)
	}
	if !strings.HasPrefix(wf.Status.OutputURI, wf.Spec.DataPrefix+"/e2/") {
		t.Errorf("outputs lie at %s", wf.Status.OutputURI)
	}
	n0, n1 := wf.Status.Nodes["n0"], wf.Status.Nodes["n1"]
	if n0.Sequence != 0 || n0.OutputURI != old || len(n1.Attempts) != 2 || n1.Attempts[0].Sequence != 0 || n1.Checkpoint == "" {
		t.Errorf("n0 is %+v\nn1 %+v", n0, n1)
	}
	var pods corev1.PodList
	if err := r.client.List(t.Context(), &pods, client.InNamespace(r.namespace)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, p.Name)
		if p.Labels[v1alpha1.LabelEra] != "1" || p.Labels[v1alpha1.LabelEpoch] != "2" || p.Labels[v1alpha1.LabelIncarnation] != "7" {
			t.Errorf("%s has the labels %v", p.Name, p.Labels)
		}
		if p.Name == "moved-e2-n1-1" && p.Spec.Containers[0].Args[2] != "/somewhere/else" {
			t.Errorf("n1 has the arguments %v", p.Spec.Containers[0].Args)
		}
	}
	if slices.Sort(names); strings.Join(names, " ") != "moved-e2-last-0 moved-e2-n1-1" {
		t.Errorf("pods are %v", names)
	}
}

// TestStrictPodsEndBeforeTheLease and what is left runs when it is back.
func TestStrictPodsEndBeforeTheLease(t *testing.T) {
	r := newRig(t)
	r.fate("strict-n0-0", runs)
	wf := r.assigned("strict", fanOut(1, 0))
	wf.Spec.Strict = true
	by := time.Now().Add(time.Hour)
	r.gate.by.Store(&by)
	wf = r.create(wf)
	r.await(wf, "n0 runs", func(w *v1alpha1.FlyteWorkflow) bool {
		return flow.NodePhase(w.Status.Nodes["n0"].Phase) == flow.NodeRunning
	})
	var pod corev1.Pod
	key := client.ObjectKey{Namespace: r.namespace, Name: "strict-n0-0"}
	if err := r.client.Get(t.Context(), key, &pod); err != nil || *pod.Spec.TerminationGracePeriodSeconds != 2 {
		t.Fatalf("its grace is %v, %v", pod.Spec.TerminationGracePeriodSeconds, err)
	}
	soon := time.Now().Add(4 * time.Second) // less grace and margin: a second
	r.gate.by.Store(&soon)
	r.wake()
	r.await(wf, "n0 was stopped", func(w *v1alpha1.FlyteWorkflow) bool {
		a := w.Status.Nodes["n0"].Attempts[0]
		return a.Phase == int32(flow.TaskAborted) && a.Error.Code == workflow.Lapsed
	})
	if err := r.client.Get(t.Context(), key, &pod); !apierrors.IsNotFound(err) {
		t.Errorf("its pod is still there: %v", err)
	}
	back := time.Now().Add(time.Hour)
	r.gate.by.Store(&back)
	r.wake()
	wf = r.ended(wf, flow.ExecutionSucceeded)
	if n0 := wf.Status.Nodes["n0"]; len(n0.Attempts) != 2 || n0.SystemFailures != 0 {
		t.Errorf("n0 is %+v", n0)
	}
}

// TestStraysOfAnEndedExecutionAreStopped: a propeller dies between the record of
// an end and the stop of what lingers, or a request that it gave up is carried
// out after that.
func TestStraysOfAnEndedExecutionAreStopped(t *testing.T) {
	r := newRig(t)
	wf := r.ended(r.submit("ends", fanOut(0, 0)), flow.ExecutionSucceeded)
	stray := func(name string) *corev1.Pod {
		yes := true
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace,
			Labels: map[string]string{v1alpha1.LabelManaged: "true", v1alpha1.LabelExecution: "ends"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "FlyteWorkflow",
				Name: wf.Name, UID: wf.UID, Controller: &yes}}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "side", Image: "x"}}}}
		r.fate(name, runs)
		if err := r.client.Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		return pod
	}
	gone := func(pod *corev1.Pod) {
		r.await(wf, pod.Name+" is gone", func(*v1alpha1.FlyteWorkflow) bool {
			return apierrors.IsNotFound(r.client.Get(t.Context(), client.ObjectKeyFromObject(pod), &corev1.Pod{}))
		})
	}
	gone(stray("made-late"))
	r.stop()
	left := stray("left-over")
	r.start()
	gone(left)
	if err := r.client.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: "ends-n0-0"}, &corev1.Pod{}); err != nil {
		t.Errorf("what has ended is kept: %v", err)
	}
}
