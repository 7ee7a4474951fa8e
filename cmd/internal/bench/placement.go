package main

import (
	"context"
	"syscall"
	"time"

	"github.com/skein-project/skein/scheduler/placement/fleettest"
)

// The bars of placement, in decisions a second on one core.
const (
	barStandard = 50_000
	barDistinct = 1_000
)

// placement measures decisions, in this process and on one core: of the standard
// world, and of one in which no two executions ask the same. The figures per
// second of CPU are what the others come to on an idle machine.
func (b *bench) placement(context.Context) error {
	for _, one := range []struct {
		name   string
		shape  fleettest.Shape
		bar    float64
		rounds int
	}{
		{"placement_decisions", fleettest.Standard(), barStandard, b.rounds},
		{"placement_decisions_distinct", fleettest.Distinct(100_000), barDistinct, 1},
	} {
		if err := forgetPeak(); err != nil {
			return err
		}
		var wall, cpu []float64
		for range one.rounds {
			f, used := measured(one.shape)
			wall = append(wall, f.PerSecond)
			cpu = append(cpu, f.PerSecond*f.Took.Seconds()/used.Seconds())
		}
		peak, err := kilobytes("/proc/self/status", "VmHWM:")
		if err != nil {
			return err
		}
		if err := print(b.out, of(one.name+"_per_s", "1/s", wall).over("bar", one.bar), of(one.name+"_per_cpu_s", "1/s", cpu).over("bar", one.bar),
			of(one.name+"_peak_rss_mb", "MB", []float64{peak}).over("bar", 1024)); err != nil {
			return err
		}
	}
	return nil
}

// measured decides a world, and tells the CPU time that the decision took.
func measured(s fleettest.Shape) (fleettest.Figure, time.Duration) {
	v := fleettest.View(s)
	before := cpuTime()
	f := fleettest.Measure(s, v)
	return f, cpuTime() - before
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
