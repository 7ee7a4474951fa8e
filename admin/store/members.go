package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// memberRow is a member as it is read: its lease may be missing.
type memberRow struct {
	flow.MemberState
	milliseconds int64
}

func memberColumns(m *memberRow) []column {
	return []column{
		{"", &m.Cluster}, {"", &m.Instance}, {"", &m.Generation}, {"", &m.Hub}, {"", &m.OwnershipRevision},
		{"", &m.LeaseGeneration}, {"", at(&m.LeaseExpiresAt)}, {"", &m.milliseconds}, {"", at(&m.LeaseRecordedAt)},
		{"", at(&m.LastSeenAt)}, {"", &m.Revoked}, {"", &m.Version}, {"", &m.ReportedEra},
	}
}

const selectMembers = `SELECT m.cluster, m.instance, m.generation, m.hub, m.ownership_revision, COALESCE(l.generation, 0),
	l.expires_at, COALESCE(l.duration_ms, 0), l.recorded_at, COALESCE(GREATEST(l.recorded_at, m.last_seen_at), m.last_seen_at),
	m.revoked, m.version, m.reported_era
	FROM members m LEFT JOIN leases l ON l.cluster = m.cluster AND l.instance = m.instance `

func (s *Store) members(ctx context.Context, op, where string, args ...any) ([]flow.MemberState, error) {
	rows, err := query(ctx, s, op, memberColumns, selectMembers+where+" ORDER BY m.cluster, m.instance", args...)
	list := make([]flow.MemberState, len(rows))
	for i, row := range rows {
		row.LeaseDuration = milliseconds(row.milliseconds)
		list[i] = row.MemberState
	}
	return list, err
}

// ListMembers lists the members of a cluster, or of all registered clusters if
// it is empty.
func (s *Store) ListMembers(ctx context.Context, cluster string) ([]flow.MemberState, error) {
	return s.members(ctx, "ListMembers", "JOIN clusters c ON c.name = m.cluster WHERE $1::TEXT = '' OR m.cluster = $1", cluster)
}

// SetRevoked forbids a member, or all members of its cluster if Instance is
// empty, to open sessions, to speak in those that are open and to be granted
// leases; or allows it again. It gives the members that it was about. A member
// of a registered cluster that never opened a session can be revoked by its
// name. NotFound if there is nobody to revoke.
func (s *Store) SetRevoked(ctx context.Context, member flow.Member, revoked bool, a flow.Audit) ([]flow.MemberState, error) {
	subject := "member/" + member.String()
	if member.Instance == "" {
		subject = subjectOf(member.Cluster)
	}
	err := s.audited(ctx, "SetRevoked", written(a, subject), func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE members SET revoked = $3 WHERE cluster = $1 AND ($2::TEXT = '' OR instance = $2)",
			member.Cluster, member.Instance, revoked)
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		if member.Instance == "" || !revoked {
			return fault.E(fault.NotFound, "no member %s has ever opened a session", member)
		}
		if _, err := readCluster(ctx, tx, member.Cluster); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO members (cluster, instance, generation, hub, ownership_revision, revoked)
			VALUES ($1, $2, 0, '', 1, TRUE)`, member.Cluster, member.Instance)
		return uniqueRace(err)
	})
	if err != nil {
		return nil, err
	}
	return s.members(ctx, "SetRevoked", "WHERE m.cluster = $1 AND ($2::TEXT = '' OR m.instance = $2)", member.Cluster, member.Instance)
}

// Revoked lists the members that are revoked, those of removed clusters too.
func (s *Store) Revoked(ctx context.Context) ([]flow.Member, error) {
	return query(ctx, s, "Revoked", func(m *flow.Member) []column { return []column{{"", &m.Cluster}, {"", &m.Instance}} },
		"SELECT cluster, instance FROM members WHERE revoked ORDER BY cluster, instance")
}
