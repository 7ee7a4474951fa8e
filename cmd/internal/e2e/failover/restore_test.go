package failover

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/deploy/local/database"
)

// TestARestoredBackupIsRebuilt restores an old backup of the database twice: once
// with the replicas stopped, and once under their feet, with a cluster that does
// not come back. What clusters held is known again and was run once; what was
// ended stays ended. (I35, I76, I77.)
func TestARestoredBackupIsRebuilt(t *testing.T) {
	r := newRig(t, local.Options{Lease: 6 * time.Second, Clusters: local.ThreeRegions()[:2]})
	r.register(t, chain)
	before := r.era(t)
	t.Run("with the replicas stopped", func(t *testing.T) { r.restoreStopped(t) })
	if now := r.era(t); now != before+1 {
		t.Fatalf("the era is %d after one REBUILD, and was %d", now, before)
	}
	t.Run("under the replicas' feet, without a cluster that is cut off", func(t *testing.T) { r.restoreWithout(t) })
	if now := r.era(t); now != before+2 {
		t.Errorf("the era is %d after two, and was %d", now, before)
	}
}

// restoreStopped: one runs as the backup is taken, and ends before it is
// restored; others are launched after it: one runs, one has ended, one was
// aborted.
func (r *rig) restoreStopped(t *testing.T) {
	r.launchOn(t, "failover.chain", "backed", 3, here)
	r.until(t, "backed", "second")
	backup := r.dump(t)
	r.launchOn(t, "failover.chain", "ended", 3, there)
	r.launchOn(t, "failover.chain", "stopped", 3, here)
	r.until(t, "stopped", "second")
	_, err := r.admin.TerminateExecution(t.Context(), &admin.ExecutionTerminateRequest{Id: executionID("stopped"), Cause: "enough"})
	must(t, err)
	r.ends(t, "stopped", core.WorkflowExecution_ABORTED)
	r.ends(t, "backed", core.WorkflowExecution_SUCCEEDED)
	r.ends(t, "ended", core.WorkflowExecution_SUCCEEDED)
	r.launchOn(t, "failover.chain", "running", 3, there)
	r.until(t, "running", "second")

	for _, p := range r.Replicas {
		must(t, p.Process.Stop(t.Context()))
	}
	r.restore(t, backup)
	restored := make(chan error, len(r.Replicas))
	for _, p := range r.Replicas {
		go func() { restored <- p.Process.Restart(context.WithoutCancel(t.Context())) }()
	}
	for range r.Replicas {
		must(t, <-restored)
	}
	r.rebuilt(t, 1)
	r.ends(t, "stopped", core.WorkflowExecution_ABORTED)
	r.launch(t, "failover.chain", "new", 3)
	for _, name := range []string{"backed", "ended", "running", "new"} {
		r.ends(t, name, core.WorkflowExecution_SUCCEEDED)
		r.checkOnce(t, name)
		r.checkOutput(t, name, 41)
	}
}

// Where executions are launched.
const here, there = "region=eu-west", "region=us-east"

// restoreWithout: one execution runs on each cluster, and is in the backup. The
// member of one cluster is gone when it is restored, and an operator waits for it
// no longer: its work is resumed elsewhere once no lease of it can be out.
func (r *rig) restoreWithout(t *testing.T) {
	const lost, kept = "left", "right"
	r.launch(t, "failover.chain", lost, 3)
	r.until(t, lost, "second")
	from, other := r.cluster(t, lost), there
	if from != "eu-1" {
		other = here
	}
	r.launchOn(t, "failover.chain", kept, 3, other)
	r.until(t, kept, "second")
	backup := r.dump(t)
	gone := r.Group().Process(from + "-propeller")
	must(t, gone.Kill9())
	r.restore(t, backup)
	var done *skeinv1.FinishRebuildResponse
	eventually(t, 2*time.Minute, func(ctx context.Context) (err error) { // refused until it is in REBUILD
		done, err = r.control.FinishRebuild(ctx, &skeinv1.FinishRebuildRequest{})
		return err
	})
	if done.GetEra() != 3 || done.GetReleased() == 0 {
		t.Errorf("the REBUILD that was not waited for came to %v", done)
	}
	r.rebuilt(t, 2)
	r.ends(t, lost, core.WorkflowExecution_SUCCEEDED)
	if now := r.cluster(t, lost); now == from {
		t.Errorf("it has ended on %s, which is cut off", now)
	}
	r.checkOutput(t, lost, 41)
	r.ends(t, kept, core.WorkflowExecution_SUCCEEDED)
	r.checkOnce(t, kept)
	must(t, gone.Restart(t.Context()))
	eventually(t, time.Minute, func(ctx context.Context) error { return r.givenUp(ctx, from, lost) })
	r.ends(t, lost, core.WorkflowExecution_SUCCEEDED)
}

// until waits for a node to run.
func (r *rig) until(t *testing.T, name, node string) {
	t.Helper()
	eventually(t, time.Minute, func(ctx context.Context) error { return r.nodeIs(ctx, name, node, core.NodeExecution_RUNNING) })
}

