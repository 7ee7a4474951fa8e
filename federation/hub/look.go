package hub

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

// lookEvery is how often a hub asks, once for all of its sessions, for which of
// them the outbox has something.
const lookEvery = 500 * time.Millisecond

// looks asks until ctx ends. Sessions sweep the outbox each second in case a
// Wake was lost; of hundreds that are idle, each with a transaction of its own,
// that would be most of what the database has to do.
func (h *Hub) looks(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked, err := h.look(ctx)
		if !asked || ctx.Err() != nil {
			continue
		}
		if err != nil && !failing {
			h.log.Warn("the outbox was not looked at; what waits without a wake waits longer", "error", err)
		}
		failing = err != nil
		if h.reach.looked(h.now(), h.grantPause(), err) {
			h.log.Error("this hub does not reach the database, and the leader does: its members are sent to other hubs", "error", err)
			h.EndSessions("this hub does not reach the database; others do")
		}
	}
}

// look tells the sessions that have something to read, or to learn, that their
// next sweep is to read. Without sessions nothing is asked.
func (h *Hub) look(ctx context.Context) (asked bool, err error) {
	streams := map[flow.Sender]*stream{}
	var senders []flow.Sender
	for _, s := range h.all() {
		streams[s.sender] = s
		senders = append(senders, s.sender)
	}
	if len(senders) == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	due, err := h.o.Outbox.Due(ctx, senders)
	for _, who := range due {
		if s := streams[who]; s != nil {
			s.due.Store(true)
		}
	}
	return true, err
}

// wanted reports whether a read of the outbox is to be made: a sweep is made only
// if a look has found something since the last one.
func (s *stream) wanted(o session.ReadOutbox) bool {
	due := s.due.Swap(false)
	return due || !o.Sweep
}
