package election

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// leader waits until replica and raft agree who leads.
func (g *group) leader(t *testing.T, l led) *node {
	t.Helper()
	n := g.nodes[g.index(l.node)]
	eventually(t, "the leader leads", func() bool { id, ok := n.Leader(); return ok && id == l.node })
	return n
}

// join starts one more replica, which nobody but itself is configured with.
func (g *group) join(t *testing.T) *node {
	t.Helper()
	opts := g.nodes[0].opts
	opts.ID, opts.Bind, opts.Dir, opts.Bootstrap = string(rune('a'+len(g.nodes))), freeAddr(t), t.TempDir(), false
	opts.Peers = append(slices.Clone(opts.Peers), Peer{ID: opts.ID, Addr: opts.Bind})
	g.nodes = append(g.nodes, &node{stop: func() {}, opts: opts})
	g.start(t, len(g.nodes)-1)
	return g.nodes[len(g.nodes)-1]
}

func voters(t *testing.T, n *node) string {
	t.Helper()
	list, err := n.Replicas()
	must(t, err)
	var out []string
	for _, r := range list {
		if r.Voter {
			out = append(out, r.ID)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// TestReplicasJoinAndLeave: a replica joins by word, leads when it is told to,
// though nobody's configuration names it, and leaves by word.
func TestReplicasJoinAndLeave(t *testing.T) {
	ctx := context.Background()
	g := newGroup(t, 2)
	first := g.next(t)
	a := g.leader(t, first)
	d := g.join(t)
	must(t, a.AddReplica(ctx, d.opts.ID, d.opts.Bind))
	eventually(t, "the new replica follows", func() bool { id, ok := d.Leader(); return ok && id == first.node })
	if got := voters(t, a); got != "abc" {
		t.Errorf("%q vote", got)
	}
	must(t, a.TransferLeadership(ctx, d.opts.ID))
	ended(t, first)
	second := g.next(t)
	if second.node != d.opts.ID || second.Fence.Compare(first.Fence) <= 0 {
		t.Fatalf("%s leads at %s after %s at %s", second.node, second.Fence, first.node, first.Fence)
	}
	g.leader(t, second)
	must(t, d.RemoveReplica(ctx, first.node))
	if got := voters(t, d); strings.Contains(got, first.node) || len(got) != 2 {
		t.Errorf("%q vote", got)
	}
	must(t, d.TransferLeadership(ctx, ""))
	ended(t, second)
	if third := g.next(t); third.node == first.node || third.node == d.opts.ID {
		t.Errorf("%s leads", third.node)
	}
}

func TestReplicasThatCannotBeChanged(t *testing.T) {
	ctx := context.Background()
	g := newGroup(t, 3)
	first := g.next(t)
	leader := g.leader(t, first)
	var others []*node
	for _, n := range g.nodes {
		if n.opts.ID != first.node {
			others = append(others, n)
		}
	}
	for _, tt := range []struct {
		name string
		why  string
		do   func() error
		kind fault.Kind
		want string
	}{
		{"a follower changes nothing", "only the leader may", func() error { return others[0].RemoveReplica(ctx, first.node) }, fault.Unavailable, "does not lead"},
		{"nobody is added where nobody answers", "a voter that is not there takes a majority away",
			func() error { return leader.AddReplica(ctx, "z", freeAddr(t)) }, fault.Precondition, "start replica z first"},
		{"an address has one replica", "votes would be counted twice", func() error { return leader.AddReplica(ctx, "z", others[0].opts.Bind) }, fault.Conflict, "has the address"},
		{"a replica needs an address", "it could not be reached", func() error { return leader.AddReplica(ctx, "z", "") }, fault.Invalid, "needs an id and an address"},
		{"an unknown replica is not removed", "it was mistyped", func() error { return leader.RemoveReplica(ctx, "z") }, fault.NotFound, `no replica "z"`},
		{"the leader is not removed", "its successor would come late", func() error { return leader.RemoveReplica(ctx, first.node) }, fault.Precondition, "skein admin replicas transfer"},
		{"an unknown replica is not handed leadership", "it was mistyped", func() error { return leader.TransferLeadership(ctx, "z") }, fault.NotFound, `"z"`},
		{"handing leadership to the leader is done", "it leads", func() error { return leader.TransferLeadership(ctx, first.node) }, fault.Internal, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do()
			if tt.want == "" && err == nil {
				return
			}
			if fault.Of(err) != tt.kind || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %s with %q; why: %s", fault.Of(err), err, tt.kind, tt.want, tt.why)
			}
		})
	}

	if at := leader.Trouble(); !at.IsZero() {
		t.Errorf("trouble at %s, though everybody answers", at)
	}
	before := time.Now()
	others[1].stop()
	eventually(t, "the leader notices that a replica is gone", func() bool { return leader.Trouble().After(before) })
	if err := leader.RemoveReplica(ctx, others[0].opts.ID); !fault.Is(err, fault.Precondition) || !strings.Contains(err.Error(), "only 1 answer") {
		t.Errorf("the last one that answers was removed: %v", err)
	}
	must(t, leader.RemoveReplica(ctx, others[1].opts.ID))
	if first.Context.Err() != nil {
		t.Error("the term ended over it")
	}
	others[0].stop()
	ended(t, first)
}

// TestLeaderGaps prints how long nobody led: from the death of a leader, or from
// the order to hand over, to the beginning of the next term. It demands nothing
// of the figures. SKEIN_LEADER_GAPS sets how many of each are made.
func TestLeaderGaps(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("SKEIN_LEADER_GAPS"))
	if err != nil {
		rounds = 1
	}
	g := newGroupWith(t, 3, func(o *Options) { o.Heartbeat, o.Election, o.Lease, o.Observe, o.Pause = 0, 0, 0, 0, 0 })
	now := g.next(t)
	for _, how := range []string{"transferred", "killed"} {
		var gaps []time.Duration
		for range rounds {
			n := g.leader(t, now)
			began := time.Now()
			if how == "killed" {
				must(t, n.Elector.Close()) // without a farewell
			} else {
				must(t, n.TransferLeadership(context.Background(), ""))
			}
			ended(t, now)
			now = g.next(t)
			gaps = append(gaps, time.Since(began))
			if how == "killed" {
				n.stop()
				g.start(t, g.index(n.opts.ID))
				for _, each := range g.nodes {
					g.leader(t, now)
					eventually(t, "everybody follows", func() bool { id, ok := each.Leader(); return ok && id == now.node })
				}
			}
		}
		slices.Sort(gaps)
		t.Logf("leader %s %d times: nobody led for %s (median) to %s (longest)", how, rounds,
			gaps[len(gaps)/2].Round(time.Millisecond), gaps[len(gaps)-1].Round(time.Millisecond))
	}
}
