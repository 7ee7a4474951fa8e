package service

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// placementServer answers skein.v1.PlacementService.
type placementServer struct {
	skeinv1.UnimplementedPlacementServiceServer
	s *Service
}

// Explain reads what was stored when the execution was decided upon.
func (p placementServer) Explain(ctx context.Context, req *skeinv1.ExplainRequest) (*skeinv1.ExplainResponse, error) {
	id, err := refID(req.GetExecution())
	if err != nil {
		return nil, err
	}
	row, err := p.s.deps.Executions.GetExecution(ctx, id)
	if err != nil {
		return nil, err
	}
	decisions, err := p.s.deps.Decisions.ListDecisions(ctx, id)
	if err != nil {
		return nil, err
	}
	story := story{row: row, decisions: decisions}
	if row.Cluster != "" {
		if story.cluster, err = p.s.deps.Clusters.GetCluster(ctx, row.Cluster); err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if story.members, err = p.s.deps.Clusters.ListMembers(ctx, row.Cluster); err != nil {
			return nil, err
		}
	}
	out := &skeinv1.ExplainResponse{
		Execution: toRef(id), Phase: row.Phase.String(), Cluster: row.Cluster, Epoch: toEpoch(row.Epoch),
		Summary: story.summary(), Requirement: toRequirement(row.Requirement), Trace: row.Trace,
	}
	for _, d := range decisions {
		out.Decisions = append(out.Decisions, toDecision(d))
	}
	out.Failover = &skeinv1.FailoverPolicy{Mode: string(cmp.Or(row.Failover.Mode, flow.FailoverResume)), Strict: row.Failover.Strict,
		MaxMoves: int32(cmp.Or(row.Failover.MaxMoves, flow.DefaultMaxMoves)), Moves: int32(row.Moves)}
	if story.waits() {
		out.Remedies = p.s.deps.Forecaster.Remedies(decisions[0].Reasons)
	}
	moves, err := p.s.deps.Histories.ListMoves(ctx, id)
	for _, m := range moves {
		out.Moves = append(out.Moves, &skeinv1.Move{From: m.From, Epoch: toEpoch(m.Epoch), Kind: string(m.Kind), Reason: m.Reason, At: timestamp(m.At)})
	}
	return out, err
}

// story is what the summary is told from.
type story struct {
	row       flow.Execution
	decisions []flow.Decision
	cluster   flow.Cluster
	members   []flow.MemberState
}

// waits reports whether its newest decision was that no cluster fits.
func (t story) waits() bool {
	return t.row.Cluster == "" && !t.row.Phase.Terminal() && len(t.decisions) > 0 && t.decisions[0].Cluster == ""
}

// summary is one paragraph for people: why here, or why still waiting.
func (t story) summary() string {
	switch {
	case t.row.Phase.Terminal() && t.row.Cluster == "":
		return fmt.Sprintf("It ended as %s before any cluster got it.", t.row.Phase)
	case t.row.Phase.Terminal():
		return fmt.Sprintf("It ended as %s on cluster %s. %s", t.row.Phase, t.row.Cluster, t.whyHere())
	case t.row.Cluster == "":
		return t.whyWaiting()
	case t.row.Revoking != "":
		return fmt.Sprintf("It is being taken from cluster %s (%s), and is placed elsewhere when the cluster has stopped it. %s", t.row.Cluster, t.row.Revoking, t.whyHere())
	case t.cluster.Lost || t.cluster.Health == flow.HealthLapsed:
		return t.whyStranded()
	case t.cluster.Health == flow.HealthSuspect:
		return fmt.Sprintf("It is placed on cluster %s, which has not been heard of since %s; what it runs goes on until its lease ends. %s",
			t.row.Cluster, t.lastSeen(), t.whyHere())
	}
	return fmt.Sprintf("It is %s on cluster %s. %s", t.row.Phase, t.row.Cluster, t.whyHere())
}

// whyStranded is for what is placed on a cluster that has lapsed or was lost.
func (t story) whyStranded() string {
	what := fmt.Sprintf("has lapsed since %s: no member of it holds a lease, so it starts nothing that may move", clock(t.cluster.HealthSince))
	if t.cluster.Lost {
		what = "was declared lost"
	}
	next := "It is moved elsewhere as soon as it fits somewhere."
	switch {
	case t.row.Failover.Pinned():
		next = "Its failover policy is never: it stays, and goes on there if the cluster still runs."
	case !t.row.Failover.Moves(t.row.Moves):
		next = fmt.Sprintf("It was moved %d times, which is its limit: it stays until the cluster is back.", t.row.Moves)
	}
	return fmt.Sprintf("It is placed on cluster %s, which %s. Last heard of it: %s. %s %s", t.row.Cluster, what, t.lastSeen(), next, t.whyHere())
}

