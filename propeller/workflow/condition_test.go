package workflow

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// ascending holds values of each kind, each more than the one before it.
var ascending = map[string][]*core.Primitive{
	"integer": {whole(math.MinInt64), whole(-1), whole(0), whole(1<<53 + 1), whole(math.MaxInt64)},
	"float":   {real(math.Inf(-1)), real(-0.5), real(0), real(0.1), real(math.MaxFloat64), real(math.Inf(1))},
	"string":  {word(""), word("A"), word("a"), word("aa"), word("z"), word("é"), word("𝕫")},
	"datetime": {moment(&timestamppb.Timestamp{Seconds: math.MinInt64}), moment(&timestamppb.Timestamp{}), moment(&timestamppb.Timestamp{Nanos: 1}),
		moment(&timestamppb.Timestamp{Seconds: 1}), moment(&timestamppb.Timestamp{Seconds: math.MaxInt64, Nanos: 999999999})},
	"duration": {span(&durationpb.Duration{Seconds: -10000000000}), span(&durationpb.Duration{Seconds: -9999999999, Nanos: -1}), span(&durationpb.Duration{Seconds: -9999999999}),
		span(&durationpb.Duration{}), span(&durationpb.Duration{Seconds: 9999999999}), span(&durationpb.Duration{Seconds: 10000000000})},
}

func whole(n int64) *core.Primitive {
	return &core.Primitive{Value: &core.Primitive_Integer{Integer: n}}
}

func real(f float64) *core.Primitive {
	return &core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: f}}
}

func word(s string) *core.Primitive {
	return &core.Primitive{Value: &core.Primitive_StringValue{StringValue: s}}
}

func truth(b bool) *core.Primitive {
	return &core.Primitive{Value: &core.Primitive_Boolean{Boolean: b}}
}

func moment(t *timestamppb.Timestamp) *core.Primitive {
	return &core.Primitive{Value: &core.Primitive_Datetime{Datetime: t}}
}

func span(d *durationpb.Duration) *core.Primitive {
	return &core.Primitive{Value: &core.Primitive_Duration{Duration: d}}
}

// optional is how flytekit sends a value of an Optional: as a union.
func optional(l *core.Literal) *core.Literal {
	return scalar(&core.Scalar{Value: &core.Scalar_Union{Union: &core.Union{Value: l}}})
}

// decides evaluates one comparison: the left side is a variable, the right one
// a constant in one of its two forms, or a variable too.
func decides(op core.ComparisonExpression_Operator, l, r *core.Literal, form int) (bool, error) {
	right := variable("n0.o0")
	switch {
	case form == 0:
		right = constantOf(r)
	case form == 1 && r.GetScalar().GetPrimitive() != nil:
		right = &core.Operand{Val: &core.Operand_Primitive{Primitive: r.GetScalar().GetPrimitive()}}
	}
	return holds(compares(op, variable(".x"), right), map[string]*core.Literal{".x": l, "n0.o0": r})
}

// TestEachOperatorOnEachType: all pairs of each kind, plain and optional.
func TestEachOperatorOnEachType(t *testing.T) {
	for kind, values := range ascending {
		for i, l := range values {
			for j, r := range values {
				want := map[core.ComparisonExpression_Operator]bool{
					core.ComparisonExpression_EQ: i == j, core.ComparisonExpression_NEQ: i != j, core.ComparisonExpression_GT: i > j,
					core.ComparisonExpression_GTE: i >= j, core.ComparisonExpression_LT: i < j, core.ComparisonExpression_LTE: i <= j}
				for op, yes := range want {
					for form := range 3 {
						if got, err := decides(op, primitive(l), primitive(r), form); err != nil || got != yes {
							t.Errorf("%s: %v %s %v is %t (%v)", kind, l, op, r, got, err)
						}
						if got, err := decides(op, optional(primitive(l)), primitive(r), form); err != nil || got != yes {
							t.Errorf("optional %s: %v %s %v is %t (%v)", kind, l, op, r, got, err)
						}
					}
				}
			}
		}
	}
}

