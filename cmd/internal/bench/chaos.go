package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/scenario"
)

// What a lost cluster and a lost leader may cost; lease × (1 + drift) + margin +
// 5 s is the first.
const (
	failoverBar  = 17_200 // ms, with a lease of 10 s and a margin of 2 s
	leaderGapBar = 4_000  // ms
	transferBar  = 500    // ms
)

// disaster is a short form of chaos/testdata/full: what those hold to bars on
// more work and more often, this shows beside the other figures.
const disaster = `
federation clusters=4 lease=10s
launch 600 tasks=1 every=100ms
pause 2s
repeat 7
  kill leader
  pause 3s
  start leader
  pause 2s
end
repeat 5
  transfer
  pause 2s
end
gap leader
gap transfer
ended within=2m
launch 120 seconds=10 every=25ms
wait running 120
lose c1
failover c1
heal c1/hub-*
health c1 Healthy
clean c1
ended within=3m
`

// chaos plays the disaster on a federation of its own.
func (b *bench) chaos(ctx context.Context) (err error) {
	s, err := script.Parse("bench", []byte(disaster))
	if err != nil {
		return err
	}
	state, err := stateFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	w, err := scenario.Start(ctx, s.Setup, state, b.bin, func(what string) { say("starting: %s", what) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	f, err := script.Run(ctx, s, w.Ports(func(step string) { say("%s", step) }))
	if err != nil {
		return err
	}
	if !f.OK() {
		return fmt.Errorf("promises were broken, so that no figure counts: %s", strings.Join(f.Failed, "; "))
	}
	worst := func(name string, n int, bar float64) figure {
		one := of(name, "ms", []float64{f.Measured[name]}).over("bar", bar)
		one.N = n
		return one
	}
	return print(b.out,
		worst("failover_max_ms", int(f.Measured["failover_executions"]), failoverBar), worst("failover_p50_ms", int(f.Measured["failover_executions"]), failoverBar),
		worst("leader_gap_max_ms", 7, leaderGapBar), worst("leader_gap_p50_ms", 7, 1500), worst("transfer_gap_max_ms", 5, transferBar))
}
