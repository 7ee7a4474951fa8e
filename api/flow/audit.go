package flow

import "time"

// Audit is one line of what operators and the control plane itself did to the
// fleet, and of what was refused.
type Audit struct {
	ID      string
	At      time.Time
	Actor   string // an operator, a member, or "skein"
	Action  string // like "cluster.drain"; a refusal ends in ".refused"
	Subject string // like "cluster/eu-west-1"
	Detail  string // for people; holds no secret
}
