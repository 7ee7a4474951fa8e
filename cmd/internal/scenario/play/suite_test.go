package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/chaos/script"
)

// theatre makes stages that only note what happens on them.
type theatre struct {
	notes []string
	n     int
	acts  map[string]func() (script.Figures, error) // by scenario; none: all is well
}

type fake struct {
	*theatre
	n int
}

func (t *theatre) begin(context.Context, script.Setup, string, string, func(string)) (stage, error) {
	t.n++
	t.notes = append(t.notes, fmt.Sprintf("begin %d", t.n))
	return fake{t, t.n}, nil
}

func (f fake) Play(_ context.Context, sc script.Scenario, _ func(string)) (script.Figures, error) {
	f.notes = append(f.notes, fmt.Sprintf("%s on %d", sc.Name, f.n))
	if act := f.acts[sc.Name]; act != nil {
		return act()
	}
	return script.Figures{Executions: 1, Ended: 1}, nil
}

func (fake) Database(context.Context) (string, error) { return "a database", nil }

func (f fake) Close() error {
	f.notes = append(f.notes, fmt.Sprintf("end %d", f.n))
	return nil
}

func scenarios(setups ...int) (out []script.Scenario) {
	for i, clusters := range setups {
		out = append(out, script.Scenario{Name: string(rune('a' + i)), About: "About it.", Setup: script.Setup{Clusters: clusters}})
	}
	return out
}

// TestAFederationIsShared by neighbours that want the same, until one breaks a
// promise; and the suite goes on.
func TestAFederationIsShared(t *testing.T) {
	stages := &theatre{acts: map[string]func() (script.Figures, error){
		"b": func() (script.Figures, error) {
			return script.Figures{Executions: 1, Lost: 1, Failed: []string{"x is lost"}}, nil
		},
		"c": func() (script.Figures, error) { return script.Figures{}, errors.New("the judge fell ill") },
	}}
	var out bytes.Buffer
	s := &suite{out: &out, begin: stages.begin}
	ok, err := brief(t.Context(), s, scenarios(1, 1, 1, 1, 2))
	if ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	want := []string{"begin 1", "a on 1", "b on 1", "end 1", "begin 2", "c on 2", "end 2", "begin 3", "d on 3", "end 3", "begin 4", "e on 4", "end 4"}
	if !slices.Equal(stages.notes, want) {
		t.Errorf("%v, want %v", stages.notes, want)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := lines[len(lines)-1]
	for _, part := range []string{`CHAOS {"scenario":"all"`, `"executions":4`, `"lost":1`, "b: x is lost", "c: it could not be played to its end: the judge fell ill"} {
		if !strings.Contains(last, part) {
			t.Errorf("the last line lacks %q: %s", part, last)
		}
	}
}

// TestAFullRunLeavesItsPage also when it is interrupted, and plays on until then.
func TestAFullRunLeavesItsPage(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stages := &theatre{acts: map[string]func() (script.Figures, error){
		"a": func() (script.Figures, error) {
			return script.Figures{Stale: 1, Failed: []string{"an event was stale"}}, nil
		},
		"c": func() (script.Figures, error) { interrupt(); return script.Figures{}, context.Canceled },
	}}
	page := filepath.Join(t.TempDir(), "page.md")
	s := &suite{options: options{time: time.Hour, page: page}, out: &bytes.Buffer{}, begin: stages.begin}
	list := scenarios(1, 1, 1, 1)
	if ok, err := full(ctx, s, list[3:], list[:3]); ok || err == nil {
		t.Errorf("%v, %v", ok, err)
	}
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"It was interrupted.", "Not played: c, d.", "- a: an event was stale", "| b | 1 | 1 |", "| database | a database |"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the page lacks %q:\n%s", want, raw)
		}
	}
	if last := stages.notes[len(stages.notes)-1]; last != "end 2" {
		t.Errorf("a federation was left running: %v", stages.notes)
	}
}

// TestAFullRunEnds when its time is over: what has begun ends, seeds run once at
// least, and what had no turn is told.
func TestAFullRunEnds(t *testing.T) {
	stages := &theatre{acts: map[string]func() (script.Figures, error){
		"a": func() (script.Figures, error) {
			time.Sleep(2 * time.Second)
			return script.Figures{Executions: 1}, nil
		},
	}}
	page := filepath.Join(t.TempDir(), "page.md")
	s := &suite{options: options{time: 2 * time.Second, page: page}, out: &bytes.Buffer{}, begin: stages.begin}
	list := scenarios(1, 1)
	if ok, err := full(t.Context(), s, list[1:], list[:1]); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	raw, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(raw), "Not played: b.") || !strings.Contains(string(raw), "| faults | 20 |") {
		t.Errorf("%v:\n%s", err, raw)
	}
}

func TestScenariosOfOneSetupFollowEachOther(t *testing.T) {
	dir := t.TempDir()
	for name, setup := range map[string]string{"a": "clusters=1", "b": "clusters=2", "c": "clusters=1"} {
		if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte("# x\nfederation "+setup+"\nmark\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := read([]string{filepath.Join(dir, "a.txt"), filepath.Join(dir, "b.txt"), filepath.Join(dir, "c.txt")})
	if err != nil {
		t.Fatal(err)
	}
	var names string
	for _, s := range list {
		names += s.Name
	}
	if names != "acb" {
		t.Error(names)
	}
}
