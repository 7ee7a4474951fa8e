package hub

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/session"
)

// database is what a hub reaches by a way of its own. While it is silent, its
// calls are waited for until they are given up; while it is cut, they fail.
type database struct {
	register
	silent, cut atomic.Bool
	calls       atomic.Int64
	leaderToo   atomic.Bool // has lost it
	every       time.Duration
	granted     time.Time
}

func (d *database) call(ctx context.Context) error {
	d.calls.Add(1)
	if d.silent.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if d.cut.Load() {
		return fault.E(fault.Unavailable, "the database is not available")
	}
	return nil
}

func (d *database) Assignments(ctx context.Context, _ flow.Sender, _ int) ([]flow.Assignment, error) {
	return nil, d.call(ctx)
}

func (d *database) Due(ctx context.Context, _ []flow.Sender) ([]flow.Sender, error) {
	return nil, d.call(ctx)
}
func (d *database) Ack(ctx context.Context, _ flow.Sender, _ []flow.Ack) error { return d.call(ctx) }
func (d *database) OpenSession(ctx context.Context, m flow.Member, _ string, _ flow.ClusterReport) (flow.Session, error) {
	return flow.Session{Sender: flow.Sender{Member: m, Generation: 7}}, d.call(ctx)
}

func (d *database) Report(ctx context.Context, _ flow.Sender, _ flow.ClusterReport) error {
	return d.call(ctx)
}

func (d *database) Verdicts(ctx context.Context, _ flow.Sender, _ []flow.Held) (flow.Verdicts, error) {
	return flow.Verdicts{}, d.call(ctx)
}
func (d *database) CloseSession(ctx context.Context, _ flow.Sender) error { return d.call(ctx) }
func (d *database) Ingest(ctx context.Context, _ flow.Sender, events []flow.Event) ([]flow.EventResult, error) {
	return make([]flow.EventResult, len(events)), d.call(ctx)
}

func (d *database) Revoked(ctx context.Context) ([]flow.Member, error) { return nil, d.call(ctx) }

// Beat is the leader's answer, over a road of its own. It grants each few seconds,
// as members ask, what it has recorded.
func (d *database) Beat(_ context.Context, _ string, beats []flow.Beat) (list []flow.Lease, err error) {
	if d.leaderToo.Load() {
		d.granted = time.Time{}
	}
	if d.leaderToo.Load() || time.Since(d.granted) < d.every {
		return nil, nil
	}
	d.granted = time.Now()
	for _, b := range beats {
		list = append(list, flow.Lease{Sender: b.Sender, Nonce: uint64(time.Now().UnixNano())})
	}
	return list, nil
}

// served is a hub with one session that has its verdicts, whose member lives.
func served(t *testing.T, d *database, lease time.Duration) (*Hub, *stream) {
	t.Helper()
	d.every = lease / 6
	h := New(Options{Outbox: d, Sessions: d, Sink: d, Leases: d, Revocations: d, Lease: lease})
	ctx, end := context.WithCancelCause(t.Context())
	s := &stream{
		hub: h, member: flow.Member{Cluster: "c", Instance: "i"}, log: h.log, end: end,
		control: make(chan *skeinv1.ConnectResponse, controlQueue), bulk: make(chan flow.Assignment, bulkQueue),
		judge: make(chan []flow.Held, 1), read: make(chan int, 1), ingest: make(chan session.Ingest, session.Credit),
		acks: make(chan []flow.Ack, ackQueue), report: make(chan flow.ClusterReport, 1),
	}
	s.sender = flow.Sender{Member: s.member, Generation: 7}
	if err := h.enter(s, 7); err != nil {
		t.Fatal(err)
	}
	go func() { <-ctx.Done(); h.leave(s) }()
	for _, work := range []func(context.Context) error{s.reads, s.ingests, s.stores, s.ticks} {
		go func() { _ = work(ctx) }()
	}
	s.step(session.SessionOpened{Session: flow.Session{Sender: s.sender, Era: 1}})
	s.step(session.InventoryPart{Last: true})
	synctest.Wait()
	if stage := s.state.Stage(); stage != session.Serving {
		t.Fatalf("it is at stage %d", stage)
	}
	go func() {
		for ctx.Err() == nil {
			s.step(session.Beaten{Generation: 7})
			for len(s.control) > 0 {
				<-s.control
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return h, s
}

// live lets a hub with one session run.
func live(t *testing.T, d *database, lease time.Duration) (*Hub, *stream) {
	h, s := served(t, d, lease)
	for _, run := range []func(context.Context){h.looks, h.beats, h.watchRevoked} {
		go run(t.Context())
	}
	time.Sleep(30 * time.Second)
	if why := s.over(); why != "" {
		t.Fatalf("the session has ended: %s", why)
	}
	return h, s
}

func (s *stream) over() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.goodbye
}

// until waits for the session's end, and says how long that took.
func (s *stream) until(longest time.Duration) time.Duration {
	begun := time.Now()
	for s.over() == "" && time.Since(begun) < longest {
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(begun)
}

// A hub that alone has lost the database sends its members to others, and lets
// none in until it is back.
func TestAHubWithoutADatabaseGivesItsMembersUp(t *testing.T) {
	for name, lose := range map[string]func(*database, bool){
		"that is cut":    func(d *database, lost bool) { d.cut.Store(lost) },
		"that is silent": func(d *database, lost bool) { d.silent.Store(lost) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &database{}
				h, s := live(t, d, 30*time.Second)
				lose(d, true)
				if took := s.until(time.Minute); took < 10*time.Second || took > 25*time.Second {
					t.Errorf("the session ended after %s, because %q", took, s.over())
				}
				if err := h.reaches(); !fault.Is(err, fault.Unavailable) {
					t.Errorf("members are let in again: %v", err)
				}
				lose(d, false)
				time.Sleep(5 * time.Second)
				if err := h.reaches(); err != nil {
					t.Errorf("members are turned away when it is back: %v", err)
				}
			})
		})
	}
}

