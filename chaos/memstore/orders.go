package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// log writes a line of the audit; one whose ID exists is there already.
func (t *tables) log(a flow.Audit, subject string, now time.Time) time.Time {
	a.Subject = cmp.Or(a.Subject, subject)
	if a.At.IsZero() {
		a.At = now
	}
	a.At = stamp(a.At)
	if a.ID == "" {
		t.lines++
		a.ID = fmt.Sprintf("line-%09d", t.lines)
	}
	if !slices.ContainsFunc(t.audit, func(o flow.Audit) bool { return o.ID == a.ID }) {
		t.audit = append(t.audit, a)
	}
	return a.At
}

// UpdateCluster is as admin/store's.
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
		at := t.log(a, "cluster/"+name, s.o.Now())
		c.Labels, c.Taints, c.Cordoned, c.Drain = n.Labels, dated(n.Taints, c.Taints, at), n.Cordoned, n.Drain
		c.UpdatedAt = at
		out = *c
		return nil
	})
	return out, err
}

// dated gives taints that have no date that of the same taint before, or now's.
func dated(taints, before []flow.Taint, now time.Time) []flow.Taint {
	var list []flow.Taint
	for _, x := range taints {
		if x.AddedAt.IsZero() {
			x.AddedAt = now
			for _, old := range before {
				if old.Key == x.Key && old.Value == x.Value && old.Effect == x.Effect && !old.AddedAt.IsZero() {
					x.AddedAt = old.AddedAt
				}
			}
		}
		list = append(list, x)
	}
	return list
}

// RemoveCluster is as admin/store's.
func (s *Store) RemoveCluster(ctx context.Context, name string, a flow.Audit) error {
	return s.write(ctx, "RemoveCluster", func(t *tables) error {
		c, err := t.cluster(name)
		if err != nil {
			return err
		}
		if n := len(t.placedOn(name)); n > 0 {
			return fault.E(fault.Precondition, "cluster %q holds %d executions", name, n)
		}
		t.removed[name], t.barred[name] = c.Incarnation, c.Incarnation
		delete(t.clusters, name)
		delete(t.outbox, name)
		for _, m := range t.membersOf(name) {
			m.Hub = ""
			m.LeaseGeneration, m.LeaseDuration, m.LeaseExpiresAt, m.LeaseRecordedAt = 0, 0, time.Time{}, time.Time{}
		}
		t.log(a, "cluster/"+name, s.o.Now())
		return nil
	})
}

// DeclareLost is as admin/store's.
func (s *Store) DeclareLost(ctx context.Context, name string, failPinned bool, a flow.Audit) (out flow.LossReport, err error) {
	err = s.write(ctx, "DeclareLost", func(t *tables) error {
		c, err := t.cluster(name)
		if err != nil {
			return err
		}
		at := t.log(a, "cluster/"+name, s.o.Now())
		if !c.Lost {
			c.Lost, c.Drain, c.Health, c.HealthSince, c.UpdatedAt = true, nil, flow.HealthLost, at, at
			c.Incarnation++
			t.force(name)
		}
		report := flow.LossReport{}
		for _, m := range t.membersOf(name) {
			m.Hub = ""
			if m.LeaseExpiresAt.After(at) && m.LeaseExpiresAt.After(report.LeaseUntil) {
				report.LeaseUntil = m.LeaseExpiresAt
			}
		}
		for _, id := range t.placedOn(name) {
			t.lose(t.runs[id], failPinned, at, &report)
		}
		report.Cluster = *c
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
			lost := why(flow.MoveLost, r.e.Cluster)
			t.leave(r, flow.MoveLost, lost, at)
			t.stuck(r, lost, at)
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
		at := t.log(a, "cluster/"+name, s.o.Now())
		c.Lost, c.Health, c.HealthSince, c.UpdatedAt = false, flow.HealthUnknown, at, at
		c.Incarnation++
		out = *c
		return nil
	})
	return out, err
}

// EndDrain is as admin/store's.
func (s *Store) EndDrain(ctx context.Context, f flow.Fence, cluster string, expired bool, at time.Time) (flow.Fence, error) {
	return s.fenced(ctx, "EndDrain", f, 0, func(t *tables) error {
		c := t.clusters[cluster]
		if c == nil || c.Drain == nil || c.Drain.Expired {
			return nil
		}
		if expired && (c.Drain.Deadline.IsZero() || c.Drain.Deadline.After(at)) {
			return nil
		}
		d := *c.Drain
		d.Expired = true
		c.Drain, c.Cordoned, c.UpdatedAt = &d, true, stamp(at)
		if !expired {
			c.Drain = nil
		}
		t.log(flow.Audit{At: at, Actor: "skein", Action: "cluster.drained"}, "cluster/"+cluster, at)
		return nil
	})
}
