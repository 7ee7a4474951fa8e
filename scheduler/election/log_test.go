package election

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestRaftLogsThroughOurs(t *testing.T) {
	var out lockedBuffer
	log := hclogger(slog.New(slog.NewTextHandler(&out, nil))).Named("net").With("peer", "b")
	log.Info("calm")
	log.Warn("slow", "took", 3)
	log.Error("odd", "alone")
	got := out.String()
	if strings.Contains(got, "calm") {
		t.Errorf("raft's information is not an operator's: %s", got)
	}
	for _, want := range []string{"level=WARN msg=slow component=raft.net", "peer=b", "took=3", "level=ERROR msg=odd"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in %s", want, got)
		}
	}
}
