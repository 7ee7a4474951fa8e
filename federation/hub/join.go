package hub

import (
	"context"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/identity"
)

// Join exchanges a join token for a certificate.
func (h *Hub) Join(ctx context.Context, req *skeinv1.JoinRequest) (*skeinv1.JoinResponse, error) {
	cluster, cert, err := h.o.Desk.Join(ctx, req.GetToken(), []byte(req.GetCsr()), req.GetInstance())
	if err == nil { // only the token tells the cluster
		err = h.admit(ctx, flow.Member{Cluster: cluster, Instance: req.GetInstance()}, "member.join", true)
	}
	if err != nil {
		h.metrics.joins.WithLabelValues("refused").Inc()
		h.log.Warn("a join was refused", "instance", req.GetInstance(), "error", err)
		return nil, identity.Status(err)
	}
	h.metrics.joins.WithLabelValues("ok").Inc()
	h.log.Info("a member joined", "cluster", cluster, "instance", req.GetInstance())
	return &skeinv1.JoinResponse{Certificate: string(cert), Ca: string(h.o.Desk.Bundle()), Cluster: cluster}, nil
}

// Renew exchanges a still valid certificate for a new one, while its cluster is
// registered, and was not removed since it was made.
func (h *Hub) Renew(ctx context.Context, req *skeinv1.RenewRequest) (*skeinv1.RenewResponse, error) {
	caller, err := identity.PeerFromContext(ctx, h.o.TrustDomain)
	if err != nil {
		return nil, identity.Status(err)
	}
	if err := h.admit(ctx, caller.Member(), "member.renew", true); err != nil {
		return nil, identity.Status(err)
	}
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	incarnation, err := h.admits(ctx, caller, "member.renew")
	if err != nil {
		return nil, identity.Status(err)
	}
	cert, err := h.o.Desk.Renew(ctx, caller.ID, incarnation, []byte(req.GetCsr()))
	if err != nil {
		return nil, identity.Status(err)
	}
	return &skeinv1.RenewResponse{Certificate: string(cert), Ca: string(h.o.Desk.Bundle())}, nil
}
