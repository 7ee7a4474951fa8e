// Package inject puts every link between real processes through a proxy, and
// makes the links fail: cut, black hole, one-way, slow.
//
// It knows names and addresses, not what flows; the proxies are toxiproxy's, in
// this process. It signals no process and decides on no scenario: chaos/script
// does. Invariant: after Heal, a link carries everything again.
package inject

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/skein-project/skein/api/fault"
)

// Kind is how a link fails.
type Kind string

// How links fail. Up is from who dials to who is dialled.
const (
	Cut  Kind = "cut"  // connections are closed, and new ones refused
	Hole Kind = "hole" // connections stay, and nothing arrives on either side
	Up   Kind = "up"   // nothing arrives at who is dialled; answers still do: half-open
	Down Kind = "down" // nothing arrives at who dials; requests still do
	Slow Kind = "slow" // everything arrives late, by Fault.Delay ± Fault.Jitter
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{Cut, Hole, Up, Down, Slow} }

// Fault is what a link is made to do.
type Fault struct {
	Kind          Kind
	Delay, Jitter time.Duration // of Slow
}

// Links are the links of one run. They are safe for concurrent use.
type Links struct {
	server *toxiproxy.ApiServer // holds what proxies share; it does not listen

	mu   sync.Mutex
	list map[string]*toxiproxy.Proxy
}

// New makes an empty set of links.
func New() *Links {
	return &Links{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.New(io.Discard)),
		list: map[string]*toxiproxy.Proxy{}}
}

// Through makes a link of that name to an address, and gives the address by
// which to reach it. The same name gives the same link.
func (l *Links) Through(name, to string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.list[name]; p != nil {
		if p.Upstream != to {
			return "", fault.E(fault.Conflict, "link %s leads to %s, not to %s", name, p.Upstream, to)
		}
		return p.Listen, nil
	}
	p := toxiproxy.NewProxy(l.server, name, "127.0.0.1:0", to)
	if err := p.Start(); err != nil {
		return "", fmt.Errorf("open link %s: %w", name, err)
	}
	l.list[name] = p
	return p.Listen, nil
}

// Names are the names of all links that a pattern of path.Match matches, sorted.
func (l *Links) Names(pattern string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for name := range l.list {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return nil, fault.E(fault.Invalid, "%q is no pattern of links", pattern)
		}
		if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Do makes all links that match a pattern fail; it is Invalid if none does.
func (l *Links) Do(pattern string, f Fault) error {
	return l.each(pattern, func(p *toxiproxy.Proxy) error { return apply(p, f) })
}

// Heal undoes all faults of the links that match a pattern. Connections that
// were black holes are closed: what they lost must not seem to have arrived.
func (l *Links) Heal(pattern string) error { return l.each(pattern, heal) }

// Close closes all links.
func (l *Links) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.list {
		p.Stop()
	}
	clear(l.list)
}

func (l *Links) each(pattern string, do func(*toxiproxy.Proxy) error) error {
	names, err := l.Names(pattern)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fault.E(fault.Invalid, "no link matches %q", pattern)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		if err := do(l.list[name]); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return nil
}

func apply(p *toxiproxy.Proxy, f Fault) error {
	switch f.Kind {
	case Cut:
		p.Stop()
		return nil
	case Hole:
		if err := poison(p, "upstream", "timeout", map[string]int64{"timeout": 0}); err != nil {
			return err
		}
		return poison(p, "downstream", "timeout", map[string]int64{"timeout": 0})
	case Up:
		return poison(p, "upstream", "timeout", map[string]int64{"timeout": 0})
	case Down:
		return poison(p, "downstream", "timeout", map[string]int64{"timeout": 0})
	case Slow:
		return poison(p, "downstream", "latency", map[string]int64{"latency": f.Delay.Milliseconds(), "jitter": f.Jitter.Milliseconds()})
	}
	return fault.E(fault.Invalid, "a link cannot %q: want one of %v", f.Kind, Kinds())
}

func poison(p *toxiproxy.Proxy, stream, kind string, attributes map[string]int64) error {
	raw, err := json.Marshal(map[string]any{"name": kind + "-" + stream, "type": kind, "stream": stream, "attributes": attributes})
	if err != nil {
		return err
	}
	if _, err = p.Toxics.AddToxicJson(bytes.NewReader(raw)); err == nil || err.Error() == toxiproxy.ErrToxicAlreadyExists.Error() {
		return nil
	}
	return err
}

// heal starts the proxy anew: all its connections are closed, and its toxics go
// with them.
func heal(p *toxiproxy.Proxy) error {
	p.Stop()
	for _, t := range p.Toxics.GetToxicArray() {
		raw, err := json.Marshal(t)
		if err != nil {
			return err
		}
		var named struct{ Name string }
		if err := json.Unmarshal(raw, &named); err != nil {
			return err
		}
		if err := p.Toxics.RemoveToxic(context.Background(), named.Name); err != nil {
			return err
		}
	}
	return p.Start()
}
