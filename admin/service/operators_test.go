package service_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/scheduler/placement"
	"github.com/skein-project/skein/scheduler/policy"
)

// language is the scheduler's, as assemble fills it in.
type language struct{}

func (language) Parse(document []byte) (flow.Policy, error)  { return policy.Parse(document) }
func (language) Scope(text string) (flow.PolicyScope, error) { return policy.ParseScope(text) }
func (language) Render(p flow.Policy) string                 { return policy.Render(p) }
func (language) Diff(old, now flow.Policy) string            { return policy.Diff(old, now) }
func (language) Effective(list []flow.Policy, t flow.Tenant, workflow string) flow.Policy {
	e := policy.Effective(list, t, workflow)
	failover := e.Failover()
	e.Rules.Classes, e.Rules.Failover = e.ClassNames(), &failover
	return flow.Policy{Rules: e.Rules}
}

// fortunes foretells what the test says.
type fortunes struct {
	asked service.Change
	tells service.Forecast
	older []flow.RoundKey // where replays began
}

func (f *fortunes) WhatIf(_ context.Context, c service.Change) (service.Forecast, error) {
	f.asked = c
	return f.tells, nil
}

// Replay notes where it begins, and always has more.
func (f *fortunes) Replay(_ context.Context, older flow.RoundKey, rounds int) (service.Replayed, error) {
	f.older = append(f.older, older)
	return service.Replayed{Rounds: int64(rounds), Next: flow.RoundKey{At: time.Unix(int64(rounds), 1000), ID: "1.1/7"}}, nil
}

func (f *fortunes) Remedies(reasons []flow.Reason) []string { return placement.Remedies(reasons) }

// voters is an election of one.
type voters struct{ list []flow.Replica }

func (r *voters) Describe(context.Context) (service.ControlPlaneState, error) {
	return service.ControlPlaneState{ID: "plane", Replicas: r.list, Epoch: flow.Epoch{Era: 1, N: 7}, Doubt: "most clusters lapsed"}, nil
}

func (r *voters) AddReplica(_ context.Context, id, address string) ([]flow.Replica, error) {
	r.list = append(r.list, flow.Replica{ID: id, Address: address, Voter: true})
	return r.list, nil
}

func (r *voters) RemoveReplica(_ context.Context, id string) ([]flow.Replica, error) {
	i := slices.IndexFunc(r.list, func(one flow.Replica) bool { return one.ID == id })
	if i < 0 {
		return nil, fault.E(fault.NotFound, "there is no replica %q", id)
	}
	r.list = slices.Delete(r.list, i, i+1)
	return r.list, nil
}

func (r *voters) TransferLeadership(_ context.Context, to string) (string, flow.Epoch, error) {
	return to, flow.Epoch{Era: 1, N: 8}, nil
}

func (r *voters) OverruleDoubt(context.Context) error { return nil }

// operators is a rig with the operators' clients.
type operators struct {
	*rig
	clusters  skeinv1.ClusterServiceClient
	policies  skeinv1.PolicyServiceClient
	placement skeinv1.PlacementServiceClient
	plane     skeinv1.ControlPlaneServiceClient
	fortunes  *fortunes
}

func newOperators(t *testing.T) *operators {
	t.Helper()
	o := &operators{fortunes: &fortunes{}}
	o.rig = newRigWith(t, func(d *service.Deps) { d.Forecaster = o.fortunes })
	conn := o.dial(t)
	o.clusters, o.policies = skeinv1.NewClusterServiceClient(conn), skeinv1.NewPolicyServiceClient(conn)
	o.placement, o.plane = skeinv1.NewPlacementServiceClient(conn), skeinv1.NewControlPlaneServiceClient(conn)
	return o
}

func (o *operators) registerCluster(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := o.clusters.RegisterCluster(t.Context(), &skeinv1.RegisterClusterRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
}

func wantStatus(t *testing.T, what string, err error, code codes.Code, says string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), says) {
		t.Errorf("%s: %v\nwant %s that says %q", what, err, code, says)
	}
}

