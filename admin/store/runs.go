package store

import (
	"context"

	"github.com/skein-project/skein/api/flow"
)

var nodeList = listing{
	noun: "node_execution", newest: "created_at", tie: []string{"node"},
	fields: withExecution("nodes", map[string]field{
		"node_id": text("node"), "phase": phase(flow.NodeRecovered), "parent_id": text("parent"),
		"started_at": instant("started_at"), "node_execution_created_at": instant("created_at"),
		"node_execution_updated_at": instant("updated_at"), "created_at": instant("created_at"),
		"updated_at": instant("updated_at"), "duration": seconds(lasted),
	}),
}

var taskList = listing{
	noun: "task_execution", newest: "created_at", tie: []string{"attempt", "task_name", "task_version"},
	fields: withExecution("tasks", map[string]field{
		"node_execution.node_id": text("node"),
		"project":                text("task_project"), "domain": text("task_domain"), "name": text("task_name"),
		"version": text("task_version"), "task.project": text("task_project"), "task.domain": text("task_domain"),
		"task.name": text("task_name"), "task.version": text("task_version"), "node_id": text("node"),
		"retry_attempt": integer("attempt"), "phase": phase(flow.TaskRetryableFailed), "phase_version": integer("version"),
		"started_at": instant("started_at"), "task_execution_created_at": instant("created_at"),
		"task_execution_updated_at": instant("updated_at"), "created_at": instant("created_at"),
		"updated_at": instant("updated_at"), "duration": seconds(lasted),
	}),
}

// withExecution adds the fields of the execution that a table's rows belong to.
func withExecution(table string, fields map[string]field) map[string]field {
	fields["execution.project"], fields["execution.domain"] = text("project"), text("domain")
	fields["execution.name"] = text("name")
	of := phase(flow.ExecutionAborting)
	of.sql = "(SELECT e.phase FROM executions e WHERE e.name = " + table + ".name AND e.project = " + table + ".project AND e.domain = " + table + ".domain)"
	fields["execution.phase"] = of
	return fields
}

func nodeKey(n *flow.NodeID) []column {
	return append(executionKey(&n.Execution), column{"node", &n.Node})
}

func nodeColumns(n *flow.NodeExecution) []column {
	columns := append(nodeKey(&n.ID), column{"parent", &n.Parent})
	columns = append(columns, epochColumns(&n.Epoch)...)
	return append(columns,
		column{"phase", &n.Phase}, column{"sequence", &n.Sequence}, column{"detail", &n.Detail}, column{"reason", &n.Reason},
		column{"created_at", at(&n.CreatedAt)}, column{"updated_at", at(&n.UpdatedAt)},
		column{"started_at", at(&n.StartedAt)}, column{"ended_at", at(&n.EndedAt)})
}

func taskColumns(t *flow.TaskExecution) []column {
	columns := append(nodeKey(&t.Node), column{"attempt", &t.Attempt})
	columns = append(columns, entityColumns("task_", &t.Task)...)
	columns = append(columns, epochColumns(&t.Epoch)...)
	return append(columns,
		column{"phase", &t.Phase}, column{"version", &t.Version}, column{"sequence", &t.Sequence},
		column{"detail", &t.Detail}, column{"reason", &t.Reason},
		column{"created_at", at(&t.CreatedAt)}, column{"updated_at", at(&t.UpdatedAt)},
		column{"started_at", at(&t.StartedAt)}, column{"ended_at", at(&t.EndedAt)})
}

const ofNode = ofExecution + " AND node = $4"

// GetNode reads one node's state; NotFound.
func (s *Store) GetNode(ctx context.Context, id flow.NodeID) (flow.NodeExecution, error) {
	var n flow.NodeExecution
	columns := nodeColumns(&n)
	err := s.read(ctx, "GetNode", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+names("", columns)+" FROM nodes"+ofNode,
			id.Execution.Name, id.Execution.Project, id.Execution.Domain, id.Node).Scan(places(columns)...)
	})
	return n, named(err, "node %s", id)
}

// ListNodes lists the children of a node, or the nodes at top level if parent
// is empty.
func (s *Store) ListNodes(ctx context.Context, id flow.ExecutionID, parent string, q flow.Query) ([]flow.NodeExecution, error) {
	where := whereExecution(id)
	where.and("parent = ?", parent)
	return list(ctx, s, "ListNodes", "nodes", nodeList, where, q, nodeColumns)
}

func whereExecution(id flow.ExecutionID) *selection {
	where := &selection{}
	where.and("name = ?", id.Name)
	where.and("project = ?", id.Project)
	where.and("domain = ?", id.Domain)
	return where
}

// GetTask reads one attempt's state; NotFound.
func (s *Store) GetTask(ctx context.Context, node flow.NodeID, task flow.EntityID, attempt uint32) (flow.TaskExecution, error) {
	var t flow.TaskExecution
	columns := taskColumns(&t)
	err := s.read(ctx, "GetTask", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+names("", columns)+" FROM tasks"+ofNode+
			" AND attempt = $5 AND task_project = $6 AND task_domain = $7 AND task_name = $8 AND task_version = $9",
			node.Execution.Name, node.Execution.Project, node.Execution.Domain, node.Node,
			attempt, task.Project, task.Domain, task.Name, task.Version).Scan(places(columns)...)
	})
	return t, named(err, "attempt %d of task %s on node %s", attempt, task, node)
}

// ListTasks lists the attempts on a node.
func (s *Store) ListTasks(ctx context.Context, node flow.NodeID, q flow.Query) ([]flow.TaskExecution, error) {
	where := whereExecution(node.Execution)
	where.and("node = ?", node.Node)
	return list(ctx, s, "ListTasks", "tasks", taskList, where, q, taskColumns)
}
