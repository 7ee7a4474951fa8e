package workflow

import (
	"fmt"
	"maps"
	"slices"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// connect fills Up and orders the nodes. Edges are the compiled ones and those
// that bindings imply: a node that reads another's outputs always waits for
// it, and a branch node waits for all that any of its cases reads.
func connect(t *Template, byID map[string]*Node, edges *core.ConnectionSet) error {
	top := maps.Clone(byID) // with the nodes of cases, each as the branch node around it
	for _, n := range t.Nodes {
		for _, inner := range n.inner() {
			if top[inner.ID] == nil {
				top[inner.ID] = n
			}
		}
	}
	down := map[*Node][]*Node{}
	for _, n := range t.Nodes {
		ids := upstream(n, edges)
		for _, inner := range n.inner() {
			ids = append(ids, upstream(inner, edges)...)
			if err := inner.link(reads(inner), byID); err != nil {
				return err
			}
			if slices.Contains(inner.Up, n) {
				return fmt.Errorf("node %s reads the branch node that it is in", inner.ID)
			}
		}
		if err := n.link(ids, top); err != nil {
			return err
		}
		for _, up := range n.Up {
			down[up] = append(down[up], n)
		}
	}
	sorted := order(t.Nodes, down)
	if len(sorted) < len(t.Nodes) {
		return fmt.Errorf("the nodes form a circle")
	}
	t.Nodes = sorted
	return nil
}

// link fills Up with the nodes of these ids, each once and never itself.
func (n *Node) link(ids []string, among map[string]*Node) error {
	seen := map[*Node]bool{n: true}
	for _, id := range ids {
		if id == "" {
			id = StartNode
		}
		up := among[id]
		if up == nil {
			return fmt.Errorf("node %s: no upstream node %s", n.ID, id)
		}
		if !seen[up] {
			seen[up] = true
			n.Up = append(n.Up, up)
		}
	}
	return nil
}

func upstream(n *Node, edges *core.ConnectionSet) []string {
	if n.Kind == KindStart {
		return nil
	}
	ids := append([]string(nil), edges.GetUpstream()[n.ID].GetIds()...)
	ids = append(ids, n.Spec.GetUpstreamNodeIds()...)
	return append(ids, reads(n)...)
}

// reads gives the ids of the nodes whose outputs a node is bound to.
func reads(n *Node) (ids []string) {
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
