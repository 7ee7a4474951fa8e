package scheduler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/health"
	"github.com/skein-project/skein/scheduler/placement"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// forecastLive bounds the placements of the clusters of one forecast.
const forecastLive = 100_000

// Forecast decides on a copy of the world as the database holds it now, changed
// as asked. Any replica can: health and leases are those that the leader has
// recorded, since only its own memory knows them by the moment. Errors are the
// ports'. rounds says where workflows ran lately; nil: nothing is known of that.
func Forecast(ctx context.Context, cfg Config, ledger snapshot.Ledger, fleet snapshot.Fleet, rounds Rounds, now func() time.Time,
	c placement.Change) (at time.Time, f placement.Forecast, err error) {
	g := &snapshot.Gatherer{Ledger: ledger, Fleet: fleet, Live: func() map[flow.Member]health.Liveness { return nil },
		Since: now(), Health: cfg.Health, Policy: cfg.Policy, Limits: cfg.Limits, Version: cfg.Version, Limit: cfg.PendingLimit, Now: now}
	sight, err := g.Look(ctx)
	if err != nil {
		return at, f, err
	}
	if err := recordedHealth(ctx, fleet, sight); err != nil {
		return at, f, err
	}
	view, err := g.Gather(ctx, sight)
	if err != nil {
		return at, f, err
	}
	live, err := g.Held(ctx, append(slices.Clone(c.Lose), c.Drain...), forecastLive)
	if err != nil {
		return at, f, err
	}
	if err := g.Require(ctx, &view, live); err != nil {
		return at, f, err
	}
	var recent snapshot.Recent
	if err := recall(ctx, &recent, rounds); err != nil {
		return at, f, err
	}
	recent.Fill(&view)
	return view.Now, placement.WhatIf(view, live, c), nil
}

// recordedHealth takes health and leases as the leader recorded them.
func recordedHealth(ctx context.Context, fleet snapshot.Fleet, s snapshot.Sight) error {
	rows, err := fleet.ListMembers(ctx, "")
	if err != nil {
		return fmt.Errorf("list members: %w", err)
	}
	leased := map[string]bool{}
	for _, m := range rows {
		leased[m.Cluster] = leased[m.Cluster] || m.LeaseExpiresAt.After(s.Now) && !m.Revoked
	}
	for i := range s.Clusters {
		one := &s.Clusters[i]
		one.Health = one.Recorded
		one.Leased, one.Heard = leased[one.Name], one.Recorded == flow.HealthHealthy
	}
	return nil
}
