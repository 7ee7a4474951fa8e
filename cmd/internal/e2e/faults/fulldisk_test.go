package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/deploy/local/smalldisk"
)

// disks are the small disks below each part's state.
type disks map[string]*smalldisk.Tested

// TestFullDisks fills one disk after the other under a running federation: each
// part says what it does about it, does it, and goes on when there is room;
// what was accepted succeeds, what was refused is not there. (I1, I7, I73.)
func TestFullDisks(t *testing.T) {
	state := federationtest.State(t)
	under := disks{}
	for name, size := range map[string]int64{"database": 192 << 20, "objects": 16 << 20, "admin-0": 8 << 20, "admin-1": 8 << 20,
		"admin-2": 8 << 20, "solo/kubernetes": 256 << 20, "solo/propeller": 1 << 20} {
		under[name] = smalldisk.New(t, filepath.Join(state, name), size)
	}
	r := newRig(t, local.Options{State: state, Lease: 30 * time.Second, Supervise: true, Clusters: []local.Cluster{{Name: "solo"}}})
	for _, c := range []struct {
		name string
		run  func(*testing.T, *rig, disks)
	}{
		{"under a leader", leaderFull},
		{"under the object store", objectsFull},
		{"under a propeller", propellerFull},
		{"under a cluster", clusterFull},
		{"under the database", databaseFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, r, under)
			if t.Failed() {
				t.FailNow()
			}
			r.works(t, "after")
		})
		if t.Failed() {
			t.Fatal("the federation may not be whole after this")
		}
	}
}

// works launches a chain and sees it succeed.
func (r *rig) works(t *testing.T, name string) {
	t.Helper()
	name = fmt.Sprintf("%s-%x", name, time.Now().UnixNano()&0xffffff)
	must(t, r.launch(t.Context(), "faults.chain", name, 0))
	eventually(t, 90*time.Second, r.allIn([]string{name}, core.WorkflowExecution_SUCCEEDED))
}

// leaderFull: the log's files have their room already, so that a leader leads
// on; started anew, it takes part, or says that it cannot.
func leaderFull(t *testing.T, r *rig, under disks) {
	leader, err := r.awaitLeader(t.Context())
	must(t, err)
	under[leader.Name].Fill()
	defer under[leader.Name].Empty()
	r.works(t, "leader-full")
	must(t, leader.Kill9())
	eventually(t, time.Minute, func(ctx context.Context) error { return alive(ctx, leader) })
	r.works(t, "leader-full-again")
}

// alive asks whether a replica answers, ready or not.
func alive(ctx context.Context, r *local.Replica) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Ops()+"/livez", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// objectsFull: uploads and large inputs are refused, tasks wait.
func objectsFull(t *testing.T, r *rig, under disks) {
	large := largeLaunch("objects-full")
	under["objects"].Fill()
	if code, text := r.upload(t, "full.txt", strings.Repeat("x", 64<<10)); code != http.StatusInsufficientStorage || !strings.Contains(text, "disk is full") {
		t.Errorf("an upload was answered %d %s, want 507 and the reason", code, text)
	}
	_, err := r.admin.CreateExecution(t.Context(), large)
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("large inputs were answered %v, want RESOURCE_EXHAUSTED and the reason", err)
	}
	if _, err := r.admin.GetExecution(t.Context(), &admin.WorkflowExecutionGetRequest{Id: executionID(large.Name)}); status.Code(err) != codes.NotFound {
		t.Errorf("the refused execution: %v, want NOT_FOUND", err)
	}
	must(t, r.launch(t.Context(), "faults.naps", "waits-for-room", 0)) // inline: it is accepted
	eventually(t, time.Minute, func(context.Context) error { return r.says("solo-propeller", "disk is full") })
	if x, err := r.phases(t.Context(), "waits-for-room"); err != nil || x["waits-for-room"] == core.WorkflowExecution_FAILED {
		t.Errorf("the execution that needs room is %v (%v)", x, err)
	}
	under["objects"].Empty()
	eventually(t, 2*time.Minute, r.allIn([]string{"waits-for-room"}, core.WorkflowExecution_SUCCEEDED))
	_, err = r.admin.CreateExecution(t.Context(), large)
	must(t, err)
	if code, text := r.upload(t, "full.txt", "now there is room"); code != http.StatusOK {
		t.Errorf("an upload was answered %d %s", code, text)
	}
	eventually(t, time.Minute, r.allIn([]string{large.Name}, core.WorkflowExecution_SUCCEEDED))
}