// whyHere tells the reasons of the placement that holds.
func (t story) whyHere() string {
	for _, d := range t.decisions {
		if d.Cluster != t.row.Cluster || d.Epoch != t.row.Epoch {
			continue
		}
		why := fmt.Sprintf("It was chosen at %s.", clock(d.At))
		for _, r := range d.Reasons {
			if r.Chosen {
				why = fmt.Sprintf("It was chosen at %s with a score of %.2f: %s.", clock(d.At), r.Score, strings.TrimSuffix(r.Message, "."))
			}
		}
		if refused := passedOver(d.Reasons); refused != "" {
			why += " Not chosen: " + refused + "."
		}
		return why
	}
	return "The decision's reasons are not stored."
}

func (t story) whyWaiting() string {
	wants := ""
	if t.row.Requirement.Selector != "" {
		wants = fmt.Sprintf(" It asks for clusters that match %q.", t.row.Requirement.Selector)
	}
	if len(t.decisions) == 0 {
		return "It waits for the scheduler, which has not looked at it yet." + wants
	}
	d := t.decisions[0]
	if d.Cluster != "" {
		return fmt.Sprintf("It was taken from cluster %s and waits to be placed again.%s", d.Cluster, wants)
	}
	reasons := refusals(d.Reasons)
	if reasons == "" {
		reasons = "no cluster is registered"
	}
	return fmt.Sprintf("It waits since %s: no cluster fits.%s As of %s: %s. It is placed as soon as one does.",
		clock(t.row.CreatedAt), wants, clock(d.At), reasons)
}

func (t story) lastSeen() string {
	var last time.Time
	for _, m := range t.members {
		if m.LastSeenAt.After(last) {
			last = m.LastSeenAt
		}
	}
	if last.IsZero() {
		return "never"
	}
	return clock(last)
}

func refusals(reasons []flow.Reason) string {
	var list []string
	for _, r := range reasons {
		if r.Chosen {
			continue
		}
		line := r.Cluster + " (" + r.Message + ")"
		if r.Filter != "" {
			line = r.Cluster + " (" + r.Filter + ": " + r.Message + ")"
		}
		list = append(list, line)
	}
	return strings.Join(list, ", ")
}

// passedOver tells why each other cluster was not chosen; of those that fit, by
// how much they scored less.
func passedOver(reasons []flow.Reason) string {
	var best float64
	for _, r := range reasons {
		if r.Chosen {
			best = r.Score
		}
	}
	told := slices.Clone(reasons)
	for i, r := range told {
		switch {
		case r.Chosen || r.Filter != "":
		case r.Score == best:
			told[i].Message = fmt.Sprintf("fits with the same score of %.2f; ties fall by name of execution and cluster", r.Score)
		default:
			told[i].Message = fmt.Sprintf("fits with a lower score of %.4g, %.2g less", r.Score, best-r.Score)
		}
	}
	return refusals(told)
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func refID(ref *skeinv1.ExecutionRef) (flow.ExecutionID, error) {
	err := texts("execution.project", ref.GetProject(), "execution.domain", ref.GetDomain(), "execution.name", ref.GetName())
	return flow.ExecutionID{Project: ref.GetProject(), Domain: ref.GetDomain(), Name: ref.GetName()}, err
}

func toRef(id flow.ExecutionID) *skeinv1.ExecutionRef {
	return &skeinv1.ExecutionRef{Project: id.Project, Domain: id.Domain, Name: id.Name}
}

func toEpoch(e flow.Epoch) *skeinv1.Epoch { return &skeinv1.Epoch{Era: e.Era, N: e.N} }

func toRequirement(r flow.Requirement) *skeinv1.Requirement {
	return &skeinv1.Requirement{Selector: r.Selector, TaskTypes: r.TaskTypes, Largest: toResources(r.Largest),
		Peak: toResources(r.Peak), Reservation: toResources(r.Reservation), Pool: r.Pool, PriorityClass: r.Class,
		Architectures: r.Architectures, Accelerators: r.Accelerators, Group: r.Group, Near: r.Near, Apart: r.Apart, Data: r.Data}
}

func toDecision(d flow.Decision) *skeinv1.Decision {
	out := &skeinv1.Decision{Cluster: d.Cluster, Epoch: toEpoch(d.Epoch), Scheduler: toEpoch(d.Scheduler), At: timestamp(d.At),
		Trail: d.Trail, Score: d.Score, Fallback: d.Fallback}
	for _, r := range d.Reasons {
		out.Reasons = append(out.Reasons, &skeinv1.Reason{Cluster: r.Cluster, Filter: r.Filter, Message: r.Message,
			Score: r.Score, Parts: r.Parts.Map(), Chosen: r.Chosen})
	}
	return out
}
