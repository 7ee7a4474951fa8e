package member

import (
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

var tracer = otel.Tracer("github.com/skein-project/skein/federation/member")

const (
	applyTimeout = 10 * time.Second
	movedAway    = "moved away: the control plane does not place it here any more"
)

// applies writes the assignments of some executions, one after the other.
func (m *Member) applies(ctx context.Context, l *link, in <-chan flow.Assignment) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-in:
			m.applyOne(ctx, l, a)
		}
	}
}

func (m *Member) applyOne(ctx context.Context, l *link, a flow.Assignment) {
	m.mu.Lock()
	newest := m.state.Newest(a.Execution, a.Revision)
	m.mu.Unlock()
	if !newest {
		return // another one has come meanwhile
	}
	if a.Run != nil {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": a.Run.Trace})
	}
	ctx, span := tracer.Start(ctx, "member.apply", trace.WithAttributes(
		attribute.String("cluster", a.Cluster), attribute.String("execution", a.Execution.String()),
		attribute.String("epoch", a.Epoch.String()), attribute.String("desired", string(a.Desired))))
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	done, err := m.apply(ctx, a)
	switch {
	case err != nil:
		m.metrics.applied.WithLabelValues("failed").Inc()
		m.log.Warn("an assignment was not applied; it comes again", "execution", a.Execution.String(), "error", err)
		m.nack(l, a, err.Error())
	case done:
		m.metrics.applied.WithLabelValues("ok").Inc()
		m.ack(l, flow.Ack{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision})
		if a.Desired == flow.DesiredGone {
			m.step(session.Finished{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision})
		}
	default:
		m.metrics.applied.WithLabelValues("draining").Inc()
		m.drain(l, a)
		m.nack(l, a, "what it gives up has not ended yet") // acked without being asked, when it has
	}
}

// apply makes the cluster want what the assignment wants. It may be repeated.
// done is false for what must drain first.
func (m *Member) apply(ctx context.Context, a flow.Assignment) (done bool, err error) {
	switch a.Desired {
	case flow.DesiredRun, flow.DesiredAbort:
		return true, m.place(ctx, a)
	case flow.DesiredGone:
		return m.release(ctx, a)
	}
	return false, fault.E(fault.Unsupported, "the assignment wants %q", a.Desired)
}

// place makes the FlyteWorkflow, or changes what is wanted of it. An abort of
// one that is not there makes it as well: the propeller ends it without having
// started anything, and its end is reported like any other.
func (m *Member) place(ctx context.Context, a flow.Assignment) error {
	fw := Render(a)
	if err := m.create(ctx, fw); !apierrors.IsAlreadyExists(err) {
		return err
	}
	var have v1alpha1.FlyteWorkflow
	if err := m.o.Reader.Get(ctx, client.ObjectKeyFromObject(fw), &have); err != nil {
		return err
	}
	if executionOf(&have) != a.Execution || epochOf(&have) != a.Epoch {
		return fault.E(fault.Conflict, "FlyteWorkflow %s is of execution %s, epoch %s", have.Name, executionOf(&have), epochOf(&have))
	}
	m.reporter.touch(a.Execution, a.Epoch)
	if leaving(&have) && a.Desired == flow.DesiredAbort {
		// A user's abort has overtaken the move: now the abort is to be told. Its
		// revision may be lower, by a restored backup that does not know of the move.
		revision := max(int64(a.Revision), have.Spec.Revision+1)
		m.step(session.Retold{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision, Spec: uint64(revision)})
		m.reporter.again(place{a.Execution, a.Epoch}, uint64(revision))
		return m.want(ctx, &have, fw.Spec.Desired, a.Cause, revision)
	}
	if ended(&have) || have.Spec.Revision >= int64(a.Revision) && have.Spec.Desired == fw.Spec.Desired {
		return nil // a finished one is never run again: it is acked and reported
	}
	return m.want(ctx, &have, fw.Spec.Desired, a.Cause, int64(a.Revision))
}

