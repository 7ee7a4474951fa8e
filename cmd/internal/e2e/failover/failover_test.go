package failover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/cmd/internal/local"
)

// lease is short, so that a lapse is soon seen.
const lease = 12 * time.Second

// chain adds 1, multiplies by 10 after a nap, and adds 1 again.
const chain = `
tasks:
  - name: failover.add
    image: sh
    command: [sh, -c]
    args: ['echo $(($(cat /var/flyte/inputs/x) + 1)) > /var/flyte/outputs/o']
    inputs: {x: integer}
    outputs: {o: integer}
  - name: failover.nap
    image: sh
    command: [sh, -c]
    args: ['sleep 5; echo $(($(cat /var/flyte/inputs/x) * 10)) > /var/flyte/outputs/o']
    inputs: {x: integer}
    outputs: {o: integer}
workflow:
  name: failover.chain
  inputs: {x: {type: integer}}
  outputs: {sum: '${third.o}'}
  nodes:
    - {id: first, task: failover.add, inputs: {x: '${inputs.x}'}}
    - {id: second, task: failover.nap, inputs: {x: '${first.o}'}}
    - {id: third, task: failover.add, inputs: {x: '${second.o}'}}
`

// TestALostClustersWorkIsResumedElsewhere kills every process of a cluster
// during the second of three tasks. (I33, I62, I63.)
func TestALostClustersWorkIsResumedElsewhere(t *testing.T) {
	const name = "resumed"
	r := newRig(t, local.Options{Lease: lease})
	r.register(t, chain)
	r.launch(t, "failover.chain", name, 3)
	eventually(t, time.Minute, func(ctx context.Context) error { return r.nodeIs(ctx, name, "second", core.NodeExecution_RUNNING) })
	old := r.cluster(t, name)
	parts := []string{old + "-propeller", old + "-node", old + "-kube-apiserver", old + "-etcd"}
	for _, part := range parts {
		must(t, r.Group().Process(part).Kill9())
	}
	killed := time.Now()
	eventually(t, 4*lease+time.Minute, func(ctx context.Context) error {
		x, err := r.admin.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: executionID(name)})
		if err == nil && x.GetClosure().GetPhase() != core.WorkflowExecution_SUCCEEDED {
			err = fmt.Errorf("it is %s", x.GetClosure().GetPhase())
		}
		return err
	})
	t.Logf("succeeded %s after its cluster was killed", time.Since(killed).Round(100*time.Millisecond))
	now := r.cluster(t, name)
	if now == old {
		t.Fatalf("it ended on %s, which was killed", now)
	}
	r.checkAttempts(t, name)
	r.checkOutput(t, name, 41)
	r.checkPods(t, now, name, "second", "third")

	slices.Reverse(parts) // what others need comes first
	for _, part := range parts {
		must(t, r.Group().Process(part).Restart(t.Context()))
	}
	eventually(t, 2*time.Minute, func(ctx context.Context) error { return r.givenUp(ctx, old, name) })
	r.checkAttempts(t, name)
	if again := r.cluster(t, name); again != now {
		t.Errorf("it is on %s after its first cluster returned, and was on %s", again, now)
	}
}

// checkAttempts: each node succeeded once; the second was tried twice.
func (r *rig) checkAttempts(t *testing.T, name string) {
	t.Helper()
	want := "first SUCCEEDED: 0 SUCCEEDED|second SUCCEEDED: 0 ABORTED 1 SUCCEEDED|third SUCCEEDED: 0 SUCCEEDED"
	if lines := strings.Join(r.attempts(t, name), "|"); lines != want {
		t.Errorf("nodes and attempts are\n%s, want\n%s", lines, want)
	}
}

// attempts is a line for each node of an execution: its phase, and its attempts.
func (r *rig) attempts(t *testing.T, name string) []string {
	t.Helper()
	nodes, err := r.admin.ListNodeExecutions(t.Context(), &admin.NodeExecutionListRequest{WorkflowExecutionId: executionID(name), Limit: 100})
	must(t, err)
	var got []string
	for _, n := range nodes.GetNodeExecutions() {
		tasks, err := r.admin.ListTaskExecutions(t.Context(), &admin.TaskExecutionListRequest{NodeExecutionId: n.GetId(), Limit: 100})
		must(t, err)
		line := fmt.Sprint(n.GetId().GetNodeId(), " ", n.GetClosure().GetPhase(), ":")
		slices.SortFunc(tasks.GetTaskExecutions(), func(x, y *admin.TaskExecution) int {
			return int(x.GetId().GetRetryAttempt()) - int(y.GetId().GetRetryAttempt())
		})
		for _, at := range tasks.GetTaskExecutions() {
			line += fmt.Sprint(" ", at.GetId().GetRetryAttempt(), " ", at.GetClosure().GetPhase())
		}
		got = append(got, line)
	}
	slices.Sort(got)
	return got
}

