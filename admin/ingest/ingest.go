// Package ingest turns events of the fleet into recorded state, once each.
//
// It joins the pure lifecycle to the store and counts what was refused and
// why; it does not check who may speak (the store does that first, in the same
// transaction) and it does not retry: a batch either committed whole, or the
// hub gets an error and does not ack it, and the member sends it again.
//
// Invariant: an event is acked only after the transaction that recorded or
// refused it has committed (docs/invariants.md, I1).
package ingest

import (
	"context"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"

	"github.com/skein-project/skein/admin/lifecycle"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var tracer = otel.Tracer("github.com/skein-project/skein/admin/ingest")

// Store records events. It compares sender, session and epoch before it calls
// apply, acks outbox rows no further than each event's revision, and does all
// of it in one transaction.
type Store interface {
	RecordEvents(ctx context.Context, from flow.Sender, events []flow.Event, apply flow.Apply) ([]flow.EventResult, error)
}

// Ingester records batches of events. It is safe for concurrent use.
type Ingester struct {
	store  Store
	log    *slog.Logger
	events *prometheus.CounterVec
}

// New makes an Ingester that counts into reg.
func New(store Store, log *slog.Logger, reg prometheus.Registerer) *Ingester {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_admin_events_total",
		Help: "Events of the fleet by kind and by whether they were recorded or refused.",
	}, []string{"kind", "result"})
	reg.MustRegister(events)
	return &Ingester{store: store, log: log, events: events}
}

// Ingest records one batch and answers each event of it. A refusal is an
// answer, not an error; an error means that nothing of the batch is known to
// be recorded.
func (i *Ingester) Ingest(ctx context.Context, from flow.Sender, events []flow.Event) ([]flow.EventResult, error) {
	if len(events) == 0 {
		return nil, nil
	}
	ctx, span := tracer.Start(ctx, "ingest.record")
	defer span.End()
	span.SetAttributes(attribute.String("cluster", from.Cluster), attribute.Int("events", len(events)))
	results, err := i.record(ctx, from, events)
	if err != nil {
		span.RecordError(err)
		return nil, err
	}
	for n, r := range results {
		i.note(ctx, from, events[n], r)
	}
	return results, nil
}

// record keeps what the database can never hold from holding up the rest: a
// batch that it calls Invalid is recorded execution by execution, and the
// execution that it concerns event by event, so that the one event is refused.
// Otherwise it would be sent again for ever, and all that its cluster says with
// it.
func (i *Ingester) record(ctx context.Context, from flow.Sender, events []flow.Event) ([]flow.EventResult, error) {
	results, err := i.store.RecordEvents(ctx, from, events, lifecycle.Apply)
	if !fault.Is(err, fault.Invalid) {
		return results, err
	}
	if len(events) == 1 {
		return []flow.EventResult{{Reason: "cannot be stored: " + err.Error()}}, nil
	}
	results = nil
	alone := firsts(events) == len(events)
	for len(events) > 0 {
		n := firsts(events)
		if alone {
			n = 1
		}
		some, err := i.record(ctx, from, events[:n])
		if err != nil {
			return nil, err
		}
		results, events = append(results, some...), events[n:]
	}
	return results, nil
}

// firsts is how many events at the front are of one execution.
func firsts(events []flow.Event) int {
	n := slices.IndexFunc(events, func(e flow.Event) bool { return e.Execution != events[0].Execution })
	if n < 0 {
		return len(events)
	}
	return n
}

func (i *Ingester) note(ctx context.Context, from flow.Sender, e flow.Event, r flow.EventResult) {
	if r.Accepted {
		i.events.WithLabelValues(kind(e.Kind), "recorded").Inc()
		i.log.DebugContext(ctx, "event recorded", "execution", e.Execution.String(), "cluster", from.Cluster,
			"epoch", e.Epoch.String(), "node", e.Node, "attempt", e.Attempt, "kind", int(e.Kind), "phase", e.Phase)
		return
	}
	i.events.WithLabelValues(kind(e.Kind), "refused").Inc()
	i.log.WarnContext(ctx, "event refused", "execution", e.Execution.String(), "cluster", from.Cluster,
		"epoch", e.Epoch.String(), "node", e.Node, "attempt", e.Attempt, "reason", r.Reason)
}

func kind(k flow.EventKind) string {
	switch k {
	case flow.EventWorkflow:
		return "workflow"
	case flow.EventNode:
		return "node"
	case flow.EventTask:
		return "task"
	}
	return "unknown"
}
