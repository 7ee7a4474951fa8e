package memstore

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortedAttempts[V any](m map[attempt]V) []attempt {
	return slices.SortedFunc(maps.Keys(m), func(a, b attempt) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.n, b.n))
	})
}

// session refuses who is not the member's newest session, and who was opened in
// REBUILD: such a session reports, and nothing else.
func (t *tables) session(sender flow.Sender) (*flow.MemberState, error) {
	m, err := t.newest(sender)
	if err == nil && t.stages[sender.Member] != sessionNormal {
		return nil, rebuilding()
	}
	return m, err
}

// newest refuses who is not the member's newest session.
func (t *tables) newest(sender flow.Sender) (*flow.MemberState, error) {
	m, c := t.members[sender.Member], t.clusters[sender.Cluster]
	switch {
	case m == nil || c == nil:
		return nil, fault.E(fault.Stale, "member %s has no session", sender.Member)
	case m.Revoked:
		return nil, fault.E(fault.Forbidden, "member %s is revoked", sender.Member)
	case m.Generation != sender.Generation:
		return nil, fault.E(fault.Stale, "session %d of member %s is over: the newest is %d", sender.Generation, sender.Member, m.Generation)
	case c.Incarnation != sender.Incarnation:
		return nil, fault.E(fault.Stale, "session %d of member %s belongs to incarnation %d of its cluster, which is at %d",
			sender.Generation, sender.Member, sender.Incarnation, c.Incarnation)
	}
	return m, nil
}

// OpenSession is as admin/store's.
func (s *Store) OpenSession(ctx context.Context, member flow.Member, hub string, report flow.ClusterReport) (out flow.Session, err error) {
	open := func() error {
		return s.served(ctx, "OpenSession", func(t *tables) error {
			session, err := s.open(t, member, hub, report)
			out = session
			return err
		})
	}
	err = open()
	var seen *sign
	if errors.As(err, &seen) { // by now the database is in REBUILD
		err = open()
	}
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Precondition) {
		if failed := s.refused(ctx, member, err); failed != nil {
			return out, failed
		}
	}
	return out, err
}

func (s *Store) open(t *tables, member flow.Member, hub string, report flow.ClusterReport) (flow.Session, error) {
	c, m := t.clusters[member.Cluster], t.members[member]
	switch {
	case c == nil:
		return flow.Session{}, fault.E(fault.NotFound, "cluster %q is not registered", member.Cluster)
	case c.Lost:
		return flow.Session{}, fault.E(fault.Precondition, "cluster %q was declared lost: declare it found before its members join", member.Cluster)
	case m != nil && m.Revoked:
		return flow.Session{}, fault.E(fault.Forbidden, "member %s is revoked", member)
	}
	if err := t.believes(member, c, report); err != nil {
		return flow.Session{}, err
	}
	if m == nil {
		m = &flow.MemberState{Member: member, OwnershipRevision: 1}
		t.members[member] = m
	}
	c.Incarnation = max(c.Incarnation, report.Incarnation)
	m.Generation = max(m.Generation+1, t.firstGeneration())
	t.opened[member] = t.sessions(member.Cluster)
	m.Hub, m.LastSeenAt = hub, stamp(s.o.Now())
	s.report(c, m, report)
	t.stages[member] = sessionNormal
	lasting := !t.rebuild.Since.IsZero()
	if lasting {
		t.stages[member] = sessionOpened
	}
	return flow.Session{Era: t.fence.Epoch.Era, OwnershipRevision: m.OwnershipRevision, Rebuild: lasting,
		Sender: flow.Sender{Member: member, Generation: m.Generation, Incarnation: c.Incarnation}}, nil
}

func (s *Store) report(c *flow.Cluster, m *flow.MemberState, r flow.ClusterReport) {
	m.Version = r.Version
	c.Capacity, c.LargestNode, c.TaskTypes, c.Version = r.Capacity, r.LargestNode, r.TaskTypes, r.Version
	c.Architectures, c.Accelerators, c.Store = r.Architectures, r.Accelerators, r.Store
	c.UpdatedAt = stamp(s.o.Now())
}

