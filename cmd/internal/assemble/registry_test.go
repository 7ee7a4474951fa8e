package assemble

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/skein-project/skein/admin/middleware"
	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/federation/capi"
)

// registryWorld is a registry before the real service and its database, with one
// clock for both; what members do goes by the database's own.
type registryWorld struct {
	*replayWorld
	conn     *grpc.ClientConn
	clusters skeinv1.ClusterServiceClient
	registry registry
}

// noForecast plans nothing.
type noForecast struct{ service.Forecaster }

func (noForecast) WhatIf(context.Context, service.Change) (service.Forecast, error) {
	return service.Forecast{}, nil
}

type paperTokens struct{ now func() time.Time }

func (p paperTokens) NewToken(_ context.Context, cluster string, ttl time.Duration) (string, time.Time, error) {
	return "token-of-" + cluster, p.now().Add(ttl), nil
}

func (paperTokens) CA() string { return "ca" }

func newRegistryWorld(t *testing.T) *registryWorld {
	w := &registryWorld{replayWorld: newReplayWorldOf(t, 0)}
	now := func() time.Time { return w.now }
	listener, server := bufconn.Listen(1<<20), grpc.NewServer(serverOptions(middleware.New(middleware.Config{}))...)
	service.New(service.Config{}, service.Deps{Clusters: w.store, Fleet: w.store, Audits: w.store, Histories: w.store,
		Joiner: paperTokens{now}, Forecaster: noForecast{}, Now: now}).RegisterSkein(middleware.Registrar(server))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	var err error
	w.conn, err = grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	w.ok(err)
	t.Cleanup(func() { w.conn.Close() })
	w.registry = newRegistry(w.conn, []string{"hub:1"})
	w.registry.now, w.clusters = now, w.registry.clusters
	return w
}

func registrationOf(name, uid string) capi.Registration {
	o := capi.Owner{By: "skein-capi", UID: uid, Of: "default." + name}
	return capi.Registration{Name: name, Owner: o, Labels: o.Labels()}
}

func (w *registryWorld) ensure(x capi.Registration) capi.State {
	w.Helper()
	state, err := w.registry.Ensure(w.Context(), x)
	w.ok(err)
	return state
}

func (w *registryWorld) drain(x capi.Registration, d capi.Drain) capi.State {
	w.Helper()
	state, err := w.registry.Drain(w.Context(), x.Name, x.Owner, d)
	w.ok(err)
	return state
}

func (w *registryWorld) row(name string) flow.Cluster {
	w.Helper()
	row, err := w.store.GetCluster(w.Context(), name)
	w.ok(err)
	return row
}

func (w *registryWorld) is(err error, kind fault.Kind, what string) {
	w.Helper()
	if !fault.Is(err, kind) {
		w.Errorf("%s: %v, want %s", what, err, kind)
	}
}

// place puts executions on a cluster.
func (w *registryWorld) place(cluster string, mode flow.FailoverMode, n int) {
	w.Helper()
	for range n {
		w.launched++
		w.ok(w.store.CreateExecution(w.Context(), flow.Execution{Spec: []byte("spec"), Phase: flow.ExecutionRunning, Cluster: cluster,
			ID:       flow.ExecutionID{Project: "team-0", Domain: "production", Name: fmt.Sprintf("x%03d", w.launched)},
			Failover: flow.Failover{Mode: mode}, CreatedAt: w.now, UpdatedAt: w.now}))
	}
}

func (w *registryWorld) lose(name string, failPinned bool) {
	w.Helper()
	_, err := w.clusters.DeclareLost(w.Context(), &skeinv1.DeclareLostRequest{Name: name, FailPinned: failPinned})
	w.ok(err)
}

// order drains a cluster as an operator does; zero: without a deadline.
func (w *registryWorld) order(name string, deadline time.Duration) {
	w.Helper()
	w.ok(w.registry.order(w.Context(), &capi.State{Name: name, Leaving: w.now}, capi.Drain{Budget: 3, Deadline: deadline}))
}

// expire goes on to the deadline of a drain, and ends it as the scheduler does.
func (w *registryWorld) expire(name string) {
	w.Helper()
	w.now = w.row(name).Drain.Deadline
	if w.fence == (flow.Fence{}) {
		var err error
		w.fence, err = w.store.BeginTerm(w.Context(), "admin-0")
		w.ok(err)
	}
	var err error
	w.fence, err = w.store.EndDrain(w.Context(), w.fence, name, true, w.now)
	w.ok(err)
}

