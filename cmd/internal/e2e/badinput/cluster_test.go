package badinput

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/identity"
)

var (
	unknown   = codes.Unauthenticated.String()
	forbidden = codes.PermissionDenied.String()
)

func (r *rig) clusterRows(*testing.T) []row {
	register := func(name, says string, q *skeinv1.RegisterClusterRequest) row {
		return row{"register a cluster: " + name, invalid, says, call(r.clusters.RegisterCluster, q)}
	}
	ref := &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: "ghost"}
	logs := func(name, want, says string, q *skeinv1.GetLogsRequest) row {
		return row{"logs: " + name, want, says, func(ctx context.Context) (answer, error) {
			stream, err := r.placed.GetLogs(ctx, q)
			if err == nil {
				_, err = stream.Recv()
			}
			return answered(err)
		}}
	}
	known := &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: ended}
	return []row{
		register("no name", "^name: .*DNS label", &skeinv1.RegisterClusterRequest{}),
		register("an odd name", "^name: .*DNS label", &skeinv1.RegisterClusterRequest{Name: "EU_1"}),
		register("a name of a megabyte", "^name: .*DNS label", &skeinv1.RegisterClusterRequest{Name: strings.Repeat("e", 1<<20)}),
		register("an odd label", "^labels: key", &skeinv1.RegisterClusterRequest{Name: "bad", Labels: map[string]string{"a b": "c"}}),
		register("an odd value of a label", "^labels: value", &skeinv1.RegisterClusterRequest{Name: "bad", Labels: map[string]string{"a": "b c"}}),
		register("a taint without key", "^taints: key", &skeinv1.RegisterClusterRequest{Name: "bad", Taints: []*skeinv1.Taint{{Effect: "NoSchedule"}}}),
		register("an odd effect", `^taints: effect "Never" is not NoSchedule`, &skeinv1.RegisterClusterRequest{Name: "bad", Taints: []*skeinv1.Taint{{Key: "a", Effect: "Never"}}}),
		register("a token for a week", "^token_ttl: .*at most 24h", &skeinv1.RegisterClusterRequest{Name: "bad", TokenTtl: durationpb.New(7 * 24 * time.Hour)}),
		register("a token for less than nothing", "^token_ttl: must be above 0", &skeinv1.RegisterClusterRequest{Name: "bad", TokenTtl: durationpb.New(-1)}),
		{"get a cluster: no name", invalid, "^name: must be set", call(r.clusters.GetCluster, &skeinv1.GetClusterRequest{})},
		{"get a cluster: one that is unknown", notFound, "nowhere", call(r.clusters.GetCluster, &skeinv1.GetClusterRequest{Name: "nowhere"})},
		{"explain: nothing", invalid, "^execution.project: must be set", call(r.placed.Explain, &skeinv1.ExplainRequest{})},
		{"explain: an execution that is unknown", notFound, "ghost", call(r.placed.Explain, &skeinv1.ExplainRequest{Execution: ref})},
		logs("an execution that is unknown", notFound, "ghost", &skeinv1.GetLogsRequest{Execution: ref}),
		logs("a node that is unknown", notFound, "no such task attempt", &skeinv1.GetLogsRequest{Execution: known, Node: "ghost"}),
		logs("a negative tail", invalid, "^tail_lines: must not be negative", &skeinv1.GetLogsRequest{Execution: known, TailLines: -1}),
	}
}

func newCSR(t *testing.T) string {
	t.Helper()
	key, err := identity.NewKeyPEM()
	must(t, err)
	csr, err := identity.NewCSR(key)
	must(t, err)
	return string(csr)
}

// joins makes the tokens that are to be refused before anything is counted.
func (r *rig) joins(t *testing.T) []row {
	made := func(ttl time.Duration) string {
		a, err := r.clusters.RegisterCluster(t.Context(), &skeinv1.RegisterClusterRequest{Name: "joiner", TokenTtl: durationpb.New(ttl)})
		must(t, err)
		r.tokens = append(r.tokens, a.GetJoinToken())
		return a.GetJoinToken()
	}
	fresh, used, expired := made(time.Hour), made(time.Hour), made(time.Nanosecond)
	_, err := r.road.Join(t.Context(), &skeinv1.JoinRequest{Token: used, Csr: newCSR(t), Instance: "one"})
	must(t, err)
	nobodys, _, err := identity.NewJoinToken()
	must(t, err)
	bad := func(name, want, says, token, csr, instance string) row {
		return row{"join: " + name, want, says, call(r.road.Join, &skeinv1.JoinRequest{Token: token, Csr: csr, Instance: instance})}
	}
	return []row{
		bad("no token", unknown, "token", "", newCSR(t), "two"),
		bad("a token that is none", unknown, "token", "hello", newCSR(t), "two"),
		bad("a token that nobody made", unknown, "token", nobodys, newCSR(t), "two"),
		bad("a token used with another key", forbidden, "token", used, newCSR(t), "one"),
		bad("a token that has expired", unknown, "expired", expired, newCSR(t), "two"),
		bad("a request for a certificate that is none", invalid, "csr", fresh, "hello", "two"),
		bad("an instance that is no name", invalid, "instance", fresh, newCSR(t), "a/b"),
		bad("an instance without a name", invalid, "instance", fresh, newCSR(t), ""),
		bad("an instance with a NUL", invalid, "instance", fresh, newCSR(t), "a\x00b"),
	}
}

// credentials are calls of those who may not: Skein's own API needs the
// operator's token, the road a member's certificate, peers a replica's.
func (r *rig) credentials(t *testing.T) []row {
	var rows []row
	for who, opts := range map[string][]grpc.DialOption{"no token": nil, "another token": {grpc.WithPerRPCCredentials(token("skein-operator-not"))}} {
		conn := r.anonymous(t, opts...)
		rows = append(rows,
			row{"register a cluster: " + who, unknown, "token", call(skeinv1.NewClusterServiceClient(conn).RegisterCluster, &skeinv1.RegisterClusterRequest{Name: "bad"})},
			row{"list clusters: " + who, unknown, "token", call(skeinv1.NewClusterServiceClient(conn).ListClusters, &skeinv1.ListClustersRequest{})},
			row{"explain: " + who, unknown, "token", call(skeinv1.NewPlacementServiceClient(conn).Explain, &skeinv1.ExplainRequest{
				Execution: &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: ended}})},
			row{"beat as a replica: " + who, unknown, "certificate", call(skeinv1.NewPeerServiceClient(conn).Beat, &skeinv1.BeatRequest{Hub: "admin-0"})})
	}
	return append(rows,
		row{"connect as a member: no certificate", unknown, "certificate", func(ctx context.Context) (answer, error) {
			stream, err := r.road.Connect(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			return answered(err)
		}},
		row{"renew as a member: no certificate", unknown, "certificate", call(r.road.Renew, &skeinv1.RenewRequest{Csr: newCSR(t)})},
		row{"send a log as a member: no certificate", unknown, "certificate", func(ctx context.Context) (answer, error) {
			stream, err := r.road.SendLog(ctx)
			if err == nil {
				_, err = stream.CloseAndRecv()
			}
			return answered(err)
		}})
}
