package compile

import (
	"sort"
	"strings"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// connect adds the start and the end node to the template, and gives the edges
// between all nodes, once it is sure that each can be reached. The failure
// node stays apart.
func (s *scope) connect(end *node) *core.ConnectionSet {
	s.t.Nodes = append(append([]*core.Node{{Id: StartNode}}, s.t.GetNodes()...), end.Node)
	s.checkOrder()
	leaf := make(map[string]bool, len(s.order))
	for _, n := range s.order {
		leaf[n.GetId()] = true
		if len(n.upstream) == 0 {
			n.upstream[StartNode] = true
		}
	}
	for _, n := range s.order {
		for id := range n.upstream {
			delete(leaf, id)
		}
	}
	for id := range leaf {
		end.upstream[id] = true
	}
	if len(s.order) == 0 {
		end.upstream[StartNode] = true
	}
	return connections(append(s.order[:len(s.order):len(s.order)], end))
}

func connections(nodes []*node) *core.ConnectionSet {
	set := &core.ConnectionSet{
		Downstream: make(map[string]*core.ConnectionSet_IdList, len(nodes)),
		Upstream:   make(map[string]*core.ConnectionSet_IdList, len(nodes)),
	}
	for _, n := range nodes {
		ids := sortedKeys(n.upstream)
		set.Upstream[n.GetId()] = &core.ConnectionSet_IdList{Ids: ids}
		for _, id := range ids {
			down := set.Downstream[id]
			if down == nil {
				down = &core.ConnectionSet_IdList{}
				set.Downstream[id] = down
			}
			down.Ids = append(down.Ids, n.GetId())
		}
	}
	for _, down := range set.Downstream {
		sort.Strings(down.Ids)
	}
	return set
}

// checkOrder finds cycles, and nodes that wait for one.
func (s *scope) checkOrder() {
	index := make(map[string]int, len(s.order))
	for i, n := range s.order {
		index[n.GetId()] = i
	}
	upstream := make([][]int, len(s.order))
	for i, n := range s.order {
		for _, id := range sortedKeys(n.upstream) {
			if j, ok := index[id]; ok {
				upstream[i] = append(upstream[i], j)
			}
		}
	}
	cycles, stranded := findCycles(upstream)
	for _, cycle := range cycles {
		path := make([]string, len(cycle))
		for i, at := range cycle {
			path[i] = s.order[at].GetId()
		}
		s.found.add(s.order[cycle[0]].at, CycleDetected, "nodes wait for one another: %s", strings.Join(path, " → "))
	}
	for _, i := range stranded {
		s.found.add(s.order[i].at, UnreachableNodes, "the node waits for a cycle and never starts")
	}
}

// findCycles takes the upstream of each vertex, without repeats, and gives
// cycles that together break every order, each as a path downstream whose
// first and last vertex are the same, and the vertices that are on none of
// them but cannot be reached because of them. It takes linear time.
func findCycles(upstream [][]int) (cycles [][]int, stranded []int) {
	stuck := unordered(upstream)
	const fresh, walked, cyclic = 0, 1, 2
	state := make([]int, len(upstream))
	for start := range upstream {
		if !stuck[start] || state[start] != fresh {
			continue
		}
		// Every stuck vertex has a stuck one upstream, so walking up ends in a
		// cycle, or in what an earlier walk has seen.
		position := map[int]int{}
		var path []int
		at := start
		for state[at] == fresh {
			state[at] = walked
			position[at] = len(path)
			path = append(path, at)
			at = firstStuck(upstream[at], stuck)
		}
		if from, own := position[at]; own {
			cycle := path[from:]
			for _, v := range cycle {
				state[v] = cyclic
			}
			cycles = append(cycles, downstreamFromFirst(cycle))
		}
	}
	for i, seen := range state {
		if seen == walked {
			stranded = append(stranded, i)
		}
	}
	return cycles, stranded
}

// unordered marks the vertices that no topological order reaches.
func unordered(upstream [][]int) []bool {
	waits := make([]int, len(upstream))
	downstream := make([][]int, len(upstream))
	var ready []int
	stuck := make([]bool, len(upstream))
	for i, ups := range upstream {
		stuck[i] = true
		if waits[i] = len(ups); waits[i] == 0 {
			ready = append(ready, i)
		}
		for _, up := range ups {
			downstream[up] = append(downstream[up], i)
		}
	}
	for len(ready) > 0 {
		at := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		stuck[at] = false
		for _, down := range downstream[at] {
			if waits[down]--; waits[down] == 0 {
				ready = append(ready, down)
			}
		}
	}
	return stuck
}

func firstStuck(ups []int, stuck []bool) int {
	for _, up := range ups {
		if stuck[up] {
			return up
		}
	}
	return ups[0]
}

// downstreamFromFirst turns a cycle that was walked upstream into a path that
// starts and ends at its lowest vertex.
func downstreamFromFirst(cycle []int) []int {
	lowest := 0
	for i, v := range cycle {
		if v < cycle[lowest] {
			lowest = i
		}
	}
	path := make([]int, 0, len(cycle)+1)
	for i := range len(cycle) + 1 {
		path = append(path, cycle[(lowest-i+2*len(cycle))%len(cycle)])
	}
	return path
}
