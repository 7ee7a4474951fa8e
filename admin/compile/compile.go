// Package compile is the pure Flyte compiler: it turns the templates of a task
// or a workflow into the closure that is stored and run, or says everything
// that is wrong with them.
//
// It is not a validator of names, quotas or permissions (admin/service does
// that), and it looks nothing up: the caller hands in every task, sub-workflow
// and launch plan that References names. It reads no clock and has no state.
//
// Invariants: the arguments are never changed and the result shares nothing
// with them; equal arguments give equal results, problem for problem; a node
// kind that is not understood is an error and never passes in silence.
package compile

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// DefaultMaxNodes is the limit on nodes when Input.MaxNodes is 0. Flyte's own
// default is 100, which its charts raise; we start where the charts end.
const DefaultMaxNodes = 5000

// maxNesting is how many conditionals may lie within each other: each makes
// the ids of the nodes in it longer.
const maxNesting = 32

// The two nodes that the compiler adds to every workflow.
const (
	StartNode = "start-node"
	EndNode   = "end-node"
)

// Input is all that a workflow is compiled from.
type Input struct {
	// ID becomes the id of the primary workflow; nil keeps the template's.
	ID       *core.Identifier
	Template *core.WorkflowTemplate
	// SubWorkflows are the templates that sub-workflow nodes refer to, at any
	// depth. The order does not matter.
	SubWorkflows []*core.WorkflowTemplate
	// Tasks holds what task nodes refer to, by Key.
	Tasks map[string]*core.CompiledTask
	// LaunchPlans holds what launch-plan nodes refer to, by Key.
	LaunchPlans map[string]Interface
	// MaxNodes limits the nodes of the template and its sub-workflows taken
	// together; 0 means DefaultMaxNodes.
	MaxNodes int
}

// Interface is what a launch plan takes and gives: its expected inputs, with
// defaults, and its expected outputs.
type Interface struct {
	Inputs  *core.ParameterMap
	Outputs *core.VariableMap
}

// Key names an identifier in the maps of Input: "project:domain:name:version".
func Key(id *core.Identifier) string {
	return strings.Join([]string{id.GetProject(), id.GetDomain(), id.GetName(), id.GetVersion()}, ":")
}

// Workflow compiles a workflow with everything it contains. The error is of
// kind fault.Invalid, lists all problems, and yields Problems to errors.As.
func Workflow(in Input) (*core.CompiledWorkflowClosure, error) {
	id := in.ID
	if id == nil {
		id = in.Template.GetId()
	}
	c := newCompiler(in)
	if c.admissible() {
		c.compileAll(id)
	}
	if err := c.found.failure(fmt.Sprintf("failed to compile workflow %s", Key(id))); err != nil {
		return nil, err
	}
	return c.closure, nil
}

// compiler holds the state of one call of Workflow.
type compiler struct {
	in      Input
	subs    map[string]*core.WorkflowTemplate
	order   []string // keys of subs, sorted
	found   problemList
	casts   *caster
	ifaces  map[string]*iface
	closure *core.CompiledWorkflowClosure
}

func newCompiler(in Input) *compiler {
	return &compiler{
		in:      in,
		subs:    make(map[string]*core.WorkflowTemplate, len(in.SubWorkflows)),
		casts:   &caster{left: compileBudget},
		ifaces:  map[string]*iface{},
		closure: &core.CompiledWorkflowClosure{},
	}
}

// admissible checks what must hold before any workflow is looked at closely.
func (c *compiler) admissible() bool {
	if c.in.Template == nil {
		c.found.add(place{}, ValueRequired, "the workflow has no template")
		return false
	}
	c.indexSubWorkflows()
	limit := c.in.MaxNodes
	if limit <= 0 {
		limit = DefaultMaxNodes
	}
	nodes := countNodes(c.in.Template)
	for _, key := range c.order {
		nodes += countNodes(c.subs[key])
	}
	if nodes > limit {
		c.found.add(place{}, WorkflowBuildError, "the workflow has %d nodes, the limit is %d: split it into launch plans, or ask for a higher limit", nodes, limit)
		return false
	}
	return !c.recursive()
}

func (c *compiler) compileAll(id *core.Identifier) {
	c.closure.Primary = c.compileWorkflow(c.in.Template, 0)
	if id != nil {
		c.closure.Primary.Template.Id = proto.Clone(id).(*core.Identifier)
	}
	for i, key := range c.order {
		c.closure.SubWorkflows = append(c.closure.SubWorkflows, c.compileWorkflow(c.subs[key], i+1))
	}
	templates := make([]*core.WorkflowTemplate, 0, len(c.order))
	for _, key := range c.order {
		templates = append(templates, c.subs[key])
	}
	for _, ref := range References(c.in.Template, templates).Tasks {
		if t := c.in.Tasks[Key(ref)]; t.GetTemplate() != nil {
			c.closure.Tasks = append(c.closure.Tasks, proto.Clone(t).(*core.CompiledTask))
		}
	}
	if c.casts.left <= 0 {
		c.found.add(place{}, WorkflowBuildError, "the types of the workflow are too large to compare")
	}
}