// release ends what is to leave this cluster. It is done when nothing of it is
// left running, and the control plane has had all that it came to by itself: an
// end that was reached before the move is not lost by it.
func (m *Member) release(ctx context.Context, a flow.Assignment) (done bool, err error) {
	var list v1alpha1.FlyteWorkflowList
	err = m.o.Reader.List(ctx, &list, client.InNamespace(a.Execution.Namespace()),
		client.MatchingLabels{v1alpha1.LabelExecution: label(a.Execution.Name)})
	if err != nil {
		return false, err
	}
	done = true
	there := false
	for i := range list.Items {
		fw := &list.Items[i]
		if executionOf(fw) != a.Execution || a.Epoch.Less(epochOf(fw)) {
			continue
		}
		there = there || epochOf(fw) == a.Epoch
		if ended(fw) {
			if epochOf(fw) == a.Epoch && !m.reporter.told(fw) {
				done = false
				m.reporter.touch(a.Execution, a.Epoch)
			}
			continue
		}
		done = false
		if fw.Spec.Desired == v1alpha1.DesiredAbort {
			continue
		}
		if err := m.want(ctx, fw, v1alpha1.DesiredAbort, movedAway, int64(a.Revision)); client.IgnoreNotFound(err) != nil {
			return false, err
		}
	}
	if !there {
		return false, m.bury(ctx, a)
	}
	return done, nil
}

// bury makes a tombstone of what is to leave and never was here, or was lost: an
// object that wants nothing but its end. A creation of another process that is
// under way finds it, and makes nothing.
func (m *Member) bury(ctx context.Context, a flow.Assignment) error {
	a.Cause = movedAway
	return client.IgnoreAlreadyExists(m.create(ctx, Render(a))) // what is there by now is drained when this is tried again
}

// create makes a FlyteWorkflow, and its namespace first.
func (m *Member) create(ctx context.Context, fw *v1alpha1.FlyteWorkflow) error {
	if err := m.rooms.ensure(ctx, fw.Namespace, fw.Spec.Execution.Project, fw.Spec.Execution.Domain); err != nil {
		return err
	}
	err := m.o.Client.Create(ctx, fw)
	if apierrors.IsNotFound(err) {
		m.rooms.forget(fw.Namespace)
	}
	return err
}

// leaving reports whether a FlyteWorkflow was aborted by a planned move.
func leaving(fw *v1alpha1.FlyteWorkflow) bool {
	return fw.Spec.Desired == v1alpha1.DesiredAbort && fw.Spec.Cause == movedAway
}

// want patches what is wanted of a FlyteWorkflow. Only this process writes
// specs. A revision never sinks, and an abort is never taken back: running is
// what an object is made with, it is not patched.
func (m *Member) want(ctx context.Context, fw *v1alpha1.FlyteWorkflow, d v1alpha1.Desired, cause string, revision int64) error {
	spec := map[string]any{}
	if d == v1alpha1.DesiredAbort {
		spec["desired"], spec["cause"] = d, cause
	}
	if revision > fw.Spec.Revision {
		spec["revision"] = revision
	}
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return fault.Wrap(fault.Internal, err, "write a patch")
	}
	key := &v1alpha1.FlyteWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: fw.Namespace, Name: fw.Name}}
	return m.o.Client.Patch(ctx, key, client.RawPatch(types.MergePatchType, patch))
}

// drain remembers to look again when something of the execution has ended.
func (m *Member) drain(l *link, a flow.Assignment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link == l && m.state.Newest(a.Execution, a.Revision) {
		m.draining[a.Execution] = a
	}
}

// drained looks again at a release, one of whose FlyteWorkflows has ended.
func (m *Member) drained(id flow.ExecutionID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.draining[id]
	if !ok || m.link == nil {
		return
	}
	select {
	case m.link.worker(id) <- a:
		delete(m.draining, id)
	default: // the hub sends it again
	}
}
