package election

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	walfs "github.com/hashicorp/raft-wal/fs"
	walsegment "github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/smalldisk"
)

// beats raises the observed fence at the replica that leads until the condition
// holds, as transactions do: each beat is an entry of the log.
func (g *group) beats(t *testing.T, what string, until func() bool) {
	t.Helper()
	beat := uint64(0)
	eventually(t, what, func() bool {
		g.db.mu.Lock()
		g.db.fence.Beat++
		beat = g.db.fence.Beat
		fence := flow.Fence{Epoch: g.db.fence.Epoch, Beat: beat}
		g.db.mu.Unlock()
		for _, n := range g.nodes {
			n.Observe(fence)
		}
		return until()
	})
}

// TestAFullDiskEndsTheTermAndNothingElse: the leader's log refuses, another
// replica leads, and when there is room the first one takes part again. (I73.)
func TestAFullDiskEndsTheTermAndNothingElse(t *testing.T) {
	var log lockedBuffer
	disks := map[string]*smalldisk.Tested{}
	g := newGroupWith(t, 3, func(o *Options) {
		disks[o.ID] = smalldisk.New(t, o.Dir, 4<<20)
		o.segment = 4 << 10
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	first := g.next(t)
	full := g.nodes[g.index(first.node)]
	g.beats(t, "a beat is replicated", func() bool { return full.Highest().Beat > 0 })
	disks[first.node].Fill()
	g.beats(t, "the log refuses, and the check says why", func() bool {
		err := full.Check(t.Context())
		return errors.Is(err, syscall.ENOSPC) && strings.Contains(err.Error(), full.opts.Dir)
	})
	ended(t, first)
	second := g.next(t)
	if second.node == first.node || second.Fence.Compare(first.Fence) <= 0 {
		t.Fatalf("%s leads at %s after %s at %s", second.node, second.Fence, first.node, first.Fence)
	}
	if _, ok := full.Leader(); ok {
		t.Error("a replica that has left the election names a leader")
	}
	if !strings.Contains(log.String(), "leaves the election") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}

	disks[first.node].Empty()
	g.beats(t, "the replica follows again", func() bool {
		_, ok := full.Leader()
		return ok && full.Check(t.Context()) == nil && full.Highest().Compare(second.Fence) >= 0
	})
}

// TestAReplicaStartsOnAFullDisk: it does not vote, and does when there is room.
func TestAReplicaStartsOnAFullDisk(t *testing.T) {
	var disk *smalldisk.Tested
	g := newGroupWith(t, 1, func(o *Options) {
		disk = smalldisk.New(t, o.Dir, 1<<20)
		o.segment = 64 << 10
	})
	first := g.next(t)
	g.nodes[0].stop()
	ended(t, first)
	disk.Fill()
	g.start(t, 0)
	if err := g.nodes[0].Check(t.Context()); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the check says %v", err)
	}
	disk.Empty()
	if second := g.next(t); second.Fence.Compare(first.Fence) <= 0 {
		t.Errorf("led at %s after %s", second.Fence, first.Fence)
	}
}

// refusing stores no number while it is told so.
type refusing struct {
	raft.StableStore
	refuse *atomic.Bool
}

func (r refusing) SetUint64(key []byte, value uint64) error {
	if r.refuse.Load() {
		return syscall.ENOSPC
	}
	return r.StableStore.SetUint64(key, value)
}

// TestATermThatCannotBeStoredEndsNoProcess: raft would panic over it. The
// replica leaves the election, and joins it anew.
func TestATermThatCannotBeStoredEndsNoProcess(t *testing.T) {
	var refuse [3]atomic.Bool
	g := newGroupWith(t, 3, func(o *Options) {
		o.stable = func(s raft.StableStore) raft.StableStore {
			return refusing{StableStore: s, refuse: &refuse[o.ID[0]-'a']}
		}
	})
	first := g.next(t)
	i := (g.index(first.node) + 1) % 3
	sick := g.nodes[i]
	old := sick.participant()
	refuse[i].Store(true)
	g.nodes[g.index(first.node)].stop()
	ended(t, first)
	eventually(t, "the replica leaves the election", func() bool { return sick.Check(t.Context()) != nil })
	refuse[i].Store(false)
	eventually(t, "the replica takes part again", func() bool {
		p := sick.participant()
		return p != nil && p != old && sick.Check(t.Context()) == nil
	})
	if second := g.next(t); second.Fence.Compare(first.Fence) <= 0 {
		t.Errorf("led at %s after %s", second.Fence, first.Fence)
	}
}

// oneFile makes the first file and no other, as a crash does that comes when
// the first one is full.
type oneFile struct {
	types.SegmentFiler
	made bool
}

func (f *oneFile) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	if f.made {
		return nil, syscall.ENOSPC
	}
	f.made = true
	return f.SegmentFiler.Create(info)
}

func TestALogThatWasSealedLastGoesOn(t *testing.T) {
	dir, log := t.TempDir(), hclogger(slog.New(slog.DiscardHandler))
	entry := func(i uint64) *raft.Log { return &raft.Log{Index: i, Term: 1, Data: encode(flow.Fence{Beat: i})} }
	w, err := wal.Open(dir, wal.WithLogger(log), wal.WithSegmentSize(4<<10),
		wal.WithSegmentFiler(&oneFile{SegmentFiler: walsegment.NewFiler(dir, walfs.New())}))
	must(t, err)
	last := uint64(0)
	for err == nil {
		if err = w.StoreLog(entry(last + 1)); err == nil {
			last++
		}
	}
	if !errors.Is(err, types.ErrSealed) || last < 10 {
		t.Fatalf("after %d entries: %v", last, err)
	}
	must(t, w.Close())
	for range 2 { // the second finds nothing to mend
		w, err = openLog(dir, 4<<10, log)
		must(t, err)
		last++
		must(t, w.StoreLog(entry(last)))
		for i := uint64(1); i <= last; i++ {
			var got raft.Log
			must(t, w.GetLog(i, &got))
			if fence, err := decode(got.Data); err != nil || fence.Beat != i {
				t.Fatalf("entry %d holds %s, %v", i, fence, err)
			}
		}
		must(t, w.Close())
	}
}