func TestWhatHasNoOrderIsOnlyEqualOrNot(t *testing.T) {
	none, yes, no := plainLiteral("None"), primitive(truth(true)), primitive(truth(false))
	list := &core.Literal{Value: &core.Literal_Collection{Collection: &core.LiteralCollection{}}}
	for _, c := range []struct {
		l, r *core.Literal
		same bool
	}{
		{yes, yes, true}, {yes, no, false}, {no, no, true}, {none, none, true}, {optional(none), none, true},
		{none, optional(yes), false}, {list, none, false}, {none, primitive(word("")), false}, {primitive(whole(0)), none, false},
	} {
		for form := range 3 {
			if got, err := decides(core.ComparisonExpression_EQ, c.l, c.r, form); err != nil || got != c.same {
				t.Errorf("%v == %v is %t (%v)", c.l, c.r, got, err)
			}
			if got, err := decides(core.ComparisonExpression_NEQ, c.l, c.r, form); err != nil || got == c.same {
				t.Errorf("%v != %v is %t (%v)", c.l, c.r, got, err)
			}
			for op := core.ComparisonExpression_GT; op <= core.ComparisonExpression_LTE; op++ {
				if _, err := decides(op, c.l, c.r, form); err == nil || !strings.Contains(err.Error(), "only == and !=") {
					t.Errorf("%v %s %v: %v, want it refused", c.l, op, c.r, err)
				}
			}
		}
	}
	nan := primitive(real(math.NaN()))
	for op := core.ComparisonExpression_EQ; op <= core.ComparisonExpression_LTE; op++ {
		if got, err := decides(op, nan, nan, 0); err != nil || got != (op == core.ComparisonExpression_NEQ) {
			t.Errorf("NaN %s NaN is %t (%v)", op, got, err)
		}
	}
}

// TestKindsAreNeverMixed: an integer is no float, and what is no primitive is
// compared with nothing but None.
func TestKindsAreNeverMixed(t *testing.T) {
	values := map[string]*core.Literal{"a boolean": primitive(truth(true)),
		"x":          {Value: &core.Literal_Map{Map: &core.LiteralMap{}}},
		"a struct":   scalar(&core.Scalar{Value: &core.Scalar_Generic{}}),
		"nothing":    scalar(&core.Scalar{Value: &core.Scalar_Primitive{Primitive: &core.Primitive{}}}),
		"a variable": {}}
	for kind, list := range ascending {
		values[kind] = primitive(list[1])
	}
	for a, l := range values {
		for b, r := range values {
			if a == b && (l.GetScalar().GetPrimitive().GetValue() != nil) {
				continue
			}
			for op := core.ComparisonExpression_EQ; op <= core.ComparisonExpression_LTE; op++ {
				for form := range 3 {
					if got, err := decides(op, l, r, form); err == nil {
						t.Errorf("%s %s %s is %t, want it refused", a, op, b, got)
					}
				}
			}
		}
	}
}

func TestConditionsAreEvaluatedNoFurtherThanNeeded(t *testing.T) {
	and, or := core.ConjunctionExpression_AND, core.ConjunctionExpression_OR
	yes, no := expression("x == 1"), expression("x == 2")
	bad := compares(core.ComparisonExpression_GT, variable("none"), constantOf(plainLiteral("3")))
	inputs := map[string]*core.Literal{"x": plainLiteral("1"), "none": optional(plainLiteral("None"))}
	for _, c := range []struct {
		e    *core.BooleanExpression
		want string
	}{
		{joined(and, yes, yes), "true"}, {joined(and, yes, no), "false"}, {joined(or, no, yes), "true"}, {joined(or, no, no), "false"},
		{joined(or, yes, bad), "true"}, {joined(and, no, bad), "false"}, {joined(or, no, bad), "only == and != apply to None"},
		{joined(and, yes, bad), "only == and != apply to None"}, {joined(and, joined(or, no, yes), joined(or, yes, bad)), "true"},
		{joined(7, yes, yes), "joins no conditions"}, {joined(and, yes, nil), "a condition is missing"}, {nil, "a condition is missing"},
		{compares(9, variable("x"), variable("x")), "compares nothing"}, {compares(0, variable("y"), variable("x")), "variable y has no value"},
		{compares(0, variable("x"), nil), "one side of a comparison is missing"}, {compares(9, constantOf(primitive(truth(true))), constantOf(primitive(truth(true)))), "booleans"},
	} {
		got, err := holds(c.e, inputs)
		if (err == nil) != (c.want == "true" || c.want == "false") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got != (c.want == "true") {
			t.Errorf("%v is %t (%v), want %s", c.e, got, err, c.want)
		}
	}
}

func TestTheFirstCaseThatHoldsIsTaken(t *testing.T) {
	b := branches{}
	b.define("else", []string{"x == 1 : n0", "x < 10 : n1", "x < 10 : n2", "else : n3"})
	b.define("fail", []string{"x == 1 : n0", "else fail : too much"})
	for _, c := range []struct {
		name, x string
		taken   int
		says    string
	}{
		{"else", "1", 0, ""}, {"else", "2", 1, ""}, {"else", "10", 3, ""}, {"else", "word", noCase, "MalformedBranchUserError: the if cannot be decided"},
		{"fail", "1", 0, ""}, {"fail", "2", noCase, "UserProvidedError: too much"},
	} {
		taken, f := choose(b[c.name], map[string]*core.Literal{"x": plainLiteral(c.x)})
		if taken != c.taken || (f == nil) != (c.says == "") || f != nil && !strings.HasPrefix(f.Error(), c.says) {
			t.Errorf("%s, x = %s: case %d (%v), want %d (%s)", c.name, c.x, taken, f, c.taken, c.says)
		}
	}
	open := &core.IfElseBlock{Case: &core.IfBlock{Condition: expression("x == 1")}}
	if taken, f := choose(open, map[string]*core.Literal{"x": plainLiteral("2")}); taken != noCase || f == nil || f.Code != codeMalformed || f.System || f.Retryable {
		t.Errorf("without an else: case %d (%v)", taken, f)
	}
}

