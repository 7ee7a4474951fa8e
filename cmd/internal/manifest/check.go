package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// problems collects what is wrong, each with its place.
type problems []string

// add notes one problem.
func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (m *Manifest) check() []string {
	var p problems
	if len(m.Tasks) == 0 {
		p.add("tasks: at least one is needed")
	}
	tasks := map[string]Task{}
	for i, t := range m.Tasks {
		at := fmt.Sprintf("tasks[%d]", i)
		if t.Name == "" {
			p.add("%s.name: must be set", at)
		}
		if _, twice := tasks[t.Name]; twice {
			p.add("%s.name: %q is there twice", at, t.Name)
		}
		tasks[t.Name] = t
		t.check(&p, at)
	}
	if m.Workflow != nil {
		m.Workflow.check(&p, tasks)
	}
	return p
}

func (t Task) check(p *problems, at string) {
	if t.Image == "" {
		p.add("%s.image: must be set", at)
	}
	if len(t.Command)+len(t.Args) == 0 {
		p.add("%s.command: must be set: images are not asked for theirs", at)
	}
	for _, side := range []struct {
		kind string
		vars map[string]string
	}{{"inputs", t.Inputs}, {"outputs", t.Outputs}} {
		for _, name := range slices.Sorted(maps.Keys(side.vars)) {
			if _, err := parseType(side.vars[name]); err != nil {
				p.add("%s.%s.%s: %v", at, side.kind, name, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Resources)) {
		if _, ok := resourceNames[name]; !ok {
			p.add("%s.resources.%s: want cpu, memory, gpu or ephemeral-storage", at, name)
		} else if _, err := resource.ParseQuantity(t.Resources[name]); err != nil {
			p.add("%s.resources.%s: want a quantity such as 500m, 2 or 1Gi, got %q", at, name, t.Resources[name])
		}
	}
	if t.Timeout != "" {
		if _, err := parseDuration(t.Timeout); err != nil {
			p.add("%s.timeout: %v", at, err)
		}
	}
}

func (w *Workflow) check(p *problems, tasks map[string]Task) {
	if w.Name == "" {
		p.add("workflow.name: must be set")
	}
	for _, name := range slices.Sorted(maps.Keys(w.Inputs)) {
		in := w.Inputs[name]
		typ, err := parseType(in.Type)
		if err != nil {
			p.add("workflow.inputs.%s.type: %v", name, err)
			continue
		}
		if in.Default != nil {
			if _, err := Literal(typ, in.Default); err != nil {
				p.add("workflow.inputs.%s.default: %v", name, err)
			}
		}
	}
	if _, ok := failurePolicies[w.FailurePolicy]; !ok {
		p.add("workflow.failurePolicy: want fail-immediately or finish-running, got %q", w.FailurePolicy)
	}
	if len(w.Nodes) == 0 {
		p.add("workflow.nodes: at least one is needed")
	}
	nodes := map[string]string{}
	for i, n := range w.Nodes {
		at := fmt.Sprintf("workflow.nodes[%d].id", i)
		switch _, twice := nodes[n.ID]; {
		case n.ID == "":
			p.add("%s: must be set", at)
		case n.ID == "inputs":
			p.add("%s: \"inputs\" means the workflow's inputs in references; choose another", at)
		case twice:
			p.add("%s: %q is there twice", at, n.ID)
		}
		nodes[n.ID] = n.Task
	}
	for i, n := range w.Nodes {
		w.checkNode(p, fmt.Sprintf("workflow.nodes[%d]", i), n, nodes, tasks)
	}
	w.checkCircles(p)
	for _, name := range slices.Sorted(maps.Keys(w.Outputs)) {
		at := "workflow.outputs." + name
		if _, _, ok := reference(w.Outputs[name]); !ok {
			p.add("%s: want a reference such as ${node.output}, got %v", at, w.Outputs[name])
			continue
		}
		w.checkReference(p, at, w.Outputs[name], nodes, tasks)
	}
}

func (w *Workflow) checkNode(p *problems, at string, n Node, nodes map[string]string, tasks map[string]Task) {
	for _, id := range n.After {
		if _, known := nodes[id]; !known {
			p.add("%s.after: %q is no node", at, id)
		}
	}
	task, known := tasks[n.Task]
	if !known {
		p.add("%s.task: %q is not among tasks", at, n.Task)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(n.Inputs)) {
		at := at + ".inputs." + name
		typ, declared := task.Inputs[name]
		if !declared {
			p.add("%s: task %q has no such input; it has %s", at, n.Task, keys(task.Inputs))
			continue
		}
		if _, err := binding(typ, n.Inputs[name]); err != nil {
			p.add("%s: %v", at, err)
			continue
		}
		w.checkReference(p, at, n.Inputs[name], nodes, tasks)
	}
	for _, name := range slices.Sorted(maps.Keys(task.Inputs)) {
		if _, given := n.Inputs[name]; !given {
			p.add("%s.inputs.%s: must be set: task %q needs it", at, name, n.Task)
		}
	}
}

// checkCircles says which nodes wait for one another, before anything of the
// file is registered.
func (w *Workflow) checkCircles(p *problems) {
	waits := map[string][]string{}
	for _, n := range w.Nodes {
		waits[n.ID] = append(waits[n.ID], n.After...)
		for _, name := range slices.Sorted(maps.Keys(n.Inputs)) {
			if node, _, ok := reference(n.Inputs[name]); ok && node != "" {
				waits[n.ID] = append(waits[n.ID], node)
			}
		}
	}
	for round := true; round; { // what waits for nothing that is left cannot be part of a circle
		round = false
		for id, list := range waits {
			if !slices.ContainsFunc(list, func(other string) bool { _, left := waits[other]; return left }) {
				delete(waits, id)
				round = true
			}
		}
	}
	if len(waits) > 0 {
		p.add("workflow.nodes: nodes wait for one another in a circle, or for such nodes: %s", keys(waits))
	}
}

// checkReference says what a reference names that does not exist.
func (w *Workflow) checkReference(p *problems, at string, value any, nodes map[string]string, tasks map[string]Task) {
	node, name, ok := reference(value)
	if !ok {
		return
	}
	if node == "" {
		if _, known := w.Inputs[name]; !known {
			p.add("%s: the workflow has no input %q; it has %s", at, name, keys(w.Inputs))
		}
		return
	}
	task, known := nodes[node]
	if !known {
		p.add("%s: %q is no node", at, node)
		return
	}
	if t, known := tasks[task]; known {
		if _, known := t.Outputs[name]; !known {
			p.add("%s: node %q has no output %q; its task has %s", at, node, name, keys(t.Outputs))
		}
	}
}

func keys[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
