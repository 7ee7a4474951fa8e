package flow

import "time"

// Entity is one version of a registered task, workflow or launch plan. Bodies
// are serialised messages that only their own service reads.
type Entity struct {
	Kind             EntityKind
	ID               EntityID
	Digest           []byte // sha256 over a canonical form; equal digests mean the same structure
	Body             []byte // CompiledTask, CompiledWorkflowClosure (may be empty, see BodyURI) or LaunchPlan
	BodyURI          string // where a large body lies in the object store
	BodyDigest       []byte // sha256 of the body's bytes; a store fills it in when it is given Body without it
	Interface        []byte // flyteidl.core.TypedInterface of tasks and workflows
	TaskType         string // of a task
	Workflow         EntityID
	Active           bool   // of a launch plan: the one active version
	ScheduleType     string // of a launch plan: NONE, CRON or RATE
	SystemGenerated  bool   // made by us for a single-task execution
	ShortDescription string
	Description      []byte // flyteidl.admin.DescriptionEntity, if any
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// NamedEntity is what all versions of an entity share.
type NamedEntity struct {
	Kind        EntityKind
	Project     string
	Domain      string
	Name        string
	Description string
	State       int32 // flyteidl.admin.NamedEntityState
}

// Project is a tenant's name space.
type Project struct {
	ID          string
	Name        string
	Description string
	Labels      map[string]string
	State       int32 // flyteidl.admin.Project.ProjectState
	CreatedAt   time.Time
}

// Op is a comparison in a list filter (contract section 8).
type Op string

// The comparisons of Flyte's filter expressions.
const (
	OpEqual    Op = "eq"
	OpNotEqual Op = "ne"
	OpGreater  Op = "gt"
	OpAtLeast  Op = "gte"
	OpLess     Op = "lt"
	OpAtMost   Op = "lte"
	OpContains Op = "contains"
	OpNotLike  Op = "not_like"
	OpIn       Op = "value_in"
	OpNotIn    Op = "value_not_in"
)

// Filter is one parsed comparison. Field is a public column name of the listed
// noun; a store refuses names it does not know with fault.Invalid.
type Filter struct {
	Field  string
	Op     Op
	Values []string
}

// Query bounds, filters and orders a list.
type Query struct {
	Limit   int // at least 1
	Offset  int
	Filters []Filter
	SortBy  string // public column name; empty: newest first
	Ascend  bool
}
