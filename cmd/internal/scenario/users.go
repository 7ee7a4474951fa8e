package scenario

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/manifest"
)

const (
	version  = "v1"
	callTime = 5 * time.Second
	tryFor   = 3 * time.Minute
	tryAgain = 100 * time.Millisecond
	// delay is the annotation by which a simulated node lets a pod run.
	delay = "simulated.skein.dev/delay"
)

// workflows are, by their number of tasks, one after the other: with three, a
// move falls between them, or into one. Tasks ask for so little that a node's
// number of pods is what limits.
var workflows = map[int]string{1: `
tasks:
  - {name: chaos.step, image: sh, command: [sh, -c, "true"], resources: {cpu: 10m, memory: 16Mi}}
workflow:
  name: chaos.1
  nodes:
    - {id: first, task: chaos.step}
`, 3: `
tasks:
  - {name: chaos.step, image: sh, command: [sh, -c, "true"], resources: {cpu: 10m, memory: 16Mi}}
workflow:
  name: chaos.3
  nodes:
    - {id: first, task: chaos.step}
    - {id: second, task: chaos.step, after: [first]}
    - {id: third, task: chaos.step, after: [second]}
`}

func (w *World) register(ctx context.Context) error {
	for tasks, text := range workflows {
		if err := w.registerOne(ctx, text); err != nil {
			return fmt.Errorf("register the workflow of %d tasks: %w", tasks, err)
		}
	}
	return nil
}

func (w *World) registerOne(ctx context.Context, text string) error {
	m, _, err := manifest.Parse([]byte(text))
	if err != nil {
		return err
	}
	q, err := m.Build(manifest.Target{Project: project, Domain: domain, Version: version})
	if err != nil {
		return err
	}
	for _, t := range q.Tasks {
		if _, err := w.admin.CreateTask(ctx, t); err != nil && status.Code(err) != codes.AlreadyExists {
			return err
		}
	}
	if _, err := w.admin.CreateWorkflow(ctx, q.Workflow); err != nil {
		return err
	}
	_, err = w.admin.CreateLaunchPlan(ctx, q.LaunchPlan)
	return err
}

// users is script.Users.
type users struct{ *World }

// Launch tries until it knows what became of the execution.
func (u users) Launch(ctx context.Context, l script.Launch) error {
	return again(ctx, func(ctx context.Context) error {
		_, err := u.admin.CreateExecution(ctx, creation(l))
		if status.Code(err) == codes.AlreadyExists {
			return nil // by an earlier try
		}
		return err
	})
}

// creation asks for an execution.
func creation(l script.Launch) *admin.ExecutionCreateRequest {
	annotations := map[string]string{delay: fmt.Sprintf("%ds", l.Seconds)}
	for k, v := range l.Annotations {
		annotations[k] = v
	}
	spec := &admin.ExecutionSpec{Metadata: &admin.ExecutionMetadata{}, Annotations: &admin.Annotations{Values: annotations},
		LaunchPlan: &core.Identifier{ResourceType: core.ResourceType_LAUNCH_PLAN, Project: project, Domain: domain, Name: fmt.Sprintf("chaos.%d", l.Tasks), Version: version}}
	if l.Label != "" {
		spec.ExecutionClusterLabel = &admin.ExecutionClusterLabel{Value: l.Label}
	}
	return &admin.ExecutionCreateRequest{Project: project, Domain: domain, Name: l.Name, Spec: spec}
}

// Abort tries until the abort is recorded, or the execution has ended.
func (u users) Abort(ctx context.Context, name string) error {
	return again(ctx, func(ctx context.Context) error {
		_, err := u.admin.TerminateExecution(ctx, &admin.ExecutionTerminateRequest{Cause: "chaos",
			Id: &core.WorkflowExecutionIdentifier{Project: project, Domain: domain, Name: name}})
		if status.Code(err) == codes.FailedPrecondition {
			return nil
		}
		return err
	})
}

// again repeats a call while its outcome is open.
func again(ctx context.Context, call func(context.Context) error) error {
	deadline := time.Now().Add(tryFor)
	for {
		once, cancel := context.WithTimeout(ctx, callTime)
		err := call(once)
		cancel()
		switch status.Code(err) {
		case codes.OK:
			return nil
		case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		default:
			return err
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(tryAgain):
		}
	}
}
