package simulate

import (
	"encoding/hex"
	"hash"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// measure is what a run adds up.
type measure struct {
	waits     []float32 // seconds, of executions that have started
	decisions int
	hash      hash.Hash64
	ended     int
	moves     int
	lost      time.Duration // work
	cost      float64
	first     time.Duration
	last      time.Duration // launch
	count     int

	at   time.Duration // up to which is integrated
	busy float64       // CPU seconds, until the last launch
	had  float64
	got  []float64 // by tenant: its dominant share, while it and another were backlogged
	fair []float64 // what it should have had
	sum  float64

	times []time.Duration // of the samples
	usage []float64
	every time.Duration
}

// samples of a picture.
const samples = 400

func newMeasure(w *world) *measure {
	m := &measure{hash: fnv.New64a(), got: make([]float64, len(w.tenants)), fair: make([]float64, len(w.tenants))}
	over := w.scenario.Over.D()
	if n := len(w.scenario.Recorded); n > 0 {
		over = w.scenario.Recorded[n-1].At.D()
	}
	m.every = max(over/samples, time.Second)
	return m
}

func (m *measure) launched(e *execution) {
	if m.count == 0 {
		m.first = e.at
	}
	m.count++
	m.last = e.at
}

func (m *measure) waited(d time.Duration) { m.waits = append(m.waits, float32(d.Seconds())) }
func (m *measure) lose(d time.Duration)   { m.lost += d }

// ran charges for the time on a cluster.
func (m *measure) ran(d time.Duration, rate float64, held flow.Resources) {
	m.cost += rate * d.Hours() * float64(held.MilliCPU) / 1000
}

// decided adds a placement to the hash of all decisions.
func (m *measure) decided(e *execution, now time.Duration) {
	m.decisions++
	var line [64]byte
	b := append(line[:0], e.id.Name...)
	b = strconv.AppendUint(append(b, ' '), e.epoch, 10)
	b = strconv.AppendInt(append(b, ' '), int64(e.site), 10)
	b = strconv.AppendInt(append(b, ' '), int64(now), 10)
	_, _ = m.hash.Write(append(b, '\n'))
}

// pass integrates the time since it was called last.
func (m *measure) pass(w *world) {
	dt := (w.now - m.at).Seconds()
	if dt <= 0 {
		return
	}
	m.at = w.now
	if w.now <= m.last || m.count < w.scenario.Executions && len(w.scenario.Recorded) == 0 {
		m.busy += dt * float64(w.used.MilliCPU)
		m.had += dt * float64(w.total.MilliCPU)
	}
	m.shares(w, dt)
}

// shares adds what the backlogged tenants have, against what they should have of
// it. With fewer than two there is nothing to be just about.
func (m *measure) shares(w *world, dt float64) {
	var weights, sum float64
	n := 0
	for i := range w.tenants {
		if t := &w.tenants[i]; t.waiting > 0 {
			weights += t.weight
			sum += dominant(t.used, w.total)
			n++
		}
	}
	if n < 2 || sum == 0 {
		return
	}
	m.sum += dt * sum
	for i := range w.tenants {
		if t := &w.tenants[i]; t.waiting > 0 {
			m.got[i] += dt * dominant(t.used, w.total)
			m.fair[i] += dt * sum * t.weight / weights
		}
	}
}

// dominant is the largest share of the fleet that is used.
func dominant(used, total flow.Resources) float64 {
	share := func(u, t int64) float64 {
		if t == 0 {
			return 0
		}
		return float64(u) / float64(t)
	}
	return max(share(used.MilliCPU, total.MilliCPU), share(used.Memory, total.Memory), share(used.GPUs, total.GPUs))
}

// sample notes the utilisation for the picture.
func (m *measure) sample(w *world) {
	if n := len(m.times); n > 0 && w.now-m.times[n-1] < m.every || w.total.MilliCPU == 0 {
		return
	}
	m.times = append(m.times, w.now)
	m.usage = append(m.usage, float64(w.used.MilliCPU)/float64(w.total.MilliCPU))
}

// result is what came out.
func (m *measure) result(policy string, w *world) Result {
	slices.Sort(m.waits)
	r := Result{Policy: policy, Launched: m.count, Ended: m.ended, Moves: m.moves, Cost: m.cost, Decisions: m.decisions,
		LostHours: m.lost.Hours(), Hash: hex.EncodeToString(m.hash.Sum(nil)), times: m.times, usage: m.usage, waits: m.waits}
	r.WaitP50, r.WaitP99, r.WaitMax = quantile(m.waits, 0.5), quantile(m.waits, 0.99), quantile(m.waits, 1)
	if m.had > 0 {
		r.Utilisation = m.busy / m.had
	}
	for i := range m.got {
		if m.sum > 0 {
			r.ShareError += abs(m.got[i]-m.fair[i]) / m.sum / 2
		}
	}
	r.Makespan = Duration(w.now.Round(time.Second))
	return r
}

func abs(f float64) float64 { return max(f, -f) }

// quantile of sorted values; 0 of none.
func quantile(sorted []float32, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := int(q*float64(len(sorted))+0.999999) - 1
	return float64(sorted[min(max(at, 0), len(sorted)-1)])
}
