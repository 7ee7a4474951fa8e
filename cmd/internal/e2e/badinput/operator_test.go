package badinput

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/flyteidl/admin"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/local"
)

var precondition = codes.FailedPrecondition.String()

// annotations are launches that say wrongly how they are to be placed and moved.
func (r *rig) annotations(*testing.T) []row {
	bad := func(name, key, value, says string) row {
		return row{"launch: " + name, invalid, `^spec.annotations: skein.dev/` + says, call(r.admin.CreateExecution, launch(func(q *admin.ExecutionCreateRequest) {
			q.Spec.Annotations = &admin.Annotations{Values: map[string]string{"skein.dev/" + key: value}}
		}))}
	}
	return []row{
		bad("a failover mode that is none", "failover", "later", `failover: "later" is not resume, restart or never`),
		bad("strict that is neither", "strict", "yes", `strict: "yes" is not true or false`),
		bad("no moves at all", "max-moves", "0", `max-moves: "0" is not a whole number from 1 to 1000; failover=never`),
		bad("a class that nobody named", "priority-class", "urgent", `priority-class: no class "urgent" holds for flytesnacks/development: known are high, low, medium`),
		bad("a preference that is no selector", "prefer", "region in (eu", `prefer: "region in \(eu" is not a label selector`),
		bad("a preference of no weight", "prefer", "region=eu:0", `prefer: weight "0"`),
		bad("tolerations that are no JSON", "tolerations", "gpu", `tolerations: "gpu" is not a JSON list`),
		bad("a toleration with an unknown field", "tolerations", `[{"kay":"a"}]`, `tolerations: .*not a JSON list`),
		bad("a group that is no name", "group", "a b", `group: "a b" is not a name`),
		bad("a group to be near that is none", "near", "a,,b", `near: "" is not a name`),
		bad("a group to be apart from of a megabyte", "apart", strings.Repeat("x", 200_000), `apart: .*63`),
		bad("a version that is none", "min-version", "new", `min-version: "new" is not a version`),
		{"launch: a skein annotation that is unknown", invalid, `^spec.annotations: "skein.dev/failovr" is not a key that is known`,
			call(r.admin.CreateExecution, launch(func(q *admin.ExecutionCreateRequest) {
				q.Spec.Annotations = &admin.Annotations{Values: map[string]string{"skein.dev/failovr": "never"}}
			}))},
		{"launch: a skein label that is wrong", invalid, `^spec.labels: skein.dev/failover: "x"`,
			call(r.admin.CreateExecution, launch(func(q *admin.ExecutionCreateRequest) { q.Spec.Labels = labels("skein.dev/failover", "x") }))},
		{"launch: strict and never", invalid, `^spec.annotations: skein.dev/strict: .*choose one`,
			call(r.admin.CreateExecution, launch(func(q *admin.ExecutionCreateRequest) {
				q.Spec.Annotations = &admin.Annotations{Values: map[string]string{"skein.dev/failover": "never", "skein.dev/strict": "true"}}
			}))},
	}
}

