package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// SetRevoked is as admin/store's.
func (s *Store) SetRevoked(ctx context.Context, member flow.Member, revoked bool, a flow.Audit) (out []flow.MemberState, err error) {
	err = s.write(ctx, "SetRevoked", func(t *tables) error {
		var found []*flow.MemberState
		for _, m := range t.membersOf(member.Cluster) {
			if member.Instance == "" || m.Instance == member.Instance {
				found = append(found, m)
			}
		}
		if len(found) == 0 && (member.Instance == "" || !revoked) {
			return fault.E(fault.NotFound, "no member %s has ever opened a session", member)
		}
		if len(found) == 0 {
			if _, err := t.cluster(member.Cluster); err != nil {
				return err
			}
			t.members[member] = &flow.MemberState{Member: member, OwnershipRevision: 1}
			found = append(found, t.members[member])
		}
		var list []flow.MemberState
		for _, m := range found {
			m.Revoked = revoked
			list = append(list, *m)
		}
		subject := "member/" + member.String()
		if member.Instance == "" {
			subject = "cluster/" + member.Cluster
		}
		t.log(a, subject, s.o.Now())
		out = list
		return nil
	})
	return out, err
}

// Admits is as admin/store's.
func (s *Store) Admits(ctx context.Context, member flow.Member, incarnation uint64) (now uint64, err error) {
	err = s.read(ctx, "Admits", func(t *tables) error {
		c, m := t.clusters[member.Cluster], t.members[member]
		bar, removed := t.barred[member.Cluster]
		switch {
		case c == nil:
			return fault.E(fault.NotFound, "cluster %q is not registered", member.Cluster)
		case m != nil && m.Revoked:
			return fault.E(fault.Forbidden, "member %s is revoked", member)
		case removed && incarnation <= bar:
			return fault.E(fault.Forbidden, "the certificate of member %s was made for a cluster that was removed", member)
		}
		now = c.Incarnation
		return nil
	})
	return now, err
}

// Revoked is as admin/store's.
func (s *Store) Revoked(ctx context.Context) (list []flow.Member, err error) {
	err = s.read(ctx, "Revoked", func(t *tables) error {
		for _, m := range t.membersOf("") {
			if m.Revoked {
				list = append(list, m.Member)
			}
		}
		return nil
	})
	return list, err
}

// refused writes down that a member was turned away, once an hour.
func (s *Store) refused(ctx context.Context, m flow.Member, reason error) error {
	now := s.o.Now()
	a := flow.Audit{ID: "refused/" + m.String() + "/" + now.Truncate(time.Hour).String(), Actor: "member/" + m.String(),
		Action: "session.open.refused", Subject: "cluster/" + m.Cluster, Detail: reason.Error()}
	return s.WriteAudit(ctx, a)
}

// WriteAudit is as admin/store's.
func (s *Store) WriteAudit(ctx context.Context, a flow.Audit) error {
	return s.write(ctx, "WriteAudit", func(t *tables) error { t.log(a, "", s.o.Now()); return nil })
}

// ListAudit is as admin/store's.
func (s *Store) ListAudit(ctx context.Context, subject string, before time.Time, limit int) (list []flow.Audit, err error) {
	err = s.read(ctx, "ListAudit", func(t *tables) error {
		for _, a := range t.audit {
			if (subject == "" || a.Subject == subject) && (before.IsZero() || a.At.Before(before)) {
				list = append(list, a)
			}
		}
		slices.SortStableFunc(list, func(a, b flow.Audit) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
		list = list[:min(limit, len(list))]
		return nil
	})
	return list, err
}

// PutPolicy is as admin/store's.
func (s *Store) PutPolicy(ctx context.Context, p flow.Policy, expected uint64) (out flow.Policy, err error) {
	err = s.write(ctx, "PutPolicy", func(t *tables) error {
		scope := p.Scope.String()
		if n := uint64(len(t.policies[scope])); n != expected {
			return fault.E(fault.Conflict, "policy %s is at version %d, not %d", scope, n, expected)
		}
		n := p
		n.Version = expected + 1
		if n.At.IsZero() {
			n.At = s.o.Now()
		}
		n.At = stamp(n.At)
		t.policies[scope] = append(slices.Clone(t.policies[scope]), n)
		t.log(flow.Audit{At: n.At, Actor: n.Author, Action: "policy.put"}, "policy/"+scope, n.At)
		out = n
		return nil
	})
	return out, err
}

// GetPolicy is as admin/store's.
func (s *Store) GetPolicy(ctx context.Context, scope string, version uint64) (out flow.Policy, err error) {
	err = s.read(ctx, "GetPolicy", func(t *tables) error {
		list := t.policies[scope]
		if version == 0 {
			version = uint64(len(list))
		}
		if version == 0 || version > uint64(len(list)) {
			return fault.E(fault.NotFound, "policy %s has no version %d", scope, version)
		}
		out = list[version-1]
		return nil
	})
	return out, err
}

// ListPolicies is as admin/store's.
func (s *Store) ListPolicies(ctx context.Context, scope string) (list []flow.Policy, err error) {
	err = s.read(ctx, "ListPolicies", func(t *tables) error {
		if scope != "" {
			list = slices.Clone(t.policies[scope])
			slices.Reverse(list)
			return nil
		}
		for _, name := range sortedKeys(t.policies) {
			if n := t.policies[name]; !n[len(n)-1].Deleted {
				list = append(list, n[len(n)-1])
			}
		}
		return nil
	})
	return list, err
}
