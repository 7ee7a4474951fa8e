package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func policyColumns(p *flow.Policy) []column {
	return []column{
		{"version", &p.Version}, {"level", &p.Scope.Level}, {"domain", &p.Scope.Domain}, {"project", &p.Scope.Project},
		{"workflow", &p.Scope.Workflow}, {"author", &p.Author}, {"written_at", at(&p.At)}, {"deleted", &p.Deleted},
		{"rules", &p.Rules}, {"share", &p.Share},
	}
}

// PutPolicy stores the next version of a scope's policy and gives it: it becomes
// version expected+1. Conflict if the newest version is not expected; 0 expects
// that there is none. What a policy may say is checked by its writer.
func (s *Store) PutPolicy(ctx context.Context, p flow.Policy, expected uint64) (flow.Policy, error) {
	if p.At.IsZero() {
		p.At = now()
	}
	p.At, p.Version = p.At.UTC().Truncate(time.Microsecond), expected+1
	scope, nonce := p.Scope.String(), uuid.NewString()
	a := flow.Audit{At: p.At, Actor: p.Author, Action: "policy.put", Subject: "policy/" + scope}
	if p.Deleted {
		a.Action = "policy.delete"
	}
	err := s.audited(ctx, "PutPolicy", written(a, ""), func(ctx context.Context, tx pgx.Tx) error {
		var newest uint64
		err := tx.QueryRow(ctx, "SELECT version FROM policies WHERE scope = $1 ORDER BY version DESC LIMIT 1", scope).Scan(&newest)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if newest != expected {
			return fault.E(fault.Conflict, "the policy of %s is at version %d, not %d: read it again, and change that", scope, newest, expected)
		}
		columns := append(policyColumns(&p), column{"scope", &scope}, column{"nonce", &nonce})
		_, err = tx.Exec(ctx, insertInto("policies", columns), places(columns)...)
		return uniqueRace(err)
	})
	return p, err
}

// GetPolicy reads one version of a scope's policy, the newest if version is 0;
// NotFound. A version that withdraws the policy says Deleted.
func (s *Store) GetPolicy(ctx context.Context, scope string, version uint64) (flow.Policy, error) {
	var p flow.Policy
	columns := policyColumns(&p)
	err := s.read(ctx, "GetPolicy", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+names("", columns)+` FROM policies WHERE scope = $1 AND ($2::INT8 = 0 OR version = $2)
			ORDER BY version DESC LIMIT 1`, scope, version).Scan(places(columns)...)
	})
	return p, named(err, "policy of %q at version %d (0: the newest)", scope, version)
}

// ListPolicies lists all versions of a scope's policy, newest first; or, if
// scope is empty, all policies that hold: the newest version of each scope,
// without those that are withdrawn.
func (s *Store) ListPolicies(ctx context.Context, scope string) ([]flow.Policy, error) {
	if scope == "" {
		return query(ctx, s, "ListPolicies", policyColumns, "SELECT "+names("p.", policyColumns(new(flow.Policy)))+` FROM policies p
			JOIN (SELECT scope, MAX(version) AS newest FROM policies GROUP BY scope) AS n ON n.scope = p.scope AND n.newest = p.version
			WHERE NOT p.deleted ORDER BY p.scope`)
	}
	return query(ctx, s, "ListPolicies", policyColumns, "SELECT "+names("", policyColumns(new(flow.Policy)))+
		" FROM policies WHERE scope = $1 ORDER BY version DESC", scope)
}
