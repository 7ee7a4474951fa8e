package member

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

const (
	leaseFile   = "lease.json"
	recallPause = time.Second
)

// lastLease is what a process leaves behind of its lease, so that the next one
// knows until when strict work that it finds running is covered.
type lastLease struct {
	Boot  string        `json:"boot"`  // of the machine: another one has another boot clock
	Until time.Duration `json:"until"` // on that clock
}

// recall finds the pinned work that had begun before this process, and the
// highest era that its predecessors have seen. Nothing is dialled before: what is
// read must not be newer than a session.
func (m *Member) recall(ctx context.Context) {
	for {
		pinned, era := map[flow.ExecutionID]flow.Epoch{}, uint64(0)
		err := m.each(ctx, func(fw *v1alpha1.FlyteWorkflow) error {
			era = max(era, epochOf(fw).Era)
			if goesOn(fw) && fw.Status.StartedAt != nil {
				pinned[executionOf(fw)] = epochOf(fw)
			}
			return nil
		})
		if err == nil {
			m.step(session.Recalled{Pinned: pinned, Era: era})
			return
		}
		m.log.Warn("FlyteWorkflows were not listed; tried again", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(recallPause):
		}
	}
}

// goesOn reports whether a FlyteWorkflow is pinned work that nobody has ended.
func goesOn(fw *v1alpha1.FlyteWorkflow) bool {
	return fw.Spec.Pinned && fw.Spec.Desired == v1alpha1.DesiredRun && !ended(fw)
}

// lastLease is the end of the last process's lease; zero: what ran under it
// must stop.
func (m *Member) lastLease() time.Duration {
	var last lastLease
	b, err := os.ReadFile(filepath.Join(m.o.StateDir, leaseFile))
	if err != nil || json.Unmarshal(b, &last) != nil || last.Boot != bootID() {
		return 0
	}
	return last.Until
}

// remember writes the lease's end down. It is not synced: it is of no use after
// the machine has lost power. What cannot be written leaves an earlier end, or
// none, which stops strict work sooner than need be, and nothing else.
func (m *Member) remember() {
	m.mu.Lock()
	until := m.state.LeaseEnd()
	same := until == m.noted
	m.noted = until
	m.mu.Unlock()
	if same || bootID() == "" {
		return
	}
	if err := m.note(lastLease{Boot: bootID(), Until: until}); err != nil {
		m.log.Warn("the end of the lease was not written down", "error", err)
	}
}

func (m *Member) note(l lastLease) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "write the lease's end")
	}
	path := filepath.Join(m.o.StateDir, leaseFile)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// bootID names this boot of the machine; empty where nothing tells it.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
