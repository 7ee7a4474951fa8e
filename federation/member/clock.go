package member

import (
	"time"

	"github.com/skein-project/skein/federation/session"
)

// Clock reads the machine's clocks.
type Clock interface{ Now() session.Clock }

var begun = time.Now()

type systemClock struct{}

func (systemClock) Now() session.Clock {
	return session.Clock{Boot: boot(), Wall: time.Duration(time.Now().UnixNano())}
}
