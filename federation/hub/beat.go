package hub

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

const (
	beatEvery   = time.Second
	beatTimeout = 5 * time.Second
	// beatAgain is how soon a beat that failed is made again: a new leader places
	// nothing before it has heard of members, and is not known everywhere at once.
	beatAgain = 200 * time.Millisecond
)

// beats makes one batched call to the leader each second, and one at once when
// a new session asks for its first lease.
func (h *Hub) beats(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.beatNow:
		case <-again:
		}
		again = nil
		if err := h.beat(ctx); err != nil && ctx.Err() == nil {
			again = time.After(beatAgain)
			h.metrics.beats.WithLabelValues("failed").Inc()
			h.log.Warn("the leader was not reached; no leases", "error", err)
		}
	}
}

func (h *Hub) beat(ctx context.Context) error {
	var beats []flow.Beat
	for _, s := range h.all() {
		if b, ok := s.beat(); ok {
			beats = append(beats, b)
		}
	}
	if len(beats) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	h.mu.Lock()
	h.giveUp = cancel
	h.mu.Unlock()
	leases, err := h.o.Leases.Beat(ctx, h.o.Name, beats)
	if err != nil {
		return err
	}
	h.metrics.beats.WithLabelValues("ok").Inc()
	if len(leases) > 0 {
		h.reach.granted(h.now(), h.grantPause())
	}
	for _, l := range leases {
		h.mu.Lock()
		s := h.streams[l.Member]
		h.mu.Unlock()
		if s != nil {
			s.step(session.LeaseRecorded{Lease: l})
		}
	}
	return nil
}
