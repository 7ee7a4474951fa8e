package election

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/skein-project/skein/api/flow"
)

// fences is the replicated state: the highest fence that any leader saw.
type fences struct {
	mu      sync.Mutex
	highest flow.Fence
}

// Highest is the highest fence applied on this replica so far.
func (f *fences) Highest() flow.Fence {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.highest
}

func (f *fences) raise(to flow.Fence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.highest.Compare(to) < 0 {
		f.highest = to
	}
}

// Apply raises the highest fence; a lower one changes nothing.
func (f *fences) Apply(l *raft.Log) any {
	fence, err := decode(l.Data)
	if err != nil {
		return err
	}
	f.raise(fence)
	return nil
}

// Snapshot freezes the value.
func (f *fences) Snapshot() (raft.FSMSnapshot, error) { return frozen(f.Highest()), nil }

// Restore replaces the value.
func (f *fences) Restore(r io.ReadCloser) error {
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, 1024))
	if err != nil {
		return fmt.Errorf("read fence snapshot: %w", err)
	}
	fence, err := decode(data)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.highest = fence
	return nil
}

type frozen flow.Fence

// Persist writes the value to the sink.
func (f frozen) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(encode(flow.Fence(f))); err != nil {
		_ = sink.Cancel()
		return fmt.Errorf("write fence snapshot: %w", err)
	}
	return sink.Close()
}

// Release has nothing to release.
func (f frozen) Release() {}

// format is the first byte of an encoded fence. Append only.
const format = 1

// encode writes format, era, number and beat, big endian.
func encode(f flow.Fence) []byte {
	b := []byte{format}
	b = binary.BigEndian.AppendUint64(b, f.Epoch.Era)
	b = binary.BigEndian.AppendUint64(b, f.Epoch.N)
	return binary.BigEndian.AppendUint64(b, f.Beat)
}

func decode(b []byte) (flow.Fence, error) {
	if len(b) != 25 || b[0] != format {
		return flow.Fence{}, fmt.Errorf("replicated fence of %d bytes: unknown format", len(b))
	}
	u := binary.BigEndian.Uint64
	return flow.Fence{Epoch: flow.Epoch{Era: u(b[1:]), N: u(b[9:])}, Beat: u(b[17:])}, nil
}
