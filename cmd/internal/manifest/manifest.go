// Package manifest reads the YAML by which people describe workflows of
// container tasks without any SDK, and turns it into Flyte's messages.
//
// It checks what it can see in the file (names, types, references) and leaves
// the rest to the control plane's compiler; it does not talk to it. The format
// is documented in docs/manifest.md. Invariant: every problem names its place
// in the file, and all problems are told at once.
package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/api/fault"
)

// Manifest is one file: some tasks, and at most one workflow over them.
type Manifest struct {
	Tasks    []Task    `json:"tasks"`
	Workflow *Workflow `json:"workflow,omitempty"`
}

// Task is one container task. It reads each input from a file of its name in
// /var/flyte/inputs and writes each output to one in /var/flyte/outputs.
type Task struct {
	Name      string            `json:"name"`
	Image     string            `json:"image"`
	Command   []string          `json:"command,omitempty"`
	Args      []string          `json:"args,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
	Inputs    map[string]string `json:"inputs,omitempty"`  // name → type
	Outputs   map[string]string `json:"outputs,omitempty"` // name → type
	Resources map[string]string `json:"resources,omitempty"`
	Retries   uint32            `json:"retries,omitempty"`
	Timeout   string            `json:"timeout,omitempty"`
}

// Workflow wires tasks together.
type Workflow struct {
	Name          string           `json:"name"`
	Inputs        map[string]Input `json:"inputs,omitempty"`
	Outputs       map[string]any   `json:"outputs,omitempty"` // name → reference such as ${node.output}
	Nodes         []Node           `json:"nodes"`
	FailurePolicy string           `json:"failurePolicy,omitempty"` // fail-immediately (default) or finish-running
}

// Input is one input of a workflow: a type, and a default if it has one.
type Input struct {
	Type    string `json:"type"`
	Default any    `json:"default,omitempty"`
}

// Node runs one task.
type Node struct {
	ID     string         `json:"id"`
	Task   string         `json:"task"`
	Inputs map[string]any `json:"inputs,omitempty"` // name → value, or reference such as ${inputs.x} or ${node.output}
	After  []string       `json:"after,omitempty"`
}

// Parse reads a manifest strictly: an unknown key is an error. It returns the
// manifest and the version that the file's content gives it.
func Parse(raw []byte) (*Manifest, string, error) {
	var m Manifest
	if err := yaml.UnmarshalStrict(raw, &m); err != nil {
		return nil, "", fault.E(fault.Invalid, "manifest: %s", strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: "))
	}
	if problems := m.check(); len(problems) > 0 {
		return nil, "", fault.E(fault.Invalid, "manifest: %s", strings.Join(problems, "; "))
	}
	sum := sha256.Sum256(raw)
	return &m, hex.EncodeToString(sum[:6]), nil
}

func (m *Manifest) check() []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(m.Tasks) == 0 {
		add("tasks: at least one is needed")
	}
	tasks := map[string]Task{}
	for i, t := range m.Tasks {
		at := fmt.Sprintf("tasks[%d]", i)
		if t.Name == "" {
			add("%s.name: must be set", at)
		}
		if _, twice := tasks[t.Name]; twice {
			add("%s.name: %q is there twice", at, t.Name)
		}
		tasks[t.Name] = t
		problems = append(problems, t.check(at)...)
	}
	if m.Workflow != nil {
		problems = append(problems, m.Workflow.check(tasks)...)
	}
	return problems
}

func (t Task) check(at string) []string {
	var problems []string
	if t.Image == "" {
		problems = append(problems, at+".image: must be set")
	}
	if len(t.Command)+len(t.Args) == 0 {
		problems = append(problems, at+".command: must be set: images are not asked for theirs")
	}
	for kind, vars := range map[string]map[string]string{"inputs": t.Inputs, "outputs": t.Outputs} {
		for name, typ := range vars {
			if _, err := parseType(typ); err != nil {
				problems = append(problems, fmt.Sprintf("%s.%s.%s: %v", at, kind, name, err))
			}
		}
	}
	for name := range t.Resources {
		if _, ok := resourceNames[name]; !ok {
			problems = append(problems, fmt.Sprintf("%s.resources.%s: want cpu, memory, gpu or ephemeral-storage", at, name))
		}
	}
	if t.Timeout != "" {
		if _, err := parseDuration(t.Timeout); err != nil {
			problems = append(problems, fmt.Sprintf("%s.timeout: %v", at, err))
		}
	}
	return problems
}

func (w *Workflow) check(tasks map[string]Task) []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if w.Name == "" {
		add("workflow.name: must be set")
	}
	for name, in := range w.Inputs {
		typ, err := parseType(in.Type)
		if err != nil {
			add("workflow.inputs.%s.type: %v", name, err)
			continue
		}
		if in.Default != nil {
			if _, err := Literal(typ, in.Default); err != nil {
				add("workflow.inputs.%s.default: %v", name, err)
			}
		}
	}
	if _, ok := failurePolicies[w.FailurePolicy]; !ok {
		add("workflow.failurePolicy: want fail-immediately or finish-running, got %q", w.FailurePolicy)
	}
	for i, n := range w.Nodes {
		task, known := tasks[n.Task]
		if n.ID == "" {
			add("workflow.nodes[%d].id: must be set", i)
		}
		if !known {
			add("workflow.nodes[%d].task: %q is not among tasks", i, n.Task)
			continue
		}
		for name, value := range n.Inputs {
			typ, declared := task.Inputs[name]
			if !declared {
				add("workflow.nodes[%d].inputs.%s: task %q has no such input", i, name, n.Task)
				continue
			}
			if _, err := binding(typ, value); err != nil {
				add("workflow.nodes[%d].inputs.%s: %v", i, name, err)
			}
		}
	}
	for name, value := range w.Outputs {
		if _, _, ok := reference(value); !ok {
			add("workflow.outputs.%s: want a reference such as ${node.output}, got %v", name, value)
		}
	}
	return problems
}
