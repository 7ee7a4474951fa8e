//go:build !linux

package member

import "time"

// boot is for development only: it may stand still while the machine sleeps.
func boot() time.Duration { return time.Since(begun) }
