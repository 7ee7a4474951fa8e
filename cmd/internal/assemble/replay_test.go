package assemble

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/scheduler"
	"github.com/skein-project/skein/scheduler/placement"
)

const (
	replayTerms   = 3
	replayCycles  = 8 // of a term
	replayLaunch  = 75
	replayWanted  = 10_000
	replayTenants = 10
)

// TestTenThousandDecisionsComeOutTheSame (I51): what real terms decided over a
// database, with fleets, policies and quotas that change between their rounds,
// is taken again through the API, all of it, and nothing differs. A decision
// that was stored otherwise, and a world that was, are found.
func TestTenThousandDecisionsComeOutTheSame(t *testing.T) {
	w := newReplayWorld(t)
	for term := range replayTerms {
		w.reign(term)
	}
	api := w.serve()
	sum, pages := w.replayAll(api)
	t.Logf("REPLAY %d rounds, %d decisions, %d differences, %d executions, %d moves", sum.GetRounds(), sum.GetDecisions(), sum.GetDifferent(), w.launched, w.moved)
	if sum.GetDecisions() < replayWanted || sum.GetRounds() < replayTerms*replayCycles || pages < 3 {
		t.Errorf("%d decisions of %d rounds on %d pages were stored: too few to say anything", sum.GetDecisions(), sum.GetRounds(), pages)
	}
	if w.moved == 0 {
		t.Error("nothing was moved: the worlds are too much alike")
	}
	if sum.GetDifferent() != 0 {
		t.Errorf("%d decisions came out otherwise: %v", sum.GetDifferent(), sum.GetDifferences())
	}

	good := w.newest()
	bad := good
	bad.ID, bad.At, bad.Plan = "planted/decision", bad.At.Add(time.Second), append([]byte(nil), good.Plan...)
	bad.Plan[len(bad.Plan)/2] ^= 1
	w.plant(bad)
	if got := w.replay(api, "", 1); got.GetDifferent() != 1 || !strings.HasPrefix(got.GetDifferences()[0], "round planted/decision, decision ") {
		t.Errorf("a changed decision: %d differences, %v", got.GetDifferent(), got.GetDifferences())
	}
	view, err := placement.Decode(good.View)
	w.ok(err)
	for i := range view.Clusters {
		view.Clusters[i].TaskTypes = nil
	}
	other := good
	other.ID, other.At = "planted/world", bad.At.Add(time.Second)
	other.View, err = placement.Encode(view)
	w.ok(err)
	w.plant(other)
	if got := w.replay(api, "", 1); got.GetDifferent() == 0 {
		t.Error("a changed world: no difference")
	}
	if again, _ := w.replayAll(api); again.GetRounds() != sum.GetRounds()+2 || again.GetDecisions() <= sum.GetDecisions() {
		t.Errorf("all: %d rounds, want %d", again.GetRounds(), sum.GetRounds()+2)
	}
}

// replayWorld is a store, and terms on a clock of the test's own.
type replayWorld struct {
	*testing.T
	store    *store.Store
	random   *rand.Rand
	now      time.Time
	fence    flow.Fence
	members  []flow.Sender
	nonce    uint64
	launched int
	moved    int
}

func newReplayWorld(t *testing.T) *replayWorld { return newReplayWorldOf(t, 12) }

