package faults

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the wire contract's digest
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/local"
)

// signerDies: a link outlives the replica that signed it.
func signerDies(t *testing.T, r *rig) {
	signer := r.Replicas[1]
	conn, err := grpc.NewClient(signer.FlyteGRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer conn.Close()
	content := []byte("signed by one, taken by another")
	sum := md5.Sum(content) //nolint:gosec // see above
	link, err := service.NewDataProxyServiceClient(conn).CreateUploadLocation(t.Context(), &service.CreateUploadLocationRequest{
		Project: project, Domain: domain, Filename: "outlives.txt", ContentMd5: sum[:]})
	must(t, err)
	must(t, signer.Kill9())
	put := func(body []byte) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, link.GetSignedUrl(), bytes.NewReader(body))
		must(t, err)
		for k, v := range link.GetHeaders() {
			request.Header.Set(k, v)
		}
		answer, err := http.DefaultClient.Do(request)
		must(t, err)
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	if code, text := put(content); code != http.StatusOK {
		t.Errorf("the upload answered %d %s", code, text)
	}
	if code, text := put([]byte("something else, of the same link")); code < 400 || code >= 500 {
		t.Errorf("a second upload of other content answered %d %s, want a refusal", code, text)
	}
	if got, err := os.ReadFile(link.GetNativeUrl()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the object holds %q (%v)", got, err)
	}
	must(t, signer.Restart(t.Context()))
}

// running launches naps and waits until both of them run.
func (r *rig) running(t *testing.T, name string, seconds int64) {
	t.Helper()
	must(t, r.launch(t.Context(), "faults.naps", name, seconds))
	eventually(t, time.Minute, func(ctx context.Context) error {
		for _, node := range []string{"a", "b"} {
			n, err := r.admin.GetNodeExecution(ctx, &admin.NodeExecutionGetRequest{
				Id: &core.NodeExecutionIdentifier{NodeId: node, ExecutionId: executionID(name)}})
			if err != nil {
				return err
			}
			if p := n.GetClosure().GetPhase(); p != core.NodeExecution_RUNNING {
				return fmt.Errorf("node %s is %s", node, p)
			}
		}
		return nil
	})
}

func (r *rig) plane(t *testing.T, execution string) *local.Plane {
	t.Helper()
	cluster := r.placement(t, execution).Cluster
	for _, p := range r.Planes {
		if p.Name == cluster {
			return p
		}
	}
	t.Fatalf("%s is on %q", execution, cluster)
	return nil
}

// checkOneAttempt checks that each node was tried once, by one pod.
func (r *rig) checkOneAttempt(t *testing.T, execution string) {
	t.Helper()
	r.checkOneOwner(t, []string{execution})
	attempts := query[int64](t, r, `SELECT count(*) FROM tasks WHERE name = $1`, execution)[0]
	if attempts != 3 {
		t.Errorf("%s has %d attempts of its 3 nodes", execution, attempts)
	}
	objects, err := r.objects(t.Context())
	must(t, err)
	pods := map[string]bool{}
	for _, o := range objects {
		if o.kind == "Pod" && o.execution == execution {
			pods[o.name] = true
		}
	}
	if len(pods) > 3 {
		t.Errorf("%s has %d pods for 3 attempts: %v", execution, len(pods), pods)
	}
}

// propellerDies: the pods of a run are found again by their names. (I38.)
func propellerDies(t *testing.T, r *rig) {
	const name = "propeller-dies"
	r.running(t, name, 4)
	p := r.plane(t, name)
	before := r.podIDs(t, p, name)
	must(t, p.Propeller.Kill9())
	must(t, p.Propeller.Restart(t.Context()))
	eventually(t, time.Minute, r.allIn([]string{name}, core.WorkflowExecution_SUCCEEDED))
	r.checkOneAttempt(t, name)
	after := r.podIDs(t, p, name)
	for pod, uid := range before {
		if now, there := after[pod]; there && now != uid {
			t.Errorf("pod %s was made a second time", pod)
		}
	}
}

// databaseRestarts: an outage of the database ends no run. (I1, I7.)
func databaseRestarts(t *testing.T, r *rig) {
	const name = "database-restarts"
	r.running(t, name, 4)
	must(t, r.Database.Restart(t.Context()))
	must(t, r.launch(t.Context(), "faults.chain", "after-restart", 0))
	eventually(t, time.Minute, r.allIn([]string{name, "after-restart"}, core.WorkflowExecution_SUCCEEDED))
	r.checkOneAttempt(t, name)
	r.checkOneOwner(t, []string{"after-restart"})
}

