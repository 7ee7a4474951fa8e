package script

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/inject"
)

// troubles are what servers seem to do, while their links are whole.
var troubles = map[string]verb{
	"disturb":   {2, []string{"share"}, disturb},
	"calm":      {1, nil, func(_ context.Context, r *run, s Step) error { return r.Traffic.Calm(s.Args[0]) }},
	"disturbed": {2, []string{"within"}, disturbed},
	"succeeded": {0, []string{"within"}, succeeded},
}

// disturb begins a trouble on links, of a share of what flows; all by default.
func disturb(_ context.Context, r *run, s Step) error {
	share, err := strconv.ParseFloat(cmp.Or(s.Set["share"], "1"), 64)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "share")
	}
	return r.Traffic.Disturb(s.Args[0], inject.Trouble{What: s.Args[1], Share: share})
}

// disturbed waits until so much was disturbed: a scenario without that shows
// nothing.
func disturbed(ctx context.Context, r *run, s Step) error {
	want, err := s.count(1)
	if err != nil {
		return err
	}
	return until(ctx, s.duration("within", patience), func() (bool, error) {
		have, err := r.Traffic.Disturbed(s.Args[0])
		if err == nil && have < int64(want) {
			err = fmt.Errorf("%d were disturbed", have)
		}
		return err == nil, err
	})
}

// succeeded waits until all that was launched has ended, and demands that no
// trouble of a server was taken for one of the work.
func succeeded(ctx context.Context, r *run, s Step) error {
	if err := allEnded(ctx, r, s); err != nil {
		return err
	}
	seen, err := r.executions(ctx)
	for _, x := range seen {
		if x.Phase != flow.ExecutionSucceeded {
			return fmt.Errorf("%s is %s", x.Name, x.Phase)
		}
	}
	return err
}
