package election

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// stuck is a database that does not answer one of its writes before it is freed,
// whatever the context says: it finds out what became of a COMMIT.
type stuck struct {
	*database
	inBegin, inRebuild bool
	reached, free      chan struct{}
	once               sync.Once
}

func (s *stuck) wait() error {
	s.once.Do(func() { close(s.reached) })
	<-s.free
	return fault.E(fault.Unavailable, "the outcome of a write is not known")
}

func (s *stuck) BeginTerm(ctx context.Context, replica string) (flow.Fence, error) {
	if s.inBegin {
		return flow.Fence{}, s.wait()
	}
	return s.database.BeginTerm(ctx, replica)
}

func (s *stuck) EnterRebuild(ctx context.Context, known flow.Fence, why string) (flow.Rebuild, error) {
	if s.inRebuild {
		return flow.Rebuild{}, s.wait()
	}
	return s.database.EnterRebuild(ctx, known, why)
}

// TestABeginningThatHangsHoldsNoLeadership: a replica whose BeginTerm or
// EnterRebuild gets no answer lets go when it is to stop, and does not wait until
// the database has told what became of it.
func TestABeginningThatHangsHoldsNoLeadership(t *testing.T) {
	for _, tt := range []struct {
		name    string
		restore bool
	}{{"BeginTerm", false}, {"EnterRebuild", true}} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGroup(t, 1)
			n := g.nodes[0]
			first := g.next(t)
			n.Observe(flow.Fence{Epoch: first.Fence.Epoch, Beat: 7})
			eventually(t, "the fence is replicated", func() bool { return n.Highest().Beat == 7 })
			n.stop()
			found := flow.Fence{Epoch: first.Fence.Epoch, Beat: 7}
			if tt.restore {
				found.Beat = 6
			}
			g.db.set(found)
			db := &stuck{database: g.db, inBegin: !tt.restore, inRebuild: tt.restore, reached: make(chan struct{}), free: make(chan struct{})}
			n.opts.Epochs = db
			g.start(t, 0)
			<-db.reached
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				n.stop()
			}()
			select {
			case <-stopped:
			case <-time.After(20 * time.Second):
				t.Error("it waits for the database")
			}
			close(db.free)
			<-stopped
		})
	}
}
