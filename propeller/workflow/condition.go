package workflow

import (
	"cmp"
	"fmt"
	"math/big"
	"strings"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// Codes with which a branch node fails.
const (
	// codeElseFail says that no case held and the author wants that to fail.
	codeElseFail = "UserProvidedError"
	// codeMalformed says that a condition cannot be decided on these inputs.
	codeMalformed = "MalformedBranchUserError"
)

// noCase is chosen where nothing runs.
const noCase = -1

// choose gives the index of the first case whose condition holds; the else
// comes after all others. Conditions are evaluated as Python does when the
// workflow runs locally: in order, and no further than needed.
func choose(ifElse *core.IfElseBlock, inputs map[string]*core.Literal) (int, *Failure) {
	blocks := append([]*core.IfBlock{ifElse.GetCase()}, ifElse.GetOther()...)
	for i, block := range blocks {
		yes, err := holds(block.GetCondition(), inputs)
		if err != nil {
			return noCase, &Failure{Code: codeMalformed, Message: fmt.Sprintf("%s cannot be decided: %v", caseName(i), err)}
		}
		if yes {
			return i, nil
		}
	}
	if ifElse.GetElseNode() != nil {
		return len(blocks), nil
	}
	if e := ifElse.GetError(); e != nil {
		return noCase, &Failure{Code: codeElseFail, Message: e.GetMessage()}
	}
	return noCase, &Failure{Code: codeMalformed, Message: "no case holds, and there is no else"}
}

func caseName(i int) string {
	if i == 0 {
		return "the if"
	}
	return fmt.Sprintf("elif %d", i)
}

// holds evaluates an expression. The right side of an "and" or "or" is looked
// at only if the left one leaves the result open: "x is None or x > 3" is fine.
func holds(e *core.BooleanExpression, inputs map[string]*core.Literal) (bool, error) {
	switch v := e.GetExpr().(type) {
	case *core.BooleanExpression_Comparison:
		return compare(v.Comparison, inputs)
	case *core.BooleanExpression_Conjunction:
		decisive := v.Conjunction.GetOperator() == core.ConjunctionExpression_OR
		if op := v.Conjunction.GetOperator(); !decisive && op != core.ConjunctionExpression_AND {
			return false, fmt.Errorf("operator %s joins no conditions", op)
		}
		left, err := holds(v.Conjunction.GetLeftExpression(), inputs)
		if err != nil || left == decisive {
			return left, err
		}
		return holds(v.Conjunction.GetRightExpression(), inputs)
	}
	return false, fmt.Errorf("a condition is missing")
}

func compare(e *core.ComparisonExpression, inputs map[string]*core.Literal) (bool, error) {
	left, err := operand(e.GetLeftValue(), inputs)
	if err != nil {
		return false, err
	}
	right, err := operand(e.GetRightValue(), inputs)
	if err != nil {
		return false, err
	}
	op := e.GetOperator()
	if left.none() || right.none() {
		return compareNone(op, left.none() == right.none())
	}
	if left.kind() != right.kind() || left.kind() == "" {
		return false, fmt.Errorf("%s is compared with %s", left, right)
	}
	return comparePrimitives(op, left.primitive(), right.primitive())
}

// value is one side of a comparison.
type value struct {
	name    string // of the variable; empty: a constant
	literal *core.Literal
}

func operand(o *core.Operand, inputs map[string]*core.Literal) (value, error) {
	switch v := o.GetVal().(type) {
	case *core.Operand_Var:
		name := strings.TrimPrefix(v.Var, ".") // the workflow's own inputs have no node before the dot
		l := unwrapped(inputs[v.Var])
		if l.GetValue() == nil {
			return value{}, fmt.Errorf("variable %s has no value", name)
		}
		return value{name, l}, nil
	case *core.Operand_Primitive:
		return constant(&core.Scalar{Value: &core.Scalar_Primitive{Primitive: v.Primitive}}), nil
	case *core.Operand_Scalar:
		return constant(v.Scalar), nil
	}
	return value{}, fmt.Errorf("one side of a comparison is missing")
}

func constant(s *core.Scalar) value {
	return value{literal: unwrapped(&core.Literal{Value: &core.Literal_Scalar{Scalar: s}})}
}

// unwrapped takes a literal out of a union.
func unwrapped(l *core.Literal) *core.Literal {
	for l.GetScalar().GetUnion() != nil {
		l = l.GetScalar().GetUnion().GetValue()
	}
	return l
}

func (v value) primitive() *core.Primitive { return v.literal.GetScalar().GetPrimitive() }

func (v value) none() bool {
	_, ok := v.literal.GetScalar().GetValue().(*core.Scalar_NoneType)
	return ok
}

// kind names the type of a primitive; it is empty for anything else.
func (v value) kind() string {
	switch v.primitive().GetValue().(type) {
	case *core.Primitive_Integer:
		return "an integer"
	case *core.Primitive_FloatValue:
		return "a float"
	case *core.Primitive_StringValue:
		return "a string"
	case *core.Primitive_Boolean:
		return "a boolean"
	case *core.Primitive_Datetime:
		return "a datetime"
	case *core.Primitive_Duration:
		return "a duration"
	}
	return ""
}

// String tells a person what is compared.
func (v value) String() string {
	kind := v.kind()
	if kind == "" {
		kind = "a value that is not a simple one"
	}
	if v.name == "" {
		return kind
	}
	return fmt.Sprintf("%s (%s)", v.name, kind)
}

// compareNone compares where at least one side is None.
func compareNone(op core.ComparisonExpression_Operator, same bool) (bool, error) {
	switch op {
	case core.ComparisonExpression_EQ:
		return same, nil
	case core.ComparisonExpression_NEQ:
		return !same, nil
	}
	return false, fmt.Errorf("only == and != apply to None")
}

// comparePrimitives compares two primitives of one kind.
func comparePrimitives(op core.ComparisonExpression_Operator, l, r *core.Primitive) (bool, error) {
	switch a := l.GetValue().(type) {
	case *core.Primitive_Integer:
		return ordered(op, a.Integer, r.GetInteger())
	case *core.Primitive_FloatValue:
		return ordered(op, a.FloatValue, r.GetFloatValue())
	case *core.Primitive_StringValue:
		return ordered(op, a.StringValue, r.GetStringValue())
	case *core.Primitive_Datetime:
		return ordered(op, nanoseconds(a.Datetime).Cmp(nanoseconds(r.GetDatetime())), 0)
	case *core.Primitive_Duration:
		return ordered(op, nanoseconds(a.Duration).Cmp(nanoseconds(r.GetDuration())), 0)
	}
	switch op {
	case core.ComparisonExpression_EQ:
		return l.GetBoolean() == r.GetBoolean(), nil
	case core.ComparisonExpression_NEQ:
		return l.GetBoolean() != r.GetBoolean(), nil
	}
	return false, fmt.Errorf("only == and != apply to booleans")
}

// ordered is Go's own comparison, which for NaN is Python's too.
func ordered[T cmp.Ordered](op core.ComparisonExpression_Operator, l, r T) (bool, error) {
	switch op {
	case core.ComparisonExpression_EQ:
		return l == r, nil
	case core.ComparisonExpression_NEQ:
		return l != r, nil
	case core.ComparisonExpression_GT:
		return l > r, nil
	case core.ComparisonExpression_GTE:
		return l >= r, nil
	case core.ComparisonExpression_LT:
		return l < r, nil
	case core.ComparisonExpression_LTE:
		return l <= r, nil
	}
	return false, fmt.Errorf("operator %s compares nothing", op)
}

// nanoseconds of a timestamp or a duration, exactly: either may be longer than
// Go's own types hold.
func nanoseconds(t interface {
	GetSeconds() int64
	GetNanos() int32
}) *big.Int {
	n := new(big.Int).Mul(big.NewInt(t.GetSeconds()), big.NewInt(1e9))
	return n.Add(n, big.NewInt(int64(t.GetNanos())))
}