// newReplayWorldOf has so many clusters.
func newReplayWorldOf(t *testing.T, clusters int) *replayWorld {
	w := &replayWorld{T: t, random: rand.New(rand.NewPCG(7, 11)), now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	config := store.Default()
	config.URL = localtest.Database(t)
	var err error
	w.store, err = store.Open(t.Context(), config)
	w.ok(err)
	t.Cleanup(w.store.Close)
	w.ok(w.store.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	for i := range replayTenants {
		w.ok(w.store.CreateProject(t.Context(), flow.Project{ID: fmt.Sprint("team-", i), Name: "t", CreatedAt: w.now}))
	}
	for i := range clusters {
		w.join(i)
	}
	return w
}

func (w *replayWorld) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// join registers a cluster unlike the others, and opens its member's session.
func (w *replayWorld) join(i int) {
	name := fmt.Sprintf("c%02d", i)
	c := flow.Cluster{Name: name, CreatedAt: w.now, Labels: map[string]string{
		"name": name, "region": fmt.Sprint("r", i%4), "tier": []string{"gold", "silver"}[i%2], placement.LabelCost: fmt.Sprint(1 + i%3)}}
	switch i {
	case 3:
		c.Taints = []flow.Taint{{Key: "gpu", Value: "yes", Effect: flow.NoSchedule, AddedAt: w.now}}
	case 6:
		c.Taints = []flow.Taint{{Key: "spot", Effect: flow.PreferNoSchedule, AddedAt: w.now}}
	}
	w.ok(w.store.CreateCluster(w.Context(), c))
	size := int64(1 + i%4)
	report := flow.ClusterReport{Capacity: flow.Resources{MilliCPU: 200_000 * size, Memory: 800 << 30 * size, GPUs: 8 * (size - 1), Pods: 900 * size},
		LargestNode: flow.Resources{MilliCPU: 16_000 * size, Memory: 64 << 30, GPUs: 4, Pods: 110}, TaskTypes: []string{"container", "spark"}[:1+i%2],
		Version: []string{"0.4.0", "0.3.0", "0.2.0"}[i%3], Architectures: []string{"amd64", "arm64"}[:1+i%2], Store: fmt.Sprint("s3://store-", i%2)}
	session, err := w.store.OpenSession(w.Context(), flow.Member{Cluster: c.Name, Instance: "i"}, "hub", report)
	w.ok(err)
	_, err = w.store.Verdicts(w.Context(), session.Sender, nil)
	w.ok(err)
	w.members = append(w.members, session.Sender)
}

// policies are others in each term.
func (w *replayWorld) policies(term int) {
	priority := int32(term)
	for _, p := range []flow.Policy{
		{Scope: flow.PolicyScope{Level: flow.PolicySystem}, Rules: flow.PolicyRules{Spread: "region", Classes: map[string]int32{"high": 100, "low": -5},
			Priority: &priority, Preferred: []flow.Preference{{Selector: fmt.Sprint("region=r", term), Weight: 20}}}},
		{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: "team-1"}, Rules: flow.PolicyRules{RequiredSelector: "region in (r1,r2)"}},
		{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: "team-2"}, Share: &flow.PolicyShare{Weight: 3, Quota: &flow.Quota{Executions: int64(40 * (term + 1))}}},
	} {
		_, err := w.store.PutPolicy(w.Context(), p, uint64(term))
		w.ok(err)
	}
}

// launch stores executions of all tenants and kinds.
func (w *replayWorld) launch(n int) {
	var group errgroup.Group
	group.SetLimit(8)
	for range n {
		i := w.launched
		w.launched++
		pod := flow.Resources{MilliCPU: int64(250 * (1 + w.random.IntN(12))), Memory: int64(1+w.random.IntN(8)) << 30, Pods: 1}
		e := flow.Execution{ID: flow.ExecutionID{Project: fmt.Sprint("team-", i%replayTenants), Domain: "production", Name: fmt.Sprintf("x%06d", i)},
			Spec: []byte("spec"), Phase: flow.ExecutionQueued, Desired: flow.DesiredRun, CreatedAt: w.now, UpdatedAt: w.now,
			Requirement: flow.Requirement{Largest: pod, Peak: pod.Times(3), Reservation: pod, Workflow: fmt.Sprint("flow-", i%17),
				TaskTypes: []string{[]string{"container", "container", "spark", "ray"}[w.random.IntN(4)]},
				Selector:  []string{"", "tier=gold", "region!=r3", "region=nowhere"}[w.random.IntN(4)],
				Class:     []string{"", "high", "low"}[w.random.IntN(3)]}}
		if i%7 == 0 {
			e.Requirement.Tolerations = []flow.Toleration{{Key: "gpu", Operator: "Exists"}}
			e.Requirement.Architectures = []string{"arm64"}
		}
		if i%11 == 0 {
			e.Failover = flow.Failover{Mode: flow.FailoverNever}
		}
		group.Go(func() error { return w.store.CreateExecution(w.Context(), e) })
	}
	w.ok(group.Wait())
}

