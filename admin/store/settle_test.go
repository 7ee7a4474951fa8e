package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/admin/store/storetest"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/localtest"
)

// leaving is a connection whose caller gives up the moment that it breaks.
type leaving struct {
	net.Conn
	give func()
}

func (l leaving) Write(b []byte) (int, error) {
	n, err := l.Conn.Write(b)
	if err != nil {
		l.give()
	}
	return n, err
}

func (l leaving) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if err != nil {
		l.give()
	}
	return n, err
}

// TestAChangeIsNotRunAgainForACallerThatHasGone: what became of it is found out,
// if that can be, and nothing is sent any more. A replica that lost leadership
// while the answer to its BeginTerm was lost would end its successor's term. (I7.)
func TestAChangeIsNotRunAgainForACallerThatHasGone(t *testing.T) {
	url := localtest.Database(t)
	other := open(t, store.Config{URL: url})
	if err := other.Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := other.Seed(t.Context(), []flow.Project{{ID: "p", Name: "p"}}); err != nil {
		t.Fatal(err)
	}
	if !plain(t, url) {
		t.Skip("the wire cannot be read along")
	}
	for _, landed := range []bool{false, true} {
		id := flow.ExecutionID{Project: "p", Domain: "d", Name: fmt.Sprintf("landed-%t", landed)}
		before, err := other.ReadFence(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := abandoned(t, url, landed, func(ctx context.Context, s *store.Store) error {
			_, err := s.BeginTerm(ctx, "r")
			return err
		}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a term whose beginning has landed, %t: %v", landed, err)
		}
		begun := map[bool]uint64{true: 1}[landed]
		if after, err := other.ReadFence(t.Context()); err != nil || after.Epoch.N-before.Epoch.N != begun {
			t.Errorf("the fence was %s and is %s: %v", before, after, err)
		}
		err = abandoned(t, url, landed, func(ctx context.Context, s *store.Store) error {
			return s.CreateExecution(ctx, flow.Execution{ID: id, Phase: flow.ExecutionQueued})
		})
		if _, found := other.GetExecution(t.Context(), id); (err == nil) != landed || (found == nil) != landed {
			t.Errorf("an execution whose creation has landed, %t: %v; reading it: %v", landed, err, found)
		}
	}
}

// abandoned cuts the connection at a write's COMMIT; the caller is gone at once.
func abandoned(t *testing.T, url string, landed bool, write func(context.Context, *store.Store) error) error {
	t.Helper()
	ctx, give := context.WithCancel(t.Context())
	defer give()
	wire := &storetest.Wire{}
	s := open(t, store.Config{URL: url, MaxConnections: 2, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := wire.Dial(ctx, network, address)
		return leaving{conn, give}, err
	}})
	happened := wire.Cut(landed)
	err := write(ctx, s)
	if !happened() || ctx.Err() == nil {
		t.Fatalf("cut: %t; gone: %v: the case shows nothing", happened(), ctx.Err())
	}
	return err
}
