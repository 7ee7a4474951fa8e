package model

// halted says that hubs neither send nor store.
func (s *State) halted(o *Options) bool {
	return s.Backup.Stage == rebuild || s.Backup.Stage == restored && !o.lacks(HubsCompareTheFence)
}

// judge: the hub takes verdicts on an inventory, in one transaction.
func (x *stepper) judge(i int) {
	m, o, c := &x.from.Members[i], x.o, clusterOf[i]
	if m.Stream != open || m.Stage != waiting || x.from.halted(o) {
		return
	}
	t := x.from
	if o.Restore && t.Backup.Stage == restored && m.Inventory>>t.Row.Epoch != 0 {
		enterRebuild(o, &t)
		x.take(&t, on(i, "hub: {m}'s inventory shows an epoch above the database's: REBUILD", 0), true, "")
		return
	}
	n := &t.Members[i]
	n.Stage, n.Keep, n.Report = verdicts, 0, 0
	label := "hub: takes the verdicts on {m}'s inventory, sends them"
	if t.Row.Owner == c && t.Row.Epoch > 0 && !t.Row.terminal() {
		label = x.verdict(&t, i, label)
	}
	n.JudgeRevision = t.Clusters[c].Ownership
	x.take(&t, on(i, label, x.from.Row.Epoch), true, "")
}

// verdict is the one on the epoch that the database places on the member's
// cluster; all other objects of the inventory are stopped.
func (x *stepper) verdict(t *State, i int, label string) string {
	m, row := &t.Members[i], &t.Row
	object := t.Clusters[clusterOf[i]].Objects[row.Epoch-1]
	switch {
	case m.Inventory&bit(row.Epoch) == 0:
		known := m.Known == row.Epoch || x.o.lacks(ReleaseWhatWasKnown)
		if row.Acked == 1 && known && !x.o.lacks(ReleaseWhatIsMissing) {
			return x.releaseMissing(t, false)
		}
	case living(object):
		m.Keep = row.Epoch
	case object <= endedAcked && object != stopped, row.Phase == aborting, x.o.lacks(RefuseUnaskedAborts):
		m.Report = row.Epoch
	case row.Revoking == 0:
		return x.releaseMissing(t, true) // it was stopped here, and nobody had asked to abort it
	}
	return label
}

// releaseMissing takes what had been acked before the session opened, and is not
// in its inventory: what another instance acked since, it may have made after the
// inventory was taken. Of several instances another one may be about to make it
// still, so the cluster is asked to give it up, and leaves a tombstone in its
// place. What is being aborted is told again, which makes its tombstone as well.
func (x *stepper) releaseMissing(t *State, there bool) string {
	if x.o.Instances == 2 && !there && !x.o.lacks(AskForWhatIsMissing) {
		if t.Row.Phase == aborting {
			t.Row.Acked = 0
			return "hub: {m}'s inventory lacks what is being aborted there: tells {e} again, sends the verdicts"
		}
		t.Row.Revoking = 1
		return "hub: {m}'s inventory lacks what is placed there: revokes {e}, sends the verdicts"
	}
	t.Clusters[t.Row.Owner].Ownership = taken(t.Row.Epoch)
	leave(t)
	return "hub: {m}'s inventory lacks what is placed there: releases {e}, sends the verdicts"
}

// leave frees the row for its next placement; what was being aborted has ended.
func leave(t *State) {
	t.Row.Owner, t.Row.Revoking, t.Row.Acked = nobody, 0, 0
	if t.Row.Phase == aborting {
		t.Row.Phase = aborted
		return
	}
	t.Row.Phase = queued
}

// wanted is the row's desired state on a cluster, read when it is sent.
func wanted(row Row, c uint8) (want uint8, ok bool) {
	if row.Owner != c {
		return 0, false
	}
	switch {
	case row.Phase == aborting:
		return abort, true
	case row.Phase == placed && row.Revoking == 1:
		return gone, true
	}
	return run, row.Phase == placed
}

// assign: the hub sends the whole desired state as it is now.
func (x *stepper) assign(i int) {
	m, o, c := &x.from.Members[i], x.o, clusterOf[i]
	ready := m.Stage >= verdicts || o.lacks(VerdictsBeforeAssignments) && m.Stage >= waiting
	if m.Stream != open || !ready || x.from.halted(o) {
		return
	}
	row := x.from.Row
	if want, ok := wanted(row, c); ok && x.useful(i, want) {
		t := x.from
		t.Members[i].Assigned[row.Epoch-1] |= 1 << want
		text := [...]string{"hub: sends {m} the assignment of {e}: run", "hub: sends {m} the assignment of {e}: abort",
			"hub: sends {m} the assignment of {e}: gone"}[want]
		x.take(&t, on(i, text, row.Epoch), true, "")
	}
	if !o.lacks(LevelTriggered) {
		return
	}
	for epoch := uint8(1); epoch < row.Epoch; epoch++ {
		if m.Assigned[epoch-1]>>run&1 == 0 && x.from.Clusters[c].Objects[epoch-1] == none {
			t := x.from
			t.Members[i].Assigned[epoch-1] |= 1 << run
			x.take(&t, on(i, "hub: sends {m} an OLD queued assignment of {e}: run", epoch), false, "")
		}
	}
}

