package capi

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// Entry is one cluster of a plain list.
type Entry struct {
	Name       string
	Kubeconfig string // a file, read when it is needed
	Labels     map[string]string
}

// List does for a plain list of kubeconfigs what a Controller does for Clusters:
// what is on it is registered and gets a member; what it registered earlier and
// is not on it any more is drained and removed. It may be empty.
type List struct {
	Options
	entries map[string]Entry
	tokens  map[string]time.Time // until when the installed one can be used
	silence silence
	now     func() time.Time
}

// NewList makes a List. Errors are Invalid and name the entry.
func NewList(entries []Entry, o Options) (*List, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	l := &List{Options: o, entries: map[string]Entry{}, tokens: map[string]time.Time{}, silence: silence{}, now: time.Now}
	for i, e := range entries {
		if _, twice := l.entries[e.Name]; twice || e.Name == "" || e.Kubeconfig == "" {
			return nil, fault.Field(fmt.Sprintf("clusters[%d]", i), "needs a name of its own and a kubeconfig, has %q and %q", e.Name, e.Kubeconfig)
		}
		l.entries[e.Name] = e
	}
	return l, nil
}

// Run keeps the data planes as the list has them until ctx ends. What fails is
// logged, and tried again after Options.Poll.
func (l *List) Run(ctx context.Context) error {
	for {
		settled := l.once(ctx)
		pause := l.Poll
		if settled {
			pause = l.Refresh
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// once looks at every cluster; settled says that nothing is under way.
func (l *List) once(ctx context.Context) (settled bool) {
	settled = true
	for _, name := range slices.Sorted(maps.Keys(l.entries)) {
		done, err := l.arrive(ctx, l.entries[name])
		if err != nil {
			l.Log.Warn("data plane not set up; tried again", "cluster", name, "error", err)
		}
		settled = settled && done && err == nil
	}
	managed, err := l.Registry.Managed(ctx, l.Name)
	if err != nil {
		l.Log.Warn("registered data planes not listed; tried again", "error", err)
		return false
	}
	for _, state := range managed {
		if _, listed := l.entries[state.Name]; listed {
			continue
		}
		gone, why, err := empty(ctx, l.Options, state.Name, state.Owner)
		l.Log.Info("data plane is not on the list", "cluster", state.Name, "state", why, "error", err)
		settled = settled && gone && err == nil
	}
	return settled
}

func (l *List) arrive(ctx context.Context, e Entry) (joined bool, err error) {
	labels, left := l.Rules.labels(e.Labels, nil)
	if len(left) > 0 {
		l.Log.Warn("labels that the control plane cannot hold were left out", "cluster", e.Name, "labels", left)
	}
	maps.Copy(labels, e.Labels) // what the list says itself needs no rule
	registration := l.Rules.registration(e.Name, Owner{By: l.Name}, labels)
	state, err := l.Registry.Ensure(ctx, registration)
	if err != nil {
		return false, fmt.Errorf("register: %w", err)
	}
	switch {
	case state.Lost, !state.Seen.IsZero() && !l.silence.lasts(state, l.now(), l.Options):
		return true, nil
	case l.now().Before(l.tokens[e.Name]):
		return false, nil
	}
	return false, l.install(ctx, e, registration)
}

func (l *List) install(ctx context.Context, e Entry, r Registration) error {
	kubeconfig, err := os.ReadFile(e.Kubeconfig)
	if err != nil {
		return fault.Wrap(fault.Precondition, err, "read the kubeconfig of %s", e.Name)
	}
	join, err := l.Registry.Token(ctx, r)
	if err != nil {
		return fmt.Errorf("make a join token: %w", err)
	}
	if err := l.Install.Install(ctx, kubeconfig, join); err != nil {
		return fmt.Errorf("install the member: %w", err)
	}
	l.tokens[e.Name] = join.Expires
	l.Log.Info("member installed", "cluster", e.Name)
	return nil
}
