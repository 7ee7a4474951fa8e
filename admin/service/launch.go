package service

import (
	"context"
	"crypto/rand"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// launch is one execution on its way into the store.
type launch struct {
	id      flow.ExecutionID
	named   bool // by the caller
	inScope bool // the project was looked at, and takes launches
	spec    *admin.ExecutionSpec
	inputs  *core.LiteralMap // as the caller gave them
	task    flow.EntityID    // of a single-task execution
	planID  flow.EntityID
	launchable
}

// CreateExecution stores an execution and returns. It never waits for a
// cluster: the scheduler finds what is queued, and the nudge only saves time.
func (s *Service) CreateExecution(ctx context.Context, req *admin.ExecutionCreateRequest) (*admin.ExecutionCreateResponse, error) {
	inputs := req.GetInputs()
	if inputs == nil {
		inputs = req.GetSpec().GetInputs() // consoles still send it
	}
	l := &launch{
		id:     flow.ExecutionID{Project: req.GetProject(), Domain: req.GetDomain(), Name: req.GetName()},
		named:  req.GetName() != "",
		spec:   req.GetSpec(),
		inputs: inputs,
	}
	return s.launch(ctx, l)
}

// RelaunchExecution launches an execution's spec and inputs anew.
func (s *Service) RelaunchExecution(ctx context.Context, req *admin.ExecutionRelaunchRequest) (*admin.ExecutionCreateResponse, error) {
	id, err := executionID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	old, err := s.deps.Executions.GetExecution(ctx, id)
	if err != nil {
		return nil, err
	}
	spec, inputs := &admin.ExecutionSpec{}, &core.LiteralMap{}
	if err := decode(old.Spec, spec); err != nil {
		return nil, err
	}
	if err := decode(old.UserInputs, inputs); err != nil {
		return nil, err
	}
	spec.OverwriteCache = spec.GetOverwriteCache() || req.GetOverwriteCache()
	if spec.Metadata == nil {
		spec.Metadata = &admin.ExecutionMetadata{}
	}
	spec.Metadata.Mode = admin.ExecutionMetadata_RELAUNCH
	spec.Metadata.ReferenceExecution = toExecutionID(id)
	return s.launch(ctx, &launch{
		id:     flow.ExecutionID{Project: id.Project, Domain: id.Domain, Name: req.GetName()},
		named:  req.GetName() != "",
		spec:   spec,
		inputs: inputs,
	})
}

// RecoverExecution is not built yet.
func (s *Service) RecoverExecution(context.Context, *admin.ExecutionRecoverRequest) (*admin.ExecutionCreateResponse, error) {
	return nil, fault.E(fault.Unsupported, "recovery from an earlier execution's nodes is not built yet; relaunch runs everything again")
}

// launch follows the order of checks of contract section 6.1, but for the
// project: the statement that stores the row checks it, so that a launch of what
// was launched before is one round trip. Who is refused is told of the project
// first all the same.
func (s *Service) launch(ctx context.Context, l *launch) (*admin.ExecutionCreateResponse, error) {
	answer, err := s.tryLaunch(ctx, l)
	if err == nil || l.inScope || texts("project", l.id.Project, "domain", l.id.Domain) != nil {
		return answer, err
	}
	if scope := s.checkScope(ctx, l.id.Project, l.id.Domain); scope != nil && !fault.Is(scope, fault.Unavailable) {
		return nil, scope
	}
	return nil, err
}

// scope checks the project now, before anything but the row is written.
func (s *Service) scope(ctx context.Context, l *launch) error {
	if l.inScope {
		return nil
	}
	err := s.checkScope(ctx, l.id.Project, l.id.Domain)
	l.inScope = err == nil
	return err
}

func (s *Service) tryLaunch(ctx context.Context, l *launch) (*admin.ExecutionCreateResponse, error) {
	if err := s.checkLaunch(l); err != nil {
		return nil, err
	}
	if err := s.resolve(ctx, l); err != nil {
		return nil, err
	}
	effective, err := effectiveInputs(l.inputs, l.plan.GetSpec().GetFixedInputs(), l.plan.GetClosure().GetExpectedInputs())
	if err != nil {
		return nil, err
	}
	row, err := s.row(ctx, l, effective)
	if err != nil {
		return nil, err
	}
	// A name made here meets an existing one about never; a new one is tried.
	for range 3 {
		if !l.named {
			l.id.Name = generatedName()
		}
		if err = s.store(ctx, row, l, effective); err == nil || l.named || !fault.Is(err, fault.Conflict) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	s.deps.Nudge()
	return &admin.ExecutionCreateResponse{Id: toExecutionID(l.id)}, nil
}

func (s *Service) checkLaunch(l *launch) error {
	if err := texts("project", l.id.Project, "domain", l.id.Domain); err != nil {
		return err
	}
	if err := s.checkNamespace(l.id.Project, l.id.Domain); err != nil {
		return err
	}
	if l.named {
		if err := checkExecutionName(l.id.Name); err != nil {
			return err
		}
	}
	if l.spec == nil {
		return fault.Field("spec", "must be set")
	}
	switch t := l.spec.GetLaunchPlan().GetResourceType(); t {
	case core.ResourceType_LAUNCH_PLAN, core.ResourceType_TASK:
	default:
		return fault.Field("spec.launch_plan.resource_type", "must be LAUNCH_PLAN or TASK, is %s", t)
	}
	return checkSpec(l.spec)
}

// resolve finds the launch plan and the workflow; for a task it makes both.
func (s *Service) resolve(ctx context.Context, l *launch) error {
	id, err := untypedID("spec.launch_plan", l.spec.GetLaunchPlan())
	if err != nil {
		return err
	}
	if l.spec.GetLaunchPlan().GetResourceType() == core.ResourceType_TASK {
		l.task = id
		if err := s.scope(ctx, l); err != nil {
			return err
		}
		if id, err = s.wrapTask(ctx, id); err != nil {
			return err
		}
	}
	l.planID = id
	known := false
	if l.launchable, known = s.launchables.get(id, s.now()); known {
		return nil
	}
	if l.launchable, err = s.readLaunchable(ctx, id); err == nil {
		s.launchables.put(id, l.launchable)
	}
	return err
}

func (s *Service) readLaunchable(ctx context.Context, id flow.EntityID) (launchable, error) {
	l := launchable{plan: &admin.LaunchPlan{}, read: s.now()}
	e, err := s.deps.Entities.GetEntity(ctx, flow.KindLaunchPlan, id)
	if err != nil {
		return l, err
	}
	if err := s.body(ctx, e, l.plan); err != nil {
		return l, err
	}
	l.size = proto.Size(l.plan)
	wf, err := s.deps.Entities.GetEntity(ctx, flow.KindWorkflow, e.Workflow)
	if err != nil {
		return l, err
	}
	closure := &core.CompiledWorkflowClosure{}
	if err := s.body(ctx, wf, closure); err != nil {
		return l, err
	}
	l.demand, err = s.demandOf(closure)
	return l, err
}

// row is the execution's row but for its name and inputs, of which it needs only
// where they lie.
func (s *Service) row(ctx context.Context, l *launch, effective *core.LiteralMap) (flow.Execution, error) {
	spec := s.effectiveSpec(l.spec, l.plan.GetSpec())
	requirement, failover, err := s.asked(ctx, l.id.Tenant(), l.demand, spec, effective)
	if err != nil {
		return flow.Execution{}, err
	}
	row := flow.Execution{
		Workflow:    fromIdentifier(l.plan.GetSpec().GetWorkflowId()),
		LaunchPlan:  l.planID,
		Task:        l.task,
		Requirement: requirement,
		Failover:    failover,
		RawPrefix:   spec.GetRawOutputDataConfig().GetOutputLocationPrefix(),
		Principal:   spec.GetMetadata().GetPrincipal(),
		Mode:        int32(spec.GetMetadata().GetMode()),
		Trace:       traceparent(ctx),
		Phase:       flow.ExecutionQueued,
		Desired:     flow.DesiredRun,
		CreatedAt:   s.now(),
	}
	row.UpdatedAt = row.CreatedAt
	if row.Spec, err = canonical(spec); err != nil {
		return flow.Execution{}, err
	}
	if len(row.Spec) > MaxSpec {
		return flow.Execution{}, fault.Field("spec", "has %d bytes with what the launch plan adds, at most %d fit: "+
			"shorten labels, annotations or environment variables", len(row.Spec), MaxSpec)
	}
	row.UserInputs, err = canonical(given(l.inputs))
	return row, err
}

// asked is what an execution asks of a cluster, and what becomes of it when that
// is lost. It is derived when it is created, and anew when a restored backup has
// forgotten it.
func (s *Service) asked(ctx context.Context, t flow.Tenant, d demand, spec *admin.ExecutionSpec, effective *core.LiteralMap) (flow.Requirement, flow.Failover, error) {
	wish, err := parseWishes(spec)
	if err != nil {
		return flow.Requirement{}, flow.Failover{}, err
	}
	requirement, err := s.requirement(d, spec, wish)
	if err != nil {
		return requirement, flow.Failover{}, err
	}
	requirement.Data = s.places(effective, spec.GetRawOutputDataConfig().GetOutputLocationPrefix())
	rules, err := s.rulesFor(ctx, t, requirement)
	return requirement, wish.failover(rules.Failover), err
}

func given(inputs *core.LiteralMap) *core.LiteralMap {
	if inputs == nil {
		return &core.LiteralMap{}
	}
	return inputs
}

// store writes large inputs to the object store and then the row.
func (s *Service) store(ctx context.Context, row flow.Execution, l *launch, inputs *core.LiteralMap) error {
	id := l.id
	root := s.deps.Objects.Root()
	folder := id.Namespace() + "-" + id.Name
	row.ID = id
	row.DataPrefix = joinURI(root, "metadata", "propeller", folder)
	if row.RawPrefix == "" {
		base := s.cfg.RawPrefix
		if base == "" {
			base = joinURI(root, "raw")
		}
		row.RawPrefix = joinURI(base, folder)
	}
	data, err := canonical(inputs)
	if err != nil {
		return err
	}
	if len(data) <= MaxInlineInputs {
		row.Inputs = data
		return s.deps.Executions.CreateExecution(ctx, row)
	}
	if err := s.scope(ctx, l); err != nil {
		return err
	}
	// A repeat of a name that exists should leave no object behind.
	switch _, err := s.deps.Executions.GetExecution(ctx, id); {
	case err == nil:
		return fault.E(fault.Conflict, "execution %s exists already", id)
	case !fault.Is(err, fault.NotFound):
		return err
	}
	// Two creations of one name at once must not mix: the name of the object
	// holds what only this call knows.
	row.InputsURI = joinURI(root, "metadata", id.Project, id.Domain, id.Name, "inputs-"+generatedName())
	if err := s.deps.Objects.Write(ctx, row.InputsURI, data); err != nil {
		return err
	}
	return s.deps.Executions.CreateExecution(ctx, row)
}

const safeAlphabet = "bcdfghjklmnpqrstvwxz2456789"

// generatedName is "a" and 19 characters that spell no words.
func generatedName() string {
	name := []byte("a")
	for len(name) < 20 {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails
		for _, c := range b {
			// 243 is the largest multiple of 27 in a byte: no letter is favoured.
			if c < 243 && len(name) < 20 {
				name = append(name, safeAlphabet[int(c)%len(safeAlphabet)])
			}
		}
	}
	return string(name)
}

// TerminateExecution asks that an execution be stopped.
func (s *Service) TerminateExecution(ctx context.Context, req *admin.ExecutionTerminateRequest) (*admin.ExecutionTerminateResponse, error) {
	id, err := executionID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	cause := req.GetCause()
	if err := prose("cause", cause); err != nil {
		return nil, err
	}
	if len(cause) > MaxCause {
		cause = validPrefix(cause, MaxCause)
	}
	row, err := s.deps.Executions.AbortExecution(ctx, id, cause, principal(ctx), s.now())
	if fault.Is(err, fault.Precondition) {
		return nil, alreadyEnded(err, row.Phase)
	}
	if err == nil {
		s.deps.Nudge()
	}
	return &admin.ExecutionTerminateResponse{}, err
}

func alreadyEnded(err error, phase flow.ExecutionPhase) error {
	return withDetail(codes.FailedPrecondition, public(err), &admin.EventFailureReason{
		Reason: &admin.EventFailureReason_AlreadyInTerminalState{
			AlreadyInTerminalState: &admin.EventErrorAlreadyInTerminalState{CurrentPhase: phase.String()},
		},
	})
}
