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
	"reflect"
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
	var file any
	if err := yaml.UnmarshalStrict(raw, &file); err != nil {
		return nil, "", unreadable(err)
	}
	var m Manifest
	if problems := shape("", file, reflect.TypeFor[Manifest]()); len(problems) > 0 {
		return nil, "", refused(problems)
	}
	if err := yaml.UnmarshalStrict(raw, &m); err != nil {
		return nil, "", unreadable(err)
	}
	if problems := m.check(); len(problems) > 0 {
		return nil, "", refused(problems)
	}
	sum := sha256.Sum256(raw)
	return &m, hex.EncodeToString(sum[:6]), nil
}

func unreadable(err error) error {
	return fault.E(fault.Invalid, "manifest: %s", strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: "))
}

func refused(problems []string) error {
	if len(problems) == 1 {
		return fault.E(fault.Invalid, "manifest: %s", problems[0])
	}
	return fault.E(fault.Invalid, "manifest: %d problems\n  %s", len(problems), strings.Join(problems, "\n  "))
}
