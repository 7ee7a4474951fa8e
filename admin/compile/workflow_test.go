package compile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
)

func plus(n *core.Node, change func(*core.Node)) *core.Node {
	change(n)
	return n
}

func TestBadWorkflowsAreRefusedWithEveryReason(t *testing.T) {
	aliased := func(pairs ...string) func(*core.Node) {
		return func(n *core.Node) {
			for i := 0; i < len(pairs); i += 2 {
				n.OutputAliases = append(n.OutputAliases, &core.Alias{Var: pairs[i], Alias: pairs[i+1]})
			}
		}
	}
	for _, test := range []struct {
		name string
		why  string
		t    *core.WorkflowTemplate
		want []string
	}{
		{"a workflow without a template", "there is nothing to compile", nil, []string{"ValueRequired"}},
		{"a workflow without nodes or outputs", "it would do nothing", nodes(), []string{"NoNodesFound"}},
		{"a node without an id", "it cannot be referred to", nodes(run("", "void")), []string{"ValueRequired"}},
		{"two nodes with one id", "ids are unique", nodes(run("n0", "void"), run("n0", "void")), []string{"DuplicateId n0"}},
		{"a node with a reserved id", "the compiler adds it", nodes(run("start-node", "void")), []string{"DuplicateId start-node"}},
		{"a node that runs nothing", "a kind is required", nodes(&core.Node{Id: "n0"}), []string{"ValueRequired n0"}},
		{"a task node without a reference", "nothing to run", nodes(&core.Node{Id: "n0", Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{}}}), []string{"ValueRequired n0"}},
		{"an unknown task", "register it first", nodes(run("n0", "nope")), []string{"TaskReferenceNotFound n0"}},
		{"an unknown sub-workflow", "it must be in the request", nodes(call("n0", "nope")), []string{"WorkflowReferenceNotFound n0"}},
		{"an unknown launch plan", "register it first", nodes(launch("n0", "nope")), []string{"WorkflowReferenceNotFound n0"}},
		{"a workflow node without a reference", "nothing to run", nodes(&core.Node{Id: "n0", Target: &core.Node_WorkflowNode{}}), []string{"ValueRequired n0"}},
		{"a missing input", "every input is bound", nodes(run("n0", "inc")), []string{"ParameterNotBound n0 x"}},
		{"a missing input of a launch plan", "y has a default, x has not", nodes(launch("n0", "plan")), []string{"ParameterNotBound n0 x"}},
		{"an input bound twice", "once only", nodes(run("n0", "inc", "x", constant(1), "x", constant(2))), []string{"ParameterBoundMoreThanOnce n0 x"}},
		{"an input that does not exist", "a typing error", nodes(run("n0", "void", "z", constant(1))), []string{"VariableNameNotFound n0 z"}},
		{"a binding without a variable", "it binds nothing", nodes(run("n0", "void", "", constant(1))), []string{"ValueRequired n0"}},
		{"an empty binding", "it gives no value", nodes(run("n0", "inc", "x", &core.BindingData{})), []string{"UnrecognizedValue n0 x"}},
		{"an empty scalar", "it gives no value", nodes(run("n0", "inc", "x", &core.BindingData{Value: &core.BindingData_Scalar{}})), []string{"InvalidLiteralType n0 x"}},
		{"a constant of the wrong type", "no promotion", nodes(run("n0", "inc", "x", constant("1"))), []string{"MismatchingTypes n0 x"}},
		{"a promise of the wrong type", "text is not an integer", nodes(run("n0", "word"), run("n1", "inc", "x", promise("n0", "o0"))), []string{"MismatchingTypes n1 x"}},
		{"an input of the wrong type", "text is not an integer", nodes(run("n0", "inc", "x", promise("", "s"))), []string{"MismatchingTypes n0 x"}},
		{"a promise of an unknown node", "it never comes", nodes(run("n0", "inc", "x", promise("n9", "o0"))), []string{"NodeReferenceNotFound n0 x"}},
		{"a promise of the end node", "nothing comes after it", nodes(run("n0", "inc", "x", promise("end-node", "o0"))), []string{"NodeReferenceNotFound n0 x"}},
		{"a promise of an unknown output", "a typing error", nodes(run("n0", "one"), run("n1", "inc", "x", promise("n0", "o1"))), []string{"VariableNameNotFound n1 x"}},
		{"a promise of an unknown input", "a typing error", nodes(run("n0", "inc", "x", promise("", "b"))), []string{"VariableNameNotFound n0 x"}},
		{"a promise without a variable", "it refers to nothing", nodes(run("n0", "inc", "x", promise("", ""))), []string{"ValueRequired n0 x"}},
		{"a promise deep in a collection", "all are looked at", nodes(run("n0", "sum", "xs", list(constant(1), promise("n9", "o0")))), []string{"NodeReferenceNotFound n0 xs"}},
		{"an unknown upstream node", "it never ends", nodes(after(run("n0", "void"), "n9")), []string{"NodeReferenceNotFound n0"}},
		{"a collection for a scalar", "kinds differ", nodes(run("n0", "inc", "x", list(constant(1)))), []string{"MismatchingBindings n0 x"}},
		{"a collection for a map", "kinds differ", nodes(run("n0", "table", "m", list(constant(1)))), []string{"MismatchingBindings n0 m"}},
		{"a collection with a wrong element", "elements are checked", nodes(run("n0", "sum", "xs", list(constant(1), constant("2")))), []string{"MismatchingTypes n0 xs"}},
		{"a value outside an enum", "the run would fail", nodes(run("n0", "paint", "c", constant("blue"))), []string{"IllegalEnumValue n0 c"}},
		{"a text that is also an enum value", "two variants fit", nodes(run("n0", "either", "x", constant("r"))), []string{"AmbiguousBindingUnionValue n0 x"}},
		{"a promise that fits two variants", "two variants fit", nodes(run("n0", "either", "x", promise("", "s"))), []string{"AmbiguousBindingUnionValue n0 x"}},
		{"an empty collection for two lists", "two variants fit", nodes(run("n0", "lists", "x", list())), []string{"AmbiguousBindingUnionValue n0 x"}},
		{"a collection for no variant", "none fits", nodes(run("n0", "opt", "x", list(constant(1)))), []string{"IncompatibleBindingUnionValue n0 x"}},
		{"a constant for no variant", "none fits", nodes(run("n0", "opt", "x", constant("a"))), []string{"IncompatibleBindingUnionValue n0 x"}},
		{"an optional value for a plain input", "it may be none", nodes(run("n0", "opt"), run("n1", "inc", "x", promise("n0", "o0"))), []string{"MismatchingTypes n1 x"}},
		{"a field that a class has not", "its schema is known", nodes(run("n0", "make"), run("n1", "inc", "x", promise("n0", "o0", "m"))), []string{"FieldNotFound n1 x"}},
		{"a field of an integer", "it has none", nodes(run("n0", "inc", "x", promise("", "a", "b"))), []string{"FieldNotFound n0 x"}},
		{"a field of the wrong type", "an element is no list", nodes(run("n0", "make"), run("n1", "sum", "xs", promise("n0", "l", 0))), []string{"MismatchingTypes n1 xs"}},
		{"two nodes that wait for each other", "neither starts", nodes(after(run("n0", "void"), "n1"), after(run("n1", "void"), "n0")), []string{"CycleDetected n0"}},
		{"a node that waits for itself", "it never starts", nodes(after(run("n0", "void"), "n0")), []string{"CycleDetected n0"}},
		{"a node behind a cycle", "it never starts either", nodes(after(run("n0", "void"), "n0"), after(run("n1", "void"), "n0")), []string{"CycleDetected n0", "UnreachableNodes n1"}},
		{"an alias given twice", "it is ambiguous", nodes(plus(run("n0", "one"), aliased("o0", "x", "o0", "x"))), []string{"DuplicateAlias n0 x"}},
		{"an alias of nothing", "no such output", nodes(plus(run("n0", "one"), aliased("o9", "x"))), []string{"VariableNameNotFound n0 x"}},
		{"an alias that hides an output", "two values, one name", nodes(plus(run("n0", "make"), aliased("l", "o0"))), []string{"ValueCollision n0 o0"}},
		{"a negative timeout", "time does not run back", nodes(plus(run("n0", "void"), func(n *core.Node) {
			n.Metadata = &core.NodeMetadata{Timeout: &durationpb.Duration{Seconds: -1}}
		})), []string{"InvalidValue n0"}},
		{"an override that is no quantity", "Kubernetes would refuse it", nodes(plus(run("n0", "void"), func(n *core.Node) {
			n.GetTaskNode().Overrides = &core.TaskNodeOverrides{Resources: &core.Resources{Requests: []*core.Resources_ResourceEntry{{Name: core.Resources_CPU, Value: "many"}}}}
		})), []string{"InvalidValue n0"}},
		{"an output that is not bound", "all are", flow("w", nil, vars("o0", union(integer, none)), nil, run("n0", "void")), []string{"ParameterNotBound end-node o0"}},
		{"an output of the wrong type", "it is declared", flow("w", nil, vars("o0", text), bindings("o0", promise("n0", "o0")), run("n0", "one")), []string{"MismatchingTypes end-node o0"}},
		{"an output that is not declared", "a typing error", flow("w", nil, nil, bindings("o0", promise("n0", "o0")), run("n0", "one")), []string{"VariableNameNotFound end-node o0"}},
		{"an input without a type", "nothing can be checked", flow("w", vars("a", nil), nil, nil, run("n0", "void")), []string{"ValueRequired  a"}},
		{"problems come by node, then variable", "the order is fixed", nodes(run("n0", "void", "z", constant(1), "b", constant(1)), run("n1", "nope")),
			[]string{"VariableNameNotFound n0 b", "VariableNameNotFound n0 z", "TaskReferenceNotFound n1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := given(test.t)
			_, err := Workflow(in)
			if diff := cmp.Diff(test.want, problemsOf(t, err)); diff != "" {
				t.Errorf("%s: -want +got\n%s\n%v", test.why, diff, err)
			}
		})
	}
}