func TestMembersOfAnEarlierRegistrationHaveNotJoined(t *testing.T) {
	w := newRegistryWorld(t)
	x := registrationOf("east", "1")
	w.now = time.Now().Add(-time.Hour)
	if s := w.ensure(x); !s.Seen.IsZero() || s.Owner != x.Owner {
		t.Errorf("at first: %+v", s)
	}
	member, err := w.store.OpenSession(t.Context(), flow.Member{Cluster: "east", Instance: "i"}, "hub", flow.ClusterReport{})
	w.ok(err)
	if s := w.ensure(x); time.Since(s.Seen) > time.Minute {
		t.Errorf("after its member has joined: %+v", s)
	}
	w.ok(w.registry.Remove(t.Context(), x.Name, x.Owner))
	w.ok(w.registry.Remove(t.Context(), x.Name, x.Owner))
	w.now = time.Now()
	x = registrationOf("east", "2")
	if s := w.ensure(x); !s.Seen.IsZero() {
		t.Errorf("registered again: %+v", s)
	}
	w.ok(w.store.CloseSession(t.Context(), member.Sender))
	if s := w.ensure(x); !s.Seen.IsZero() {
		t.Errorf("with the last words of a member of the removed one: %+v", s)
	}
	join, err := w.registry.Token(t.Context(), x)
	w.ok(err)
	if join.Token != "token-of-east" || join.CA != "ca" || join.Cluster != "east" {
		t.Errorf("join %+v", join)
	}
}

func TestADeletionOrdersItsOwnDrainOnce(t *testing.T) {
	d := capi.Drain{Budget: 7, Grace: time.Minute, Deadline: time.Hour}
	for _, tc := range []struct {
		name   string
		before func(w *registryWorld)
	}{
		{"after none", func(*registryWorld) {}},
		{"after an operator's without a deadline", func(w *registryWorld) { w.order("east", 0) }},
		{"after an operator's that has expired", func(w *registryWorld) {
			w.order("east", time.Minute)
			w.expire("east")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newRegistryWorld(t)
			x := registrationOf("east", "1")
			w.ensure(x)
			w.place("east", flow.FailoverRestart, 2)
			tc.before(w)
			began := w.now
			for range 3 {
				s := w.drain(x, d)
				if row := w.row("east"); s.Remaining != 2 || s.Expired || row.Drain == nil || row.Drain.Budget != 7 || !row.Drain.Deadline.Equal(began.Add(time.Hour)) {
					t.Fatalf("%+v with %+v", s, row.Drain)
				}
				w.now = w.now.Add(time.Minute)
			}
			w.order("east", 24*time.Hour) // the newest order counts
			w.drain(x, d)
			if got := w.row("east").Drain; got.Budget != 3 {
				t.Errorf("an operator's later order was overruled: %+v", got)
			}
			_, err := w.clusters.Drain(t.Context(), &skeinv1.DrainRequest{Name: "east", Stop: true})
			w.ok(err)
			w.drain(x, d)
			if got := w.row("east").Drain; got == nil || !got.Deadline.Equal(began.Add(time.Hour)) {
				t.Errorf("a drain that was stopped goes on as %+v", got)
			}
			w.expire("east")
			if s := w.drain(x, d); !s.Expired {
				t.Errorf("after its deadline: %+v", s)
			}
			w.is(w.registry.Remove(t.Context(), x.Name, x.Owner), fault.Precondition, "removal while executions are held")

			if s := w.ensure(x); !s.Leaving.IsZero() || w.row("east").Labels[capi.LabelLeaving] != "" {
				t.Errorf("it is to stay, and still leaving: %+v", s)
			}
			if s := w.drain(x, d); s.Expired {
				t.Errorf("the next deletion begins with %+v", s)
			}
		})
	}
}

