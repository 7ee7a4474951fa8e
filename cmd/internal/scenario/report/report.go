// Package report writes docs/chaos.md: what a full run of the scenarios came to.
//
// It is a template and what fills it. It plays nothing, judges nothing, and
// leaves nothing out: a run that was short, was interrupted, or failed says so in
// its first lines. Command play calls it. Invariant: the page names no host and
// no folder, and is wholly the old one or wholly the new one.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/skein-project/skein/chaos/check"
	"github.com/skein-project/skein/chaos/script"
)

// Whole is how long a full run takes that is not called short.
const Whole = 2 * time.Hour

// Machine is where a run took place.
type Machine struct {
	Cores      int
	Load       string // average of the minute before
	Memory     string
	System     string // operating system and architecture
	Database   string
	Kubernetes string
	Program    string // the commit that ran, or what is known of it
}

// Scenario is one scenario and the sum of all times that it was played.
type Scenario struct {
	Name, About string
	Full        bool // of full runs only
	Times       int  // 0: the run ended before its turn
	Figures     script.Figures
}

// Kind is what the simulated federation came to in one kind of worlds.
type Kind struct {
	Name       string
	Seeds      int
	Kills      int // of leaders
	Violations int
	Seen       check.Counts
}

// Run is one full run, so far.
type Run struct {
	Began          time.Time
	Planned, Spent time.Duration
	Interrupted    bool
	Machine        Machine
	Scenarios      []Scenario
	FirstSeed      uint64
	Kinds          []Kind
	Broken         []string // lines of what broke a promise in the simulated federation
}

//go:embed page.md.tmpl
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) },
	"minutes": func(d time.Duration) string {
		return strconv.FormatFloat(d.Round(6*time.Second).Minutes(), 'f', -1, 64)
	},
	"yes": func(met bool) string {
		if met {
			return "yes"
		}
		return "**no**"
	},
}).Parse(page))

// Render gives the page.
func Render(r Run) ([]byte, error) {
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, r); err != nil {
		return nil, fmt.Errorf("write the page of a full run: %w", err)
	}
	return out.Bytes(), nil
}

// Write puts the page in the place of the one before.
func Write(path string, r Run) error {
	text, err := Render(r)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".page-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // nothing is there after the rename
	if _, err := temp.Write(text); err != nil {
		_ = temp.Close()
		return err
	}
	if err := temp.Chmod(0o644); err != nil {
		_ = temp.Close()
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// Short reports whether the run was shorter than a full one.
func (r Run) Short() bool { return r.Interrupted || r.Spent < Whole*9/10 || len(r.Missing()) > 0 }

// Missing are the scenarios whose turn did not come.
func (r Run) Missing() (names []string) {
	for _, s := range r.Scenarios {
		if s.Times == 0 {
			names = append(names, s.Name)
		}
	}
	return names
}

// Played are the others.
func (r Run) Played() (list []Scenario) {
	for _, s := range r.Scenarios {
		if s.Times > 0 {
			list = append(list, s)
		}
	}
	return list
}

// Held is a bar with the scenario that was held to it, at its worst.
type Held struct {
	Scenario string
	script.Bar
	Times int
}

// Bars are all bars, each once for a scenario, with the worst of its values.
func (r Run) Bars() (list []Held) {
	for _, s := range r.Played() {
		at := map[string]int{}
		for _, b := range s.Figures.Bars {
			i, known := at[b.Figure]
			if !known {
				i = len(list)
				at[b.Figure] = i
				list = append(list, Held{Scenario: s.Name, Bar: b})
			}
			list[i].Times++
			list[i].Value = max(list[i].Value, b.Value)
		}
	}
	return list
}

// Failures are all that did not hold, scenarios first.
func (r Run) Failures() (list []string) {
	for _, s := range r.Scenarios {
		for _, why := range s.Figures.Failed {
			list = append(list, clean(s.Name+": "+why))
		}
	}
	for _, b := range r.Broken {
		list = append(list, clean("simulated federation: "+b))
	}
	return list
}

// Others are what was measured and is held to no bar, sorted by name.
func (s Scenario) Others() (list []string) {
	held := map[string]bool{}
	for _, b := range s.Figures.Bars {
		held[b.Figure] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.Figures.Measured)) {
		if !held[name] {
			list = append(list, fmt.Sprintf("`%s` %g", name, s.Figures.Measured[name]))
		}
	}
	return list
}

// folders are paths of the machine; what they were is of no use to a reader.
var folders = regexp.MustCompile(`/(?:var|tmp|root|home|work|usr)/[^\s:;,"')]*`)

// clean makes one line of an error, without the machine's paths.
func clean(text string) string {
	return folders.ReplaceAllString(strings.Join(strings.Fields(text), " "), "…")
}
