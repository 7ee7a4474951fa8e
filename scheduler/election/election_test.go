package election

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func TestLeaderDiesAndAnotherLeadsAtAHigherFence(t *testing.T) {
	g := newGroup(t, 3)
	first := g.next(t)
	for _, n := range g.nodes {
		eventually(t, "every replica finds the leader", func() bool { id, ok := n.Leader(); return ok && id == first.node })
	}
	seen := flow.Fence{Epoch: first.Fence.Epoch, Beat: 7}
	g.db.set(seen)
	g.nodes[g.index(first.node)].Observe(seen)
	for _, n := range g.nodes {
		eventually(t, "the observed fence reaches every replica", func() bool { return n.Highest() == seen })
	}

	dead := g.nodes[g.index(first.node)]
	must(t, dead.Elector.Close()) // without a farewell: Run still runs
	ended(t, first)
	second := g.next(t)
	if second.node == first.node || second.Fence.Compare(seen) <= 0 {
		t.Fatalf("%s leads at %s after %s led at %s", second.node, second.Fence, first.node, seen)
	}
	dead.stop()

	g.start(t, g.index(first.node))
	eventually(t, "the dead replica comes back from its disk and follows", func() bool {
		id, ok := dead.Leader()
		return ok && id == second.node && dead.Highest() == second.Fence
	})
	if second.Context.Err() != nil {
		t.Error("a follower that comes back must not end the term")
	}
}

func TestStoppingHandsLeadershipOver(t *testing.T) {
	g := newGroup(t, 3)
	first := g.next(t)
	g.nodes[g.index(first.node)].stop()
	ended(t, first)
	if second := g.next(t); second.node == first.node || second.Fence.Compare(first.Fence) <= 0 {
		t.Errorf("%s at %s follows %s at %s", second.node, second.Fence, first.node, first.Fence)
	}
}

func TestAFailedTermGoesToAnotherReplica(t *testing.T) {
	var failed atomic.Bool
	g := newGroup(t, 3, func(l led) error {
		if failed.CompareAndSwap(false, true) {
			panic("the work broke")
		}
		return waits(l)
	})
	first := g.next(t)
	ended(t, first)
	if second := g.next(t); second.node == first.node || second.Fence.Compare(first.Fence) <= 0 {
		t.Errorf("%s at %s follows %s at %s", second.node, second.Fence, first.node, first.Fence)
	}
}

// TestARestoredDatabaseIsNotLedOn before REBUILD was entered: as long as that
// fails the replica refuses, and then its term's fence is above the known one,
// and is replicated. (I16, I76.)
func TestARestoredDatabaseIsNotLedOn(t *testing.T) {
	g := newGroup(t, 1)
	first := g.next(t)
	seen := flow.Fence{Epoch: first.Fence.Epoch, Beat: 100}
	g.nodes[0].Observe(seen)
	eventually(t, "the fence is replicated", func() bool { return g.nodes[0].Highest() == seen })
	g.nodes[0].stop()

	g.db.set(flow.Fence{Epoch: first.Fence.Epoch, Beat: 99})
	g.db.never = errors.New("the database takes no writes")
	var log lockedBuffer
	registry := prometheus.NewRegistry()
	g.nodes[0].opts.Log, g.nodes[0].opts.Registerer = slog.New(slog.NewTextHandler(&log, nil)), registry
	g.start(t, 0)
	eventually(t, "the refusal is loud", func() bool { return strings.Contains(log.String(), "restored backup") })
	if n := value(t, g.nodes[0].metrics.restored); n != 1 {
		t.Errorf("skein_scheduler_restored_backup is %v", n)
	}
	select {
	case l := <-g.terms:
		t.Fatalf("a term began at %s on a database older than %s", l.Fence, seen)
	default:
	}
	if _, ok := g.nodes[0].Leader(); !ok {
		t.Error("the refusing replica keeps raft leadership")
	}

	g.db.mu.Lock()
	g.db.never = nil
	g.db.mu.Unlock()
	l := g.next(t)
	if l.Fence.Epoch.Compare(seen.Epoch) <= 0 || len(g.db.known) != 1 || g.db.known[0] != seen {
		t.Errorf("led at %s after %s; known at the beginning of REBUILD: %v", l.Fence, seen, g.db.known)
	}
	if n := value(t, g.nodes[0].metrics.restored); n != 0 {
		t.Errorf("in REBUILD skein_scheduler_restored_backup is %v", n)
	}
	eventually(t, "the new fence is replicated", func() bool { return g.nodes[0].Highest() == l.Fence })
}

