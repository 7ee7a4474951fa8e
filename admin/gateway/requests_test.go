package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
)

// maker makes requests that are right more often than not. The same seed makes
// the same ones.
type maker struct {
	*rand.Rand
	serial int
}

// texts are the values of fields by their names; most exist in a seeded world.
var texts = map[string][]string{
	"project":     {"flytesnacks", "flytesnacks", "flytesnacks", "flytesnacks", "flytesnacks", "old", "nobody"},
	"domain":      {"development", "development", "development", "development", "development", "moon"},
	"version":     {"v1", "v1", "v2", "v9 &"},
	"node_id":     {"n0", "n0", "n0", "n9"},
	"token":       {"", "", "1", "x"},
	"key":         {"created_at", "created_at", "nonsense"},
	"filters":     {"", "", "eq(name,e1)+ne(name,e2)", "contains(name,%)", "value_in(phase,QUEUED;SUCCEEDED)", "gt(created_at,2020-01-01T00:00:00+02:00)", "odd"},
	"cause":       {"no longer wanted", ""},
	"filename":    {"a b.txt", "../x"},
	"native_url":  {"/store/out", ""},
	"workflow":    {"pkg.wf"},
	"signal_id":   {"s"},
	"description": {"words of ü", ""},
	"flyte_url": {"flyte://v1/flytesnacks/development/e0/n0/i", "flyte://v1/flytesnacks/development/e0/n0/o/o0", "flyte://v1/flytesnacks/development/e0/n0/d",
		"flyte://v1/flytesnacks/development/e0/n0/0/o", "flyte://v1/nobody/development/e9/n0/i", "flyte://x", ""},
}

// names are those of "name" and "id", by the message that has the field.
var names = map[protoreflect.FullName][]string{
	"flyteidl.core.Identifier":                  {"pkg.mod.t", "pkg.wf", "pkg.wf", "odd name:x+y&z=ü%41", "none..", ".."},
	"flyteidl.admin.NamedEntityIdentifier":      {"pkg.mod.t", "pkg.wf", "pkg.wf", "odd name:x+y&z=ü%41", "none"},
	"flyteidl.core.WorkflowExecutionIdentifier": {"e0", "e0", "e0", "e1", "e2", "e9"},
	"flyteidl.admin.Project":                    {"flytesnacks", "fresh", "No"},
	"flyteidl.admin.ProjectGetRequest":          {"flytesnacks", "old", "nobody"},
}

// opaque messages have no JSON of their own unless they hold something.
var opaque = map[protoreflect.FullName]bool{"google.protobuf.Struct": true, "google.protobuf.Any": true, "google.protobuf.Value": true, "google.protobuf.ListValue": true}

func pick[T any](m *maker, from []T) T { return from[m.IntN(len(from))] }

// request makes a request of a method: one that a client would make, if one is
// at hand, or a made up one.
func (m *maker) request(method protoreflect.MethodDescriptor, first bool) proto.Message {
	m.serial++
	fresh := fmt.Sprintf("x%d", m.serial)
	if good := right(method.Name(), fresh); good != nil && (first || m.IntN(4) == 0) {
		return good
	}
	if m.IntN(2) == 0 {
		switch method.Name() {
		case "CreateTask":
			return task(pick(m, []string{"pkg.mod.t", fresh}), pick(m, []string{"v1", "v3"}))
		case "CreateWorkflow":
			return workflow(pick(m, []string{"pkg.wf", fresh}), "v1", pick(m, []string{"pkg.mod.t", "none"}))
		case "CreateLaunchPlan":
			return plan(pick(m, []string{"pkg.wf", fresh}), "v1")
		case "CreateExecution":
			return execution(pick(m, []string{"e1", fresh, "No!"}))
		case "UpdateLaunchPlan":
			return activate("pkg.wf", pick(m, []string{"v1", "v2", "v9"}))
		case "RelaunchExecution":
			return &admin.ExecutionRelaunchRequest{Id: executionID(pick(m, []string{"e0", "e9"})), Name: fresh}
		}
	}
	return m.message(method.Input(), 0).Interface()
}

func (m *maker) message(d protoreflect.MessageDescriptor, depth int) protoreflect.Message {
	switch d.FullName() {
	case "google.protobuf.Timestamp":
		return timestamppb.New(began).ProtoReflect()
	case "google.protobuf.Duration":
		return durationpb.New(pick(m, []time.Duration{1, 600e9, 1e18})).ProtoReflect()
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		panic(err) // every message of the contract is linked
	}
	msg := kind.New()
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() && msg.WhichOneof(o) != nil {
			continue
		}
		m.field(msg, f, depth)
	}
	return msg
}

func (m *maker) field(msg protoreflect.Message, f protoreflect.FieldDescriptor, depth int) {
	known := f.Kind() == protoreflect.StringKind && m.pool(f) != nil
	switch f.Name() {
	case "id", "limit", "resource_type", "retry_attempt":
		known = true
	}
	if f.Message() != nil && (f.IsMap() || depth > 4 || opaque[f.Message().FullName()]) {
		return
	}
	always := f.Name() == "name" || f.Name() == "filename" // those that are left out are made at random
	if odds := m.IntN(20); !always && (!known && odds > 11-2*depth || known && odds == 0) {
		if f.Message() == nil || depth > 0 || odds > 18 {
			return
		}
	}
	if f.IsList() {
		if f.Message() == nil {
			list := msg.NewField(f).List()
			list.Append(m.scalar(f))
			msg.Set(f, protoreflect.ValueOfList(list))
		}
		return
	}
	if f.Message() != nil {
		msg.Set(f, protoreflect.ValueOfMessage(m.message(f.Message(), depth+1)))
		return
	}
	msg.Set(f, m.scalar(f))
}

