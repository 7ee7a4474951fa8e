package main

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// rate lets so many clients do one thing after the other, each waiting for its
// own, and gives how many were done a second. The first error ends it.
func rate(ctx context.Context, clients int, length time.Duration, do func(ctx context.Context, client int) error) (float64, error) {
	var done atomic.Int64
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for client := range clients {
		group.Go(func() error {
			for time.Since(begin) < length {
				if err := do(ctx, client); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return float64(done.Load()) / time.Since(begin).Seconds(), err
}

// times does something n times, by so many clients.
func times(ctx context.Context, clients, n int, do func(ctx context.Context, client int) error) error {
	var begun atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for client := range clients {
		group.Go(func() error {
			for begun.Add(1) <= int64(n) {
				if err := do(ctx, client); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// until looks at short intervals whether something holds.
func until(ctx context.Context, every time.Duration, holds func(context.Context) (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := holds(ctx); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
