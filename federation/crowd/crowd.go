// Package crowd simulates many members at one hub, to measure what the hub
// bears: each has a connection, a certificate and a session of its own, keeps its
// heartbeats and lease requests up, and sends events as fast as the credit lets it.
//
// It is for benchmarks. It has no cluster: it applies nothing, but acks what it is
// assigned. It is called by cmd/internal/bench. Invariant: an event counts when
// the hub has said that it was committed, and not before.
package crowd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/identity"
	"github.com/skein-project/skein/federation/session"
)

// Options is a crowd.
type Options struct {
	Hub         string // host:port
	CA          *identity.CA
	TrustDomain string
	Members     []flow.Member
	Batch       int // events in one batch
	// Held is the inventory of a member.
	Held func(member int) []flow.Held
	// Events makes the n-th batch of a member.
	Events func(member, n, size int) []flow.Event
	Length time.Duration // of the measurement, once all sessions are live
	Begun  func()        // the measurement begins; may be nil
}

// doors is how many members come in at a time: a hub ends the session of one
// that says nothing for long, and here all share a machine.
const doors = 16

// Result is what the hub bore.
type Result struct {
	Events  int64 // committed while it was measured, refused ones too
	Refused int64
	Reason  string // of one that was refused
	Took    time.Duration
	// Live is how long it took until every session was live.
	Live time.Duration
}

// Run brings all members to live sessions, lets them send for the length, and
// counts. An error of any member's ends it: figures of a part would mislead.
func Run(ctx context.Context, o Options) (Result, error) {
	c := &crowd{o: o, start: make(chan struct{}), doors: make(chan struct{}, doors)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	begun := time.Now()
	live := make(chan struct{}, len(o.Members))
	for i := range o.Members {
		group.Go(func() error { return c.member(ctx, i, live) })
	}
	var result Result
	group.Go(func() error {
		defer cancel()
		for range o.Members {
			select {
			case <-live:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		result.Live = time.Since(begun)
		if o.Begun != nil {
			o.Begun()
		}
		close(c.start)
		from, events, refused := time.Now(), c.events.Load(), c.refused.Load()
		select {
		case <-time.After(o.Length):
		case <-ctx.Done():
			return ctx.Err()
		}
		result.Took = time.Since(from)
		result.Events, result.Refused = c.events.Load()-events, c.refused.Load()-refused
		result.Reason, _ = c.reason.Load().(string)
		c.over.Store(true)
		return nil
	})
	err := group.Wait()
	if c.over.Load() {
		return result, nil // what ended after that was ended by us
	}
	if err == nil {
		err = ctx.Err()
	}
	return result, err
}

type crowd struct {
	o               Options
	start           chan struct{}
	doors           chan struct{} // held while a session opens
	events, refused atomic.Int64
	reason          atomic.Value // a string
	over            atomic.Bool
}

// member runs one session to the crowd's end.
func (c *crowd) member(ctx context.Context, i int, live chan<- struct{}) error {
	who := c.o.Members[i]
	c.doors <- struct{}{}
	leave := sync.OnceFunc(func() { <-c.doors })
	defer leave()
	conn, err := c.dial(who)
	if err != nil {
		return err
	}
	defer conn.Close()
	wire, err := skeinv1.NewDataPlaneServiceClient(conn).Connect(ctx)
	if err != nil {
		return err
	}
	m := &member{crowd: c, wire: wire, index: i, acked: make(chan struct{}, session.Credit), applied: make(chan *skeinv1.Ack, session.Window)}
	if err := m.open(); err != nil {
		return fmt.Errorf("member %s: %w", who, err)
	}
	leave()
	live <- struct{}{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(m.receive)
	group.Go(func() error { return m.send(ctx) })
	return group.Wait()
}

func (c *crowd) dial(who flow.Member) (*grpc.ClientConn, error) {
	key, err := identity.NewKeyPEM()
	if err != nil {
		return nil, err
	}
	csr, err := identity.NewCSR(key)
	if err != nil {
		return nil, err
	}
	cert, err := c.o.CA.SignMember(csr, who.Cluster, who.Instance, time.Now(), time.Hour)
	if err != nil {
		return nil, err
	}
	pair, err := identity.KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	conf := identity.ClientTLS(identity.Fixed(*pair), c.o.CA.Pool(), c.o.TrustDomain)
	return grpc.NewClient(c.o.Hub, grpc.WithTransportCredentials(credentials.NewTLS(conf)))
}

// errEnded is a session that the hub has ended.
var errEnded = errors.New("the hub ended the session")
