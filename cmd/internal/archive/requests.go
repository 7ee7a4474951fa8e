package archive

import (
	"cmp"
	"regexp"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// Target is where an archive is registered.
type Target struct {
	Project, Domain, Version string

	CodeAt  string // address of the packaged code; empty without
	CodeDir string // folder in the container where it is unpacked; empty: the working folder
}

// Placeholders in ids, which flytekit writes where it is not told a value.
const (
	projectHere = "{{ registration.project }}"
	domainHere  = "{{ registration.domain }}"
	versionHere = "{{ registration.version }}"
)

// Placeholders in what a task runs.
var (
	codeHere   = regexp.MustCompile(`\{\{\s*\.remote_package_path\s*\}\}`)
	folderHere = regexp.MustCompile(`\{\{\s*\.dest_dir\s*\}\}`)
)

// Requests are what registers the archive, in their order, each an
// *admin.TaskCreateRequest, *admin.WorkflowCreateRequest or
// *admin.LaunchPlanCreateRequest. Ids that name no project, domain or version
// get the target's; others, as those of what is only referred to, keep theirs.
// The archive's own messages become part of the requests.
func (a *Archive) Requests(to Target) ([]proto.Message, error) {
	var out []proto.Message
	for _, e := range a.entries {
		for _, id := range identifiers(e.message) {
			to.fill(id)
		}
		request, err := to.request(e)
		if err != nil {
			return nil, err
		}
		out = append(out, request)
	}
	return out, nil
}

func (to Target) request(e entry) (proto.Message, error) {
	var id *core.Identifier
	var kind core.ResourceType
	var request proto.Message
	switch m := e.message.(type) {
	case *admin.TaskSpec:
		id, kind, request = m.GetTemplate().GetId(), core.ResourceType_TASK, &admin.TaskCreateRequest{Id: m.GetTemplate().GetId(), Spec: m}
		if err := to.locate(e.file, m.GetTemplate()); err != nil {
			return nil, err
		}
	case *admin.WorkflowSpec:
		id, kind, request = m.GetTemplate().GetId(), core.ResourceType_WORKFLOW, &admin.WorkflowCreateRequest{Id: m.GetTemplate().GetId(), Spec: m}
	case *admin.LaunchPlan:
		id, kind, request = m.GetId(), core.ResourceType_LAUNCH_PLAN, &admin.LaunchPlanCreateRequest{Id: m.GetId(), Spec: m.GetSpec()}
	}
	if id.GetName() == "" {
		return nil, invalid(e.file, "has no id with a name")
	}
	id.ResourceType = kind
	return request, nil
}

// fill gives an id what it lacks.
func (to Target) fill(id *core.Identifier) {
	for _, f := range []struct {
		at           *string
		place, value string
	}{{&id.Project, projectHere, to.Project}, {&id.Domain, domainHere, to.Domain}, {&id.Version, versionHere, to.Version}} {
		if *f.at == "" || *f.at == f.place {
			*f.at = f.value
		}
	}
}

// identifiers are all ids in a message, however deep: that of what it defines
// and of all to which it refers.
func identifiers(m proto.Message) []*core.Identifier {
	var out []*core.Identifier
	// Without a function that fails, ranging does not.
	_ = protorange.Range(m.ProtoReflect(), func(p protopath.Values) error {
		if m, ok := p.Index(-1).Value.Interface().(protoreflect.Message); ok {
			if id, ok := m.Interface().(*core.Identifier); ok {
				out = append(out, id)
			}
		}
		return nil
	})
	return out
}

// locate tells a task where its code is.
func (to Target) locate(file string, task *core.TaskTemplate) error {
	var missing bool
	replace := func(s string) string {
		if codeHere.MatchString(s) {
			missing = missing || to.CodeAt == ""
			s = codeHere.ReplaceAllLiteralString(s, to.CodeAt)
		}
		return folderHere.ReplaceAllLiteralString(s, cmp.Or(to.CodeDir, "."))
	}
	for i, arg := range task.GetContainer().GetArgs() {
		task.GetContainer().Args[i] = replace(arg)
	}
	if pod := task.GetK8SPod().GetPodSpec(); pod != nil {
		replaceStrings(structpb.NewStructValue(pod), replace)
	}
	if missing {
		return fault.Field(file, "task %q runs packaged code, but there is none: package it with pyflyte package --copy auto", task.GetId().GetName())
	}
	return nil
}

// replaceStrings changes each string below a value.
func replaceStrings(v *structpb.Value, replace func(string) string) {
	switch k := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		k.StringValue = replace(k.StringValue)
	case *structpb.Value_ListValue:
		for _, e := range k.ListValue.GetValues() {
			replaceStrings(e, replace)
		}
	case *structpb.Value_StructValue:
		for _, e := range k.StructValue.GetFields() {
			replaceStrings(e, replace)
		}
	}
}
