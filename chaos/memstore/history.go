package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/skein-project/skein/api/flow"
)

// why tells people of a move that nobody gave words to.
func why(kind flow.MoveKind, cluster string) string {
	switch kind {
	case flow.MoveLapse:
		return fmt.Sprintf("cluster %s lapsed: no member of it held a lease any more", cluster)
	case flow.MoveLost:
		return fmt.Sprintf("cluster %s was declared lost", cluster)
	}
	return fmt.Sprintf("%s of cluster %s", kind, cluster)
}

// explained gives a decision with the reasons of its trail.
func (t *tables) explained(d flow.Decision) flow.Decision {
	if trail, ok := t.trails[d.Trail]; ok && d.Trail != "" {
		d.Reasons = slices.Clone(trail.Reasons)
		for i := range d.Reasons {
			d.Reasons[i].Chosen = d.Cluster != "" && d.Reasons[i].Cluster == d.Cluster
		}
	}
	return d
}

// ListDecisions is as admin/store's.
func (s *Store) ListDecisions(ctx context.Context, id flow.ExecutionID) (list []flow.Decision, err error) {
	err = s.read(ctx, "ListDecisions", func(t *tables) error {
		r := t.runs[id]
		if r == nil {
			return nil
		}
		for _, d := range r.decisions {
			list = append(list, t.explained(d))
		}
		if r.wait != nil {
			list = append(list, t.explained(*r.wait))
		}
		slices.SortStableFunc(list, func(a, b flow.Decision) int {
			return cmp.Or(b.At.Compare(a.At), b.Epoch.Compare(a.Epoch))
		})
		return nil
	})
	return list, err
}

// RoundDecisions is as admin/store's.
func (s *Store) RoundDecisions(ctx context.Context, round string) (list []flow.Decision, err error) {
	err = s.read(ctx, "RoundDecisions", func(t *tables) error {
		for _, id := range t.order {
			r := t.runs[id]
			for _, d := range r.decisions {
				if d.Round == round {
					list = append(list, t.explained(d))
				}
			}
			if r.wait != nil && r.wait.Round == round {
				list = append(list, t.explained(*r.wait))
			}
		}
		slices.SortStableFunc(list, func(a, b flow.Decision) int {
			return cmp.Or(byID(a.Execution, b.Execution), b.Epoch.Compare(a.Epoch))
		})
		return nil
	})
	return list, err
}

// Rounds is as admin/store's.
func (s *Store) Rounds(ctx context.Context, older flow.RoundKey, limit int) (list []flow.Round, err error) {
	newest := func(a, b flow.RoundKey) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) }
	err = s.read(ctx, "Rounds", func(t *tables) error {
		list = slices.Clone(t.rounds)
		if older != (flow.RoundKey{}) {
			list = slices.DeleteFunc(list, func(r flow.Round) bool { return newest(r.Before(), older) <= 0 })
		}
		slices.SortStableFunc(list, func(a, b flow.Round) int { return newest(a.Before(), b.Before()) })
		list = list[:min(limit, len(list))]
		return nil
	})
	return list, err
}

// Trails is as admin/store's.
func (s *Store) Trails(ctx context.Context, digests []string) (list []flow.Trail, err error) {
	err = s.read(ctx, "Trails", func(t *tables) error {
		for _, d := range slices.Sorted(slices.Values(digests)) {
			if trail, ok := t.trails[d]; ok {
				list = append(list, trail)
			}
		}
		return nil
	})
	return list, err
}

// ArchivedNodes is as admin/store's.
func (s *Store) ArchivedNodes(ctx context.Context, id flow.ExecutionID) (list []flow.NodeExecution, err error) {
	err = s.read(ctx, "ArchivedNodes", func(t *tables) error {
		if r := t.runs[id]; r != nil {
			list = slices.Clone(r.oldNodes)
		}
		return nil
	})
	return list, err
}

// ArchivedTasks is as admin/store's.
func (s *Store) ArchivedTasks(ctx context.Context, id flow.ExecutionID) (list []flow.TaskExecution, err error) {
	err = s.read(ctx, "ArchivedTasks", func(t *tables) error {
		if r := t.runs[id]; r != nil {
			list = slices.Clone(r.oldTasks)
		}
		return nil
	})
	return list, err
}
