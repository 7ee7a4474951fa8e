package compile

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// Task compiles a task template. The error is of kind fault.Invalid, lists all
// problems, and yields Problems to errors.As.
func Task(t *core.TaskTemplate) (*core.CompiledTask, error) {
	var found problemList
	if t == nil {
		found.add(place{}, ValueRequired, "the task has no template")
	} else {
		checkTask(&found, t)
	}
	if err := found.failure(fmt.Sprintf("failed to compile task %s", Key(t.GetId()))); err != nil {
		return nil, err
	}
	return &core.CompiledTask{Template: proto.Clone(t).(*core.TaskTemplate)}, nil
}

func checkTask(found *problemList, t *core.TaskTemplate) {
	at := place{}
	if t.GetId() == nil {
		found.add(at, ValueRequired, "the template has no id")
	}
	if t.GetType() == "" {
		found.add(at, ValueRequired, "the template has no type")
	}
	checkTaskMetadata(found, at, t.GetMetadata())
	if t.GetInterface() == nil {
		found.add(at, ValueRequired, "the template has no interface")
	}
	checkVariables(found, at, "input", t.GetInterface().GetInputs())
	checkVariables(found, at, "output", t.GetInterface().GetOutputs())
	if _, ok := t.GetTarget().(*core.TaskTemplate_Container); ok {
		if t.GetContainer().GetImage() == "" {
			found.add(at, ValueRequired, "the container has no image")
		}
		checkResources(found, at, "container", t.GetContainer().GetResources())
	}
	checkSharedMemory(found, at, t.GetExtendedResources())
}

func checkTaskMetadata(found *problemList, at place, m *core.TaskMetadata) {
	if m == nil {
		found.add(at, ValueRequired, "the template has no metadata")
		return
	}
	if r := m.GetRuntime(); r != nil {
		if _, ok := core.RuntimeMetadata_RuntimeType_name[int32(r.GetType())]; !ok {
			found.add(at, UnrecognizedValue, "metadata.runtime.type %d is not known", r.GetType())
		}
		if r.GetType() != core.RuntimeMetadata_OTHER && r.GetVersion() == "" {
			found.add(at, ValueRequired, "metadata.runtime has no version")
		}
	}
	checkDuration(found, at, "metadata.timeout", m.GetTimeout())
}

// checkVariables checks one side of an interface: names are not empty, types
// are there.
func checkVariables(found *problemList, at place, side string, vars *core.VariableMap) {
	for _, name := range sortedKeys(vars.GetVariables()) {
		if name == "" {
			found.add(at, ValueRequired, "an %s has no name", side)
		}
		if p := wellFormed(vars.GetVariables()[name].GetType()); p != nil {
			found.add(at.at(name), p.Code, "%s: %s", side, p.Message)
		}
	}
}

// wellFormed checks that a type and all within it say what they are.
func wellFormed(t *core.LiteralType) *Problem {
	switch v := t.GetType().(type) {
	case nil:
		return problem(ValueRequired, "the type is missing")
	case *core.LiteralType_Simple:
		if _, ok := core.SimpleType_name[int32(v.Simple)]; !ok {
			return problem(UnrecognizedValue, "simple type %d is not known", v.Simple)
		}
	case *core.LiteralType_CollectionType:
		return wellFormed(v.CollectionType)
	case *core.LiteralType_MapValueType:
		return wellFormed(v.MapValueType)
	case *core.LiteralType_UnionType:
		if len(v.UnionType.GetVariants()) == 0 {
			return problem(ValueRequired, "the union has no variants")
		}
		for _, variant := range v.UnionType.GetVariants() {
			if p := wellFormed(variant); p != nil {
				return p
			}
		}
	}
	return nil
}
