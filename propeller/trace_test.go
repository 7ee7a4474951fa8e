package propeller_test

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/flow"
)

// TestATraceGoesThrough: from the creating call to the pod's own spans.
func TestATraceGoesThrough(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() { otel.SetTracerProvider(before) })

	r := newRig(t)
	const id = "0af7651916cd43dd8448eb211c80319c"
	r.trace = "00-" + id + "-b7ad6b7169203331-01"
	wf := r.ended(r.submit("trace", fanOut(1, 0)), flow.ExecutionSucceeded)

	pod := &corev1.Pod{}
	if err := r.client.Get(t.Context(), client.ObjectKey{Namespace: wf.Namespace, Name: "trace-n0-0"}, pod); err != nil {
		t.Fatal(err)
	}
	env := pod.Spec.Containers[0].Env
	parent := env[len(env)-1]
	if parent.Name != "TRACEPARENT" || !strings.HasPrefix(parent.Value, "00-"+id) || parent.Value == r.trace {
		t.Errorf("the pod has %s=%s", parent.Name, parent.Value)
	}
	count := map[string]int{}
	for end := time.Now().Add(5 * time.Second); count["propeller.workflow"] == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		clear(count)
		for _, s := range spans.GetSpans() {
			if s.SpanContext.TraceID().String() == id {
				count[s.Name]++
			}
		}
	}
	if count["propeller.node"] != 3 || count["propeller.workflow"] != 1 {
		t.Errorf("spans: %v", count)
	}
}
