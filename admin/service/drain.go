package service

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// The limits of a drain.
const (
	defaultDrainBudget = 10
	maxDrainBudget     = 1000
	maxDrainDeadline   = 30 * 24 * time.Hour
	maxDrainGrace      = 7 * 24 * time.Hour
	// maxDrainPlan bounds the lines of a plan.
	maxDrainPlan = 1000
	// maxCounted bounds the placements of one cluster that a status counts.
	maxCounted = 100_000
	// drainBeat is how often WatchDrain looks, planBeat how often it asks what
	// would fit elsewhere.
	drainBeat = time.Second
	planBeat  = 15 * time.Second
)

// Drain cordons a cluster and orders that its executions be moved.
func (c clusterServer) Drain(ctx context.Context, req *skeinv1.DrainRequest) (*skeinv1.DrainResponse, error) {
	action, name := "cluster.drain", req.GetName()
	if req.GetStop() {
		action = "cluster.drain-stop"
	}
	order, err := c.order(ctx, req)
	if err == nil {
		err = clusterName("name", name)
	}
	if err != nil {
		return nil, c.s.refusedUnless(ctx, req.GetDryRun(), action, "cluster/"+name, err)
	}
	if req.GetDryRun() {
		return c.planned(ctx, name, order)
	}
	row, err := c.update(ctx, action, name, drainDetail(order), func(row *flow.Cluster) error { return ordered(row, order) })
	if err != nil {
		return nil, err
	}
	if order == nil {
		status, err := c.drainStatus(ctx, row)
		return &skeinv1.DrainResponse{Status: status}, err
	}
	return c.planned(ctx, name, row.Drain)
}

// order reads the order; nil stops one.
func (c clusterServer) order(ctx context.Context, req *skeinv1.DrainRequest) (*flow.ClusterDrain, error) {
	if req.GetStop() {
		if req.GetBudget() != 0 || req.GetDeadline() != nil || req.GetGrace() != nil || req.GetDryRun() {
			return nil, fault.Field("stop", "ends a drain; leave budget, deadline, grace and dry_run out")
		}
		return nil, nil
	}
	budget, deadline, grace := int(req.GetBudget()), req.GetDeadline().AsDuration(), req.GetGrace().AsDuration()
	switch {
	case budget < 0 || budget > maxDrainBudget:
		return nil, fault.Field("budget", "must lie between 0 (which means %d) and %d, is %d", defaultDrainBudget, maxDrainBudget, budget)
	case req.GetDeadline() != nil && (deadline <= 0 || deadline > maxDrainDeadline):
		return nil, fault.Field("deadline", "must be above 0 and at most %s, is %s", maxDrainDeadline, deadline)
	case grace < 0 || grace > maxDrainGrace:
		return nil, fault.Field("grace", "must lie between 0 and %s, is %s", maxDrainGrace, grace)
	}
	if budget == 0 {
		budget = defaultDrainBudget
	}
	now := c.s.now()
	d := &flow.ClusterDrain{Budget: budget, Grace: int64(grace / time.Second), By: operator(ctx), At: now}
	if deadline > 0 {
		d.Deadline = now.Add(deadline)
	}
	return d, nil
}

// ordered changes the cluster's row. A drain that is under way keeps its start.
func ordered(row *flow.Cluster, order *flow.ClusterDrain) error {
	if order == nil {
		if row.Drain == nil {
			return fault.E(fault.Precondition, "cluster %s is not being drained", row.Name)
		}
		row.Drain = nil
		return nil
	}
	if row.Lost {
		return fault.E(fault.Precondition, "cluster %s is declared lost: its work is moved already", row.Name)
	}
	now := *order
	if row.Drain != nil && !row.Drain.Expired {
		now.At = row.Drain.At
	}
	row.Drain, row.Cordoned = &now, true
	return nil
}

func drainDetail(d *flow.ClusterDrain) string {
	if d == nil {
		return ""
	}
	s := fmt.Sprintf("budget %d, grace %s", d.Budget, time.Duration(d.Grace)*time.Second)
	if !d.Deadline.IsZero() {
		s += ", until " + clock(d.Deadline)
	}
	return s
}

// planned says where each execution would go now.
func (c clusterServer) planned(ctx context.Context, name string, order *flow.ClusterDrain) (*skeinv1.DrainResponse, error) {
	row, err := c.s.deps.Clusters.GetCluster(ctx, name)
	if err != nil {
		return nil, noCluster(err, name)
	}
	row.Drain = order
	status, err := c.drainStatus(ctx, row)
	if err != nil {
		return nil, err
	}
	out := &skeinv1.DrainResponse{Status: status}
	forecast, err := c.s.deps.Forecaster.WhatIf(ctx, Change{Drain: []string{name}})
	if err != nil {
		return nil, err
	}
	for _, o := range forecast.Outcomes {
		if o.From != name {
			continue
		}
		if len(out.Plan) < maxDrainPlan {
			out.Plan = append(out.Plan, &skeinv1.DrainStep{Execution: toRef(o.Execution), To: o.To, How: o.How})
		}
	}
	status.Unplaceable = unplaceable(forecast, status, name)
	return out, nil
}

