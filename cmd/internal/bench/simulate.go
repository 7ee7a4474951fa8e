package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/skein-project/skein/scheduler/simulate"
)

// simulation plays a million executions on fifty clusters, on one core, twice:
// the second time it must decide the same.
func (b *bench) simulation(context.Context) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var wall, cpu []float64
	hash := ""
	for range 2 {
		began, used := time.Now(), cpuTime()
		r, err := simulate.Run(simulate.Default(50, 1_000_000, 1), "skein")
		if err != nil {
			return err
		}
		wall, cpu = append(wall, time.Since(began).Seconds()), append(cpu, (cpuTime()-used).Seconds())
		if r.Ended != r.Launched {
			return fmt.Errorf("%d of %d executions ended", r.Ended, r.Launched)
		}
		if hash != "" && hash != r.Hash {
			return fmt.Errorf("the same seed decided %s, then %s", hash, r.Hash)
		}
		hash = r.Hash
	}
	say("both times the decisions were %s", hash)
	return print(b.out, of("simulate_1m_executions_s", "s", wall).over("bar", 120), of("simulate_1m_executions_cpu_s", "s", cpu).over("bar", 120))
}
