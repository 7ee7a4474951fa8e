package hub

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	sessions    prometheus.Gauge
	assignments *prometheus.CounterVec
	events      *prometheus.CounterVec
	leases      prometheus.Counter
	nacks       prometheus.Counter
	beats       *prometheus.CounterVec
	joins       *prometheus.CounterVec
	ingest      prometheus.Histogram
	rebuild     prometheus.Gauge
}

func (m *metrics) rebuilding(is bool) {
	m.rebuild.Set(0)
	if is {
		m.rebuild.Set(1)
	}
}

func newMetrics(r prometheus.Registerer) *metrics {
	name := func(n string) string { return "skein_federation_hub_" + n }
	vec := func(n, help, label string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name(n), Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	m := &metrics{
		sessions:    prometheus.NewGauge(prometheus.GaugeOpts{Name: name("sessions"), Help: "Sessions that this hub holds."}),
		assignments: vec("assignments_total", "Assignments sent.", "desired", "run", "abort", "gone"),
		events:      vec("events_total", "Events taken in.", "result", "accepted", "refused"),
		leases:      prometheus.NewCounter(prometheus.CounterOpts{Name: name("leases_total"), Help: "Leases sent."}),
		nacks:       prometheus.NewCounter(prometheus.CounterOpts{Name: name("nacks_total"), Help: "Assignments that members could not apply yet."}),
		beats:       vec("beats_total", "Beats to the leader.", "result", "ok", "failed"),
		joins:       vec("joins_total", "Join tokens shown.", "result", "ok", "refused"),
		ingest:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: name("ingest_seconds"), Help: "Time to commit a batch of events.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		rebuild:     prometheus.NewGauge(prometheus.GaugeOpts{Name: name("rebuild"), Help: "1 while a restored backup is rebuilt: members are only asked what they hold."}),
	}
	if r != nil {
		r.MustRegister(m.sessions, m.assignments, m.events, m.leases, m.nacks, m.beats, m.joins, m.ingest, m.rebuild)
	}
	return m
}
