package faults

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/federation/identity"
)

// anonymous connects to Skein's API without the operator's token.
func (r *rig) anonymous(t *testing.T, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	raw, err := os.ReadFile(r.client.CA)
	must(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		t.Fatal("the CA bundle holds no certificate")
	}
	creds := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool})
	conn, err := grpc.NewClient(r.client.Skein, append(opts, grpc.WithTransportCredentials(creds))...)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// stranger carries a token that is not the operator's.
type stranger struct{}

func (stranger) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer skein-operator-not"}, nil
}
func (stranger) RequireTransportSecurity() bool { return true }

func newCSR(t *testing.T) string {
	t.Helper()
	key, err := identity.NewKeyPEM()
	must(t, err)
	csr, err := identity.NewCSR(key)
	must(t, err)
	return string(csr)
}

// stored counts the rows of every table that a request may write; refusals are
// audited, so the audit is left out.
func (r *rig) stored(t *testing.T) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, table := range []string{"projects", "named_entities", "entities", "executions", "clusters", "members", "join_tokens", "decisions"} {
		out[table] = query[int64](t, r, "SELECT count(*) FROM "+table)[0]
	}
	out["bound tokens"] = query[int64](t, r, "SELECT count(*) FROM join_tokens WHERE key_hash IS NOT NULL")[0]
	return out
}

// bad is a call that is refused: with which code, and what its message names.
type bad struct {
	name  string
	code  codes.Code
	names string
	call  func(context.Context) error
}

// badInputs: bad input is refused by name over the real APIs and the CLI, and
// nothing of it is stored.
func badInputs(t *testing.T, r *rig) {
	cases := append(r.badLaunches(), r.badRegistrations()...)
	cases = append(cases, r.badJoins(t)...)
	cases = append(cases, r.badCredentials(t)...)
	before := r.stored(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := c.call(ctx)
			if status.Code(err) != c.code || !strings.Contains(status.Convert(err).Message(), c.names) {
				t.Errorf("answered %v, want %s with %q in it", err, c.code, c.names)
			}
		})
	}
	for _, c := range badCommands {
		t.Run("skein "+strings.Join(c.args, " "), func(t *testing.T) { c.check(t, r) })
	}
	after := r.stored(t)
	for table, n := range before {
		if after[table] != n {
			t.Errorf("%s: %d rows before all these refusals, %d after", table, n, after[table])
		}
	}
}

func (r *rig) badLaunches() []bad {
	row := func(name string, code codes.Code, names string, spoil func(*admin.ExecutionCreateRequest)) bad {
		return bad{"launch: " + name, code, names, func(ctx context.Context) error {
			q := launchRequest("faults.naps", "bad", 1)
			spoil(q)
			_, err := r.admin.CreateExecution(ctx, q)
			return err
		}}
	}
	text := &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{
		Primitive: &core.Primitive{Value: &core.Primitive_StringValue{StringValue: "many"}}}}}}
	return []bad{
		row("an unknown input", codes.InvalidArgument, "minutes", func(q *admin.ExecutionCreateRequest) { q.Inputs.Literals["minutes"] = integer(1) }),
		row("an input of another type", codes.InvalidArgument, "inputs.seconds", func(q *admin.ExecutionCreateRequest) { q.Inputs.Literals["seconds"] = text }),
		row("a missing input", codes.InvalidArgument, "inputs.seconds", func(q *admin.ExecutionCreateRequest) { q.Inputs = nil }),
		row("an odd selector", codes.InvalidArgument, "spec.execution_cluster_label.value", func(q *admin.ExecutionCreateRequest) {
			q.Spec.ExecutionClusterLabel = &admin.ExecutionClusterLabel{Value: "region in (eu"}
		}),
		row("a bad name", codes.InvalidArgument, "name", func(q *admin.ExecutionCreateRequest) { q.Name = "Not_A_Label" }),
		row("an unknown launch plan", codes.NotFound, "faults.nowhere", func(q *admin.ExecutionCreateRequest) { q.Spec.LaunchPlan.Name = "faults.nowhere" }),
		row("an unknown project", codes.InvalidArgument, "project", func(q *admin.ExecutionCreateRequest) { q.Project = "nobody" }),
		row("an unknown domain", codes.InvalidArgument, "domain", func(q *admin.ExecutionCreateRequest) { q.Domain = "moon" }),
	}
}

func (r *rig) badRegistrations() []bad {
	row := func(name, names string, q *skeinv1.RegisterClusterRequest) bad {
		return bad{"register a cluster: " + name, codes.InvalidArgument, names, func(ctx context.Context) error {
			_, err := r.clusters.RegisterCluster(ctx, q)
			return err
		}}
	}
	return []bad{
		row("a bad name", "name", &skeinv1.RegisterClusterRequest{Name: "EU_1"}),
		row("a bad label", "labels", &skeinv1.RegisterClusterRequest{Name: "bad-1", Labels: map[string]string{"a b": "c"}}),
		row("a bad effect", "taints", &skeinv1.RegisterClusterRequest{Name: "bad-1", Taints: []*skeinv1.Taint{{Key: "a", Effect: "Never"}}}),
		row("a token for a week", "token_ttl", &skeinv1.RegisterClusterRequest{Name: "bad-1", TokenTtl: durationpb.New(7 * 24 * time.Hour)}),
		{"explain: an unknown execution", codes.NotFound, "nowhere", func(ctx context.Context) error {
			_, err := r.placed.Explain(ctx, &skeinv1.ExplainRequest{Execution: &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: "nowhere"}})
			return err
		}},
	}
}