func (r *rig) checkOutput(t *testing.T, name string, want int64) {
	t.Helper()
	data, err := r.admin.GetExecutionData(t.Context(), &admin.WorkflowExecutionGetDataRequest{Id: executionID(name)})
	must(t, err)
	if got := data.GetFullOutputs().GetLiterals()["sum"].GetScalar().GetPrimitive().GetInteger(); got != want {
		t.Errorf("it gave %d, want %d", got, want)
	}
}

// checkPods: these nodes, and no others, ran on a cluster, as of the second epoch.
func (r *rig) checkPods(t *testing.T, cluster, name string, nodes ...string) {
	t.Helper()
	var pods corev1.PodList
	must(t, r.planes[cluster].List(t.Context(), &pods))
	var ran []string
	for _, p := range pods.Items {
		if p.Labels[v1alpha1.LabelExecution] != name {
			continue
		}
		ran = append(ran, p.Labels[v1alpha1.LabelNode])
		if p.Labels[v1alpha1.LabelEpoch] != "2" || p.Labels[v1alpha1.LabelIncarnation] == "" {
			t.Errorf("pod %s has the labels %v", p.Name, p.Labels)
		}
	}
	if slices.Sort(ran); !slices.Equal(ran, nodes) {
		t.Errorf("on %s ran %v, want %v", cluster, ran, nodes)
	}
}

// givenUp says what a cluster still holds of an execution that has left it.
func (r *rig) givenUp(ctx context.Context, cluster, name string) error {
	var held v1alpha1.FlyteWorkflowList
	if err := r.planes[cluster].List(ctx, &held); err != nil {
		return err
	}
	for _, w := range held.Items {
		if w.Spec.Execution.Name == name && w.Status.EndedAt == nil {
			return fmt.Errorf("%s is %s still", w.Name, w.Status.Phase)
		}
	}
	var pods corev1.PodList
	if err := r.planes[cluster].List(ctx, &pods); err != nil {
		return err
	}
	for _, p := range pods.Items {
		if p.Labels[v1alpha1.LabelExecution] == name && p.Status.Phase == corev1.PodRunning {
			return fmt.Errorf("pod %s runs still", p.Name)
		}
	}
	return nil
}

func (r *rig) nodeIs(ctx context.Context, name, node string, want core.NodeExecution_Phase) error {
	n, err := r.admin.GetNodeExecution(ctx, &admin.NodeExecutionGetRequest{
		Id: &core.NodeExecutionIdentifier{NodeId: node, ExecutionId: executionID(name)}})
	if err == nil && n.GetClosure().GetPhase() != want {
		err = fmt.Errorf("node %s is %s", node, n.GetClosure().GetPhase())
	}
	return err
}

// launch repeats a launch by name until it was accepted.
func (r *rig) launch(t *testing.T, plan, name string, n int64) { r.launchOn(t, plan, name, n, "") }

// launchOn launches on the clusters that a selector chooses.
func (r *rig) launchOn(t *testing.T, plan, name string, n int64, selector string) {
	t.Helper()
	spec := &admin.ExecutionSpec{Metadata: &admin.ExecutionMetadata{}, LaunchPlan: &core.Identifier{
		ResourceType: core.ResourceType_LAUNCH_PLAN, Project: project, Domain: domain, Name: plan, Version: version}}
	if selector != "" {
		spec.ExecutionClusterLabel = &admin.ExecutionClusterLabel{Value: selector}
	}
	eventually(t, time.Minute, func(ctx context.Context) error {
		_, err := r.admin.CreateExecution(ctx, &admin.ExecutionCreateRequest{Project: project, Domain: domain, Name: name,
			Spec: spec,
			Inputs: &core.LiteralMap{Literals: map[string]*core.Literal{"x": {Value: &core.Literal_Scalar{Scalar: &core.Scalar{
				Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_Integer{Integer: n}}}}}}}}})
		if status.Code(err) == codes.AlreadyExists {
			return nil
		}
		return err
	})
}
