package snapshot

import (
	"context"

	"github.com/skein-project/skein/api/flow"
)

// crowd is where a gatherer has come to among more executions than one view
// takes.
type crowd struct {
	is   bool
	next flow.PendingKey
}

// pending reads what waits for a cluster. If that is more than the limit, the
// view gets the oldest half of the limit, and of the others as many, which are
// the next ones each time: what cannot be placed may be older than all that can,
// and holds nothing up. Each of n is looked at once in 2n/limit views.
func (g *Gatherer) pending(ctx context.Context) ([]flow.Pending, error) {
	limit := g.Limit
	if g.crowd.is {
		limit -= g.Limit / 2
	}
	oldest, err := g.Ledger.Pending(ctx, flow.PendingKey{}, limit)
	if err != nil || len(oldest) < limit {
		g.crowd = crowd{}
		return oldest, err
	}
	oldest = oldest[:g.Limit-g.Limit/2]
	from := oldest[len(oldest)-1].Key()
	again := !g.crowd.is || g.crowd.next.Compare(from) <= 0
	if !again {
		from = g.crowd.next
	}
	rest, err := g.Ledger.Pending(ctx, from, g.Limit/2)
	if err != nil {
		return nil, err
	}
	g.crowd = crowd{is: true}
	switch {
	case len(rest) == g.Limit/2 && len(rest) > 0:
		g.crowd.next = rest[len(rest)-1].Key()
	case again: // that was all
		g.crowd.is = false
	}
	return append(oldest, rest...), nil
}
