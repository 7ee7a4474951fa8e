package capi

import "time"

// silence remembers since when this process has found members silent for longer
// than their certificates live: only a new token lets those in.
type silence map[string]time.Time

// lasts reports whether a data plane's members need a new token.
func (s silence) lasts(state State, now time.Time, o Options) bool {
	if state.Healthy || state.Lost || state.Seen.IsZero() || now.Sub(state.Seen) < o.Silent {
		delete(s, state.Name)
		return false
	}
	first, known := s[state.Name]
	if !known {
		s[state.Name], first = now, now
	}
	return now.Sub(first) >= o.Patience
}
