package model

import "bytes"

// The world is two clusters, A and B, and one execution. A may have a second
// instance. Everything is a byte: a State is compared and hashed as memory, and
// nothing is abbreviated by a hash.
const (
	places  = 2 // clusters
	members = 3 // A/1, A/2, B/1
	epochs  = 3 // epochs 1..3
	nobody  = uint8(places)
)

// clusterOf is the cluster of each member.
var clusterOf = [members]uint8{0, 0, 1}

// Streams between a member and its hub.
const (
	closed   uint8 = iota
	open           // both ends know each other
	halfOpen       // the hub's end is gone, and the member does not know
)

// Stages of a session (federation/session), as far as the model tells them apart.
const (
	idle     uint8 = iota
	waiting        // the inventory was sent
	verdicts       // taken, and under way to the member
	live           // verdicts came
)

// Phases of the execution's row.
const (
	queued uint8 = iota
	placed
	aborting
	succeeded // from here on: terminal
	aborted
	failed
)

// Objects: the FlyteWorkflow of one epoch in one cluster.
const (
	none         uint8 = iota
	fresh              // made, nothing started
	running            // begun: its first work was started
	stopped            // tombstone: stopped by a verdict or by "gone", drained
	ended              // tombstone: finished, its end not acked
	endedAcked         // tombstone: finished and acked
	aborted0           // tombstone: aborted as asked, not acked
	abortedAcked       // tombstone: aborted and acked
)

// What an assignment wants; bits of the messages under way.
const (
	run uint8 = iota
	abort
	gone
)

// Events; bits of those under way.
const (
	begun uint8 = iota
	success
	abortion
)

// Steps of a restore.
const (
	never    uint8 = iota
	restored       // and nobody has noticed
	rebuild        // REBUILD: all sessions closed, no placements, no leases
	rebuilt
)

// Member is one propeller process: its session, its lease, and what the leader
// knows of that. All of it is volatile but Quiet.
type Member struct {
	Stream, Stage uint8
	Granted       uint8 // in this session
	Age           uint8 // ticks since the request behind its lease was sent; Lease = none
	Asked, AskAge uint8 // a grant was recorded for a request of that age, and is under way
	Quiet         uint8 // leader: ticks since a grant was recorded, or since its own election
	Own           uint8 // epoch that this session confirmed
	Covered       uint8 // epoch that its lease covers
	Revision      uint8 // ownership revision of its verdicts
	GrantRevision uint8 // in the grant under way
	JudgeRevision uint8 // in the verdicts under way
	Inventory     uint8 // mask of epochs in its inventory
	Known         uint8 // epoch whose assignment had been acked when the session opened
	Keep, Report  uint8 // verdicts under way: the epoch kept; whether tombstones are to be reported
	Highest       uint8 // highest revision of the row in this session, plus one
	Paused        uint8 // a start was checked, then the process was paused
	Down          uint8 // the process is dead
	GoneAcks      uint8 // acks of "gone" under way, mask of epochs
	Assigned      [epochs]uint8
	Events        [epochs]uint8
}

// Cluster is what outlives processes: its API server, and its rows in the database.
type Cluster struct {
	Objects   [epochs]uint8
	Writes    uint8 // creations that outlived the process which sent them, mask of epochs
	Ownership uint8 // its members' ownership revision; see taken and lost
	Lost      uint8 // 0 never, 1 declared lost, 2 declared found again
}

// Row is the execution in the database. Its outbox row is a function of it.
type Row struct {
	Epoch, Owner, Phase uint8
	Revoking            uint8
	Acked               uint8
	Decided             uint8 // leader: the epoch that it has decided to take by force, and not committed
	DecidedByOld        uint8 // the same of a deposed leader
}

// Backup is a copy of the database, and how far its restore has come.
type Backup struct {
	Has       uint8
	Row       Row
	Ownership [places]uint8
	Stage     uint8
	Reported  uint8 // members that have reported in REBUILD, mask
}