// clusterLapses: the work of a propeller that stalls past its lease is run
// elsewhere, not before the lease is over; when the propeller goes on, it gives
// its copies up, and the cluster takes work again. (I21, I23, I33.)
func clusterLapses(t *testing.T, r *rig) {
	const name = "cluster-lapses"
	r.running(t, name, 4)
	p := r.plane(t, name)
	must(t, p.Propeller.Signal(syscall.SIGSTOP))
	stalled := time.Now()
	t.Cleanup(func() { _ = p.Propeller.Signal(syscall.SIGCONT) })
	eventually(t, 4*lease, func(context.Context) error {
		if now := r.placement(t, name); now.Cluster == p.Name {
			return fmt.Errorf("%s is on %s still", name, p.Name)
		}
		return nil
	})
	moved := time.Since(stalled)
	if moved < lease-lease/6-time.Second { // its last renewal was at most a sixth of the lease old
		t.Errorf("moved %s after its propeller stalled; its lease of %s may not have ended", moved, lease)
	}
	t.Logf("moved %s after the stall", moved.Round(100*time.Millisecond))
	eventually(t, time.Minute, r.allIn([]string{name}, core.WorkflowExecution_SUCCEEDED))
	t.Logf("finished %s after the stall", time.Since(stalled).Round(100*time.Millisecond))
	now := r.placement(t, name)
	if now.Era != 1 || now.N != 2 || now.Decisions != 2 || now.Cluster == p.Name {
		t.Errorf("%s is at epoch %d.%d on %s after %d decisions, want 1.2 elsewhere after two", name, now.Era, now.N, now.Cluster, now.Decisions)
	}
	if kinds := query[string](t, r, `SELECT kind FROM moves WHERE name = $1`, name); len(kinds) != 1 || kinds[0] != "Lapse" {
		t.Errorf("moves %v, want one by lapse", kinds)
	}
	health, err := r.clusters.GetCluster(t.Context(), &skeinv1.GetClusterRequest{Name: p.Name})
	must(t, err)
	if h := health.GetCluster().GetHealth(); h != "Lapsed" {
		t.Errorf("cluster %s is %s", p.Name, h)
	}
	must(t, r.launch(t.Context(), "faults.chain", "elsewhere", 0))
	eventually(t, time.Minute, r.allIn([]string{"elsewhere"}, core.WorkflowExecution_SUCCEEDED))
	if other := r.placement(t, "elsewhere"); other.Cluster == p.Name {
		t.Errorf("an execution was placed on the lapsed cluster %s", p.Name)
	}
	must(t, p.Propeller.Signal(syscall.SIGCONT))
	eventually(t, time.Minute, func(ctx context.Context) error {
		c, err := r.clusters.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: p.Name})
		if err == nil && c.GetCluster().GetHealth() != "Healthy" {
			err = fmt.Errorf("cluster %s is %s", p.Name, c.GetCluster().GetHealth())
		}
		return err
	})
	last := "nothing was read" // the poll itself may end by its deadline
	defer func() {
		if t.Failed() {
			t.Logf("%s: %s", p.Name, last)
		}
	}()
	eventually(t, time.Minute, func(ctx context.Context) error {
		objects, err := r.objects(ctx)
		if err != nil {
			return err
		}
		last = "nothing goes on"
		for _, o := range objects {
			over := slices.Contains([]string{"ABORTED", "FAILED", string(corev1.PodSucceeded), string(corev1.PodFailed)}, o.phase)
			if o.cluster == p.Name && o.execution == name && (!over || o.kind == "FlyteWorkflow" && o.epoch != 1) {
				last = fmt.Sprintf("%s %s at epoch %d is %s still", o.kind, o.name, o.epoch, o.phase)
				return errors.New(last)
			}
		}
		return nil
	})
	if after := r.placement(t, name); after != now {
		t.Errorf("%s was at %+v, and is at %+v after the cluster returned", name, now, after)
	}
}

// podIDs are the pods of an execution by name.
func (r *rig) podIDs(t *testing.T, p *local.Plane, execution string) map[string]string {
	t.Helper()
	var pods corev1.PodList
	must(t, r.planes[p.Name].List(t.Context(), &pods, ctrl.MatchingLabels{v1alpha1.LabelExecution: execution}))
	out := map[string]string{}
	for _, pod := range pods.Items {
		out[pod.Name] = string(pod.UID)
	}
	return out
}