func TestALostClusterIsCountedAndNotDrained(t *testing.T) {
	w := newRegistryWorld(t)
	x, y := registrationOf("east", "1"), registrationOf("west", "2")
	d := capi.Drain{Budget: 7, Deadline: time.Hour}
	w.ensure(x)
	w.ensure(y)
	w.place("east", flow.FailoverNever, 2)
	w.place("west", flow.FailoverRestart, 2)
	w.place("west", flow.FailoverNever, 1)
	w.lose("east", false)
	w.lose("west", false)
	if s := w.drain(y, d); !s.Lost || s.Remaining != 3 || s.Pinned != 1 || s.Expired {
		t.Errorf("west: %+v", s)
	}
	if s := w.drain(x, d); !s.Lost || s.Remaining != 2 || s.Pinned != 2 || s.Expired {
		t.Errorf("east: %+v", s)
	}
	w.now = w.now.Add(59 * time.Minute)
	if s := w.drain(x, d); s.Expired {
		t.Errorf("before the deadline: %+v", s)
	}
	w.now = w.now.Add(time.Minute)
	if s := w.drain(x, d); !s.Expired || s.Remaining != 2 {
		t.Errorf("at the deadline: %+v", s)
	}
	if s := w.drain(x, capi.Drain{}); s.Expired {
		t.Errorf("without a deadline: %+v", s)
	}
	w.is(w.registry.Remove(t.Context(), x.Name, x.Owner), fault.Precondition, "removal while executions are held")
	w.lose("east", true)
	if s := w.drain(x, d); s.Remaining != 0 {
		t.Errorf("after what is pinned has failed: %+v", s)
	}
	w.ok(w.registry.Remove(t.Context(), x.Name, x.Owner))
	_, err := w.registry.Drain(t.Context(), x.Name, x.Owner, d)
	w.is(err, fault.NotFound, "the drain of what was removed")
	lines, err := w.store.ListAudit(t.Context(), "", time.Time{}, 1000)
	w.ok(err)
	for _, l := range lines {
		if strings.HasPrefix(l.Action, "cluster.drain") {
			t.Errorf("a drain was asked for: %s %s", l.Action, l.Detail)
		}
	}
}

func TestARegistryLeavesWhatIsOfOthersAlone(t *testing.T) {
	w := newRegistryWorld(t)
	theirs := registrationOf("theirs", "1")
	w.ensure(theirs)
	_, err := w.clusters.RegisterCluster(t.Context(), &skeinv1.RegisterClusterRequest{Name: "byhand", Labels: map[string]string{"region": "eu"}})
	w.ok(err)
	for name, labels := range map[string]map[string]string{"theirs": theirs.Labels, "byhand": {"region": "eu"}} {
		ours := registrationOf(name, "2")
		_, err := w.registry.Ensure(t.Context(), ours)
		w.is(err, fault.Conflict, "ensure "+name)
		_, err = w.registry.Token(t.Context(), ours)
		w.is(err, fault.Conflict, "a token of "+name)
		_, err = w.registry.Drain(t.Context(), name, ours.Owner, capi.Drain{})
		w.is(err, fault.Conflict, "drain "+name)
		w.is(w.registry.Remove(t.Context(), name, ours.Owner), fault.Conflict, "remove "+name)
		if row := w.row(name); !maps.Equal(row.Labels, labels) || row.Drain != nil || row.Cordoned {
			t.Errorf("%s was changed: %+v", name, row)
		}
	}
	_, err = w.clusters.UpdateCluster(t.Context(), &skeinv1.UpdateClusterRequest{Name: "byhand", SetLabels: map[string]string{capi.LabelManagedBy: "skein-capi"}})
	w.ok(err)
	x := registrationOf("byhand", "3")
	w.ensure(x)
	managed, err := w.registry.Managed(t.Context(), "skein-capi")
	w.ok(err)
	if len(managed) != 2 || managed[0].Owner != x.Owner || managed[1].Owner != theirs.Owner {
		t.Errorf("managed: %+v", managed)
	}
}

// TestTheLastEntryOfAList: a list that is empty now had entries once.
func TestTheLastEntryOfAList(t *testing.T) {
	w := newRegistryWorld(t)
	list := capi.Owner{By: "skein-capi.list"}
	w.ensure(capi.Registration{Name: "gone", Owner: list, Labels: list.Labels()})
	w.ensure(registrationOf("stays", "1"))
	member := filepath.Join(t.TempDir(), "member.yaml")
	w.ok(os.WriteFile(member, []byte("{}\n"), 0o600))
	cfg := config.DefaultCAPI()
	cfg.Management.Watch, cfg.Member.Config = false, member
	c := &CAPI{cfg: cfg, conn: w.conn}
	w.ok(c.controllers(slog.New(slog.DiscardHandler)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { _ = c.list.Run(ctx) }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := w.store.GetCluster(ctx, "gone")
		if fault.Is(err, fault.NotFound) {
			break
		}
		w.ok(err)
		<-tick.C
	}
	w.row("stays")
}
