package election

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// participant is this replica's raft, or nil while its log cannot be written.
func (e *Elector) participant() *participant {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.part
}

// Check reports why this replica takes no part in the election: its log cannot
// be written. nil: it does. It never blocks.
func (e *Elector) Check(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.out == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, e.out, "this replica has left the election, since its raft log in %s cannot be written; "+
		"it joins again by itself when that can be: make room there", e.opts.Dir)
}

// leave takes this replica out of the election.
func (e *Elector) leave(why error) {
	e.mu.Lock()
	p := e.part
	e.part, e.out = nil, why
	e.mu.Unlock()
	e.metrics.out.Set(1)
	e.opts.Log.Error("this replica leaves the election: its raft log cannot be written; it joins again when that can be",
		"dir", e.opts.Dir, "err", why)
	if p == nil {
		return
	}
	if err := p.close(); err != nil {
		e.opts.Log.Warn("give up what the raft log stood on", "err", err)
	}
}

// rejoin tries to take part again, until it does or ctx ends.
func (e *Elector) rejoin(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(e.opts.Pause):
		}
		p, err := e.join()
		if e.take(p, err); err == nil {
			e.metrics.out.Set(0)
			e.opts.Log.Info("the raft log can be written again: this replica takes part in the election", "dir", e.opts.Dir)
			return
		}
		e.opts.Log.Warn("the raft log still cannot be written", "dir", e.opts.Dir, "err", err)
	}
}

// take makes p this replica's participant, unless the elector was closed.
func (e *Elector) take(p *participant, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.part, e.out = p, err
	if p != nil && e.gone {
		_ = p.close()
	}
}

// isFull reports whether an error is that of a full disk, or of one that takes
// no writes.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS)
}
