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

const (
	// registryTimeout bounds one call.
	registryTimeout = 30 * time.Second
	// lastWords is how long after a cluster's removal its members' sessions may still
	// be noted as ended.
	lastWords = time.Minute
)

// registry is capi.Registry over skein.v1, as any operator would call it. What
// it has to remember of a data plane is in that one's labels.
type registry struct {
	clusters skeinv1.ClusterServiceClient
	hubs     []string
	now      func() time.Time
}

func newRegistry(conn grpc.ClientConnInterface, hubs []string) registry {
	return registry{clusters: skeinv1.NewClusterServiceClient(conn), hubs: hubs, now: time.Now}
}

// Ensure registers a cluster, or sets the labels and taints that are not so yet.
func (r registry) Ensure(ctx context.Context, x capi.Registration) (capi.State, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	got, err := r.get(ctx, x.Name, x.Owner)
	if fault.Is(err, fault.NotFound) {
		// The token of a registration is thrown away: Token makes another one when a
		// member is about to be installed.
		answer, err := r.register(ctx, x)
		return stateOf(answer.GetCluster(), nil), err
	}
	if err != nil {
		return capi.State{}, err
	}
	if change := changeTo(got.GetCluster(), x); change != nil {
		if _, err := r.clusters.UpdateCluster(ctx, change); err != nil {
			return capi.State{}, fromStatus(err)
		}
	}
	state := stateOf(got.GetCluster(), got.GetMembers())
	state.Leaving = time.Time{}
	return state, nil
}

// get reads a cluster, if it is the owner's.
func (r registry) get(ctx context.Context, name string, o capi.Owner) (*skeinv1.GetClusterResponse, error) {
	got, err := r.clusters.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: name})
	if err != nil {
		return nil, fromStatus(err)
	}
	return got, o.Check(name, got.GetCluster().GetLabels())
}

// register makes a token, and the cluster if there is none; one that another has
// registered meanwhile stays as it is.
func (r registry) register(ctx context.Context, x capi.Registration) (*skeinv1.RegisterClusterResponse, error) {
	answer, err := r.clusters.RegisterCluster(ctx, &skeinv1.RegisterClusterRequest{Name: x.Name, Labels: x.Labels, Taints: taintsTo(x.Taints)})
	if err != nil {
		return nil, fromStatus(err)
	}
	return answer, x.Owner.Check(x.Name, answer.GetCluster().GetLabels())
}

// changeTo is what makes a cluster what it is to be; nil: nothing.
func changeTo(c *skeinv1.Cluster, x capi.Registration) *skeinv1.UpdateClusterRequest {
	change := &skeinv1.UpdateClusterRequest{Name: x.Name, SetLabels: map[string]string{}}
	for k, v := range x.Labels {
		if c.GetLabels()[k] != v {
			change.SetLabels[k] = v
		}
	}
	if _, leaving := c.GetLabels()[capi.LabelLeaving]; leaving {
		change.RemoveLabels = []string{capi.LabelLeaving}
	}
	for _, t := range x.Taints {
		if !slices.ContainsFunc(c.GetTaints(), func(have *skeinv1.Taint) bool {
			return have.GetKey() == t.Key && have.GetValue() == t.Value && have.GetEffect() == string(t.Effect)
		}) {
			change.AddTaints = append(change.AddTaints, taintsTo([]flow.Taint{t})...)
		}
	}
	if len(change.SetLabels)+len(change.RemoveLabels)+len(change.AddTaints) == 0 {
		return nil
	}
	return change
}

func stateOf(c *skeinv1.Cluster, members []*skeinv1.Member) capi.State {
	return capi.State{Name: c.GetName(), Owner: capi.OwnerIn(c.GetLabels()), Seen: seenSince(c.GetCreatedAt().AsTime(), members),
		Healthy: c.GetHealth() == string(flow.HealthHealthy), Lost: c.GetLost(), Leaving: capi.LeavingIn(c.GetLabels()),
		Remaining: c.GetDrain().GetRemaining(), Pinned: c.GetDrain().GetPinned(), Expired: c.GetDrain().GetExpired()}
}

