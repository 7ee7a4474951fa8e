package store

import (
	"context"

	"github.com/skein-project/skein/api/flow"
)

var executionList = listing{
	noun: "execution", newest: "created_at", tie: []string{"name"}, fields: executionFields(),
}

// executionFields are the public columns of an execution (contract section 8)
// and those of the entities that it was launched from.
func executionFields() map[string]field {
	fields := map[string]field{
		"execution_project": text("project"), "execution_domain": text("domain"), "execution_name": text("name"),
		"project": text("project"), "domain": text("domain"), "name": text("name"),
		"phase": phase(flow.ExecutionAborting), "cluster": text("cluster"),
		"started_at": instant("started_at"), "execution_created_at": instant("created_at"),
		"execution_updated_at": instant("updated_at"), "created_at": instant("created_at"),
		"updated_at": instant("updated_at"), "duration": seconds(lasted), "mode": integer("mode"),
		"error_kind": text("error_kind"), "error_code": text("error_code"), "user": text("principal"),
		"state":         integer("(CASE WHEN archived THEN 1 ELSE 0 END)"),
		"launch_entity": text("(CASE WHEN task_name <> '' THEN 'TASK' ELSE 'LAUNCH_PLAN' END)"),
	}
	for _, of := range []string{"launch_plan", "workflow", "task"} {
		for _, part := range []string{"project", "domain", "name", "version"} {
			fields[of+"."+part] = text(of + "_" + part)
		}
	}
	return fields
}

// ListExecutions lists executions, newest first, without Inputs and UserInputs.
func (s *Store) ListExecutions(ctx context.Context, project, domain string, q flow.Query) ([]flow.Execution, error) {
	where := &selection{}
	where.and("project = ?", project)
	where.and("domain = ?", domain)
	return list(ctx, s, "ListExecutions", "executions", executionList, where, q, lightColumns)
}
