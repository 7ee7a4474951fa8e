package flow

import "time"

// Resources is an amount of what a cluster offers or a pod asks for.
type Resources struct {
	MilliCPU int64 `json:"milliCPU,omitempty"`
	Memory   int64 `json:"memory,omitempty"` // bytes
	GPUs     int64 `json:"gpus,omitempty"`
	Pods     int64 `json:"pods,omitempty"`
}

// Add is the sum of two amounts.
func (r Resources) Add(o Resources) Resources {
	return Resources{r.MilliCPU + o.MilliCPU, r.Memory + o.Memory, r.GPUs + o.GPUs, r.Pods + o.Pods}
}

// Sub is the difference of two amounts; fields may become negative.
func (r Resources) Sub(o Resources) Resources {
	return Resources{r.MilliCPU - o.MilliCPU, r.Memory - o.Memory, r.GPUs - o.GPUs, r.Pods - o.Pods}
}

// Times is the amount n times over.
func (r Resources) Times(n int64) Resources {
	return Resources{r.MilliCPU * n, r.Memory * n, r.GPUs * n, r.Pods * n}
}

// Min is the smaller of two amounts, field by field.
func (r Resources) Min(o Resources) Resources {
	return Resources{min(r.MilliCPU, o.MilliCPU), min(r.Memory, o.Memory), min(r.GPUs, o.GPUs), min(r.Pods, o.Pods)}
}

// Max is the larger of two amounts, field by field.
func (r Resources) Max(o Resources) Resources {
	return Resources{max(r.MilliCPU, o.MilliCPU), max(r.Memory, o.Memory), max(r.GPUs, o.GPUs), max(r.Pods, o.Pods)}
}

// FitsIn reports whether every field is at most o's.
func (r Resources) FitsIn(o Resources) bool {
	return r.MilliCPU <= o.MilliCPU && r.Memory <= o.Memory && r.GPUs <= o.GPUs && r.Pods <= o.Pods
}

// Zero reports whether nothing is asked for.
func (r Resources) Zero() bool { return r == Resources{} }

// TaintEffect says what a taint does to work that does not tolerate it.
type TaintEffect string

// The effects of a taint, as in Kubernetes.
const (
	NoSchedule       TaintEffect = "NoSchedule"
	PreferNoSchedule TaintEffect = "PreferNoSchedule"
	NoExecute        TaintEffect = "NoExecute"
)

// Taint keeps work off a cluster unless it is tolerated.
type Taint struct {
	Key    string      `json:"key"`
	Value  string      `json:"value,omitempty"`
	Effect TaintEffect `json:"effect"`
	// AddedAt is when it was added; tolerations with seconds count from it.
	AddedAt time.Time `json:"addedAt,omitzero"`
}

// Toleration lets work onto clusters with a matching taint. An empty Key with
// Operator Exists tolerates everything, as in Kubernetes.
type Toleration struct {
	Key      string      `json:"key,omitempty"`
	Operator string      `json:"operator,omitempty"` // "Exists", or "Equal" (also if empty)
	Value    string      `json:"value,omitempty"`
	Effect   TaintEffect `json:"effect,omitempty"` // empty: every effect
	// Seconds bound how long a NoExecute taint is tolerated; nil: for ever.
	Seconds *int64 `json:"tolerationSeconds,omitempty"`
}

// Tolerates reports whether the toleration covers the taint.
func (t Toleration) Tolerates(taint Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect {
		return false
	}
	if t.Operator == "Exists" {
		return t.Key == "" || t.Key == taint.Key
	}
	return t.Key == taint.Key && t.Value == taint.Value
}

// Health is the control plane's view of a cluster (liveness, not ownership).
type Health string

// The states of a cluster's health.
const (
	HealthUnknown Health = "Unknown" // registered, never heard of
	HealthHealthy Health = "Healthy" // a member beats and holds a live recorded lease
	HealthSuspect Health = "Suspect" // no heartbeat for the suspect time: gets nothing new
	HealthLapsed  Health = "Lapsed"  // every member's lease has run out: its work waits
	HealthLost    Health = "Lost"    // declared lost by an operator: it owns nothing
)

// Cluster is one registered data plane, as the control plane knows it.
type Cluster struct {
	Name        string
	Labels      map[string]string
	Taints      []Taint
	Incarnation uint64 // raised when the cluster is declared lost or found
	Health      Health
	HealthSince time.Time
	Capacity    Resources // the cluster's sum, as its member reported it
	LargestNode Resources // the largest pod that one node can hold
	TaskTypes   []string  // task types that its propeller runs
	Version     string    // of its propeller
	CreatedAt   time.Time
	UpdatedAt   time.Time

	Cordoned bool          // takes no new work; what is there stays
	Lost     bool          // declared lost; until it is declared found nothing of it is accepted
	Drain    *ClusterDrain // nil: not being drained

	// As its member reported them.
	Architectures []string // of its nodes, sorted
	Accelerators  []string // of its nodes, sorted
	Store         string   // identity of the object store: equal means shared
}

// ClusterDrain is an order to empty a cluster. It cordons as well.
type ClusterDrain struct {
	Budget   int       `json:"budget"`            // executions that may be on the move at a time
	Deadline time.Time `json:"deadline,omitzero"` // when it gives up, and says what is left; zero: never
	Grace    int64     `json:"graceSeconds"`      // running work may finish for so long before it is moved
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Expired  bool      `json:"expired,omitempty"` // the deadline has passed
}

// Member is one propeller process of a cluster.
type Member struct {
	Cluster  string
	Instance string
}

// String prints "cluster/instance".
func (m Member) String() string { return m.Cluster + "/" + m.Instance }

// MemberState is a member's row: its newest session and its recorded lease.
type MemberState struct {
	Member
	Generation        uint64 // of its newest session
	Hub               string // replica that holds that session; empty when closed
	OwnershipRevision uint64 // raised by every forced removal
	LeaseGeneration   uint64 // session for which the last lease was recorded
	LeaseExpiresAt    time.Time
	LeaseDuration     time.Duration
	LeaseRecordedAt   time.Time // zero: never leased
	LastSeenAt        time.Time
	Revoked           bool
	Version           string // of its program
	ReportedEra       uint64 // of the control plane, when it last completed an inventory
}

// ClusterReport is what a member says of its cluster when a session opens, and
// when it changes.
type ClusterReport struct {
	Capacity    Resources
	LargestNode Resources
	TaskTypes   []string
	Version     string

	Architectures []string
	Accelerators  []string
	Store         string // identity of the object store that its tasks write to

	// The highest that the member has ever seen, when it opens a session; zero in
	// later reports. Who has seen more than the database has met a restored backup.
	Era         uint64
	Incarnation uint64 // of its cluster: what the Fence holds
}
