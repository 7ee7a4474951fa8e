package member_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
	"github.com/skein-project/skein/federation/member"
)

func at(second int) *metav1.MicroTime {
	t := metav1.NewMicroTime(time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC))
	return &t
}

// sample is a run with a sub-workflow, a retried task and an end.
func sample() *v1alpha1.FlyteWorkflow {
	return &v1alpha1.FlyteWorkflow{
		ObjectMeta: metav1.ObjectMeta{Name: "abc-e2", Namespace: "proj-dev"},
		Spec:       v1alpha1.FlyteWorkflowSpec{Execution: v1alpha1.ExecutionRef{Project: "proj", Domain: "dev", Name: "abc"}, Era: 1, Epoch: 2},
		Status: v1alpha1.FlyteWorkflowStatus{
			Sequence: 9, ObservedRevision: 4, Phase: "SUCCEEDED", PhaseSequence: 9, StartedAt: at(1), EndedAt: at(9), OutputURI: "s3://b/abc/out",
			Nodes: map[string]v1alpha1.NodeStatus{
				"start-node":        {Sequence: 1, Phase: int32(flow.NodeSucceeded)},
				"n0-0-start-node":   {Sequence: 1, Phase: int32(flow.NodeSucceeded), SpecID: "start-node", Parent: "n0"},
				"n0":                {Sequence: 8, Phase: int32(flow.NodeSucceeded), IsParent: true, StartedAt: at(2), EndedAt: at(8)},
				"n0-0-n1":           {Sequence: 7, Phase: int32(flow.NodeSucceeded), SpecID: "n1", Parent: "n0", RetryGroup: "0", Name: "task", QueuedAt: at(2), StartedAt: at(3), EndedAt: at(7), InputURI: "in", OutputURI: "out", DeckURI: "deck", Checkpoint: "cp", Uncharged: 1, Target: &v1alpha1.Target{Kind: 1, EntityRef: v1alpha1.EntityRef{Project: "proj", Domain: "dev", Name: "t", Version: "v"}}, TaskType: "container", Attempts: attempts()},
				"n2":                {Sequence: 3, Phase: int32(flow.NodeSkipped)},
				"n3-not-decided":    {Sequence: 9},
				"n0-0-n1-end-child": {Sequence: 2, Phase: int32(flow.NodeRunning), SpecID: "x", Parent: "n0-0-n1", StartedAt: at(4)},
			},
		},
	}
}

func attempts() []v1alpha1.AttemptStatus {
	return []v1alpha1.AttemptStatus{
		{Phase: int32(flow.TaskAborted)}, // of an earlier epoch, and reported there
		{Sequence: 5, Phase: int32(flow.TaskRetryableFailed), Object: "abc-n0-0-n1-0", Plugin: "container", QueuedAt: at(3), StartedAt: at(4), EndedAt: at(5), Reason: "evicted", Error: &v1alpha1.Error{Code: "Interrupted", Message: "gone", Kind: "SYSTEM"}},
		{Sequence: 7, Phase: int32(flow.TaskSucceeded), Version: 2, Object: "abc-n0-0-n1-1", Plugin: "container", StartedAt: at(6), EndedAt: at(7), OutputURI: "out", Logs: []v1alpha1.LogLink{{Name: "log", URI: "http://l"}}},
	}
}

func TestEventsInOrder(t *testing.T) {
	for _, tc := range []struct {
		name  string
		acked uint64
		want  string
	}{
		{"all of it", 0, "node n2 SKIPPED 3|node n0 SUCCEEDED 8|node n0-0-n1 SUCCEEDED 7|task n0-0-n1/1 FAILED 5|task n0-0-n1/2 SUCCEEDED 7|workflow SUCCEEDED 9"},
		{"what is above the acked", 6, "node n0 SUCCEEDED 8|node n0-0-n1 SUCCEEDED 7|task n0-0-n1/2 SUCCEEDED 7|workflow SUCCEEDED 9"},
		{"the end alone", 8, "workflow SUCCEEDED 9"},
		{"nothing", 9, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fw := sample()
			delete(fw.Status.Nodes, "n0-0-n1-end-child")
			events, err := member.Events(fw, tc.acked)
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(events); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			for _, e := range events {
				if e.Revision != 4 || e.Epoch != (flow.Epoch{Era: 1, N: 2}) {
					t.Errorf("%+v: want the observed revision and the epoch", e)
				}
			}
		})
	}
}

func lines(events []flow.Event) string {
	var out []string
	for _, e := range events {
		switch e.Kind {
		case flow.EventWorkflow:
			out = append(out, fmt.Sprintf("workflow %s %d", flow.ExecutionPhase(e.Phase), e.Sequence))
		case flow.EventNode:
			out = append(out, fmt.Sprintf("node %s %s %d", e.Node, flow.NodePhase(e.Phase), e.Sequence))
		case flow.EventTask:
			out = append(out, fmt.Sprintf("task %s/%d %s %d", e.Node, e.Attempt, flow.TaskPhase(e.Phase), e.Sequence))
		}
	}
	return strings.Join(out, "|")
}

func TestParentsComeBeforeTheirChildren(t *testing.T) {
	events, err := member.Events(sample(), 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"": true}
	for _, e := range events {
		if e.Kind == flow.EventNode {
			if !seen[e.Parent] {
				t.Errorf("%s comes before its parent %s", e.Node, e.Parent)
			}
			seen[e.Node] = true
		} else if !seen[e.Node] {
			t.Errorf("attempt %d comes before its node %s", e.Attempt, e.Node)
		}
	}
}

