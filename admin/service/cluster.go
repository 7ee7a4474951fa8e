package service

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// How long a join token can be used.
const (
	defaultTokenTTL = time.Hour
	maxTokenTTL     = 24 * time.Hour
)

// clusterServer answers skein.v1.ClusterService.
type clusterServer struct {
	skeinv1.UnimplementedClusterServiceServer
	s *Service
}

// RegisterCluster records a cluster and makes a one-time join token for it.
func (c clusterServer) RegisterCluster(ctx context.Context, req *skeinv1.RegisterClusterRequest) (*skeinv1.RegisterClusterResponse, error) {
	out, err := c.register(ctx, req)
	if err != nil {
		return nil, c.s.refused(ctx, "cluster.register", "cluster/"+req.GetName(), err)
	}
	return out, c.s.record(ctx, "cluster.register", "cluster/"+req.GetName(), "a join token until "+clock(out.GetTokenExpiresAt().AsTime()))
}

func (c clusterServer) register(ctx context.Context, req *skeinv1.RegisterClusterRequest) (*skeinv1.RegisterClusterResponse, error) {
	row, ttl, err := fromRegistration(req)
	if err != nil {
		return nil, err
	}
	row.CreatedAt = c.s.now()
	row.UpdatedAt, row.HealthSince = row.CreatedAt, row.CreatedAt
	for i := range row.Taints {
		row.Taints[i].AddedAt = row.CreatedAt
	}
	err = c.s.deps.Clusters.CreateCluster(ctx, row)
	if fault.Is(err, fault.Conflict) {
		row, err = c.s.deps.Clusters.GetCluster(ctx, row.Name)
	}
	if err != nil {
		return nil, err
	}
	token, expires, err := c.s.deps.Joiner.NewToken(ctx, row.Name, ttl)
	if err != nil {
		return nil, err
	}
	return &skeinv1.RegisterClusterResponse{
		Cluster: toCluster(row, flow.Resources{}), JoinToken: token, TokenExpiresAt: timestamp(expires), Ca: c.s.deps.Joiner.CA(),
	}, nil
}

func fromRegistration(req *skeinv1.RegisterClusterRequest) (flow.Cluster, time.Duration, error) {
	row := flow.Cluster{Name: req.GetName(), Labels: req.GetLabels(), Health: flow.HealthUnknown}
	if !dnsLabel.MatchString(row.Name) { // also if there is none
		return row, 0, fault.Field("name", "%s is not a DNS label (lower-case letters, digits and -, at most 63)", fault.Quote(row.Name))
	}
	if err := checkLabels("labels", row.Labels); err != nil {
		return row, 0, err
	}
	var err error
	if row.Taints, err = taints("taints", req.GetTaints()); err != nil {
		return row, 0, err
	}
	if len(row.Labels) > maxClusterLabels || len(row.Taints) > maxClusterTaints {
		return row, 0, fault.Field("labels", "at most %d labels and %d taints are kept of a cluster", maxClusterLabels, maxClusterTaints)
	}
	ttl := defaultTokenTTL
	if req.GetTokenTtl() != nil {
		ttl = req.GetTokenTtl().AsDuration()
	}
	if ttl <= 0 || ttl > maxTokenTTL {
		return row, 0, fault.Field("token_ttl", "must be above 0 and at most %s, is %s", maxTokenTTL, ttl)
	}
	return row, ttl, nil
}

func (c clusterServer) GetCluster(ctx context.Context, req *skeinv1.GetClusterRequest) (*skeinv1.GetClusterResponse, error) {
	if err := text("name", req.GetName()); err != nil {
		return nil, err
	}
	row, err := c.s.deps.Clusters.GetCluster(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	members, err := c.s.deps.Clusters.ListMembers(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	reserved, err := c.s.reserved(ctx)
	if err != nil {
		return nil, err
	}
	out := &skeinv1.GetClusterResponse{Cluster: toCluster(row, reserved[row.Name])}
	for _, m := range members {
		out.Members = append(out.Members, toMember(m))
	}
	if row.Drain != nil {
		if out.Cluster.Drain, err = c.drainStatus(ctx, row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c clusterServer) ListClusters(ctx context.Context, _ *skeinv1.ListClustersRequest) (*skeinv1.ListClustersResponse, error) {
	rows, err := c.s.deps.Clusters.ListClusters(ctx)
	if err != nil {
		return nil, err
	}
	reserved, err := c.s.reserved(ctx)
	if err != nil {
		return nil, err
	}
	out := &skeinv1.ListClustersResponse{}
	for _, row := range rows {
		out.Clusters = append(out.Clusters, toCluster(row, reserved[row.Name]))
	}
	return out, nil
}

// reserved sums what live placements hold, by cluster.
func (s *Service) reserved(ctx context.Context) (map[string]flow.Resources, error) {
	if s.deps.Reserved == nil {
		return nil, nil
	}
	list, err := s.deps.Reserved.Loads(ctx)
	sums := map[string]flow.Resources{}
	for _, r := range list {
		sums[r.Cluster] = sums[r.Cluster].Add(r.Reservation)
	}
	return sums, err
}

func toCluster(c flow.Cluster, reserved flow.Resources) *skeinv1.Cluster {
	out := &skeinv1.Cluster{
		Name: c.Name, Labels: c.Labels, Incarnation: c.Incarnation, Health: string(c.Health),
		HealthSince: timestamp(c.HealthSince), Capacity: toResources(c.Capacity), LargestNode: toResources(c.LargestNode),
		Reserved: toResources(reserved), TaskTypes: c.TaskTypes, Version: c.Version, CreatedAt: timestamp(c.CreatedAt),
		Cordoned: c.Cordoned, Lost: c.Lost, Architectures: c.Architectures, Accelerators: c.Accelerators, Store: c.Store,
	}
	if d := c.Drain; d != nil {
		out.Drain = &skeinv1.DrainStatus{Budget: int32(d.Budget), By: d.By, Expired: d.Expired, StartedAt: timestamp(d.At), Deadline: timestamp(d.Deadline)}
	}
	for _, t := range c.Taints {
		out.Taints = append(out.Taints, &skeinv1.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect), AddedAt: timestamp(t.AddedAt)})
	}
	return out
}

func toResources(r flow.Resources) *skeinv1.Resources {
	return &skeinv1.Resources{MilliCpu: r.MilliCPU, Memory: r.Memory, Gpus: r.GPUs, Pods: r.Pods}
}
