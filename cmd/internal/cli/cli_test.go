package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

var rewrite = flag.Bool("rewrite", false, "write golden files anew; review the difference")

// golden compares with a file that a person reads in review.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: got\n%s\nwant\n%s", name, got, want)
	}
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Setenv("SKEIN_CONFIG", filepath.Join(t.TempDir(), "none.yaml"))
	root := New("test")
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

func TestBadCommands(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("flyte: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unknown := filepath.Join(t.TempDir(), "unknown.yaml")
	if err := os.WriteFile(unknown, []byte("endpoint: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown output form", []string{"get", "-o", "xml"}, "--output"},
		{"an unknown flag", []string{"launch", "x", "--lable", "y"}, "--lable"},
		{"a launch of nothing", []string{"launch"}, "LAUNCH-PLAN"},
		{"a watch of nothing", []string{"get", "--watch"}, "--watch"},
		{"a registration of nothing", []string{"register"}, "--file"},
		{"a registration of a missing file", []string{"register", "-f", "no-such-file.yaml"}, "--file"},
		{"a file and an archive", []string{"register", "-f", "x.yaml", "--archive", "x.tgz"}, "--archive"},
		{"an archive without a version", []string{"register", "--archive", "x.tgz"}, "--version"},
		{"an archive that is not there", []string{"register", "--archive", "no-such.tgz", "--version", "1"}, "--archive no-such.tgz"},
		{"an archive of nothing", []string{"register", "--archive", t.TempDir(), "--version", "1"}, "nothing to register"},
		{"a folder for the code of a file", []string{"register", "-f", "x.yaml", "--destination-dir", "/x"}, "--destination-dir"},
		{"a configuration that is not there", []string{"--config", "no-such-file.yaml", "get"}, "no-such-file.yaml"},
		{"a configuration that is no YAML", []string{"--config", bad, "get"}, "bad.yaml"},
		{"a configuration with an unknown key", []string{"--config", unknown, "get"}, "endpoint"},
		{"a taint without effect", []string{"cluster", "register", "c", "--taint", "gpu"}, "--taint"},
		{"an operator's command without a token", []string{"cluster", "list"}, "tokenFile"},
		{"an explanation of nothing", []string{"explain"}, "EXECUTION"},
		{"an unknown command", []string{"nothing"}, `unknown command "nothing"; see skein --help`},
		{"a command with a letter wrong", []string{"lanch"}, "did you mean skein launch?"},
		{"an unknown command below another", []string{"cluster", "lst"}, "did you mean skein cluster list?"},
		{"two executions", []string{"get", "a", "b"}, "EXECUTION"},
		{"a file without -f", []string{"register", "workflow.yaml"}, "-f"},
		{"a number that is none", []string{"get", "--limit", "-3"}, `--limit: want a whole number of 0 or more, got "-3"`},
		{"a duration that is none", []string{"cluster", "register", "c", "--token-ttl", "soon"}, "--token-ttl: want a duration"},
		{"a label without value", []string{"cluster", "register", "c", "--label", "region"}, `--label: want key=value, got "region"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, c.args...)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an Invalid error that names %s", err, c.want)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{status.Error(codes.InvalidArgument, "name: bad"), fault.Invalid.Exit()},
		{status.Error(codes.NotFound, "no such execution"), fault.NotFound.Exit()},
		{status.Error(codes.AlreadyExists, "exists"), fault.Conflict.Exit()},
		{status.Error(codes.Unavailable, "connection refused"), fault.Unavailable.Exit()},
		{status.Error(codes.Unauthenticated, "token"), fault.Unauthorized.Exit()},
		{status.Error(codes.Unimplemented, "later"), fault.Unsupported.Exit()},
		{status.Error(codes.DataLoss, "?"), fault.Internal.Exit()},
		{fault.Field("--x", "bad"), fault.Invalid.Exit()},
		{errors.New("unknown command"), fault.Invalid.Exit()},
	} {
		var out bytes.Buffer
		if got := Fail(&out, c.err); got != c.want {
			t.Errorf("%v exits with %d, want %d", c.err, got, c.want)
		}
		if !strings.HasPrefix(out.String(), "error: ") || strings.Contains(out.String(), "rpc error") {
			t.Errorf("%v prints %q", c.err, out.String())
		}
	}
}

// TestWhoIsNotReached tells an address where nobody listens from a control
// plane that answered.
func TestWhoIsNotReached(t *testing.T) {
	for _, c := range []struct {
		message, want string
		hint          bool
	}{
		{`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`,
			"error: cannot connect: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused\n", true},
		{"no replica leads", "error: no replica leads\n", false},
	} {
		var out bytes.Buffer
		Fail(&out, status.Error(codes.Unavailable, c.message))
		if !strings.HasPrefix(out.String(), c.want) || strings.Contains(out.String(), "make demo") != c.hint {
			t.Errorf("%s prints %q, want %q and a hint: %v", c.message, out.String(), c.want, c.hint)
		}
	}
}

// TestTheWayOutIsTold adds it to the kind that it is for, and to no other.
func TestTheWayOutIsTold(t *testing.T) {
	err := noExecution(status.Error(codes.NotFound, "execution x does not exist"))
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "execution x does not exist; skein get lists") {
		t.Errorf("got %v", err)
	}
	if err := noExecution(status.Error(codes.Internal, "broken")); strings.Contains(err.Error(), "skein get") {
		t.Errorf("got %v", err)
	}
	gone := status.Error(codes.NotFound, "pod x-n0-0, or its container, is gone from the cluster, and its log with it")
	if err := noAttempt(gone, "x"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "skein get x shows what was recorded") {
		t.Errorf("got %v", err)
	}
	if err := noAttempt(nil, "x"); err != nil {
		t.Errorf("nil became %v", err)
	}
	if err := noAttempt(status.Error(codes.NotFound, "execution x has recorded no such task attempt"), "x"); !strings.Contains(err.Error(), "skein get x shows") {
		t.Errorf("got %v", err)
	}
}

// TestJSONIsTheSameText holds what get prints for scripts.
func TestJSONIsTheSameText(t *testing.T) {
	number := &core.LiteralMap{Literals: map[string]*core.Literal{"n": {Value: &core.Literal_Scalar{Scalar: &core.Scalar{
		Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_Integer{Integer: 3}}}}}}}}
	whole, err := document(
		&admin.Execution{Id: &core.WorkflowExecutionIdentifier{Project: "p", Domain: "d", Name: "a<b"}},
		[]*admin.NodeExecution{{Id: &core.NodeExecutionIdentifier{NodeId: "split"}}},
		&admin.WorkflowExecutionGetDataResponse{FullInputs: number, FullOutputs: number})
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"json", "yaml"} {
		var out bytes.Buffer
		if err := (&session{output: form}).write(&out, whole); err != nil {
			t.Fatal(err)
		}
		golden(t, "get."+form, out.String())
	}
}

func TestExecutionIsReadable(t *testing.T) {
	created := timestamppb.New(time.Now().Add(-50 * time.Hour))
	var out bytes.Buffer
	err := describe(&out, &admin.Execution{
		Id:   &core.WorkflowExecutionIdentifier{Name: "a7b"},
		Spec: &admin.ExecutionSpec{ExecutionClusterLabel: &admin.ExecutionClusterLabel{Value: "region=mars"}},
		Closure: &admin.ExecutionClosure{Phase: core.WorkflowExecution_QUEUED, CreatedAt: created,
			WorkflowId: &core.Identifier{Name: "demo.words", Version: "v1"}},
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "execution.txt", strings.ReplaceAll(out.String(), created.AsTime().Format(time.RFC3339), "2026-01-02T03:04:05Z"))
}

func TestDurationsAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{1400 * time.Millisecond: "1s", 61 * time.Second: "1m1s",
		26*time.Hour + 3*time.Minute: "26h3m", 75 * time.Hour: "3d"} {
		if got := short(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestALongTextIsWrapped(t *testing.T) {
	if got := wrap("one two  three four", 9); got != "one two\nthree\nfour" {
		t.Errorf("got %q", got)
	}
}

func TestExplainIsReadable(t *testing.T) {
	at := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	var out bytes.Buffer
	err := explain(&out, &skeinv1.ExplainResponse{
		Summary: "It runs on us-1.",
		Requirement: &skeinv1.Requirement{Selector: "region=us-east", TaskTypes: []string{"raw-container"},
			Largest: &skeinv1.Resources{MilliCpu: 100, Memory: 512 << 20}, Reservation: &skeinv1.Resources{MilliCpu: 300, Memory: 1536 << 20}},
		Decisions: []*skeinv1.Decision{
			{Cluster: "us-1", Epoch: &skeinv1.Epoch{Era: 1, N: 1}, Scheduler: &skeinv1.Epoch{Era: 1, N: 4}, At: at, Reasons: []*skeinv1.Reason{
				{Cluster: "eu-1", Filter: "selector", Message: "labels do not match"},
				{Cluster: "us-1", Message: "best of those that fit", Score: 0.953, Parts: map[string]float64{"free": 0.953, "peak": 0}, Chosen: true}}},
			{Scheduler: &skeinv1.Epoch{Era: 1, N: 3}, At: at, Reasons: []*skeinv1.Reason{{Cluster: "us-1", Filter: "health", Message: "is Suspect"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "explain.txt", out.String())
}

func TestClusterTableIsReadable(t *testing.T) {
	var out bytes.Buffer
	err := clusterTable(&out, []*skeinv1.Cluster{
		{Name: "eu-1", Health: "Healthy", Labels: map[string]string{"tier": "gold", "region": "eu-west"},
			Capacity: &skeinv1.Resources{MilliCpu: 16000, Memory: 32 << 30, Gpus: 2}, Taints: []*skeinv1.Taint{{Key: "gpu", Value: "a100", Effect: "NoSchedule"}}},
		{Name: "new", Health: "Unknown"},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "clusters.txt", out.String())
}

func TestLiterals(t *testing.T) {
	str := func(s string) *core.Literal {
		return &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{
			Primitive: &core.Primitive{Value: &core.Primitive_StringValue{StringValue: s}}}}}}
	}
	var out bytes.Buffer
	literals(&out, "outputs", &core.LiteralMap{Literals: map[string]*core.Literal{
		"b": {Value: &core.Literal_Collection{Collection: &core.LiteralCollection{Literals: []*core.Literal{str("x"), str("y")}}}},
		"a": {Value: &core.Literal_Map{Map: &core.LiteralMap{Literals: map[string]*core.Literal{"k": str("v")}}}},
		"c": nil,
	}})
	golden(t, "literals.txt", out.String())
}
