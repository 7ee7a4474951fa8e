package member

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// MaxInline bounds a gzipped closure inside a FlyteWorkflow, if the object
// store has it as well.
const MaxInline = 256 << 10

// Name is the FlyteWorkflow of one placement. The era is in it only above the
// first, where the same epoch number may come a second time.
func Name(id flow.ExecutionID, e flow.Epoch) types.NamespacedName {
	name := id.Name + "-e" + strconv.FormatUint(e.N, 10)
	if e.Era > 1 {
		name += "-r" + strconv.FormatUint(e.Era, 10)
	}
	return types.NamespacedName{Namespace: id.Namespace(), Name: name}
}

// Render writes an assignment as a FlyteWorkflow. It is pure.
func Render(a flow.Assignment) *v1alpha1.FlyteWorkflow {
	name := Name(a.Execution, a.Epoch)
	run := a.Run
	if run == nil {
		run = &flow.Run{}
	}
	fw := &v1alpha1.FlyteWorkflow{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "FlyteWorkflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: name.Namespace, Name: name.Name,
			// The propeller would put it before its first step: one write less.
			Finalizers: []string{v1alpha1.Finalizer},
			Labels: map[string]string{
				v1alpha1.LabelExecution: label(a.Execution.Name),
				v1alpha1.LabelProject:   label(a.Execution.Project),
				v1alpha1.LabelDomain:    label(a.Execution.Domain),
				v1alpha1.LabelWorkflow:  label(run.Workflow.Name),
				v1alpha1.LabelEra:       strconv.FormatUint(a.Epoch.Era, 10),
				v1alpha1.LabelEpoch:     strconv.FormatUint(a.Epoch.N, 10),
				v1alpha1.LabelManaged:   "true",

				v1alpha1.LabelIncarnation: strconv.FormatUint(a.Incarnation, 10),
			},
		},
		Spec: v1alpha1.FlyteWorkflowSpec{
			Execution:   v1alpha1.ExecutionRef(a.Execution),
			Era:         int64(a.Epoch.Era),
			Epoch:       int64(a.Epoch.N),
			Incarnation: int64(a.Incarnation),
			Revision:    int64(a.Revision),
			Desired:     v1alpha1.DesiredRun,
			Workflow:    v1alpha1.EntityRef(run.Workflow),
			LaunchPlan:  v1alpha1.EntityRef(run.LaunchPlan),
			ClosureURI:  run.ClosureURI, ClosureDigest: run.ClosureDigest,
			Inputs: run.Inputs, InputsURI: run.InputsURI,
			ExecutionSpec: run.Spec,
			DataPrefix:    run.DataPrefix, RawPrefix: run.RawPrefix,
			CreatedAt:   metav1.NewMicroTime(run.CreatedAt.UTC()),
			Traceparent: run.Trace,
			Pinned:      run.Failover.Pinned(), Strict: run.Failover.Strict,
			Recovery: recovery(run.Recovery),
		},
	}
	if a.Desired != flow.DesiredRun {
		fw.Spec.Desired, fw.Spec.Cause = v1alpha1.DesiredAbort, a.Cause
	}
	if packed := pack(run.Closure); len(packed) <= MaxInline || run.ClosureURI == "" {
		fw.Spec.Closure = packed
		if len(packed) > 0 {
			fw.Spec.ClosureURI = ""
		}
	}
	return fw
}

func recovery(r flow.Recovery) *v1alpha1.Recovery {
	nodes := make([]v1alpha1.RecoveredNode, 0, len(r.Nodes))
	for _, n := range r.Nodes {
		node := v1alpha1.RecoveredNode{
			Node: n.Node, Parent: n.Parent, Phase: int32(n.Phase), OutputURI: n.OutputURI,
			NextAttempt: int32(n.NextAttempt), Charged: int32(n.Charged), Checkpoint: n.Checkpoint,
		}
		if !n.StartedAt.IsZero() {
			at := metav1.NewMicroTime(n.StartedAt.UTC())
			node.StartedAt = &at
		}
		var failed core.ExecutionError
		if len(n.Error) > 0 && proto.Unmarshal(n.Error, &failed) == nil {
			node.Error = &v1alpha1.Error{Code: failed.GetCode(), Message: failed.GetMessage(), URI: failed.GetErrorUri(), Kind: failed.GetKind().String()}
		}
		nodes = append(nodes, node)
	}
	out, _ := v1alpha1.NewRecovery(nodes) // texts and numbers can always be written
	return out
}

// pack gzips; the same bytes always give the same result.
func pack(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	var buf bytes.Buffer
	w := packers.Get().(*gzip.Writer) //nolint:forcetypeassert // nothing else is put in
	defer packers.Put(w)
	w.Reset(&buf)
	_, _ = w.Write(b) // a bytes.Buffer never fails
	_ = w.Close()
	return buf.Bytes()
}

// packers are used again: a new one takes most of a megabyte.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// label makes a string fit for a label's value.
func label(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, s)
	if len(s) > 63 {
		s = s[len(s)-63:] // the end of a workflow's name tells more than its package
	}
	return strings.Trim(s, "-_.")
}

// executionOf names the execution that a FlyteWorkflow runs.
func executionOf(fw *v1alpha1.FlyteWorkflow) flow.ExecutionID {
	return flow.ExecutionID(fw.Spec.Execution)
}

// epochOf is the epoch at which a FlyteWorkflow was placed.
func epochOf(fw *v1alpha1.FlyteWorkflow) flow.Epoch {
	return flow.Epoch{Era: uint64(fw.Spec.Era), N: uint64(fw.Spec.Epoch)}
}

// ended reports whether a FlyteWorkflow is a tombstone.
func ended(fw *v1alpha1.FlyteWorkflow) bool { return phaseOf(fw).Terminal() }

// phaseOf reads the phase that Flyte's name tells.
func phaseOf(fw *v1alpha1.FlyteWorkflow) flow.ExecutionPhase {
	for p := flow.ExecutionUndefined; p <= flow.ExecutionAborting; p++ {
		if p.String() == fw.Status.Phase {
			return p
		}
	}
	return flow.ExecutionUndefined
}