// reign is one term: work arrives at each cycle, and in each but the first a
// cluster goes silent for good.
func (w *replayWorld) reign(term int) {
	w.policies(term)
	fence, err := w.store.BeginTerm(w.Context(), fmt.Sprint("admin-", term))
	w.ok(err)
	cfg := scheduler.Default()
	cfg.Version = "0.4.0"
	t, err := scheduler.NewTerm(cfg, scheduler.Deps{Ledger: w.store, Fleet: w.store, Commit: w.store, Orders: w.store,
		Now: func() time.Time { return w.now }, Inline: true}, fence)
	w.ok(err)
	for range replayCycles {
		w.launch(replayLaunch)
		w.beat(t, w.members[term:])
		seen, err := t.Observe(w.Context())
		w.ok(err)
		for _, p := range seen.Plan.Placements {
			if p.From != "" {
				w.moved++
			}
		}
		_, err = t.Act(w.Context(), seen)
		w.ok(err)
		w.now = w.now.Add(6 * time.Second)
	}
	w.fence = t.Fence()
}

func (w *replayWorld) beat(t *scheduler.Term, members []flow.Sender) {
	var beats []flow.Beat
	var asked []flow.LeaseRequest
	for _, m := range members {
		row, err := w.store.ListMembers(w.Context(), m.Cluster)
		w.ok(err)
		w.nonce++
		r := flow.LeaseRequest{Sender: m, Nonce: w.nonce, OwnershipRevision: row[0].OwnershipRevision}
		beats, asked = append(beats, flow.Beat{Sender: m, Lease: &r}), append(asked, r)
	}
	t.Heard("hub", beats)
	_, err := t.Grant(w.Context(), asked)
	w.ok(err)
}

// plant stores a round that nobody decided.
func (w *replayWorld) plant(r flow.Round) {
	var err error
	w.fence, _, err = w.store.CommitPlan(w.Context(), w.fence, flow.Batch{Round: &r, At: r.At})
	w.ok(err)
}

func (w *replayWorld) newest() flow.Round {
	list, err := w.store.Rounds(w.Context(), flow.RoundKey{}, 1)
	w.ok(err)
	return list[0]
}

// serve lets the service answer, with the store's rounds.
func (w *replayWorld) serve() skeinv1.PlacementServiceClient {
	return w.serveWith(service.Deps{Forecaster: forecaster{rounds: w.store.Rounds}})
}

func (w *replayWorld) serveWith(deps service.Deps) skeinv1.PlacementServiceClient {
	listener, server := bufconn.Listen(1<<20), grpc.NewServer()
	service.New(service.Config{}, deps).RegisterSkein(server)
	go func() { _ = server.Serve(listener) }()
	w.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	w.ok(err)
	w.Cleanup(func() { conn.Close() })
	return skeinv1.NewPlacementServiceClient(conn)
}

func (w *replayWorld) replay(api skeinv1.PlacementServiceClient, before string, limit int32) *skeinv1.ReplayResponse {
	answer, err := api.Replay(w.Context(), &skeinv1.ReplayRequest{Before: before, Limit: limit})
	w.ok(err)
	return answer
}

func (w *replayWorld) replayAll(api skeinv1.PlacementServiceClient) (sum *skeinv1.ReplayResponse, pages int) {
	sum = &skeinv1.ReplayResponse{}
	for pages = 1; ; pages++ {
		page := w.replay(api, sum.GetNext(), 7)
		sum.Rounds, sum.Decisions, sum.Different = sum.GetRounds()+page.GetRounds(), sum.GetDecisions()+page.GetDecisions(), sum.GetDifferent()+page.GetDifferent()
		sum.Differences, sum.Next = append(sum.Differences, page.GetDifferences()...), page.GetNext()
		if sum.GetNext() == "" {
			return sum, pages
		}
	}
}
