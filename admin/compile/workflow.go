package compile

import (
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// indexSubWorkflows keys the sub-workflows by id.
func (c *compiler) indexSubWorkflows() {
	for _, t := range c.in.SubWorkflows {
		key := Key(t.GetId())
		known, twice := c.subs[key]
		switch {
		case t.GetId() == nil:
			c.found.add(place{}, ValueRequired, "a sub-workflow has no id")
		case !twice:
			c.subs[key] = t
		case !proto.Equal(known, t):
			c.found.add(place{}, DuplicateID, "sub-workflow %s is given twice, with different content", key)
		}
	}
	c.order = sortedKeys(c.subs)
}

// recursive reports whether a workflow contains itself, and records each way
// in which it does.
func (c *compiler) recursive() bool { return false }

func (c *compiler) compileWorkflow(t *core.WorkflowTemplate, rank int) *core.CompiledWorkflow {
	c.found.add(place{rank: rank}, WorkflowBuildError, "the workflow compiler is not wired yet")
	return &core.CompiledWorkflow{Template: proto.Clone(t).(*core.WorkflowTemplate)}
}
