package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/skein-project/skein/api/flow"
)

// digestOf names a requirement: equal digests, equal requirements. Empty, which
// names none, if it cannot be encoded.
func digestOf(r flow.Requirement) string {
	text, err := json.Marshal(r)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// pendingColumns reads no requirement that its digest names: there may be
// 100,000 rows of 200 requirements.
func pendingColumns(p *flow.Pending) []column {
	columns := append(executionKey(&p.Execution), epochColumns(&p.Epoch)...)
	return append(columns, column{"created_at", at(&p.CreatedAt)}, column{"trace", &p.Trace}, column{"digest", &p.Digest},
		column{"not_before", at(&p.NotBefore)}, column{"moves", &p.Moves}, column{"failover", lazy(&p.Failover)},
		column{"CASE WHEN digest = '' THEN requirement END", lazy(&p.Requirement)})
}

// lastCluster is where the newest epoch was: it was left by the move of that
// epoch.
const lastCluster = `CASE WHEN epoch_n = 0 THEN '' ELSE COALESCE((SELECT m.from_cluster FROM moves m WHERE m.name = executions.name
	AND m.project = executions.project AND m.domain = executions.domain AND m.epoch_era = executions.epoch_era
	AND m.epoch_n = executions.epoch_n), '') END`

// Pending lists executions that wait for a cluster, oldest first, from just after
// a place in that order on. Requirement is
// empty where Digest is set: Requirements reads each of them once. From is
// empty. NotBefore may be over, or not: whoever reads decides.
func (s *Store) Pending(ctx context.Context, after flow.PendingKey, limit int) ([]flow.Pending, error) {
	columns := func(p *flow.Pending) []column { return append(pendingColumns(p), column{lastCluster, &p.Last}) }
	return query(ctx, s, "Pending", columns, "SELECT "+names("", columns(new(flow.Pending)))+` FROM executions
		WHERE `+isPending+` AND desired = 'run' AND (created_at, name, project, domain) > ($1, $2, $3, $4)
		ORDER BY created_at, name, project, domain LIMIT $5`,
		after.At, after.Execution.Name, after.Execution.Project, after.Execution.Domain, limit)
}

// Requirements reads the requirements that digests name. What a digest names
// never changes, so callers may remember it. Digests that name nothing are left
// out.
func (s *Store) Requirements(ctx context.Context, digests []string) (map[string]flow.Requirement, error) {
	type class struct {
		digest      string
		requirement flow.Requirement
	}
	found := map[string]flow.Requirement{}
	if len(digests) == 0 {
		return found, nil
	}
	list, err := query(ctx, s, "Requirements", func(c *class) []column {
		return []column{{"", &c.digest}, {"", &c.requirement}}
	}, "SELECT digest, requirement FROM requirements WHERE digest = ANY($1::TEXT[])", digests)
	for _, c := range list {
		found[c.digest] = c.requirement
	}
	return found, err
}

// Live lists what the clusters hold, oldest first: executions that are placed
// there and have not ended, those that are being aborted among them. From is
// their cluster. Requirement is empty where Digest is set, as in Pending.
func (s *Store) Live(ctx context.Context, clusters []string, limit int) ([]flow.Placed, error) {
	columns := func(p *flow.Placed) []column {
		return append(pendingColumns(&p.Pending), column{"cluster", &p.From}, column{"desired", &p.Desired},
			column{"revoking", &p.Revoking}, column{"revoked_at", at(&p.RevokedAt)}, column{"placed_at", at(&p.PlacedAt)},
			column{"sequence > 0", &p.Started})
	}
	return query(ctx, s, "Live", columns, "SELECT "+names("", columns(new(flow.Placed)))+` FROM executions
		WHERE cluster = ANY($1::TEXT[]) AND `+isPlaced+` ORDER BY created_at, name LIMIT $2`, clusters, limit)
}

// group is what live placements of one requirement hold together.
type group struct {
	load        flow.Load
	digest      string
	requirement flow.Requirement // set where digest is empty
}

// Loads sums up what live placements hold, by cluster, tenant, group and
// workflow, and in that order.
func (s *Store) Loads(ctx context.Context) ([]flow.Load, error) {
	groups, err := query(ctx, s, "Loads", func(g *group) []column {
		return []column{{"", &g.load.Cluster}, {"", &g.load.Tenant.Project}, {"", &g.load.Tenant.Domain}, {"", &g.digest},
			{"", lazy(&g.requirement)}, {"", &g.load.Executions}}
	}, `SELECT cluster, project, domain, digest, own, count(*) FROM (
			SELECT cluster, project, domain, digest, CASE WHEN digest = '' THEN requirement::TEXT END AS own FROM executions WHERE `+isPlaced+`
		) AS live GROUP BY cluster, project, domain, digest, own`)
	if err != nil {
		return nil, err
	}
	var digests []string
	for _, g := range groups {
		digests = append(digests, g.digest)
	}
	slices.Sort(digests)
	known, err := s.Requirements(ctx, slices.Compact(digests))
	if err != nil {
		return nil, err
	}
	return sum(groups, known), nil
}

func sum(groups []group, known map[string]flow.Requirement) []flow.Load {
	type key struct {
		cluster, group, workflow string
		tenant                   flow.Tenant
	}
	sums := map[key]*flow.Load{}
	for _, g := range groups {
		r := g.requirement
		if g.digest != "" {
			r = known[g.digest]
		}
		k := key{g.load.Cluster, r.Group, r.Workflow, g.load.Tenant}
		if sums[k] == nil {
			sums[k] = &flow.Load{Cluster: k.cluster, Tenant: k.tenant, Group: k.group, Workflow: k.workflow}
		}
		sums[k].Executions += g.load.Executions
		sums[k].Reservation = sums[k].Reservation.Add(r.Reservation.Times(g.load.Executions))
	}
	loads := make([]flow.Load, 0, len(sums))
	for _, load := range sums {
		loads = append(loads, *load)
	}
	slices.SortFunc(loads, func(a, b flow.Load) int {
		return slices.Compare([]string{a.Cluster, a.Tenant.Project, a.Tenant.Domain, a.Group, a.Workflow},
			[]string{b.Cluster, b.Tenant.Project, b.Tenant.Domain, b.Group, b.Workflow})
	})
	return loads
}

// optional is a JSON column that may be NULL or of few values: it is decoded
// only if it says something.
type optional[T any] struct{ value *T }

func lazy[T any](value *T) *optional[T] { return &optional[T]{value} }

// Scan reads a column.
func (o *optional[T]) Scan(source any) error {
	var text []byte
	switch source := source.(type) {
	case string:
		text = []byte(source)
	case []byte:
		text = source
	}
	if len(text) == 0 || string(text) == "{}" {
		return nil
	}
	return json.Unmarshal(text, o.value)
}