// TestOperatorsAgree: whatever is compared, the six operators say one thing.
func TestOperatorsAgree(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) *core.Literal {
		var l *core.Literal
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			l = primitive(whole(rapid.Int64().Draw(t, "integer")))
		case 1:
			l = primitive(real(rapid.Float64().Draw(t, "float")))
		case 2:
			l = primitive(word(rapid.String().Draw(t, "string")))
		case 3:
			l = primitive(moment(&timestamppb.Timestamp{Seconds: rapid.Int64().Draw(t, "s"), Nanos: rapid.Int32().Draw(t, "n")}))
		case 4:
			l = primitive(span(&durationpb.Duration{Seconds: rapid.Int64().Draw(t, "s"), Nanos: rapid.Int32().Draw(t, "n")}))
		case 5:
			l = primitive(truth(rapid.Bool().Draw(t, "boolean")))
		case 6:
			l = plainLiteral("None")
		}
		if rapid.Bool().Draw(t, "optional") {
			l = optional(l)
		}
		return l
	})
	rapid.Check(t, func(t *rapid.T) {
		l, r := draw.Draw(t, "left"), draw.Draw(t, "right")
		agree(t, l, r)
		agree(t, l, l)
	})
}

// agree checks what must hold of any two literals.
func agree(t interface {
	Fatalf(format string, args ...any)
}, l, r *core.Literal) {
	is := func(op core.ComparisonExpression_Operator, l, r *core.Literal) (bool, bool) {
		yes, err := decides(op, l, r, 2)
		return yes, err == nil
	}
	eq, ok := is(core.ComparisonExpression_EQ, l, r)
	if back, okBack := is(core.ComparisonExpression_EQ, r, l); back != eq || ok != okBack {
		t.Fatalf("== depends on the order of %v and %v", l, r)
	}
	if ne, okNe := is(core.ComparisonExpression_NEQ, l, r); ok != okNe || ok && ne == eq {
		t.Fatalf("== and != do not disagree on %v and %v", l, r)
	}
	lt, okLt := is(core.ComparisonExpression_LT, l, r)
	gt, okGt := is(core.ComparisonExpression_GT, l, r)
	le, okLe := is(core.ComparisonExpression_LTE, l, r)
	ge, okGe := is(core.ComparisonExpression_GTE, l, r)
	if back, okBack := is(core.ComparisonExpression_GT, r, l); back != lt || okBack != okLt {
		t.Fatalf("< is not > turned round on %v and %v", l, r)
	}
	if okLt != okGt || okLt != okLe || okLt != okGe || okLt && !ok {
		t.Fatalf("only some operators apply to %v and %v", l, r)
	}
	if okLt && (le != (lt || eq) || ge != (gt || eq) || lt && gt || lt && eq) {
		t.Fatalf("the operators do not agree on %v and %v: < %t == %t > %t <= %t >= %t", l, r, lt, eq, gt, le, ge)
	}
}

// FuzzChoose: any conditional on any inputs gives one case or one failure, and
// the same each time.
func FuzzChoose(f *testing.F) {
	b := branches{}
	b.define("a", []string{"x == 1 and y > 2 : n0", "y == word or x != None : n1", "else fail : no"})
	inputs := &core.LiteralMap{Literals: map[string]*core.Literal{"x": optional(plainLiteral("1")), "y": primitive(real(1.5))}}
	for _, block := range b {
		rawBlock, err1 := proto.Marshal(block)
		rawInputs, err2 := proto.Marshal(inputs)
		if err1 != nil || err2 != nil {
			f.Fatal(err1, err2)
		}
		f.Add(rawBlock, rawInputs)
	}
	f.Fuzz(func(t *testing.T, rawBlock, rawInputs []byte) {
		block, inputs := &core.IfElseBlock{}, &core.LiteralMap{}
		if proto.Unmarshal(rawBlock, block) != nil || proto.Unmarshal(rawInputs, inputs) != nil {
			return
		}
		taken, failure := choose(block, inputs.GetLiterals())
		last := len(block.GetOther())
		if block.GetElseNode() != nil {
			last++
		}
		if (failure == nil) != (taken >= 0 && taken <= last) {
			t.Fatalf("case %d of %d, failure %v", taken, last, failure)
		}
		if again, _ := choose(block, inputs.GetLiterals()); again != taken {
			t.Fatalf("case %d, then %d", taken, again)
		}
		_ = operands(block)
		for _, l := range inputs.GetLiterals() {
			for _, r := range inputs.GetLiterals() {
				agree(t, l, r)
			}
		}
	})
}