func TestRunningIsToldFirst(t *testing.T) {
	fw := sample()
	fw.Status.Phase = "RUNNING"
	events, err := member.Events(fw, 0)
	if err != nil || events[0].Kind != flow.EventWorkflow || !events[0].OccurredAt.Equal(at(1).Time) {
		t.Errorf("first %+v, %v", events[0], err)
	}
	for _, phase := range []string{"QUEUED", "ABORTING", ""} {
		fw.Status.Phase = phase
		events, _ := member.Events(fw, 0)
		for _, e := range events {
			if e.Kind == flow.EventWorkflow {
				t.Errorf("phase %q is reported", phase)
			}
		}
	}
}

func TestCompressedNodesAreReadAlike(t *testing.T) {
	fw := sample()
	want, err := member.Events(fw, 0)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(fw.Status.Nodes)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	w.Close()
	fw.Status.Nodes, fw.Status.CompressedNodes = nil, b.Bytes()
	got, err := member.Events(fw, 0)
	if err != nil || lines(got) != lines(want) {
		t.Errorf("got\n%s, %v\nwant\n%s", lines(got), err, lines(want))
	}
	fw.Status.CompressedNodes = []byte("junk")
	if _, err := member.Events(fw, 0); err == nil {
		t.Error("junk is read")
	}
}

func TestDetails(t *testing.T) {
	events, err := member.Events(sample(), 0)
	if err != nil {
		t.Fatal(err)
	}
	find := func(kind flow.EventKind, node string, attempt uint32) flow.Event {
		for _, e := range events {
			if e.Kind == kind && e.Node == node && e.Attempt == attempt {
				return e
			}
		}
		t.Fatalf("no event of kind %d, node %s, attempt %d", kind, node, attempt)
		return flow.Event{}
	}
	var n event.NodeExecutionEvent
	read(t, find(flow.EventNode, "n0-0-n1", 0), &n)
	if n.GetSpecNodeId() != "n1" || n.GetParentNodeMetadata().GetNodeId() != "n0" || n.GetRetryGroup() != "0" || n.GetNodeName() != "task" ||
		n.GetInputUri() != "in" || n.GetOutputUri() != "out" || n.GetDeckUri() != "deck" || n.GetTaskNodeMetadata().GetCheckpointUri() != "cp" || n.GetEventVersion() != 1 || n.GetIsParent() ||
		n.GetTargetEntity().GetResourceType() != core.ResourceType_TASK || n.GetId().GetExecutionId().GetName() != "abc" ||
		!n.GetOccurredAt().AsTime().Equal(at(7).Time) || n.GetReportedAt() == nil {
		t.Errorf("node event %s", protojson.Format(&n))
	}
	var failed, done event.TaskExecutionEvent
	first := find(flow.EventTask, "n0-0-n1", 1)
	read(t, first, &failed)
	if failed.GetPhase() != core.TaskExecution_FAILED || failed.GetError().GetKind() != core.ExecutionError_SYSTEM || failed.GetReasons()[0].GetReason() != "evicted" ||
		!first.QueuedAt.Equal(at(3).Time) || !first.StartedAt.Equal(at(4).Time) || !first.EndedAt.Equal(at(5).Time) {
		t.Errorf("task event %s of %+v", protojson.Format(&failed), first)
	}
	read(t, find(flow.EventTask, "n0-0-n1", 2), &done)
	if done.GetRetryAttempt() != 2 || done.GetPhaseVersion() != 2 || done.GetOutputUri() != "out" || done.GetTaskType() != "container" ||
		done.GetMetadata().GetGeneratedName() != "abc-n0-0-n1-1" || done.GetMetadata().GetPluginIdentifier() != "container" ||
		done.GetLogs()[0].GetUri() != "http://l" || done.GetTaskId().GetName() != "t" || done.GetParentNodeExecutionId().GetNodeId() != "n0-0-n1" {
		t.Errorf("task event %s", protojson.Format(&done))
	}
	var w event.WorkflowExecutionEvent
	read(t, find(flow.EventWorkflow, "", 0), &w)
	if w.GetOutputUri() != "s3://b/abc/out" || w.GetPhase() != core.WorkflowExecution_SUCCEEDED {
		t.Errorf("workflow event %s", protojson.Format(&w))
	}
}

func read(t *testing.T, e flow.Event, m proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(e.Detail, m); err != nil {
		t.Fatal(err)
	}
}

func TestCapacityIsWhatReadyNodesOffer(t *testing.T) {
	node := func(cpu string, status corev1.ConditionStatus, cordoned bool) corev1.Node {
		return corev1.Node{
			Spec: corev1.NodeSpec{Unschedulable: cordoned},
			Status: corev1.NodeStatus{
				Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}},
				Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("1Gi"), "nvidia.com/gpu": resource.MustParse("2")},
			},
		}
	}
	sum, largest := member.Capacity([]corev1.Node{
		node("2", corev1.ConditionTrue, false), node("500m", corev1.ConditionTrue, false),
		node("64", corev1.ConditionFalse, false), node("64", corev1.ConditionTrue, true), {},
	})
	if sum != (flow.Resources{MilliCPU: 2500, Memory: 2 << 30, GPUs: 4}) || largest != (flow.Resources{MilliCPU: 2000, Memory: 1 << 30, GPUs: 2}) {
		t.Errorf("sum %+v, largest %+v", sum, largest)
	}
}