// unplaceable counts what would stay on a cluster for want of room: not what may
// never move, nor what is on the move already.
func unplaceable(f Forecast, status *skeinv1.DrainStatus, cluster string) int64 {
	n := -status.GetPinned() - status.GetMoving()
	for _, o := range f.Outcomes {
		if o.From == cluster && o.To == "" {
			n++
		}
	}
	return max(n, 0)
}

// drainStatus counts what a cluster still holds.
func (c clusterServer) drainStatus(ctx context.Context, row flow.Cluster) (*skeinv1.DrainStatus, error) {
	live, err := c.s.deps.Histories.Live(ctx, []string{row.Name}, maxCounted)
	if err != nil {
		return nil, err
	}
	out := &skeinv1.DrainStatus{Remaining: int64(len(live)), Done: row.Drain != nil && len(live) == 0}
	for _, p := range live {
		switch {
		case p.Revoking != "":
			out.Moving++
		case p.Failover.Pinned():
			out.Pinned++
		}
	}
	if d := row.Drain; d != nil {
		out.Budget, out.By, out.Expired = int32(d.Budget), d.By, d.Expired
		out.StartedAt, out.Deadline = timestamp(d.At), timestamp(d.Deadline)
	}
	return out, nil
}

// WatchDrain streams a drain's progress until it ends: the scheduler has found the
// cluster empty, the deadline has passed, or somebody stopped it.
func (c clusterServer) WatchDrain(req *skeinv1.WatchDrainRequest, stream grpc.ServerStreamingServer[skeinv1.WatchDrainResponse]) error {
	ctx := stream.Context()
	if err := clusterName("name", req.GetName()); err != nil {
		return err
	}
	w := drainWatch{c: c, name: req.GetName()}
	ticker := time.NewTicker(drainBeat)
	defer ticker.Stop()
	for {
		status, last, err := w.look(ctx)
		if err != nil {
			return err
		}
		if err := stream.Send(&skeinv1.WatchDrainResponse{Status: status}); err != nil || last {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// drainWatch remembers what the pace is computed from.
type drainWatch struct {
	c           clusterServer
	name        string
	first       time.Time
	began       int64
	plannedAt   time.Time
	unplaceable int64
	draining    bool
}

func (w *drainWatch) look(ctx context.Context) (status *skeinv1.DrainStatus, last bool, err error) {
	row, err := w.c.s.deps.Clusters.GetCluster(ctx, w.name)
	if err != nil {
		return nil, true, noCluster(err, w.name)
	}
	if row.Drain == nil && !w.draining {
		return nil, true, fault.E(fault.Precondition, "cluster %s is not being drained", w.name)
	}
	if status, err = w.c.drainStatus(ctx, row); err != nil {
		return nil, true, err
	}
	w.draining = true
	now := w.c.s.now()
	if w.first.IsZero() {
		w.first, w.began = now, status.GetRemaining()
	}
	status.Eta = pace(w.began, status.GetRemaining(), status.GetPinned(), now.Sub(w.first))
	if row.Drain == nil { // the scheduler ended it, or an operator
		status.Done = status.GetRemaining() == 0
		return status, true, nil
	}
	if now.Sub(w.plannedAt) >= planBeat && status.GetRemaining() > 0 {
		// Without a leader that can plan, the count that is known stands.
		if f, err := w.c.s.deps.Forecaster.WhatIf(ctx, Change{Drain: []string{w.name}}); err == nil {
			w.unplaceable = unplaceable(f, status, w.name)
		}
		w.plannedAt = now
	}
	status.Unplaceable = min(w.unplaceable, status.GetRemaining()-status.GetMoving()-status.GetPinned())
	// An empty cluster is being drained until the scheduler has ended that: who has
	// waited may want to uncordon it.
	return status, status.GetExpired(), nil
}

// pace is how long the rest takes if it goes on as it went so far; nil while
// nothing has left, or if nothing that can leave is left.
func pace(began, remaining, pinned int64, passed time.Duration) *durationpb.Duration {
	left, rest := began-remaining, remaining-pinned
	if left <= 0 || rest <= 0 || passed <= 0 {
		return nil
	}
	return durationpb.New((passed / time.Duration(left) * time.Duration(rest)).Round(time.Second))
}
