package service

import (
	"context"
	"slices"
	"strings"

	"github.com/robfig/cron/v3"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// The kinds of schedule, as lists filter by them.
const (
	scheduleNone = "NONE"
	scheduleCron = "CRON"
	scheduleRate = "RATE"
)

// CreateLaunchPlan registers one version of a launch plan, inactive.
func (s *Service) CreateLaunchPlan(ctx context.Context, req *admin.LaunchPlanCreateRequest) (*admin.LaunchPlanCreateResponse, error) {
	id, err := entityID("id", req.GetId(), flow.KindLaunchPlan)
	if err != nil {
		return nil, err
	}
	if err := s.checkScope(ctx, id.Project, id.Domain); err != nil {
		return nil, err
	}
	if req.GetSpec() == nil {
		return nil, fault.Field("spec", "must be set")
	}
	workflow, err := untypedID("spec.workflow_id", req.GetSpec().GetWorkflowId())
	if err != nil {
		return nil, err
	}
	if err := checkPlanSpec(req.GetSpec()); err != nil {
		return nil, err
	}
	wf, err := s.deps.Entities.GetEntity(ctx, flow.KindWorkflow, workflow)
	if err != nil {
		return nil, err
	}
	iface := &core.TypedInterface{}
	if err := decode(wf.Interface, iface); err != nil {
		return nil, err
	}
	return &admin.LaunchPlanCreateResponse{}, s.registerPlan(ctx, id, req.GetSpec(), iface, false)
}

// registerPlan stores a launch plan over a workflow of that interface.
func (s *Service) registerPlan(ctx context.Context, id flow.EntityID, spec *admin.LaunchPlanSpec, iface *core.TypedInterface, generated bool) error {
	expected, err := expectedInputs(iface.GetInputs(), spec.GetDefaultInputs(), spec.GetFixedInputs())
	if err != nil {
		return err
	}
	if err := checkKickoff(spec.GetEntityMetadata().GetSchedule(), spec, iface.GetInputs(), expected); err != nil {
		return err
	}
	workflow := fromIdentifier(spec.GetWorkflowId())
	spec = clone(spec)
	spec.WorkflowId = toIdentifier(flow.KindWorkflow, workflow)
	plan := &admin.LaunchPlan{
		Id:   toIdentifier(flow.KindLaunchPlan, id),
		Spec: spec,
		Closure: &admin.LaunchPlanClosure{
			ExpectedInputs: expected, ExpectedOutputs: iface.GetOutputs(),
		},
	}
	return s.register(ctx, flow.Entity{
		Kind: flow.KindLaunchPlan, ID: id, Workflow: workflow,
		ScheduleType: scheduleType(spec.GetEntityMetadata().GetSchedule()), SystemGenerated: generated,
	}, plan)
}

func checkPlanSpec(spec *admin.LaunchPlanSpec) error {
	if spec.GetEntityMetadata().GetLaunchConditions() != nil {
		return fault.Field("spec.entity_metadata.launch_conditions", "must be empty")
	}
	if err := checkParallelism("spec.max_parallelism", spec.GetMaxParallelism()); err != nil {
		return err
	}
	if err := checkLabels("spec.labels", spec.GetLabels().GetValues()); err != nil {
		return err
	}
	if err := checkAnnotations("spec.annotations", spec.GetAnnotations().GetValues()); err != nil {
		return err
	}
	if err := checkEnvs("spec.envs", spec.GetEnvs().GetValues()); err != nil {
		return err
	}
	return checkSchedule(spec.GetEntityMetadata().GetSchedule())
}

func checkSchedule(schedule *admin.Schedule) error {
	if rate := schedule.GetRate(); rate != nil && rate.GetValue() == 0 {
		return fault.Field("spec.entity_metadata.schedule.rate.value", "must be above 0")
	}
	if s := schedule.GetCronSchedule(); s != nil {
		return checkCron("spec.entity_metadata.schedule.cron_schedule.schedule", s.GetSchedule())
	}
	return nil
}

// checkCron checks that an expression has five fields, or is one of the names
// such as @daily, which clients spell without the @ as well.
func checkCron(field, expression string) error {
	if expression == "" {
		return fault.Field(field, "must be set")
	}
	if zone := strings.HasPrefix(expression, "TZ=") || strings.HasPrefix(expression, "CRON_TZ="); zone && !strings.Contains(expression, " ") {
		return fault.Field(field, "%s names a time zone and no time", fault.Quote(expression)) // the parser panics
	}
	_, err := cron.ParseStandard(expression)
	if err != nil && !strings.ContainsAny(expression, "@ ") {
		_, err = cron.ParseStandard("@" + expression)
	}
	if err != nil {
		return fault.Field(field, "%s is neither five cron fields such as \"0 6 * * *\" nor @hourly, @daily, @weekly, @monthly or @yearly: %.200s",
			fault.Quote(expression), err)
	}
	return nil
}

// checkKickoff checks that a schedule can launch by itself: every input is
// given, but for the one that takes the time (contract 5.3).
func checkKickoff(schedule *admin.Schedule, spec *admin.LaunchPlanSpec, inputs *core.VariableMap, expected *core.ParameterMap) error {
	if schedule.GetScheduleExpression() == nil {
		return nil
	}
	const at = "spec.entity_metadata.schedule.kickoff_time_input_arg"
	kickoff := schedule.GetKickoffTimeInputArg()
	if kickoff != "" {
		_, fixed := spec.GetFixedInputs().GetLiterals()[kickoff]
		switch v := inputs.GetVariables()[kickoff]; {
		case v == nil:
			return fault.Field(at, "the workflow has no input %s", fault.Quote(kickoff))
		case v.GetType().GetSimple() != core.SimpleType_DATETIME:
			return fault.Field(at, "input %s must be a datetime", fault.Quote(kickoff))
		case fixed:
			return fault.Field(at, "input %s is fixed", fault.Quote(kickoff))
		}
	}
	for _, name := range sortedKeys(expected.GetParameters()) {
		if expected.GetParameters()[name].GetRequired() && name != kickoff {
			return fault.Field("spec.entity_metadata.schedule", "nothing gives input %s: a schedule needs a default or a fixed value for it", fault.Quote(name))
		}
	}
	return nil
}

func scheduleType(schedule *admin.Schedule) string {
	switch schedule.GetScheduleExpression().(type) {
	case *admin.Schedule_Rate:
		return scheduleRate
	case *admin.Schedule_CronSchedule, *admin.Schedule_CronExpression:
		return scheduleCron
	}
	return scheduleNone
}

// UpdateLaunchPlan makes a version the active one, or not. The identifier's
// resource type is not looked at: flytectl leaves it out.
func (s *Service) UpdateLaunchPlan(ctx context.Context, req *admin.LaunchPlanUpdateRequest) (*admin.LaunchPlanUpdateResponse, error) {
	id, err := untypedID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	active := req.GetState() == admin.LaunchPlanState_ACTIVE
	if !active && req.GetState() != admin.LaunchPlanState_INACTIVE {
		return nil, fault.Field("state", "%d is not a state", req.GetState())
	}
	if active {
		e, err := s.deps.Entities.GetEntity(ctx, flow.KindLaunchPlan, id)
		if err != nil {
			return nil, err
		}
		if e.ScheduleType == scheduleCron || e.ScheduleType == scheduleRate {
			return nil, fault.E(fault.Unsupported, "launch plan %s has a schedule, and schedules are not run yet: "+
				"it can be launched, but not activated", id)
		}
	}
	return &admin.LaunchPlanUpdateResponse{}, s.deps.Entities.SetActive(ctx, id, active)
}

// GetLaunchPlan reads one version of a launch plan.
func (s *Service) GetLaunchPlan(ctx context.Context, req *admin.ObjectGetRequest) (*admin.LaunchPlan, error) {
	e, err := s.get(ctx, req, flow.KindLaunchPlan)
	if err != nil {
		return nil, err
	}
	return s.toPlan(ctx, e)
}

// GetActiveLaunchPlan reads the one active version of a launch plan.
func (s *Service) GetActiveLaunchPlan(ctx context.Context, req *admin.ActiveLaunchPlanRequest) (*admin.LaunchPlan, error) {
	id := req.GetId()
	if err := texts("id.project", id.GetProject(), "id.domain", id.GetDomain(), "id.name", id.GetName()); err != nil {
		return nil, err
	}
	list, err := s.deps.Entities.ListEntities(ctx, flow.KindLaunchPlan, id.GetProject(), id.GetDomain(), id.GetName(),
		flow.Query{Limit: 1, Filters: []flow.Filter{onlyActive}})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.E(fault.NotFound, "launch plan %s:%s:%s has no active version", id.GetProject(), id.GetDomain(), id.GetName())
	}
	return s.toPlan(ctx, list[0])
}

