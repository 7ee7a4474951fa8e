package propeller_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/plugins/blob"
	"github.com/skein-project/skein/propeller"
)

// hanging answers nothing of some executions' data, until it is freed.
type hanging struct {
	propeller.Blobs
	free chan struct{}

	mu  sync.Mutex
	met map[string]bool // executions whose requests were given up
}

func (h *hanging) wait(ctx context.Context, uri string) error {
	_, name, found := strings.Cut(uri, "/meta/hang-")
	if !found {
		return nil
	}
	select {
	case <-h.free:
		return nil
	case <-ctx.Done():
		h.mu.Lock()
		defer h.mu.Unlock()
		number, _, _ := strings.Cut(name, "/")
		h.met[number] = true
		return ctx.Err()
	}
}

func (h *hanging) Read(ctx context.Context, uri string) ([]byte, error) {
	if err := h.wait(ctx, uri); err != nil {
		return nil, err
	}
	return h.Blobs.Read(ctx, uri)
}

func (h *hanging) Exists(ctx context.Context, uri string) (bool, error) {
	if err := h.wait(ctx, uri); err != nil {
		return false, err
	}
	return h.Blobs.Exists(ctx, uri)
}

func (h *hanging) Write(ctx context.Context, uri string, data []byte) error {
	if err := h.wait(ctx, uri); err != nil {
		return err
	}
	return h.Blobs.Write(ctx, uri, data)
}

// TestAHangingStoreHoldsUpWhoNeedsIt and nobody else: twice as many executions
// as there are workers get no answer from the object store.
func TestAHangingStoreHoldsUpWhoNeedsIt(t *testing.T) {
	h := &hanging{free: make(chan struct{}), met: map[string]bool{}}
	r := newRigBefore(t, func(b propeller.Blobs) propeller.Blobs {
		h.Blobs = b
		return blob.Within(3*time.Second, h)
	})
	const many, others = 40, 5
	var held []*v1alpha1.FlyteWorkflow
	for i := range many {
		held = append(held, r.submit(fmt.Sprintf("hang-%d", i), fanOut(0, 0)))
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		h.mu.Lock()
		met := len(h.met)
		h.mu.Unlock()
		if met == many {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d executions have met the store that hangs", met, many)
		}
	}
	begun := time.Now()
	for i := range others {
		r.ended(r.submit(fmt.Sprintf("fine-%d", i), fanOut(1, 0)), flow.ExecutionSucceeded)
	}
	took := time.Since(begun)
	t.Logf("%d executions took %s, one after the other, while %d hung", others, took, many)
	if took > 15*time.Second {
		t.Errorf("%d executions that need nothing of what hangs took %s", others, took)
	}
	close(h.free)
	for _, wf := range held {
		r.ended(wf, flow.ExecutionSucceeded)
	}
}