// useful leaves out what changes nothing: acked rows, and repetitions.
func (x *stepper) useful(i int, want uint8) bool {
	m, row := &x.from.Members[i], x.from.Row
	if m.Assigned[row.Epoch-1]>>want&1 == 1 {
		return false
	}
	object := x.from.Clusters[clusterOf[i]].Objects[row.Epoch-1]
	switch want {
	case run:
		return row.Acked == 0 && (object == none || living(object) && m.Own != row.Epoch)
	case abort:
		return object <= stopped
	}
	return m.GoneAcks&bit(row.Epoch) == 0
}

// ingest: the hub takes in an event, in one transaction.
func (x *stepper) ingest(i int) {
	if x.from.halted(x.o) {
		return
	}
	for k := range uint8(epochs) {
		for kind := begun; kind <= abortion; kind++ {
			if x.from.Members[i].Events[k]>>kind&1 == 1 {
				x.event(i, k+1, kind)
			}
		}
	}
}

func (x *stepper) event(i int, epoch, kind uint8) {
	o, c := x.o, clusterOf[i]
	t := x.from
	m, row := &t.Members[i], &t.Row
	m.Events[epoch-1] &^= 1 << kind
	if o.Restore && t.Backup.Stage == restored && epoch > row.Epoch {
		t = x.from
		enterRebuild(o, &t)
		x.take(&t, on(i, "hub: an event of {m} has {e}, above the database's: REBUILD", epoch), true, "")
		return
	}
	taken, broken := accept(o, &t, c, epoch, kind)
	text := "hub: an event of {m}, {e}, is refused"
	if taken {
		text = "hub: commits the event " + eventNames[kind] + " of {m}, {e}"
	}
	if kind == begun {
		x.take(&t, on(i, text, epoch), true, broken)
		if o.Duplicates {
			t.Members[i].Events[epoch-1] |= 1 << kind
			if t != x.from {
				x.take(&t, on(i, text+"; a duplicate stays under way", epoch), false, broken)
			}
		}
		return
	}
	if m.Stream == open {
		a := t
		ackEnd(&a, c, epoch)
		x.take(&a, on(i, text+"; the ack arrives", epoch), true, broken)
	}
	x.take(&t, on(i, text+"; the ack is lost", epoch), true, broken)
	if taken && o.lacks(AckAfterCommit) && m.Stream == open {
		a := x.from
		a.Members[i].Events[epoch-1] &^= 1 << kind
		ackEnd(&a, c, epoch)
		x.take(&a, on(i, "hub: acks the event of {m}, {e}, and dies before its commit", epoch), false, "")
	}
}

var eventNames = [...]string{"RUNNING", "SUCCEEDED", "ABORTED"}

// ackEnd marks a tombstone whose end the control plane has.
func ackEnd(t *State, c, epoch uint8) {
	object := &t.Clusters[c].Objects[epoch-1]
	switch *object {
	case ended:
		*object = endedAcked
	case aborted0:
		*object = abortedAcked
	}
}

// accept applies an event to the row, or refuses it.
func accept(o *Options, t *State, c, epoch, kind uint8) (taken bool, broken string) {
	row := &t.Row
	foreign := epoch != row.Epoch || row.Owner != c
	if refused(o, row, foreign, kind) {
		if kind == abortion && !foreign {
			releaseStopped(t)
		}
		return false, ""
	}
	if foreign || epoch < t.History.Accepted {
		broken = "I2: an event is accepted that is not of the owner and its epoch"
	}
	t.History.Accepted = max(t.History.Accepted, epoch)
	switch kind {
	case begun:
		if o.acks() {
			row.Acked = 1
		}
		if o.lacks(EventsAckTheirOwn) && row.Revoking == 1 {
			leave(t)
		}
	case success:
		row.Phase, row.Revoking = succeeded, 0
	case abortion:
		if t.History.Asked == 0 {
			broken = "I9: ABORTED is recorded, and nobody has asked for it"
		}
		row.Phase, row.Revoking = aborted, 0
	}
	return true, broken
}

// releaseStopped takes what has ended on its cluster by an abort that nobody asked
// for: its object holds nothing any more.
func releaseStopped(t *State) {
	if t.Row.Phase != placed || t.Row.Revoking != 0 {
		return
	}
	t.Clusters[t.Row.Owner].Ownership = taken(t.Row.Epoch)
	leave(t)
}

// refused says that an event may not change the row.
func refused(o *Options, row *Row, foreign bool, kind uint8) bool {
	return row.Phase != placed && row.Phase != aborting ||
		foreign && !o.lacks(CheckEpochs) ||
		kind == abortion && row.Phase == placed && !o.lacks(RefuseUnaskedAborts)
}

// release: an ack of "gone" arrives. The row leaves the cluster; its ownership
// revision stays, for the owner has agreed.
func (x *stepper) release(i int) {
	if x.from.halted(x.o) {
		return
	}
	for epoch := uint8(1); epoch <= epochs; epoch++ {
		if x.from.Members[i].GoneAcks&bit(epoch) == 0 {
			continue
		}
		t := x.from
		t.Members[i].GoneAcks &^= bit(epoch)
		row, broken := &t.Row, ""
		if row.Owner == clusterOf[i] && row.Epoch == epoch && row.Revoking == 1 && !row.terminal() {
			leave(&t)
			for _, object := range t.Clusters[clusterOf[i]].Objects[:epoch] {
				if object == running {
					broken = "I71: a planned move leaves a cluster in which its work is not drained"
				}
			}
		}
		x.take(&t, on(i, "hub: {m}'s ack of gone, {e}, is stored", epoch), true, broken)
	}
}
