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
)

// beats makes one batched call to the leader each second, and one at once when
// a new session asks for its first lease.
func (h *Hub) beats(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.beatNow:
		}
		if err := h.beat(ctx); err != nil && ctx.Err() == nil {
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
