package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// The states of an execution row, written as the partial indexes have them.
const (
	isPending = "cluster = '' AND phase IN (0, 1)"
	isPlaced  = "cluster <> '' AND phase NOT IN (4, 6, 7, 8)"
)

// askedColumns are written once, when the execution is created.
func askedColumns(e *flow.Execution) []column {
	columns := append(executionKey(&e.ID), column{"spec", &e.Spec}, column{"inputs_uri", &e.InputsURI})
	columns = append(columns, entityColumns("workflow_", &e.Workflow)...)
	columns = append(columns, entityColumns("launch_plan_", &e.LaunchPlan)...)
	columns = append(columns, entityColumns("task_", &e.Task)...)
	return append(columns,
		column{"requirement", &e.Requirement}, column{"data_prefix", &e.DataPrefix}, column{"raw_prefix", &e.RawPrefix},
		column{"principal", &e.Principal}, column{"mode", &e.Mode}, column{"trace", &e.Trace}, column{"failover", &e.Failover},
		column{"created_at", at(&e.CreatedAt)})
}

// inputColumns may be large; only GetExecution reads them.
func inputColumns(e *flow.Execution) []column {
	return []column{{"inputs", &e.Inputs}, {"user_inputs", &e.UserInputs}}
}

// stateColumns change while the execution lives.
func stateColumns(e *flow.Execution) []column {
	columns := []column{{"archived", &e.Archived}, {"phase", &e.Phase}, {"desired", &e.Desired}}
	columns = append(columns, epochColumns(&e.Epoch)...)
	return append(columns,
		column{"cluster", &e.Cluster}, column{"revision", &e.Revision}, column{"sequence", &e.Sequence},
		column{"abort_cause", &e.AbortCause}, column{"abort_principal", &e.AbortPrincipal},
		column{"error", &e.Error}, column{"error_kind", &e.ErrorKind}, column{"error_code", &e.ErrorCode},
		column{"output_uri", &e.OutputURI}, column{"updated_at", at(&e.UpdatedAt)},
		column{"started_at", at(&e.StartedAt)}, column{"ended_at", at(&e.EndedAt)}, column{"version", &e.Version},
		column{"moves", &e.Moves}, column{"revoking", &e.Revoking}, column{"resumed", &e.Resumed}, column{"not_before", at(&e.NotBefore)})
}

// lightColumns are all but the inputs.
func lightColumns(e *flow.Execution) []column { return append(askedColumns(e), stateColumns(e)...) }

// CreateExecution accepts an execution; Conflict if its name exists, and
// Precondition unless its project exists and is not archived. It is one
// statement, so that a control plane far from its database pays one round trip.
func (s *Store) CreateExecution(ctx context.Context, e flow.Execution) error {
	if e.CreatedAt.IsZero() {
		e.CreatedAt = now()
	}
	if e.UpdatedAt.IsZero() {
		e.UpdatedAt = e.CreatedAt
	}
	if e.Desired == "" {
		e.Desired = flow.DesiredRun
	}
	nonce, digest := uuid.NewString(), digestOf(e.Requirement)
	columns := append(append(lightColumns(&e), inputColumns(&e)...), column{"nonce", &nonce}, column{"digest", &digest})
	sql, args := insertExecution(columns, acceptsExecutions), places(columns)
	err := s.write(ctx, change{
		op:  "CreateExecution",
		run: func(ctx context.Context) error { return s.once(ctx, "CreateExecution", sql, args...) },
		landed: func(ctx context.Context) (bool, error) {
			return s.holds(ctx, "SELECT count(*) > 0 FROM executions WHERE name = $1 AND project = $2 AND domain = $3 AND nonce = $4",
				e.ID.Name, e.ID.Project, e.ID.Domain, nonce)
		},
	})
	switch {
	case sqlState(err) == stateNotNull:
		return fault.Wrap(fault.Precondition, err, "project %q does not exist or is archived", e.ID.Project)
	case fault.Is(err, fault.Conflict):
		return fault.Wrap(fault.Conflict, err, "execution %s exists already", e.ID)
	}
	return err
}

// acceptsExecutions says of a project that it is not archived: 1 and 3 are
// Flyte's ARCHIVED and SYSTEM_ARCHIVED.
const acceptsExecutions = " AND state NOT IN (1, 3)"

