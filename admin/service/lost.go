package service

import (
	"context"
	"fmt"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// DeclareLost gives a cluster up: its sessions end with the call, and what it
// holds is placed elsewhere, or ended, when the last lease of it is over.
func (c clusterServer) DeclareLost(ctx context.Context, req *skeinv1.DeclareLostRequest) (*skeinv1.DeclareLostResponse, error) {
	subject := "cluster/" + req.GetName()
	report, err := c.declareLost(ctx, req)
	if err != nil {
		return nil, c.s.refusedUnless(ctx, req.GetDryRun(), "cluster.declare-lost", subject, err)
	}
	if !req.GetDryRun() {
		c.s.deps.Nudge()
	}
	out, err := c.message(ctx, report.Cluster)
	return &skeinv1.DeclareLostResponse{Movable: report.Movable, Pinned: report.Pinned, Aborting: report.Aborting,
		Risks: c.risks(report, req.GetFailPinned()), Cluster: out}, err
}

func (c clusterServer) declareLost(ctx context.Context, req *skeinv1.DeclareLostRequest) (flow.LossReport, error) {
	name := req.GetName()
	if err := clusterName("name", name); err != nil {
		return flow.LossReport{}, err
	}
	row, err := c.s.deps.Clusters.GetCluster(ctx, name)
	if err != nil {
		return flow.LossReport{}, noCluster(err, name)
	}
	if row.Lost && !req.GetFailPinned() { // what it holds may be ended later
		return flow.LossReport{}, fault.E(fault.Precondition, "cluster %s is declared lost already; skein cluster declare-found %s undoes it", name, name)
	}
	if req.GetDryRun() {
		return c.lossOf(ctx, row)
	}
	detail := "work that may move is placed elsewhere"
	if req.GetFailPinned() {
		detail += ", what may never move ends as FAILED"
	}
	report, err := c.s.deps.Fleet.DeclareLost(ctx, name, req.GetFailPinned(), c.s.audit(ctx, "cluster.declare-lost", "cluster/"+name, detail))
	return report, noCluster(err, name)
}

// lossOf counts what declaring a cluster lost would do.
func (c clusterServer) lossOf(ctx context.Context, row flow.Cluster) (flow.LossReport, error) {
	out := flow.LossReport{Cluster: row}
	live, err := c.s.deps.Histories.Live(ctx, []string{row.Name}, maxCounted)
	if err != nil {
		return out, err
	}
	for _, p := range live {
		switch {
		case p.Desired == flow.DesiredAbort:
			out.Aborting++
		case p.Failover.Moves(p.Moves):
			out.Movable++
		default:
			out.Pinned++
		}
	}
	members, err := c.s.deps.Clusters.ListMembers(ctx, row.Name)
	for _, m := range members {
		if m.LeaseExpiresAt.After(out.LeaseUntil) && m.LeaseExpiresAt.After(c.s.now()) {
			out.LeaseUntil = m.LeaseExpiresAt
		}
	}
	return out, err
}

// risks says what may still run on the cluster, and until when.
func (c clusterServer) risks(r flow.LossReport, failPinned bool) []string {
	var out []string
	if r.Cluster.Health == flow.HealthHealthy {
		out = append(out, fmt.Sprintf("Cluster %s is Healthy: it can be drained, which runs nothing twice (skein cluster drain %s).", r.Cluster.Name, r.Cluster.Name))
	}
	if r.LeaseUntil.After(c.s.now()) {
		out = append(out, fmt.Sprintf("A member of it may hold a lease until %s: until then it may start tasks, and what it holds is not placed elsewhere.", clock(r.LeaseUntil)))
	}
	if r.Movable > 0 {
		out = append(out, fmt.Sprintf("Tasks of %d executions that are moved may run on in the cluster until somebody stops them there; "+
			"what they report is refused, but what they do to the outside is done twice.", r.Movable))
	}
	switch {
	case r.Pinned > 0 && failPinned:
		out = append(out, fmt.Sprintf("%d executions that may not move end as FAILED, whatever they have done.", r.Pinned))
	case r.Pinned > 0:
		out = append(out, fmt.Sprintf("%d executions that may not move stay assigned to the cluster until it is declared found, or this is asked for again with fail_pinned.", r.Pinned))
	}
	if r.Aborting > 0 {
		out = append(out, fmt.Sprintf("%d executions that are being aborted end as ABORTED, though their tasks may still run.", r.Aborting))
	}
	return out
}

// DeclareFound lets a lost cluster join again.
func (c clusterServer) DeclareFound(ctx context.Context, req *skeinv1.DeclareFoundRequest) (*skeinv1.DeclareFoundResponse, error) {
	subject := "cluster/" + req.GetName()
	row, err := c.declareFound(ctx, req.GetName(), c.s.audit(ctx, "cluster.declare-found", subject, ""))
	if err != nil {
		return nil, c.s.refused(ctx, "cluster.declare-found", subject, err)
	}
	c.s.deps.Nudge()
	out, err := c.message(ctx, row)
	return &skeinv1.DeclareFoundResponse{Cluster: out}, err
}

func (c clusterServer) declareFound(ctx context.Context, name string, a flow.Audit) (flow.Cluster, error) {
	if err := clusterName("name", name); err != nil {
		return flow.Cluster{}, err
	}
	row, err := c.s.deps.Clusters.GetCluster(ctx, name)
	if err == nil && !row.Lost {
		return row, fault.E(fault.Precondition, "cluster %s is not declared lost; its health is %s", name, row.Health)
	}
	if err == nil {
		row, err = c.s.deps.Fleet.DeclareFound(ctx, name, a)
	}
	return row, noCluster(err, name)
}
