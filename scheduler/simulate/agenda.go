package simulate

import "time"

// end is when a run of an execution is due to end.
type end struct {
	at        time.Duration
	execution *execution
	attempt   uint32
}

// agenda holds what is due, the earliest on top.
type agenda struct{ list []end }

func (a *agenda) before(i, j int) bool {
	if a.list[i].at != a.list[j].at {
		return a.list[i].at < a.list[j].at
	}
	return a.list[i].execution.id.Name < a.list[j].execution.id.Name
}

func (a *agenda) push(e end) {
	a.list = append(a.list, e)
	for i := len(a.list) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.before(i, up) {
			return
		}
		a.list[i], a.list[up] = a.list[up], a.list[i]
		i = up
	}
}

// due is when the earliest is; ok is false if there is none.
func (a *agenda) due() (at time.Duration, ok bool) {
	if len(a.list) == 0 {
		return 0, false
	}
	return a.list[0].at, true
}

func (a *agenda) pop() end {
	top, last := a.list[0], len(a.list)-1
	a.list[0] = a.list[last]
	a.list[last] = end{}
	a.list = a.list[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			return top
		}
		if down+1 < last && a.before(down+1, down) {
			down++
		}
		if !a.before(down, i) {
			return top
		}
		a.list[i], a.list[down] = a.list[down], a.list[i]
		i = down
	}
}