func (r *rig) ends(t *testing.T, name string, want core.WorkflowExecution_Phase) {
	t.Helper()
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		x, err := r.admin.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: executionID(name)})
		if err == nil && x.GetClosure().GetPhase() != want {
			err = fmt.Errorf("%s is %s", name, x.GetClosure().GetPhase())
		}
		return err
	})
}

// checkOnce: each node has succeeded at its first attempt, in one pod.
func (r *rig) checkOnce(t *testing.T, name string) {
	t.Helper()
	const want = "first SUCCEEDED: 0 SUCCEEDED|second SUCCEEDED: 0 SUCCEEDED|third SUCCEEDED: 0 SUCCEEDED"
	eventually(t, time.Minute, func(context.Context) error { // the events of nodes may come after the end's, a second time
		if lines := strings.Join(r.attempts(t, name), "|"); lines != want {
			return fmt.Errorf("nodes and attempts of %s are\n%s, want\n%s", name, lines, want)
		}
		return nil
	})
	var ran []string
	for _, plane := range r.planes {
		var pods corev1.PodList
		must(t, plane.List(t.Context(), &pods))
		for _, p := range pods.Items {
			if p.Labels[v1alpha1.LabelExecution] == name {
				ran = append(ran, p.Labels[v1alpha1.LabelNode])
			}
		}
	}
	if slices.Sort(ran); !slices.Equal(ran, []string{"first", "second", "third"}) {
		t.Errorf("of %s ran %v", name, ran)
	}
}

// rebuilt waits for the end of that REBUILD.
func (r *rig) rebuilt(t *testing.T, rebuilds int) {
	t.Helper()
	eventually(t, 2*time.Minute, func(context.Context) error {
		if ended := r.sql(t, r.Database.URL, "SELECT count(*) FROM audit WHERE action = 'rebuild.end'"); ended != fmt.Sprint(rebuilds) {
			return fmt.Errorf("%s REBUILDs have ended, of %d", ended, rebuilds)
		}
		return nil
	})
	t.Logf("REBUILD %d has ended: %s", rebuilds, r.sql(t, r.Database.URL, "SELECT rebuilt FROM scheduler"))
}

func (r *rig) era(t *testing.T) (era int) {
	t.Helper()
	if _, err := fmt.Sscan(r.sql(t, r.Database.URL, "SELECT era FROM scheduler"), &era); err != nil {
		t.Fatal(err)
	}
	return era
}

// dump takes a backup of the database, and waits until the leader has written
// since: a backup that lacks nothing of the leader's is not one to rebuild.
func (r *rig) dump(t *testing.T) string {
	t.Helper()
	if r.Database.Engine != "postgres" {
		t.Skipf("the runbook's programs for %s are not those of this test", r.Database.Engine)
	}
	file := filepath.Join(t.TempDir(), "backup")
	r.tool(t, "pg_dump", "-Fc", "-f", file, r.Database.URL)
	const fence = "SELECT era || '.' || epoch || '.' || beat FROM scheduler"
	then := r.sql(t, r.Database.URL, fence)
	eventually(t, time.Minute, func(context.Context) error {
		if r.sql(t, r.Database.URL, fence) == then {
			return fmt.Errorf("the fence is still %s", then)
		}
		return nil
	})
	return file
}

// restore puts a backup in the database's place: into a new one, which then gets
// its name, so that nobody ever sees half of it.
func (r *rig) restore(t *testing.T, backup string) {
	t.Helper()
	beside, err := database.Create(t.Context(), r.Database.URL, "skein_restored")
	must(t, err)
	r.tool(t, "pg_restore", "--no-owner", "-d", beside, backup)
	server := inDatabase(t, r.Database.URL, "postgres")
	for _, statement := range []string{
		"ALTER DATABASE skein ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('skein', 'skein_restored')",
		fmt.Sprintf("ALTER DATABASE skein RENAME TO skein_old_%d", time.Now().UnixNano()),
		"ALTER DATABASE skein_restored RENAME TO skein",
	} {
		eventually(t, 20*time.Second, func(context.Context) error { _, err := r.query(server, statement); return err })
	}
}

func inDatabase(t *testing.T, raw, name string) string {
	t.Helper()
	u, err := url.Parse(raw)
	must(t, err)
	u.Path = "/" + name
	return u.String()
}

func (r *rig) sql(t *testing.T, database, statement string) string {
	t.Helper()
	out, err := r.query(database, statement)
	must(t, err)
	return out
}

func (r *rig) query(database, statement string) (string, error) {
	out, err := exec.Command(program("psql"), "-XAtq", "-c", statement, database).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", statement, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func (r *rig) tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program(name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// program finds a program of the database's, as deploy/local/database does.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil || !errors.Is(err, exec.ErrNotFound) {
		return path
	}
	found, _ := filepath.Glob(filepath.Join("/usr/lib/postgresql", "*", "bin", name))
	for _, path := range slices.Backward(found) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return name
}