var onlyActive = flow.Filter{Field: "state", Op: flow.OpEqual, Values: []string{"1"}}

// ListActiveLaunchPlans lists the active versions of all launch plans.
func (s *Service) ListActiveLaunchPlans(ctx context.Context, req *admin.ActiveLaunchPlanListRequest) (*admin.LaunchPlanList, error) {
	return s.listPlans(ctx, &admin.ResourceListRequest{
		Id:    &admin.NamedEntityIdentifier{Project: req.GetProject(), Domain: req.GetDomain()},
		Limit: req.GetLimit(), Token: req.GetToken(), SortBy: req.GetSortBy(), Filters: "eq(state,1)",
	})
}

// ListLaunchPlans lists versions of launch plans.
func (s *Service) ListLaunchPlans(ctx context.Context, req *admin.ResourceListRequest) (*admin.LaunchPlanList, error) {
	return s.listPlans(ctx, req)
}

func (s *Service) listPlans(ctx context.Context, req *admin.ResourceListRequest) (*admin.LaunchPlanList, error) {
	list, token, err := s.list(ctx, req, flow.KindLaunchPlan)
	if err != nil {
		return nil, err
	}
	plans, err := each(ctx, list, s.toPlan)
	return &admin.LaunchPlanList{LaunchPlans: plans, Token: token}, err
}

// ListLaunchPlanIds lists the names of launch plans.
func (s *Service) ListLaunchPlanIds(ctx context.Context, req *admin.NamedEntityIdentifierListRequest) (*admin.NamedEntityIdentifierList, error) {
	return s.listIDs(ctx, req, flow.KindLaunchPlan)
}

func (s *Service) toPlan(ctx context.Context, e flow.Entity) (*admin.LaunchPlan, error) {
	plan := &admin.LaunchPlan{}
	if err := s.body(ctx, e, plan); err != nil {
		return nil, err
	}
	if plan.Closure == nil {
		plan.Closure = &admin.LaunchPlanClosure{}
	}
	plan.Closure.CreatedAt = timestamppb.New(e.CreatedAt)
	plan.Closure.UpdatedAt = timestamppb.New(e.UpdatedAt)
	if e.Active {
		plan.Closure.State = admin.LaunchPlanState_ACTIVE
	}
	return plan, nil
}

// sortedKeys gives the keys of a map in order, so that the first problem told
// is always the same one.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
