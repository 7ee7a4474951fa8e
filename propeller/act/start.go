package act

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/propeller/workflow"
)

// resolve makes the inputs of a node and writes them.
func (t *turn) resolve(ctx context.Context, in workflow.Inputs) (workflow.Result, error) {
	values, err := t.inputs(ctx, in)
	if err != nil {
		return workflow.Result{Inputs: true}, err
	}
	return workflow.Result{Done: true, Values: values.GetLiterals()}, nil
}

func (t *turn) inputs(ctx context.Context, in workflow.Inputs) (*core.LiteralMap, error) {
	values, data, err := t.read.inputs(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := t.Blobs.Write(ctx, in.URI, data); err != nil {
		return nil, fmt.Errorf("write inputs: %w", transient(err))
	}
	return values, nil
}

// start makes one attempt run.
func (t *turn) start(ctx context.Context, s workflow.Start) (workflow.Result, error) {
	plugin := t.Plugins.For(s.Spec.Task.GetType(), s.Spec.Task)
	if plugin == nil {
		return workflow.Result{}, &workflow.Failure{Code: "PluginNotFound",
			Message: fmt.Sprintf("no plugin of this cluster runs tasks of type %q", s.Spec.Task.GetType())}
	}
	r := workflow.Result{Plugin: plugin.ID()}
	var values *core.LiteralMap
	var err error
	if s.Resolved {
		values, err = t.read.file(ctx, s.Inputs.URI)
	} else {
		values, err = t.inputs(ctx, s.Inputs)
	}
	if err != nil {
		r.Inputs = !s.Resolved
		return r, err
	}
	if err := t.taskFile(ctx, s); err != nil {
		return r, err
	}
	until, may := t.ask(ctx)
	if !may {
		return workflow.Result{}, nil
	}
	task := t.task(s, values)
	task.Trace = t.spans.started(ctx, t.Cluster, t.wf, s)
	if err := t.launch(ctx, plugin, task, until); err != nil {
		return r, fmt.Errorf("start attempt %s: %w", s.Object, err)
	}
	r.Done = true
	return r, nil
}

// ask asks the gate once more, right before a start. The step began with its
// leave, but may have been at it for long, and the deadline that it was given
// runs on a clock that stands still while the machine is suspended. What is not
// started now is decided anew when the gate opens.
func (t *turn) ask(ctx context.Context) (until time.Time, may bool) {
	if t.MayStart == nil {
		return time.Time{}, true
	}
	until, reason, may := t.MayStart(t.w.View.Execution, t.w.View.Epoch)
	if !may {
		t.Log.DebugContext(ctx, "the gate was shut before a start", "execution", t.w.View.Execution.String(), "reason", reason)
	}
	return until, may
}

// launch starts a task under the lease that ends at until.
func (t *turn) launch(ctx context.Context, plugin plugins.Plugin, task plugins.Task, until time.Time) error {
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	err := plugin.Start(ctx, task)
	t.late(until, time.Now(), err)
	return err
}

// late counts a start whose answer came after the lease's end. A process that
// was stopped meanwhile may have had one request under way in each worker; if
// such a request failed by its deadline, it may have been carried out.
func (t *turn) late(until, now time.Time, err error) {
	if t.Late == nil || until.IsZero() || !passed(until, now) {
		return
	}
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Late(err == nil)
	}
}

// passed reports whether a time has passed by either clock: the monotonic one
// does not count while the machine is suspended, the wall clock may be set back.
func passed(until, now time.Time) bool {
	return now.After(until) || now.Round(0).After(until)
}

// taskFile writes the task's template beside its inputs, if its arguments ask
// for it.
func (t *turn) taskFile(ctx context.Context, s workflow.Start) error {
	c, pod := s.Spec.Task.GetContainer(), s.Spec.Task.GetK8SPod().GetPodSpec().String()
	words := append(slices.Concat(c.GetCommand(), c.GetArgs()), pod)
	if !strings.Contains(strings.ToLower(strings.Join(words, " ")), "tasktemplatepath") {
		return nil
	}
	data, err := proto.Marshal(s.Spec.Task)
	if err != nil {
		return fmt.Errorf("write the task's template: %w", err)
	}
	uri := strings.TrimSuffix(s.Inputs.URI, "inputs.pb") + "task.pb"
	if err := t.Blobs.Write(ctx, uri, data); err != nil {
		return fmt.Errorf("write the task's template: %w", transient(err))
	}
	return nil
}

func (t *turn) task(s workflow.Start, values *core.LiteralMap) plugins.Task {
	spec := t.w.Spec
	task := plugins.Task{
		Ref:       plugins.Ref{Namespace: t.wf.Namespace, Name: s.Object, TaskType: s.Spec.Task.GetType(), Template: s.Spec.Task},
		Execution: t.w.View.Execution, Epoch: t.w.View.Epoch,
		Incarnation: max(t.w.Terms.Incarnation, uint64(t.wf.Spec.Incarnation)), MaxGrace: t.w.Terms.MaxGrace,
		Workflow: entity(t.wf.Spec.Workflow), LaunchPlan: entity(t.wf.Spec.LaunchPlan),
		Node: s.Node, Attempt: uint32(s.Number), Overrides: s.Spec.Spec.GetTaskNode().GetOverrides(),
		Inputs: values, InputsURI: s.Inputs.URI, OutputPrefix: s.OutputPrefix, RawPrefix: s.RawPrefix,
		Checkpoint: workflow.Checkpoint(s.RawPrefix), PrevCheckpoint: s.PrevCheckpoint,
		Labels: spec.GetLabels().GetValues(), Annotations: spec.GetAnnotations().GetValues(),
		ServiceAccount: spec.GetSecurityContext().GetRunAs().GetK8SServiceAccount(),
		Interruptible:  s.Interruptible, Owner: owner(t.wf),
	}
	if task.ServiceAccount == "" {
		task.ServiceAccount = spec.GetAuthRole().GetKubernetesServiceAccount()
	}
	for _, e := range spec.GetEnvs().GetValues() {
		task.Env = append(task.Env, plugins.EnvVar{Name: e.GetKey(), Value: e.GetValue()})
	}
	return task
}

func entity(r v1alpha1.EntityRef) flow.EntityID {
	return flow.EntityID{Project: r.Project, Domain: r.Domain, Name: r.Name, Version: r.Version}
}

// file reads a LiteralMap.
func (r *reader) file(ctx context.Context, uri string) (*core.LiteralMap, error) {
	data, err := r.blobs.Read(ctx, uri)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, &workflow.Failure{Code: "InputsNotFound", Message: "nothing lies at " + uri, URI: uri, System: true}
	case fault.Is(err, fault.Exhausted):
		return nil, &workflow.Failure{Code: "InputSizeExceeded", Message: err.Error(), URI: uri}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", uri, err)
	}
	m := &core.LiteralMap{}
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, &workflow.Failure{Code: "InputsBadFormat", Message: fmt.Sprintf("%s cannot be read: %v", uri, err), URI: uri}
	}
	return m, nil
}
