package member

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"

	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
)

// Bounds of what is told in REBUILD. A message is sent as soon as it is larger
// than a part: with bulkQueue of them waiting, a member holds a few MiB of them,
// and one execution more.
const (
	tellPart   = 1 << 20
	maxClosure = 20 << 20 // unpacked; as much as came in one assignment
)

// tells answers what a hub asks in REBUILD: it sends what is held whole, as the
// API server has it. What cannot be read ends the session, and the next one
// reports again; what does not exist any more is left out.
func (m *Member) tells(ctx context.Context, l *link) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case held := <-l.asked:
			if err := m.tell(ctx, l, held); err != nil {
				return err
			}
		}
	}
}

func (m *Member) tell(ctx context.Context, l *link, held []flow.Held) error {
	part := &skeinv1.Holdings{}
	for _, h := range held {
		var fw v1alpha1.FlyteWorkflow
		err := m.o.Reader.Get(ctx, Name(h.Execution, h.Epoch), &fw)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if executionOf(&fw) != h.Execution || epochOf(&fw) != h.Epoch {
			continue
		}
		a, err := Assignment(&fw)
		if err != nil {
			return err
		}
		part.List = append(part.List, codec.HoldingTo(flow.Holding{Held: heldOf(&fw), Assignment: a}))
		if proto.Size(part) > tellPart {
			if err := l.holdings(ctx, part); err != nil {
				return err
			}
			part = &skeinv1.Holdings{}
		}
	}
	part.Last = true
	return l.holdings(ctx, part)
}

// holdings waits until there is room for one more message.
func (l *link) holdings(ctx context.Context, part *skeinv1.Holdings) error {
	select {
	case l.bulk <- &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Holdings{Holdings: part}}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Assignment reads back what a FlyteWorkflow was rendered from, as far as it is
// there: the limit of moves and the kind of a movable execution's failover are
// not, nor is the reference to a closure that it holds itself. A tombstone of
// what never was here has no Run.
func Assignment(fw *v1alpha1.FlyteWorkflow) (flow.Assignment, error) {
	s := &fw.Spec
	closure, err := unpack(s.Closure)
	if err != nil {
		return flow.Assignment{}, fault.Wrap(fault.Internal, err, "closure of FlyteWorkflow %s", fw.Name)
	}
	nodes, err := v1alpha1.RecoveredNodes(s.Recovery)
	if err != nil {
		return flow.Assignment{}, fault.Wrap(fault.Internal, err, "recovery of FlyteWorkflow %s", fw.Name)
	}
	if leaving(fw) && s.Workflow.Name == "" { // a tombstone of what never was here
		return flow.Assignment{Execution: executionOf(fw), Epoch: epochOf(fw), Incarnation: uint64(s.Incarnation), Revision: uint64(s.Revision),
			Desired: desiredOf(fw), Cause: s.Cause}, nil
	}
	run := &flow.Run{
		Workflow: flow.EntityID(s.Workflow), LaunchPlan: flow.EntityID(s.LaunchPlan),
		Closure: closure, ClosureURI: s.ClosureURI, ClosureDigest: s.ClosureDigest,
		Inputs: s.Inputs, InputsURI: s.InputsURI, Spec: s.ExecutionSpec,
		DataPrefix: s.DataPrefix, RawPrefix: s.RawPrefix,
		CreatedAt: s.CreatedAt.UTC(), Trace: s.Traceparent,
		Failover: flow.Failover{Strict: s.Strict}, Recovery: recovered(nodes),
	}
	if s.Pinned {
		run.Failover.Mode = flow.FailoverNever
	}
	a := flow.Assignment{
		Execution: executionOf(fw), Epoch: epochOf(fw), Incarnation: uint64(s.Incarnation), Revision: uint64(s.Revision),
		Desired: desiredOf(fw), Run: run,
	}
	if a.Desired != flow.DesiredRun {
		a.Cause = s.Cause
	}
	return a, nil
}

func recovered(nodes []v1alpha1.RecoveredNode) (r flow.Recovery) {
	for _, n := range nodes {
		node := flow.RecoveredNode{
			Node: n.Node, Parent: n.Parent, Phase: flow.NodePhase(n.Phase), OutputURI: n.OutputURI,
			NextAttempt: uint32(n.NextAttempt), Charged: uint32(n.Charged), Checkpoint: n.Checkpoint,
		}
		if n.StartedAt != nil {
			node.StartedAt = n.StartedAt.UTC()
		}
		if e := n.Error; e != nil {
			node.Error, _ = wire.Marshal(&core.ExecutionError{Code: e.Code, Message: e.Message, ErrorUri: e.URI, // texts can always be written
				Kind: core.ExecutionError_ErrorKind(core.ExecutionError_ErrorKind_value[e.Kind])})
		}
		r.Nodes = append(r.Nodes, node)
	}
	return r
}

// unpack undoes pack.
func unpack(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, maxClosure+1))
	if err == nil && len(out) > maxClosure {
		err = fault.E(fault.Exhausted, "it is larger than %d bytes", maxClosure)
	}
	return out, err
}
