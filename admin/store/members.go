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
// name; those of a whole cluster are revoked that have joined, also if they never
// opened a session, and its tokens that nobody has used are gone. NotFound if
// there is nobody to revoke.
func (s *Store) SetRevoked(ctx context.Context, member flow.Member, revoked bool, a flow.Audit) ([]flow.MemberState, error) {
	subject := "member/" + member.String()
	if member.Instance == "" {
		subject = subjectOf(member.Cluster)
	}
	err := s.audited(ctx, "SetRevoked", written(a, subject), func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE members SET revoked = $3 WHERE cluster = $1 AND ($2::TEXT = '' OR instance = $2)",
			member.Cluster, member.Instance, revoked)
		known := tag.RowsAffected()
		if err == nil && revoked && member.Instance == "" {
			var joined int64
			joined, err = revokeJoined(ctx, tx, member.Cluster)
			known += joined
		}
		if err != nil || known > 0 {
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

// revokeJoined revokes whoever has a certificate of a cluster by a join token, and
// has opened no session yet, and deletes the tokens by which others could get
// one. It says how many that were.
func revokeJoined(ctx context.Context, tx pgx.Tx, cluster string) (int64, error) {
	joined, err := tx.Exec(ctx, `INSERT INTO members (cluster, instance, generation, hub, ownership_revision, revoked)
		SELECT cluster, instance, 0, '', 1, TRUE FROM join_tokens WHERE cluster = $1 AND key_hash IS NOT NULL
		GROUP BY cluster, instance ON CONFLICT (cluster, instance) DO NOTHING`, cluster)
	if err != nil {
		return 0, err
	}
	unused, err := tx.Exec(ctx, "DELETE FROM join_tokens WHERE cluster = $1 AND key_hash IS NULL", cluster)
	return joined.RowsAffected() + unused.RowsAffected(), err
}

// Admits says whether a certificate of a member is good that was made when its
// cluster was at that incarnation (0: it does not say), and gives the one at
// which the cluster is now. NotFound if the cluster is not registered; Forbidden
// if the member is revoked, or its cluster was removed since: a name that is
// registered again admits what its new join tokens give, and nothing older. A
// registration that a restored backup has forgotten is no removal.
func (s *Store) Admits(ctx context.Context, member flow.Member, incarnation uint64) (uint64, error) {
	var now uint64
	var revoked, barred bool
	err := s.read(ctx, "Admits", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `SELECT c.incarnation, COALESCE(m.revoked, FALSE), COALESCE($3::INT8 <= r.barred, FALSE) FROM clusters c
			LEFT JOIN members m ON m.cluster = c.name AND m.instance = $2
			LEFT JOIN removed_clusters r ON r.name = c.name WHERE c.name = $1`,
			member.Cluster, member.Instance, incarnation).Scan(&now, &revoked, &barred)
	})
	switch {
	case fault.Is(err, fault.NotFound):
		return 0, fault.E(fault.NotFound, "cluster %q is not registered", member.Cluster)
	case err != nil:
		return 0, err
	case revoked:
		return 0, fault.E(fault.Forbidden, "member %s is revoked", member)
	case barred:
		return 0, fault.E(fault.Forbidden, "the certificate of member %s was made for a cluster %q that was removed: a new join token is needed (skein cluster register %s makes one)",
			member, member.Cluster, member.Cluster)
	}
	return now, nil
}

// Revoked lists the members that are revoked, those of removed clusters too.
func (s *Store) Revoked(ctx context.Context) ([]flow.Member, error) {
	return query(ctx, s, "Revoked", func(m *flow.Member) []column { return []column{{"", &m.Cluster}, {"", &m.Instance}} },
		"SELECT cluster, instance FROM members WHERE revoked ORDER BY cluster, instance")
}
