package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/deploy/local/certs"
)

// plane is a control plane that knows one of each.
type plane struct {
	service.UnimplementedAdminServiceServer
	skeinv1.UnimplementedClusterServiceServer
}

func (plane) ListExecutions(_ context.Context, r *admin.ResourceListRequest) (*admin.ExecutionList, error) {
	return &admin.ExecutionList{Executions: []*admin.Execution{{
		Id: &core.WorkflowExecutionIdentifier{Name: "run-in-" + r.GetId().GetDomain()},
		Closure: &admin.ExecutionClosure{Phase: core.WorkflowExecution_RUNNING, CreatedAt: timestamppb.New(time.Now().Add(-90 * time.Second)),
			WorkflowId: &core.Identifier{Name: "demo.words"}}}}}, nil
}

func (plane) ListNodeExecutions(_ context.Context, r *admin.NodeExecutionListRequest) (*admin.NodeExecutionList, error) {
	return &admin.NodeExecutionList{NodeExecutions: []*admin.NodeExecution{{
		Id:      &core.NodeExecutionIdentifier{NodeId: "node-of-" + r.GetWorkflowExecutionId().GetName()},
		Closure: &admin.NodeExecutionClosure{Phase: core.NodeExecution_SUCCEEDED}}}}, nil
}

func (plane) ListLaunchPlanIds(context.Context, *admin.NamedEntityIdentifierListRequest) (*admin.NamedEntityIdentifierList, error) {
	return &admin.NamedEntityIdentifierList{Entities: []*admin.NamedEntityIdentifier{{Name: "demo.words"}}}, nil
}

func (plane) ListLaunchPlans(_ context.Context, r *admin.ResourceListRequest) (*admin.LaunchPlanList, error) {
	return &admin.LaunchPlanList{LaunchPlans: []*admin.LaunchPlan{{Id: &core.Identifier{Version: "v-of-" + r.GetId().GetName()}}}}, nil
}

func (plane) GetActiveLaunchPlan(context.Context, *admin.ActiveLaunchPlanRequest) (*admin.LaunchPlan, error) {
	return &admin.LaunchPlan{Closure: &admin.LaunchPlanClosure{ExpectedInputs: &core.ParameterMap{
		Parameters: map[string]*core.Parameter{"text": {}, "seconds": {}}}}}, nil
}

func (plane) ListProjects(context.Context, *admin.ProjectListRequest) (*admin.Projects, error) {
	return &admin.Projects{Projects: []*admin.Project{{Id: "flytesnacks", Description: "the first", Domains: []*admin.Domain{{Id: "development"}}},
		{Id: "other", Domains: []*admin.Domain{{Id: "elsewhere"}}}}}, nil
}

func (plane) ListClusters(ctx context.Context, _ *skeinv1.ListClustersRequest) (*skeinv1.ListClustersResponse, error) {
	if got := metadata.ValueFromIncomingContext(ctx, "authorization"); !slices.Equal(got, []string{"Bearer sesame"}) {
		return nil, status.Errorf(codes.Unauthenticated, "got %q", got)
	}
	return &skeinv1.ListClustersResponse{Clusters: []*skeinv1.Cluster{
		{Name: "eu-1", Health: "Healthy", Labels: map[string]string{"region": "eu", "tier": "gold"}},
		{Name: "us-1", Health: "Suspect", Labels: map[string]string{"region": "us", "tier": "gold"}}}}, nil
}

