package memstore

import (
	"cmp"
	"context"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// CreateCluster is as admin/store's.
func (s *Store) CreateCluster(ctx context.Context, c flow.Cluster) error {
	return s.write(ctx, "CreateCluster", func(t *tables) error {
		if t.clusters[c.Name] != nil {
			return fault.E(fault.Conflict, "cluster %q exists already", c.Name)
		}
		if c.CreatedAt.IsZero() {
			c.CreatedAt = s.o.Now()
		}
		c.CreatedAt, c.UpdatedAt, c.HealthSince = stamp(c.CreatedAt), stamp(c.CreatedAt), stamp(c.CreatedAt)
		c.Incarnation = max(c.Incarnation, 1, t.removed[c.Name]+1)
		c.Health = cmp.Or(c.Health, flow.HealthUnknown)
		t.clusters[c.Name] = &c
		return nil
	})
}

func (t *tables) cluster(name string) (*flow.Cluster, error) {
	c := t.clusters[name]
	if c == nil {
		return nil, fault.E(fault.NotFound, "cluster %q does not exist", name)
	}
	return c, nil
}

// GetCluster is as admin/store's.
func (s *Store) GetCluster(ctx context.Context, name string) (out flow.Cluster, err error) {
	err = s.read(ctx, "GetCluster", func(t *tables) error {
		c, err := t.cluster(name)
		if err == nil {
			out = *c
		}
		return err
	})
	return out, err
}

// ListClusters is as admin/store's.
func (s *Store) ListClusters(ctx context.Context) (list []flow.Cluster, err error) {
	err = s.read(ctx, "ListClusters", func(t *tables) error {
		for _, name := range t.clusterNames() {
			list = append(list, *t.clusters[name])
		}
		return nil
	})
	return list, err
}

// ListMembers is as admin/store's.
func (s *Store) ListMembers(ctx context.Context, cluster string) (list []flow.MemberState, err error) {
	err = s.read(ctx, "ListMembers", func(t *tables) error {
		for _, m := range t.membersOf(cluster) {
			if t.clusters[m.Cluster] != nil {
				list = append(list, *m)
			}
		}
		return nil
	})
	return list, err
}

// RecordLeases is as admin/store's.
func (s *Store) RecordLeases(ctx context.Context, f flow.Fence, requests []flow.LeaseRequest, d time.Duration, at time.Time) (flow.Fence, []flow.Lease, error) {
	var leases []flow.Lease
	next, err := s.fenced(ctx, "RecordLeases", f, d, func(t *tables) error {
		asked := map[flow.Member]flow.LeaseRequest{}
		for _, r := range requests {
			if known, ok := asked[r.Member]; !ok || known.Generation <= r.Generation {
				asked[r.Member] = r
			}
		}
		var granted []flow.Lease
		for _, m := range t.membersOf("") {
			r, ok := asked[m.Member]
			if !ok || r.Generation != m.Generation || m.Hub == "" || m.Revoked || !t.admits(r.Sender) {
				continue
			}
			m.LeaseGeneration, m.LeaseDuration = r.Generation, d
			m.LeaseExpiresAt, m.LeaseRecordedAt = stamp(at.Add(d)), stamp(at)
			granted = append(granted, flow.Lease{Sender: r.Sender, Nonce: r.Nonce, Duration: d, OwnershipRevision: m.OwnershipRevision})
		}
		leases = granted
		return nil
	})
	if err != nil {
		return next, nil, err
	}
	return next, leases, nil
}

// admits reports whether a cluster owns anything at its sender's incarnation.
func (t *tables) admits(s flow.Sender) bool {
	c := t.clusters[s.Cluster]
	return c != nil && !c.Lost && c.Incarnation == s.Incarnation
}

// SetHealth is as admin/store's.
func (s *Store) SetHealth(ctx context.Context, f flow.Fence, changes []flow.HealthChange) (flow.Fence, error) {
	return s.fenced(ctx, "SetHealth", f, 0, func(t *tables) error {
		for _, h := range changes {
			if c := t.clusters[h.Cluster]; c != nil && c.Health != h.Health && (!c.Lost || h.Health == flow.HealthLost) {
				c.Health, c.HealthSince, c.UpdatedAt = h.Health, stamp(h.At), stamp(h.At)
			}
		}
		return nil
	})
}