// seenSince is when a member was last heard of, if that was since registration:
// the rows of members outlive the cluster that is removed, and say nothing of one
// that gets its name. A member that has joined is heard of all the time.
func seenSince(registered time.Time, members []*skeinv1.Member) (last time.Time) {
	for _, m := range members {
		seen := m.GetLastSeenAt().AsTime() // long ago if there is none
		if seen.After(registered.Add(lastWords)) && seen.After(last) {
			last = seen
		}
	}
	return last
}

// Token registers the cluster again, which makes a token and changes nothing.
func (r registry) Token(ctx context.Context, x capi.Registration) (capi.Join, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	answer, err := r.register(ctx, x)
	if err != nil {
		return capi.Join{}, err
	}
	return capi.Join{Cluster: x.Name, Token: answer.GetJoinToken(), Expires: answer.GetTokenExpiresAt().AsTime(), CA: answer.GetCa(), Hubs: r.hubs}, nil
}

// Drain orders a drain, or says how far it is.
func (r registry) Drain(ctx context.Context, name string, o capi.Owner, d capi.Drain) (capi.State, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	got, err := r.get(ctx, name, o)
	if err != nil {
		return capi.State{}, err
	}
	state, drain := stateOf(got.GetCluster(), got.GetMembers()), got.GetCluster().GetDrain()
	first := state.Leaving.IsZero()
	if first {
		state.Leaving = r.now()
	}
	switch {
	case state.Lost:
		err = r.lost(ctx, &state, d)
	case first || drain == nil:
		err = r.order(ctx, &state, d)
	}
	if err == nil && first {
		// Only now: a mark without an order would take somebody else's drain for ours.
		labels := o.Labels()
		labels[capi.LabelLeaving] = capi.Leaving(state.Leaving)
		_, err = r.clusters.UpdateCluster(ctx, &skeinv1.UpdateClusterRequest{Name: name, SetLabels: labels})
		err = fromStatus(err)
	}
	return state, err
}

// order begins a drain in place of any other.
func (r registry) order(ctx context.Context, state *capi.State, d capi.Drain) error {
	request := &skeinv1.DrainRequest{Name: state.Name, Budget: d.Budget, Grace: durationpb.New(d.Grace)}
	if d.Deadline > 0 { // 0 would be refused
		request.Deadline = durationpb.New(max(state.Leaving.Add(d.Deadline).Sub(r.now()), time.Second))
	}
	answer, err := r.clusters.Drain(ctx, request)
	if err != nil {
		return fromStatus(err)
	}
	now := answer.GetStatus()
	state.Remaining, state.Pinned, state.Expired = now.GetRemaining(), now.GetPinned(), now.GetExpired()
	return nil
}

// lost counts what a lost cluster holds, by asking what it would do to declare it
// lost once more; and since no drain can expire there, the deadline is ours.
func (r registry) lost(ctx context.Context, state *capi.State, d capi.Drain) error {
	report, err := r.clusters.DeclareLost(ctx, &skeinv1.DeclareLostRequest{Name: state.Name, FailPinned: true, DryRun: true})
	if err != nil {
		return fromStatus(err)
	}
	state.Pinned = report.GetPinned()
	state.Remaining = report.GetMovable() + report.GetPinned() + report.GetAborting()
	state.Expired = d.Deadline > 0 && !r.now().Before(state.Leaving.Add(d.Deadline))
	return nil
}

// Remove forgets an empty cluster.
func (r registry) Remove(ctx context.Context, name string, o capi.Owner) error {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	_, err := r.get(ctx, name, o)
	if err == nil {
		_, err = r.clusters.RemoveCluster(ctx, &skeinv1.RemoveClusterRequest{Name: name})
		err = fromStatus(err)
	}
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
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
