package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

type file struct {
	name string
	raw  []byte
}

func pack(t testing.TB, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f.raw))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func raw(t testing.TB, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func named(name string) *core.Identifier { return &core.Identifier{Name: name} }

// project are a task, a workflow that branches to it and to a task of another
// project, and its launch plan, in an order that is not theirs.
func project(t testing.TB) []file {
	leaf := func(id *core.Identifier) *core.Node {
		return &core.Node{Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{Reference: &core.TaskNode_ReferenceId{ReferenceId: id}}}}
	}
	there := &core.Identifier{Project: "other", Domain: "{{ registration.domain }}", Name: "t", Version: "v7"}
	branch := &core.Node{Target: &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: &core.IfElseBlock{
		Case: &core.IfBlock{ThenNode: leaf(named("t"))}, Default: &core.IfElseBlock_ElseNode{ElseNode: leaf(there)},
	}}}}
	return []file{
		{"2_w_3.pb", raw(t, &admin.LaunchPlan{Id: named("w"), Spec: &admin.LaunchPlanSpec{WorkflowId: named("w")}})},
		{"deep/1_w_2.pb", raw(t, &admin.WorkflowSpec{Template: &core.WorkflowTemplate{Id: named("w"), Nodes: []*core.Node{branch}}})},
		{"0_t_1.pb", raw(t, &admin.TaskSpec{Template: &core.TaskTemplate{
			Id: &core.Identifier{Project: "{{ registration.project }}", Name: "t", Version: "{{ registration.version }}"},
			Target: &core.TaskTemplate_Container{Container: &core.Container{
				Args: []string{"--code", "{{ .remote_package_path }}", "--dest-dir", "{{ .dest_dir }}", "{{.input}}"},
			}},
		}})},
		{"README", []byte("is not looked at")},
	}
}

func TestRequests(t *testing.T) {
	code := file{"fast1.tar.gz", []byte("code")}
	a, err := Read(bytes.NewReader(pack(t, append(project(t), code)...)))
	if err != nil {
		t.Fatal(err)
	}
	if a.Code == nil || a.Code.Name != "fast1.tar.gz" || string(a.Code.Raw) != "code" {
		t.Errorf("code %v, want the packaged one", a.Code)
	}
	requests, err := a.Requests(Target{Project: "p", Domain: "d", Version: "v1", CodeAt: "/store/fast1.tar.gz"})
	if err != nil {
		t.Fatal(err)
	}
	if len(requests) != 3 {
		t.Fatalf("%d requests, want 3", len(requests))
	}
	task, workflow, plan := requests[0].(*admin.TaskCreateRequest), requests[1].(*admin.WorkflowCreateRequest), requests[2].(*admin.LaunchPlanCreateRequest)
	id := func(kind core.ResourceType, name string) *core.Identifier {
		return &core.Identifier{ResourceType: kind, Project: "p", Domain: "d", Name: name, Version: "v1"}
	}
	block := workflow.Spec.Template.Nodes[0].GetBranchNode().IfElse
	for _, c := range []struct {
		what      string
		got, want *core.Identifier
	}{
		{"the task", task.Id, id(core.ResourceType_TASK, "t")},
		{"the task's template", task.Spec.Template.Id, id(core.ResourceType_TASK, "t")},
		{"the workflow", workflow.Id, id(core.ResourceType_WORKFLOW, "w")},
		{"the launch plan", plan.Id, id(core.ResourceType_LAUNCH_PLAN, "w")},
		{"its workflow", plan.Spec.WorkflowId, id(0, "w")},
		{"the task in a branch", block.Case.ThenNode.GetTaskNode().GetReferenceId(), id(0, "t")},
		{"a task of another project", block.GetElseNode().GetTaskNode().GetReferenceId(),
			&core.Identifier{Project: "other", Domain: "d", Name: "t", Version: "v7"}},
	} {
		if diff := cmp.Diff(c.want, c.got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.what, diff)
		}
	}
	want := []string{"--code", "/store/fast1.tar.gz", "--dest-dir", ".", "{{.input}}"}
	if diff := cmp.Diff(want, task.Spec.Template.GetContainer().Args); diff != "" {
		t.Errorf("arguments (-want +got)\n%s", diff)
	}
}

