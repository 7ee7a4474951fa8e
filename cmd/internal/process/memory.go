package process

import (
	"os"
	"runtime/debug"
)

// gcPercent lets the heap grow to three times what lives in it before it is
// collected: our processes hold some tens of MB, and spent a quarter of their
// CPU on collecting at Go's default of 100.
const gcPercent = 200

// lessCollection sets it, unless the operator's GOGC says otherwise; GOMEMLIMIT
// bounds memory all the same.
func lessCollection() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
