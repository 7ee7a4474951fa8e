package service

import (
	"context"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// GetVersion tells which build answers.
func (s *Service) GetVersion(context.Context, *admin.GetVersionRequest) (*admin.GetVersionResponse, error) {
	return &admin.GetVersionResponse{ControlPlaneVersion: &admin.Version{
		Build: s.cfg.Build, Version: s.cfg.Version, BuildTime: s.cfg.BuildTime,
	}}, nil
}

// GetExecutionMetrics is not built yet.
func (s *Service) GetExecutionMetrics(context.Context, *admin.WorkflowExecutionGetMetricsRequest) (*admin.WorkflowExecutionGetMetricsResponse, error) {
	return nil, fault.E(fault.Unsupported, "span metrics are not built yet; the execution's trace has them")
}

// errRoad answers those who would report over Flyte's events API.
func errRoad() error {
	return fault.E(fault.Unsupported, "events are not taken here: a cluster's propeller reports over its session with the control plane (skein.v1.DataPlaneService)")
}

// CreateWorkflowEvent refuses: members report over the road.
func (s *Service) CreateWorkflowEvent(context.Context, *admin.WorkflowExecutionEventRequest) (*admin.WorkflowExecutionEventResponse, error) {
	return nil, errRoad()
}

// CreateNodeEvent refuses: members report over the road.
func (s *Service) CreateNodeEvent(context.Context, *admin.NodeExecutionEventRequest) (*admin.NodeExecutionEventResponse, error) {
	return nil, errRoad()
}

// CreateTaskEvent refuses: members report over the road.
func (s *Service) CreateTaskEvent(context.Context, *admin.TaskExecutionEventRequest) (*admin.TaskExecutionEventResponse, error) {
	return nil, errRoad()
}

// Signals answers Flyte's SignalService, of which nothing is built yet: gate
// nodes are refused when their workflow is registered.
type Signals struct {
	service.UnimplementedSignalServiceServer
}

func errSignals() error {
	return fault.E(fault.Unsupported, "signals are not built yet: workflows with gate nodes are refused at registration")
}

// GetOrCreateSignal is not built yet.
func (Signals) GetOrCreateSignal(context.Context, *admin.SignalGetOrCreateRequest) (*admin.Signal, error) {
	return nil, errSignals()
}

// ListSignals is not built yet.
func (Signals) ListSignals(context.Context, *admin.SignalListRequest) (*admin.SignalList, error) {
	return nil, errSignals()
}

// SetSignal is not built yet.
func (Signals) SetSignal(context.Context, *admin.SignalSetRequest) (*admin.SignalSetResponse, error) {
	return nil, errSignals()
}