func TestGoodWorkflowsCompile(t *testing.T) {
	for _, test := range []struct {
		name, why string
		t         *core.WorkflowTemplate
	}{
		{"an input is passed through", "no node is needed for that", flow("w", vars("a", integer), vars("o0", integer), bindings("o0", promise("", "a")))},
		{"nothing is given to an optional input", "it is none", nodes(run("n0", "opt"))},
		{"none is given to an optional input", "it is a variant", nodes(run("n0", "opt", "x", constant(nil)))},
		{"a default is left alone", "y of the plan has one", nodes(launch("n0", "plan", "x", constant(1)))},
		{"a node waits for the start", "it does anyway", nodes(after(run("n0", "void"), "start-node"))},
		{"a field of a class", "its schema says integer", nodes(run("n0", "make"), run("n1", "inc", "x", promise("n0", "o0", "n")))},
		{"a field of an unknown struct", "only the run can tell", nodes(run("n0", "make"), run("n1", "inc", "x", promise("n0", "u", "n", 0)))},
		{"an output by its alias", "an alias is a name", nodes(
			plus(run("n0", "one"), func(n *core.Node) { n.OutputAliases = []*core.Alias{{Var: "o0", Alias: "x"}} }),
			run("n1", "inc", "x", promise("n0", "x")))},
		{"a value with its variant", "the union says which", nodes(run("n0", "either", "x",
			&core.BindingData{Value: constant("r").GetValue(), Union: &core.UnionInfo{TargetType: text}}))},
	} {
		t.Run(test.name, func(t *testing.T) {
			closure, err := Workflow(given(test.t))
			if err != nil {
				t.Fatalf("%s: %v", test.why, err)
			}
			checkClosure(t, closure)
		})
	}
}

