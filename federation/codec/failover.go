package codec

import (
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// failoverTo writes what a data plane has to know of a failover policy. The
// limit of moves is the control plane's own business, and stays behind.
func failoverTo(f flow.Failover) *skeinv1.Failover {
	if f.Mode == "" && !f.Strict {
		return nil
	}
	return &skeinv1.Failover{Mode: string(f.Mode), Strict: f.Strict}
}

func failoverFrom(f *skeinv1.Failover) flow.Failover {
	return flow.Failover{Mode: flow.FailoverMode(f.GetMode()), Strict: f.GetStrict()}
}

func recoveryTo(r flow.Recovery) *skeinv1.Recovery {
	if len(r.Nodes) == 0 {
		return nil
	}
	out := &skeinv1.Recovery{Nodes: make([]*skeinv1.RecoveredNode, 0, len(r.Nodes))}
	for _, n := range r.Nodes {
		out.Nodes = append(out.Nodes, &skeinv1.RecoveredNode{
			Node: n.Node, Parent: n.Parent, Phase: int32(n.Phase), OutputUri: n.OutputURI, Error: n.Error,
			NextAttempt: n.NextAttempt, Charged: n.Charged, Checkpoint: n.Checkpoint, StartedAt: timeTo(n.StartedAt),
		})
	}
	return out
}

func recoveryFrom(r *skeinv1.Recovery) flow.Recovery {
	if len(r.GetNodes()) == 0 {
		return flow.Recovery{}
	}
	out := flow.Recovery{Nodes: make([]flow.RecoveredNode, 0, len(r.GetNodes()))}
	for _, n := range r.GetNodes() {
		out.Nodes = append(out.Nodes, flow.RecoveredNode{
			Node: n.GetNode(), Parent: n.GetParent(), Phase: flow.NodePhase(n.GetPhase()), OutputURI: n.GetOutputUri(), Error: n.GetError(),
			NextAttempt: n.GetNextAttempt(), Charged: n.GetCharged(), Checkpoint: n.GetCheckpoint(), StartedAt: timeFrom(n.GetStartedAt()),
		})
	}
	return out
}
