package flow

import "time"

// Replica is one skein-admin process: what it says of itself when it starts, and
// what the election knows of it.
type Replica struct {
	ID      string
	Address string // host:port of its part in the election
	RPC     string // host:port at which members, peers and operators reach it
	Version string // of its program
	SeenAt  time.Time

	Voter  bool
	Leader bool
}
