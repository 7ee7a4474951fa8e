package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skein-project/skein/api/flyteidl/core"
)

var (
	boolean  = simple(core.SimpleType_BOOLEAN)
	duration = simple(core.SimpleType_DURATION)
)

// constantOf is a constant of each simple type.
var constantOf = map[string]*core.Primitive{
	"integer":  {Value: &core.Primitive_Integer{Integer: 1}},
	"float":    {Value: &core.Primitive_FloatValue{FloatValue: 1}},
	"string":   {Value: &core.Primitive_StringValue{StringValue: "r"}},
	"boolean":  {Value: &core.Primitive_Boolean{Boolean: true}},
	"datetime": {Value: &core.Primitive_Datetime{}},
	"duration": {Value: &core.Primitive_Duration{}},
}

// compares is a condition on two operands: a name is a variable, an operand
// is itself.
func compares(left any, op core.ComparisonExpression_Operator, right any) *core.BooleanExpression {
	operand := func(v any) *core.Operand {
		if name, ok := v.(string); ok {
			return &core.Operand{Val: &core.Operand_Var{Var: name}}
		}
		return v.(*core.Operand)
	}
	return &core.BooleanExpression{Expr: &core.BooleanExpression_Comparison{Comparison: &core.ComparisonExpression{
		Operator: op, LeftValue: operand(left), RightValue: operand(right)}}}
}

func prim(name string) *core.Operand {
	return &core.Operand{Val: &core.Operand_Primitive{Primitive: constantOf[name]}}
}

func scal(name string) *core.Operand {
	if name == "none" {
		return &core.Operand{Val: &core.Operand_Scalar{Scalar: literal(nil).GetScalar()}}
	}
	return &core.Operand{Val: &core.Operand_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{Primitive: constantOf[name]}}}}
}

func both(l, r *core.BooleanExpression) *core.BooleanExpression {
	return &core.BooleanExpression{Expr: &core.BooleanExpression_Conjunction{Conjunction: &core.ConjunctionExpression{LeftExpression: l, RightExpression: r}}}
}

// onVariable is a workflow whose input v, of a type, is what a branch node
// compares.
func onVariable(t *core.LiteralType, conditions ...*core.BooleanExpression) *core.WorkflowTemplate {
	block := &core.IfElseBlock{Case: &core.IfBlock{Condition: conditions[0], ThenNode: run("n0", "void")}}
	for i, c := range conditions[1:] {
		block.Other = append(block.Other, &core.IfBlock{Condition: c, ThenNode: run(fmt.Sprintf("n%d", i+1), "void")})
	}
	return flow("w", vars("v", t), nil, nil, branch("n0", orFail(block), ".v", promise("", "v")))
}

// TestOperandsAreOfOneType tries every type against every constant, with
// operators that ask for an order and with those that do not.
func TestOperandsAreOfOneType(t *testing.T) {
	types := map[string]*core.LiteralType{"integer": integer, "float": float, "string": text, "boolean": boolean, "datetime": datetime, "duration": duration,
		"enum": enum("r", "g"), "maybe": union(integer, none), "either": union(text, union(boolean, none)), "list": listOf(integer), "map": mapOf(text), "blob": blob(""), "struct": structT}
	fits := map[string][]string{"integer": {"integer"}, "float": {"float"}, "string": {"string"}, "boolean": {"boolean"}, "datetime": {"datetime"},
		"duration": {"duration"}, "enum": {"string"}, "maybe": {"integer"}, "either": {"string", "boolean"}}
	for name, of := range types {
		for _, with := range append(sortedKeys(constantOf), "none") {
			for op := core.ComparisonExpression_EQ; op <= core.ComparisonExpression_LTE; op++ {
				ordered := op > core.ComparisonExpression_NEQ
				want := slices.Contains(fits[name], with) && !(ordered && with == "boolean") || with == "none" && !ordered
				for form, c := range map[string]*core.BooleanExpression{
					"scalar": compares(".v", op, scal(with)), "turned round": compares(scal(with), op, ".v"),
					"primitive": compares(".v", op, prim(with)), "joined": both(compares(".v", core.ComparisonExpression_EQ, scal("none")), compares(".v", op, scal(with))),
				} {
					if form == "primitive" && with == "none" {
						continue
					}
					_, err := Workflow(given(onVariable(of, c)))
					if got := problemsOf(t, err); want != (len(got) == 0) || !want && got[0] != "MismatchingTypes n0" {
						t.Errorf("%s %s %s, %s: %v, want it taken: %t", name, op, with, form, err, want)
					}
				}
			}
		}
	}
}

