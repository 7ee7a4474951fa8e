package inject

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/skein-project/skein/api/fault"
)

// Trouble is one thing that a server does to a share of what it is asked for.
type Trouble struct {
	What  string  // a word of whoever makes it
	Share float64 // above 0, at most 1
}

// Disturber stands in a link, understands what flows, and gives answers of its
// own to some of it. kubeapi and pgwire make some.
type Disturber interface {
	// Disturb adds a trouble to those under way. It is Invalid if there is none of
	// that name, or the share is none.
	Disturb(t Trouble) error
	// Calm ends all troubles.
	Calm()
	// Disturbed counts what was not answered as it would have been, since the
	// first trouble after the last calm.
	Disturbed() int64
	// Close closes the way.
	Close() error
}

// Troubles are those of one disturber, for it to embed. The zero value has
// none. They are safe for concurrent use.
type Troubles struct {
	mu   sync.Mutex
	list []Trouble
	done atomic.Int64
}

// Add begins a trouble, if it is among the known ones.
func (t *Troubles) Add(trouble Trouble, known []string) error {
	switch {
	case !slices.Contains(known, trouble.What):
		return fault.E(fault.Invalid, "there is no trouble %q here; want one of %s", trouble.What, strings.Join(known, ", "))
	case !(trouble.Share > 0 && trouble.Share <= 1):
		return fault.E(fault.Invalid, "the share of what is troubled must be above 0 and at most 1, got %v", trouble.Share)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.list) == 0 {
		t.done.Store(0)
	}
	t.list = append(t.list, trouble)
	return nil
}

// Calm ends all troubles.
func (t *Troubles) Calm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = nil
}

// Disturbed counts the draws that came to a trouble, since the first one after
// the last calm.
func (t *Troubles) Disturbed() int64 { return t.done.Load() }

// Draw says which of some troubles befalls one thing that is asked for; empty:
// none. Shares of several add up as independent draws do.
func (t *Troubles) Draw(of ...string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, trouble := range t.list {
		if slices.Contains(of, trouble.What) && rand.Float64() < trouble.Share {
			t.done.Add(1)
			return trouble.What
		}
	}
	return ""
}

// Traffic are the disturbers of one run, by the names of their links. It is
// safe for concurrent use.
type Traffic struct {
	mu   sync.Mutex
	list map[string]Disturber
}

// NewTraffic makes an empty set.
func NewTraffic() *Traffic { return &Traffic{list: map[string]Disturber{}} }

// Add puts a disturber under a link's name.
func (t *Traffic) Add(name string, d Disturber) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.list[name] != nil {
		return fault.E(fault.Conflict, "link %s is disturbed by another already", name)
	}
	t.list[name] = d
	return nil
}

// Disturb begins a trouble on all links that a pattern of path.Match matches;
// it is Invalid if none does.
func (t *Traffic) Disturb(pattern string, trouble Trouble) error {
	return t.each(pattern, func(d Disturber) error { return d.Disturb(trouble) })
}

// Calm ends all troubles of the links that a pattern matches.
func (t *Traffic) Calm(pattern string) error {
	return t.each(pattern, func(d Disturber) error { d.Calm(); return nil })
}

// Disturbed adds up what was disturbed on the links that a pattern matches.
func (t *Traffic) Disturbed(pattern string) (sum int64, err error) {
	return sum, t.each(pattern, func(d Disturber) error { sum += d.Disturbed(); return nil })
}

// Close closes all ways.
func (t *Traffic) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.list {
		_ = d.Close()
	}
	clear(t.list)
}

func (t *Traffic) each(pattern string, do func(Disturber) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	matched := false
	for name, d := range t.list {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return fault.E(fault.Invalid, "%q is no pattern of links", pattern)
		}
		if !ok {
			continue
		}
		matched = true
		if err := do(d); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	if !matched {
		return fault.E(fault.Invalid, "no link that can be disturbed matches %q", pattern)
	}
	return nil
}
