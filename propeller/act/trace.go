package act

import (
	"context"
	"strings"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/propeller/workflow"
)

var tracer = otel.Tracer("github.com/skein-project/skein/propeller/act")

// spans holds the open span of each attempt that this process started. The
// span of an attempt that an earlier process started is made at its end.
type spans struct {
	mu   sync.Mutex
	open map[string]trace.Span
}

func remote(ctx context.Context, wf *v1alpha1.FlyteWorkflow) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": wf.Spec.Traceparent})
}

func key(wf *v1alpha1.FlyteWorkflow, object string) string { return string(wf.UID) + "/" + object }

// started opens the span of an attempt and gives its traceparent.
func (s *spans) started(ctx context.Context, cluster string, wf *v1alpha1.FlyteWorkflow, e workflow.Start) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key(wf, e.Object)
	span, there := s.open[k]
	if !there {
		_, span = tracer.Start(remote(ctx, wf), "propeller.node", attributes(cluster, wf, e.Node, e.Number))
		s.open[k] = span
	}
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), span), c)
	return c["traceparent"]
}

func attributes(cluster string, wf *v1alpha1.FlyteWorkflow, node string, attempt int) trace.SpanStartEventOption {
	e := wf.Spec.Execution
	return trace.WithAttributes(attribute.String("cluster", cluster),
		attribute.String("execution", e.Project+":"+e.Domain+":"+e.Name), attribute.Int64("epoch", wf.Spec.Epoch),
		attribute.String("node", node), attribute.Int("attempt", attempt))
}

// ended closes the spans of the attempts that a step recorded as ended, and
// makes that of the whole workflow when it has ended.
func (s *spans) ended(cluster string, wf *v1alpha1.FlyteWorkflow, before map[string]v1alpha1.NodeStatus, step *workflow.Step) {
	for id, n := range step.Nodes {
		for k, at := range n.Attempts {
			old := before[id]
			if at.EndedAt != nil && (k >= len(old.Attempts) || old.Attempts[k].EndedAt == nil) {
				s.end(cluster, wf, id, k, at)
			}
		}
	}
	if !workflow.Phase(step.Status.Phase).Terminal() || wf.Status.Phase == step.Status.Phase {
		return
	}
	ctx := remote(context.Background(), wf)
	_, span := tracer.Start(ctx, "propeller.workflow", attributes(cluster, wf, "", 0), trace.WithTimestamp(since(step.Status.StartedAt)))
	finish(span, step.Status.Phase, step.Status.Error, step.Status.EndedAt != nil && step.Status.Error != nil)
	span.End(trace.WithTimestamp(since(step.Status.EndedAt)))
}

func (s *spans) end(cluster string, wf *v1alpha1.FlyteWorkflow, node string, k int, at v1alpha1.AttemptStatus) {
	s.mu.Lock()
	span, there := s.open[key(wf, at.Object)]
	delete(s.open, key(wf, at.Object))
	s.mu.Unlock()
	if !there {
		_, span = tracer.Start(remote(context.Background(), wf), "propeller.node",
			attributes(cluster, wf, node, k), trace.WithTimestamp(since(at.QueuedAt)))
	}
	finish(span, flow.TaskPhase(at.Phase).String(), at.Error, at.Error != nil)
	if there {
		span.End() // now, when the end was seen: pods tell of theirs in whole seconds
		return
	}
	end := since(at.EndedAt)
	if queued := since(at.QueuedAt); end.Before(queued) {
		end = queued
	}
	span.End(trace.WithTimestamp(end))
}

// forget drops the spans of an object that goes.
func (s *spans) forget(wf *v1alpha1.FlyteWorkflow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.open {
		if strings.HasPrefix(k, string(wf.UID)+"/") {
			delete(s.open, k)
		}
	}
}

func finish(span trace.Span, phase string, err *v1alpha1.Error, failed bool) {
	span.SetAttributes(attribute.String("phase", phase))
	if failed {
		span.SetStatus(codes.Error, err.Code+": "+err.Message)
	}
}