// fleet are orders about clusters that cannot be carried out.
func (r *rig) fleet(*testing.T) []row {
	const unknownCluster = "nowhere"
	minute := durationpb.New(time.Minute)
	return []row{
		{"update a cluster: nothing to change", invalid, "^set_labels: nothing", call(r.clusters.UpdateCluster, &skeinv1.UpdateClusterRequest{Name: "eu-1"})},
		{"update a cluster: an odd label", invalid, "^set_labels: key", call(r.clusters.UpdateCluster, &skeinv1.UpdateClusterRequest{Name: "eu-1", SetLabels: map[string]string{"a b": ""}})},
		{"update a cluster: an odd effect", invalid, "^add_taints: effect", call(r.clusters.UpdateCluster, &skeinv1.UpdateClusterRequest{Name: "eu-1", AddTaints: []*skeinv1.Taint{{Key: "a", Effect: "Soon"}}})},
		{"update a cluster: one that is unknown", notFound, "nowhere.*skein cluster list", call(r.clusters.UpdateCluster, &skeinv1.UpdateClusterRequest{Name: unknownCluster, RemoveLabels: []string{"a"}})},
		{"cordon: no name", invalid, "^name: must be set", call(r.clusters.Cordon, &skeinv1.CordonRequest{Cordoned: true})},
		{"cordon: a cluster that is unknown", notFound, "nowhere", call(r.clusters.Cordon, &skeinv1.CordonRequest{Name: unknownCluster})},
		{"drain: a cluster that is unknown", notFound, "nowhere", call(r.clusters.Drain, &skeinv1.DrainRequest{Name: unknownCluster})},
		{"drain: a budget of less than nothing", invalid, "^budget", call(r.clusters.Drain, &skeinv1.DrainRequest{Name: "eu-1", Budget: -1})},
		{"drain: a deadline in a year", invalid, "^deadline", call(r.clusters.Drain, &skeinv1.DrainRequest{Name: "eu-1", Deadline: durationpb.New(365 * 24 * time.Hour)})},
		{"drain: a negative grace", invalid, "^grace", call(r.clusters.Drain, &skeinv1.DrainRequest{Name: "eu-1", Grace: durationpb.New(-time.Second)})},
		{"drain: stop with a grace", invalid, "^stop", call(r.clusters.Drain, &skeinv1.DrainRequest{Name: "eu-1", Stop: true, Grace: minute})},
		{"drain: stop what was not begun", precondition, "not being drained", call(r.clusters.Drain, &skeinv1.DrainRequest{Name: r.anyCluster(), Stop: true})},
		{"watch a drain: none is under way", precondition, "not being drained", func(ctx context.Context) (answer, error) {
			stream, err := r.clusters.WatchDrain(ctx, &skeinv1.WatchDrainRequest{Name: r.anyCluster()})
			if err == nil {
				_, err = stream.Recv()
			}
			return answered(err)
		}},
		{"declare lost: a cluster that is unknown", notFound, "nowhere", call(r.clusters.DeclareLost, &skeinv1.DeclareLostRequest{Name: unknownCluster})},
		{"declare lost: no name", invalid, "^name", call(r.clusters.DeclareLost, &skeinv1.DeclareLostRequest{DryRun: true})},
		{"declare found: a cluster that is not lost", precondition, "not declared lost", call(r.clusters.DeclareFound, &skeinv1.DeclareFoundRequest{Name: r.anyCluster()})},
		{"remove a cluster: one that is unknown", notFound, "nowhere", call(r.clusters.RemoveCluster, &skeinv1.RemoveClusterRequest{Name: unknownCluster})},
		{"remove a cluster: an odd name", invalid, "^name", call(r.clusters.RemoveCluster, &skeinv1.RemoveClusterRequest{Name: "a\x00b"})},
		{"revoke a member: of a cluster that is unknown", notFound, "nowhere", call(r.clusters.RevokeMember, &skeinv1.RevokeMemberRequest{Cluster: unknownCluster, Instance: "a"})},
		{"revoke a member: an odd name", invalid, "^instance", call(r.clusters.RevokeMember, &skeinv1.RevokeMemberRequest{Cluster: "eu-1", Instance: "a/b"})},
		{"list the audit: more than there is room for", invalid, "^limit", call(r.clusters.ListAudit, &skeinv1.ListAuditRequest{Limit: 5000})},
		{"list the audit: a subject with a NUL", invalid, "^subject", call(r.clusters.ListAudit, &skeinv1.ListAuditRequest{Subject: "a\x00b"})},
		{"what if: nothing", invalid, "^lose: nothing would differ", call(r.placed.WhatIf, &skeinv1.WhatIfRequest{})},
		{"what if: a cluster that is unknown", invalid, `^lose: no cluster "nowhere"`, call(r.placed.WhatIf, &skeinv1.WhatIfRequest{Lose: []string{unknownCluster}})},
		{"what if: a cluster of nothing", invalid, "^add.capacity", call(r.placed.WhatIf, &skeinv1.WhatIfRequest{Add: []*skeinv1.ClusterSketch{{Name: "new"}}})},
		{"what if: a policy that is none", invalid, "^policies: document", call(r.placed.WhatIf, &skeinv1.WhatIfRequest{Policies: []string{"scope: moon"}})},
		{"replay: a negative number", invalid, "^limit", call(r.placed.Replay, &skeinv1.ReplayRequest{Limit: -1})},
	}
}

