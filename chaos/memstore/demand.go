package memstore

import (
	"context"
	"slices"

	"github.com/skein-project/skein/api/flow"
)

// Pending is as admin/store's.
func (s *Store) Pending(ctx context.Context, after flow.PendingKey, limit int) (list []flow.Pending, err error) {
	err = s.read(ctx, "Pending", func(t *tables) error {
		for _, id := range t.order {
			if r := t.runs[id]; r.e.Cluster == "" && waits(r.e.Phase) && r.e.Desired == flow.DesiredRun {
				p := r.pending()
				if n := len(r.moves); n > 0 && r.moves[n-1].Epoch == p.Epoch {
					p.Last = r.moves[n-1].From
				}
				list = append(list, p)
			}
		}
		slices.SortStableFunc(list, func(a, b flow.Pending) int { return a.Key().Compare(b.Key()) })
		list = slices.DeleteFunc(list, func(p flow.Pending) bool { return p.Key().Compare(after) <= 0 })
		list = list[:min(limit, len(list))]
		return nil
	})
	return list, err
}

func waits(p flow.ExecutionPhase) bool {
	return p == flow.ExecutionUndefined || p == flow.ExecutionQueued
}

func (r *run) pending() flow.Pending {
	return flow.Pending{Execution: r.e.ID, Epoch: r.e.Epoch, CreatedAt: r.e.CreatedAt,
		Trace: r.e.Trace, Digest: r.digest, NotBefore: r.e.NotBefore, Failover: r.e.Failover, Moves: r.e.Moves}
}

// Live is as admin/store's.
func (s *Store) Live(ctx context.Context, clusters []string, limit int) (list []flow.Placed, err error) {
	err = s.read(ctx, "Live", func(t *tables) error {
		for _, id := range t.order {
			r := t.runs[id]
			if r.e.Phase.Terminal() || r.e.Cluster == "" || !slices.Contains(clusters, r.e.Cluster) || len(list) >= limit {
				continue
			}
			p := flow.Placed{Pending: r.pending(), Desired: r.e.Desired, Revoking: r.e.Revoking,
				PlacedAt: r.placedAt, Started: r.e.Sequence > 0}
			p.From = r.e.Cluster
			if p.Revoking != "" {
				p.RevokedAt = r.revokedAt
			}
			list = append(list, p)
		}
		return nil
	})
	return list, err
}

// Requirements is as admin/store's.
func (s *Store) Requirements(ctx context.Context, digests []string) (out map[string]flow.Requirement, err error) {
	err = s.read(ctx, "Requirements", func(t *tables) error {
		out = map[string]flow.Requirement{}
		for _, d := range digests {
			if r, ok := t.classes[d]; ok {
				out[d] = r
			}
		}
		return nil
	})
	return out, err
}

// Loads is as admin/store's.
func (s *Store) Loads(ctx context.Context) (list []flow.Load, err error) {
	err = s.read(ctx, "Loads", func(t *tables) error {
		at := map[flow.Load]int{}
		for _, id := range t.order {
			e := &t.runs[id].e
			if e.Cluster == "" || e.Phase.Terminal() {
				continue
			}
			key := flow.Load{Cluster: e.Cluster, Tenant: id.Tenant(), Group: e.Requirement.Group, Workflow: e.Requirement.Workflow}
			i, known := at[key]
			if !known {
				i = len(list)
				at[key] = i
				list = append(list, key)
			}
			list[i].Executions++
			list[i].Reservation = list[i].Reservation.Add(e.Requirement.Reservation)
		}
		slices.SortFunc(list, func(a, b flow.Load) int {
			return slices.Compare([]string{a.Cluster, a.Tenant.Project, a.Tenant.Domain, a.Group, a.Workflow},
				[]string{b.Cluster, b.Tenant.Project, b.Tenant.Domain, b.Group, b.Workflow})
		})
		return nil
	})
	return list, err
}