// servePlane serves both APIs and returns the configuration that names them.
func servePlane(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ca, files, err := certs.EnsureCA(dir, "ca")
	leaf, leafErr := ca.EnsureLeaf(dir, "server", certs.Leaf{CommonName: "server", Hosts: []string{"127.0.0.1"}})
	pair, pairErr := tls.LoadX509KeyPair(leaf.Cert, leaf.Key)
	token := filepath.Join(dir, "token")
	if err := errors.Join(err, leafErr, pairErr, os.WriteFile(token, []byte("sesame\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	listen := func(s *grpc.Server) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(s.Stop)
		return l.Addr().String()
	}
	open, closed := grpc.NewServer(), grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	service.RegisterAdminServiceServer(open, plane{})
	skeinv1.RegisterClusterServiceServer(closed, plane{})
	return writeConfig(t, fmt.Sprintf("flyte: %s\nskein: %s\nca: %s\ntokenFile: %s\n", listen(open), listen(closed), files.Cert, token))
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tab is what a shell asks at a press of Tab: words, then the directive.
func tab(t *testing.T, config string, args ...string) (words []string, errors string) {
	t.Helper()
	t.Setenv("SKEIN_CONFIG", config)
	root := New("test")
	var out, errs bytes.Buffer
	root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, args...))
	root.SetOut(&out)
	root.SetErr(&errs)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Errorf("skein %s <Tab>: %v", strings.Join(args, " "), err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[:len(lines)-1], errs.String()
}

func TestCompletion(t *testing.T) {
	config := servePlane(t)
	for _, c := range []struct {
		line []string
		want string
	}{
		{[]string{"get", ""}, "run-in-development\tdemo.words RUNNING, 1m30s ago"},
		{[]string{"explain", "-d", "staging", ""}, "run-in-staging\tdemo.words RUNNING, 1m30s ago"},
		{[]string{"abort", ""}, "run-in-development\tdemo.words RUNNING, 1m30s ago"},
		{[]string{"logs", ""}, "run-in-development\tdemo.words RUNNING, 1m30s ago"},
		{[]string{"logs", "x", ""}, ""},
		{[]string{"logs", "x", "--node", ""}, "node-of-x\tSUCCEEDED"},
		{[]string{"launch", ""}, "demo.words"},
		{[]string{"launch", "demo.words", "--version", ""}, "v-of-demo.words"},
		{[]string{"launch", "demo.words", "--input", ""}, "seconds=|text="},
		{[]string{"launch", "demo.words", "--cluster-label", ""}, "region=eu|region=us|tier=gold"},
		{[]string{"cluster", "describe", ""}, "eu-1\tHealthy region=eu,tier=gold|us-1\tSuspect region=us,tier=gold"},
		{[]string{"cluster", "register", "e"}, "eu-1\tHealthy region=eu,tier=gold|us-1\tSuspect region=us,tier=gold"},
		{[]string{"get", "-o", ""}, "table|json|yaml"},
		{[]string{"get", "--project", ""}, "flytesnacks\tthe first|other"},
		{[]string{"get", "--project", "other", "--domain", ""}, "elsewhere"},
		{[]string{"completion", ""}, "bash|zsh|fish|powershell"},
		{[]string{"register", "-f", ""}, "yaml|yml"},
	} {
		words, errs := tab(t, config, c.line...)
		if got := strings.Join(words, "|"); got != c.want {
			t.Errorf("skein %q: got %q, want %q (%s)", c.line, got, c.want, errs)
		}
	}
}

// TestCompletionIsSilent: a shell has no place for messages, and nobody waits
// long for a Tab.
func TestCompletionIsSilent(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, config := range map[string]string{
		"nobody listens":             writeConfig(t, "flyte: 127.0.0.1:1\n"),
		"nobody answers":             writeConfig(t, "flyte: "+mute.Addr().String()+"\n"),
		"the configuration is wrong": writeConfig(t, "flyte: [\n"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, line := range [][]string{{"get", ""}, {"launch", ""}, {"cluster", "describe", ""}, {"get", "-p", ""}} {
				began := time.Now()
				words, errs := tab(t, config, line...)
				took := time.Since(began)
				if len(words) > 0 || strings.Contains(errs, "rror") || took > completePatience+time.Second {
					t.Errorf("skein %q: got %q and %q after %s", line, words, errs, took)
				}
			}
		})
	}
}

// TestCompletionScripts: each is one that its shell would take, as far as it
// can be seen here.
func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{"bash": "__start_skein", "zsh": "#compdef skein", "fish": "complete -c skein", "powershell": "Register-ArgumentCompleter"} {
		out, err := run(t, "completion", shell)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("completion %s: %v, and %q is not in it", shell, err, want)
		}
	}
	if _, err := run(t, "completion", "csh"); err == nil || !strings.Contains(err.Error(), "csh") {
		t.Errorf("completion csh: %v", err)
	}
}
