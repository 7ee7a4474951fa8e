package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// CreateProject is as admin/store's.
func (s *Store) CreateProject(ctx context.Context, p flow.Project) error {
	return s.write(ctx, "CreateProject", func(t *tables) error {
		if _, taken := t.projects[p.ID]; taken {
			return fault.E(fault.Conflict, "project %q exists already", p.ID)
		}
		t.projects[p.ID] = p
		return nil
	})
}

// UpdateProject is as admin/store's.
func (s *Store) UpdateProject(ctx context.Context, p flow.Project) error {
	return s.write(ctx, "UpdateProject", func(t *tables) error {
		old, ok := t.projects[p.ID]
		if !ok {
			return fault.E(fault.NotFound, "project %q does not exist", p.ID)
		}
		p.CreatedAt = old.CreatedAt
		t.projects[p.ID] = p
		return nil
	})
}

// CreateEntity is as admin/store's. It is here for the closures of assignments.
func (s *Store) CreateEntity(ctx context.Context, e flow.Entity) error {
	return s.write(ctx, "CreateEntity", func(t *tables) error {
		key := entityKey{e.Kind, e.ID}
		if _, taken := t.entities[key]; taken {
			return fault.E(fault.Conflict, "%s %s exists already", e.Kind, e.ID)
		}
		t.entities[key] = e
		return nil
	})
}

// CreateExecution is as admin/store's.
func (s *Store) CreateExecution(ctx context.Context, e flow.Execution) error {
	return s.write(ctx, "CreateExecution", func(t *tables) error {
		if p, ok := t.projects[e.ID.Project]; !ok || p.State == 1 || p.State == 3 {
			return fault.E(fault.Precondition, "project %q does not exist or is archived", e.ID.Project)
		}
		if t.runs[e.ID] != nil {
			return fault.E(fault.Conflict, "execution %s exists already", e.ID)
		}
		if e.CreatedAt.IsZero() {
			e.CreatedAt = s.o.Now()
		}
		e.CreatedAt, e.UpdatedAt = stamp(e.CreatedAt), stamp(e.UpdatedAt)
		if e.UpdatedAt.IsZero() {
			e.UpdatedAt = e.CreatedAt
		}
		if e.Desired == "" {
			e.Desired = flow.DesiredRun
		}
		t.runs[e.ID] = &run{e: e, digest: digestOf(e.Requirement),
			nodes: map[string]flow.NodeExecution{}, tasks: map[attempt]flow.TaskExecution{}}
		t.order = append(t.order, e.ID)
		t.classes[t.runs[e.ID].digest] = e.Requirement
		t.before = map[flow.ExecutionID]flow.Execution{e.ID: {}}
		t.touched = []flow.ExecutionID{e.ID}
		return nil
	})
}

// GetExecution is as admin/store's.
func (s *Store) GetExecution(ctx context.Context, id flow.ExecutionID) (e flow.Execution, err error) {
	err = s.read(ctx, "GetExecution", func(t *tables) error {
		r, err := t.run(id)
		if err == nil {
			e = r.e
		}
		return err
	})
	return e, err
}

// AbortExecution is as admin/store's.
func (s *Store) AbortExecution(ctx context.Context, id flow.ExecutionID, cause, principal string, at time.Time) (e flow.Execution, err error) {
	err = s.write(ctx, "AbortExecution", func(t *tables) error {
		r, err := t.run(id)
		if err != nil {
			return err
		}
		switch {
		case r.e.Phase.Terminal():
			e = light(r.e)
			return fault.E(fault.Precondition, "execution %s is %s already", id, r.e.Phase)
		case r.e.Desired == flow.DesiredAbort:
			e = light(r.e)
			return nil
		}
		x := t.touch(r)
		x.Desired, x.AbortCause, x.AbortPrincipal = flow.DesiredAbort, cause, principal
		x.Phase, x.UpdatedAt = flow.ExecutionAborting, stamp(at)
		x.Revoking = ""
		x.Version++
		if x.Cluster == "" {
			x.Phase, x.EndedAt = flow.ExecutionAborted, stamp(at)
		} else {
			x.Revision++
			t.want(x)
		}
		e = light(*x)
		return nil
	})
	return e, err
}

// light is an execution as most reads give it: without its inputs.
func light(e flow.Execution) flow.Execution {
	e.Inputs, e.UserInputs = nil, nil
	return e
}

// ArchiveExecution is as admin/store's.
func (s *Store) ArchiveExecution(ctx context.Context, id flow.ExecutionID, archived bool) error {
	return s.write(ctx, "ArchiveExecution", func(t *tables) error {
		r, err := t.run(id)
		if err != nil {
			return err
		}
		t.touch(r)
		r.e.Archived, r.e.UpdatedAt = archived, stamp(s.o.Now())
		r.e.Version++
		return nil
	})
}

// GetNode is as admin/store's.
func (s *Store) GetNode(ctx context.Context, id flow.NodeID) (n flow.NodeExecution, err error) {
	err = s.read(ctx, "GetNode", func(t *tables) error {
		r, err := t.run(id.Execution)
		if err != nil {
			return err
		}
		found, ok := r.nodes[id.Node]
		if !ok {
			return fault.E(fault.NotFound, "node %s does not exist", id)
		}
		n = found
		return nil
	})
	return n, err
}

// ListNodes gives all children of a node, newest first. It knows no filters.
func (s *Store) ListNodes(ctx context.Context, id flow.ExecutionID, parent string, _ flow.Query) (list []flow.NodeExecution, err error) {
	err = s.read(ctx, "ListNodes", func(t *tables) error {
		r, err := t.run(id)
		if err != nil {
			return nil
		}
		for _, name := range sortedKeys(r.nodes) {
			if n := r.nodes[name]; n.Parent == parent {
				list = append(list, n)
			}
		}
		slices.SortStableFunc(list, func(a, b flow.NodeExecution) int { return b.CreatedAt.Compare(a.CreatedAt) })
		return nil
	})
	return list, err
}

// GetTask is as admin/store's.
func (s *Store) GetTask(ctx context.Context, node flow.NodeID, task flow.EntityID, n uint32) (out flow.TaskExecution, err error) {
	err = s.read(ctx, "GetTask", func(t *tables) error {
		r, err := t.run(node.Execution)
		if err != nil {
			return err
		}
		found, ok := r.tasks[attempt{node.Node, n}]
		if !ok || found.Task != task {
			return fault.E(fault.NotFound, "attempt %d of task %s on node %s does not exist", n, task, node)
		}
		out = found
		return nil
	})
	return out, err
}

// ListTasks gives all attempts on a node, newest first. It knows no filters.
func (s *Store) ListTasks(ctx context.Context, node flow.NodeID, _ flow.Query) (list []flow.TaskExecution, err error) {
	err = s.read(ctx, "ListTasks", func(t *tables) error {
		r, err := t.run(node.Execution)
		if err != nil {
			return nil
		}
		for _, a := range sortedAttempts(r.tasks) {
			if a.node == node.Node {
				list = append(list, r.tasks[a])
			}
		}
		slices.Reverse(list)
		return nil
	})
	return list, err
}
