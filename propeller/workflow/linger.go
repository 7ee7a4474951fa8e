package workflow

import "github.com/skein-project/skein/api/flyteidl/core"

// Pods reports whether a task of the graph brings a pod of its own, in which
// something may run on after the task has ended.
func (g *Graph) Pods() bool { return g != nil && g.pods }

func bringsPod(t *core.TaskTemplate, n *core.Node) bool {
	return t.GetContainer() == nil || n.GetTaskNode().GetOverrides().GetPodTemplate() != nil
}

// Lingering are the attempts whose end the step records, and of which something
// was seen to run still.
func (s *Step) Lingering(v View) []Attempt {
	var out []Attempt
	for at, o := range v.Observed {
		n := s.Nodes[at.Node]
		if o.Lingers && n != nil && at.Number < len(n.Attempts) && ended(n.Attempts[at.Number]) {
			out = append(out, at)
		}
	}
	return out
}
