package service

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// The limits of what is said of one cluster.
const (
	maxClusterLabels = 64
	maxClusterTaints = 32
)

// UpdateCluster changes labels and taints.
func (c clusterServer) UpdateCluster(ctx context.Context, req *skeinv1.UpdateClusterRequest) (*skeinv1.UpdateClusterResponse, error) {
	change, detail, err := c.changeOf(req)
	if err != nil {
		return nil, c.s.refused(ctx, "cluster.update", "cluster/"+req.GetName(), err)
	}
	row, err := c.update(ctx, "cluster.update", req.GetName(), detail, change)
	if err != nil {
		return nil, err
	}
	out, err := c.message(ctx, row)
	return &skeinv1.UpdateClusterResponse{Cluster: out}, err
}

// update makes one audited change of a cluster, and wakes the scheduler.
func (c clusterServer) update(ctx context.Context, action, name, detail string, change func(*flow.Cluster) error) (flow.Cluster, error) {
	subject := "cluster/" + name
	if err := clusterName("name", name); err != nil {
		return flow.Cluster{}, c.s.refused(ctx, action, subject, err)
	}
	row, err := c.s.deps.Fleet.UpdateCluster(ctx, name, func(row *flow.Cluster) error {
		if err := change(row); err != nil {
			return err
		}
		row.UpdatedAt = c.s.now()
		return nil
	}, c.s.audit(ctx, action, subject, detail))
	if err != nil {
		return row, c.s.refused(ctx, action, subject, noCluster(err, name))
	}
	c.s.deps.Nudge()
	return row, nil
}

// changeOf reads what UpdateCluster is to do, and says it for the audit.
func (c clusterServer) changeOf(req *skeinv1.UpdateClusterRequest) (func(*flow.Cluster) error, string, error) {
	if err := checkLabels("set_labels", req.GetSetLabels()); err != nil {
		return nil, "", err
	}
	added, err := taints("add_taints", req.GetAddTaints())
	if err != nil {
		return nil, "", err
	}
	for _, t := range req.GetRemoveTaints() {
		if t.GetKey() == "" || t.GetEffect() != "" && !knownEffect(flow.TaintEffect(t.GetEffect())) {
			return nil, "", fault.Field("remove_taints", "wants a key and, unless all its effects are meant, NoSchedule, PreferNoSchedule or NoExecute")
		}
	}
	if len(req.GetSetLabels())+len(req.GetRemoveLabels())+len(added)+len(req.GetRemoveTaints()) == 0 {
		return nil, "", fault.Field("set_labels", "nothing is to be changed: set set_labels, remove_labels, add_taints or remove_taints")
	}
	now := c.s.now()
	return func(row *flow.Cluster) error {
		row.Labels = relabelled(row.Labels, req.GetSetLabels(), req.GetRemoveLabels())
		row.Taints = retainted(row.Taints, added, req.GetRemoveTaints(), now)
		if len(row.Labels) > maxClusterLabels {
			return fault.Field("set_labels", "the cluster would have %d labels, at most %d are kept", len(row.Labels), maxClusterLabels)
		}
		if len(row.Taints) > maxClusterTaints {
			return fault.Field("add_taints", "the cluster would have %d taints, at most %d are kept", len(row.Taints), maxClusterTaints)
		}
		return nil
	}, updateDetail(req), nil
}

func relabelled(old, set map[string]string, remove []string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, old)
	for _, key := range remove {
		delete(out, key)
	}
	maps.Copy(out, set)
	return out
}

// retainted lays new taints over old ones. A taint that is there already keeps
// its age: tolerations with seconds count from it.
func retainted(old, added []flow.Taint, removed []*skeinv1.Taint, now time.Time) []flow.Taint {
	out := slices.DeleteFunc(slices.Clone(old), func(t flow.Taint) bool {
		return slices.ContainsFunc(removed, func(r *skeinv1.Taint) bool {
			return r.GetKey() == t.Key && (r.GetEffect() == "" || r.GetEffect() == string(t.Effect))
		})
	})
	for _, t := range added {
		t.AddedAt = now
		i := slices.IndexFunc(out, func(o flow.Taint) bool { return o.Key == t.Key && o.Effect == t.Effect })
		switch {
		case i < 0:
			out = append(out, t)
		case out[i].Value != t.Value:
			out[i] = t
		}
	}
	return out
}

func updateDetail(req *skeinv1.UpdateClusterRequest) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(req.GetSetLabels())) {
		parts = append(parts, "label "+k+"="+req.GetSetLabels()[k])
	}
	for _, k := range req.GetRemoveLabels() {
		parts = append(parts, "no label "+kept(k))
	}
	for _, t := range req.GetAddTaints() {
		parts = append(parts, fmt.Sprintf("taint %s=%s:%s", t.GetKey(), t.GetValue(), t.GetEffect()))
	}
	for _, t := range req.GetRemoveTaints() {
		parts = append(parts, fmt.Sprintf("no taint %s:%s", kept(t.GetKey()), t.GetEffect()))
	}
	return strings.Join(parts, ", ")
}

