package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// rounds has so many, and differences in every tenth.
type rounds struct {
	skeinv1.PlacementServiceClient
	stored int64
	asked  []string
}

func (r *rounds) Replay(_ context.Context, q *skeinv1.ReplayRequest, _ ...grpc.CallOption) (*skeinv1.ReplayResponse, error) {
	r.asked = append(r.asked, fmt.Sprint(q.GetBefore(), "+", q.GetLimit()))
	var from int64
	if q.GetBefore() != "" {
		fmt.Sscan(q.GetBefore(), &from)
	}
	n := min(int64(q.GetLimit()), r.stored-from)
	out := &skeinv1.ReplayResponse{Rounds: n, Decisions: 3 * n, Different: 1, Differences: []string{q.GetBefore()}}
	if from+n < r.stored {
		out.Next = fmt.Sprint(from + n)
	}
	return out, nil
}

// TestReplayAsksPageByPage, and adds up.
func TestReplayAsksPageByPage(t *testing.T) {
	for last, want := range map[int64]string{1: "+1", 100: "+100", 130: "+100 100+30", 250: "+100 100+100 200+50", 1 << 40: "+100 100+100 200+100"} {
		r := &rounds{stored: 250}
		sum, err := replayed(t.Context(), r, last)
		if err != nil || strings.Join(r.asked, " ") != want {
			t.Errorf("the last %d: asked %q, %v; want %s", last, r.asked, err, want)
		}
		if pages := int64(len(r.asked)); sum.GetRounds() != min(last, 250) || sum.GetDecisions() != 3*sum.GetRounds() || sum.GetDifferent() != pages || int64(len(sum.GetDifferences())) != pages {
			t.Errorf("the last %d: %v", last, sum)
		}
	}
}
