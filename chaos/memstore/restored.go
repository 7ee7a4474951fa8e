package memstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// sign is what gives a restored backup away.
type sign struct {
	known flow.Fence
	why   string
}

func (s *sign) Error() string { return s.why }

func restored(known flow.Fence, format string, args ...any) error {
	return fault.Wrap(fault.Unavailable, &sign{known, fmt.Sprintf(format, args...)}, "the database was restored from a backup")
}

func rebuilding() error {
	return fault.E(fault.Unavailable, "the control plane is in REBUILD after a restored backup")
}

// served runs a member's transaction. Where it meets a sign of a restored
// backup, nothing is stored, and REBUILD is entered.
func (s *Store) served(ctx context.Context, op string, fn func(*tables) error) error {
	known := s.known()
	err := s.write(ctx, op, func(t *tables) error {
		if known.Compare(t.fence) > 0 {
			return restored(known, "the fence %s was seen, and the database is at %s", known, t.fence)
		}
		return fn(t)
	})
	var seen *sign
	if !errors.As(err, &seen) {
		return err
	}
	if _, failed := s.EnterRebuild(ctx, seen.known, seen.why); failed != nil {
		return failed
	}
	return err
}

// What is believed, as in admin/store.
const (
	mostEras = 1 << 20
	lastEra  = 2 * mostEras
)

// believes compares what a member has seen with what the database holds.
func (t *tables) believes(m flow.Member, c *flow.Cluster, r flow.ClusterReport) error {
	era, lasting := t.fence.Epoch.Era, !t.rebuild.Since.IsZero()
	switch {
	case r.Era > max(era, mostEras):
		return fault.E(fault.Forbidden, "member %s says that it has seen era %d, which cannot be", m, r.Era)
	case r.Incarnation > max(c.Incarnation, mostEras):
		return fault.E(fault.Forbidden, "member %s says that it has seen incarnation %d of its cluster, which cannot be", m, r.Incarnation)
	case r.Era > era:
		return restored(flow.Fence{Epoch: flow.Epoch{Era: r.Era}}, "member %s has seen era %d, and the database is at era %d", m, r.Era, era)
	case r.Incarnation > c.Incarnation && !lasting && r.Era == era:
		return restored(flow.Fence{}, "member %s has seen its cluster at incarnation %d, and the database has it at %d", m, r.Incarnation, c.Incarnation)
	}
	return nil
}

// forgotten looks for epochs in an inventory that the database has not given.
func (t *tables) forgotten(m flow.Member, inventory []flow.Held) error {
	for _, h := range inventory {
		var row flow.Epoch
		if r := t.runs[h.Execution]; r != nil {
			row = r.e.Epoch
		}
		if h.Epoch.Era >= t.fence.Epoch.Era && row.Less(h.Epoch) {
			return restored(flow.Fence{}, "member %s holds execution %s at epoch %s, and the database has it at %s", m, h.Execution, h.Epoch, row)
		}
	}
	return nil
}

// met looks for an event of an epoch that the database has not given.
func (t *tables) met(b flow.EventBatch) error {
	m, err := t.session(b.From)
	if err != nil || m.ReportedEra == 0 {
		return nil //nolint:nilerr // who may not speak is told so later
	}
	for _, e := range b.Events {
		if r := t.runs[e.Execution]; r != nil && e.Epoch.Era >= m.ReportedEra && r.e.Epoch.Less(e.Epoch) {
			return restored(flow.Fence{}, "member %s sent an event of execution %s at epoch %s, and the database has it at %s",
				m.Member, e.Execution, e.Epoch, r.e.Epoch)
		}
	}
	return nil
}
