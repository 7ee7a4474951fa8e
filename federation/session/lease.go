package session

import (
	"time"

	"github.com/skein-project/skein/api/flow"
)

// DriftPercent is how much slower than the database's side a member's clock is
// taken to be: a lease is shortened by it.
const DriftPercent = 2

// maxAsked bounds the requests that are remembered while no grant comes.
const maxAsked = 8

// ask is one lease request under way.
type ask struct {
	nonce uint64
	sent  time.Duration // on the boot clock
}

// lease is what a member may start, and until when.
type lease struct {
	until   time.Duration // on the boot clock; zero: none
	covered map[flow.ExecutionID]flow.Epoch
}

func (l lease) live(now time.Duration) bool { return now < l.until }

// end is when a lease ends for the member: it counts from when the request was
// sent, less the drift bound.
func end(sent, duration time.Duration) time.Duration {
	return sent + duration - duration*DriftPercent/100
}

// remember keeps the newest requests only.
func remember(asked []ask, a ask) []ask {
	if len(asked) >= maxAsked {
		asked = asked[len(asked)-maxAsked+1:]
	}
	return append(append([]ask(nil), asked...), a)
}

// answer finds the request that a grant echoes, and drops it and older ones.
func answer(asked []ask, nonce uint64) (a ask, rest []ask, ok bool) {
	for i, q := range asked {
		if q.nonce == nonce {
			return q, asked[i+1:], true
		}
	}
	return ask{}, asked, false
}
