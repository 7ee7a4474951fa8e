package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
)

// written fills in what a line of the audit lacks.
func written(a flow.Audit, subject string) flow.Audit {
	if a.ID == "" {
		a.ID = uuid.NewString()
	}
	if a.At.IsZero() {
		a.At = now()
	}
	if a.Subject == "" {
		a.Subject = subject
	}
	a.At = a.At.UTC().Truncate(time.Microsecond)
	return a
}

func insertAudit(ctx context.Context, tx pgx.Tx, a flow.Audit) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit (id, at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO NOTHING`, a.ID, at(&a.At), a.Actor, a.Action, a.Subject, a.Detail)
	return err
}

// audited runs fn and writes its line of the audit in one transaction. The line
// tells whether the transaction has landed.
func (s *Store) audited(ctx context.Context, op string, a flow.Audit, fn func(context.Context, pgx.Tx) error) error {
	return s.change(ctx, op, func(ctx context.Context, tx pgx.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return insertAudit(ctx, tx, a)
	}, func(ctx context.Context) (bool, error) {
		return s.holds(ctx, "SELECT count(*) > 0 FROM audit WHERE id = $1", a.ID)
	})
}

// WriteAudit stores a line of the audit. An ID and a time are made if it has
// none; a line whose ID exists is stored already.
func (s *Store) WriteAudit(ctx context.Context, a flow.Audit) error {
	return s.audited(ctx, "WriteAudit", written(a, ""), func(context.Context, pgx.Tx) error { return nil })
}

// ListAudit lists the audit, newest first: of one subject, or of all if it is
// empty, and of what happened before a time, or of all if it is zero.
func (s *Store) ListAudit(ctx context.Context, subject string, before time.Time, limit int) ([]flow.Audit, error) {
	return query(ctx, s, "ListAudit", func(a *flow.Audit) []column {
		return []column{{"", &a.ID}, {"", at(&a.At)}, {"", &a.Actor}, {"", &a.Action}, {"", &a.Subject}, {"", &a.Detail}}
	}, `SELECT id, at, actor, action, subject, detail FROM audit
		WHERE ($1::TEXT = '' OR subject = $1) AND ($2::TIMESTAMPTZ IS NULL OR at < $2) ORDER BY at DESC, id DESC LIMIT $3`,
		subject, at(&before), limit)
}

// refused writes down that a member was turned away: once an hour, since it
// will try again every few seconds.
func (s *Store) refused(ctx context.Context, member flow.Member, action string, reason error) error {
	a := flow.Audit{Actor: "member/" + member.String(), Action: action + ".refused", Subject: "cluster/" + member.Cluster,
		Detail: reason.Error(), At: now()}
	a.ID = uuid.NewSHA1(uuid.NameSpaceURL, []byte(a.Action+" "+a.Actor+" "+a.At.Truncate(time.Hour).String())).String()
	return s.WriteAudit(ctx, a)
}