// TestConditionsAreRefusedByNodeAndCase reads the messages, since authors do.
func TestConditionsAreRefusedByNodeAndCase(t *testing.T) {
	fine := compares(".v", core.ComparisonExpression_EQ, scal("integer"))
	join := func(op core.ConjunctionExpression_LogicalOperator, l, r *core.BooleanExpression) *core.BooleanExpression {
		e := both(l, r)
		e.GetConjunction().Operator = op
		return e
	}
	for _, test := range []struct {
		name      string
		condition *core.BooleanExpression // of the second elif
		says      string
	}{
		{"types differ", compares(".v", core.ComparisonExpression_LT, scal("float")), `node "n0": elif 2 compares v (integer) with a constant (float): both sides must be of one simple type`},
		{"no order", compares(scal("boolean"), core.ComparisonExpression_GT, scal("boolean")), `node "n0": elif 2 orders a constant (boolean) and a constant (boolean), which have no order: only == and != apply`},
		{"a variable that is not bound", compares("n7.o0", core.ComparisonExpression_EQ, scal("integer")), `node "n0", variable "n7.o0": elif 2 uses a variable that is not an input of the branch node`},
		{"one side missing", compares(&core.Operand{}, core.ComparisonExpression_EQ, ".v"), `node "n0": elif 2 compares with nothing: one side of it is missing`},
		{"an empty constant", compares(&core.Operand{Val: &core.Operand_Primitive{}}, core.ComparisonExpression_EQ, ".v"), `elif 2 compares with nothing`},
		{"an unknown comparison", compares(".v", 9, ".v"), `node "n0": elif 2 compares by operator 9, which is not known`},
		{"an unknown conjunction", join(9, fine, fine), `node "n0": elif 2 joins two conditions by operator 9, which is not known`},
		{"half a conjunction", join(0, fine, nil), `node "n0": elif 2 joins two conditions of which one is missing`},
		{"deep within", join(1, fine, join(0, compares(".v", 0, scal("string")), fine)), `node "n0": elif 2 compares v (integer) with a constant (string)`},
		{"no condition", nil, `node "n0": elif 2 has no condition`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Workflow(given(onVariable(integer, fine, fine, test.condition)))
			if len(problemsOf(t, err)) != 1 || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %s", err, test.says)
			}
		})
	}
}

// TestConditionalsCompileWhereverTheyAre: nested, in a sub-workflow, and with
// a sub-workflow in a case; and what is wrong inside is found there.
func TestConditionalsCompileWhereverTheyAre(t *testing.T) {
	a := func() *core.BindingData { return promise("", "a") }
	choice := func(name string, then, other *core.Node, inputs ...any) *core.Node {
		return branch(name, orElse(&core.IfElseBlock{Case: when(".a", 1, then)}, other), append([]any{".a", a()}, inputs...)...)
	}
	chosen := func(name string) *core.WorkflowTemplate {
		return flow(name, vars("a", integer), vars("o0", integer), bindings("o0", promise("n0", "o0")), choice("n0", run("n0", "one"), run("n1", "inc", "x", a())))
	}
	wrong := func(name string) *core.WorkflowTemplate {
		return flow(name, vars("a", integer), vars("o0", integer), bindings("o0", promise("n0", "o0")), choice("n0", run("n0", "one"), run("n1", "inc", "x", constant("text"))))
	}
	for _, test := range []struct {
		name string
		t    *core.WorkflowTemplate
		subs []*core.WorkflowTemplate
		want []string
	}{
		{"a case that is a sub-workflow", nodes(choice("n0", call("n0", "sub", "a", a()), run("n1", "one")), run("n1", "inc", "x", promise("n0", "o0"))), []*core.WorkflowTemplate{chosen("sub")}, nil},
		{"a case that is a conditional", nodes(choice("n0", run("n0", "one"), choice("n1", run("n0", "one"), run("n1", "one"))), run("n1", "inc", "x", promise("n0", "o0"))), nil, nil},
		{"a conditional in a sub-workflow", nodes(call("n0", "sub", "a", a()), run("n1", "inc", "x", promise("n0", "o0"))), []*core.WorkflowTemplate{chosen("sub")}, nil},
		{"a fault in a sub-workflow's case", nodes(call("n0", "sub", "a", a())), []*core.WorkflowTemplate{wrong("sub")}, []string{"MismatchingTypes n0-n1 x"}},
		{"a fault in a case in a case", nodes(choice("n0", run("n0", "void"), choice("n1", run("n0", "void"), run("n1", "inc")))), nil, []string{"MismatchingInterfaces n0-n1", "ParameterNotBound n0-n1-n1 x"}},
		{"an inner conditional that gives other things", nodes(choice("n0", run("n0", "one"), choice("n1", run("n0", "word"), run("n1", "word")))), nil, []string{"MismatchingInterfaces n0"}},
		{"one that gives more", nodes(choice("n0", run("n0", "void"), run("n1", "one"))), nil, []string{"MismatchingInterfaces n0"}},
		{"an output that no case gives", nodes(choice("n0", run("n0", "one"), run("n1", "one")), run("n1", "inc", "x", promise("n0", "o9"))), nil, []string{"VariableNameNotFound n1 x"}},
		{"an output of another type", nodes(choice("n0", run("n0", "one"), run("n1", "one")), run("n1", "paint", "c", promise("n0", "o0"))), nil, []string{"MismatchingTypes n1 c"}},
		{"a case that waits for what follows", nodes(choice("n0", run("n0", "inc", "x", promise("n1", "o0")), run("n1", "one")), run("n1", "inc", "x", promise("n0", "o0"))), nil, []string{"CycleDetected n0", "UnreachableNodes n0-n0", "UnreachableNodes n0-n1"}},
		{"a case that waits for its own branch", nodes(choice("n0", run("n0", "inc", "x", promise("n0", "o0")), run("n1", "one"))), nil, []string{"CycleDetected n0", "UnreachableNodes n0-n0", "UnreachableNodes n0-n1"}},
		{"a case that waits for another", nodes(choice("n0", run("n0", "one"), after(run("n1", "one"), "n0-n0"))), nil, []string{"NodeReferenceNotFound n0-n1"}},
		{"two cases of one id", nodes(choice("n0", run("n0", "one"), run("n0", "one"))), nil, []string{"DuplicateId n0-n0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			closure, err := Workflow(given(test.t, test.subs...))
			if diff := cmp.Diff(test.want, problemsOf(t, err)); diff != "" {
				t.Fatalf("-want +got\n%s\n%v", diff, err)
			}
			if err == nil {
				checkClosure(t, closure)
			}
		})
	}
}