// Cordon keeps new work off a cluster, or lets it on again.
func (c clusterServer) Cordon(ctx context.Context, req *skeinv1.CordonRequest) (*skeinv1.CordonResponse, error) {
	action := "cluster.uncordon"
	if req.GetCordoned() {
		action = "cluster.cordon"
	}
	row, err := c.update(ctx, action, req.GetName(), "", func(row *flow.Cluster) error {
		if row.Drain != nil && !req.GetCordoned() {
			return fault.E(fault.Precondition, "cluster %s is being drained; stop that first: skein cluster drain %s --stop", row.Name, row.Name)
		}
		row.Cordoned = req.GetCordoned()
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, err := c.message(ctx, row)
	return &skeinv1.CordonResponse{Cluster: out}, err
}

// RemoveCluster forgets a cluster that holds no executions.
func (c clusterServer) RemoveCluster(ctx context.Context, req *skeinv1.RemoveClusterRequest) (*skeinv1.RemoveClusterResponse, error) {
	subject := "cluster/" + req.GetName()
	err := clusterName("name", req.GetName())
	if err == nil {
		err = noCluster(c.s.deps.Fleet.RemoveCluster(ctx, req.GetName(), c.s.audit(ctx, "cluster.remove", subject, "")), req.GetName())
	}
	if err != nil {
		return nil, c.s.refused(ctx, "cluster.remove", subject, err)
	}
	return &skeinv1.RemoveClusterResponse{}, nil
}

// RevokeMember ends a member's sessions and refuses its certificate.
func (c clusterServer) RevokeMember(ctx context.Context, req *skeinv1.RevokeMemberRequest) (*skeinv1.RevokeMemberResponse, error) {
	action := "member.revoke"
	if req.GetRestore() {
		action = "member.restore"
	}
	subject := "member/" + flow.Member{Cluster: req.GetCluster(), Instance: req.GetInstance()}.String()
	members, err := c.revoke(ctx, req, c.s.audit(ctx, action, subject, ""))
	if err != nil {
		return nil, c.s.refused(ctx, action, subject, err)
	}
	out := &skeinv1.RevokeMemberResponse{}
	for _, m := range members {
		out.Members = append(out.Members, toMember(m))
	}
	return out, nil
}

func (c clusterServer) revoke(ctx context.Context, req *skeinv1.RevokeMemberRequest, a flow.Audit) ([]flow.MemberState, error) {
	if err := clusterName("cluster", req.GetCluster()); err != nil {
		return nil, err
	}
	if req.GetInstance() != "" && !dnsLabel.MatchString(req.GetInstance()) {
		return nil, fault.Field("instance", "%s cannot name a member; skein cluster describe %s shows them", fault.Quote(req.GetInstance()), req.GetCluster())
	}
	if _, err := c.s.deps.Clusters.GetCluster(ctx, req.GetCluster()); err != nil {
		return nil, noCluster(err, req.GetCluster())
	}
	members, err := c.s.deps.Fleet.SetRevoked(ctx, flow.Member{Cluster: req.GetCluster(), Instance: req.GetInstance()}, !req.GetRestore(), a)
	return members, err
}

func toMember(m flow.MemberState) *skeinv1.Member {
	return &skeinv1.Member{
		Instance: m.Instance, Generation: m.Generation, Hub: m.Hub, OwnershipRevision: m.OwnershipRevision,
		LeaseExpiresAt: timestamp(m.LeaseExpiresAt), LastSeenAt: timestamp(m.LastSeenAt), Revoked: m.Revoked, Version: m.Version,
	}
}

// message is a cluster as it is shown, with what it holds now.
func (c clusterServer) message(ctx context.Context, row flow.Cluster) (*skeinv1.Cluster, error) {
	reserved, err := c.s.reserved(ctx)
	return toCluster(row, reserved[row.Name]), err
}

func taints(field string, list []*skeinv1.Taint) ([]flow.Taint, error) {
	var out []flow.Taint
	for _, t := range list {
		taint := flow.Taint{Key: t.GetKey(), Value: t.GetValue(), Effect: flow.TaintEffect(t.GetEffect())}
		if err := checkLabels(field, map[string]string{taint.Key: taint.Value}); err != nil {
			return nil, err
		}
		if !knownEffect(taint.Effect) {
			return nil, fault.Field(field, "effect %s is not NoSchedule, PreferNoSchedule or NoExecute", fault.Quote(t.GetEffect()))
		}
		out = append(out, taint)
	}
	return out, nil
}

func clusterName(field, name string) error {
	if name == "" {
		return fault.Field(field, "must be set")
	}
	if !dnsLabel.MatchString(name) {
		return fault.Field(field, "%s is not a DNS label (lower-case letters, digits and -, at most 63)", fault.Quote(name))
	}
	return nil
}

// noCluster tells the way out where a cluster does not exist.
func noCluster(err error, name string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.E(fault.NotFound, "%s; skein cluster list shows all clusters", strings.TrimSuffix(public(err), "."))
	}
	return err
}

// instant checks a time that may be left out.
func instant(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, fault.Field(field, "is no time: %s", err.Error())
	}
	return t.AsTime(), nil
}

// optional checks a name that may be left out.
func optional(field, value string) error {
	if value == "" {
		return nil
	}
	return text(field, value)
}