// TestPods are told of their code as containers are.
func TestPods(t *testing.T) {
	spec, err := structpb.NewStruct(map[string]any{"containers": []any{map[string]any{"name": "main", "args": []any{"{{.dest_dir}}", "{{ .remote_package_path }}"}}}})
	if err != nil {
		t.Fatal(err)
	}
	task := &admin.TaskSpec{Template: &core.TaskTemplate{Id: named("t"), Target: &core.TaskTemplate_K8SPod{K8SPod: &core.K8SPod{PodSpec: spec}}}}
	a, err := Read(bytes.NewReader(pack(t, file{"0_t_1.pb", raw(t, task)})))
	if err != nil {
		t.Fatal(err)
	}
	requests, err := a.Requests(Target{CodeAt: "at", CodeDir: "/root"})
	if err != nil {
		t.Fatal(err)
	}
	got := requests[0].(*admin.TaskCreateRequest).Spec.Template.GetK8SPod().PodSpec.AsMap()["containers"].([]any)[0].(map[string]any)["args"]
	if diff := cmp.Diff([]any{"/root", "at"}, got); diff != "" {
		t.Errorf("arguments (-want +got)\n%s", diff)
	}
}

// TestFolder is the same as an archive of it.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for _, f := range project(t) {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.name)), f.raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = a.Requests(Target{}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `0_t_1.pb: task "t" runs packaged code`) {
		t.Errorf("without code: %v, want the task that needs it", err)
	}
	requests, err := a.Requests(Target{Project: "p", Domain: "d", Version: "v", CodeAt: "x"})
	if err != nil || len(requests) != 3 {
		t.Errorf("%d requests and %v, want 3", len(requests), err)
	}
}

func TestBadArchives(t *testing.T) {
	good := pack(t, project(t)...)
	many := make([]file, maxFiles+1)
	for i := range many {
		many[i].name = "x"
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"nothing", nil, "nothing to register"},
		{"no archive", []byte(strings.Repeat("hello ", 200)), "is no tar archive"},
		{"no gzip", []byte("\x1f\x8bxxxxxxxxxxxxxx"), "is compressed, but not by gzip"},
		{"an archive cut short", good[:len(good)/2], "is cut short"},
		{"an archive of other things", pack(t, file{"notes.txt", []byte("x")}), "nothing to register"},
		{"a definition that is none", pack(t, file{"0_t_1.pb", []byte("\xff\xff")}), "0_t_1.pb: is no flyteidl.admin.TaskSpec"},
		{"a definition that is too large", pack(t, file{"0_t_1.pb", make([]byte, maxDefinition+1)}), "0_t_1.pb: has more than 20971520 bytes"},
		{"code twice", pack(t, file{"a.tar.gz", nil}, file{"b.tar.gz", nil}), "b.tar.gz: is a second archive of code beside a.tar.gz"},
		{"too many files", pack(t, many...), "want at most 10000 files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(c.raw))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an Invalid error with %q", err, c.want)
			}
		})
	}
	if _, err := read(bytes.NewReader(pack(t, file{"zeros", make([]byte, 1<<20)})), 1<<16); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "unpacks to more than 65536 bytes") {
		t.Errorf("what unpacks to more than it may: %v", err)
	}
	for name, m := range map[string]proto.Message{"0_t_1.pb": &admin.TaskSpec{}, "0_w_2.pb": &admin.WorkflowSpec{}, "0_l_3.pb": &admin.LaunchPlan{}} {
		a, err := Read(bytes.NewReader(pack(t, file{name, raw(t, m)})))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Requests(Target{}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name+": has no id with a name") {
			t.Errorf("%s without an id: %v", name, err)
		}
	}
}

// FuzzRead demands that whatever is read either is refused as invalid or
// becomes requests with whole ids.
func FuzzRead(f *testing.F) {
	var plain bytes.Buffer
	unzipped, err := gzip.NewReader(bytes.NewReader(pack(f, project(f)...)))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := plain.ReadFrom(unzipped); err != nil {
		f.Fatal(err)
	}
	f.Add(plain.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := Read(bytes.NewReader(raw))
		if err == nil {
			var requests []proto.Message
			requests, err = a.Requests(Target{Project: "p", Domain: "d", Version: "v", CodeAt: "c"})
			for _, r := range requests {
				id := r.(interface{ GetId() *core.Identifier }).GetId()
				if id.GetName() == "" || id.GetProject() == "" || id.GetDomain() == "" || id.GetVersion() == "" || id.GetResourceType() == 0 {
					t.Errorf("an id that is not whole: %v", id)
				}
			}
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%v is no Invalid error", err)
		}
	})
}
