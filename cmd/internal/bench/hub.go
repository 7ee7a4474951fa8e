package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/admin/ingest"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/federation/crowd"
	"github.com/skein-project/skein/federation/hub"
	"github.com/skein-project/skein/federation/identity"
	"github.com/skein-project/skein/federation/join"
)

const (
	hubMembers = 500
	hubBatch   = 100 // events of one message: what a busy cluster gathers in a moment
	hubDomain  = "skein.bench"
	hubBar     = 5000 // events/s
)

// hub measures how many events one hub commits for 500 members that send all
// that they may: with a store that only counts, which is what the road itself
// can do, and with the real one. The members live in this process, so its CPU and
// memory are theirs and the hub's together; the database's are shown apart.
func (b *bench) hub(ctx context.Context) error {
	state, err := stateFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	if err := b.hubWith(ctx, state, "hub_events_per_s_without_a_database", newCounting(), 0); err != nil {
		return err
	}
	group := proc.NewGroup(state, slog.New(slog.DiscardHandler))
	s, pid, err := benchStore(ctx, group, filepath.Join(state, "database"))
	if err == nil {
		sink := ingest.New(s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		err = b.hubWith(ctx, state, "hub_events_per_s", stored{s, sink}, pid)
		s.Close()
	}
	return errors.Join(err, group.Stop(context.WithoutCancel(ctx)))
}

// plane is what stands behind a hub.
type plane interface {
	hub.Outbox
	hub.Sessions
	hub.Sink
}

type stored struct {
	*store.Store
	hub.Sink
}

// hubWith prints the rate, and the CPU and memory that it took.
func (b *bench) hubWith(ctx context.Context, state, name string, p plane, database int) error {
	var rates, cpu, cpuDatabase, each []float64
	for round := range b.rounds {
		result, used, err := b.hubRound(ctx, state, p, round<<20, database)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if result.Refused > 0 {
			return fmt.Errorf("%s: %d of %d events were refused: %s", name, result.Refused, result.Events, result.Reason)
		}
		took := result.Took.Seconds()
		rates = append(rates, float64(result.Events)/took)
		cpu, cpuDatabase = append(cpu, used.process/took), append(cpuDatabase, used.database/took)
		each = append(each, 1000*(used.process+used.database)/float64(max(1, result.Events)))
		say("%s: %d events in %.1fs; %d sessions were live after %.1fs", name, result.Events, took, hubMembers, result.Live.Seconds())
	}
	rss, err := resident(os.Getpid(), false)
	if err != nil {
		return err
	}
	figures := []figure{of(name, "events/s", rates).over("bar", hubBar), of(name+"_cpu", "cores", cpu),
		of(name+"_rss_mb", "MB", []float64{rss}), of(name+"_cpu_ms_per_event", "ms", each)}
	if database != 0 {
		if rss, err = resident(database, true); err != nil {
			return err
		}
		figures = append(figures, of(name+"_postgresql_cpu", "cores", cpuDatabase), of(name+"_postgresql_rss_mb", "MB", []float64{rss}))
	}
	return print(b.out, figures...)
}

// spent is CPU time, in seconds.
type spent struct{ process, database float64 }

func spentBy(database int) (s spent) {
	s.process = cpuTime().Seconds()
	if database != 0 {
		s.database = familyCPU(database) / 1000
	}
	return s
}

func (b *bench) hubRound(ctx context.Context, state string, p plane, first, database int) (result crowd.Result, used spent, err error) {
	ca, err := identity.OpenCA(filepath.Join(state, "ca.key"), filepath.Join(state, "ca.crt"), hubDomain, time.Now())
	if err != nil {
		return result, used, err
	}
	cert, err := ca.ReplicaCert("bench", []string{"127.0.0.1"}, time.Now(), time.Hour)
	if err != nil {
		return result, used, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return result, used, err
	}
	h := hub.New(hub.Options{Name: "bench", TrustDomain: hubDomain, Desk: join.New(nil, ca, 0, nil), Outbox: p, Sessions: p, Sink: p, Leases: leases{}})
	server := grpc.NewServer(grpc.Creds(identity.ServerCredentials(identity.Fixed(cert), ca.Pool(), h.Stranger)))
	h.Register(server)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- h.Run(ctx) }()
	go func() { done <- server.Serve(listener) }()
	var before spent
	result, err = crowd.Run(ctx, crowd.Options{
		Hub: listener.Addr().String(), CA: ca, TrustDomain: hubDomain, Members: benchMembers(), Batch: hubBatch, Length: 5 * b.length,
		Held: func(member int) []flow.Held { // else the store takes it for lost
			return []flow.Held{{Execution: benchExecution(member), Epoch: flow.Epoch{Era: 1, N: 1}, Revision: 1}}
		},
		Events: func(member, n, size int) []flow.Event { return benchEvents(member, first+n*size, size) },
		Begun:  func() { before = spentBy(database) },
	})
	after := spentBy(database)
	used = spent{after.process - before.process, after.database - before.database}
	cancel()
	server.Stop()
	return result, used, errors.Join(err, <-done, <-done)
}

