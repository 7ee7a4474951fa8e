package service

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// Rebuilds is a REBUILD after a restored backup, as operators see it, and the
// store of what members report in it.
type Rebuilds interface {
	// Rebuild says how far it has come; Since is zero if there is none.
	Rebuild(ctx context.Context) (flow.Rebuild, error)
	// LastRebuilt gives fault.NotFound if there never was one.
	LastRebuilt(ctx context.Context) (flow.Rebuilt, error)
	// ForceRebuild gives fault.Precondition if there is none.
	ForceRebuild(ctx context.Context, a flow.Audit) error
	// TakeHoldings makes rows again, by Holding.Row where it is set.
	TakeHoldings(ctx context.Context, who flow.Sender, list []flow.Holding, last bool) error
}

// rebuildPause is how often a REBUILD is looked at whose end is awaited.
const rebuildPause = 200 * time.Millisecond

// TakeHoldings stores executions that a restored backup has forgotten, with all
// that was derived from what was launched, as at their creation. What cannot be
// derived any more is left out, and the execution is stored: it was accepted.
// Unavailable if the object store does not answer.
func (s *Service) TakeHoldings(ctx context.Context, who flow.Sender, list []flow.Holding, last bool) error {
	for i, h := range list {
		if h.Assignment.Run == nil {
			continue
		}
		row, err := s.forgotten(ctx, h)
		switch {
		case fault.Is(err, fault.Unavailable) || ctx.Err() != nil:
			return err
		case err != nil:
			s.deps.Log.WarnContext(ctx, "an execution that a restored backup has forgotten is stored without what it asks of clusters",
				"execution", h.Held.Execution.String(), "error", err)
			continue
		}
		list[i].Row = &row
	}
	return s.deps.Rebuilds.TakeHoldings(ctx, who, list, last)
}

// forgotten derives an execution's row anew. Its failover policy was fixed when
// it was created; of that, its cluster has kept whether it is pinned, and strict.
func (s *Service) forgotten(ctx context.Context, h flow.Holding) (flow.Execution, error) {
	run, e := h.Assignment.Run, h.Execution()
	spec, closure, inputs := &admin.ExecutionSpec{}, &core.CompiledWorkflowClosure{}, &core.LiteralMap{}
	if err := decode(run.Spec, spec); err != nil {
		return e, err
	}
	body := flow.Entity{Kind: flow.KindWorkflow, ID: run.Workflow, Body: run.Closure}
	if len(run.Closure) == 0 {
		body.BodyURI = run.ClosureURI
	}
	if err := s.body(ctx, body, closure); err != nil {
		return e, err
	}
	if err := s.inputsOf(ctx, run, inputs); err != nil {
		return e, err
	}
	d, err := s.demandOf(closure)
	if err != nil {
		return e, err
	}
	fixed := run.Failover
	if e.Requirement, e.Failover, err = s.asked(ctx, e.ID.Tenant(), d, spec, inputs); err != nil {
		return e, err
	}
	switch {
	case fixed.Mode == flow.FailoverNever:
		e.Failover.Mode = flow.FailoverNever
	case e.Failover.Mode == flow.FailoverNever:
		e.Failover.Mode = flow.FailoverResume
	}
	e.Failover.Strict = fixed.Strict
	e.Principal, e.Mode = spec.GetMetadata().GetPrincipal(), int32(spec.GetMetadata().GetMode())
	if spec.GetLaunchPlan().GetResourceType() == core.ResourceType_TASK {
		e.Task = fromIdentifier(spec.GetLaunchPlan())
	}
	return e, nil
}

func (s *Service) inputsOf(ctx context.Context, run *flow.Run, into *core.LiteralMap) error {
	data := run.Inputs
	if run.InputsURI != "" {
		var err error
		if data, err = s.deps.Objects.Read(ctx, run.InputsURI); err != nil {
			return err
		}
	}
	return decode(data, into)
}

// FinishRebuild lets a REBUILD wait for no cluster any more, and returns when it
// has ended: leases are waited for whatever an operator says.
func (p controlPlaneServer) FinishRebuild(ctx context.Context, _ *skeinv1.FinishRebuildRequest) (*skeinv1.FinishRebuildResponse, error) {
	const action, subject = "rebuild.finish", "control-plane"
	now, err := p.s.deps.Rebuilds.Rebuild(ctx)
	if err == nil && now.Since.IsZero() {
		err = fault.E(fault.Precondition, "there is no REBUILD: the database was not restored from a backup, or it was rebuilt already")
	}
	if err != nil {
		return nil, p.s.refused(ctx, action, subject, err)
	}
	detail := "nobody is waited for any more"
	if len(now.Waiting) > 0 {
		detail += "; not reported: " + strings.Join(now.Waiting, ", ")
	}
	if err := p.s.deps.Rebuilds.ForceRebuild(ctx, p.s.audit(ctx, action, subject, detail)); err != nil {
		return nil, p.s.refused(ctx, action, subject, err)
	}
	return p.awaitRebuilt(ctx)
}

func (p controlPlaneServer) awaitRebuilt(ctx context.Context) (*skeinv1.FinishRebuildResponse, error) {
	tick := time.NewTicker(rebuildPause)
	defer tick.Stop()
	for {
		now, err := p.s.deps.Rebuilds.Rebuild(ctx)
		if err == nil && now.Since.IsZero() {
			break
		}
		select {
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "the REBUILD waits for no cluster any more, and ends when the longest lease (%s) is over; "+
				"it goes on without you: skein admin status shows it", now.Longest)
		case <-tick.C:
		}
	}
	r, err := p.s.deps.Rebuilds.LastRebuilt(ctx)
	return &skeinv1.FinishRebuildResponse{Era: r.Era, Kept: r.Kept, Released: r.Released, Moved: r.Moved, Created: r.Created}, err
}

// rebuild is the REBUILD that lasts; nil if none does. The control plane is shown
// without it if the database does not answer.
func (p controlPlaneServer) rebuild(ctx context.Context) *skeinv1.Rebuild {
	r, err := p.s.deps.Rebuilds.Rebuild(ctx)
	if err != nil {
		p.s.deps.Log.WarnContext(ctx, "whether a REBUILD lasts is not known", "error", err)
	}
	if err != nil || r.Since.IsZero() {
		return nil
	}
	return &skeinv1.Rebuild{Since: timestamppb.New(r.Since), Waiting: r.Waiting, Reported: r.Reported, Why: r.Why, Forced: r.Forced}
}
