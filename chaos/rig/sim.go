package rig

import (
	"math/rand/v2"
	"time"
)

// sim is the one clock and the one queue: what happens, happens in the order of
// (time, sequence), in one goroutine.
type sim struct {
	now   time.Duration // true time, which no process can read
	rng   *rand.Rand
	queue []happening // a binary heap
	seq   uint64
	steps int
}

type happening struct {
	at  time.Duration
	seq uint64
	fn  func()
}

func newSim(seed uint64) *sim {
	return &sim{rng: rand.New(rand.NewPCG(seed, 0x5e1a))}
}

func (h happening) before(o happening) bool { return h.at < o.at || h.at == o.at && h.seq < o.seq }

// after lets something happen d from now.
func (s *sim) after(d time.Duration, fn func()) {
	s.seq++
	s.queue = append(s.queue, happening{s.now + max(d, 0), s.seq, fn})
	for i := len(s.queue) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.queue[i].before(s.queue[up]) {
			break
		}
		s.queue[i], s.queue[up] = s.queue[up], s.queue[i]
		i = up
	}
}

// pop takes the earliest happening.
func (s *sim) pop() happening {
	first, last := s.queue[0], len(s.queue)-1
	s.queue[0] = s.queue[last]
	s.queue[last] = happening{}
	s.queue = s.queue[:last]
	for i := 0; ; {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < last && s.queue[c].before(s.queue[least]) {
				least = c
			}
		}
		if least == i {
			return first
		}
		s.queue[i], s.queue[least] = s.queue[least], s.queue[i]
		i = least
	}
}

// run lets everything happen that is due until then, or until stop says so.
func (s *sim) run(until time.Duration, stop func() bool) {
	for len(s.queue) > 0 && s.queue[0].at <= until && !stop() {
		h := s.pop()
		s.now = h.at
		s.steps++
		h.fn()
	}
	if !stop() {
		s.now = max(s.now, until)
	}
}

// between draws a duration.
func (s *sim) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(s.rng.Int64N(int64(hi-lo)))
}

// chance is true with probability p.
func (s *sim) chance(p float64) bool { return s.rng.Float64() < p }

// pick draws one of a list.
func pick[T any](s *sim, list []T) T { return list[s.rng.IntN(len(list))] }
