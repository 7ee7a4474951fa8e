package manifest

import (
	"os"
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
  inputs: {text: {type: string, default: "a b"}, count: {type: integer}}
  nodes:
    - {id: s1, task: split, inputs: {text: "${inputs.text}", times: 12345678}}
    - {id: s2, task: split, inputs: {text: "${s1.words}", times: "${inputs.count}"}, after: [s1]}
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
		{"an unknown key", "retries: 2", "retry: 2", "tasks[0].retry: unknown key; the keys here are name, image,"},
		{"a word that YAML takes for true", `B: "2"`, "B: yes", "tasks[0].env.B: want text, got true: YAML takes"},
		{"a key that YAML takes for false", "count: {type", "n: {type", "workflow.inputs: a key is read as false: YAML takes"},
		{"a negative number", "retries: 2", "retries: -2", "tasks[0].retries: want a whole number of 0 or more, got -2"},
		{"a map where a list belongs", "after: [s1]", "after: {s1: 1}", "workflow.nodes[1].after: want a list, got a map"},
		{"a resource that is no quantity", "cpu: 100m", "cpu: lots", `tasks[0].resources.cpu: want a quantity such as 500m, 2 or 1Gi, got "lots"`},
		{"two nodes of one id", "id: s2", "id: s1", `workflow.nodes[1].id: "s1" is there twice`},
		{"a node called inputs", "id: s2", "id: inputs", "workflow.nodes[1].id: "},
		{"a node after no node", "after: [s1]", "after: [s7]", `workflow.nodes[1].after: "s7" is no node`},
		{"a reference to no node", `"${s1.words}"`, `"${s7.words}"`, `workflow.nodes[1].inputs.text: "s7" is no node`},
		{"a reference to no output", `"${s1.words}"`, `"${s1.word}"`, `workflow.nodes[1].inputs.text: node "s1" has no output "word"; its task has words`},
		{"a reference to no input", `"${inputs.count}"`, `"${inputs.m}"`, `workflow.nodes[1].inputs.times: the workflow has no input "m"; it has count, text`},
		{"an output of no node", `words: "${s2.words}"`, `words: "${s3.words}"`, `workflow.outputs.words: "s3" is no node`},
		{"an input that is not given", ", times: 12345678", "", `workflow.nodes[0].inputs.times: must be set: task "split" needs it`},
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

// TestAllProblemsAreTold gives every problem a line of its own, in one order.
func TestAllProblemsAreTold(t *testing.T) {
	_, _, err := Parse([]byte("tasks:\n  - {name: a, image: x, inputs: {b: text, a: text}}\n  - {name: a, image: x, command: [z]}\n"))
	want := `manifest: 4 problems
  tasks[0].command: must be set: images are not asked for theirs
  tasks[0].inputs.a: type "text" is not one of boolean, datetime, duration, file, float, integer, string
  tasks[0].inputs.b: type "text" is not one of boolean, datetime, duration, file, float, integer, string
  tasks[1].name: "a" is there twice`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// TestTheDocumentedExample is the first YAML block of docs/manifest.md, which
// says that it runs as it stands.
func TestTheDocumentedExample(t *testing.T) {
	page, err := os.ReadFile("../../../docs/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n```yaml\n")
	example, _, found := strings.Cut(rest, "\n```\n")
	if !found {
		t.Fatal("docs/manifest.md has no yaml block")
	}
	m, version, err := Parse([]byte(example + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Build(Target{"p", "d", version})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tasks) != len(m.Tasks) || r.Workflow == nil || r.LaunchPlan == nil {
		t.Errorf("the example became %d tasks, workflow %v and launch plan %v", len(r.Tasks), r.Workflow, r.LaunchPlan)
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
