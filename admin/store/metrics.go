package store

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	retries   *prometheus.CounterVec
	ambiguous *prometheus.CounterVec
	duration  *prometheus.HistogramVec
}

// newMetrics makes the collectors and registers them, unless registerer is
// nil. A second store of one process shares those of the first.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_admin_store_retries_total",
			Help: "Transactions run again because they lost a serialisable race, by operation.",
		}, []string{"op"}),
		ambiguous: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_admin_store_ambiguous_total",
			Help: "Commits whose answer was lost and that were read back, by operation.",
		}, []string{"op"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "skein_admin_store_operation_seconds",
			Help:    "Time of one operation on the database with all its retries, by operation and result.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"op", "result"}),
	}
	if registerer == nil {
		return m, nil
	}
	var err error
	m.retries, err = register(registerer, m.retries, err)
	m.ambiguous, err = register(registerer, m.ambiguous, err)
	m.duration, err = register(registerer, m.duration, err)
	return m, err
}

func register[C prometheus.Collector](registerer prometheus.Registerer, c C, earlier error) (C, error) {
	if earlier != nil {
		return c, earlier
	}
	err := registerer.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if known, ok := twice.ExistingCollector.(C); ok {
			return known, nil
		}
	}
	if err != nil {
		return c, fmt.Errorf("register the store's metrics: %w", err)
	}
	return c, nil
}
