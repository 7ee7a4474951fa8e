package scheduler

import (
	"context"
	"errors"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// reads counts what is read of all that clusters hold, and fails it if told so.
type reads struct {
	snapshot.Ledger
	n    int
	fail error
}

func (r *reads) Live(ctx context.Context, clusters []string, limit int) ([]flow.Placed, error) {
	r.n++
	if r.fail != nil {
		return nil, r.fail
	}
	return r.Ledger.Live(ctx, clusters, limit)
}

// counted lets a stage's term read through a counter.
func counted(s *stage) *reads {
	r := &reads{Ledger: s.gather.Ledger}
	s.gather.Ledger = r
	return r
}

// TestWhatWaitsOnALapsedClusterIsWrittenOnce, although a cycle that a nudge began
// does not read what the cluster holds. (I56.)
func TestWhatWaitsOnALapsedClusterIsWrittenOnce(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	id := s.holds("a", 3, func(p *flow.Placed) { p.Failover.Mode = flow.FailoverNever })[0]
	s.pass(34, "b", "c")
	s.is("they wait for their cluster", s.waits[id] != nil)
	read, stored := counted(s), len(s.rounds)
	for range 3 {
		s.now = s.now.Add(300 * time.Millisecond)
		s.step()
		s.now = s.now.Add(700 * time.Millisecond)
		s.step()
	}
	s.is("every other cycle read what the cluster holds", read.n == 3)
	s.is("no round is stored for nothing", len(s.rounds) == stored)
}

// TestWhatADrainedClusterHoldsIsReadOnceASweep, and at once while more is to be
// moved by force than one plan may.
func TestWhatADrainedClusterHoldsIsReadOnceASweep(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	s.holds("a", 3)
	s.clusters[0].Drain = &flow.ClusterDrain{Budget: 1, At: s.now}
	read := counted(s)
	s.pass(1, "a", "b", "c")
	s.is("a drain is looked at in the first cycle", read.n == 1 && s.revoking() == 1)
	for range 4 {
		s.now = s.now.Add(100 * time.Millisecond)
		s.step()
	}
	s.is("cycles that nudges begin read nothing more", read.n == 1)
	s.hurry = true
	s.step()
	s.is("in a hurry they do", read.n == 2)
	s.pass(1, "a", "b", "c")
	s.is("and so does the next sweep", read.n == 3)
}

// TestAPlanIsKeptWithoutItsPlannedMoves, if only what these need cannot be read.
func TestAPlanIsKeptWithoutItsPlannedMoves(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	s.holds("a", 1)
	s.clusters[0].Drain = &flow.ClusterDrain{Budget: 1, At: s.now}
	read := counted(s)
	read.fail = errors.New("the database did not answer in time")
	x := s.launch("x", "")
	s.pass(1, "a", "b", "c")
	s.is("what waits is placed", s.placed[x] != "" && s.revoking() == 0)
	var failed dto.Metric
	s.is("and the failure is counted", s.metrics.failed.Write(&failed) == nil && failed.GetCounter().GetValue() == 1)
	read.fail = nil
	s.pass(1, "a", "b", "c")
	s.is("planned moves go on at the next sweep", s.revoking() == 1)
}