// Where the database is away from all, no session is ended for it: none could be
// opened, and what an old lease covers goes on longer in the old session.
func TestAnOutageOfTheDatabaseEndsNoSession(t *testing.T) {
	for _, lease := range []time.Duration{2 * time.Second, 5 * time.Second, 12 * time.Second, 30 * time.Second, time.Minute, 10 * time.Minute} {
		for _, silent := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				d := &database{}
				_, s := live(t, d, lease)
				for outage := 500 * time.Millisecond; outage < 40*time.Second; outage += 1700 * time.Millisecond {
					d.cut.Store(!silent)
					d.silent.Store(silent)
					time.Sleep(300 * time.Millisecond) // in which the last grants still come
					d.leaderToo.Store(true)
					time.Sleep(outage)
					d.leaderToo.Store(false) // the leader is back first, and a look that has begun fails
					d.silent.Store(false)
					time.Sleep(300 * time.Millisecond)
					d.cut.Store(false)
					time.Sleep(20 * time.Second)
					if why := s.over(); why != "" {
						t.Fatalf("lease %s, silent %t: an outage of %s has ended the session: %s", lease, silent, outage, why)
					}
				}
			})
		}
	}
}

// A connection that was cut without a word holds a stream up for so long, and no
// longer; a stream goes on afterwards, as far as it can.
func TestASilentDatabaseIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		_, s := served(t, d, 30*time.Second)
		d.silent.Store(true)
		asked := func(what string, within time.Duration, ask func()) {
			t.Helper()
			ask()
			synctest.Wait()
			before := d.calls.Load()
			time.Sleep(within)
			synctest.Wait()
			d.silent.Store(false)
			ask()
			time.Sleep(5 * time.Second)
			if d.calls.Load() == before || s.over() != "" {
				t.Errorf("%s is waited for for longer than %s; the session ended: %q", what, within, s.over())
			}
			d.silent.Store(true)
		}
		asked("the outbox", callWait+time.Second, func() { s.step(session.Woken{}) })
		asked("an ack", callWait+time.Second, func() { s.acks <- []flow.Ack{{}} })
		asked("a report", callWait+time.Second, func() {
			select {
			case s.report <- flow.ClusterReport{}:
			default: // the last one was not even taken
			}
		})
		batch := uint64(0)
		asked("a batch", callWait+batchWait+time.Second, func() {
			batch++
			s.step(session.EventsCame{Generation: 7, Batch: batch, Events: []flow.Event{{}}})
		})
	})
}

// An inventory is judged within a time that grows with it; then the session ends
// and says why.
func TestVerdictsAreNotWaitedForForEver(t *testing.T) {
	for held, want := range map[int]time.Duration{0: 10 * time.Second, 100_000: 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			d := &database{}
			d.silent.Store(true)
			h := New(Options{Sessions: d})
			ctx, end := context.WithCancelCause(t.Context())
			s := &stream{hub: h, log: h.log, end: end, judge: make(chan []flow.Held, 1), control: make(chan *skeinv1.ConnectResponse, 1)}
			go func() { _ = s.reads(ctx) }()
			begun := time.Now()
			s.step(session.SessionOpened{Session: flow.Session{Era: 1}})
			s.judge <- make([]flow.Held, held)
			if s.until(time.Hour); time.Since(begun) < want || time.Since(begun) > want+time.Second {
				t.Errorf("verdicts on %d were waited for %s, want %s", held, time.Since(begun), want)
			}
			if s.over() != "the database did not answer within "+want.String() {
				t.Errorf("the session ended because %q", s.over())
			}
		})
	}
}
