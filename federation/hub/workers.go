package hub

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/session"
)

var tracer = otel.Tracer("github.com/skein-project/skein/federation/hub")

const (
	ingestTries = 4
	ingestPause = 100 * time.Millisecond
)

// receive feeds what comes up into the machine.
func (s *stream) receive() {
	for {
		m, err := s.wire.Recv()
		if err != nil {
			s.end(err)
			return
		}
		switch m := m.GetMessage().(type) {
		case *skeinv1.ConnectRequest_Inventory:
			s.step(inventoryPart(m.Inventory))
		case *skeinv1.ConnectRequest_Heartbeat:
			s.step(session.Beaten{Generation: m.Heartbeat.GetGeneration()})
		case *skeinv1.ConnectRequest_LeaseRequest:
			s.step(session.LeaseAsked{Request: codec.LeaseRequestFrom(m.LeaseRequest, s.sender)})
		case *skeinv1.ConnectRequest_Events:
			s.step(session.EventsCame{Generation: m.Events.GetGeneration(), Batch: m.Events.GetBatch(), Events: codec.EventsFrom(m.Events.GetEvents())})
		case *skeinv1.ConnectRequest_Acks:
			s.step(session.AcksCame{Generation: m.Acks.GetGeneration(), Acks: codec.AcksFrom(m.Acks.GetAcks()), Nacks: codec.NacksFrom(m.Acks.GetNacks())})
		case *skeinv1.ConnectRequest_Holdings:
			s.step(session.HoldingsCame{List: codec.HoldingsFrom(m.Holdings.GetList(), s.member.Cluster), Last: m.Holdings.GetLast()})
		case *skeinv1.ConnectRequest_Report:
			select {
			case <-s.report: // the newest replaces one that waits
			default:
			}
			s.report <- codec.ReportFrom(m.Report)
		default:
			s.step(session.Ended{Reason: "a message that this hub does not know"})
		}
	}
}

// inventoryPart reads a part of an inventory. One that alone is too large is not
// unpacked any further.
func inventoryPart(m *skeinv1.Inventory) session.HubInput {
	if n := len(m.GetHeld()); n > session.MaxHeld {
		return session.Ended{Reason: fmt.Sprintf("the inventory is too large: one part of it has %d objects", n)}
	}
	return session.InventoryPart{Held: codec.HeldFrom(m.GetHeld()), Last: m.GetLast()}
}

// writes sends what is queued: control messages before assignments, always.
func (s *stream) writes(ctx context.Context) error {
	for {
		select {
		case m := <-s.control:
			if err := s.wire.Send(m); err != nil {
				return err
			}
			continue
		default:
		}
		select {
		case m := <-s.control:
			if err := s.wire.Send(m); err != nil {
				return err
			}
		case a := <-s.bulk:
			if err := s.deliver(ctx, a); err != nil {
				return err
			}
		case <-ctx.Done():
			s.mu.Lock()
			reason := cmp.Or(s.goodbye, context.Cause(ctx).Error())
			s.mu.Unlock()
			_ = s.wire.Send(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Goodbye{Goodbye: &skeinv1.Goodbye{Reason: reason}}})
			return context.Cause(ctx)
		}
	}
}

func (s *stream) deliver(ctx context.Context, a flow.Assignment) error {
	if a.Run != nil {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": a.Run.Trace})
	}
	_, span := tracer.Start(ctx, "hub.deliver", trace.WithAttributes(
		attribute.String("cluster", s.member.Cluster), attribute.String("execution", a.Execution.String()),
		attribute.String("epoch", a.Epoch.String()), attribute.String("desired", string(a.Desired))))
	defer span.End()
	s.hub.metrics.assignments.WithLabelValues(string(a.Desired)).Inc()
	return s.wire.Send(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Assignment{
		Assignment: codec.AssignmentTo(a, s.sender.Generation),
	}})
}

// ingests commits event batches, one after the other, and acks each after its
// commit.
func (s *stream) ingests(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case in := <-s.ingest:
			results, err := s.commit(ctx, in)
			if err != nil {
				s.fail(err)
				return nil
			}
			s.step(session.Ingested{Batch: in.Batch, Results: results})
		}
	}
}

func (s *stream) commit(ctx context.Context, in session.Ingest) (results []flow.EventResult, err error) {
	ctx, span := tracer.Start(ctx, "hub.ingest", trace.WithAttributes(
		attribute.String("cluster", s.member.Cluster), attribute.Int("events", len(in.Events))))
	defer span.End()
	begun := time.Now()
	for try := 1; ; try++ {
		results, err = bounded(ctx, s.hub.ingestWait(), func(ctx context.Context) ([]flow.EventResult, error) {
			return s.hub.o.Sink.Ingest(ctx, s.sender, in.Events)
		})
		if err == nil || !fault.Of(err).Retryable() || try == ingestTries {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(ingestPause << try):
		}
	}
	s.hub.metrics.ingest.Observe(time.Since(begun).Seconds())
	for _, r := range results {
		if r.Accepted {
			s.hub.metrics.events.WithLabelValues("accepted").Inc()
		} else {
			s.hub.metrics.events.WithLabelValues("refused").Inc()
			s.log.Debug("event refused", "reason", r.Reason)
		}
	}
	return results, err
}

// stores stores acks and reports.
func (s *stream) stores(ctx context.Context) error {
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case acks := <-s.acks:
			err = within(ctx, callWait, func(ctx context.Context) error { return s.hub.o.Outbox.Ack(ctx, s.sender, s.more(acks)) })
		case r := <-s.report:
			err = within(ctx, callWait, func(ctx context.Context) error { return s.hub.o.Sessions.Report(ctx, s.sender, r) })
		}
		if fault.Is(err, fault.Stale) {
			s.step(session.Replaced{})
		} else if err != nil && ctx.Err() == nil {
			s.log.Warn("acks or a report were not stored; they will come again", "error", err)
		}
	}
}

// more gathers the acks that wait into one transaction.
func (s *stream) more(acks []flow.Ack) []flow.Ack {
	for {
		select {
		case a := <-s.acks:
			acks = append(acks, a...)
		default:
			return acks
		}
	}
}

// reads judges the inventory and reads the outbox, one after the other.
func (s *stream) reads(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case held := <-s.judge:
			verdicts, err := bounded(ctx, judgeWait(len(held)), func(ctx context.Context) (flow.Verdicts, error) {
				return s.hub.o.Sessions.Verdicts(ctx, s.sender, held)
			})
			if err != nil {
				s.fail(err)
				return nil
			}
			s.log.Info("inventory judged", "held", len(held), "ownershipRevision", verdicts.OwnershipRevision)
			s.step(session.VerdictsTaken{Verdicts: verdicts})
		case limit := <-s.read:
			if limit == 0 {
				s.step(session.OutboxRead{})
				continue
			}
			list, err := bounded(ctx, callWait, func(ctx context.Context) ([]flow.Assignment, error) {
				return s.hub.o.Outbox.Assignments(ctx, s.sender, limit)
			})
			switch {
			case fault.Is(err, fault.Stale):
				s.step(session.Replaced{})
			case err != nil && ctx.Err() == nil:
				s.log.Warn("the outbox was not read; it is read again", "error", err)
			}
			s.step(session.OutboxRead{Assignments: list})
		}
	}
}

// ticks lets time go by.
func (s *stream) ticks(ctx context.Context) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.step(session.HubTicked{})
		}
	}
}
