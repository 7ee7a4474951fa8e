package store

import (
	"context"

	"github.com/skein-project/skein/api/flow"
)

// ListDecisions lists an execution's placements and its newest wait, newest
// first. It reads what was stored when it was decided.
func (s *Store) ListDecisions(ctx context.Context, id flow.ExecutionID) ([]flow.Decision, error) {
	return query(ctx, s, "ListDecisions", func(d *flow.Decision) []column {
		return append(append(executionKey(&d.Execution), epochColumns(&d.Epoch)...),
			column{"", &d.Cluster}, column{"", &d.Scheduler.Era}, column{"", &d.Scheduler.N},
			column{"", &d.Reasons}, column{"", at(&d.At)})
	}, `SELECT name, project, domain, epoch_era, epoch_n, cluster, scheduler_era, scheduler_epoch, reasons, decided_at
		FROM decisions`+ofExecution+`
		UNION ALL SELECT name, project, domain, 0, 0, '', scheduler_era, scheduler_epoch, reasons, decided_at
		FROM waits`+ofExecution+` ORDER BY decided_at DESC, epoch_era DESC, epoch_n DESC`, id.Name, id.Project, id.Domain)
}
