// Package snapshot freezes the world that a decision looks at.
//
// It reads pending executions, live placements and the fleet from the database,
// joins them with what the leader heard from hubs in this term, and returns one
// plain value. It writes nothing and decides nothing but each cluster's health,
// by health.Judge. The scheduler's cycle calls it once a round.
//
// Invariant: reserved capacity is derived from live placements, and never
// remembered, so that it survives a change of leader. Live placements are read
// before pending executions: what moves between the two reads is counted twice
// at worst, never not at all.
package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/health"
	"github.com/skein-project/skein/scheduler/placement"
)

// Ledger reads executions.
type Ledger interface {
	// Pending gives the executions that wait for a cluster, oldest first. Where
	// Digest is set, Requirement is empty.
	Pending(ctx context.Context, limit int) ([]flow.Pending, error)
	// Requirements gives what digests name.
	Requirements(ctx context.Context, digests []string) (map[string]flow.Requirement, error)
	// Reserved gives what live placements hold.
	Reserved(ctx context.Context) ([]flow.Reserved, error)
}

// Fleet reads clusters and their members; cluster "" means all.
type Fleet interface {
	ListClusters(ctx context.Context) ([]flow.Cluster, error)
	ListMembers(ctx context.Context, cluster string) ([]flow.MemberState, error)
}

// Gatherer observes for one term. All fields but Now are needed.
type Gatherer struct {
	Ledger Ledger
	Fleet  Fleet
	Live   func() map[flow.Member]health.Liveness // the leader's memory of beats
	Since  time.Time                              // when the term began
	Health health.Policy
	Policy placement.Policy
	Limit  int // of pending executions
	Now    func() time.Time
}

// Gather reads the view of one round. Errors are the ports'.
func (g *Gatherer) Gather(ctx context.Context) (placement.View, error) {
	clusters, err := g.Fleet.ListClusters(ctx)
	if err != nil {
		return placement.View{}, fmt.Errorf("list clusters: %w", err)
	}
	rows, err := g.Fleet.ListMembers(ctx, "")
	if err != nil {
		return placement.View{}, fmt.Errorf("list members: %w", err)
	}
	reserved, err := g.Ledger.Reserved(ctx)
	if err != nil {
		return placement.View{}, fmt.Errorf("read reservations: %w", err)
	}
	pending, err := g.Ledger.Pending(ctx, g.Limit)
	if err != nil {
		return placement.View{}, fmt.Errorf("read pending executions: %w", err)
	}
	if err := g.require(ctx, pending); err != nil {
		return placement.View{}, err
	}
	now := g.now()
	return placement.View{Now: now, Pending: pending, Reserved: reserved,
		Clusters: g.views(clusters, rows, now), Policy: g.Policy}, nil
}

// require fills in the requirements that digests name.
func (g *Gatherer) require(ctx context.Context, pending []flow.Pending) error {
	named := map[string]bool{}
	for _, p := range pending {
		if p.Digest != "" {
			named[p.Digest] = true
		}
	}
	if len(named) == 0 {
		return nil
	}
	known, err := g.Ledger.Requirements(ctx, slices.Collect(maps.Keys(named)))
	if err != nil {
		return fmt.Errorf("read requirements: %w", err)
	}
	for i, p := range pending {
		if p.Digest != "" {
			pending[i].Requirement = known[p.Digest]
		}
	}
	return nil
}

func (g *Gatherer) views(clusters []flow.Cluster, rows []flow.MemberState, now time.Time) []placement.ClusterView {
	live := g.Live()
	members := map[string][]health.Member{}
	for _, r := range rows {
		members[r.Cluster] = append(members[r.Cluster], health.Recall(r, live[r.Member], g.Since))
	}
	out := make([]placement.ClusterView, 0, len(clusters))
	for _, c := range clusters {
		v := placement.ClusterView{Cluster: c, Recorded: c.Health}
		for _, m := range members[c.Name] {
			v.Leased = v.Leased || m.Leased(now)
			v.Heard = v.Heard || m.Heard(now, g.Health)
		}
		v.Health = health.Judge(health.History{Recorded: c.Health, Since: g.Since, Members: members[c.Name]}, now, g.Health)
		out = append(out, v)
	}
	return out
}

func (g *Gatherer) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}
