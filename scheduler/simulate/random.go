package simulate

import "math"

// random is a stream of numbers that depends on its seed alone (splitmix64).
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit is above 0 and at most 1.
func (r *random) unit() float64 { return (float64(r.next()>>11) + 1) / (1 << 53) }

// exponential has mean 1.
func (r *random) exponential() float64 { return -math.Log(r.unit()) }

// normal has mean 0 and deviation 1.
func (r *random) normal() float64 {
	return math.Sqrt(-2*math.Log(r.unit())) * math.Cos(2*math.Pi*r.unit())
}

// pick gives an index, each as likely as its part of the sum.
func (r *random) pick(parts []float64) int {
	var sum float64
	for _, p := range parts {
		sum += p
	}
	at := r.unit() * sum
	for i, p := range parts {
		if at -= p; at <= 0 {
			return i
		}
	}
	return len(parts) - 1
}

// of draws from a distribution of lengths, in seconds.
func (s Spread) of(r *random) float64 {
	mean := s.Mean.D().Seconds()
	switch s.Shape {
	case "fixed":
		return mean
	case "lognormal":
		return mean * math.Exp(s.Sigma*r.normal()-s.Sigma*s.Sigma/2)
	}
	return mean * r.exponential()
}

// rate is that of launches at a moment, over the mean.
func (a Arrivals) rate(seconds float64) float64 {
	every := a.Every.D().Seconds()
	switch a.Shape {
	case "bursts":
		within := a.Length.D().Seconds() / every
		between := 1 / (1 - within + within*a.Factor)
		if math.Mod(seconds, every) < a.Length.D().Seconds() {
			return between * a.Factor
		}
		return between
	case "daily":
		if every == 0 {
			every = 86_400
		}
		peak := a.Factor
		if peak == 0 {
			peak = 1.8
		}
		return 1 - (peak-1)*math.Cos(2*math.Pi*seconds/every)
	}
	return 1
}

// highest bounds the rate.
func (a Arrivals) highest() float64 {
	switch a.Shape {
	case "bursts":
		return a.rate(0)
	case "daily":
		return 2
	}
	return 1
}