func TestConnections(t *testing.T) {
	closure, err := Workflow(given(flow("w", vars("a", integer), vars("o0", integer), bindings("o0", promise("n1", "o0")),
		run("n0", "one"), run("n1", "inc", "x", promise("n0", "o0")), after(run("n2", "void"), "n0"))))
	if err != nil {
		t.Fatal(err)
	}
	edges := func(m map[string]*core.ConnectionSet_IdList) string {
		var out []string
		for _, id := range sortedKeys(m) {
			out = append(out, id+": "+strings.Join(m[id].GetIds(), " "))
		}
		return strings.Join(out, "; ")
	}
	if got, want := edges(closure.GetPrimary().GetConnections().GetDownstream()), "n0: n1 n2; n1: end-node; n2: end-node; start-node: n0"; got != want {
		t.Errorf("downstream is %s, want %s", got, want)
	}
	if got, want := edges(closure.GetPrimary().GetConnections().GetUpstream()), "end-node: n1 n2; n0: start-node; n1: n0; n2: n0"; got != want {
		t.Errorf("upstream is %s, want %s", got, want)
	}
	if len(closure.GetTasks()) != 3 {
		t.Errorf("%d tasks are in the closure, want the 3 that are used", len(closure.GetTasks()))
	}
}

func TestSubWorkflows(t *testing.T) {
	child := func() *core.WorkflowTemplate {
		return flow("child", vars("x", integer), vars("o0", integer), bindings("o0", promise("n0", "o0")), run("n0", "inc", "x", promise("", "x")))
	}
	for _, test := range []struct {
		name string
		in   Input
		want []string
		says string
	}{
		{"a sub-workflow runs", given(nodes(call("n0", "child", "x", constant(1))), child()), nil, ""},
		{"its inputs are checked", given(nodes(call("n0", "child")), child()), []string{"ParameterNotBound n0 x"}, ""},
		{"its own problems name it", given(nodes(call("n0", "sub")), flow("sub", nil, nil, nil, run("n0", "inc"))), []string{"ParameterNotBound n0 x"}, `workflow "sub", node "n0"`},
		{"it contains itself", given(nodes(call("n0", "sub")), flow("sub", nil, nil, nil, call("n0", "sub"))), []string{"CycleDetected"}, "sub → sub"},
		{"it contains its parent", given(nodes(call("n0", "sub")), flow("sub", nil, nil, nil, call("n0", "w"))), []string{"CycleDetected"}, "w → sub → w"},
		{"it is given twice, differently", given(nodes(run("n0", "void")), flow("sub", nil, nil, nil, run("n0", "void")), flow("sub", nil, nil, nil, run("n1", "void"))), []string{"DuplicateId"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Workflow(test.in)
			if diff := cmp.Diff(test.want, problemsOf(t, err)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if test.says != "" && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v does not say %q", err, test.says)
			}
		})
	}
}