// TestABranchWaitsForWhatItsCasesRead, since it is not known before which of
// them runs; and what follows waits for the branch node.
func TestABranchWaitsForWhatItsCasesRead(t *testing.T) {
	inner := branch("n1", orElse(&core.IfElseBlock{Case: when("n1.o0", 1, run("n0", "inc", "x", promise("n2", "o0")))}, run("n1", "one")), "n1.o0", promise("n1", "o0"))
	closure, err := Workflow(given(nodes(run("n0", "one"), run("n1", "one"), run("n2", "one"),
		branch("n3", orElse(&core.IfElseBlock{Case: when("n0.o0", 1, run("n0", "one"))}, inner), "n0.o0", promise("n0", "o0")),
		run("n4", "inc", "x", promise("n3", "o0")))))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, up := range closure.GetPrimary().GetConnections().GetUpstream() {
		got[id] = strings.Join(up.GetIds(), " ")
	}
	want := map[string]string{"n0": "start-node", "n1": "start-node", "n2": "start-node", "n3": "n0 n1 n2", "n3-n0": "n3",
		"n3-n1": "n1 n2 n3", "n3-n1-n0": "n2 n3-n1", "n3-n1-n1": "n3-n1", "n4": "n3", "end-node": "n3-n0 n3-n1-n0 n3-n1-n1 n4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("upstream -want +got\n%s", diff)
	}
}

// TestNodesOfCasesCount toward the limit.
func TestNodesOfCasesCount(t *testing.T) {
	w := nodes(branch("n0", orElse(&core.IfElseBlock{Case: when(".a", 1, run("n0", "void"))},
		branch("n1", orElse(&core.IfElseBlock{Case: when(".a", 1, run("n0", "void"))}, run("n1", "void")), ".a", promise("", "a"))), ".a", promise("", "a")))
	for limit, want := range map[int][]string{4: {"WorkflowBuildError"}, 5: nil} {
		in := given(w)
		in.MaxNodes = limit
		_, err := Workflow(in)
		if diff := cmp.Diff(want, problemsOf(t, err)); diff != "" {
			t.Errorf("limit %d: -want +got\n%s", limit, diff)
		}
	}
}

// TestNestingIsLimited, since ids grow with it: 32 conditionals within each
// other are taken, and one more is refused where it is.
func TestNestingIsLimited(t *testing.T) {
	nested := func(depth int) *core.WorkflowTemplate {
		n := run("n", "void")
		for range depth {
			n = branch("n", orFail(&core.IfElseBlock{Case: when(".a", 1, n)}), ".a", promise("", "a"))
		}
		return nodes(n)
	}
	deepest := "n" + strings.Repeat("-n", maxNesting)
	for depth, want := range map[int][]string{maxNesting: nil, maxNesting + 1: {"WorkflowBuildError " + deepest}, 300: {"WorkflowBuildError " + deepest}} {
		_, err := Workflow(given(nested(depth)))
		if diff := cmp.Diff(want, problemsOf(t, err)); diff != "" {
			t.Errorf("%d deep: -want +got\n%s", depth, diff)
		}
	}
}

// TestUnionsDoNotExplode: comparing deep unions costs no more than the budget.
func TestUnionsDoNotExplode(t *testing.T) {
	deep := func() *core.LiteralType {
		u := union(listOf(integer))
		for range 12 {
			u = union(u, u)
		}
		return u
	}
	w := flow("w", vars("v", deep(), "u", deep()), nil, nil, branch("n0", orFail(&core.IfElseBlock{
		Case: &core.IfBlock{Condition: compares(".v", core.ComparisonExpression_EQ, ".u"), ThenNode: run("n0", "void")}}), ".v", promise("", "v"), ".u", promise("", "u")))
	if _, err := Workflow(given(w)); len(problemsOf(t, err)) == 0 {
		t.Error("it compiles")
	}
}