func benchCluster(i int) string { return fmt.Sprintf("c%03d", i) }

func benchExecution(i int) flow.ExecutionID {
	return flow.ExecutionID{Project: "bench", Domain: "development", Name: fmt.Sprintf("a%08x", uint32(i)*2654435761)}
}

func benchMembers() (list []flow.Member) {
	for i := range hubMembers {
		list = append(list, flow.Member{Cluster: benchCluster(i), Instance: "propeller-0"})
	}
	return list
}

// benchEvents are ends of nodes that ran one task each, as a wide workflow's are.
func benchEvents(member, first, size int) []flow.Event {
	list := make([]flow.Event, size)
	now := time.Now().UTC()
	for i := range list {
		n := first + i
		e := flow.Event{
			Execution: benchExecution(member), Epoch: flow.Epoch{Era: 1, N: 1}, Kind: flow.EventNode, Node: fmt.Sprintf("n%d", n/2),
			Phase: int32(flow.NodeSucceeded), Sequence: uint64(n/2 + 1), Revision: 1, OccurredAt: now, StartedAt: now, EndedAt: now,
		}
		id := &core.NodeExecutionIdentifier{NodeId: e.Node, ExecutionId: &core.WorkflowExecutionIdentifier{
			Project: e.Execution.Project, Domain: e.Execution.Domain, Name: e.Execution.Name,
		}}
		at := timestamppb.New(now)
		var detail proto.Message = &event.NodeExecutionEvent{
			Id: id, Phase: core.NodeExecution_SUCCEEDED, OccurredAt: at, ReportedAt: at, SpecNodeId: e.Node, NodeName: "work", EventVersion: 1,
			OutputResult: &event.NodeExecutionEvent_OutputUri{OutputUri: "s3://bench/metadata/" + e.Execution.Name + "/" + e.Node + "/data/0/outputs.pb"},
		}
		if n%2 == 1 {
			e.Kind, e.Phase = flow.EventTask, int32(flow.TaskSucceeded)
			detail = &event.TaskExecutionEvent{
				TaskId:                &core.Identifier{ResourceType: core.ResourceType_TASK, Project: "bench", Domain: "development", Name: "work", Version: "v1"},
				ParentNodeExecutionId: id, Phase: core.TaskExecution_SUCCEEDED, OccurredAt: at, ReportedAt: at, TaskType: "python-task", EventVersion: 1,
				OutputResult: &event.TaskExecutionEvent_OutputUri{OutputUri: "s3://bench/metadata/" + e.Execution.Name + "/" + e.Node + "/data/0/outputs.pb"},
			}
		}
		e.Detail, _ = proto.Marshal(detail) // messages of our own always can be written
		list[i] = e
	}
	return list
}
