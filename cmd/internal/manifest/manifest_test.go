package manifest

import (
	"strings"
	"testing"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
)

const good = `
tasks:
  - name: split
    image: sh
    command: [sh, -c, "cat /var/flyte/inputs/text > /var/flyte/outputs/words"]
    inputs: {text: string, times: integer}
    outputs: {words: string}
    resources: {cpu: 100m}
    env: {B: "2", A: "1"}
    retries: 2
    timeout: 30s
workflow:
  name: words
  inputs: {text: {type: string, default: "a b"}, n: {type: integer}}
  nodes:
    - {id: s1, task: split, inputs: {text: "${inputs.text}", times: 12345678}}
    - {id: s2, task: split, inputs: {text: "${s1.words}", times: "${inputs.n}"}, after: [s1]}
  outputs: {words: "${s2.words}"}
`

func TestBuild(t *testing.T) {
	m, version, err := Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if len(version) != 12 {
		t.Errorf("version %q is not 12 characters", version)
	}
	r, err := m.Build(Target{"p", "d", version})
	if err != nil {
		t.Fatal(err)
	}
	template := r.Workflow.Spec.Template
	if n := len(template.Nodes); n != 2 {
		t.Fatalf("%d nodes, want 2", n)
	}
	times := template.Nodes[0].Inputs[1].Binding.GetScalar().GetPrimitive().GetInteger()
	if times != 12345678 {
		t.Errorf("a whole number became %d", times)
	}
	if p := template.Nodes[1].Inputs[0].Binding.GetPromise(); p.GetNodeId() != "s1" || p.GetVar() != "words" {
		t.Errorf("reference became %v", p)
	}
	if typ := template.Interface.Outputs.Variables["words"].Type.GetSimple(); typ != core.SimpleType_STRING {
		t.Errorf("output has type %v", typ)
	}
	task := r.Tasks[0].Spec.Template
	if env := task.GetContainer().GetEnv(); env[0].Key != "A" || env[1].Key != "B" {
		t.Errorf("environment is not in order: %v", env)
	}
	if !task.GetContainer().GetDataConfig().GetEnabled() || task.GetMetadata().GetRetries().GetRetries() != 2 {
		t.Errorf("task is %v", task)
	}
	if d := r.LaunchPlan.Spec.DefaultInputs.Parameters["text"].GetDefault(); d.GetScalar().GetPrimitive().GetStringValue() != "a b" {
		t.Errorf("default is %v", d)
	}
}

func TestBadManifests(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"an unknown key", "retries: 2", "retry: 2", "retry"},
		{"an unknown type", "times: integer}\n", "times: int}\n", `tasks[0].inputs.times: type "int" is not one of`},
		{"no image", "image: sh", "image: ''", "tasks[0].image"},
		{"no command", `command: [sh, -c, "cat /var/flyte/inputs/text > /var/flyte/outputs/words"]`, "args: []", "tasks[0].command"},
		{"an unknown resource", "cpu: 100m", "disk: 1Gi", "tasks[0].resources.disk"},
		{"a timeout that is none", "timeout: 30s", "timeout: soon", "tasks[0].timeout"},
		{"a node of an unknown task", "id: s2, task: split", "id: s2, task: spilt", `workflow.nodes[1].task: "spilt"`},
		{"an input that the task lacks", "times: 12345678", "tmies: 1", "workflow.nodes[0].inputs.tmies"},
		{"a value of another type", "times: 12345678", "times: many", "workflow.nodes[0].inputs.times: want a whole number"},
		{"a default of another type", `{type: string, default: "a b"}`, `{type: integer, default: "a b"}`, "workflow.inputs.text.default"},
		{"an output that is no reference", `words: "${s2.words}"`, "words: hello", "workflow.outputs.words: want a reference"},
		{"an unknown failure policy", "  name: words", "  name: words\n  failurePolicy: never", "workflow.failurePolicy"},
		{"no YAML", "tasks:", "tasks: [", "manifest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(good, c.from) {
				t.Fatalf("%q is not in the good manifest", c.from)
			}
			_, _, err := Parse([]byte(strings.Replace(good, c.from, c.to, 1)))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an Invalid error with %q", err, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, version, err := Parse(raw)
		if err != nil {
			return
		}
		if _, err := m.Build(Target{"p", "d", version}); err != nil {
			t.Fatalf("what was parsed cannot be built: %v", err)
		}
	})
}
