// Package snapshot freezes the world that a decision looks at.
//
// It reads the fleet, live placements and pending executions from the database,
// joins them with what the leader heard from hubs in this term, and returns
// plain values. It writes nothing and decides nothing but each cluster's health,
// by health.Judge. The scheduler's cycle calls Look, chooses the clusters that
// are to lose work, and calls Gather.
//
// Invariants: reserved capacity is derived from live placements, and never
// remembered, so that it survives a change of leader. Live placements are read
// before pending executions: what moves between the two reads is counted twice
// at worst, never not at all. Lease rows are read before the leader's memory of
// leases: a lease that is granted in between is seen in the memory, and one
// that is granted later changes a row that was seen.
package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
	"github.com/skein-project/skein/scheduler/health"
	"github.com/skein-project/skein/scheduler/placement"
)

// Ledger reads executions and what was declared about them.
type Ledger interface {
	// Pending gives the executions that wait for a cluster, oldest first, from just
	// after a place in that order on. Where Digest is set, Requirement is empty.
	Pending(ctx context.Context, after flow.PendingKey, limit int) ([]flow.Pending, error)
	// Requirements gives what digests name; it never changes.
	Requirements(ctx context.Context, digests []string) (map[string]flow.Requirement, error)
	// Loads gives what live placements hold, summed up.
	Loads(ctx context.Context) ([]flow.Load, error)
	// Live gives what these clusters hold, oldest first.
	Live(ctx context.Context, clusters []string, limit int) ([]flow.Placed, error)
	// ListPolicies gives the newest policies of all scopes for the scope "".
	ListPolicies(ctx context.Context, scope string) ([]flow.Policy, error)
}

// Fleet reads clusters and their members; cluster "" means all.
type Fleet interface {
	ListClusters(ctx context.Context) ([]flow.Cluster, error)
	ListMembers(ctx context.Context, cluster string) ([]flow.MemberState, error)
	// LongestLease is the longest that was ever granted.
	LongestLease(ctx context.Context) (time.Duration, error)
}

// Gatherer observes for one term. All fields but Now and Version are needed.
// One goroutine at a time may use it.
type Gatherer struct {
	Ledger  Ledger
	Fleet   Fleet
	Live    func() map[flow.Member]health.Liveness // the leader's memory of beats
	Since   time.Time                              // when the term began, or the REBUILD in it ended
	Lease   time.Duration                          // that members may hold of which no row tells
	Health  health.Policy
	Policy  placement.Policy
	Limits  placement.Limits
	Version string // the control plane's own
	Limit   int    // of pending executions
	Now     func() time.Time

	classes map[string]flow.Requirement // by digest: what a digest names never changes
	longest time.Duration               // lease that earlier terms have granted; read once
	crowd   crowd
	blind   bool // a mutant's
}

// Sight is the fleet as the leader sees it.
type Sight struct {
	Now      time.Time
	Clusters []placement.ClusterView
	// Marks are the lease rows of each cluster's members, as they were read.
	Marks map[string][]flow.LeaseMark
	// Held says of a cluster that some member may hold a lease, on this leader's
	// clock; nothing may be taken from it without an operator's word.
	Held map[string]bool
	// Lapses is when the first of these clusters lapses if nothing is heard of it
	// until then; zero: none may hold a lease.
	Lapses time.Time
}