func TestTooManyNodes(t *testing.T) {
	in := given(nodes(run("n0", "void"), run("n1", "void")))
	in.MaxNodes = 1
	_, err := Workflow(in)
	if diff := cmp.Diff([]string{"WorkflowBuildError"}, problemsOf(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestUnsupported(t *testing.T) {
	for _, test := range []struct {
		name string
		t    *core.WorkflowTemplate
		subs []*core.WorkflowTemplate
		says string // empty: supported
	}{
		{"tasks and sub-workflows run", nodes(run("n0", "void"), call("n1", "sub")), []*core.WorkflowTemplate{nodes(run("n0", "void"))}, ""},
		{"nothing at all is supported", nil, nil, ""},
		{"branches run", nodes(branch("n0", orElse(&core.IfElseBlock{Case: when("a", 1, run("n0", "void"))}, call("n1", "sub")))), nil, ""},
		{"a gate in a case", nodes(branch("n0", orFail(&core.IfElseBlock{Case: when("a", 1, approve("n7", "s"))}))), nil, `node "n7" in a case of node "n0" of workflow "w" is a gate node`},
		{"an array in the else of a case", nodes(branch("n0", orFail(&core.IfElseBlock{Case: when("a", 1, branch("n1", orElse(&core.IfElseBlock{}, array("n7", nil))))}))), nil, "array node"},
		{"a gate", nodes(approve("n7", "s")), nil, "gate node"},
		{"an array", nodes(array("n7", run("x", "void"))), nil, "array node"},
		{"a launch plan", nodes(launch("n7", "plan")), nil, "launch-plan node"},
		{"failure nodes run", &core.WorkflowTemplate{FailureNode: run("n7", "void")}, []*core.WorkflowTemplate{{FailureNode: call("n7", "sub")}}, ""},
		{"a failure node that launches", &core.WorkflowTemplate{FailureNode: launch("n7", "plan")}, nil, "launch-plan node"},
		{"a launch plan in a case in a sub-workflow", nodes(call("n0", "sub")), []*core.WorkflowTemplate{nodes(branch("n0", orFail(&core.IfElseBlock{Case: when("a", 1, launch("n7", "plan"))})))}, "launch-plan node"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := UnsupportedTemplate(test.t, test.subs)
			if test.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), `"n7"`) {
				t.Errorf("got %v, want the node and %q", err, test.says)
			}
		})
	}
}
