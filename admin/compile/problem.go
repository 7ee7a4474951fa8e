package compile

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// The codes of problems, as Flyte's compiler names them.
const (
	CycleDetected                 = "CycleDetected"
	UnreachableNodes              = "UnreachableNodes"
	DuplicateID                   = "DuplicateId"
	DuplicateAlias                = "DuplicateAlias"
	NodeReferenceNotFound         = "NodeReferenceNotFound"
	TaskReferenceNotFound         = "TaskReferenceNotFound"
	WorkflowReferenceNotFound     = "WorkflowReferenceNotFound"
	VariableNameNotFound          = "VariableNameNotFound"
	MismatchingTypes              = "MismatchingTypes"
	MismatchingInterfaces         = "MismatchingInterfaces"
	MismatchingBindings           = "MismatchingBindings"
	ParameterBoundMoreThanOnce    = "ParameterBoundMoreThanOnce"
	ParameterNotBound             = "ParameterNotBound"
	ValueRequired                 = "ValueRequired"
	InvalidValue                  = "InvalidValue"
	UnrecognizedValue             = "UnrecognizedValue"
	ValueCollision                = "ValueCollision"
	WorkflowBuildError            = "WorkflowBuildError"
	NoNodesFound                  = "NoNodesFound"
	NoConditionFound              = "NoConditionFound"
	BranchNodeIDNotFound          = "BranchNodeIdNotFound"
	BranchNodeHasNoCondition      = "BranchNodeHasNoCondition"
	BranchNodeHasNoDefault        = "BranchNodeHasNoDefault"
	IllegalEnumValue              = "IllegalEnumValue"
	AmbiguousBindingUnionValue    = "AmbiguousBindingUnionValue"
	IncompatibleBindingUnionValue = "IncompatibleBindingUnionValue"
	FieldNotFound                 = "FieldNotFound"
	InvalidLiteralType            = "InvalidLiteralType"
)

// maxMessage bounds the text of an error: it travels in the metadata of a gRPC
// answer, of which clients read 32 KiB. Problems is always complete.
const maxMessage = 12 << 10

// Problem is one thing that is wrong, and where.
type Problem struct {
	Code string
	// Workflow is the name of the sub-workflow; empty in the primary workflow
	// and in a task.
	Workflow string
	Node     string // empty when the whole workflow or task is meant
	Variable string // empty when no single variable is meant
	Message  string
}

// String prints the problem on one line.
func (p Problem) String() string {
	var at []string
	for _, part := range [...][2]string{{"workflow", p.Workflow}, {"node", p.Node}, {"variable", p.Variable}} {
		if part[1] != "" {
			at = append(at, part[0]+" "+strconv.Quote(part[1]))
		}
	}
	if len(at) == 0 {
		return p.Code + ": " + p.Message
	}
	return p.Code + ": " + strings.Join(at, ", ") + ": " + p.Message
}

// Problems is everything that is wrong, in the order of workflows, nodes and
// variables. It is the error that errors.As finds in an error of this package.
type Problems []Problem

// Error prints one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// failed is a fault.Error and the Problems behind it, each found by errors.As.
// Putting Problems in fault.Error.Err would print them twice.
type failed struct {
	fault    error
	problems Problems
}

func (f *failed) Error() string   { return f.fault.Error() }
func (f *failed) Unwrap() []error { return []error{f.fault, f.problems} }

