package flytekit

import (
	"os"
	"path/filepath"
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

// refused is a case for a kind of node that is not built.
func refused(name, why string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		said := s.refusals(t, map[string]string{name: why})[name]
		if !strings.Contains(said, `of workflow "others.`+name+`" `+why) || !strings.Contains(said, "UNIMPLEMENTED") {
			t.Errorf("%q, want it refused because it %s", said, why)
		}
	}
}

// refusals registers workflows of others.py, and returns what was said of each.
func (s *suite) refusals(t *testing.T, of map[string]string) map[string]string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("testdata", "refused"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for name := range of {
		var said string
		s.driver.ask(t, "refusal", map[string]any{"folder": folder, "name": name}, &said)
		all[name] = said
	}
	return all
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