// Look reads and judges the fleet. Errors are the ports'.
func (g *Gatherer) Look(ctx context.Context) (Sight, error) {
	clusters, err := g.Fleet.ListClusters(ctx)
	if err != nil {
		return Sight{}, fmt.Errorf("list clusters: %w", err)
	}
	if g.longest == 0 {
		if g.longest, err = g.Fleet.LongestLease(ctx); err != nil {
			return Sight{}, fmt.Errorf("read the longest lease: %w", err)
		}
	}
	rows, err := g.Fleet.ListMembers(ctx, "")
	if err != nil {
		return Sight{}, fmt.Errorf("list members: %w", err)
	}
	live := g.Live() // after the rows
	s := Sight{Now: g.now(), Marks: map[string][]flow.LeaseMark{}, Held: map[string]bool{}}
	members, known, ends := map[string][]health.Member{}, map[string]bool{}, map[string]time.Time{}
	for _, c := range clusters {
		known[c.Name] = c.Health != "" && c.Health != flow.HealthUnknown
	}
	for _, r := range rows {
		m := g.recall(r, live[r.Member], known[r.Cluster])
		members[r.Cluster] = append(members[r.Cluster], m)
		if m.Holds(s.Now, g.Health) {
			s.Held[r.Cluster] = true
			ends[r.Cluster] = latest(ends[r.Cluster], m.HoldsUntil.Add(g.Health.Margin))
		}
		s.Marks[r.Cluster] = append(s.Marks[r.Cluster],
			flow.LeaseMark{Member: r.Member, Generation: r.LeaseGeneration, RecordedAt: r.LeaseRecordedAt})
	}
	for _, c := range clusters {
		s.Clusters = append(s.Clusters, g.view(c, members[c.Name], s.Now))
	}
	for _, at := range ends {
		if s.Lapses.IsZero() || at.Before(s.Lapses) {
			s.Lapses = at
		}
	}
	return s, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// recall joins a member's row with what was heard of it. Of a cluster whose
// health is known a member without a lease row has held one that was forgotten
// when a restored backup was rebuilt: it gets the time to come back that it has
// after a change of leader, and then its cluster has lapsed.
func (g *Gatherer) recall(r flow.MemberState, live health.Liveness, known bool) health.Member {
	if known && r.Generation > 0 && r.LeaseExpiresAt.IsZero() {
		r.LeaseDuration, r.LeaseExpiresAt = g.Lease, g.Since.Add(g.Lease)
	}
	longest := g.longest
	if mutant.On("new-leader-does-not-wait") && live.LeaseEnds.IsZero() {
		r.LeaseDuration, longest = 0, 0
	}
	return health.Recall(r, live, g.Since, longest)
}

func (g *Gatherer) view(c flow.Cluster, members []health.Member, now time.Time) placement.ClusterView {
	v := placement.ClusterView{Cluster: c, Recorded: c.Health}
	for _, m := range members {
		v.Leased = v.Leased || m.Leased(now)
		v.Heard = v.Heard || m.Heard(now, g.Health)
	}
	v.Health = health.Judge(health.History{Recorded: c.Health, Since: g.Since, Members: members, Lost: c.Lost}, now, g.Health)
	return v
}

// Gather reads the work, and gives the view of one round over that fleet.
// Errors are the ports'.
func (g *Gatherer) Gather(ctx context.Context, s Sight) (placement.View, error) {
	v := placement.View{Now: s.Now.Round(0), Version: g.Version, Clusters: s.Clusters, Policy: g.Policy, Limits: g.Limits}
	var err error
	if v.Policies, err = g.Ledger.ListPolicies(ctx, ""); err != nil {
		return v, fmt.Errorf("read policies: %w", err)
	}
	if v.Loads, err = g.Ledger.Loads(ctx); err != nil {
		return v, fmt.Errorf("read reservations: %w", err)
	}
	if mutant.On("reservation-forgotten-at-leader-change") && !g.blind {
		v.Loads, g.blind = nil, true
	}
	if v.Pending, err = g.pending(ctx); err != nil {
		return v, fmt.Errorf("read pending executions: %w", err)
	}
	return v, nil
}

// Held reads what clusters hold. Errors are the ports'.
func (g *Gatherer) Held(ctx context.Context, clusters []string, limit int) ([]flow.Placed, error) {
	if len(clusters) == 0 {
		return nil, nil
	}
	list, err := g.Ledger.Live(ctx, clusters, limit)
	if err != nil {
		return nil, fmt.Errorf("read live placements: %w", err)
	}
	return list, nil
}

// mostClasses bounds the requirements that are remembered.
const mostClasses = 100_000

// Require fills in the requirements that executions name by digest, from what
// was read before or from the database.
func (g *Gatherer) Require(ctx context.Context, v *placement.View, held []flow.Placed) error {
	if g.classes == nil || len(g.classes) > mostClasses {
		g.classes = map[string]flow.Requirement{}
	}
	var unknown []string
	v.Requirements = map[string]flow.Requirement{}
	name := func(digest string) {
		if _, seen := v.Requirements[digest]; seen || digest == "" {
			return
		}
		r, known := g.classes[digest]
		if !known {
			unknown = append(unknown, digest)
		}
		v.Requirements[digest] = r
	}
	for _, p := range v.Pending {
		name(p.Digest)
	}
	for _, p := range held {
		name(p.Digest)
	}
	if len(unknown) == 0 {
		return nil
	}
	found, err := g.Ledger.Requirements(ctx, unknown)
	if err != nil {
		return fmt.Errorf("read requirements: %w", err)
	}
	for _, digest := range unknown {
		r, ok := found[digest]
		if !ok { // cannot be: its row is written with the execution's
			delete(v.Requirements, digest)
			continue
		}
		g.classes[digest], v.Requirements[digest] = r, r
	}
	return nil
}

func (g *Gatherer) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}