func failure(head string, problems Problems) error {
	noun := "problems"
	if len(problems) == 1 {
		noun = "problem"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d %s:", head, len(problems), noun)
	for i, p := range problems {
		line := p.String()
		if b.Len()+len(line) > maxMessage {
			fmt.Fprintf(&b, "\n… and %d more", len(problems)-i)
			break
		}
		b.WriteString("\n" + line)
	}
	return &failed{fault: fault.E(fault.Invalid, "%s", b.String()), problems: problems}
}

// place says where a problem is, and how it sorts among the others.
type place struct {
	rank     int    // of the workflow; the primary one is 0
	position int    // of the node; 0 is the workflow itself
	workflow string // empty in the primary one
	node     string
	variable string
}

func (p place) at(variable string) place {
	p.variable = variable
	return p
}

// problemList gathers problems with their places.
type problemList struct {
	places   []place
	problems []Problem
}

func (l *problemList) add(at place, code, format string, args ...any) {
	l.places = append(l.places, at)
	l.problems = append(l.problems, Problem{
		Code: code, Workflow: at.workflow, Node: at.node, Variable: at.variable,
		Message: clip(fmt.Sprintf(format, args...)),
	})
}

// addFault records what a check of a literal or a binding found.
func (l *problemList) addFault(at place, p *Problem) {
	if p != nil {
		l.add(at, p.Code, "%s", p.Message)
	}
}

// failure is the one error for all that was gathered; nil if nothing was.
func (l *problemList) failure(head string) error {
	if len(l.problems) == 0 {
		return nil
	}
	sort.Stable(l)
	return failure(head, l.problems)
}

func (l *problemList) Len() int { return len(l.problems) }

func (l *problemList) Swap(i, j int) {
	l.places[i], l.places[j] = l.places[j], l.places[i]
	l.problems[i], l.problems[j] = l.problems[j], l.problems[i]
}

func (l *problemList) Less(i, j int) bool {
	a, b := l.places[i], l.places[j]
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	if a.position != b.position {
		return a.position < b.position
	}
	return a.variable < b.variable
}

// problem makes a finding that has no place yet.
func problem(code, format string, args ...any) *Problem {
	return &Problem{Code: code, Message: clip(fmt.Sprintf(format, args...))}
}

// single turns a finding outside a workflow into an error.
func (p *Problem) single() error {
	if p == nil {
		return nil
	}
	return &failed{fault: fault.E(fault.Invalid, "%s", p.Message), problems: Problems{*p}}
}

// clip keeps a message readable whatever the request held.
func clip(s string) string {
	const longest = 1000
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

var _ error = Problems(nil)

// Bounds of a description, since types come from a request.
const (
	describeDepth = 8
	describeWidth = 12
)

// Describe prints a type for people: "collection of integer",
// "union[integer | none]", "blob(csv)". A nil type is "nothing".
func Describe(t *core.LiteralType) string { return describe(t, describeDepth) }

func describe(t *core.LiteralType, depth int) string {
	if depth == 0 {
		return "…"
	}
	switch v := t.GetType().(type) {
	case *core.LiteralType_Simple:
		return strings.ToLower(v.Simple.String())
	case *core.LiteralType_CollectionType:
		return "collection of " + describe(v.CollectionType, depth-1)
	case *core.LiteralType_MapValueType:
		return "map of " + describe(v.MapValueType, depth-1)
	case *core.LiteralType_UnionType:
		variants := v.UnionType.GetVariants()
		names := make([]string, 0, min(len(variants), describeWidth+1))
		for _, variant := range head(variants) {
			names = append(names, describe(variant, depth-1))
		}
		return "union[" + joined(names, len(variants), " | ") + "]"
	case *core.LiteralType_EnumType:
		values := v.EnumType.GetValues()
		return "enum[" + joined(append([]string(nil), head(values)...), len(values), ", ") + "]"
	case *core.LiteralType_Blob:
		return withFormat("blob", v.Blob.GetFormat())
	case *core.LiteralType_StructuredDatasetType:
		return withFormat("structured dataset", v.StructuredDatasetType.GetFormat())
	case *core.LiteralType_Schema:
		return "schema"
	}
	return "nothing"
}

func head[T any](s []T) []T { return s[:min(len(s), describeWidth)] }

func joined(names []string, total int, separator string) string {
	if total > len(names) {
		names = append(names, "…")
	}
	return strings.Join(names, separator)
}

func withFormat(name, format string) string {
	if format == "" {
		return name
	}
	return name + "(" + format + ")"
}
