// Package rig is a whole federation in one goroutine, on a clock that it owns.
//
// Replicas with their hubs and a scheduler, clusters with members, propellers,
// objects and pods, users and operators live in one queue of events; links
// delay, break in every way and heal; processes are stopped, killed and begun
// anew with what is durable; the database is away, answers late, or loses an
// answer. What decides is the production code: federation/session at both ends
// of the road, the scheduler's stepped term with snapshot, health and placement,
// and admin/lifecycle. What carries is written here: transport, database
// (chaos/memstore), API server, and a small propeller. What must hold is watched
// by chaos/check.
//
// It opens no socket, reads no clock and starts no goroutine but coroutines that
// run one at a time. Invariant: the same seed and kind give the same world, to
// the last event.
//
// # Replaying a seed
//
// A world that breaks a promise prints its seed, and the command that runs it
// again with every step of it:
//
//	go test ./chaos/rig -run TestReplay -v -seed 4711 -kind faults
//
// SKEIN_SEED=4711 does the same as -seed. The last line before the end is the
// violation; above it stands, with the true time, what each process, link and
// transaction did. A mutant (api/mutant) is replayed by
//
//	SKEIN_MUTANT=epoch-by-select go test -tags mutants ./chaos/rig -run TestReplay -v -seed 4711
//
// # Kinds of worlds
//
//	faults   everything at once
//	blips    links break for less than a lease must survive, and nothing else: nothing moves
//	kills    leaders are killed in bursts
//	orders   operators drain, taint and cordon, quotas are tight, and nothing breaks
//	restores the database is put back to a backup, among faults: REBUILD follows
//	losses   nothing breaks until a quiet moment, at which one cluster is lost; TestForecast
//	         runs each twice, and compares what was foretold with what came of it
//
// # What a lease must survive
//
// A lease of 10 s does not bear each outage of less than 10 s. For the leader it
// ends one lease and the margin after the leader heard that its newest grant was
// recorded, and only a grant that is recorded before that keeps the cluster's
// work. So an outage may last
//
//	lease + margin − age − redial − answer
//
// where age is that of the newest record when the links break: up to the renewal
// interval (a sixth of the lease, and a tick), the hub's wait for its next beat
// (a second) and the leader's transaction; redial is what the member may have to
// wait before it dials again when the links are back, twice its longest pause;
// and answer is what it takes from there to the next record: the session, its
// inventory and verdicts, the request and its transaction. With a lease of 10 s
// and a margin of 2 s, as in these worlds, that is 7.5 s less the age, and never
// below 4.6 s. Blips last up to exactly this, by the age at which each of them
// strikes. What lasts some seconds longer does move work
// (TestLongerBlipsMoveWork).
package rig
