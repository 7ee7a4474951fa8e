package flytekit

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// registered registers the project, on which all other cases stand.
func (s *suite) registered(t *testing.T) {
	if out, err := s.register(t, s.one, "one"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// editions runs two at the same time: each task waits for the other's mark.
func (s *suite) editions(t *testing.T) {
	if out, err := s.register(t, s.two, "two"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	folder := s.shared(t)
	var both sync.WaitGroup
	for _, version := range []string{"one", "two"} {
		both.Go(func() {
			var e execution
			l := launch{Name: "which", Version: version, Inputs: map[string]any{"folder": folder, "count": 2}}
			if err := s.driver.try("run", l.full(), &e); err != nil {
				t.Error(err)
				return
			}
			want(t, "phase "+e.Error, e.Phase, "SUCCEEDED")
			want(t, "edition", e.Outputs["o0"], version)
		})
	}
	both.Wait()
}

// again registers the same in the same version.
func (s *suite) again(t *testing.T) {
	if out, err := s.register(t, s.one, "one"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// changed registers other code in the same version: the archive of the code
// has another address, so the tasks differ.
func (s *suite) changed(t *testing.T) {
	out, err := s.register(t, s.two, "one")
	if err == nil || !strings.Contains(out, "different structure") {
		t.Errorf("%v, want it refused for its different structure\n%s", err, out)
	}
}

// refused registers nodes of each kind that is not built.
func (s *suite) refused(t *testing.T) {
	kinds := map[string]string{
		"mapped": "is an array node", "approved": "is a gate node", "asked": "is a gate node", "slept": "is a gate node",
		"parent": "is a launch-plan node",
	}
	said := s.refusals(t, kinds)
	for name, kind := range kinds {
		if !strings.Contains(said[name], `of workflow "others.`+name+`" `+kind) || !strings.Contains(said[name], "UNIMPLEMENTED") {
			t.Errorf("%s: %q, want it refused because it %s", name, said[name], kind)
		}
	}
}

// refusals registers workflows of others.py, and returns what was said of each.
func (s *suite) refusals(t *testing.T, of map[string]string) (said map[string]string) {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("testdata", "refused"))
	if err != nil {
		t.Fatal(err)
	}
	s.driver.ask(t, "refusals", map[string]any{"folder": folder, "names": slices.Sorted(maps.Keys(of))}, &said)
	return said
}

// untouched looks for traces of the project where tasks and clients live.
func (s *suite) untouched(t *testing.T) {
	homes := []string{s.home, "/root"} // where "pyflyte register" tells tasks to put their code
	if home, err := os.UserHomeDir(); err == nil {
		homes = append(homes, home)
	}
	for _, home := range homes {
		if _, err := os.Lstat(filepath.Join(home, "textkit")); err == nil {
			t.Errorf("textkit was written into %s", home)
		}
	}
	left, err := os.ReadDir(s.home)
	if err != nil || len(left) > 0 {
		t.Errorf("the client's home has %v (%v), want nothing", left, err)
	}
}
