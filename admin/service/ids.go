package service

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

var (
	executionName = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	dnsLabel      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

// text checks a required free-form name: contract section 3 puts no pattern
// on it.
func text(field, value string) error {
	switch {
	case value == "":
		return fault.Field(field, "must be set")
	case len(value) > MaxNameLength:
		return fault.Field(field, "is %d bytes long, at most %d are kept", len(value), MaxNameLength)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return fault.Field(field, "must be valid UTF-8 without control characters")
	}
	return nil
}

// prose checks free text that may be left out and may have several lines: what
// no database and no variable of a process can hold is a NUL.
func prose(field, value string) error {
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return fault.Field(field, "must be valid UTF-8 without control characters such as NUL")
	}
	return nil
}

// texts checks several required fields, given as name, value, name, value….
func texts(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := text(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// entityID checks an identifier that must be of the kind and complete.
func entityID(field string, id *core.Identifier, kind flow.EntityKind) (flow.EntityID, error) {
	if id == nil {
		return flow.EntityID{}, fault.Field(field, "must be set")
	}
	if int32(id.GetResourceType()) != int32(kind) {
		return flow.EntityID{}, fault.Field(field+".resource_type", "must be %s, is %s",
			core.ResourceType(kind), id.GetResourceType())
	}
	return untypedID(field, id)
}

// untypedID checks an identifier whose resource type does not matter.
func untypedID(field string, id *core.Identifier) (flow.EntityID, error) {
	if id == nil {
		return flow.EntityID{}, fault.Field(field, "must be set")
	}
	err := texts(field+".project", id.GetProject(), field+".domain", id.GetDomain(),
		field+".name", id.GetName(), field+".version", id.GetVersion())
	return fromIdentifier(id), err
}

func fromIdentifier(id *core.Identifier) flow.EntityID {
	return flow.EntityID{Project: id.GetProject(), Domain: id.GetDomain(), Name: id.GetName(), Version: id.GetVersion()}
}

func toIdentifier(kind flow.EntityKind, id flow.EntityID) *core.Identifier {
	return &core.Identifier{
		ResourceType: core.ResourceType(kind),
		Project:      id.Project, Domain: id.Domain, Name: id.Name, Version: id.Version,
	}
}

func executionID(field string, id *core.WorkflowExecutionIdentifier) (flow.ExecutionID, error) {
	if id == nil {
		return flow.ExecutionID{}, fault.Field(field, "must be set")
	}
	err := texts(field+".project", id.GetProject(), field+".domain", id.GetDomain(), field+".name", id.GetName())
	return flow.ExecutionID{Project: id.GetProject(), Domain: id.GetDomain(), Name: id.GetName()}, err
}

func toExecutionID(id flow.ExecutionID) *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: id.Project, Domain: id.Domain, Name: id.Name}
}

func nodeID(field string, id *core.NodeExecutionIdentifier) (flow.NodeID, error) {
	if id == nil {
		return flow.NodeID{}, fault.Field(field, "must be set")
	}
	exec, err := executionID(field+".execution_id", id.GetExecutionId())
	if err != nil {
		return flow.NodeID{}, err
	}
	return flow.NodeID{Execution: exec, Node: id.GetNodeId()}, text(field+".node_id", id.GetNodeId())
}

func toNodeID(id flow.NodeID) *core.NodeExecutionIdentifier {
	return &core.NodeExecutionIdentifier{NodeId: id.Node, ExecutionId: toExecutionID(id.Execution)}
}

// entityKind checks the kinds that have names, metadata and descriptions.
func entityKind(field string, t core.ResourceType) (flow.EntityKind, error) {
	switch t {
	case core.ResourceType_TASK, core.ResourceType_WORKFLOW, core.ResourceType_LAUNCH_PLAN:
		return flow.EntityKind(t), nil
	}
	return 0, fault.Field(field, "must be TASK, WORKFLOW or LAUNCH_PLAN, is %s", t)
}

func toNamedID(e flow.NamedEntity) *admin.NamedEntityIdentifier {
	return &admin.NamedEntityIdentifier{Project: e.Project, Domain: e.Domain, Name: e.Name}
}

// checkExecutionName checks a name that a caller chose.
func checkExecutionName(name string) error {
	if len(name) > MaxExecutionName {
		return fault.Field("name", "%s is %d characters long, at most %d can name an execution", fault.Quote(name), len(name), MaxExecutionName)
	}
	if !executionName.MatchString(name) {
		return fault.Field("name", "%q must begin with a lower-case letter and hold only lower-case letters, digits and -", name)
	}
	return nil
}
