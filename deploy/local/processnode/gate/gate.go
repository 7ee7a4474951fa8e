// Package gate lets a bounded number of pods run at once, first come, first served.
//
// It knows nothing of pods but that something of theirs runs or does not. The
// process node agent is its only caller.
//
// Invariant: at most as many places are held as the gate has, except by pods that
// end (Borrow), and who came first gets the next one.
package gate

import (
	"context"
	"sync"
)

// Gate has a fixed number of places.
type Gate struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{}
}

// New makes a gate with so many places.
func New(size int) *Gate { return &Gate{free: size} }

// enter waits for a place. After an error there is nothing to leave.
func (g *Gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.free > 0 && len(g.waiting) == 0 {
		g.free--
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == turn {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return ctx.Err()
		}
	}
	g.next() // the turn came together with the end
	return ctx.Err()
}

func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next()
}

// next passes one place on; the caller holds the lock.
func (g *Gate) next() {
	if g.free < 0 || len(g.waiting) == 0 {
		g.free++
		return
	}
	close(g.waiting[0])
	g.waiting = g.waiting[1:]
}

// Place is one pod's place at the gate. Whatever of the pod runs, or is between
// two steps, holds it; it is given up only while nothing of the pod runs, so
// that a pod which waits for something never keeps another from running.
type Place struct {
	gate    *Gate
	mu      sync.Mutex
	holders int
}

// At makes a pod's place at the gate, not yet held.
func (g *Gate) At() *Place { return &Place{gate: g} }

// Hold waits for the place, at once where the pod has it already. After an error
// it is not held.
func (p *Place) Hold(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holders == 0 {
		if err := p.gate.enter(ctx); err != nil {
			return err
		}
	}
	p.holders++
	return nil
}

// Drop ends one Hold or Borrow.
func (p *Place) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holders--
	if p.holders == 0 {
		p.gate.leave()
	}
}

// Borrow counts a holder that will run nothing and drops soon: a pod that ends
// need not queue for a place in order to give it back.
func (p *Place) Borrow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holders == 0 {
		p.gate.oversubscribe()
	}
	p.holders++
}

// oversubscribe takes a place that may not be there; the next to leave pays it back.
func (g *Gate) oversubscribe() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free--
}
