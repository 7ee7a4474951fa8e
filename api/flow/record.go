package flow

import "time"

// Recorded is what the database holds of one execution when an event about it
// is applied: the execution's row and the one node or task row that the event
// names. Node and Task are nil when there is no such row yet.
type Recorded struct {
	Execution Execution
	Node      *NodeExecution
	Task      *TaskExecution
}

// Apply folds one event into what is recorded, or says why it is refused. It
// is pure: a store calls it inside a transaction, and again on a retry. A
// refused event leaves Recorded as it was.
type Apply func(Recorded, Event) (Recorded, EventResult)

// HealthChange is a change of a cluster's health that is to be stored.
type HealthChange struct {
	Cluster string
	Health  Health
	At      time.Time
}
