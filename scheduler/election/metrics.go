package election

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	leading  prometheus.Gauge
	epoch    prometheus.Gauge
	restored prometheus.Gauge
	out      prometheus.Gauge
	terms    *prometheus.CounterVec
}

// How a term ended: the bounded label of the terms counter.
const (
	endLost    = "lost"    // raft chose another, or this replica stops
	endFailed  = "failed"  // the work returned an error
	endRefused = "refused" // the database is older than the replicated fence, and not in REBUILD
)

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		leading: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_leading",
			Help: "1 while this replica leads a term."}),
		epoch: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_epoch",
			Help: "Number of the scheduler epoch of this replica's newest term."}),
		restored: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_restored_backup",
			Help: "1 while this replica refuses to lead, since the database is older than the replicated fence and not in REBUILD yet."}),
		out: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_scheduler_raft_log_broken",
			Help: "1 while this replica takes no part in the election, since its raft log cannot be written."}),
		terms: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "skein_scheduler_terms_total",
			Help: "Terms of this replica, by how they ended."}, []string{"end"}),
	}
	for _, end := range []string{endLost, endFailed, endRefused} {
		m.terms.WithLabelValues(end)
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.leading, m.epoch, m.restored, m.out, m.terms} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
