package scheduler

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// desk collects lease requests of all hubs and answers them after one fenced
// transaction: no write, no grant.
type desk struct {
	asks chan ask
}

type ask struct {
	requests []flow.LeaseRequest
	answer   chan<- []flow.Lease // buffered; one answer, only of what was recorded
}

func newDesk() *desk { return &desk{asks: make(chan ask)} }

// ask waits for the grants of these requests. Those of replaced sessions are
// missing from the answer.
func (d *desk) ask(ctx context.Context, term <-chan struct{}, requests []flow.LeaseRequest) ([]flow.Lease, error) {
	answer := make(chan []flow.Lease, 1)
	select {
	case d.asks <- ask{requests, answer}:
	case <-term:
		return nil, errNotLeader
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "lease not granted in time")
	}
	select {
	case leases := <-answer:
		return leases, nil
	case <-term:
		return nil, errNotLeader
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "lease not granted in time")
	}
}

// run serves the desk until ctx ends or a write fails, which ends the term.
func (d *desk) run(ctx context.Context, window time.Duration, record func(context.Context, []flow.LeaseRequest) ([]flow.Lease, error)) error {
	for {
		batch := d.collect(ctx, window)
		if len(batch) == 0 {
			return ctx.Err()
		}
		var requests []flow.LeaseRequest
		for _, a := range batch {
			requests = append(requests, a.requests...)
		}
		leases, err := record(ctx, requests)
		if err != nil {
			return err
		}
		deliver(batch, leases)
	}
}

// collect waits for a first ask, and for others until the window closes.
func (d *desk) collect(ctx context.Context, window time.Duration) []ask {
	var batch []ask
	select {
	case <-ctx.Done():
		return nil
	case a := <-d.asks:
		batch = append(batch, a)
	}
	timer := time.NewTimer(window)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return batch
		case a := <-d.asks:
			batch = append(batch, a)
		}
	}
}

// newest gives one request per member: that of its newest session, and of that
// the newest nonce. Two hubs may ask for one member while it moves.
func newest(requests []flow.LeaseRequest) []flow.LeaseRequest {
	at := map[flow.Member]int{}
	var out []flow.LeaseRequest
	for _, r := range requests {
		i, ok := at[r.Member]
		switch {
		case !ok:
			at[r.Member] = len(out)
			out = append(out, r)
		case r.Generation > out[i].Generation,
			r.Generation == out[i].Generation && r.Nonce > out[i].Nonce:
			out[i] = r
		}
	}
	return out
}

// deliver gives each asker the leases that answer its own requests.
func deliver(batch []ask, leases []flow.Lease) {
	type key struct {
		member     flow.Member
		generation uint64
		nonce      uint64
	}
	granted := make(map[key]flow.Lease, len(leases))
	for _, l := range leases {
		granted[key{l.Member, l.Generation, l.Nonce}] = l
	}
	for _, a := range batch {
		var mine []flow.Lease
		for _, r := range a.requests {
			if l, ok := granted[key{r.Member, r.Generation, r.Nonce}]; ok {
				mine = append(mine, l)
			}
		}
		a.answer <- mine
	}
}
