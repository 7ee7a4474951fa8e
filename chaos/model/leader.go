package model

// frozen says that no scheduling transaction commits.
func (s *State) frozen(o *Options) bool {
	return s.Backup.Stage == rebuild || s.Backup.Stage == restored && !o.lacks(RememberTheFence)
}

// lead: the leader places, decides, commits, revokes and reaps.
func (x *stepper) lead() {
	if x.from.frozen(x.o) {
		return
	}
	x.place()
	x.decide()
	x.commit()
	x.revoke()
}

// next is the epoch of the row's next placement; 0 beyond the model's bound.
func (x *stepper) next() uint8 {
	row := x.from.Row
	switch {
	case x.from.Backup.Stage >= restored && x.o.Restore && x.from.Backup.Stage == rebuilt:
		if row.Epoch < epochs {
			return epochs // a new era: above all that was
		}
		return 0
	case row.Epoch >= x.o.epochs():
		return 0
	}
	return row.Epoch + 1
}

func (x *stepper) place() {
	row, next := x.from.Row, x.next()
	if row.Phase != queued || next == 0 {
		return
	}
	for c := range uint8(places) {
		if !x.from.reachable(x.o, c) || row.Epoch == 0 && c == 1 && !x.o.Restore && !x.o.Declare {
			continue // by symmetry the first placement is on A
		}
		t := x.from
		t.Row.Owner, t.Row.Epoch, t.Row.Phase = c, next, placed
		x.take(&t, at(c, "leader: places it on {c}, {e}", next), true, "")
	}
}

// forced says that the row may be taken from its owner without asking.
func (x *stepper) forced() bool {
	row, o := x.from.Row, x.o
	if row.Owner == nobody || row.Phase != placed && row.Phase != aborting {
		return false
	}
	lost := x.from.Clusters[row.Owner].Lost == 1
	if o.Failover == Never && !lost && (row.Phase == placed || !o.lacks(ReapNoPinned)) {
		return false
	}
	if o.Failover == Never && row.Phase == placed && !o.FailPinned {
		return false
	}
	if lost && (o.lacks(LostWaitsForLeases) || o.Dead) {
		return true
	}
	return x.from.lapsed(o, row.Owner)
}

func (x *stepper) decide() {
	row := x.from.Row
	if !x.forced() || row.Decided != 0 {
		return
	}
	if row.Phase == placed && x.o.Failover == Movable && (x.next() == 0 || !x.from.reachable(x.o, 1-row.Owner)) {
		return
	}
	t := x.from
	t.Row.Decided = row.Epoch
	x.take(&t, at(row.Owner, "leader: DECIDES to take {e} from {c} by force (in its snapshot all leases are over)", row.Epoch), true, "")
}

func (x *stepper) commit() {
	if x.from.Row.Decided != 0 {
		t := x.from
		t.Row.Decided = 0
		x.takeover(&t, x.from.Row.Decided, "leader")
	}
	if x.from.Row.DecidedByOld != 0 {
		t := x.from
		t.Row.DecidedByOld = 0
		if x.o.lacks(FenceByWrite) {
			x.takeover(&t, x.from.Row.DecidedByOld, "OLD leader")
		} else {
			x.take(&t, Label{Text: "OLD leader: its commit is refused by the fence"}, true, "")
		}
	}
}

