package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Trim is as admin/store's, in one transaction.
func (s *Store) Trim(ctx context.Context, before time.Time, rounds int) (n int64, err error) {
	err = s.write(ctx, "Trim", func(t *tables) error {
		n = t.trimOutbox(before) + t.trimWaits() + t.trimRounds(before, rounds) + t.trimTrails(before)
		return nil
	})
	return n, err
}

func (t *tables) trimOutbox(before time.Time) (n int64) {
	for _, rows := range t.outbox {
		for id, row := range rows {
			if row.updated.Before(before) && row.acked >= row.wanted && t.runs[id].e.Phase.Terminal() {
				delete(rows, id)
				n++
			}
		}
	}
	return n
}

func (t *tables) trimWaits() (n int64) {
	for _, r := range t.runs {
		if r.wait != nil && (r.e.Phase.Terminal() || r.placedAt.After(r.wait.At)) {
			r.wait = nil
			n++
		}
	}
	return n
}

func (t *tables) trimRounds(before time.Time, most int) (n int64) {
	slices.SortStableFunc(t.rounds, func(a, b flow.Round) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
	var kept []flow.Round
	for i, r := range t.rounds {
		if i < most && !r.At.Before(before) {
			kept = append(kept, r)
		} else {
			n++
		}
	}
	t.rounds = kept
	return n
}

// trimTrails forgets trails without a round that nothing refers to.
func (t *tables) trimTrails(before time.Time) (n int64) {
	used, rounds := map[string]bool{}, map[string]bool{}
	for _, r := range t.rounds {
		rounds[r.ID] = true
	}
	for _, r := range t.runs {
		for _, d := range r.decisions {
			used[d.Trail] = true
		}
		if r.wait != nil {
			used[r.wait.Trail] = true
		}
	}
	for digest, trail := range t.trails {
		if t.stored[digest].Before(before) && !used[digest] && !rounds[trail.Round] {
			delete(t.trails, digest)
			delete(t.stored, digest)
			n++
		}
	}
	return n
}
