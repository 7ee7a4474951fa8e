package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// untouched gives the clusters of whose members no lease row has changed since
// the scheduler saw them. It is read in the transaction that takes the work:
// a lease that was granted after the decision was made would otherwise let two
// members start the same execution (docs/invariants.md, I33).
func untouched(ctx context.Context, tx pgx.Tx, takeovers []flow.Takeover) (map[string]bool, error) {
	free, seen := map[string]bool{}, map[flow.Member]flow.LeaseMark{}
	var clusters []string
	for _, t := range takeovers {
		clusters, free[t.Cluster] = append(clusters, t.Cluster), true
		for _, m := range t.Marks {
			seen[m.Member] = m
		}
	}
	if len(clusters) == 0 || mutant.On("re-place-without-reading-the-lease-row") {
		return free, nil
	}
	rows, err := tx.Query(ctx, "SELECT cluster, instance, generation, recorded_at FROM leases WHERE cluster = ANY($1::TEXT[])", clusters)
	if err != nil {
		return nil, err
	}
	found, err := collect(rows, func(m *flow.LeaseMark) []column {
		return []column{{"", &m.Cluster}, {"", &m.Instance}, {"", &m.Generation}, {"", at(&m.RecordedAt)}}
	})
	for _, m := range found {
		mark := seen[m.Member]
		delete(seen, m.Member)
		if mark.Generation != m.Generation || !mark.RecordedAt.Truncate(time.Microsecond).Equal(m.RecordedAt) {
			free[m.Cluster] = false
		}
	}
	for _, mark := range seen { // of these there is no row
		if mark.Generation != 0 {
			free[mark.Cluster] = false
		}
	}
	if err != nil {
		return nil, err
	}
	return free, stillLost(ctx, tx, takeovers, free)
}

// stillLost keeps what was to be taken on an operator's word from a cluster that
// was declared found meanwhile: its members may hold leases from before the loss,
// and have had verdicts since that let them go on.
func stillLost(ctx context.Context, tx pgx.Tx, takeovers []flow.Takeover, free map[string]bool) error {
	var claimed []string
	for _, t := range takeovers {
		if t.Lost {
			claimed = append(claimed, t.Cluster)
		}
	}
	if len(claimed) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, "SELECT name FROM clusters WHERE name = ANY($1::TEXT[]) AND lost", claimed)
	if err != nil {
		return err
	}
	lost, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range claimed {
		free[name] = free[name] && slices.Contains(lost, name)
	}
	return err
}

// departure is an execution's leaving of a cluster at an epoch.
type departure struct {
	id      flow.ExecutionID
	cluster string
	epoch   flow.Epoch
	kind    flow.MoveKind
	reason  string
	agreed  bool // its cluster was asked, whatever the kind says
}

// forced reports whether it leaves without its cluster's word.
func (d departure) forced() bool { return d.kind.Forced() && !d.agreed }

func departureColumns(d *departure) []column {
	return append(append(executionKey(&d.id), epochColumns(&d.epoch)...), column{"cluster", &d.cluster})
}

// why tells people of a move that nobody gave words to.
func why(kind flow.MoveKind, cluster string) string {
	switch kind {
	case flow.MoveLapse:
		return fmt.Sprintf("cluster %s lapsed: no member of it held a lease any more", cluster)
	case flow.MoveLost:
		return fmt.Sprintf("cluster %s was declared lost", cluster)
	case flow.MoveReleased:
		return fmt.Sprintf("cluster %s had taken it over and holds it no more", cluster)
	}
	return fmt.Sprintf("%s of cluster %s", kind, cluster)
}

const ofKeys = `FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
	WHERE t.name = k.name AND t.project = k.project AND t.domain = k.domain`

