package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/skein-project/skein/chaos/check"
	"github.com/skein-project/skein/chaos/rig"
)

// worlds sums up what the simulated federation came to, of one kind or of all.
type worlds struct {
	Seeds      int          `json:"seeds"`
	Kills      int          `json:"leader_kills"`
	Violations int          `json:"violations"`
	Seen       check.Counts `json:"-"`

	Executions  int `json:"executions"`
	Moves       int `json:"moves"`
	Overlaps    int `json:"overlaps"`
	OverCommits int `json:"overcommits"`
	Late        int `json:"late"`

	replays []string // of those that broke a promise
}

func (w *worlds) join(o worlds) {
	w.Seeds, w.Kills, w.Violations = w.Seeds+o.Seeds, w.Kills+o.Kills, w.Violations+o.Violations
	w.Seen.Add(o.Seen)
	w.Executions, w.Moves = w.Seen.Accepted, w.Seen.Moves
	w.Overlaps, w.OverCommits, w.Late = w.Seen.Overlaps, w.Seen.OverCommits, w.Seen.Late
	w.replays = append(w.replays, o.replays...)
}

// one is what one world came to. Outages that a lease must survive move nothing.
func one(kind rig.Kind, seed uint64) worlds {
	r := rig.Run(seed, kind, nil)
	w := worlds{Seeds: 1, Kills: r.LeaderKills, Seen: r.Seen}
	switch {
	case len(r.Violations) > 0:
		w.replays = []string{fmt.Sprintf("%s; replay: %s", r.Violations[0], r.Replay())}
	case kind == rig.Blips && r.Seen.Moves > 0:
		w.replays = []string{fmt.Sprintf("%d moves by outages that a lease must survive; replay: %s", r.Seen.Moves, r.Replay())}
	}
	w.Violations = len(w.replays)
	return w
}

// share is for how many seeds of faults there is one of a kind.
func share(kind rig.Kind) uint64 {
	switch kind {
	case rig.Faults:
		return 1
	case rig.Blips, rig.Orders:
		return 5
	}
	return 20
}

// sweep runs count seeds from the first on, of each kind its share, on all
// cores. It ends early when ctx does; next is the first seed that was not run.
func sweep(ctx context.Context, first, count uint64) (sums map[rig.Kind]worlds, next uint64) {
	var mu sync.Mutex
	var cores sync.WaitGroup
	sums, next = map[rig.Kind]worlds{}, first
	for range runtime.GOMAXPROCS(0) {
		cores.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				seed := next
				if seed-first >= count {
					mu.Unlock()
					return
				}
				next++
				mu.Unlock()
				for _, kind := range rig.Kinds() {
					if (seed-first)%share(kind) != 0 {
						continue
					}
					w := one(kind, seed)
					mu.Lock()
					sum := sums[kind]
					sum.join(w)
					sums[kind] = sum
					mu.Unlock()
				}
			}
		})
	}
	cores.Wait()
	return sums, next
}

// tell prints a line for each kind, with what broke a promise, and gives the sum.
func (s *suite) tell(sums map[rig.Kind]worlds, first uint64, took time.Duration) (all worlds) {
	for _, kind := range slices.Sorted(maps.Keys(sums)) {
		w := sums[kind]
		fmt.Fprintf(s.out, "rig: %s: %d seeds, %d executions, %d moves, %d late acts, %d leaders killed, %d violations\n",
			kind, w.Seeds, w.Executions, w.Moves, w.Late, w.Kills, w.Violations)
		for _, how := range w.replays {
			fmt.Fprintln(s.out, "  ", how)
		}
		all.join(w)
	}
	fmt.Fprintf(s.out, "rig: seeds from %d on took %s\n", first, took.Round(time.Second))
	return all
}

// add joins the sums of each kind.
func add(to, from map[rig.Kind]worlds) {
	for kind, w := range from {
		sum := to[kind]
		sum.join(w)
		to[kind] = sum
	}
}
