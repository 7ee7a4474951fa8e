package flytekit

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fixed inputs of a plan are not for callers.
func (s *suite) fixed(t *testing.T) {
	l := launch{Name: "greet", Plan: "textkit.greet_twice", Inputs: map[string]any{"times": 3}}
	if err := s.driver.try("run", l.full(), nil); err == nil || !strings.Contains(err.Error(), "times") {
		t.Errorf("a fixed input was overridden: %v", err)
	}
}

// overridden takes another value for a default input of a plan.
func (s *suite) overridden(t *testing.T) {
	e := s.wait(t, launch{Name: "greet", Plan: "textkit.greet_twice", Inputs: values{"name": "Bob"}})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], "hello Bob hello Bob")
}

// activation makes one version of a plan after another the active one.
func (s *suite) activation(t *testing.T) {
	const name = "textkit.workflows.growing"
	active := func() (version string) {
		s.driver.ask(t, "active", map[string]any{"name": name}, &version)
		return version
	}
	state := func(version string, active bool) {
		s.driver.ask(t, "set_plan", map[string]any{"name": name, "version": version, "active": active}, nil)
	}
	s.driver.ask(t, "copy_plan", map[string]any{"name": name, "version": "one", "into": "other"}, nil)
	want(t, "active at first", active(), "")
	state("one", true)
	want(t, "active then", active(), "one")
	state("other", true)
	want(t, "active after the other", active(), "other")
	state("one", false)
	want(t, "active after the first is stopped again", active(), "other")
	state("other", false)
	want(t, "active in the end", active(), "")
	var found struct{ Version string }
	s.driver.ask(t, "fetch", map[string]any{"kind": "launch_plan", "name": name}, &found)
	want(t, "the newest", found.Version, "other")
}

// planCommands activate a plan and list it.
func (s *suite) planCommands(t *testing.T) {
	const name = "textkit.labelled"
	out := s.must(t, s.dir, slices.Concat([]string{"launchplan"}, target, []string{"--activate", name, "one"})...)
	if !strings.Contains(out, "ACTIVE") {
		t.Errorf("activation says %q", out)
	}
	out = s.must(t, s.dir, slices.Concat([]string{"get", "launchplan"}, target, []string{name})...)
	if !regexp.MustCompile(`textkit\.labelled.*one.*\bACTIVE\b`).MatchString(out) {
		t.Errorf("the list does not show %s version one as ACTIVE:\n%s", name, out)
	}
}

// bare creates an execution without flytekit's checks, which must be refused.
func bare(plan string, inputs values, execution string, says ...string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		err := s.driver.try("create", map[string]any{"plan": plan, "version": "one", "inputs": inputs, "execution": execution}, nil)
		for _, what := range says {
			if err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("got %v, want an error with %q", err, what)
			}
		}
	}
}

// recovered asks for what is not built.
func (s *suite) recovered(t *testing.T) {
	s.greeted(t)
	out, err := s.pyflyte(t, s.dir, slices.Concat([]string{"execution"}, target, []string{"--execution-id", "greet", "recover"})...)
	if err == nil || !strings.Contains(out, "UNIMPLEMENTED") || !strings.Contains(out, "recovery") {
		t.Errorf("%v, want it refused because it is not built\n%s", err, out)
	}
}
