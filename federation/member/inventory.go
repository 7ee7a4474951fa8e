package member

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

const (
	pageSize = 250
	notOwned = "not owned: the control plane does not place it here"
)

// lists takes the inventory when the machine asks for it.
func (m *Member) lists(ctx context.Context, l *link) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.list:
	}
	if err := m.raise(ctx, l.sender.Incarnation); err != nil {
		return err
	}
	var held []flow.Held
	pinned := map[flow.ExecutionID]flow.Epoch{}
	err := m.each(ctx, func(fw *v1alpha1.FlyteWorkflow) error {
		held = append(held, heldOf(fw))
		if goesOn(fw) {
			pinned[executionOf(fw)] = epochOf(fw)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.step(session.Listed{Held: held, Pinned: pinned})
	return nil
}

// heldOf is a FlyteWorkflow's line in an inventory.
func heldOf(fw *v1alpha1.FlyteWorkflow) flow.Held {
	return flow.Held{
		Execution: executionOf(fw), Epoch: epochOf(fw),
		Revision: uint64(fw.Spec.Revision), Sequence: uint64(fw.Status.Sequence), Terminal: ended(fw), Desired: desiredOf(fw),
		Leaving: leaving(fw),
	}
}

// desiredOf tells a user's abort from what this cluster was stopped for.
func desiredOf(fw *v1alpha1.FlyteWorkflow) flow.Desired {
	switch {
	case fw.Spec.Desired != v1alpha1.DesiredAbort, ended(fw) && phaseOf(fw) != flow.ExecutionAborted: // it came to its end first
		return flow.DesiredRun
	case fw.Spec.Cause == notOwned, leaving(fw):
		return flow.DesiredGone
	}
	return flow.DesiredAbort
}

// each visits every FlyteWorkflow, as the API server has it.
func (m *Member) each(ctx context.Context, f func(*v1alpha1.FlyteWorkflow) error) error {
	var next string
	for {
		var list v1alpha1.FlyteWorkflowList
		if err := m.o.Reader.List(ctx, &list, client.Limit(pageSize), client.Continue(next)); err != nil {
			return err
		}
		for i := range list.Items {
			if err := f(&list.Items[i]); err != nil {
				return err
			}
		}
		if next = list.Continue; next == "" {
			return nil
		}
	}
}

// stops carries verdicts out: what none keeps or reports is stopped, and what
// the database has not had is sent.
func (m *Member) stops(ctx context.Context, l *link) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stop:
	}
	return m.each(ctx, func(fw *v1alpha1.FlyteWorkflow) error {
		m.reporter.touch(executionOf(fw), epochOf(fw))
		m.stopUnowned(ctx, fw)
		return nil
	})
}

// stopUnowned stops a FlyteWorkflow that this session did not confirm. The
// gate refuses it anyway; wanting its abort lets the propeller end its pods. A
// write that fails is tried again at the next sweep.
//
// An abort is never taken back. So one that came to be after the inventory, by
// a write whose session had ended meanwhile, is not stopped: it may be placed
// here, and its assignment be on the way. The next session's verdicts tell.
func (m *Member) stopUnowned(ctx context.Context, fw *v1alpha1.FlyteWorkflow) {
	if ended(fw) || fw.Spec.Desired == v1alpha1.DesiredAbort {
		return
	}
	id, epoch := executionOf(fw), epochOf(fw)
	m.mu.Lock()
	stop := m.state.Stage() == session.Live && !m.state.Reports(id, epoch)
	if stop && !m.state.Judged(id, epoch) {
		m.stepLocked(session.Appeared{Execution: id, Epoch: epoch})
		stop = false
	}
	m.mu.Unlock()
	if !stop {
		return
	}
	log := m.log.With("execution", id.String(), "epoch", epoch.String())
	if err := m.want(ctx, fw, v1alpha1.DesiredAbort, notOwned, 0); client.IgnoreNotFound(err) != nil {
		log.Warn("what is not owned was not stopped yet", "error", err)
		return
	}
	m.metrics.stopped.Inc()
	log.Info("stopped what is not owned")
}
