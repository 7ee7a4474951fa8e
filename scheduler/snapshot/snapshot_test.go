package snapshot

import (
	"context"
	"errors"
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
}

func (w *world) Pending(_ context.Context, limit int) ([]flow.Pending, error) {
	w.limit = limit
	return []flow.Pending{{CreatedAt: now, Digest: "d"}}, w.fail
}
func (w *world) Requirements(_ context.Context, digests []string) (map[string]flow.Requirement, error) {
	return map[string]flow.Requirement{digests[0]: {Selector: digests[0]}}, nil
}
func (w *world) Reserved(context.Context) ([]flow.Reserved, error) {
	return []flow.Reserved{{Cluster: "a"}}, nil
}
func (w *world) ListClusters(context.Context) ([]flow.Cluster, error) { return w.clusters, nil }
func (w *world) ListMembers(context.Context, string) ([]flow.MemberState, error) {
	return w.members, nil
}

func TestGatherJoinsRowsWithBeats(t *testing.T) {
	m := func(cluster, instance string) flow.Member { return flow.Member{Cluster: cluster, Instance: instance} }
	row := flow.MemberState{Generation: 2, LeaseGeneration: 2, LeaseExpiresAt: now.Add(20 * time.Second), LeaseDuration: 30 * time.Second}
	good, silent := row, row
	good.Member, silent.Member = m("good", "1"), m("silent", "1")
	w := &world{members: []flow.MemberState{good, silent}, clusters: []flow.Cluster{
		{Name: "good", Health: flow.HealthSuspect}, {Name: "silent", Health: flow.HealthHealthy}, {Name: "new", Health: flow.HealthUnknown}}}
	g := &Gatherer{Ledger: w, Fleet: w, Since: now.Add(-time.Minute), Limit: 7, Now: func() time.Time { return now },
		Health: health.Policy{Suspect: 5 * time.Second, Margin: time.Second}, Policy: placement.DefaultPolicy(),
		Live: func() map[flow.Member]health.Liveness {
			return map[flow.Member]health.Liveness{good.Member: {Generation: 2, SeenAt: now.Add(-time.Second)}}
		}}
	v, err := g.Gather(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Pending) != 1 || v.Pending[0].Requirement.Selector != "d" || len(v.Reserved) != 1 || w.limit != 7 || v.Now != now {
		t.Errorf("the view lacks what was read: %+v", v)
	}
	for i, want := range []placement.ClusterView{
		{Cluster: flow.Cluster{Health: flow.HealthHealthy}, Recorded: flow.HealthSuspect, Leased: true, Heard: true},
		{Cluster: flow.Cluster{Health: flow.HealthSuspect}, Recorded: flow.HealthHealthy, Leased: true},
		{Cluster: flow.Cluster{Health: flow.HealthUnknown}, Recorded: flow.HealthUnknown},
	} {
		c := v.Clusters[i]
		if c.Health != want.Health || c.Recorded != want.Recorded || c.Leased != want.Leased || c.Heard != want.Heard {
			t.Errorf("%s: health %s recorded %s leased %v heard %v, want %+v", c.Name, c.Health, c.Recorded, c.Leased, c.Heard, want)
		}
	}
	w.fail = errors.New("down")
	if _, err := g.Gather(context.Background()); !errors.Is(err, w.fail) {
		t.Errorf("the port's error is lost: %v", err)
	}
}