func (m *maker) pool(f protoreflect.FieldDescriptor) []string {
	if pool := names[f.Parent().FullName()]; pool != nil && (f.Name() == "name" || f.Name() == "id") {
		return pool
	}
	return texts[string(f.Name())]
}

func (m *maker) scalar(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		if pool := m.pool(f); pool != nil {
			return protoreflect.ValueOfString(pick(m, pool))
		}
		return protoreflect.ValueOfString(fmt.Sprintf("x%d", m.serial))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(pick(m, []string{"0123456789abcdef", "short\xff"})))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(m.IntN(2) == 0)
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(m.IntN(values.Len())).Number())
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(pick(m, []uint32{0, 0, 1, 2, 100}))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(pick(m, []int32{-1, 0, 1, 25}))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(pick(m, []int64{-1, 1, 1 << 60}))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(0.5)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(0.25)
	}
	return f.Default()
}

// right is a request that succeeds in a seeded world, for methods whose
// requests are too large to be hit upon.
func right(method protoreflect.Name, fresh string) proto.Message {
	node := &core.NodeExecutionIdentifier{NodeId: "n0", ExecutionId: executionID("e0")}
	attempt := &core.TaskExecutionIdentifier{TaskId: identifier(core.ResourceType_TASK, "pkg.mod.t", "v1"), NodeExecutionId: node}
	switch method {
	case "CreateTask":
		return task(fresh, "v1")
	case "CreateWorkflow":
		return workflow(fresh, "v1", "pkg.mod.t")
	case "CreateLaunchPlan":
		return plan(fresh, "v1")
	case "CreateExecution":
		return execution(fresh)
	case "RegisterProject":
		return &admin.ProjectRegisterRequest{Project: &admin.Project{Id: fresh, Name: "new"}}
	case "UpdateLaunchPlan":
		return activate("pkg.wf", "v2")
	case "GetTask":
		return &admin.ObjectGetRequest{Id: identifier(core.ResourceType_UNSPECIFIED, "odd name:x+y&z=ü%41", "v2")}
	case "GetLaunchPlan":
		return &admin.ObjectGetRequest{Id: identifier(core.ResourceType_UNSPECIFIED, "pkg.wf", "v1")}
	case "UpdateNamedEntity":
		return &admin.NamedEntityUpdateRequest{ResourceType: core.ResourceType_TASK, Metadata: &admin.NamedEntityMetadata{Description: "words"},
			Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development", Name: "pkg.mod.t"}}
	case "GetProjectAttributes":
		return &admin.ProjectAttributesGetRequest{Project: "flytesnacks", ResourceType: admin.MatchableResource_WORKFLOW_EXECUTION_CONFIG}
	case "GetWorkflow":
		return &admin.ObjectGetRequest{Id: identifier(core.ResourceType_UNSPECIFIED, "pkg.wf", "v2")}
	case "GetActiveLaunchPlan":
		return &admin.ActiveLaunchPlanRequest{Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development", Name: "pkg.wf"}}
	case "TerminateExecution":
		return &admin.ExecutionTerminateRequest{Id: executionID("e4"), Cause: "seen enough"}
	case "CreateUploadLocation":
		return &service.CreateUploadLocationRequest{Project: "flytesnacks", Domain: "development", Filename: "a b.txt", FilenameRoot: fresh}
	case "ListNamedEntities":
		return &admin.NamedEntityListRequest{ResourceType: core.ResourceType_TASK, Project: "flytesnacks", Domain: "development", Limit: 100}
	case "GetNamedEntity":
		return &admin.NamedEntityGetRequest{ResourceType: core.ResourceType_TASK,
			Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development", Name: "odd name:x+y&z=ü%41"}}
	case "GetDescriptionEntity":
		return &admin.ObjectGetRequest{Id: identifier(core.ResourceType_TASK, "pkg.mod.t", "v2")}
	case "ListWorkflowIds":
		return &admin.NamedEntityIdentifierListRequest{Project: "flytesnacks", Domain: "development", Limit: 100, Filters: "contains(name, wf)",
			SortBy: &admin.Sort{Key: "name", Direction: admin.Sort_ASCENDING}}
	case "ListTaskExecutions":
		return &admin.TaskExecutionListRequest{NodeExecutionId: node, Limit: 100, Filters: "value_in(phase,SUCCEEDED;FAILED)+eq(task.name,pkg.mod.t)"}
	case "ListNodeExecutionsForTask":
		return &admin.NodeExecutionForTaskListRequest{TaskExecutionId: attempt, Limit: 100}
	case "GetTaskExecution":
		return &admin.TaskExecutionGetRequest{Id: attempt}
	case "GetTaskExecutionData":
		return &admin.TaskExecutionGetDataRequest{Id: attempt}
	case "CreateDownloadLink":
		return &service.CreateDownloadLinkRequest{ArtifactType: service.ArtifactType_ARTIFACT_TYPE_DECK,
			Source: &service.CreateDownloadLinkRequest_NodeExecutionId{NodeExecutionId: node}}
	}
	return nil
}
