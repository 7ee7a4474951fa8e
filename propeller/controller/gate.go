package controller

import (
	"time"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/propeller/observe"
)

// Gate says what the control plane lets this cluster do.
type Gate interface {
	// MayStart says whether an execution may start something new. It is asked
	// before each step, and by the act again right before each start. If ok, it
	// holds until then (zero: for ever); else reason says why not.
	MayStart(id flow.ExecutionID, epoch flow.Epoch) (until time.Time, reason string, ok bool)
	// MustStop says by when what runs of a strict execution must have ended, the
	// grace of its kill included. A renewed lease moves it on. If it is not
	// bounded, it may run on.
	MustStop(id flow.ExecutionID, epoch flow.Epoch) (by time.Time, bounded bool)
	// Incarnation is the cluster's, as far as it is known here; 0: not at all.
	Incarnation() uint64
}

// Open is a Gate that always lets pass: a cluster without a control plane.
type Open struct{}

// MayStart says yes, for ever.
func (Open) MayStart(flow.ExecutionID, flow.Epoch) (time.Time, string, bool) {
	return time.Time{}, "", true
}

// MustStop says never.
func (Open) MustStop(flow.ExecutionID, flow.Epoch) (time.Time, bool) { return time.Time{}, false }

// Incarnation is not known.
func (Open) Incarnation() uint64 { return 0 }

// StrictMargin is what it takes, beside the grace, until a pod that is to be
// stopped is heard of by its node. Strict work needs leases above the two.
const StrictMargin = time.Second

// pass is what the gate said for one step.
type pass struct {
	until  time.Time
	reason string
	may    bool
	stopAt time.Time // of a strict execution; zero: never
	terms  observe.Terms
}

// ask asks the gate for one step.
func (r *Reconciler) ask(wf *v1alpha1.FlyteWorkflow) (p pass) {
	id, epoch := executionID(wf), flow.Epoch{Era: uint64(wf.Spec.Era), N: uint64(wf.Spec.Epoch)}
	p.until, p.reason, p.may = r.Gate.MayStart(id, epoch)
	p.terms = observe.Terms{Incarnation: r.Gate.Incarnation()}
	if !wf.Spec.Strict {
		return p
	}
	p.terms.MaxGrace = r.Grace
	if by, bounded := r.Gate.MustStop(id, epoch); bounded {
		p.stopAt = by.Add(-r.Grace - StrictMargin)
	}
	return p
}

// onto puts what the gate said into the world that is decided about.
func (p pass) onto(w *observe.World) { w.View.StopAt, w.Terms = p.stopAt, p.terms }
