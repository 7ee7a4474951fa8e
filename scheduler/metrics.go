package scheduler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

type metrics struct {
	cycle    prometheus.Histogram
	age      prometheus.Histogram
	placed   prometheus.Counter
	leases   prometheus.Counter
	failed   prometheus.Counter
	moves    *prometheus.CounterVec
	doubt    prometheus.Gauge
	pending  prometheus.Gauge
	waiting  prometheus.Gauge
	clusters *prometheus.GaugeVec
	rebuild  prometheus.Gauge
	awaited  prometheus.Gauge
}

var healths = []flow.Health{flow.HealthUnknown, flow.HealthHealthy, flow.HealthSuspect, flow.HealthLapsed, flow.HealthLost}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	buckets := prometheus.ExponentialBuckets(0.001, 2, 14)
	m := &metrics{
		cycle: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "skein_scheduler_cycle_seconds",
			Help: "Time of one cycle: gather, decide, commit.", Buckets: buckets}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "skein_scheduler_placement_wait_seconds",
			Help: "From an execution's creation to its placement.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 18)}),
		placed: prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_scheduler_placements_total",
			Help: "Placements committed by this replica."}),
		leases: prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_scheduler_leases_total",
			Help: "Leases recorded and granted by this replica."}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_scheduler_gather_errors_total",
			Help: "Cycles that ended early, since the database could not be read."}),
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "skein_scheduler_moves_total",
			Help: "Executions taken from a cluster by this replica, by why."}, []string{"kind"}),
		doubt: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_doubt",
			Help: "1 while nothing is taken from lapsed clusters, since more than half of them lapsed at once."}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_pending_executions",
			Help: "Executions that waited for a cluster when the last cycle began."}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_waiting_executions",
			Help: "Executions that no cluster could take in the last cycle."}),
		rebuild: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_rebuild",
			Help: "1 while nothing is placed, since a restored backup is rebuilt."}),
		awaited: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_rebuild_waiting_clusters",
			Help: "Clusters that have not said yet what they hold, while a restored backup is rebuilt."}),
		clusters: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "skein_scheduler_clusters",
			Help: "Clusters by health, as judged in the last cycle."}, []string{"health"}),
	}
	for _, k := range []flow.MoveKind{flow.MoveLapse, flow.MoveLost, flow.MoveDrain, flow.MoveTaint, flow.MovePreempt} {
		m.moves.WithLabelValues(string(k))
	}
	m.idle()
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.cycle, m.age, m.placed, m.leases, m.failed, m.moves, m.doubt, m.pending, m.waiting, m.clusters, m.rebuild, m.awaited} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// idle resets what only a leader can know.
func (m *metrics) idle() {
	m.pending.Set(0)
	m.waiting.Set(0)
	m.doubt.Set(0)
	m.rebuilds(false, 0)
	for _, h := range healths {
		m.clusters.WithLabelValues(string(h)).Set(0)
	}
}

// rebuilds says whether a REBUILD lasts, and for how many clusters it waits.
func (m *metrics) rebuilds(lasts bool, waiting int) {
	m.rebuild.Set(0)
	if lasts {
		m.rebuild.Set(1)
	}
	m.awaited.Set(float64(waiting))
}

func (m *metrics) saw(v placement.View, p placement.Plan, took time.Duration) {
	m.cycle.Observe(took.Seconds())
	m.pending.Set(float64(len(v.Pending)))
	m.waiting.Set(float64(len(p.Waits)))
	count := map[flow.Health]int{}
	for _, c := range v.Clusters {
		count[c.Health]++
	}
	for _, h := range healths {
		m.clusters.WithLabelValues(string(h)).Set(float64(count[h]))
	}
}
