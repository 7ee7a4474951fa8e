package scheduler

import (
	"context"
	"testing"
	"time"
)

// TestATrimThatHangsHoldsNoLeadership: a term ends although the database does not
// say what became of what was to be removed.
func TestATrimThatHangsHoldsNoLeadership(t *testing.T) {
	w, cfg := newWorld(), Default()
	reached, free, freed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	term, err := NewTerm(cfg, Deps{Ledger: w, Fleet: w, Commit: w, Now: w.Now, Trim: func(context.Context, time.Time, int) (int64, error) {
		defer close(freed)
		close(reached)
		<-free
		return 0, nil
	}}, w.fence)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		term.Trim(ctx)
	}()
	<-reached
	end()
	select {
	case <-over:
	case <-time.After(20 * time.Second):
		t.Error("it waits for the database")
	}
	close(free)
	<-freed
	<-over
}
