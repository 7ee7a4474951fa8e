package act

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/propeller/observe"
	"github.com/skein-project/skein/propeller/workflow"
)

func TestActsAfterTheLeaseAreCounted(t *testing.T) {
	past, ahead := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	for _, c := range []struct {
		name  string
		until time.Time
		err   error
		want  string
	}{
		{"in time", ahead, nil, ""},
		{"no lease bounds it", time.Time{}, nil, ""},
		{"made after the lease", past, nil, "made "},
		{"given up at the lease's end", past, fmt.Errorf("create: %w", context.DeadlineExceeded), "unknown "},
		{"refused", past, errors.New("forbidden"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			tn := &turn{Actor: New(Options{Late: func(made bool) {
				if made {
					got += "made "
				} else {
					got += "unknown "
				}
			}})}
			if tn.late(c.until, time.Now(), c.err); got != c.want {
				t.Errorf("counted %q, want %q", got, c.want)
			}
		})
	}
}

// suspended is a time as the clocks show it after a suspend of so many seconds:
// the wall clock has gone on, and Go's monotonic one has not. The seconds begin
// at bit 30 of the first word of a time.Time that has both.
func suspended(t time.Time, seconds uint64) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += seconds << 30
	return t
}

func TestASuspendMakesAStartLate(t *testing.T) {
	now := time.Now()
	woken := suspended(now, 60)
	if woken.Sub(now) != 0 || woken.Round(0).Sub(now.Round(0)) != time.Minute {
		t.Fatalf("no suspend: %s on one clock, %s on the other", woken.Sub(now), woken.Round(0).Sub(now.Round(0)))
	}
	late := 0
	tn := &turn{Actor: New(Options{Late: func(bool) { late++ }})}
	for _, c := range []struct {
		name  string
		until time.Duration
		want  int
	}{{"the lease ended meanwhile", 30 * time.Second, 1}, {"the lease goes on", 90 * time.Second, 0}} {
		late = 0
		if tn.late(now.Add(c.until), woken, nil); late != c.want {
			t.Errorf("%s: counted %d, want %d", c.name, late, c.want)
		}
	}
}

// starter is a plugin that only starts.
type starter struct {
	plugins.Plugin
	started  atomic.Int32
	deadline atomic.Pointer[time.Time]
	end      func() // what happens while a start is under way
}

func (*starter) ID() string          { return "starter" }
func (*starter) TaskTypes() []string { return []string{"t"} }
func (s *starter) Start(ctx context.Context, _ plugins.Task) error {
	s.started.Add(1)
	if by, ok := ctx.Deadline(); ok {
		s.deadline.Store(&by)
	}
	s.end()
	return nil
}

// TestNothingStartsOnceTheGateIsShut: the gate let a wide step pass, and shuts
// while its first starts are under way.
func TestNothingStartsOnceTheGateIsShut(t *testing.T) {
	id, epoch := flow.ExecutionID{Project: "p", Domain: "d", Name: "n"}, flow.Epoch{Era: 1, N: 2}
	until := time.Now().Add(time.Minute)
	var shut atomic.Bool
	p := &starter{}
	p.end = func() { shut.Store(p.started.Load() >= 2) }
	a := New(Options{Plugins: observe.NewPlugins(nil, p), Blobs: memory{}, Parallel: 1,
		MayStart: func(of flow.ExecutionID, at flow.Epoch) (time.Time, string, bool) {
			if of != id || at != epoch {
				t.Errorf("asked about %v, %v", of, at)
			}
			return until, "shut", !shut.Load()
		}})
	tn := &turn{Actor: a, wf: &v1alpha1.FlyteWorkflow{}, read: reader{blobs: a.Blobs}}
	tn.w.View.Execution, tn.w.View.Epoch = id, epoch
	s := workflow.Step{Starts: make([]workflow.Start, 5)}
	for i := range s.Starts {
		s.Starts[i].Spec = &workflow.Node{Task: &core.TaskTemplate{Type: "t"}}
	}
	r := tn.all(t.Context(), &s)
	if n := p.started.Load(); n != 2 || len(tn.errs) > 0 {
		t.Fatalf("%d were started, want 2: %v", n, tn.errs)
	}
	for i, one := range r.Starts {
		if one.Done != (i < 2) || one.Waiting || one.Failure != nil {
			t.Errorf("start %d came to %+v", i, one)
		}
	}
	if by := p.deadline.Load(); by == nil || !by.Equal(until) {
		t.Errorf("a start had the deadline %v, want %v, the end of the lease", by, until)
	}
}
