package pod

import (
	"encoding/json"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/plugins"
)

// remember keeps why an attempt is being stopped in its state. A pod that will
// not end by itself is deleted first, and only then it is written why: what is
// seen of it between the two, a pod that somebody deletes or none at all, must
// not be taken for the cause.
func remember(s plugins.Status, state []byte) plugins.Status {
	if f := decided(state); f != nil && s.Phase != flow.TaskSucceeded {
		s.State = state
		if s.Missing || atEnd(s.Phase) {
			s.Missing = false
			fail(&s, f)
			return s
		}
		s.Failure, s.Reason = f, f.Message
		return s
	}
	if s.Failure == nil || atEnd(s.Phase) {
		return s
	}
	if raw, err := json.Marshal(s.Failure); err == nil { // texts and truth values: it never fails
		s.State = raw
	}
	return s
}

func decided(state []byte) *plugins.Failure {
	var f plugins.Failure
	if len(state) == 0 || json.Unmarshal(state, &f) != nil || f.Code == "" {
		return nil
	}
	return &f
}

func atEnd(p flow.TaskPhase) bool { return p.Terminal() || p == flow.TaskRetryableFailed }