func TestADatabaseThatCannotBeReachedIsTriedAgain(t *testing.T) {
	g := newGroup(t, 1)
	ended(t, func() led { l := g.next(t); g.nodes[0].stop(); return l }())
	g.db.fail = errors.New("no route")
	g.start(t, 0)
	eventually(t, "the term fails", func() bool { return value(t, g.nodes[0].metrics.terms.WithLabelValues(endFailed)) > 1 })
	g.db.mu.Lock()
	g.db.fail = nil
	g.db.mu.Unlock()
	g.next(t)
}

// TestLossyNotifications: raft keeps the newest notification only.
// While the database is away, no replica can lead: leadership passes round at a
// walk, and not as fast as raft lets it.
func TestLeadershipDoesNotRaceWhileTheDatabaseIsAway(t *testing.T) {
	const pause, watched = 500 * time.Millisecond, 3 * time.Second
	g := newGroupWith(t, 3, func(o *Options) { o.Pause = pause })
	l := g.next(t)
	asked := g.db.leave(fault.E(fault.Unavailable, "the database is away"))
	must(t, g.nodes[g.index(l.node)].participant().raft.LeadershipTransfer().Error())
	time.Sleep(watched) // the time in which tries are counted
	// Each replica tries once and hands over; from then on there is one try in a
	// pause, and elections beside.
	if n, most := asked(), 3+2*int(watched/pause); n < 2 || n > most {
		t.Errorf("the database was asked %d times in %s, want 2 to %d", n, watched, most)
	}
	g.db.leave(nil)
	if next := g.next(t); next.Fence.Compare(l.Fence) <= 0 {
		t.Errorf("led at %s after %s", next.Fence, l.Fence)
	}
}

func TestLossyNotifications(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ch, started, over, done := make(chan bool), make(chan context.Context), make(chan struct{}), make(chan struct{})
	finished := 0 // no lock: reigns never overlap, and monitor returns after the last
	go func() {
		defer close(done)
		monitor(ctx, ch, slog.New(slog.DiscardHandler), func(ctx context.Context) {
			started <- ctx
			<-ctx.Done()
			over <- struct{}{}
			finished++
		})
	}()
	ch <- true
	first := <-started
	ch <- true // lost and regained
	<-over
	if first.Err() == nil {
		t.Error("the first reign must end before the second begins")
	}
	second := <-started
	ch <- false
	<-over
	if second.Err() == nil {
		t.Error("a loss ends the reign")
	}
	ch <- false // nothing to end
	ch <- true
	<-started
	cancel()
	<-over
	<-done
	if finished != 3 {
		t.Errorf("%d of 3 reigns had ended when monitor returned", finished)
	}
}

