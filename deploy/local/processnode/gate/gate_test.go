package gate

import (
	"context"
	"testing"
	"testing/synctest"
)

func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(1)
		first := g.At()
		if err := first.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := first.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		var order []int
		gone, leave := context.WithCancel(t.Context())
		for i := range 3 {
			ctx := t.Context()
			if i == 1 {
				ctx = gone
			}
			go func() {
				p := g.At()
				if p.Hold(ctx) == nil {
					order = append(order, i)
					p.Drop()
				}
			}()
			synctest.Wait()
		}
		leave()
		first.Drop()
		synctest.Wait()
		if len(order) != 0 {
			t.Fatalf("%v went in although the place was still held", order)
		}
		first.Drop()
		synctest.Wait()
		if len(order) != 2 || order[0] != 0 || order[1] != 2 {
			t.Errorf("order %v", order)
		}
		if g.free != 1 {
			t.Errorf("%d places are free", g.free)
		}
	})
}

func TestABorrowedPlaceIsPaidBack(t *testing.T) {
	g := New(1)
	held, ending := g.At(), g.At()
	if err := held.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	ending.Borrow()
	ending.Drop()
	held.Drop()
	if g.free != 1 {
		t.Errorf("%d places are free", g.free)
	}
}
