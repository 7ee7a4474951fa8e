package session

import (
	"time"

	"github.com/skein-project/skein/api/mutant"
)

// Clock is one reading of the two clocks of a machine.
type Clock struct {
	Boot time.Duration // CLOCK_BOOTTIME: since boot, sleep included
	Wall time.Duration // since the Unix epoch
}

// Later is the reading d later, on both clocks.
func (c Clock) Later(d time.Duration) Clock { return Clock{Boot: c.Boot + d, Wall: c.Wall + d} }

// WallStep is how far the wall clock may run away from the boot clock between
// two readings before that counts as a step. Slewing (500 ppm) stays far below.
const WallStep = time.Second

// stepped reports whether the wall clock was set between two readings.
func stepped(from, to Clock) bool {
	if mutant.On("wall-clock-lease") {
		return false
	}
	d := (to.Wall - from.Wall) - (to.Boot - from.Boot)
	return d > WallStep || d < -WallStep
}

// lease is the clock by which leases end: not the one that people set.
func (c Clock) lease() time.Duration {
	if mutant.On("wall-clock-lease") {
		return c.Wall
	}
	return c.Boot
}
