package service

import (
	"context"
	"net"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// controlPlaneServer answers skein.v1.ControlPlaneService.
type controlPlaneServer struct {
	skeinv1.UnimplementedControlPlaneServiceServer
	s *Service
}

// GetControlPlane shows the replicas and who leads.
func (p controlPlaneServer) GetControlPlane(ctx context.Context, _ *skeinv1.GetControlPlaneRequest) (*skeinv1.GetControlPlaneResponse, error) {
	state, err := p.s.deps.ControlPlane.Describe(ctx)
	if err != nil {
		return nil, err
	}
	return &skeinv1.GetControlPlaneResponse{Id: state.ID, Replicas: toReplicas(state.Replicas), Epoch: toEpoch(state.Epoch),
		Doubt: state.Doubt, Version: p.s.cfg.Version,
		Rebuild: p.rebuild(ctx)}, nil
}

// AddReplica lets a replica vote, or changes its address.
func (p controlPlaneServer) AddReplica(ctx context.Context, req *skeinv1.AddReplicaRequest) (*skeinv1.AddReplicaResponse, error) {
	list, err := p.change(ctx, "replica.add", req.GetId(), "at "+kept(req.GetAddress()), func() ([]flow.Replica, error) {
		if host, port, err := net.SplitHostPort(req.GetAddress()); err != nil || host == "" || port == "" {
			return nil, fault.Field("address", "%s is not host:port of the replica's raft.listen", fault.Quote(req.GetAddress()))
		}
		return p.s.deps.ControlPlane.AddReplica(ctx, req.GetId(), req.GetAddress())
	})
	return &skeinv1.AddReplicaResponse{Replicas: toReplicas(list)}, err
}

// RemoveReplica takes a replica's vote.
func (p controlPlaneServer) RemoveReplica(ctx context.Context, req *skeinv1.RemoveReplicaRequest) (*skeinv1.RemoveReplicaResponse, error) {
	list, err := p.change(ctx, "replica.remove", req.GetId(), "", func() ([]flow.Replica, error) {
		return p.s.deps.ControlPlane.RemoveReplica(ctx, req.GetId())
	})
	return &skeinv1.RemoveReplicaResponse{Replicas: toReplicas(list)}, err
}

func (p controlPlaneServer) change(ctx context.Context, action, id, detail string, do func() ([]flow.Replica, error)) ([]flow.Replica, error) {
	subject := "replica/" + id
	if !dnsLabel.MatchString(id) {
		return nil, p.s.refused(ctx, action, subject, fault.Field("id", "%s is not a DNS label, as the ids of replicas are", fault.Quote(id)))
	}
	list, err := do()
	if err != nil {
		return nil, p.s.refused(ctx, action, subject, err)
	}
	return list, p.s.record(ctx, action, subject, detail)
}

// TransferLeadership hands the leadership on, and waits for the new term.
func (p controlPlaneServer) TransferLeadership(ctx context.Context, req *skeinv1.TransferLeadershipRequest) (*skeinv1.TransferLeadershipResponse, error) {
	const action = "leadership.transfer"
	subject := "replica/" + req.GetTo()
	if req.GetTo() != "" && !dnsLabel.MatchString(req.GetTo()) {
		return nil, p.s.refused(ctx, action, subject, fault.Field("to", "%s is not a DNS label, as the ids of replicas are", fault.Quote(req.GetTo())))
	}
	leader, epoch, err := p.s.deps.ControlPlane.TransferLeadership(ctx, req.GetTo())
	if err != nil {
		return nil, p.s.refused(ctx, action, subject, err)
	}
	return &skeinv1.TransferLeadershipResponse{Leader: leader, Epoch: toEpoch(epoch)},
		p.s.record(ctx, action, "replica/"+leader, "leads at scheduler epoch "+epoch.String())
}

// OverruleDoubt lets work be moved although most clusters seem to be lost.
func (p controlPlaneServer) OverruleDoubt(ctx context.Context, _ *skeinv1.OverruleDoubtRequest) (*skeinv1.OverruleDoubtResponse, error) {
	const action, subject = "doubt.overrule", "control-plane"
	if err := p.s.deps.ControlPlane.OverruleDoubt(ctx); err != nil {
		return nil, p.s.refused(ctx, action, subject, err)
	}
	return &skeinv1.OverruleDoubtResponse{}, p.s.record(ctx, action, subject, "")
}

func toReplicas(list []flow.Replica) []*skeinv1.Replica {
	var out []*skeinv1.Replica
	for _, r := range list {
		out = append(out, &skeinv1.Replica{Id: r.ID, Address: r.Address, Voter: r.Voter, Leader: r.Leader,
			Rpc: r.RPC, Version: r.Version, SeenAt: timestamp(r.SeenAt)})
	}
	return out
}
