// Package ingest turns events of the fleet into recorded state, once each.
//
// It joins the pure lifecycle to the store and counts what was refused and
// why; it does not check who may speak (the store does that first, in the same
// transaction) and it does not retry: a batch either committed whole, or the
// hub gets an error and does not ack it, and the member sends it again.
//
// Batches of several sessions share a transaction when they come faster than
// the database takes them (docs/adr/0028): a batch that finds a writer free is
// recorded at once and alone, and what comes while all writers are busy is
// recorded together by the next one. So a lone batch waits for nobody, and many
// cost the database one transaction.
//
//	Ingest ──→ waiting ──→ writer: RecordBatches ──→ answers
//	Ingest ──→ waiting ─┘     │ a batch that the database cannot hold
//	                          └→ each batch alone, of that one each event
//
// Invariants: an event is acked only after the transaction that recorded or
// refused it has committed (docs/invariants.md, I1); one session's batch neither
// fails nor delays another's for ever, whatever is wrong with it (I83).
package ingest

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"

	"github.com/skein-project/skein/api/flow"
)

var tracer = otel.Tracer("github.com/skein-project/skein/admin/ingest")

// Store records batches of events in one transaction. It compares sender, session
// and epoch before it calls apply, and acks outbox rows no further than each
// event's revision. A sender that may not speak is answered so, and is no error:
// the others' batches are recorded as if it had not been there.
type Store interface {
	RecordBatches(ctx context.Context, batches []flow.EventBatch, apply flow.Apply) ([]flow.BatchResult, error)
}

// Ingester records batches of events. It is safe for concurrent use.
type Ingester struct {
	store  Store
	log    *slog.Logger
	events *prometheus.CounterVec
	groups prometheus.Histogram

	mu      sync.Mutex
	waiting []*batch // in the order in which they came
	writing int      // writers under way
}

// New makes an Ingester that counts into reg.
func New(store Store, log *slog.Logger, reg prometheus.Registerer) *Ingester {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_admin_events_total",
		Help: "Events of the fleet by kind and by whether they were recorded or refused.",
	}, []string{"kind", "result"})
	groups := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "skein_admin_event_batches_per_transaction",
		Help:    "Batches of events, each of one session, that were handed to one transaction.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 9),
	})
	reg.MustRegister(events, groups)
	return &Ingester{store: store, log: log, events: events, groups: groups}
}

// Ingest records one batch and answers each event of it. A refusal is an
// answer, not an error; an error means that nothing of the batch is known to
// be recorded. Batches of one session keep their order if each is given when the
// one before was answered.
func (i *Ingester) Ingest(ctx context.Context, from flow.Sender, events []flow.Event) ([]flow.EventResult, error) {
	if len(events) == 0 {
		return nil, nil
	}
	ctx, span := tracer.Start(ctx, "ingest.record")
	defer span.End()
	span.SetAttributes(attribute.String("cluster", from.Cluster), attribute.Int("events", len(events)))
	results, err := i.recorded(ctx, flow.EventBatch{From: from, Events: events})
	if err != nil {
		span.RecordError(err)
		return nil, err
	}
	for n, r := range results {
		i.note(ctx, from, events[n], r)
	}
	return results, nil
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
