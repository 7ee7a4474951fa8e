package model

import "strings"

// Failover is the execution's failover policy: flow.FailoverMode, as far as
// ownership is concerned.
type Failover uint8

// The failover policies of the model.
const (
	Movable Failover = iota // resume or restart
	Never                   // pinned: goes on through a lapse, is never moved by force
)

// Options choose one configuration: which faults and wishes its world knows, how
// large it is, and which rules are left out.
type Options struct {
	Lease, Wait uint8 // ticks: the longest true length of a lease; the leader's wait
	Epochs      uint8 // at most 3; 0 means 2

	Failover Failover
	Strict   bool // what runs is killed before the lease ends
	// Instances of cluster A: 1 (also if 0) or 2. With two, B is sketched: always
	// reachable, entitled to the work as soon as it is placed there, and free to
	// lose it again at any time. That is stricter than two whole clusters.
	Instances int

	Abort      bool // the user aborts, once
	Move       bool // planned moves: revoke → ack → place
	Events     bool // events of running work; without: only of ends
	Brief      bool // an event and its commit are one step
	Duplicates bool // of assignments and of events of running work
	Late       bool // a process may be paused between check and act
	Crash      bool // a process may die and stay dead
	LateWrites bool // a creation may land after the process that sent it has died
	HubCrash   bool // a hub may die: its sessions are lost, streams are half-open
	Forget     bool // a cluster may lose its objects, once
	Collect    bool // tombstones are collected, some time after they were acked
	Declare    bool // the operator declares A lost, and found, once
	Dead       bool // ... and only if all its processes are dead
	FailPinned bool // ... and ends pinned executions as FAILED
	Restore    bool // an old backup is restored, once
	Override   bool // the operator ends REBUILD without reports
	JoinedLate bool // A was registered after the backup was taken

	Without Rule // rules that are left out
	Limit   int  // states; 0 means no limit
}

func (o *Options) lacks(r Rule) bool { return o.Without&r != 0 }

// wait is how long the leader waits after the last recorded grant.
func (o *Options) wait() uint8 {
	if o.lacks(WaitForTheLease) {
		return o.Lease - 1
	}
	return o.Wait
}

func (o *Options) epochs() uint8 {
	if o.Epochs == 0 {
		return 2
	}
	return o.Epochs
}

// acks says that acks of assignments are told apart from their application.
func (o *Options) acks() bool { return o.Forget || o.Instances == 2 }

var (
	onePerCluster = []int{0, 2}
	twoInA        = []int{0, 1}
)

// sketched says that B has no members of its own.
func (o *Options) sketched() bool { return o.Instances == 2 }

// members are the indexes of the members that exist.
func (o *Options) members() []int {
	if o.Instances == 2 {
		return twoInA
	}
	return onePerCluster
}

// Rule is one rule of the protocol. The zero value of Options has all of them.
type Rule uint64

// The rules. Names are in rules; docs/invariants.md words them.
const (
	CheckEpochs Rule = 1 << iota
	FenceByWrite
	WaitForTheLease
	ReadLeaseRowsAgain
	GuardEveryInstance
	EveryInstanceLapses
	RecordBeforeGrant
	CountFromSending
	ResyncEachSession
	VerdictsBeforeAssignments
	AssignmentsCarryOwnership
	CompareOwnership
	RaiseOwnershipAtReap
	RememberRevisions
	OnlyTheNewestSession
	LevelTriggered
	PlaceOnlyWhatWaits
	NewLeaderWaits
	AckAfterCommit
	EventsAckTheirOwn
	KeepTombstones
	ReleaseWhatIsMissing
	ReleaseWhatWasKnown
	GoneLeavesATombstone
	DrainBeforeAck
	RevokeStands
	RefuseUnaskedAborts
	PinnedHasBegun
	ReapNoPinned
	LostWaitsForLeases
	RememberTheFence
	HubsCompareTheFence
	CloseSessionsAtRebuild
	RebuildWaitsForLeases
	StrictKills
	AskForWhatIsMissing
	DeletionEndsSessions
	ruleEnd
)

// rules name what is done wrong when a rule is left out, as mutants are named.
var rules = map[Rule]string{
	CheckEpochs:               "no-epoch-check",
	FenceByWrite:              "epoch-by-select",
	WaitForTheLease:           "replace-before-lease-end",
	ReadLeaseRowsAgain:        "replace-without-lease-row",
	GuardEveryInstance:        "lease-row-of-one-instance-only",
	EveryInstanceLapses:       "one-lapsed-instance-is-a-lapse",
	RecordBeforeGrant:         "grant-before-recorded",
	CountFromSending:          "lease-from-receipt",
	ResyncEachSession:         "lease-over-new-session",
	VerdictsBeforeAssignments: "assignment-before-verdicts",
	AssignmentsCarryOwnership: "assignment-without-ownership-revision",
	CompareOwnership:          "ownership-revision-ignored",
	RaiseOwnershipAtReap:      "reap-keeps-ownership-revision",
	RememberRevisions:         "revision-forgotten-without-object",
	OnlyTheNewestSession:      "older-sessions-obeyed",
	LevelTriggered:            "outbox-sends-old-messages",
	PlaceOnlyWhatWaits:        "replace-without-phase",
	NewLeaderWaits:            "new-leader-does-not-wait",
	AckAfterCommit:            "ack-before-commit",
	EventsAckTheirOwn:         "event-acks-newest-revision",
	KeepTombstones:            "tombstone-dropped-early",
	ReleaseWhatIsMissing:      "missing-object-not-released",
	ReleaseWhatWasKnown:       "acked-since-the-session-opened-is-missing",
	GoneLeavesATombstone:      "gone-leaves-no-tombstone",
	DrainBeforeAck:            "gone-acked-before-drained",
	RevokeStands:              "revoke-taken-back",
	RefuseUnaskedAborts:       "unasked-abort-accepted",
	PinnedHasBegun:            "pinned-starts-unconfirmed",
	ReapNoPinned:              "pinned-reaped-at-lapse",
	LostWaitsForLeases:        "lost-does-not-wait",
	RememberTheFence:          "restore-noticed-by-members-only",
	HubsCompareTheFence:       "hub-serves-a-restored-database",
	CloseSessionsAtRebuild:    "rebuild-counts-old-inventory",
	RebuildWaitsForLeases:     "rebuild-does-not-wait",
	StrictKills:               "strict-kills-late",
	AskForWhatIsMissing:       "missing-object-released-unasked",
	DeletionEndsSessions:      "deletion-ends-no-session",
}

// String names the rules, as what is done wrong without them.
func (r Rule) String() string {
	var names []string
	for one := Rule(1); one < ruleEnd; one <<= 1 {
		if r&one != 0 {
			names = append(names, rules[one])
		}
	}
	return strings.Join(names, "+")
}
