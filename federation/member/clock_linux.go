package member

import (
	"time"

	"golang.org/x/sys/unix"
)

// boot reads CLOCK_BOOTTIME, which goes on while the machine sleeps.
func boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Since(begun) // never on a kernel that runs Kubernetes
	}
	return time.Duration(ts.Nano())
}
