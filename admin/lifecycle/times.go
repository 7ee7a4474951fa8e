package lifecycle

import "time"

// first is the first of the given times that is set.
func first(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// from is t, but not before floor: Kubernetes tells times in whole seconds, and
// what was created cannot have started before. A zero t stays zero.
func from(floor, t time.Time) time.Time {
	if t.IsZero() || !t.Before(floor) {
		return t
	}
	return floor
}