// Report is as admin/store's.
func (s *Store) Report(ctx context.Context, sender flow.Sender, r flow.ClusterReport) error {
	return s.served(ctx, "Report", func(t *tables) error {
		m, err := t.newest(sender)
		if err != nil {
			return err
		}
		m.LastSeenAt = stamp(s.o.Now())
		s.report(t.clusters[sender.Cluster], m, r)
		return nil
	})
}

// CloseSession is as admin/store's.
func (s *Store) CloseSession(ctx context.Context, sender flow.Sender) error {
	return s.write(ctx, "CloseSession", func(t *tables) error {
		if m := t.members[sender.Member]; m != nil && m.Generation == sender.Generation {
			m.Hub, m.LastSeenAt = "", stamp(s.o.Now())
		}
		return nil
	})
}

type held struct {
	id    flow.ExecutionID
	epoch flow.Epoch
}

// Verdicts is as admin/store's.
func (s *Store) Verdicts(ctx context.Context, sender flow.Sender, inventory []flow.Held) (out flow.Verdicts, err error) {
	err = s.served(ctx, "Verdicts", func(t *tables) error {
		m, err := t.session(sender)
		if err != nil {
			return err
		}
		if err := t.forgotten(sender.Member, inventory); err != nil {
			return err
		}
		m.ReportedEra = t.fence.Epoch.Era
		var list []flow.Verdict
		here := map[held]flow.Held{}
		for _, h := range inventory {
			here[held{h.Execution, h.Epoch}] = h
			list = append(list, t.verdict(sender.Cluster, h))
		}
		lost, shared := t.missing(sender, here)
		for _, r := range shared {
			t.ask(r, s.o.Now())
		}
		for _, r := range lost {
			t.release(r, false, s.o.Now())
		}
		out = flow.Verdicts{OwnershipRevision: m.OwnershipRevision, List: list}
		if t.forced[sender.Cluster] {
			out.OwnershipRevision++ // as it will be when this has landed
		}
		return nil
	})
	return out, err
}

// missing lists what the sender's cluster should hold, and does not: it was
// acked and is not here, or was stopped here and nobody had asked to abort it, or
// was made again here after the object that has reported. Shared is what is not
// here at all, if the cluster has another member.
func (t *tables) missing(sender flow.Sender, here map[held]flow.Held) (lost, shared []*run) {
	others := len(t.membersOf(sender.Cluster)) > 1
	for _, id := range t.placedOn(sender.Cluster) {
		r := t.runs[id]
		h, there := here[held{id, r.e.Epoch}]
		stopped := h.Terminal && h.Desired == flow.DesiredGone && r.e.Desired == flow.DesiredRun && r.e.Revoking == ""
		switch {
		case there && (stopped || renewed(h, r)):
			lost = append(lost, r)
		case there || !t.known(sender, r):
		case others:
			shared = append(shared, r)
		default:
			lost = append(lost, r)
		}
	}
	return lost, shared
}

// known reports whether a placement had been acked when the sender's session
// opened, or by the sender.
func (t *tables) known(sender flow.Sender, r *run) bool {
	row := t.outbox[sender.Cluster][r.e.ID]
	return row != nil && row.epoch == r.e.Epoch && row.acked > 0 && (row.in < t.opened[sender.Member] || row.by == sender.Instance)
}

// renewed reports whether what has ended is not the object that has reported.
func renewed(h flow.Held, r *run) bool {
	return h.Terminal && h.Sequence > 0 && h.Sequence < r.e.Sequence
}

func (t *tables) verdict(cluster string, h flow.Held) flow.Verdict {
	v := flow.Verdict{Execution: h.Execution, Epoch: h.Epoch, Order: flow.OrderStop}
	r := t.runs[h.Execution]
	if r == nil || r.e.Cluster != cluster || r.e.Epoch != h.Epoch || renewed(h, r) {
		return v
	}
	v.Acked = r.e.Sequence
	switch {
	case !r.e.Phase.Terminal() && h.Terminal:
		v.Order = flow.OrderReport
	case !r.e.Phase.Terminal(), h.Terminal:
		v.Order = flow.OrderKeep
	}
	return v
}

// placedOn lists live placements of a cluster, oldest first.
func (t *tables) placedOn(cluster string) []flow.ExecutionID {
	var ids []flow.ExecutionID
	for _, id := range t.order {
		if e := &t.runs[id].e; e.Cluster == cluster && !e.Phase.Terminal() {
			ids = append(ids, id)
		}
	}
	return ids
}
