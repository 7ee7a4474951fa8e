package commit

import (
	"fmt"
	"hash/fnv"

	"github.com/skein-project/skein/api/flow"
)

// reported remembers the reasons of the waits that this term has written, so
// that a thousand executions that wait for an hour are written once, and not
// once a second.
type reported struct{ digests map[flow.ExecutionID]uint64 }

func newReported() *reported { return &reported{digests: map[flow.ExecutionID]uint64{}} }

// changed gives the waits whose reasons are new, and forgets the executions
// that do not wait any more.
func (r *reported) changed(waits []flow.Wait) []flow.Wait {
	var out []flow.Wait
	still := make(map[flow.ExecutionID]uint64, len(waits))
	for _, w := range waits {
		before, known := r.digests[w.Execution]
		if known {
			still[w.Execution] = before
		}
		if !known || before != digest(w.Reasons) {
			out = append(out, w)
		}
	}
	r.digests = still
	return out
}

func (r *reported) written(waits []flow.Wait) {
	for _, w := range waits {
		r.digests[w.Execution] = digest(w.Reasons)
	}
}

func digest(reasons []flow.Reason) uint64 {
	h := fnv.New64a()
	for _, r := range reasons {
		_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s\x00", r.Cluster, r.Filter, r.Message)
	}
	return h.Sum64()
}
