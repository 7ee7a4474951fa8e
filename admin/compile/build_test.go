package compile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// Builders, so that a test shows only what matters.

var (
	none     = simple(core.SimpleType_NONE)
	integer  = simple(core.SimpleType_INTEGER)
	float    = simple(core.SimpleType_FLOAT)
	text     = simple(core.SimpleType_STRING)
	datetime = simple(core.SimpleType_DATETIME)
	structT  = simple(core.SimpleType_STRUCT)
	listOf   = collectionOf
)

func mapOf(t *core.LiteralType) *core.LiteralType {
	return &core.LiteralType{Type: &core.LiteralType_MapValueType{MapValueType: t}}
}

func union(variants ...*core.LiteralType) *core.LiteralType {
	return &core.LiteralType{Type: &core.LiteralType_UnionType{UnionType: &core.UnionType{Variants: variants}}}
}

func enum(values ...string) *core.LiteralType {
	return &core.LiteralType{Type: &core.LiteralType_EnumType{EnumType: &core.EnumType{Values: values}}}
}

func blob(format string) *core.LiteralType {
	return &core.LiteralType{Type: &core.LiteralType_Blob{Blob: &core.BlobType{Format: format}}}
}

func dataset(format string, columns ...string) *core.LiteralType {
	d := &core.StructuredDatasetType{Format: format}
	for _, c := range columns {
		d.Columns = append(d.Columns, &core.StructuredDatasetType_DatasetColumn{Name: c, LiteralType: integer})
	}
	return &core.LiteralType{Type: &core.LiteralType_StructuredDatasetType{StructuredDatasetType: d}}
}

func schema(columns ...string) *core.LiteralType {
	d := &core.SchemaType{}
	for _, c := range columns {
		d.Columns = append(d.Columns, &core.SchemaType_SchemaColumn{Name: c})
	}
	return &core.LiteralType{Type: &core.LiteralType_Schema{Schema: d}}
}

func tagged(t *core.LiteralType, tag string) *core.LiteralType {
	return &core.LiteralType{Type: t.GetType(), Structure: &core.TypeStructure{Tag: tag}}
}

// class is a STRUCT with a JSON schema.
func class(json map[string]any) *core.LiteralType {
	s, err := structpb.NewStruct(json)
	if err != nil {
		panic(err)
	}
	return &core.LiteralType{Type: structT.GetType(), Metadata: s}
}

func vars(pairs ...any) *core.VariableMap {
	m := &core.VariableMap{Variables: map[string]*core.Variable{}}
	for i := 0; i < len(pairs); i += 2 {
		t, _ := pairs[i+1].(*core.LiteralType)
		m.Variables[pairs[i].(string)] = &core.Variable{Type: t}
	}
	return m
}

func id(name string) *core.Identifier {
	return &core.Identifier{Project: "p", Domain: "d", Name: name, Version: "v"}
}

func taskOf(name string, in, out *core.VariableMap) *core.TaskTemplate {
	return &core.TaskTemplate{
		Id: id(name), Type: "python-task", Metadata: &core.TaskMetadata{},
		Interface: &core.TypedInterface{Inputs: in, Outputs: out},
		Target:    &core.TaskTemplate_Container{Container: &core.Container{Image: "image"}},
	}
}

func promise(node, name string, path ...any) *core.BindingData {
	ref := &core.OutputReference{NodeId: node, Var: name}
	for _, step := range path {
		switch v := step.(type) {
		case string:
			ref.AttrPath = append(ref.AttrPath, &core.PromiseAttribute{Value: &core.PromiseAttribute_StringValue{StringValue: v}})
		case int:
			ref.AttrPath = append(ref.AttrPath, &core.PromiseAttribute{Value: &core.PromiseAttribute_IntValue{IntValue: int32(v)}})
		}
	}
	return &core.BindingData{Value: &core.BindingData_Promise{Promise: ref}}
}

func literal(v any) *core.Literal {
	p := &core.Primitive{}
	switch v := v.(type) {
	case nil:
		return scalar(&core.Scalar{Value: &core.Scalar_NoneType{NoneType: &core.Void{}}})
	case int:
		p.Value = &core.Primitive_Integer{Integer: int64(v)}
	case float64:
		p.Value = &core.Primitive_FloatValue{FloatValue: v}
	case string:
		p.Value = &core.Primitive_StringValue{StringValue: v}
	case []any:
		c := &core.LiteralCollection{}
		for _, e := range v {
			c.Literals = append(c.Literals, literal(e))
		}
		return &core.Literal{Value: &core.Literal_Collection{Collection: c}}
	case map[string]any:
		m := &core.LiteralMap{Literals: map[string]*core.Literal{}}
		for k, e := range v {
			m.Literals[k] = literal(e)
		}
		return &core.Literal{Value: &core.Literal_Map{Map: m}}
	}
	return scalar(&core.Scalar{Value: &core.Scalar_Primitive{Primitive: p}})
}

func scalar(s *core.Scalar) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: s}}
}

func constant(v any) *core.BindingData {
	return &core.BindingData{Value: &core.BindingData_Scalar{Scalar: literal(v).GetScalar()}}
}

func list(of ...*core.BindingData) *core.BindingData {
	return &core.BindingData{Value: &core.BindingData_Collection{Collection: &core.BindingDataCollection{Bindings: of}}}
}

func bindings(pairs ...any) []*core.Binding {
	var out []*core.Binding
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, &core.Binding{Var: pairs[i].(string), Binding: pairs[i+1].(*core.BindingData)})
	}
	return out
}

