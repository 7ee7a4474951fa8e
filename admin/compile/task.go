package compile

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skein-project/skein/api/fault"
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
		checkEnv(found, at, t.GetContainer().GetEnv())
		checkResources(found, at, "container", t.GetContainer().GetResources())
	}
	if t.GetK8SPod() != nil {
		checkPod(found, at, "the pod", t.GetK8SPod(), t.GetConfig()[primaryKey])
	}
	checkSecrets(found, at, t.GetSecurityContext().GetSecrets())
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
	checkRetries(found, at, m.GetRetries())
}

// MaxRetries bounds the retries of a node or task: each attempt is kept in the
// status of its workflow.
const MaxRetries = 10_000

func checkRetries(found *problemList, at place, r *core.RetryStrategy) {
	if r.GetRetries() > MaxRetries {
		found.add(at, InvalidValue, "metadata.retries is %d, at most %d are made", r.GetRetries(), MaxRetries)
	}
}

// checkEnv checks that Kubernetes would take a container's variables.
func checkEnv(found *problemList, at place, envs []*core.KeyValuePair) {
	for _, e := range envs {
		if problems := validation.IsRelaxedEnvVarName(e.GetKey()); len(problems) > 0 {
			found.add(at, InvalidValue, "container env: %s cannot name a variable: %s", fault.Quote(e.GetKey()), problems[0])
		}
	}
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

// checkResources checks that quantities parse, that no resource is named
// twice, that no request is above its limit, and that GPUs are whole and asked
// for in the same number as they are limited to. Quantities are not compared
// with the platform's limits: those are data of admin/service.
func checkResources(found *problemList, at place, what string, r *core.Resources) {
	requests := quantities(found, at, what+" requests", r.GetRequests())
	limits := quantities(found, at, what+" limits", r.GetLimits())
	for number := range int32(len(core.Resources_ResourceName_name)) {
		name := core.Resources_ResourceName(number)
		request, requested := requests[name]
		limit, limited := limits[name]
		if !requested || !limited {
			continue
		}
		order := request.Cmp(limit)
		if order > 0 {
			found.add(at, InvalidValue, "%s: %s request %s is above its limit %s", what, resourceName(name), request.String(), limit.String())
		} else if name == core.Resources_GPU && order != 0 {
			found.add(at, InvalidValue, "%s: gpu request %s and limit %s must be equal", what, request.String(), limit.String())
		}
	}
}

// longestQuantity bounds what is parsed: a quantity is kept as an exact
// decimal, however long its exponent makes it.
const longestQuantity = 64

func quantities(found *problemList, at place, what string, entries []*core.Resources_ResourceEntry) map[core.Resources_ResourceName]resource.Quantity {
	out := make(map[core.Resources_ResourceName]resource.Quantity, len(entries))
	for _, e := range entries {
		name := e.GetName()
		if _, known := core.Resources_ResourceName_name[int32(name)]; !known || name == core.Resources_UNKNOWN {
			found.add(at, UnrecognizedValue, "%s: resource %d is not known", what, name)
			continue
		}
		if _, twice := out[name]; twice {
			found.add(at, ValueCollision, "%s: %s is given more than once", what, resourceName(name))
			continue
		}
		q, ok := quantity(e.GetValue())
		if !ok || q.Sign() < 0 {
			found.add(at, InvalidValue, "%s: %s %s is not a quantity such as 500m, 2 or 1Gi", what, resourceName(name), fault.Quote(e.GetValue()))
			continue
		}
		if name == core.Resources_GPU && q.MilliValue()%1000 != 0 {
			found.add(at, InvalidValue, "%s: gpu %q must be a whole number", what, e.GetValue())
		}
		out[name] = q
	}
	return out
}

func quantity(text string) (resource.Quantity, bool) {
	if len(text) > longestQuantity {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}

func resourceName(n core.Resources_ResourceName) string { return strings.ToLower(n.String()) }

func checkSharedMemory(found *problemList, at place, r *core.ExtendedResources) {
	limit := r.GetSharedMemory().GetSizeLimit()
	if limit == "" {
		return
	}
	if q, ok := quantity(limit); !ok || q.Sign() < 0 {
		found.add(at, InvalidValue, "shared memory size limit %q is not a quantity such as 1Gi", limit)
	}
}

func checkDuration(found *problemList, at place, what string, d *durationpb.Duration) {
	if d == nil {
		return
	}
	if d.CheckValid() != nil {
		found.add(at, InvalidValue, "%s is not a valid duration", what)
	} else if d.GetSeconds() < 0 || d.GetNanos() < 0 {
		found.add(at, InvalidValue, "%s is negative", what)
	}
}
