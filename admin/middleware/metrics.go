package middleware

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// metrics count RPCs by method and code. Methods come from the server's own
// registry, so their number is bounded.
type metrics struct {
	handled *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_admin_rpc_handled_total", Help: "RPCs answered, by method and gRPC code.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_admin_rpc_seconds", Help: "How long RPCs took to answer, by method.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, []string{"method"}),
	}
	if r != nil {
		r.MustRegister(m.handled, m.seconds)
	}
	return m
}

func (m *metrics) observe(method string, code codes.Code, took time.Duration) {
	method = strings.TrimPrefix(method, "/")
	m.handled.WithLabelValues(method, code.String()).Inc()
	m.seconds.WithLabelValues(method).Observe(took.Seconds())
}
