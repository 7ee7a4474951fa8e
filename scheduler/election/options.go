package election

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-project/skein/api/fault"
)

// Peer is one replica that votes.
type Peer struct {
	ID   string
	Addr string // host:port at which the others reach it
}

// Options say who this replica is. Zero durations and Log take defaults.
type Options struct {
	ID             string // unique among the replicas, and the same after a restart
	ControlPlaneID string // from the database; guards the raft directory
	Bind           string // host:port to listen on
	Advertise      string // host:port to tell others; empty: the bound address
	Peers          []Peer // every voter, this replica included
	Dir            string // for the log, the vote and snapshots; made if missing
	// Bootstrap makes the first configuration out of Peers if the directory is
	// empty. One replica does it, once; with a used directory it does nothing.
	Bootstrap bool
	// TLS is used in both directions and must admit replicas only. The client's
	// certificate is always required.
	TLS    *tls.Config
	Epochs Epochs

	Heartbeat time.Duration // follower's patience with a leader; 400 ms
	Election  time.Duration // candidate's patience with voters; 400 ms
	Lease     time.Duration // leader's patience with a silent majority; 300 ms
	Observe   time.Duration // replicate observed fences at most so often; 1 s
	Pause     time.Duration // after a failed term or a refusal; 1 s
	Timeout   time.Duration // of one exchange with the database or the log; 5 s

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are not exposed

	segment int                                     // size of one file of the log; for tests
	stable  func(raft.StableStore) raft.StableStore // stands before what holds term and vote; for tests
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Heartbeat, 400 * time.Millisecond},
		{&o.Election, 400 * time.Millisecond},
		{&o.Lease, 300 * time.Millisecond},
		{&o.Observe, time.Second},
		{&o.Pause, time.Second},
		{&o.Timeout, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.segment == 0 {
		o.segment = segment
	}
	if o.stable == nil {
		o.stable = func(s raft.StableStore) raft.StableStore { return s }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// validate lists all problems at once.
func (o Options) validate() error {
	var list []error
	need := func(ok bool, field, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Errorf("election.%s: %s", field, fmt.Sprintf(format, args...)))
		}
	}
	need(o.ID != "", "id", "is empty")
	need(o.ControlPlaneID != "", "controlPlaneID", "is empty: migrate the database first")
	need(o.Bind != "", "bind", "is empty")
	need(o.Dir != "", "dir", "is empty")
	need(o.Epochs != nil, "epochs", "is missing")
	need(o.TLS != nil, "tls", "is missing: replicas speak mutual TLS only")
	need(o.TLS == nil || authenticates(o.TLS), "tls", "accepts any certificate: verify the peer's chain or identity")
	need(o.Lease <= o.Heartbeat, "lease", "lease %s <= heartbeat %s does not hold", o.Lease, o.Heartbeat)
	need(o.Heartbeat <= o.Election, "election", "heartbeat %s <= election %s does not hold", o.Heartbeat, o.Election)
	need(o.Lease >= 5*time.Millisecond, "lease", "%s is too short", o.Lease)
	ids, addrs := map[string]bool{}, map[string]bool{}
	for i, p := range o.Peers {
		field := fmt.Sprintf("peers[%d]", i)
		need(p.ID != "" && p.Addr != "", field, "needs an id and an address")
		need(!ids[p.ID], field, "id %q is there twice", p.ID)
		need(!addrs[p.Addr], field, "address %q is there twice", p.Addr)
		ids[p.ID], addrs[p.Addr] = true, true
	}
	need(ids[o.ID], "peers", "this replica, %q, is not among them", o.ID)
	return fault.Wrap(fault.Invalid, errors.Join(list...), "election options")
}

// authenticates reports whether a handshake under this configuration proves
// who the other side is, in both directions.
func authenticates(c *tls.Config) bool {
	custom := c.VerifyConnection != nil || c.VerifyPeerCertificate != nil
	return custom || !c.InsecureSkipVerify && c.ClientAuth != tls.RequireAnyClientCert
}