func TestOpeningErrorsSayWhatToDo(t *testing.T) {
	base := func(t *testing.T) Options {
		addr := freeAddr(t)
		return Options{ID: "a", ControlPlaneID: "cp-1", Bind: addr, Peers: []Peer{{"a", addr}}, Dir: t.TempDir(),
			TLS: newAuthority(t).config(t), Epochs: &database{}}
	}
	file := func(t *testing.T) string {
		name := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(name, nil, 0o600))
		return name
	}
	for _, tt := range []struct {
		name string
		why  string
		with func(*testing.T, *Options)
		kind fault.Kind
		want string
	}{
		{"a port in use is named", "the operator must find the other process", func(t *testing.T, o *Options) {
			l, err := net.Listen("tcp", o.Bind)
			must(t, err)
			t.Cleanup(func() { _ = l.Close() })
		}, fault.Conflict, "is in use: is another replica running here?"},
		{"a directory that is a file is refused", "nothing could be kept", func(t *testing.T, o *Options) { o.Dir = file(t) }, fault.Invalid, "raft directory"},
		{"a directory in use is refused, not waited for", "the log's own lock waits for ever", func(t *testing.T, o *Options) {
			d, err := openDirectory(o.Dir, "cp-1")
			must(t, err)
			t.Cleanup(func() { _ = d.Close() })
		}, fault.Conflict, "in use by another process"},
		{"a directory of another control plane is refused", "its fences belong to another database", func(t *testing.T, o *Options) {
			d, err := openDirectory(o.Dir, "cp-2")
			must(t, err)
			must(t, d.Close())
		}, fault.Precondition, "belongs to control plane cp-2"},
		{"an address that others cannot dial must be advertised", "it would be told to them", func(_ *testing.T, o *Options) { o.Bind = "0.0.0.0:0" }, fault.Invalid, "no address that others can dial"},
		{"timeouts that cannot work are refused", "the leader must doubt itself first", func(_ *testing.T, o *Options) { o.Lease, o.Heartbeat, o.Election = 9e8, 8e8, 7e8 }, fault.Invalid, "heartbeat 800ms <= election 700ms does not hold"},
		{"plain text is refused", "whoever connects could vote", func(_ *testing.T, o *Options) { o.TLS = nil }, fault.Invalid, "mutual TLS only"},
		{"a configuration that trusts anybody is refused", "whoever connects could vote", func(_ *testing.T, o *Options) { o.TLS = &tls.Config{InsecureSkipVerify: true} }, fault.Invalid, "accepts any certificate"},
		{"a replica that is not among its peers is refused", "it could never vote", func(_ *testing.T, o *Options) { o.ID = "z" }, fault.Invalid, `"z", is not among them`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := base(t)
			tt.with(t, &o)
			e, err := New(o)
			if err == nil {
				_ = e.Close()
				t.Fatalf("opened; why it must not: %s", tt.why)
			}
			if fault.Of(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %s with %q; why: %s", fault.Of(err), err, tt.kind, tt.want, tt.why)
			}
		})
	}
}

// TestStrangersAreNotHeard: a certificate of another authority gets nowhere.
func TestStrangersAreNotHeard(t *testing.T) {
	g := newGroup(t, 1)
	g.next(t)
	stranger := newAuthority(t).config(t)
	stranger.InsecureSkipVerify = true
	for name, cfg := range map[string]*tls.Config{"another authority's certificate": stranger, "no certificate": {InsecureSkipVerify: true}} {
		c, err := tls.Dial("tcp", g.nodes[0].opts.Bind, cfg)
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			_ = c.Close()
		}
		if err == nil {
			t.Errorf("%s: let in", name)
		}
	}
}

func TestFencesSurviveASnapshot(t *testing.T) {
	var a, b fences
	a.raise(flow.Fence{Epoch: flow.Epoch{Era: 2, N: 9}, Beat: 1 << 40})
	a.raise(flow.Fence{Epoch: flow.Epoch{Era: 1, N: 99}, Beat: 1})
	snap, err := a.Snapshot()
	must(t, err)
	out := &memorySink{}
	must(t, snap.Persist(out))
	snap.Release()
	must(t, b.Restore(io.NopCloser(&out.Buffer)))
	if b.Highest() != a.Highest() || b.Highest().Epoch.Era != 2 {
		t.Errorf("restored %s from %s", b.Highest(), a.Highest())
	}
	if err := b.Restore(io.NopCloser(strings.NewReader("nonsense"))); err == nil {
		t.Error("nonsense was restored")
	}
}

type memorySink struct{ bytes.Buffer }

func (*memorySink) ID() string    { return "memory" }
func (*memorySink) Cancel() error { return nil }
func (*memorySink) Close() error  { return nil }

func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	must(t, m.Write(&out))
	return out.GetGauge().GetValue() + out.GetCounter().GetValue()
}
