package assemble

import (
	"context"
	"fmt"
	"time"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler"
	"github.com/skein-project/skein/scheduler/placement"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// forecaster decides again on a copy of the world as the database holds it, so
// that any replica can. It satisfies service.Forecaster.
type forecaster struct {
	config scheduler.Config
	ledger snapshot.Ledger
	fleet  snapshot.Fleet
	rounds func(ctx context.Context, older flow.RoundKey, limit int) ([]flow.Round, error)
}

// WhatIf reads the world, and decides on a changed copy of it.
func (f forecaster) WhatIf(ctx context.Context, c service.Change) (service.Forecast, error) {
	at, forecast, err := scheduler.Forecast(ctx, f.config, f.ledger, f.fleet, f.rounds, time.Now,
		placement.Change{Lose: c.Lose, Drain: c.Drain, Add: c.Add, Policies: c.Policies})
	if err != nil {
		return service.Forecast{}, err
	}
	return foretold(at, forecast), nil
}

// Remedies say what would have to change for an execution that waits.
func (f forecaster) Remedies(reasons []flow.Reason) []string { return placement.Remedies(reasons) }

func foretold(at time.Time, f placement.Forecast) service.Forecast {
	out := service.Forecast{At: at, Stranded: int64(f.Stranded)}
	for _, o := range f.Outcomes {
		out.Outcomes = append(out.Outcomes, service.Outcome(o))
	}
	for _, l := range f.Loads {
		out.Loads = append(out.Loads, service.ClusterLoad{Cluster: l.Cluster, ExecutionsBefore: l.Before.Executions, ExecutionsAfter: l.After.Executions,
			ReservedBefore: l.Before.Reservation, ReservedAfter: l.After.Reservation, Capacity: l.Capacity})
	}
	return out
}

// roundsAtOnce are read into memory together: one is a megabyte at most.
const roundsAtOnce = 16

// Replay takes stored rounds again, a few at a time.
func (f forecaster) Replay(ctx context.Context, older flow.RoundKey, limit int) (service.Replayed, error) {
	out := service.Replayed{Next: older}
	for out.Rounds < int64(limit) {
		want := min(roundsAtOnce, limit-int(out.Rounds))
		rounds, err := f.rounds(ctx, out.Next, want)
		if err != nil {
			return out, err
		}
		for _, r := range rounds {
			if err := ctx.Err(); err != nil {
				return out, err
			}
			if err := again(r, &out); err != nil {
				return out, err
			}
		}
		if len(rounds) < want {
			out.Next = flow.RoundKey{}
			return out, nil
		}
	}
	return out, nil
}

// again takes one round's decisions again, and counts them.
func again(r flow.Round, out *service.Replayed) error {
	differences, err := placement.Replay(r)
	if err != nil {
		return err
	}
	out.Rounds, out.Decisions, out.Next = out.Rounds+1, out.Decisions+int64(r.Decisions), r.Before()
	out.Different += int64(len(differences))
	for _, d := range differences[:min(len(differences), service.MaxDifferences-len(out.Differences))] {
		out.Differences = append(out.Differences, fmt.Sprintf("round %s, decision %d (%s to %q): %s", r.ID, d.Position, d.Execution, d.Cluster, d.Message))
	}
	return nil
}