// queueDepartures clears executions away from where they were: what ran is
// closed as lost, charged to nobody; the outbox row goes; the move is written
// down. What is taken without asking the owner raises the ownership revision of
// its cluster's members (I25), so that no lease which is still asked for covers
// what is gone. The executions' own rows are the caller's.
func queueDepartures(batch *pgx.Batch, list []departure, when time.Time) {
	if len(list) == 0 {
		return
	}
	var k keys
	var clusters, kinds, reasons, forced []string
	var eras, ns []int64
	for _, d := range list {
		k.add(d.id)
		clusters, kinds, reasons = append(clusters, d.cluster), append(kinds, string(d.kind)), append(reasons, d.reason)
		eras, ns = append(eras, int64(d.epoch.Era)), append(ns, int64(d.epoch.N))
		if d.forced() && !slices.Contains(forced, d.cluster) {
			forced = append(forced, d.cluster)
		}
	}
	batch.Queue("UPDATE nodes AS t SET phase = 6, reason = $4, updated_at = $5, ended_at = $5 "+ofKeys+
		" AND t.phase NOT IN (3, 5, 6, 7, 8, 10)", k.names, k.projects, k.domains, flow.ReasonClusterLost, when)
	batch.Queue("UPDATE tasks AS t SET phase = 4, reason = $4, updated_at = $5, ended_at = $5 "+ofKeys+
		" AND t.phase NOT IN (3, 4, 5, 8)", k.names, k.projects, k.domains, flow.ReasonClusterLost, when)
	batch.Queue(`DELETE FROM outbox AS t USING unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[]) AS k (name, project, domain, cluster)
		WHERE t.name = k.name AND t.project = k.project AND t.domain = k.domain AND t.cluster = k.cluster`,
		k.names, k.projects, k.domains, clusters)
	batch.Queue(`INSERT INTO moves (name, project, domain, from_cluster, kind, reason, epoch_era, epoch_n, moved_at)
		SELECT k.name, k.project, k.domain, k.cluster, k.kind, k.reason, k.era, k.n, $9::TIMESTAMPTZ
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::INT8[], $8::INT8[])
		AS k (name, project, domain, cluster, kind, reason, era, n)
		ON CONFLICT (name, project, domain, epoch_era, epoch_n) DO NOTHING`,
		k.names, k.projects, k.domains, clusters, kinds, reasons, eras, ns, when)
	if len(forced) > 0 {
		batch.Queue("UPDATE members SET ownership_revision = ownership_revision + 1 WHERE cluster = ANY($1::TEXT[])", forced)
	}
}

// The columns that rows have in the archive too.
const (
	nodeState = "node, parent, epoch_era, epoch_n, phase, sequence, detail, reason, created_at, updated_at, started_at, ended_at"
	taskState = `node, attempt, task_project, task_domain, task_name, task_version, epoch_era, epoch_n, phase, version, sequence,
		detail, reason, created_at, updated_at, started_at, ended_at`
)

// queueArchive puts away what earlier epochs recorded of executions that begin
// anew.
func queueArchive(batch *pgx.Batch, anew []placedRow) {
	if len(anew) == 0 {
		return
	}
	var k keys
	var eras, ns []int64
	for _, row := range anew {
		k.add(row.id)
		eras, ns = append(eras, int64(row.epoch.Era)), append(ns, int64(row.epoch.N))
	}
	for table, columns := range map[string]string{"nodes": nodeState, "tasks": taskState} {
		batch.Queue("INSERT INTO archived_"+table+" (name, project, domain, until_era, until_n, "+columns+`)
			SELECT t.name, t.project, t.domain, k.until_era, k.until_n, `+columns+` FROM `+table+` t
			JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::INT8[]) AS k (n, p, d, until_era, until_n)
			ON t.name = k.n AND t.project = k.p AND t.domain = k.d`, k.names, k.projects, k.domains, eras, ns)
		batch.Queue("DELETE FROM "+table+" AS t USING unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)"+
			" WHERE t.name = k.name AND t.project = k.project AND t.domain = k.domain", k.names, k.projects, k.domains)
	}
}

// ListMoves lists the clusters that an execution has left, newest first.
func (s *Store) ListMoves(ctx context.Context, id flow.ExecutionID) ([]flow.Move, error) {
	return query(ctx, s, "ListMoves", func(m *flow.Move) []column {
		return append(append(executionKey(&m.Execution), epochColumns(&m.Epoch)...),
			column{"", &m.From}, column{"", &m.Kind}, column{"", &m.Reason}, column{"", at(&m.At)})
	}, `SELECT name, project, domain, epoch_era, epoch_n, from_cluster, kind, reason, moved_at FROM moves`+ofExecution+`
		ORDER BY epoch_era DESC, epoch_n DESC`, id.Name, id.Project, id.Domain)
}

// ArchivedNodes lists the nodes that restarts have put away, those of the
// newest restart first.
func (s *Store) ArchivedNodes(ctx context.Context, id flow.ExecutionID) ([]flow.NodeExecution, error) {
	return query(ctx, s, "ArchivedNodes", nodeColumns, "SELECT "+names("", nodeColumns(new(flow.NodeExecution)))+
		" FROM archived_nodes"+ofExecution+" ORDER BY until_era DESC, until_n DESC, node", id.Name, id.Project, id.Domain)
}

// ArchivedTasks lists the attempts that restarts have put away, those of the
// newest restart first.
func (s *Store) ArchivedTasks(ctx context.Context, id flow.ExecutionID) ([]flow.TaskExecution, error) {
	return query(ctx, s, "ArchivedTasks", taskColumns, "SELECT "+names("", taskColumns(new(flow.TaskExecution)))+
		" FROM archived_tasks"+ofExecution+" ORDER BY until_era DESC, until_n DESC, node, attempt", id.Name, id.Project, id.Domain)
}