// History is what the invariants remember.
type History struct {
	Finished uint8 // epochs whose work has finished, mask
	Accepted uint8 // highest epoch of an accepted event
	Forgot   uint8 // a cluster has lost its objects
	Asked    uint8 // the user has asked for an abort
}

// State is the world at one moment.
type State struct {
	Members  [members]Member
	Clusters [places]Cluster
	Row      Row
	Backup   Backup
	History  History
}

// initial is a registered fleet without sessions and one queued execution.
func initial(o *Options) State {
	var s State
	for i := range s.Members {
		s.Members[i].Age = o.Lease
	}
	s.Row.Owner = nobody
	return s
}

// canonical swaps A's two instances, which nothing tells apart, into one order.
func (s *State) canonical(o *Options) {
	if o.Instances == 2 && s.Members[1].less(&s.Members[0]) {
		s.Members[0], s.Members[1] = s.Members[1], s.Members[0]
	}
}

// less orders members by their bytes.
func (m *Member) less(n *Member) bool {
	a, b := m.bytes(), n.bytes()
	return bytes.Compare(a[:], b[:]) < 0
}

// terminal says that the row has ended.
func (r Row) terminal() bool { return r.Phase >= succeeded }

// living says that an object's work may go on.
func living(object uint8) bool { return object == fresh || object == running }

// bit is the place of an epoch in a mask.
func bit(epoch uint8) uint8 { return 1 << (epoch - 1) }

// taken and lost are the ownership revisions after an epoch was taken by force, and
// after its cluster was declared lost: a counter, named by what raised it.
func taken(epoch uint8) uint8 { return 2 * epoch }
func lost(epoch uint8) uint8  { return 2*epoch - 1 }

// revision orders what a row wanted over its life.
func revision(epoch, want uint8) uint8 { return 3*(epoch-1) + want }

// entitled says that some process of the cluster may start work of the execution now.
func (s *State) entitled(o *Options, c uint8) bool {
	if c == 1 && o.sketched() {
		return s.Row.Owner == c && !s.Row.terminal()
	}
	for k, object := range s.Clusters[c].Objects {
		if living(object) && s.mayStart(o, c, uint8(k+1)) {
			return true
		}
	}
	return false
}

// mayStart is the gate of a cluster's propellers.
func (s *State) mayStart(o *Options, c, epoch uint8) bool {
	for _, i := range o.members() {
		m := &s.Members[i]
		if clusterOf[i] != c || m.Down == 1 {
			continue
		}
		if m.Age < o.Lease && m.Covered == epoch {
			return true
		}
		if o.Failover == Never && (s.Clusters[c].Objects[epoch-1] == running || o.lacks(PinnedHasBegun)) {
			return true
		}
	}
	return false
}

// lapsed says that the leader knows: no member of the cluster can hold a lease.
func (s *State) lapsed(o *Options, c uint8) bool {
	if c == 1 && o.sketched() {
		return true
	}
	any := false
	for _, i := range o.members() {
		if clusterOf[i] != c {
			continue
		}
		over := s.Members[i].Quiet >= o.wait()
		if !over && !o.lacks(EveryInstanceLapses) {
			return false
		}
		any = any || over
	}
	return any
}

// reachable says that the leader may place work on the cluster.
func (s *State) reachable(o *Options, c uint8) bool {
	if s.Clusters[c].Lost == 1 {
		return false
	}
	if c == 1 && o.sketched() {
		return true
	}
	for _, i := range o.members() {
		if clusterOf[i] == c && s.Members[i].Stream != closed {
			return true
		}
	}
	return false
}

// bytes is a member as an array, in the order of its fields.
func (m *Member) bytes() [20 + 2*epochs]uint8 {
	a := [20 + 2*epochs]uint8{m.Stream, m.Stage, m.Granted, m.Age, m.Asked, m.AskAge, m.Quiet, m.Own, m.Covered, m.Revision,
		m.GrantRevision, m.JudgeRevision, m.Inventory, m.Keep, m.Report, m.Highest, m.Paused, m.Down, m.GoneAcks, m.Known}
	copy(a[20:], m.Assigned[:])
	copy(a[20+epochs:], m.Events[:])
	return a
}
