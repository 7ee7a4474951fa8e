package assemble

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/capi"
)

// registryTimeout bounds one call.
const registryTimeout = 30 * time.Second

// registry is capi.Registry over skein.v1, as any operator would call it.
type registry struct {
	clusters skeinv1.ClusterServiceClient
	hubs     []string
}

func newRegistry(conn grpc.ClientConnInterface, hubs []string) registry {
	return registry{clusters: skeinv1.NewClusterServiceClient(conn), hubs: hubs}
}

// Ensure registers a cluster, or sets the labels and taints that are not so yet.
func (r registry) Ensure(ctx context.Context, x capi.Registration) (capi.State, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	got, err := r.clusters.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: x.Name})
	if status.Code(err) == codes.NotFound {
		// The token of a registration is thrown away: Token makes another one when a
		// member is about to be installed.
		request := &skeinv1.RegisterClusterRequest{Name: x.Name, Labels: x.Labels, Taints: taintsTo(x.Taints)}
		if _, err := r.clusters.RegisterCluster(ctx, request); err != nil {
			return capi.State{}, fromStatus(err)
		}
		return capi.State{Name: x.Name}, nil
	}
	if err != nil {
		return capi.State{}, fromStatus(err)
	}
	change := &skeinv1.UpdateClusterRequest{Name: x.Name, SetLabels: map[string]string{}}
	for k, v := range x.Labels {
		if got.GetCluster().GetLabels()[k] != v {
			change.SetLabels[k] = v
		}
	}
	for _, t := range x.Taints {
		if !slices.ContainsFunc(got.GetCluster().GetTaints(), func(have *skeinv1.Taint) bool {
			return have.GetKey() == t.Key && have.GetValue() == t.Value && have.GetEffect() == string(t.Effect)
		}) {
			change.AddTaints = append(change.AddTaints, taintsTo([]flow.Taint{t})...)
		}
	}
	if len(change.SetLabels)+len(change.AddTaints) > 0 {
		if _, err := r.clusters.UpdateCluster(ctx, change); err != nil {
			return capi.State{}, fromStatus(err)
		}
	}
	return stateOf(got.GetCluster(), got.GetMembers()), nil
}

func stateOf(c *skeinv1.Cluster, members []*skeinv1.Member) capi.State {
	return capi.State{Name: c.GetName(), Joined: len(members) > 0, Healthy: c.GetHealth() == string(flow.HealthHealthy),
		Remaining: c.GetDrain().GetRemaining(), Expired: c.GetDrain().GetExpired()}
}

// Token registers the cluster again, which makes a token and changes nothing.
func (r registry) Token(ctx context.Context, name string) (capi.Join, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	answer, err := r.clusters.RegisterCluster(ctx, &skeinv1.RegisterClusterRequest{Name: name})
	if err != nil {
		return capi.Join{}, fromStatus(err)
	}
	return capi.Join{Cluster: name, Token: answer.GetJoinToken(), Expires: answer.GetTokenExpiresAt().AsTime(), CA: answer.GetCa(), Hubs: r.hubs}, nil
}

// Drain begins a drain, or says how far it is.
func (r registry) Drain(ctx context.Context, name string, d capi.Drain) (capi.State, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	got, err := r.clusters.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: name})
	if err != nil {
		return capi.State{}, fromStatus(err)
	}
	if drain := got.GetCluster().GetDrain(); drain != nil {
		return stateOf(got.GetCluster(), got.GetMembers()), nil
	}
	request := &skeinv1.DrainRequest{Name: name, Budget: d.Budget, Grace: durationpb.New(d.Grace)}
	if d.Deadline > 0 {
		request.Deadline = durationpb.New(d.Deadline)
	}
	answer, err := r.clusters.Drain(ctx, request)
	if err != nil {
		return capi.State{}, fromStatus(err)
	}
	return capi.State{Name: name, Remaining: answer.GetStatus().GetRemaining()}, nil
}

// Remove forgets an empty cluster.
func (r registry) Remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	_, err := r.clusters.RemoveCluster(ctx, &skeinv1.RemoveClusterRequest{Name: name})
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return fromStatus(err)
}

// Managed lists the clusters that were registered by that name.
func (r registry) Managed(ctx context.Context, by string) ([]capi.State, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	answer, err := r.clusters.ListClusters(ctx, &skeinv1.ListClustersRequest{})
	if err != nil {
		return nil, fromStatus(err)
	}
	var out []capi.State
	for _, c := range answer.GetClusters() {
		if c.GetLabels()[capi.LabelManagedBy] == by {
			out = append(out, stateOf(c, nil))
		}
	}
	return out, nil
}

func taintsTo(list []flow.Taint) []*skeinv1.Taint {
	var out []*skeinv1.Taint
	for _, t := range list {
		out = append(out, &skeinv1.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
	}
	return out
}

// fromStatus is a call's error as ours; nil stays nil.
func fromStatus(err error) error {
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.NotFound:
		return fault.Wrap(fault.NotFound, err, "%s", status.Convert(err).Message())
	case codes.InvalidArgument:
		return fault.Wrap(fault.Invalid, err, "%s", status.Convert(err).Message())
	case codes.FailedPrecondition:
		return fault.Wrap(fault.Precondition, err, "%s", status.Convert(err).Message())
	}
	return fault.Wrap(fault.Unavailable, err, "the control plane: %s", status.Convert(err).Message())
}
