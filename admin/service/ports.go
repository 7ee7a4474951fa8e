package service

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Entities stores tasks, workflows and launch plans.
type Entities interface {
	// CreateEntity gives fault.Conflict if the id exists.
	CreateEntity(ctx context.Context, e flow.Entity) error
	GetEntity(ctx context.Context, kind flow.EntityKind, id flow.EntityID) (flow.Entity, error)
	// ListEntities lists versions; an empty name lists those of all names.
	ListEntities(ctx context.Context, kind flow.EntityKind, project, domain, name string, q flow.Query) ([]flow.Entity, error)
	ListEntityIDs(ctx context.Context, kind flow.EntityKind, project, domain string, q flow.Query) ([]flow.NamedEntity, error)
	// SetActive makes a launch plan's version the active one, or not.
	SetActive(ctx context.Context, id flow.EntityID, active bool) error
}

// NamedEntities stores what all versions of an entity share.
type NamedEntities interface {
	GetNamedEntity(ctx context.Context, kind flow.EntityKind, project, domain, name string) (flow.NamedEntity, error)
	UpdateNamedEntity(ctx context.Context, e flow.NamedEntity) error
}

// Projects stores projects.
type Projects interface {
	CreateProject(ctx context.Context, p flow.Project) error
	GetProject(ctx context.Context, id string) (flow.Project, error)
	UpdateProject(ctx context.Context, p flow.Project) error
	ListProjects(ctx context.Context, q flow.Query) ([]flow.Project, error)
}

// Executions stores executions.
type Executions interface {
	// CreateExecution gives fault.Conflict if the name exists, and
	// fault.Precondition unless the project exists and is not archived.
	CreateExecution(ctx context.Context, e flow.Execution) error
	GetExecution(ctx context.Context, id flow.ExecutionID) (flow.Execution, error)
	ListExecutions(ctx context.Context, project, domain string, q flow.Query) ([]flow.Execution, error)
	// AbortExecution gives fault.Precondition, and the row, if it has ended.
	AbortExecution(ctx context.Context, id flow.ExecutionID, cause, principal string, at time.Time) (flow.Execution, error)
	ArchiveExecution(ctx context.Context, id flow.ExecutionID, archived bool) error
}

// Runs reads what was recorded of nodes and of task attempts.
type Runs interface {
	GetNode(ctx context.Context, id flow.NodeID) (flow.NodeExecution, error)
	// ListNodes lists the children of parent; the top level if it is empty.
	ListNodes(ctx context.Context, id flow.ExecutionID, parent string, q flow.Query) ([]flow.NodeExecution, error)
	GetTask(ctx context.Context, node flow.NodeID, task flow.EntityID, attempt uint32) (flow.TaskExecution, error)
	ListTasks(ctx context.Context, node flow.NodeID, q flow.Query) ([]flow.TaskExecution, error)
}

// Clusters stores registered clusters and reads their members.
type Clusters interface {
	// CreateCluster gives fault.Conflict if the name exists.
	CreateCluster(ctx context.Context, c flow.Cluster) error
	GetCluster(ctx context.Context, name string) (flow.Cluster, error)
	ListClusters(ctx context.Context) ([]flow.Cluster, error)
	// ListMembers lists the members of one cluster, or of all if it is empty.
	ListMembers(ctx context.Context, cluster string) ([]flow.MemberState, error)
}

// Decisions reads the scheduler's stored decisions, newest first.
type Decisions interface {
	ListDecisions(ctx context.Context, id flow.ExecutionID) ([]flow.Decision, error)
}

// Reservations reads what live placements hold.
type Reservations interface {
	Loads(ctx context.Context) ([]flow.Load, error)
}

// Objects is the object store. URIs lie under Root; a missing object is
// fault.NotFound.
type Objects interface {
	Root() string
	Read(ctx context.Context, uri string) ([]byte, error)
	Write(ctx context.Context, uri string, data []byte) error
}

// Joiner makes join tokens and knows the bundle that signs the control plane.
type Joiner interface {
	NewToken(ctx context.Context, cluster string, ttl time.Duration) (token string, expiresAt time.Time, err error)
	CA() string
}

// LogQuery names the log of one pod's container.
type LogQuery struct {
	Cluster    string
	Execution  flow.ExecutionID
	Epoch      flow.Epoch
	Pod        string
	Container  string // empty: the primary one
	TailLines  int64  // zero: all
	LimitBytes int64
}

// LogReader streams a pod's log from its cluster: it calls send for each part
// and stops at send's first error.
type LogReader func(ctx context.Context, q LogQuery, send func([]byte) error) error