// insertExecution takes the project's id from its own row if it exists and is as
// asked: else it is NULL, which the column refuses. The requirement is stored by
// its digest too, by whoever is the first to ask for it.
func insertExecution(columns []column, project string) string {
	marks, requirement := make([]string, len(columns)), map[string]string{}
	for i, c := range columns {
		marks[i] = "$" + strconv.Itoa(i+1)
		switch c.name {
		case "project":
			marks[i] = "(SELECT id FROM projects WHERE id = " + marks[i] + project + ")"
		case "digest", "requirement":
			marks[i] += map[string]string{"digest": "::TEXT", "requirement": "::JSONB"}[c.name]
			requirement[c.name] = marks[i]
		}
	}
	return "WITH class AS (INSERT INTO requirements (digest, requirement) VALUES (" + requirement["digest"] + ", " + requirement["requirement"] +
		") ON CONFLICT (digest) DO NOTHING) " +
		"INSERT INTO executions (" + names("", columns) + ") VALUES (" + strings.Join(marks, ", ") + ")"
}

const ofExecution = " WHERE name = $1 AND project = $2 AND domain = $3"

// GetExecution reads an execution with its inputs; NotFound.
func (s *Store) GetExecution(ctx context.Context, id flow.ExecutionID) (flow.Execution, error) {
	var e flow.Execution
	columns := append(lightColumns(&e), inputColumns(&e)...)
	err := s.read(ctx, "GetExecution", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+names("", columns)+" FROM executions"+ofExecution,
			id.Name, id.Project, id.Domain).Scan(places(columns)...)
	})
	return e, named(err, "execution %s", id)
}

// AbortExecution records that an execution is to end, and gives its row. One
// that no cluster holds is ABORTED at once; one that a cluster holds becomes
// ABORTING, and its cluster is told; if it was being revoked, it is not any
// more. Repeating it changes nothing. Precondition with the row if it has ended
// already.
func (s *Store) AbortExecution(ctx context.Context, id flow.ExecutionID, cause, principal string, when time.Time) (flow.Execution, error) {
	var e flow.Execution
	err := s.change(ctx, "AbortExecution", func(ctx context.Context, tx pgx.Tx) error {
		e = flow.Execution{}
		columns := lightColumns(&e)
		err := tx.QueryRow(ctx, "SELECT "+names("", columns)+" FROM executions"+ofExecution,
			id.Name, id.Project, id.Domain).Scan(places(columns)...)
		switch {
		case err != nil:
			return err
		case e.Phase.Terminal():
			return fault.E(fault.Precondition, "execution %s is %s already", id, e.Phase)
		case e.Desired == flow.DesiredAbort:
			return nil
		}
		abort(&e, cause, principal, when)
		return writeAbort(ctx, tx, &e)
	}, func(ctx context.Context) (bool, error) {
		return s.holds(ctx, "SELECT count(*) > 0 FROM executions"+ofExecution+
			" AND desired = 'abort' AND abort_cause = $4 AND abort_principal = $5 AND version = $6",
			id.Name, id.Project, id.Domain, cause, principal, e.Version)
	})
	return e, named(err, "execution %s", id)
}

func abort(e *flow.Execution, cause, principal string, when time.Time) {
	when = when.UTC().Truncate(time.Microsecond)
	e.Desired, e.AbortCause, e.AbortPrincipal = flow.DesiredAbort, cause, principal
	e.Phase, e.UpdatedAt = flow.ExecutionAborting, when
	e.Revoking = ""
	e.Version++
	if e.Cluster == "" {
		e.Phase, e.EndedAt = flow.ExecutionAborted, when
		return
	}
	e.Revision++
}

func writeAbort(ctx context.Context, tx pgx.Tx, e *flow.Execution) error {
	if err := writeState(ctx, tx, e); err != nil {
		return err
	}
	if e.Cluster == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO outbox (cluster, name, project, domain, epoch_era, epoch_n, wanted, acked, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)
		ON CONFLICT (cluster, name, project, domain) DO UPDATE SET wanted = excluded.wanted, updated_at = excluded.updated_at`,
		e.Cluster, e.ID.Name, e.ID.Project, e.ID.Domain, e.Epoch.Era, e.Epoch.N, e.Revision, at(&e.UpdatedAt))
	return err
}

func writeState(ctx context.Context, tx pgx.Tx, e *flow.Execution) error {
	columns := stateColumns(e)
	args := append([]any{e.ID.Name, e.ID.Project, e.ID.Domain}, places(columns)...)
	_, err := tx.Exec(ctx, "UPDATE executions SET "+setAll(columns, 4)+ofExecution, args...)
	return err
}

// ArchiveExecution hides an execution from default lists, or shows it again;
// NotFound.
func (s *Store) ArchiveExecution(ctx context.Context, id flow.ExecutionID, archived bool) error {
	return s.change(ctx, "ArchiveExecution", func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE executions SET archived = $4, version = version + 1, updated_at = $5"+ofExecution,
			id.Name, id.Project, id.Domain, archived, now())
		if err == nil && tag.RowsAffected() == 0 {
			return fault.E(fault.NotFound, "execution %s does not exist", id)
		}
		return err
	}, nil)
}
