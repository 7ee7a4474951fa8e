package controller

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/skein-project/skein/propeller/workflow"
)

var (
	steps = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_propeller_steps_total", Help: "Steps that were performed, by result."}, []string{"result"})
	stepSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "skein_propeller_step_seconds", Help: "Time from observing an execution to its status being written.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)})
	actions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_propeller_actions_total", Help: "Actions that were tried, by kind."}, []string{"kind"})
	executions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_propeller_executions_ended_total", Help: "Executions that ended, by phase."}, []string{"phase"})
	late = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_propeller_late_acts_total", Help: "Starts whose answer came after the lease had ended: something was made, or nobody knows."},
		[]string{"outcome"})
	collected = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "skein_propeller_collected_total", Help: "Tombstones that were deleted."})
)

// The registry of controller-runtime is the process's; a second propeller in
// one process, as in tests, shares these.
func init() { //nolint:gochecknoinits // a registry that is global by itself
	metrics.Registry.MustRegister(steps, stepSeconds, actions, executions, collected, late)
}

// CountLate counts a start that came back after the lease had ended.
func CountLate(made bool) {
	outcome := "unknown"
	if made {
		outcome = "made"
	}
	late.WithLabelValues(outcome).Inc()
}

func count(s workflow.Step, took time.Duration, err error) {
	if s.Empty() {
		return
	}
	stepSeconds.Observe(took.Seconds())
	if err != nil {
		steps.WithLabelValues("error").Inc()
		return
	}
	steps.WithLabelValues("ok").Inc()
	actions.WithLabelValues("start").Add(float64(len(s.Starts)))
	actions.WithLabelValues("abort").Add(float64(len(s.Aborts)))
	actions.WithLabelValues("resolve").Add(float64(len(s.Enters) + len(s.Ends)))
	if p := workflow.Phase(s.Status.Phase); p.Terminal() && s.Status.EndedAt != nil && s.Status.PhaseSequence == s.Status.Sequence {
		executions.WithLabelValues(p.String()).Inc()
	}
}
