package codec

import (
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

var desired = map[flow.Desired]skeinv1.Desired{
	flow.DesiredRun:   skeinv1.Desired_DESIRED_RUN,
	flow.DesiredAbort: skeinv1.Desired_DESIRED_ABORT,
	flow.DesiredGone:  skeinv1.Desired_DESIRED_GONE,
}

func desiredFrom(d skeinv1.Desired) flow.Desired {
	for k, v := range desired {
		if v == d {
			return k
		}
	}
	return ""
}

// AssignmentTo writes an assignment for the session of a generation.
func AssignmentTo(a flow.Assignment, generation uint64) *skeinv1.Assignment {
	return &skeinv1.Assignment{
		Execution: ExecutionTo(a.Execution), Epoch: EpochTo(a.Epoch), Incarnation: a.Incarnation,
		Revision: a.Revision, OwnershipRevision: a.OwnershipRevision, Generation: generation,
		Desired: desired[a.Desired], Cause: a.Cause, Run: runTo(a.Run),
	}
}

// AssignmentFrom reads an assignment to a cluster.
func AssignmentFrom(a *skeinv1.Assignment, cluster string) flow.Assignment {
	return flow.Assignment{
		Execution: ExecutionFrom(a.GetExecution()), Cluster: cluster, Epoch: EpochFrom(a.GetEpoch()),
		Incarnation: a.GetIncarnation(), Revision: a.GetRevision(), OwnershipRevision: a.GetOwnershipRevision(),
		Desired: desiredFrom(a.GetDesired()), Cause: a.GetCause(), Run: runFrom(a.GetRun()),
	}
}

func runTo(r *flow.Run) *skeinv1.Run {
	if r == nil {
		return nil
	}
	return &skeinv1.Run{
		Workflow: entityTo(r.Workflow), LaunchPlan: entityTo(r.LaunchPlan),
		Closure: r.Closure, ClosureUri: r.ClosureURI, ClosureDigest: r.ClosureDigest,
		Inputs: r.Inputs, InputsUri: r.InputsURI, Spec: r.Spec,
		DataPrefix: r.DataPrefix, RawPrefix: r.RawPrefix,
		CreatedAt: timeTo(r.CreatedAt), Trace: r.Trace,
		Failover: failoverTo(r.Failover), Recovery: recoveryTo(r.Recovery),
	}
}

func runFrom(r *skeinv1.Run) *flow.Run {
	if r == nil {
		return nil
	}
	return &flow.Run{
		Workflow: entityFrom(r.GetWorkflow()), LaunchPlan: entityFrom(r.GetLaunchPlan()),
		Closure: r.GetClosure(), ClosureURI: r.GetClosureUri(), ClosureDigest: r.GetClosureDigest(),
		Inputs: r.GetInputs(), InputsURI: r.GetInputsUri(), Spec: r.GetSpec(),
		DataPrefix: r.GetDataPrefix(), RawPrefix: r.GetRawPrefix(),
		CreatedAt: timeFrom(r.GetCreatedAt()), Trace: r.GetTrace(),
		Failover: failoverFrom(r.GetFailover()), Recovery: recoveryFrom(r.GetRecovery()),
	}
}

// AcksTo writes acks.
func AcksTo(acks []flow.Ack) []*skeinv1.Ack {
	out := make([]*skeinv1.Ack, 0, len(acks))
	for _, a := range acks {
		out = append(out, &skeinv1.Ack{Execution: ExecutionTo(a.Execution), Epoch: EpochTo(a.Epoch), Revision: a.Revision})
	}
	return out
}

// AcksFrom reads acks.
func AcksFrom(acks []*skeinv1.Ack) []flow.Ack {
	out := make([]flow.Ack, 0, len(acks))
	for _, a := range acks {
		out = append(out, flow.Ack{Execution: ExecutionFrom(a.GetExecution()), Epoch: EpochFrom(a.GetEpoch()), Revision: a.GetRevision()})
	}
	return out
}

// NacksTo writes nacks.
func NacksTo(nacks []flow.Nack) []*skeinv1.Nack {
	out := make([]*skeinv1.Nack, 0, len(nacks))
	for _, n := range nacks {
		out = append(out, &skeinv1.Nack{Execution: ExecutionTo(n.Execution), Epoch: EpochTo(n.Epoch), Revision: n.Revision, Reason: n.Reason})
	}
	return out
}

// NacksFrom reads nacks.
func NacksFrom(nacks []*skeinv1.Nack) []flow.Nack {
	out := make([]flow.Nack, 0, len(nacks))
	for _, n := range nacks {
		a := flow.Ack{Execution: ExecutionFrom(n.GetExecution()), Epoch: EpochFrom(n.GetEpoch()), Revision: n.GetRevision()}
		out = append(out, flow.Nack{Ack: a, Reason: n.GetReason()})
	}
	return out
}

var orders = map[flow.Order]skeinv1.Order{
	flow.OrderKeep:   skeinv1.Order_ORDER_KEEP,
	flow.OrderStop:   skeinv1.Order_ORDER_STOP,
	flow.OrderReport: skeinv1.Order_ORDER_REPORT,
}

// orderFrom reads an order; one that we do not know is a stop.
func orderFrom(o skeinv1.Order) flow.Order {
	for k, v := range orders {
		if v == o {
			return k
		}
	}
	return flow.OrderStop
}

// VerdictsTo writes a part of the verdicts.
func VerdictsTo(list []flow.Verdict) []*skeinv1.Verdict {
	out := make([]*skeinv1.Verdict, 0, len(list))
	for _, v := range list {
		out = append(out, &skeinv1.Verdict{
			Execution: ExecutionTo(v.Execution), Epoch: EpochTo(v.Epoch), Order: orders[v.Order], Acked: v.Acked,
		})
	}
	return out
}

// VerdictsFrom reads a part of the verdicts.
func VerdictsFrom(m *skeinv1.Verdicts) flow.Verdicts {
	out := flow.Verdicts{OwnershipRevision: m.GetOwnershipRevision()}
	for _, v := range m.GetList() {
		out.List = append(out.List, flow.Verdict{
			Execution: ExecutionFrom(v.GetExecution()), Epoch: EpochFrom(v.GetEpoch()),
			Order: orderFrom(v.GetOrder()), Acked: v.GetAcked(),
		})
	}
	return out
}
