package model

// Configuration is one search: a world, and what is expected of it.
type Configuration struct {
	Name    string
	Options Options
	// Breaks is the promise that does not hold in it; empty: all do.
	Breaks string
}

// Holds are the configurations that keep every promise. Each is searched to its
// end. Ticks, sessions, breaks, restarts, renewals and elections are unbounded in
// all of them; a lease is one tick long unless said.
func Holds() []Configuration {
	return []Configuration{
		{Name: "long-leases", Options: Options{Lease: 2, Wait: 3}},
		{Name: "planned-moves-and-aborts", Options: Options{Move: true, Abort: true, Brief: true}},
		{Name: "there-and-back", Options: Options{Epochs: 3, Events: true, Brief: true}},
		{Name: "duplicates-and-collection", Options: Options{Duplicates: true, Collect: true, Events: true}},
		{Name: "late-acts", Options: Options{Late: true, Events: true, Brief: true}},
		{Name: "dying-hubs", Options: Options{HubCrash: true, Move: true, Brief: true}},
		{Name: "late-writes", Options: Options{LateWrites: true, Move: true, Brief: true}},
		{Name: "pinned", Options: Options{Failover: Never, Move: true, Abort: true, LateWrites: true, Brief: true}},
		{Name: "pinned-and-lost", Options: Options{Failover: Never, Declare: true, FailPinned: true, Lease: 2, Wait: 2}},
		{Name: "strict", Options: Options{Strict: true, Lease: 2, Wait: 3, Brief: true}},
		{Name: "declared-lost", Options: Options{Declare: true, Brief: true}},
		{Name: "declared-lost-and-dead", Options: Options{Declare: true, Dead: true, Crash: true, Without: LostWaitsForLeases}},
		{Name: "objects-lost", Options: Options{Forget: true, Brief: true}},
		{Name: "two-instances", Options: Options{Instances: 2, Move: true, Brief: true}},
		{Name: "two-instances-whose-objects-are-lost", Options: Options{Instances: 2, Forget: true}},
		{Name: "two-instances-that-lose-and-write-late", Options: Options{Instances: 2, Forget: true, LateWrites: true}},
		{Name: "restored", Options: Options{Restore: true, Collect: true, Brief: true}},
		{Name: "restored-and-overruled", Options: Options{Restore: true, Override: true, Brief: true}},
	}
}

// Large are configurations that hold as well, and are too large for every run.
func Large() []Configuration {
	return []Configuration{
		{Name: "restored-and-moved", Options: Options{Restore: true, Move: true, Brief: true}},
		{Name: "two-instances-that-lose-and-abort", Options: Options{Instances: 2, Forget: true, Abort: true}},
		{Name: "two-instances-that-lose-and-move", Options: Options{Instances: 2, Forget: true, Move: true}},
		{Name: "declared-lost-and-aborted", Options: Options{Declare: true, Abort: true}},
		{Name: "there-and-back-by-all-ways", Options: Options{Epochs: 3, Move: true, Abort: true, Brief: true}},
		{Name: "long-leases-all-ways", Options: Options{Lease: 2, Wait: 3, Move: true, Abort: true, HubCrash: true, Brief: true}},
	}
}

