package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/localtest"
)

const (
	benchRounds  = 5
	benchBatches = 8 // of a round
	benchBatch   = 500
)

// statement is one message to the database: a query, or a batch of them.
type statement struct {
	sql   string
	args  []any
	batch []*pgx.QueuedQuery
}

// recorder notes all statements of a connection.
type recorder struct{ list []statement }

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.list = append(r.list, statement{sql: data.SQL, args: data.Args})
	return ctx
}
func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	r.list = append(r.list, statement{batch: data.Batch.QueuedQueries})
	return ctx
}
func (r *recorder) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// replay runs statements as they are, with nothing of ours between.
func replay(ctx context.Context, conn *pgx.Conn, list []statement) error {
	for _, s := range list {
		if s.batch == nil {
			rows, err := conn.Query(ctx, s.sql, s.args...)
			if err != nil {
				return err
			}
			rows.Close()
			if err := rows.Err(); err != nil {
				return err
			}
			continue
		}
		batch := &pgx.Batch{}
		for _, q := range s.batch {
			batch.Queue(q.SQL, q.Arguments...)
		}
		if err := conn.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkDurablePlacements commits batches of placements through the store,
// and then the very statements that it sent, with the same arguments, to a
// database of the same content, on one connection each. It has
// rounds of its own, whatever -benchtime says.
func BenchmarkDurablePlacements(b *testing.B) {
	ours, seen := benchStore(b)
	theirs, replayed := benchStore(b)
	var fence flow.Fence
	for _, s := range []*Store{ours, theirs} {
		var err error
		if fence, err = s.BeginTerm(b.Context(), "r"); err != nil {
			b.Fatal(err)
		}
	}
	conn, err := theirs.pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var durable, raw []float64
	b.ResetTimer()
	for round := range benchRounds {
		var through, past time.Duration
		for batch := range benchBatches { // by turns, so that both meet the same machine
			plan := benchPlan((round*benchBatches + batch) * benchBatch)
			seen.list, replayed.list = nil, nil
			began := time.Now()
			next, placed, err := ours.CommitPlan(b.Context(), fence, plan)
			if err != nil || len(placed) != benchBatch {
				b.Fatalf("placed %d: %v", len(placed), err)
			}
			fence, through = next, through+time.Since(began)
			began = time.Now()
			if err := replay(b.Context(), conn.Conn(), seen.list); err != nil {
				b.Fatal(err)
			}
			past += time.Since(began)
		}
		durable = append(durable, benchBatches*benchBatch/through.Seconds())
		raw = append(raw, benchBatches*benchBatch/past.Seconds())
	}
	conn.Release()
	for _, s := range []*Store{ours, theirs} { // else the two did not do the same
		var placed int
		err := s.pool.QueryRow(b.Context(), "SELECT count(*) FROM executions e JOIN outbox o ON o.name = e.name AND o.cluster = e.cluster").Scan(&placed)
		if err != nil || placed != benchRounds*benchBatches*benchBatch {
			b.Fatalf("%d are placed: %v", placed, err)
		}
	}
	slices.Sort(durable)
	slices.Sort(raw)
	d, r := durable[benchRounds/2], raw[benchRounds/2]
	b.ReportMetric(d, "placements/s")
	b.ReportMetric(d/r, "of-raw")
	for _, f := range []struct {
		name string
		list []float64
		over string
		of   float64
	}{{"durable_placements_per_s", durable, "raw_batched_updates_per_s", d / r}, {"raw_batched_updates_per_s", raw, "", 0}} {
		m := f.list[benchRounds/2]
		b.Logf(`BENCH {"name":%q,"value":%.0f,"unit":"placements/s","against":%q,"ratio":%.3f,"n":%d,"spread":%.3f}`,
			f.name, m, f.over, f.of, benchRounds, (f.list[benchRounds-1]-f.list[0])/m)
	}
}

func benchID(i int) flow.ExecutionID {
	return flow.ExecutionID{Project: "p", Domain: "d", Name: fmt.Sprintf("a%08x", uint32(i)*2654435761)}
}

// benchPlan is a batch as a busy leader commits it: a round with its first
// batch, and a few trails.
func benchPlan(first int) flow.Batch {
	b := flow.Batch{At: time.Now(), RoundID: fmt.Sprintf("1.1/%d", first),
		Round: &flow.Round{ID: fmt.Sprintf("1.1/%d", first), View: make([]byte, 10_000), Plan: make([]byte, 32)}}
	for i := range 5 {
		reasons := make([]flow.Reason, 50)
		for n := range reasons {
			reasons[n] = flow.Reason{Cluster: fmt.Sprintf("c%d", n), Filter: "capacity", Message: "holds 8 of 8 GPUs"}
		}
		b.Trails = append(b.Trails, flow.Trail{Digest: fmt.Sprintf("%d-%d", first, i), Round: b.RoundID, Reasons: reasons})
	}
	for i := range benchBatch {
		b.Placements = append(b.Placements, flow.Placement{Execution: benchID(first + i), Cluster: fmt.Sprintf("c%d", i%7),
			Trail: b.Trails[i%5].Digest, Score: 1})
	}
	return b
}

// benchStore has clusters, and executions that wait for all rounds.
func benchStore(b *testing.B) (*Store, *recorder) {
	b.Helper()
	ctx, seen := b.Context(), &recorder{}
	config := Config{URL: localtest.Database(b), MaxConnections: 2}.withDefaults()
	s, err := Open(ctx, config)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	s.pool.Close()
	traced, err := config.pool()
	if err != nil {
		b.Fatal(err)
	}
	traced.ConnConfig.Tracer = seen
	if s.pool, err = pgxpool.NewWithConfig(ctx, traced); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	if err := s.Seed(ctx, []flow.Project{{ID: "p", Name: "p"}}); err != nil {
		b.Fatal(err)
	}
	for i := range 7 {
		if err := s.CreateCluster(ctx, flow.Cluster{Name: fmt.Sprintf("c%d", i)}); err != nil {
			b.Fatal(err)
		}
	}
	created := time.Now()
	for i := range benchRounds * benchBatches * benchBatch {
		err := s.CreateExecution(ctx, flow.Execution{ID: benchID(i), Phase: flow.ExecutionQueued, Spec: make([]byte, 700),
			Inputs: make([]byte, 500), CreatedAt: created.Add(time.Duration(i) * time.Microsecond)})
		if err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.pool.Exec(ctx, "ANALYZE"); err != nil {
		b.Fatal(err)
	}
	return s, seen
}