// TestEveryMutatingCallIsAudited (I66): each call of the operators' services
// that changes something leaves a line with the caller, and so does its
// refusal. A new method is either in reading, or has a case here.
func TestEveryMutatingCallIsAudited(t *testing.T) {
	o := newOperators(t)
	o.registerCluster(t, "c", "gone")
	ctx := metadata.AppendToOutgoingContext(t.Context(), service.OperatorHeader, "ada")
	system := "scope: system\nrules: {priority: 5}"
	type call struct {
		action   string
		do, deny func() error
	}
	calls := map[string]call{
		"RegisterCluster": {"cluster.register", func() error {
			_, err := o.clusters.RegisterCluster(ctx, &skeinv1.RegisterClusterRequest{Name: "new"})
			return err
		}, func() error {
			_, err := o.clusters.RegisterCluster(ctx, &skeinv1.RegisterClusterRequest{Name: "New!"})
			return err
		}},
		"UpdateCluster": {"cluster.update", func() error {
			_, err := o.clusters.UpdateCluster(ctx, &skeinv1.UpdateClusterRequest{Name: "c", SetLabels: map[string]string{"a": "b"}})
			return err
		}, func() error {
			_, err := o.clusters.UpdateCluster(ctx, &skeinv1.UpdateClusterRequest{Name: "nowhere", SetLabels: map[string]string{"a": "b"}})
			return err
		}},
		"Cordon": {"cluster.cordon", func() error {
			_, err := o.clusters.Cordon(ctx, &skeinv1.CordonRequest{Name: "c", Cordoned: true})
			return err
		}, func() error {
			_, err := o.clusters.Cordon(ctx, &skeinv1.CordonRequest{Name: "nowhere", Cordoned: true})
			return err
		}},
		"Drain": {"cluster.drain", func() error {
			_, err := o.clusters.Drain(ctx, &skeinv1.DrainRequest{Name: "c"})
			return err
		}, func() error {
			_, err := o.clusters.Drain(ctx, &skeinv1.DrainRequest{Name: "c", Budget: -1})
			return err
		}},
		"DeclareLost": {"cluster.declare-lost", func() error {
			_, err := o.clusters.DeclareLost(ctx, &skeinv1.DeclareLostRequest{Name: "c"})
			return err
		}, func() error {
			_, err := o.clusters.DeclareLost(ctx, &skeinv1.DeclareLostRequest{Name: "nowhere"})
			return err
		}},
		"DeclareFound": {"cluster.declare-found", func() error {
			_, err := o.clusters.DeclareFound(ctx, &skeinv1.DeclareFoundRequest{Name: "c"})
			return err
		}, func() error {
			_, err := o.clusters.DeclareFound(ctx, &skeinv1.DeclareFoundRequest{Name: "gone"})
			return err
		}},
		"RemoveCluster": {"cluster.remove", func() error {
			_, err := o.clusters.RemoveCluster(ctx, &skeinv1.RemoveClusterRequest{Name: "gone"})
			return err
		}, func() error {
			_, err := o.clusters.RemoveCluster(ctx, &skeinv1.RemoveClusterRequest{Name: "nowhere"})
			return err
		}},
		"RevokeMember": {"member.revoke", func() error {
			_, err := o.clusters.RevokeMember(ctx, &skeinv1.RevokeMemberRequest{Cluster: "c", Instance: "one"})
			return err
		}, func() error {
			_, err := o.clusters.RevokeMember(ctx, &skeinv1.RevokeMemberRequest{Cluster: "nowhere", Instance: "one"})
			return err
		}},
		"ApplyPolicy": {"policy.put", func() error {
			_, err := o.policies.ApplyPolicy(ctx, &skeinv1.ApplyPolicyRequest{Document: system})
			return err
		}, func() error {
			_, err := o.policies.ApplyPolicy(ctx, &skeinv1.ApplyPolicyRequest{Document: "scope: nowhere"})
			return err
		}},
		"DeletePolicy": {"policy.delete", func() error {
			_, err := o.policies.DeletePolicy(ctx, &skeinv1.DeletePolicyRequest{Scope: "system"})
			return err
		}, func() error {
			_, err := o.policies.DeletePolicy(ctx, &skeinv1.DeletePolicyRequest{Scope: "domain/nowhere"})
			return err
		}},
		"AddReplica": {"replica.add", func() error {
			_, err := o.plane.AddReplica(ctx, &skeinv1.AddReplicaRequest{Id: "r1", Address: "10.0.0.1:8300"})
			return err
		}, func() error {
			_, err := o.plane.AddReplica(ctx, &skeinv1.AddReplicaRequest{Id: "r1", Address: "10.0.0.1"})
			return err
		}},
		"RemoveReplica": {"replica.remove", func() error {
			_, err := o.plane.RemoveReplica(ctx, &skeinv1.RemoveReplicaRequest{Id: "r1"})
			return err
		}, func() error {
			_, err := o.plane.RemoveReplica(ctx, &skeinv1.RemoveReplicaRequest{Id: "r9"})
			return err
		}},
		"TransferLeadership": {"leadership.transfer", func() error {
			_, err := o.plane.TransferLeadership(ctx, &skeinv1.TransferLeadershipRequest{To: "r1"})
			return err
		}, func() error {
			_, err := o.plane.TransferLeadership(ctx, &skeinv1.TransferLeadershipRequest{To: "No Name"})
			return err
		}},
		"OverruleDoubt": {"doubt.overrule", func() error {
			_, err := o.plane.OverruleDoubt(ctx, &skeinv1.OverruleDoubtRequest{})
			return err
		}, nil},
		"FinishRebuild": {"rebuild.finish", nil, func() error { // done in TestARebuildIsFinished
			_, err := o.plane.FinishRebuild(ctx, &skeinv1.FinishRebuildRequest{})
			return err
		}},
	}
	reading := "GetCluster ListClusters WatchDrain ListAudit Explain GetLogs WhatIf Replay GetPolicy ListPolicies GetControlPlane"
	for _, d := range []grpc.ServiceDesc{skeinv1.ClusterService_ServiceDesc, skeinv1.PolicyService_ServiceDesc,
		skeinv1.PlacementService_ServiceDesc, skeinv1.ControlPlaneService_ServiceDesc} {
		for _, m := range d.Methods {
			if slices.Contains(strings.Fields(reading), m.MethodName) {
				continue
			}
			c, known := calls[m.MethodName]
			if !known {
				t.Errorf("%s/%s has no case here", d.ServiceName, m.MethodName)
				continue
			}
			for suffix, act := range map[string]func() error{"": c.do, ".refused": c.deny} {
				if act == nil {
					continue
				}
				before := o.audited(t, c.action+suffix)
				if err := act(); (err != nil) != (suffix != "") {
					t.Errorf("%s%s: %v", m.MethodName, suffix, err)
				}
				if n := o.audited(t, c.action+suffix) - before; n != 1 {
					t.Errorf("%s left %d lines of %s by operator ada, want 1", m.MethodName, n, c.action+suffix)
				}
			}
		}
	}
}