// Mutants leave one rule out each, in the smallest world that shows it. Where
// another rule covers the same hole, both are left out.
func Mutants() []Configuration {
	const entitled, lost, after = "I70", "I1", "I72"
	return []Configuration{
		mutant("I2", Options{Without: CheckEpochs}),
		mutant(entitled, Options{Without: FenceByWrite | ReadLeaseRowsAgain}),
		mutant(entitled, Options{Lease: 2, Wait: 3, Without: WaitForTheLease}),
		mutant(entitled, Options{Without: ReadLeaseRowsAgain}),
		mutant(entitled, Options{Instances: 2, Without: GuardEveryInstance}),
		mutant(entitled, Options{Instances: 2, Without: EveryInstanceLapses}),
		mutant(entitled, Options{Lease: 2, Wait: 3, Without: RecordBeforeGrant}),
		mutant(entitled, Options{Lease: 2, Wait: 3, Without: CountFromSending}),
		mutant(entitled, Options{Lease: 2, Wait: 3, Without: ResyncEachSession}),
		mutant(entitled, Options{Without: VerdictsBeforeAssignments | AssignmentsCarryOwnership}),
		mutant(entitled, Options{Without: CompareOwnership}),
		mutant(after, Options{Abort: true, Without: RaiseOwnershipAtReap}),
		mutant("I71", Options{Move: true, Without: RememberRevisions}),
		mutant(entitled, Options{Move: true, Without: OnlyTheNewestSession | AssignmentsCarryOwnership}),
		mutant("I71", Options{Move: true, Without: LevelTriggered | RememberRevisions}),
		mutant("I3", Options{Without: PlaceOnlyWhatWaits}),
		mutant(entitled, Options{Lease: 2, Wait: 3, Without: NewLeaderWaits}),
		mutant(lost, Options{Forget: true, Without: AckAfterCommit}),
		mutant(entitled, Options{Move: true, Events: true, Without: EventsAckTheirOwn}),
		mutant(after, Options{Duplicates: true, Collect: true, Without: KeepTombstones}),
		mutant(lost, Options{Forget: true, Brief: true, Without: ReleaseWhatIsMissing}),
		mutant(entitled, Options{Instances: 2, Without: ReleaseWhatWasKnown | AskForWhatIsMissing}),
		mutant(entitled, Options{Instances: 2, Move: true, Without: GoneLeavesATombstone}),
		mutant("I71", Options{Move: true, Without: DrainBeforeAck}),
		mutant(lost, Options{Move: true, Brief: true, Without: RevokeStands}),
		mutant("I9", Options{Move: true, Without: RefuseUnaskedAborts}),
		mutant("I71", Options{Failover: Never, Move: true, LateWrites: true, Without: PinnedHasBegun}),
		mutant(after, Options{Failover: Never, Abort: true, Without: ReapNoPinned}),
		mutant(entitled, Options{Declare: true, Without: LostWaitsForLeases}),
		mutant(entitled, Options{Instances: 2, Forget: true, Without: AskForWhatIsMissing}),
		mutant(after, Options{Instances: 2, Forget: true, Without: DeletionEndsSessions}),
		mutant("I69", Options{Strict: true, Without: StrictKills}),
		mutant(entitled, Options{Restore: true, Without: RememberTheFence}),
		mutant(entitled, Options{Restore: true, Move: true, Brief: true, Without: HubsCompareTheFence}),
		mutant(entitled, Options{Restore: true, Brief: true, Without: CloseSessionsAtRebuild}),
		mutant(entitled, Options{Restore: true, Brief: true, JoinedLate: true, Without: RebuildWaitsForLeases}),
	}
}

func mutant(breaks string, o Options) Configuration {
	return Configuration{Name: o.Without.String(), Options: o, Breaks: breaks}
}

// Limits are worlds in which a promise is known not to hold: what the protocol
// cannot give, and what documentation says instead.
func Limits() []Configuration {
	return []Configuration{
		{Name: "strict-and-a-dead-process", Options: Options{Strict: true, Crash: true}, Breaks: "I69"},
		{Name: "pinned-on-a-cluster-that-joined-after-the-backup",
			Options: Options{Failover: Never, Restore: true, JoinedLate: true}, Breaks: "I70"},
	}
}

// world fills in what a configuration leaves open.
func (c Configuration) world() Options {
	o := c.Options
	if o.Lease == 0 {
		o.Lease, o.Wait = 1, 1
	}
	if o.Instances == 2 {
		o.Brief = true
	}
	return o
}

// Run searches a configuration.
func (c Configuration) Run() Result { return Search(c.world()) }
