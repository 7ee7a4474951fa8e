package workflow

import (
	"fmt"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// connect fills Up and orders the nodes. Edges are the compiled ones and those
// that bindings imply: a node that reads another's outputs always waits for it.
func connect(t *Template, byID map[string]*Node, edges *core.ConnectionSet) error {
	down := map[*Node][]*Node{}
	for _, n := range t.Nodes {
		seen := map[string]bool{n.ID: true}
		add := func(id string) error {
			if id == "" {
				id = StartNode
			}
			if seen[id] {
				return nil
			}
			seen[id] = true
			up := byID[id]
			if up == nil {
				return fmt.Errorf("node %s: no upstream node %s", n.ID, id)
			}
			n.Up = append(n.Up, up)
			down[up] = append(down[up], n)
			return nil
		}
		for _, id := range upstream(n, edges) {
			if err := add(id); err != nil {
				return err
			}
		}
	}
	sorted := order(t.Nodes, down)
	if len(sorted) < len(t.Nodes) {
		return fmt.Errorf("the nodes form a circle")
	}
	t.Nodes = sorted
	return nil
}

func upstream(n *Node, edges *core.ConnectionSet) []string {
	if n.Kind == KindStart {
		return nil
	}
	ids := append([]string(nil), edges.GetUpstream()[n.ID].GetIds()...)
	ids = append(ids, n.Spec.GetUpstreamNodeIds()...)
	for _, b := range n.Spec.GetInputs() {
		ids = promised(b.GetBinding(), ids)
	}
	return ids
}

// promised appends the ids of the nodes whose outputs a binding reads.
func promised(b *core.BindingData, ids []string) []string {
	switch v := b.GetValue().(type) {
	case *core.BindingData_Promise:
		return append(ids, v.Promise.GetNodeId())
	case *core.BindingData_Collection:
		for _, e := range v.Collection.GetBindings() {
			ids = promised(e, ids)
		}
	case *core.BindingData_Map:
		for _, e := range v.Map.GetBindings() {
			ids = promised(e, ids)
		}
	}
	return ids
}

// order is Kahn's: stable, and short if there is a circle.
func order(nodes []*Node, down map[*Node][]*Node) []*Node {
	waits := make(map[*Node]int, len(nodes))
	sorted := make([]*Node, 0, len(nodes))
	for _, n := range nodes {
		if waits[n] = len(n.Up); waits[n] == 0 {
			sorted = append(sorted, n)
		}
	}
	for i := 0; i < len(sorted); i++ {
		for _, d := range down[sorted[i]] {
			if waits[d]--; waits[d] == 0 {
				sorted = append(sorted, d)
			}
		}
	}
	return sorted
}