// takeover is the transaction that takes the row from its owner.
func (x *stepper) takeover(t *State, decided uint8, who string) {
	row, o := x.from.Row, x.o
	waits := row.Phase == placed || row.Phase == aborting
	if row.Epoch != decided || row.Owner == nobody || !waits && !o.lacks(PlaceOnlyWhatWaits) {
		x.take(t, Label{Text: who + ": the row has changed, nothing is taken"}, true, "")
		return
	}
	from := row.Owner
	broken := ""
	if row.terminal() {
		broken = "I3: a terminal execution is placed again"
	}
	if row.Phase != aborting || !o.lacks(RaiseOwnershipAtReap) {
		t.Clusters[from].Ownership = taken(row.Epoch)
	}
	t.Row.Revoking, t.Row.Acked = 0, 0
	switch {
	case row.Phase == aborting:
		t.Row.Phase, t.Row.Owner = aborted, nobody
		x.take(t, at(from, who+": REAPS {e}: ABORTED without {c}", row.Epoch), true, "")
	case o.Failover == Never:
		t.Row.Phase, t.Row.Owner = failed, nobody
		x.take(t, at(from, who+": ends {e} as FAILED without {c}", row.Epoch), true, "")
	case x.next() == 0:
	default:
		t.Row.Epoch, t.Row.Owner, t.Row.Phase = x.next(), 1-from, placed
		x.take(t, at(1-from, who+": COMMITS the forced move to {c}, {e}", t.Row.Epoch), true, broken)
	}
}

// revoke begins a planned move: a drain, a NoExecute taint, a preemption.
func (x *stepper) revoke() {
	row := x.from.Row
	if !x.o.Move || row.Phase != placed || x.next() == 0 {
		return
	}
	t := x.from
	if row.Revoking == 0 {
		t.Row.Revoking = 1
		x.take(&t, at(row.Owner, "leader: revokes {e} from {c}, a planned move", row.Epoch), false, "")
	} else if x.o.lacks(RevokeStands) {
		t.Row.Revoking = 0
		x.take(&t, at(row.Owner, "leader: takes the revoke of {e} back", row.Epoch), false, "")
	}
}

// elect: a new leader wins, and the old one is paused with what it holds.
func (x *stepper) elect() {
	t := x.from
	for _, i := range x.o.members() {
		t.Members[i].Quiet = 0
		if x.o.lacks(NewLeaderWaits) {
			t.Members[i].Quiet = x.o.Wait
		}
	}
	if x.o.lacks(FenceByWrite) && t.Row.Decided != 0 {
		t.Row.DecidedByOld = t.Row.Decided
	}
	t.Row.Decided = 0
	if t != x.from {
		x.take(&t, Label{Text: "a NEW LEADER wins; the old one is paused with what it holds"}, false, "")
	}
}

// sketch is cluster B, where it has no members: its work ends well at any time.
func (x *stepper) sketch() {
	if row := x.from.Row; x.o.sketched() && row.Owner == 1 && row.Phase <= aborting {
		t := x.from
		t.Row.Phase, t.Row.Revoking = succeeded, 0
		x.take(&t, at(1, "{c}: runs it to its end", row.Epoch), true, "")
	}
}

// user asks for an abort.
func (x *stepper) user() {
	row := x.from.Row
	if !x.o.Abort || row.Phase > placed {
		return
	}
	t := x.from
	t.History.Asked = 1
	if row.Phase == queued {
		t.Row.Phase = aborted
	} else {
		t.Row.Phase = aborting
	}
	x.take(&t, Label{Text: "user: aborts it"}, false, "")
}

// operator declares A lost, and found again. Its sessions end at the hub at once;
// its members may not know for a while.
func (x *stepper) operator() {
	a := x.from.Clusters[0]
	if !x.o.Declare || a.Lost == 2 {
		return
	}
	t := x.from
	t.Clusters[0].Lost++
	if a.Lost == 1 {
		x.take(&t, at(0, "operator: declares {c} FOUND", 0), true, "")
		return
	}
	for _, i := range x.o.members() {
		m := &t.Members[i]
		if clusterOf[i] != 0 {
			continue
		}
		if x.o.Dead && m.Down == 0 {
			return
		}
		if m.Stream == open {
			m.Stream = halfOpen
		}
		silence(m)
	}
	if t.Row.Owner == 0 {
		t.Clusters[0].Ownership = lost(t.Row.Epoch)
	}
	x.take(&t, at(0, "operator: declares {c} LOST", 0), false, "")
}