func (r *rig) anyCluster() string { return local.ThreeRegions()[0].Name }

// declarations are policies and changes of the control plane that are refused.
func (r *rig) declarations(*testing.T) []row {
	apply := func(name, says, document string) row {
		return row{"apply a policy: " + name, invalid, says, call(r.policies.ApplyPolicy, &skeinv1.ApplyPolicyRequest{Document: document})}
	}
	return []row{
		apply("nothing", "^document: is empty", ""),
		apply("no YAML", "^document: is neither YAML nor JSON", "scope: ["),
		apply("a scope that is none", `^document: scope \(line 1\): "moon" is not a scope`, "scope: moon"),
		apply("fields that are unknown", `^document: rule \(line 2\): is not a field here; .*rules.pool \(line 4\)`, "scope: system\nrule: {}\nrules:\n  pool: {}"),
		apply("a selector that is none", `^document: rules.requiredSelector \(line 2\)`, "scope: system\nrules: {requiredSelector: 'a in ('}"),
		apply("a share of a domain", `^document: share \(line 2\): only projects`, "scope: domain/development\nshare: {weight: 2}"),
		apply("a hundred kilobytes", "^document: .*65536", "scope: system\n#"+strings.Repeat("x", 100_000)),
		apply("a bomb of aliases", "^document: ", "scope: &a system\nrules: {pools: {a: *a, b: *a}}"),
		{"apply a policy: on top of a version that is not there", codes.Aborted.String(), "^expected_version", call(r.policies.ApplyPolicy, &skeinv1.ApplyPolicyRequest{Document: "scope: system", ExpectedVersion: 7})},
		{"get a policy: no scope", invalid, "^scope", call(r.policies.GetPolicy, &skeinv1.GetPolicyRequest{})},
		{"get a policy: one that is unknown", notFound, "skein policy list", call(r.policies.GetPolicy, &skeinv1.GetPolicyRequest{Scope: "domain/moon"})},
		{"list policies: of a scope that is none", invalid, "^scope", call(r.policies.ListPolicies, &skeinv1.ListPoliciesRequest{Scope: "moon"})},
		{"delete a policy: one that is unknown", notFound, "no policy holds", call(r.policies.DeletePolicy, &skeinv1.DeletePolicyRequest{Scope: "domain/moon"})},
		{"delete a policy: no scope", invalid, "^scope", call(r.policies.DeletePolicy, &skeinv1.DeletePolicyRequest{})},
		{"add a replica: no port", invalid, "^address", call(r.plane.AddReplica, &skeinv1.AddReplicaRequest{Id: "admin-9", Address: "localhost"})},
		{"add a replica: an odd name", invalid, "^id", call(r.plane.AddReplica, &skeinv1.AddReplicaRequest{Id: "A b", Address: "localhost:1"})},
		{"add a replica: nobody is there", precondition, "^replica admin-9 has not said .* start it first", call(r.plane.AddReplica, &skeinv1.AddReplicaRequest{Id: "admin-9", Address: "127.0.0.1:1"})},
		{"remove a replica: one that is unknown", notFound, "admin-9", call(r.plane.RemoveReplica, &skeinv1.RemoveReplicaRequest{Id: "admin-9"})},
		{"hand over the leadership: to an odd name", invalid, "^to", call(r.plane.TransferLeadership, &skeinv1.TransferLeadershipRequest{To: "A b"})},
		{"hand over the leadership: nobody else is there", precondition, "no other replica", call(r.plane.TransferLeadership, &skeinv1.TransferLeadershipRequest{})},
		{"overrule a doubt: there is none", precondition, "not in doubt", call(r.plane.OverruleDoubt, &skeinv1.OverruleDoubtRequest{})},
		{"finish a rebuild: there is none", precondition, "no REBUILD", call(r.plane.FinishRebuild, &skeinv1.FinishRebuildRequest{})},
	}
}
