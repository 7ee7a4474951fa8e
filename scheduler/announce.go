package scheduler

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

var tracer = otel.Tracer("github.com/skein-project/skein/scheduler")

// storeHealth stores the changes, and only those.
func (t *Term) storeHealth(ctx context.Context, v placement.View) error {
	var changes []flow.HealthChange
	for _, c := range v.Clusters {
		if c.Health != c.Recorded {
			changes = append(changes, flow.HealthChange{Cluster: c.Name, Health: c.Health, At: v.Now})
		}
	}
	if err := t.commit.Health(ctx, changes); err != nil {
		return err
	}
	for _, c := range v.Clusters {
		if c.Health != c.Recorded {
			t.deps.Log.Info("cluster health changed", "cluster", c.Name, "from", string(c.Recorded), "to", string(c.Health))
		}
	}
	return nil
}

// announce tells hubs, traces, metrics and the log what was placed.
func (t *Term) announce(ctx context.Context, v placement.View, p placement.Plan, placed []flow.ExecutionID) {
	if len(placed) == 0 {
		return
	}
	created := make(map[flow.ExecutionID]time.Time, len(v.Pending))
	for _, x := range v.Pending {
		created[x.Execution] = x.CreatedAt
	}
	byID := make(map[flow.ExecutionID]flow.Placement, len(p.Placements))
	for _, x := range p.Placements {
		byID[x.Execution] = x
	}
	era := t.commit.Fence().Epoch.Era
	var clusters []string
	left := map[string]int{}
	for _, id := range placed {
		x, ok := byID[id]
		if !ok {
			continue
		}
		clusters = append(clusters, x.Cluster)
		if x.From != "" {
			left[x.From]++
			t.metrics.moves.WithLabelValues(string(x.Kind)).Inc()
		}
		span(ctx, x, flow.Epoch{Era: era, N: x.Prior.N + 1}, v.Now)
		t.metrics.age.Observe(t.deps.Now().Sub(created[id]).Seconds())
	}
	for from, n := range left {
		t.deps.Log.Warn("executions were taken from a cluster by force", "cluster", from, "executions", n)
	}
	t.metrics.placed.Add(float64(len(placed)))
	slices.Sort(clusters)
	t.deps.Woken(slices.Compact(clusters))
	t.deps.Log.Info("placed", "plan", p, "epoch", t.commit.Fence().Epoch.String())
}

// span adds the placement to the execution's own trace, which began with the
// call that created it.
func span(ctx context.Context, p flow.Placement, epoch flow.Epoch, began time.Time) {
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": p.Trace})
	_, sp := tracer.Start(ctx, "scheduler.place", trace.WithTimestamp(began), trace.WithAttributes(
		attribute.String("execution", p.Execution.String()),
		attribute.String("cluster", p.Cluster),
		attribute.String("epoch", epoch.String())))
	sp.End()
}