func run(name, task string, inputs ...any) *core.Node {
	return &core.Node{Id: name, Inputs: bindings(inputs...),
		Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{Reference: &core.TaskNode_ReferenceId{ReferenceId: id(task)}}}}
}

func after(n *core.Node, upstream ...string) *core.Node {
	n.UpstreamNodeIds = upstream
	return n
}

func call(name, workflow string, inputs ...any) *core.Node {
	return &core.Node{Id: name, Inputs: bindings(inputs...),
		Target: &core.Node_WorkflowNode{WorkflowNode: &core.WorkflowNode{Reference: &core.WorkflowNode_SubWorkflowRef{SubWorkflowRef: id(workflow)}}}}
}

func launch(name, plan string, inputs ...any) *core.Node {
	return &core.Node{Id: name, Inputs: bindings(inputs...),
		Target: &core.Node_WorkflowNode{WorkflowNode: &core.WorkflowNode{Reference: &core.WorkflowNode_LaunchplanRef{LaunchplanRef: id(plan)}}}}
}

func gate(name string, g *core.GateNode, inputs ...any) *core.Node {
	return &core.Node{Id: name, Inputs: bindings(inputs...), Target: &core.Node_GateNode{GateNode: g}}
}

func approve(name, signal string, inputs ...any) *core.Node {
	return gate(name, &core.GateNode{Condition: &core.GateNode_Approve{Approve: &core.ApproveCondition{SignalId: signal}}}, inputs...)
}

func sleep(seconds int64) *core.GateNode {
	return &core.GateNode{Condition: &core.GateNode_Sleep{Sleep: &core.SleepCondition{Duration: &durationpb.Duration{Seconds: seconds}}}}
}

func branch(name string, block *core.IfElseBlock, inputs ...any) *core.Node {
	return &core.Node{Id: name, Inputs: bindings(inputs...), Target: &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: block}}}
}

func when(left string, right any, then *core.Node) *core.IfBlock {
	return &core.IfBlock{ThenNode: then, Condition: &core.BooleanExpression{Expr: &core.BooleanExpression_Comparison{Comparison: &core.ComparisonExpression{
		LeftValue:  &core.Operand{Val: &core.Operand_Var{Var: left}},
		RightValue: &core.Operand{Val: &core.Operand_Scalar{Scalar: literal(right).GetScalar()}},
	}}}}
}

func array(name string, inner *core.Node, inputs ...any) *core.Node {
	return &core.Node{Id: name, Inputs: bindings(inputs...), Target: &core.Node_ArrayNode{ArrayNode: &core.ArrayNode{Node: inner}}}
}

func flow(name string, in, out *core.VariableMap, outputs []*core.Binding, nodes ...*core.Node) *core.WorkflowTemplate {
	return &core.WorkflowTemplate{Id: id(name), Interface: &core.TypedInterface{Inputs: in, Outputs: out}, Nodes: nodes, Outputs: outputs}
}

// nodes is a workflow with the inputs a (integer) and s (text) and no outputs.
func nodes(list ...*core.Node) *core.WorkflowTemplate {
	return flow("w", vars("a", integer, "s", text), nil, nil, list...)
}

// given is an Input with a few tasks and a launch plan.
func given(t *core.WorkflowTemplate, subs ...*core.WorkflowTemplate) Input {
	in := Input{Template: t, SubWorkflows: subs, Tasks: map[string]*core.CompiledTask{}}
	for _, known := range []*core.TaskTemplate{
		taskOf("void", nil, nil),
		taskOf("one", nil, vars("o0", integer)),
		taskOf("word", nil, vars("o0", text)),
		taskOf("inc", vars("x", integer), vars("o0", integer)),
		taskOf("sum", vars("xs", listOf(integer)), vars("o0", integer)),
		taskOf("opt", vars("x", union(integer, none)), vars("o0", union(integer, none))),
		taskOf("either", vars("x", union(enum("r", "g"), text)), nil),
		taskOf("lists", vars("x", union(listOf(integer), listOf(text))), nil),
		taskOf("paint", vars("c", enum("r", "g")), nil),
		taskOf("table", vars("m", mapOf(integer)), nil),
		taskOf("at", vars("t", datetime), nil),
		taskOf("make", nil, vars("o0", class(map[string]any{"type": "object", "properties": map[string]any{"n": map[string]any{"type": "integer"}}}), "l", listOf(integer), "u", structT)),
	} {
		in.Tasks[Key(known.GetId())] = &core.CompiledTask{Template: known}
	}
	in.LaunchPlans = map[string]Interface{Key(id("plan")): {
		Inputs: &core.ParameterMap{Parameters: map[string]*core.Parameter{
			"x": {Var: &core.Variable{Type: integer}, Behavior: &core.Parameter_Required{Required: true}},
			"y": {Var: &core.Variable{Type: integer}, Behavior: &core.Parameter_Default{Default: literal(1)}},
		}},
		Outputs: vars("o0", integer),
	}}
	return in
}

// problemsOf checks that an error is what this package promises, and gives the
// problems as "code node variable".
func problemsOf(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var problems Problems
	if !errors.As(err, &problems) || !fault.Is(err, fault.Invalid) {
		t.Fatalf("%v is not an invalid request with problems", err)
	}
	var out []string
	for _, p := range problems {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", p.Code, p.Node, p.Variable)))
		if len(problems) < 20 && !strings.Contains(err.Error(), p.Message) {
			t.Errorf("the message does not tell %s", p)
		}
	}
	return out
}
