package assemble

import (
	"context"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/fault"
)

// forecaster decides again on a copy of the world. It satisfies
// service.Forecaster.
type forecaster struct{}

// WhatIf is not built yet.
func (forecaster) WhatIf(context.Context, service.Change) (service.Forecast, error) {
	return service.Forecast{}, fault.E(fault.Unsupported, "forecasts are not built yet")
}

// Replay is not built yet.
func (forecaster) Replay(context.Context, int) (service.Replayed, error) {
	return service.Replayed{}, fault.E(fault.Unsupported, "replays are not built yet")
}
