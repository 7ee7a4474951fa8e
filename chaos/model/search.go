package model

import (
	"hash/maphash"
)

// Result is what a search found.
type Result struct {
	Broken   string // the promise that does not hold, or empty
	Complete bool   // every reachable state was seen, and I1 judged
	States   int
	Steps    int
	Depth    int     // of the last state seen
	Trace    []Label // a shortest way to what is broken
}

// heap holds the states seen, by the order in which they were, and finds equal
// ones. States are compared exactly.
type heap struct {
	seed   maphash.Seed
	slots  []uint32 // index + 1
	states []State
	parent []uint32
}

func newHeap(first State) *heap {
	h := &heap{seed: maphash.MakeSeed(), slots: make([]uint32, 1<<16)}
	h.add(&first, 0)
	return h
}

// add gives the index of a state, which is new if it was not there.
func (h *heap) add(s *State, from uint32) (index uint32, isNew bool) {
	at := h.slot(s)
	if h.slots[at] != 0 {
		return h.slots[at] - 1, false
	}
	index = uint32(len(h.states))
	h.states, h.parent = append(h.states, *s), append(h.parent, from)
	h.slots[at] = index + 1
	if len(h.states)*3 > len(h.slots)*2 {
		h.grow()
	}
	return index, true
}

func (h *heap) slot(s *State) int {
	at := int(maphash.Comparable(h.seed, *s)) & (len(h.slots) - 1)
	for h.slots[at] != 0 && h.states[h.slots[at]-1] != *s {
		at = (at + 1) & (len(h.slots) - 1)
	}
	return at
}

func (h *heap) grow() {
	h.slots = make([]uint32, 2*len(h.slots))
	for i := range h.states {
		at := int(maphash.Comparable(h.seed, h.states[i])) & (len(h.slots) - 1)
		for h.slots[at] != 0 {
			at = (at + 1) & (len(h.slots) - 1)
		}
		h.slots[at] = uint32(i + 1)
	}
}

// Search visits every state that a configuration can reach, breadth first, until
// a promise is broken: then the trace is a shortest one.
func Search(o Options) Result {
	h := newHeap(initial(&o))
	var r Result
	var healing []edge
	var worst State
	x := &stepper{o: &o}
	level, last := 0, uint32(0) // the last state of the level at hand
	var i uint32
	for ; int(i) < len(h.states) && r.Broken == ""; i++ {
		if o.Limit > 0 && len(h.states) > o.Limit {
			break
		}
		if i > last {
			level, last = level+1, uint32(len(h.states)-1)
		}
		x.from = h.states[i]
		x.take = func(to *State, _ Label, heals bool, broken string) {
			if r.Broken != "" {
				return
			}
			r.Steps++
			if broken == "" {
				broken = to.broken(&o)
			}
			if broken != "" {
				to.canonical(&o)
				r.Broken, worst = broken, *to
				return
			}
			to.canonical(&o)
			j, _ := h.add(to, i)
			if heals && j != i {
				healing = append(healing, edge{i, j})
			}
		}
		x.all()
	}
	r.States, r.Depth = len(h.states), level
	switch {
	case r.Broken != "":
		r.Trace = trace(h, &o, i-1, worst)
	case int(i) == len(h.states):
		r.Complete = true
		if lost, ok := stranded(h, &o, healing); ok {
			r.Broken = "I1: with all faults healed it comes to no end"
			r.Trace = trace(h, &o, h.parent[lost], h.states[lost])
		}
	}
	return r
}

// edge is a healing step.
type edge struct{ from, to uint32 }

// stranded finds the first state from which no settled one can be reached over
// healing steps.
func stranded(h *heap, o *Options, healing []edge) (uint32, bool) {
	first := make([]uint32, len(h.states)+1) // of the edges into each state
	for _, e := range healing {
		first[e.to+1]++
	}
	for i := range h.states {
		first[i+1] += first[i]
	}
	next, into := append([]uint32(nil), first...), make([]uint32, len(healing))
	for _, e := range healing {
		into[next[e.to]] = e.from
		next[e.to]++
	}
	good := make([]bool, len(h.states))
	var queue []uint32
	for i := range h.states {
		if h.states[i].settled(o) {
			good[i] = true
			queue = append(queue, uint32(i))
		}
	}
	for len(queue) > 0 {
		v := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, u := range into[first[v]:first[v+1]] {
			if !good[u] {
				good[u] = true
				queue = append(queue, u)
			}
		}
	}
	for i, ok := range good {
		if !ok {
			return uint32(i), true
		}
	}
	return 0, false
}

// trace names the steps from the beginning to a state behind from.
func trace(h *heap, o *Options, from uint32, last State) []Label {
	path := []State{last}
	for i := from; ; i = h.parent[i] {
		path = append(path, h.states[i])
		if i == 0 {
			break
		}
	}
	var labels []Label
	for k := len(path) - 1; k > 0; k-- {
		found := false
		x := &stepper{o: o, from: path[k]}
		x.take = func(to *State, l Label, _ bool, _ string) {
			to.canonical(o)
			if !found && *to == path[k-1] {
				found = true
				labels = append(labels, l)
			}
		}
		x.all()
	}
	return labels
}
