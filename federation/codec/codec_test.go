package codec_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
)

// over sends a message through its bytes.
func over[M proto.Message](t *rapid.T, m M) M {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := m.ProtoReflect().New().Interface().(M)
	if !ok {
		t.Fatal("another type")
	}
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func same(t *rapid.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("(-sent +received)\n%s", d)
	}
}

var (
	word  = rapid.StringMatching(`[a-z][a-z0-9-]{0,10}`)
	bytes = rapid.Custom(func(t *rapid.T) []byte {
		if b := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "b"); len(b) > 0 {
			return b
		}
		return nil
	})
	moment = rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "unset") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
	})
	execution = rapid.Custom(func(t *rapid.T) flow.ExecutionID {
		return flow.ExecutionID{Project: word.Draw(t, "p"), Domain: word.Draw(t, "d"), Name: word.Draw(t, "n")}
	})
	recovery = rapid.Custom(func(t *rapid.T) (r flow.Recovery) {
		for range rapid.IntRange(0, 2).Draw(t, "nodes") {
			r.Nodes = append(r.Nodes, flow.RecoveredNode{
				Node: word.Draw(t, "node"), Parent: word.Draw(t, "parent"), Phase: flow.NodePhase(rapid.Int32Range(0, 10).Draw(t, "phase")),
				OutputURI: word.Draw(t, "out"), Error: bytes.Draw(t, "error"), NextAttempt: rapid.Uint32().Draw(t, "next"), Charged: rapid.Uint32().Draw(t, "charged"),
				Checkpoint: word.Draw(t, "checkpoint"), StartedAt: moment.Draw(t, "started"),
			})
		}
		return r
	})
	epoch = rapid.Custom(func(t *rapid.T) flow.Epoch {
		return flow.Epoch{Era: rapid.Uint64().Draw(t, "era"), N: rapid.Uint64().Draw(t, "n")}
	})
)

var (
	wanted     = rapid.SampledFrom([]flow.Desired{flow.DesiredRun, flow.DesiredAbort, flow.DesiredGone})
	assignment = rapid.Custom(func(t *rapid.T) flow.Assignment {
		a := flow.Assignment{
			Execution: execution.Draw(t, "execution"), Cluster: "east", Epoch: epoch.Draw(t, "epoch"),
			Incarnation: rapid.Uint64().Draw(t, "incarnation"), Revision: rapid.Uint64().Draw(t, "revision"),
			OwnershipRevision: rapid.Uint64().Draw(t, "ownership"), Cause: word.Draw(t, "cause"), Desired: wanted.Draw(t, "desired"),
		}
		if rapid.Bool().Draw(t, "run") {
			a.Run = &flow.Run{
				Workflow: flow.EntityID{Project: "p", Name: word.Draw(t, "wf")}, Closure: bytes.Draw(t, "closure"),
				ClosureURI: word.Draw(t, "uri"), ClosureDigest: bytes.Draw(t, "digest"), Inputs: bytes.Draw(t, "inputs"),
				InputsURI: word.Draw(t, "inputsURI"), Spec: bytes.Draw(t, "spec"), DataPrefix: word.Draw(t, "data"),
				RawPrefix: word.Draw(t, "raw"), CreatedAt: moment.Draw(t, "created"), Trace: word.Draw(t, "trace"),
				Failover: flow.Failover{Mode: rapid.SampledFrom([]flow.FailoverMode{"", flow.FailoverResume, flow.FailoverNever}).Draw(t, "mode"), Strict: rapid.Bool().Draw(t, "strict")},
				Recovery: recovery.Draw(t, "recovery"),
			}
		}
		return a
	})
)

func TestAssignmentsGoOverTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := assignment.Draw(t, "assignment")
		m := over(t, codec.AssignmentTo(a, 9))
		same(t, a, codec.AssignmentFrom(m, "east"))
		same(t, uint64(9), m.GetGeneration())
	})
}

func TestEventsGoOverTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := flow.Event{
			Execution: execution.Draw(t, "execution"), Epoch: epoch.Draw(t, "epoch"),
			Kind: flow.EventKind(rapid.Int32Range(1, 3).Draw(t, "kind")), Node: word.Draw(t, "node"), Parent: word.Draw(t, "parent"),
			Attempt: rapid.Uint32().Draw(t, "attempt"), Phase: rapid.Int32().Draw(t, "phase"), Version: rapid.Uint32().Draw(t, "version"),
			Sequence: rapid.Uint64().Draw(t, "sequence"), Revision: rapid.Uint64().Draw(t, "revision"), OccurredAt: moment.Draw(t, "at"),
			QueuedAt: moment.Draw(t, "queued"), StartedAt: moment.Draw(t, "started"), EndedAt: moment.Draw(t, "ended"), Detail: bytes.Draw(t, "detail"),
		}
		m := over(t, &skeinv1.EventBatch{Events: codec.EventsTo([]flow.Event{e})})
		same(t, []flow.Event{e}, codec.EventsFrom(m.GetEvents()))
	})
}

func TestTheRestGoesOverTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64()
		who := flow.Sender{Member: flow.Member{Cluster: "east", Instance: "i"}, Generation: n.Draw(t, "generation"), Incarnation: 3}
		l := flow.Lease{Sender: who, Nonce: n.Draw(t, "nonce"), Duration: time.Duration(rapid.Int64().Draw(t, "d")), OwnershipRevision: n.Draw(t, "ownership")}
		same(t, l, codec.LeaseFrom(over(t, codec.LeaseTo(l)), who))
		q := flow.LeaseRequest{Sender: who, Nonce: l.Nonce, OwnershipRevision: l.OwnershipRevision}
		same(t, q, codec.LeaseRequestFrom(over(t, codec.LeaseRequestTo(q)), who))

		held := []flow.Held{{Execution: execution.Draw(t, "x"), Epoch: epoch.Draw(t, "e"), Revision: n.Draw(t, "r"), Sequence: n.Draw(t, "s"), Terminal: rapid.Bool().Draw(t, "t"),
			Desired: rapid.OneOf(wanted, rapid.Just(flow.Desired(""))).Draw(t, "desired")}}
		same(t, held, codec.HeldFrom(over(t, &skeinv1.Inventory{Held: codec.HeldTo(held)}).GetHeld()))
		told := []flow.Holding{{Held: held[0], Assignment: assignment.Draw(t, "assignment")}}
		same(t, told, codec.HoldingsFrom(over(t, &skeinv1.Holdings{List: []*skeinv1.Holding{codec.HoldingTo(told[0])}}).GetList(), "east"))
		acks := []flow.Ack{{Execution: held[0].Execution, Epoch: held[0].Epoch, Revision: held[0].Revision}}
		same(t, acks, codec.AcksFrom(over(t, &skeinv1.AckBatch{Acks: codec.AcksTo(acks)}).GetAcks()))
		nacks := []flow.Nack{{Ack: acks[0], Reason: word.Draw(t, "reason")}}
		same(t, nacks, codec.NacksFrom(over(t, &skeinv1.AckBatch{Nacks: codec.NacksTo(nacks)}).GetNacks()))
		order := rapid.SampledFrom([]flow.Order{flow.OrderKeep, flow.OrderStop, flow.OrderReport}).Draw(t, "order")
		v := flow.Verdicts{OwnershipRevision: n.Draw(t, "o"), List: []flow.Verdict{{Execution: held[0].Execution, Epoch: held[0].Epoch, Order: order, Acked: n.Draw(t, "a")}}}
		same(t, v, codec.VerdictsFrom(over(t, &skeinv1.Verdicts{OwnershipRevision: v.OwnershipRevision, List: codec.VerdictsTo(v.List)})))
		r := flow.ClusterReport{Capacity: flow.Resources{MilliCPU: 1, Memory: 2, GPUs: 3, Pods: 4}, LargestNode: flow.Resources{Pods: rapid.Int64().Draw(t, "pods")}, TaskTypes: []string{"a"}, Version: word.Draw(t, "v"),
			Architectures: []string{"amd64"}, Accelerators: []string{word.Draw(t, "gpu")}, Store: word.Draw(t, "store")}
		same(t, r, codec.ReportFrom(over(t, codec.ReportTo(r))))
	})
}

func TestAnUnknownOrderIsAStop(t *testing.T) {
	v := codec.VerdictsFrom(&skeinv1.Verdicts{List: []*skeinv1.Verdict{{Order: 99}, {}}})
	for _, got := range v.List {
		if got.Order != flow.OrderStop {
			t.Errorf("order %q, want stop: what is not understood is not kept", got.Order)
		}
	}
}

// FuzzDown feeds bytes of a peer into everything that reads messages down.
func FuzzDown(f *testing.F) {
	seed, _ := proto.Marshal(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Assignment{
		Assignment: codec.AssignmentTo(flow.Assignment{Run: &flow.Run{}, Desired: flow.DesiredRun}, 1)}})
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		var m skeinv1.ConnectResponse
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		codec.AssignmentFrom(m.GetAssignment(), "")
		codec.VerdictsFrom(m.GetVerdicts())
		codec.LeaseFrom(m.GetLease(), flow.Sender{})
		codec.HeldFrom(m.GetRecall().GetHeld())
	})
}

// FuzzUp feeds bytes of a peer into everything that reads messages up.
func FuzzUp(f *testing.F) {
	seed, _ := proto.Marshal(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Events{
		Events: &skeinv1.EventBatch{Events: codec.EventsTo([]flow.Event{{Node: "n0"}})}}})
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		var m skeinv1.ConnectRequest
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		codec.EventsFrom(m.GetEvents().GetEvents())
		codec.AcksFrom(m.GetAcks().GetAcks())
		codec.HeldFrom(m.GetInventory().GetHeld())
		codec.HoldingsFrom(m.GetHoldings().GetList(), "")
		codec.ReportFrom(m.GetReport())
		codec.LeaseRequestFrom(m.GetLeaseRequest(), flow.Sender{})
	})
}
