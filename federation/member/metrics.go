package member

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	stage    prometheus.Gauge
	sessions prometheus.Counter
	applied  *prometheus.CounterVec
	ignored  *prometheus.CounterVec
	events   *prometheus.CounterVec
	stopped  prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	name := func(n string) string { return "skein_federation_member_" + n }
	vec := func(n, help, label string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name(n), Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	m := &metrics{
		stage:    prometheus.NewGauge(prometheus.GaugeOpts{Name: name("stage"), Help: "Stage of the session: 0 none, 4 live."}),
		sessions: prometheus.NewCounter(prometheus.CounterOpts{Name: name("sessions_ended_total"), Help: "Sessions and attempts at one that ended."}),
		applied:  vec("assignments_total", "Assignments that were carried out.", "result", "ok", "failed", "draining"),
		ignored:  vec("assignments_ignored_total", "Assignments that were too old.", "reason", "older revision", "older epoch", "older ownership revision"),
		events:   vec("events_total", "Events that were acked.", "result", "accepted", "refused"),
		stopped:  prometheus.NewCounter(prometheus.CounterOpts{Name: name("stopped_total"), Help: "FlyteWorkflows stopped because they are not owned."}),
	}
	if r != nil {
		r.MustRegister(m.stage, m.sessions, m.applied, m.ignored, m.events, m.stopped)
	}
	return m
}
