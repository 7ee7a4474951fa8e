package snapshot

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/health"
	"github.com/skein-project/skein/scheduler/placement"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type world struct {
	clusters []flow.Cluster
	members  []flow.MemberState
	fail     error
	limit    int
	longest  time.Duration
	asked    []string // digests
	waiting  []flow.Pending
}

func (w *world) Pending(_ context.Context, after flow.PendingKey, limit int) ([]flow.Pending, error) {
	w.limit = limit
	list := []flow.Pending{{CreatedAt: now, Digest: "d"}}
	if w.waiting != nil {
		list = slices.DeleteFunc(slices.Clone(w.waiting), func(p flow.Pending) bool { return p.Key().Compare(after) <= 0 })
	}
	return list[:min(limit, len(list))], w.fail
}
func (w *world) Requirements(_ context.Context, digests []string) (map[string]flow.Requirement, error) {
	w.asked = append(w.asked, digests...)
	out := map[string]flow.Requirement{}
	for _, d := range digests {
		out[d] = flow.Requirement{Selector: d}
	}
	return out, nil
}
func (w *world) Loads(context.Context) ([]flow.Load, error) {
	return []flow.Load{{Cluster: "a", Executions: 3}}, nil
}
func (w *world) Live(_ context.Context, clusters []string, _ int) ([]flow.Placed, error) {
	return []flow.Placed{{Pending: flow.Pending{From: clusters[0], Digest: "e"}}}, w.fail
}
func (w *world) ListPolicies(context.Context, string) ([]flow.Policy, error) {
	return []flow.Policy{{Version: 3}}, nil
}
func (w *world) ListClusters(context.Context) ([]flow.Cluster, error) { return w.clusters, nil }
func (w *world) ListMembers(context.Context, string) ([]flow.MemberState, error) {
	return w.members, nil
}

func (w *world) LongestLease(context.Context) (time.Duration, error) { return w.longest, nil }

func TestGatherJoinsRowsWithBeats(t *testing.T) {
	m := func(cluster, instance string) flow.Member { return flow.Member{Cluster: cluster, Instance: instance} }
	row := flow.MemberState{Generation: 2, LeaseGeneration: 2, LeaseExpiresAt: now.Add(20 * time.Second), LeaseDuration: 30 * time.Second,
		LeaseRecordedAt: now.Add(-10 * time.Second)}
	good, silent := row, row
	good.LeaseDuration = 35 * time.Second
	good.Member, silent.Member = m("good", "1"), m("silent", "1")
	w := &world{members: []flow.MemberState{good, silent}, clusters: []flow.Cluster{
		{Name: "good", Health: flow.HealthSuspect}, {Name: "silent", Health: flow.HealthHealthy}, {Name: "new", Health: flow.HealthUnknown},
		{Name: "lost", Health: flow.HealthHealthy, Lost: true}}}
	g := &Gatherer{Ledger: w, Fleet: w, Since: now.Add(-18 * time.Second), Limit: 7, Now: func() time.Time { return now },
		Health: health.Policy{Suspect: 5 * time.Second, Margin: time.Second}, Policy: placement.DefaultPolicy(),
		Live: func() map[flow.Member]health.Liveness {
			return map[flow.Member]health.Liveness{good.Member: {Generation: 2, SeenAt: now.Add(-time.Second)}}
		}}
	ctx := context.Background()
	s, err := g.Look(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []placement.ClusterView{
		{Cluster: flow.Cluster{Health: flow.HealthHealthy}, Recorded: flow.HealthSuspect, Leased: true, Heard: true},
		{Cluster: flow.Cluster{Health: flow.HealthSuspect}, Recorded: flow.HealthHealthy, Leased: true},
		{Cluster: flow.Cluster{Health: flow.HealthUnknown}, Recorded: flow.HealthUnknown},
		{Cluster: flow.Cluster{Health: flow.HealthLost}, Recorded: flow.HealthHealthy},
	} {
		c := s.Clusters[i]
		if c.Health != want.Health || c.Recorded != want.Recorded || c.Leased != want.Leased || c.Heard != want.Heard {
			t.Errorf("%s: health %s recorded %s leased %v heard %v, want %+v", c.Name, c.Health, c.Recorded, c.Leased, c.Heard, want)
		}
	}
	if !s.Held["silent"] || s.Held["new"] {
		t.Errorf("who may hold a lease: %v", s.Held)
	}
	if want := now.Add(13 * time.Second); s.Lapses != want { // the earlier lease, and the margin
		t.Errorf("the first cluster lapses at %s, want %s", s.Lapses, want)
	}
	if m := s.Marks["good"]; len(m) != 1 || m[0] != (flow.LeaseMark{Member: good.Member, Generation: 2, RecordedAt: good.LeaseRecordedAt}) {
		t.Errorf("lease rows %+v", m)
	}
	v, err := g.Gather(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Pending) != 1 || len(v.Loads) != 1 || len(v.Policies) != 1 || w.limit != 7 || v.Now != now {
		t.Errorf("the view lacks what was read: %+v", v)
	}
	held, err := g.Held(ctx, []string{"silent"}, 9)
	if err != nil || len(held) != 1 || held[0].From != "silent" {
		t.Errorf("%v: %v", held, err)
	}
	for range 2 {
		if err := g.Require(ctx, &v, held); err != nil || v.Requirements["d"].Selector != "d" || v.Requirements["e"].Selector != "e" {
			t.Errorf("requirements %v: %v", v.Requirements, err)
		}
	}
	if len(w.asked) != 2 {
		t.Errorf("requirements were read more than once: %v", w.asked)
	}
	w.fail = errors.New("down")
	if _, err := g.Gather(ctx, s); !errors.Is(err, w.fail) {
		t.Errorf("the port's error is lost: %v", err)
	}
}