// badJoins makes the tokens that are to be refused, before anything is counted.
func (r *rig) badJoins(t *testing.T) []bad {
	t.Helper()
	api := skeinv1.NewDataPlaneServiceClient(r.anonymous(t))
	fresh, err := r.clusters.RegisterCluster(t.Context(), &skeinv1.RegisterClusterRequest{Name: "joiner"})
	must(t, err)
	used, err := r.clusters.RegisterCluster(t.Context(), &skeinv1.RegisterClusterRequest{Name: "joiner"})
	must(t, err)
	_, err = api.Join(t.Context(), &skeinv1.JoinRequest{Token: used.GetJoinToken(), Csr: newCSR(t), Instance: "one"})
	must(t, err)
	expired, err := r.clusters.RegisterCluster(t.Context(), &skeinv1.RegisterClusterRequest{Name: "joiner", TokenTtl: durationpb.New(time.Nanosecond)})
	must(t, err)
	unknown, _, err := identity.NewJoinToken()
	must(t, err)
	row := func(name string, code codes.Code, names string, q *skeinv1.JoinRequest) bad {
		return bad{"join: " + name, code, names, func(ctx context.Context) error {
			_, err := api.Join(ctx, q)
			return err
		}}
	}
	return []bad{
		row("a token that is none", codes.Unauthenticated, "token", &skeinv1.JoinRequest{Token: "hello", Csr: newCSR(t), Instance: "two"}),
		row("a token that nobody made", codes.Unauthenticated, "token", &skeinv1.JoinRequest{Token: unknown, Csr: newCSR(t), Instance: "two"}),
		row("a token used with another key", codes.PermissionDenied, "token", &skeinv1.JoinRequest{Token: used.GetJoinToken(), Csr: newCSR(t), Instance: "one"}),
		row("a token that has expired", codes.Unauthenticated, "expired", &skeinv1.JoinRequest{Token: expired.GetJoinToken(), Csr: newCSR(t), Instance: "two"}),
		row("a request that is none", codes.InvalidArgument, "csr", &skeinv1.JoinRequest{Token: fresh.GetJoinToken(), Csr: "hello", Instance: "two"}),
		row("an instance that is no name", codes.InvalidArgument, "instance", &skeinv1.JoinRequest{Token: fresh.GetJoinToken(), Csr: newCSR(t), Instance: "a/b"}),
	}
}

func (r *rig) badCredentials(t *testing.T) []bad {
	t.Helper()
	var out []bad
	for name, conn := range map[string]*grpc.ClientConn{"no token": r.anonymous(t), "another token": r.anonymous(t, grpc.WithPerRPCCredentials(stranger{}))} {
		out = append(out,
			bad{"register a cluster: " + name, codes.Unauthenticated, "token", func(ctx context.Context) error {
				_, err := skeinv1.NewClusterServiceClient(conn).RegisterCluster(ctx, &skeinv1.RegisterClusterRequest{Name: "bad-1"})
				return err
			}},
			bad{"explain: " + name, codes.Unauthenticated, "token", func(ctx context.Context) error {
				_, err := skeinv1.NewPlacementServiceClient(conn).Explain(ctx, &skeinv1.ExplainRequest{
					Execution: &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: "leader00"}})
				return err
			}},
			bad{"connect as a member: " + name, codes.Unauthenticated, "certificate", func(ctx context.Context) error {
				stream, err := skeinv1.NewDataPlaneServiceClient(conn).Connect(ctx)
				if err == nil {
					_, err = stream.Recv()
				}
				return err
			}})
	}
	return out
}

// command is a command line that is refused: with which exit code, and what
// its message names.
type command struct {
	args  []string
	kind  fault.Kind
	names string
}

var badCommands = []command{
	{[]string{"launch", "faults.naps", "--version", napVersion, "--input", "seconds=many"}, fault.Invalid, "--input: seconds"},
	{[]string{"launch", "faults.naps", "--version", napVersion, "--input", "minutes=1"}, fault.Invalid, `"minutes" is no input`},
	{[]string{"launch", "faults.naps", "--version", napVersion}, fault.Invalid, "seconds"},
	{[]string{"launch", "faults.nowhere"}, fault.NotFound, "faults.nowhere"},
	{[]string{"launch"}, fault.Invalid, "LAUNCH-PLAN"},
	{[]string{"register"}, fault.Invalid, "--file"},
	{[]string{"get", "nowhere"}, fault.NotFound, "nowhere"},
	{[]string{"get", "-o", "xml"}, fault.Invalid, "--output"},
	{[]string{"abort", "leader00"}, fault.Precondition, "leader00"},
	{[]string{"cluster", "register", "bad-1", "--taint", "gpu"}, fault.Invalid, "--taint"},
	{[]string{"cluster", "register", "bad-1", "--label", "a b=c"}, fault.Invalid, "labels"},
	{[]string{"cluster", "register", "BAD"}, fault.Invalid, "name"},
	{[]string{"explain", "nowhere"}, fault.NotFound, "nowhere"},
}

func (c command) check(t *testing.T, r *rig) {
	run := exec.CommandContext(t.Context(), filepath.Join(federationtest.Binaries(t), "skein"), append([]string{"--config", r.Config}, c.args...)...)
	out, err := run.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != c.kind.Exit() || !strings.Contains(string(out), c.names) {
		t.Errorf("ended with %v, want exit code %d and %q:\n%s", err, c.kind.Exit(), c.names, out)
	}
	if strings.Contains(string(out), "rpc error") || fmt.Sprint(string(out)) == "" {
		t.Errorf("says %q", out)
	}
}
