package model

// broken names the promise that a state breaks, or nothing. Promises that a step
// breaks (I2, I3, I9, I29, I71) are named where the step is made, and I1 after
// the search: from every state a terminal must be reachable by healing steps.
func (s *State) broken(o *Options) string {
	a, b := s.entitled(o, 0), s.entitled(o, 1)
	switch {
	case a && b:
		return "I70: A and B both hold an unexpired right to start its work"
	case (a || b) && s.Row.terminal() && s.Clusters[0].Lost == 0 && s.Backup.Stage == never:
		return "I72: its work may be started after its end was recorded"
	case o.Strict && s.runs(0) && s.runs(1):
		return "I69: work of an old owner still runs beside its successor's, though it is strict"
	}
	return ""
}

// runs says that work of the execution runs in the cluster.
func (s *State) runs(c uint8) bool {
	for _, object := range s.Clusters[c].Objects {
		if object == running {
			return true
		}
	}
	return false
}

// settled says that nothing is owed any more: the row is terminal, or has used
// up the model's epochs.
func (s *State) settled(o *Options) bool {
	if s.Row.terminal() {
		return true
	}
	last := o.epochs()
	if o.Restore {
		last = epochs
	}
	return s.Row.Phase == queued && s.Row.Epoch >= last
}
