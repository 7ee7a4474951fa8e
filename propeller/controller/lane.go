package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// slowRound is how long a round takes after which its execution is slow.
	slowRound = 2 * time.Second
	// slowPause is when a slow execution that found no worker looks again.
	slowPause = time.Second
)

// lane keeps executions whose last round was slow, since what they read lies in
// an object store that hangs, say, from taking every worker: together they take
// half of them. One pays a single slow round until it is known for it.
type lane struct {
	mu   sync.Mutex
	slow map[types.UID]bool
	busy int // slow executions at work
}

// enter reports whether the execution may have its round now, of so many
// workers. If so, leave must be called.
func (l *lane) enter(uid types.UID, workers int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.slow[uid] {
		return true
	}
	if l.busy >= max(workers/2, 1) {
		return false
	}
	l.busy++
	return true
}

// leave notes how long the round took.
func (l *lane) leave(uid types.UID, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slow[uid] {
		l.busy--
	}
	delete(l.slow, uid)
	if took < slowRound {
		return
	}
	if l.slow == nil {
		l.slow = map[types.UID]bool{}
	}
	l.slow[uid] = true
}

// forget drops an execution that has no more rounds.
func (l *lane) forget(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slow, uid)
}
