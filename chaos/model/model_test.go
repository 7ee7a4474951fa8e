package model

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var one = flag.String("configuration", "", "run only the configuration or mutant of this name, and print its trace")

var large = flag.Bool("large", false, "search the large configurations as well")

// atOnce bounds the searches that run at a time, for their memory.
var atOnce = make(chan struct{}, 2)

// search runs a configuration and prints one line about it.
func search(t *testing.T, c Configuration) Result {
	t.Helper()
	if *one != "" && c.Name != *one {
		t.Skip("another configuration was asked for")
	}
	t.Parallel()
	atOnce <- struct{}{}
	defer func() { <-atOnce }()
	began := time.Now()
	r := c.Run()
	said := "holds"
	if r.Broken != "" {
		said = fmt.Sprintf("in %d steps, %s", len(r.Trace), r.Broken)
	} else if !r.Complete {
		said = "cut off"
	}
	t.Logf("%s: %s | %d states, depth %d, %.1f s", c.Name, said, r.States, r.Depth, time.Since(began).Seconds())
	if *one != "" || r.Broken != "" && c.Breaks == "" {
		for i, l := range r.Trace {
			t.Logf("  %2d. %s", i+1, l)
		}
	}
	return r
}

// TestConfigurationsHold searches every configuration to its end.
func TestConfigurationsHold(t *testing.T) {
	for _, c := range Holds() {
		t.Run(c.Name, func(t *testing.T) {
			r := search(t, c)
			if r.Broken != "" || !r.Complete {
				t.Errorf("broken %q, searched to its end: %t", r.Broken, r.Complete)
			}
		})
	}
}

// TestLargeConfigurationsHold takes minutes and several GiB.
func TestLargeConfigurationsHold(t *testing.T) {
	if !*large {
		t.Skip("-large searches these as well")
	}
	for _, c := range Large() {
		t.Run(c.Name, func(t *testing.T) {
			if r := search(t, c); r.Broken != "" || !r.Complete {
				t.Errorf("broken %q, searched to its end: %t", r.Broken, r.Complete)
			}
		})
	}
}

// TestEveryRuleIsNeeded leaves out one rule at a time, and demands that the
// promise named with it breaks.
func TestEveryRuleIsNeeded(t *testing.T) {
	needed := Rule(0)
	for _, c := range Mutants() {
		needed |= c.Options.Without
		t.Run(c.Name, func(t *testing.T) { breaks(t, c) })
	}
	if missing := (ruleEnd - 1) &^ needed; missing != 0 {
		t.Errorf("no mutant leaves these rules out: %s", missing)
	}
}

// TestKnownLimits shows what the protocol does not give.
func TestKnownLimits(t *testing.T) {
	for _, c := range Limits() {
		t.Run(c.Name, func(t *testing.T) { breaks(t, c) })
	}
}

func breaks(t *testing.T, c Configuration) {
	r := search(t, c)
	if got, _, _ := strings.Cut(r.Broken, ":"); got != c.Breaks {
		t.Errorf("broken %q, want %s", r.Broken, c.Breaks)
	}
}
