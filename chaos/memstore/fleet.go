package memstore

import (
	"cmp"
	"context"
	"slices"
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
		c.Incarnation = max(c.Incarnation, 1)
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
			list = append(list, *m)
		}
		return nil
	})
	return list, err
}

// UpdateCluster is as admin/store's: change sets labels, taints, cordon and
// drain, and may refuse.
func (s *Store) UpdateCluster(ctx context.Context, name string, change func(*flow.Cluster) error, a flow.Audit) (out flow.Cluster, err error) {
	err = s.write(ctx, "UpdateCluster", func(t *tables) error {
		c, err := t.cluster(name)
		if err != nil {
			return err
		}
		n := *c
		if err := change(&n); err != nil {
			return err
		}
		c.Labels, c.Taints, c.Cordoned, c.Drain = n.Labels, n.Taints, n.Cordoned, n.Drain
		c.UpdatedAt = stamp(s.o.Now())
		t.audit = append(t.audit, a)
		out = *c
		return nil
	})
	return out, err
}

// DeclareLost is as admin/store's.
func (s *Store) DeclareLost(ctx context.Context, name string, failPinned bool, a flow.Audit) (out flow.LossReport, err error) {
	err = s.write(ctx, "DeclareLost", func(t *tables) error {
		c, err := t.cluster(name)
		switch {
		case err != nil:
			return err
		case c.Lost:
			return fault.E(fault.Precondition, "cluster %q is declared lost already", name)
		}
		c.Lost = true
		c.Incarnation++
		c.UpdatedAt = stamp(s.o.Now())
		report := flow.LossReport{}
		t.forced = map[string]bool{name: true}
		for _, m := range t.membersOf(name) {
			m.Hub = ""
			if m.LeaseExpiresAt.After(report.LeaseUntil) {
				report.LeaseUntil = m.LeaseExpiresAt
			}
		}
		for _, id := range t.placedOn(name) {
			t.lose(t.runs[id], failPinned, s.o.Now(), &report)
		}
		report.Cluster = *c
		t.audit = append(t.audit, a)
		out = report
		return nil
	})
	return out, err
}

// lose counts one execution of a lost cluster, and ends it where it has to.
func (t *tables) lose(r *run, failPinned bool, at time.Time, report *flow.LossReport) {
	switch {
	case r.e.Desired == flow.DesiredAbort:
		report.Aborting++
		t.leave(r, flow.MoveLost, why(flow.MoveLost, r.e.Cluster), at)
		t.end(r, flow.ExecutionAborted, at)
	case r.e.Failover.Moves(r.e.Moves):
		report.Movable++
	default:
		report.Pinned++
		if failPinned {
			t.leave(r, flow.MoveLost, why(flow.MoveLost, r.e.Cluster), at)
			t.end(r, flow.ExecutionFailed, at)
		}
	}
}

// DeclareFound is as admin/store's.
func (s *Store) DeclareFound(ctx context.Context, name string, a flow.Audit) (out flow.Cluster, err error) {
	err = s.write(ctx, "DeclareFound", func(t *tables) error {
		c, err := t.cluster(name)
		switch {
		case err != nil:
			return err
		case !c.Lost:
			return fault.E(fault.Precondition, "cluster %q is not declared lost", name)
		}
		c.Lost = false
		c.Incarnation++
		c.UpdatedAt = stamp(s.o.Now())
		t.audit = append(t.audit, a)
		out = *c
		return nil
	})
	return out, err
}

// EndDrain is as admin/store's.
func (s *Store) EndDrain(ctx context.Context, f flow.Fence, cluster string, expired bool, at time.Time) (flow.Fence, error) {
	return s.fenced(ctx, "EndDrain", f, 0, func(t *tables) error {
		c, err := t.cluster(cluster)
		if err != nil || c.Drain == nil {
			return nil
		}
		if expired {
			d := *c.Drain
			d.Expired = true
			c.Drain = &d
		} else {
			c.Drain = nil
		}
		c.UpdatedAt = stamp(at)
		return nil
	})
}

// SetRevoked is as admin/store's.
func (s *Store) SetRevoked(ctx context.Context, member flow.Member, revoked bool, a flow.Audit) (out []flow.MemberState, err error) {
	err = s.write(ctx, "SetRevoked", func(t *tables) error {
		m := t.members[member]
		if m == nil {
			return fault.E(fault.NotFound, "member %s does not exist", member)
		}
		m.Revoked = revoked
		t.audit = append(t.audit, a)
		out = []flow.MemberState{*m}
		return nil
	})
	return out, err
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
			if !ok || r.Generation != m.Generation || m.Hub == "" || m.Revoked || t.clusters[m.Cluster].Lost {
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

// SetHealth is as admin/store's.
func (s *Store) SetHealth(ctx context.Context, f flow.Fence, changes []flow.HealthChange) (flow.Fence, error) {
	return s.fenced(ctx, "SetHealth", f, 0, func(t *tables) error {
		for _, h := range changes {
			if c := t.clusters[h.Cluster]; c != nil && c.Health != h.Health {
				c.Health, c.HealthSince, c.UpdatedAt = h.Health, stamp(h.At), stamp(h.At)
			}
		}
		return nil
	})
}

// Audit lists what was audited, oldest first.
func (s *Store) Audit() []flow.Audit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.t.audit)
}