// largeLaunch has inputs that do not fit a row.
func largeLaunch(name string) *admin.ExecutionCreateRequest {
	q := launchRequest("faults.words", name, 0)
	q.Inputs = &core.LiteralMap{Literals: map[string]*core.Literal{"words": {Value: &core.Literal_Scalar{Scalar: &core.Scalar{
		Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_StringValue{StringValue: strings.Repeat("x", 64<<10)}}}}}}}}
	return q
}

// says looks for words in a process's log.
func (r *rig) says(process, words string) error {
	raw, err := os.ReadFile(filepath.Join(r.State(), "logs", process+".log"))
	if err == nil && !bytes.Contains(raw, []byte(words)) {
		err = fmt.Errorf("the log of %s does not say %q", process, words)
	}
	return err
}

// upload asks for a link and puts the content there.
func (r *rig) upload(t *testing.T, name, content string) (int, string) {
	t.Helper()
	link, err := service.NewDataProxyServiceClient(r.flyte).CreateUploadLocation(t.Context(), &service.CreateUploadLocationRequest{
		Project: project, Domain: domain, Filename: name, FilenameRoot: fmt.Sprintf("%d", len(content))})
	must(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, link.GetSignedUrl(), strings.NewReader(content))
	must(t, err)
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// propellerFull: its state is a key and a certificate, which are there.
func propellerFull(t *testing.T, r *rig, under disks) {
	under["solo/propeller"].Fill()
	defer under["solo/propeller"].Empty()
	must(t, r.Planes[0].Propeller.Kill9())
	r.works(t, "propeller-full")
}

// clusterFull: the cluster takes no writes, or etcd ends; its work waits and
// the propeller says so.
func clusterFull(t *testing.T, r *rig, under disks) {
	under["solo/kubernetes"].Fill()
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("cluster-full-%d", i))
		must(t, r.launch(t.Context(), "faults.chain", names[i], 0))
	}
	died := 0
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if p := r.Group().Process("solo-etcd"); p != nil && !p.Alive() {
			died++
		}
		must(t, pause(t.Context(), every))
	}
	have, err := r.phases(t.Context(), "cluster-full")
	must(t, err)
	t.Logf("etcd was seen dead %d times; executions %v", died, have)
	under["solo/kubernetes"].Empty()
	eventually(t, 2*time.Minute, r.allIn(names, core.WorkflowExecution_SUCCEEDED))
}

// databaseFull: creates are refused with the reason, or the server ends and is
// brought back; nothing that was accepted is lost, nothing refused is there.
func databaseFull(t *testing.T, r *rig, under disks) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	under["database"].Fill()
	seen, accepted, refused := map[codes.Code]int{}, []string{}, []string{}
	for i := 0; i < 400 && seen[codes.ResourceExhausted] < 5; i++ {
		name := fmt.Sprintf("database-full-%03d", i)
		q := launchRequest("faults.words", name, 0)
		q.Inputs = &core.LiteralMap{Literals: map[string]*core.Literal{"words": {Value: &core.Literal_Scalar{Scalar: &core.Scalar{
			Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_StringValue{StringValue: noise(i)}}}}}}}}
		_, err := r.admin.CreateExecution(ctx, q)
		code := status.Code(err)
		seen[code]++
		switch {
		case err == nil:
			accepted = append(accepted, name)
		case code == codes.ResourceExhausted:
			refused = append(refused, name)
			if !strings.Contains(err.Error(), "database's disk is full") {
				t.Errorf("refused with %v", err)
			}
		case !ambiguous(code):
			t.Errorf("on a full disk: %v", err)
		}
	}
	if len(refused) == 0 {
		t.Errorf("no create was refused with RESOURCE_EXHAUSTED: %v", seen)
	}
	before := r.Database.Process.PID()
	_ = r.exec(ctx, "SELECT pg_switch_wal()") // its log needs a new file now, and there is no room
	ended := false
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end) && !ended; {
		_ = r.exec(ctx, "CREATE TABLE no_room (n INT)")
		ended = !r.Database.Process.Alive()
	}
	t.Logf("creates on a full disk: %v; the server ended: %t", seen, ended)
	under["database"].Empty()
	eventually(t, time.Minute, func(ctx context.Context) error { return r.exec(ctx, "SELECT 1") })
	if ended && r.Database.Process.PID() == before {
		t.Error("the server was not started again")
	}
	for _, name := range refused {
		if _, err := r.admin.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: executionID(name)}); status.Code(err) != codes.NotFound {
			t.Errorf("the refused %s: %v, want NOT_FOUND", name, err)
		}
	}
	eventually(t, 2*time.Minute, r.allIn(accepted, core.WorkflowExecution_SUCCEEDED))
}

// noise does not compress, and nearly fills what is kept in a row.
func noise(seed int) string {
	b := make([]byte, 12<<10)
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = 'a' + byte(x>>32)%26
	}
	return string(b)
}