// audited counts the lines of an action by the test's operator.
func (o *operators) audited(t *testing.T, action string) (n int) {
	t.Helper()
	list, err := o.clusters.ListAudit(t.Context(), &skeinv1.ListAuditRequest{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range list.GetLines() {
		if line.GetAction() == action && line.GetActor() == "operator ada" {
			n++
		}
	}
	return n
}

func TestAnOperatorsNameIsKeptShortAndPrintable(t *testing.T) {
	o := newOperators(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), service.OperatorHeader, strings.Repeat("x", 5000))
	if _, err := o.clusters.RegisterCluster(ctx, &skeinv1.RegisterClusterRequest{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	list, err := o.clusters.ListAudit(t.Context(), &skeinv1.ListAuditRequest{Subject: "cluster/c"})
	if err != nil || len(list.GetLines()) != 1 || len(list.GetLines()[0].GetActor()) > 300 || strings.Contains(list.GetLines()[0].GetDetail(), "token-of-c") {
		t.Errorf("got %v, %v", list, err)
	}
	_, err = o.clusters.ListAudit(t.Context(), &skeinv1.ListAuditRequest{Limit: 1001})
	wantStatus(t, "too many lines", err, codes.InvalidArgument, "limit: must lie between")
}

func TestLabelsAndTaints(t *testing.T) {
	o := newOperators(t)
	o.registerCluster(t, "c")
	update := func(q *skeinv1.UpdateClusterRequest) *skeinv1.Cluster {
		t.Helper()
		q.Name = "c"
		out, err := o.clusters.UpdateCluster(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return out.GetCluster()
	}
	taint := func(key, value, effect string) []*skeinv1.Taint {
		return []*skeinv1.Taint{{Key: key, Value: value, Effect: effect}}
	}
	first := update(&skeinv1.UpdateClusterRequest{SetLabels: map[string]string{"a": "1", "b": "2"}, AddTaints: taint("m", "x", "NoExecute")})
	added := first.GetTaints()[0].GetAddedAt().AsTime()
	if added.IsZero() {
		t.Error("a new taint has no time")
	}
	again := update(&skeinv1.UpdateClusterRequest{RemoveLabels: []string{"a"}, AddTaints: taint("m", "x", "NoExecute")})
	if again.GetLabels()["a"] != "" || again.GetLabels()["b"] != "2" || !again.GetTaints()[0].GetAddedAt().AsTime().Equal(added) {
		t.Errorf("got %v: the same taint keeps its age", again)
	}
	other := update(&skeinv1.UpdateClusterRequest{AddTaints: taint("m", "y", "NoExecute")})
	if len(other.GetTaints()) != 1 || other.GetTaints()[0].GetValue() != "y" || !other.GetTaints()[0].GetAddedAt().AsTime().After(added) {
		t.Errorf("got %v: another value is another taint", other.GetTaints())
	}
	if none := update(&skeinv1.UpdateClusterRequest{RemoveTaints: []*skeinv1.Taint{{Key: "m"}}}); len(none.GetTaints()) != 0 {
		t.Errorf("got %v", none.GetTaints())
	}
	for says, q := range map[string]*skeinv1.UpdateClusterRequest{
		"set_labels: nothing is to be changed": {Name: "c"},
		"add_taints: effect":                   {Name: "c", AddTaints: taint("m", "", "Now")},
		"remove_taints":                        {Name: "c", RemoveTaints: taint("", "", "")},
		"set_labels: key":                      {Name: "c", SetLabels: map[string]string{"a b": ""}},
		"name":                                 {SetLabels: map[string]string{"a": ""}},
	} {
		_, err := o.clusters.UpdateCluster(t.Context(), q)
		wantStatus(t, says, err, codes.InvalidArgument, says)
	}
	_, err := o.clusters.UpdateCluster(t.Context(), &skeinv1.UpdateClusterRequest{Name: "nowhere", SetLabels: map[string]string{"a": ""}})
	wantStatus(t, "an unknown cluster", err, codes.NotFound, "skein cluster list")
}

func TestDrainIsOrderedWatchedAndStopped(t *testing.T) {
	o := newOperators(t)
	o.register(t)
	o.registerCluster(t, "east", "west")
	o.launched(t, "e1", nil)
	o.launched(t, "e2", map[string]string{"skein.dev/failover": "never"})
	o.place(t, "e1", "east")
	o.place(t, "e2", "east")
	id := flow.ExecutionID{Project: "flytesnacks", Domain: "development", Name: "e1"}
	o.fortunes.tells = service.Forecast{Outcomes: []service.Outcome{
		{Execution: id, From: "east", To: "west", How: "resume"}, {Execution: flow.ExecutionID{Name: "e2"}, From: "east", How: "may never move"},
		{Execution: flow.ExecutionID{Name: "other"}, From: "west"}}}

	plan, err := o.clusters.Drain(t.Context(), &skeinv1.DrainRequest{Name: "east", DryRun: true})
	if err != nil || len(plan.GetPlan()) != 2 || plan.GetPlan()[0].GetTo() != "west" || plan.GetStatus().GetRemaining() != 2 ||
		plan.GetStatus().GetPinned() != 1 || plan.GetStatus().GetUnplaceable() != 0 || plan.GetStatus().GetBudget() != 10 {
		t.Errorf("plan = %v, %v", plan, err)
	}
	if got, err := o.clusters.GetCluster(t.Context(), &skeinv1.GetClusterRequest{Name: "east"}); err != nil || got.GetCluster().GetCordoned() || got.GetCluster().GetDrain() != nil {
		t.Errorf("the dry run changed the cluster: %v, %v", got, err)
	}
	if _, err := o.clusters.Drain(t.Context(), &skeinv1.DrainRequest{Name: "east", Budget: 3, Deadline: durationpb.New(time.Hour), Grace: durationpb.New(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	got, err := o.clusters.GetCluster(t.Context(), &skeinv1.GetClusterRequest{Name: "east"})
	if d := got.GetCluster().GetDrain(); err != nil || !got.GetCluster().GetCordoned() || d.GetBudget() != 3 || d.GetDeadline() == nil || d.GetRemaining() != 2 {
		t.Errorf("draining: %v, %v", got, err)
	}
	o.fortunes.tells.Outcomes[0].To = "" // west is full now
	_, err = o.clusters.Cordon(t.Context(), &skeinv1.CordonRequest{Name: "east"})
	wantStatus(t, "to uncordon a cluster that is being drained", err, codes.FailedPrecondition, "skein cluster drain east --stop")

	watch, err := o.clusters.WatchDrain(t.Context(), &skeinv1.WatchDrainRequest{Name: "east"})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus().GetRemaining() != 2 || first.GetStatus().GetUnplaceable() != 1 || first.GetStatus().GetEta() != nil {
		t.Errorf("first = %v, %v", first, err)
	}
	if _, err := o.clusters.Drain(t.Context(), &skeinv1.DrainRequest{Name: "east", Stop: true}); err != nil {
		t.Fatal(err)
	}
	for {
		next, err := watch.Recv()
		if err != nil {
			t.Fatalf("the watch ended with %v before it said that the drain was stopped", err)
		}
		if s := next.GetStatus(); s.GetStartedAt() == nil {
			if s.GetDone() || s.GetRemaining() != 2 {
				t.Errorf("last = %v: it was stopped, not done", next)
			}
			break
		}
	}
	_, err = o.clusters.Drain(t.Context(), &skeinv1.DrainRequest{Name: "east", Stop: true})
	wantStatus(t, "to stop it twice", err, codes.FailedPrecondition, "not being drained")
	if got, err := o.clusters.GetCluster(t.Context(), &skeinv1.GetClusterRequest{Name: "east"}); err != nil || !got.GetCluster().GetCordoned() {
		t.Errorf("stopping took the cordon off: %v, %v", got, err)
	}
}

// TestAWatchedDrainHasEndedWhenTheWatchEnds: who has waited uncordons the cluster.
func TestAWatchedDrainHasEndedWhenTheWatchEnds(t *testing.T) {
	o := newOperators(t)
	o.registerCluster(t, "c")
	if _, err := o.clusters.Drain(t.Context(), &skeinv1.DrainRequest{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	watch, err := o.clusters.WatchDrain(t.Context(), &skeinv1.WatchDrainRequest{Name: "c"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if next, err := watch.Recv(); err != nil || !next.GetStatus().GetDone() {
			t.Fatalf("while the scheduler has not ended it: %v, %v", next, err)
		}
	}
	if _, err := o.clusters.Drain(t.Context(), &skeinv1.DrainRequest{Name: "c", Stop: true}); err != nil { // as the scheduler would
		t.Fatal(err)
	}
	for err == nil {
		_, err = watch.Recv()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("it ends with %v", err)
	}
	if _, err := o.clusters.Cordon(t.Context(), &skeinv1.CordonRequest{Name: "c"}); err != nil {
		t.Error(err)
	}
}

func TestBadDrains(t *testing.T) {
	o := newOperators(t)
	o.registerCluster(t, "c")
	for says, q := range map[string]*skeinv1.DrainRequest{
		"budget: must lie":    {Name: "c", Budget: 1001},
		"deadline: must be":   {Name: "c", Deadline: durationpb.New(-1)},
		"grace: must lie":     {Name: "c", Grace: durationpb.New(-1)},
		"stop: ends a drain":  {Name: "c", Stop: true, Budget: 3},
		"name: must be set":   {},
		"name: \"C!\" is not": {Name: "C!", DryRun: true},
	} {
		_, err := o.clusters.Drain(t.Context(), q)
		wantStatus(t, says, err, codes.InvalidArgument, says)
	}
	for _, dry := range []bool{true, false} {
		_, err := o.clusters.Drain(t.Context(), &skeinv1.DrainRequest{Name: "nowhere", DryRun: dry})
		wantStatus(t, "an unknown cluster", err, codes.NotFound, "skein cluster list")
	}
	watch, err := o.clusters.WatchDrain(t.Context(), &skeinv1.WatchDrainRequest{Name: "c"})
	if err == nil {
		_, err = watch.Recv()
	}
	wantStatus(t, "to watch no drain", err, codes.FailedPrecondition, "not being drained")
}

// TestDeclaringLostTellsItsRisksFirst: a dry run counts what the call then does.
func TestDeclaringLostTellsItsRisksFirst(t *testing.T) {
	o := newOperators(t)
	o.register(t)
	o.registerCluster(t, "east")
	for name, annotations := range map[string]map[string]string{"e1": nil, "e2": {"skein.dev/failover": "never"}, "e3": nil} {
		o.launched(t, name, annotations)
		o.place(t, name, "east")
	}
	if _, err := o.TerminateExecution(t.Context(), &admin.ExecutionTerminateRequest{Id: execID("e3")}); err != nil {
		t.Fatal(err)
	}
	dry, err := o.clusters.DeclareLost(t.Context(), &skeinv1.DeclareLostRequest{Name: "east", DryRun: true})
	if err != nil || dry.GetMovable() != 1 || dry.GetPinned() != 1 || dry.GetAborting() != 1 || dry.GetCluster().GetLost() {
		t.Fatalf("dry run = %v, %v", dry, err)
	}
	for _, want := range []string{"1 executions that are moved may run on", "1 executions that may not move stay", "1 executions that are being aborted"} {
		if !strings.Contains(strings.Join(dry.GetRisks(), "\n"), want) {
			t.Errorf("the risks miss %q:\n%s", want, strings.Join(dry.GetRisks(), "\n"))
		}
	}
	real, err := o.clusters.DeclareLost(t.Context(), &skeinv1.DeclareLostRequest{Name: "east"})
	if err != nil || real.GetMovable() != dry.GetMovable() || real.GetPinned() != dry.GetPinned() || real.GetAborting() != dry.GetAborting() || !real.GetCluster().GetLost() {
		t.Errorf("declared = %v, %v; the dry run said %v", real, err, dry)
	}
	_, err = o.clusters.DeclareLost(t.Context(), &skeinv1.DeclareLostRequest{Name: "east"})
	wantStatus(t, "twice", err, codes.FailedPrecondition, "declare-found east")
	ended, err := o.clusters.DeclareLost(t.Context(), &skeinv1.DeclareLostRequest{Name: "east", FailPinned: true})
	if err != nil || ended.GetPinned() != 1 {
		t.Errorf("to end what may not move, later: %v, %v", ended, err)
	}
	if _, err := o.clusters.DeclareFound(t.Context(), &skeinv1.DeclareFoundRequest{Name: "east"}); err != nil {
		t.Error(err)
	}
	_, err = o.clusters.DeclareFound(t.Context(), &skeinv1.DeclareFoundRequest{Name: "east"})
	wantStatus(t, "found twice", err, codes.FailedPrecondition, "not declared lost")
}

// launched creates an execution with annotations.
func (r *rig) launched(t *testing.T, name string, annotations map[string]string) {
	t.Helper()
	q := execution(name, "pkg.wf")
	q.Spec.Annotations = &admin.Annotations{Values: annotations}
	if _, err := r.CreateExecution(t.Context(), q); err != nil {
		t.Fatal(err)
	}
}
