package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// What a tour may name, and how it writes it.
var (
	symbolLink  = regexp.MustCompile("\\[`([^`]+)`\\]\\(([^)#]+\\.go)\\)")
	spanNamed   = regexp.MustCompile("\\bspan\\s`([^`]+)`")
	logNamed    = regexp.MustCompile(`\blog\s"([^"]+)"`)
	metricNamed = regexp.MustCompile("`(skein_[a-z_]+)`")
	tableNamed  = regexp.MustCompile("\\btables?\\s(`\\w+`(?:(?:,|\\sand)\\s`\\w+`)*)")
	invariant   = regexp.MustCompile(`\b(I[0-9]+)\b`)
)

// guide is a page that follows the code, and what it is held against.
type guide struct {
	name, text string
	files      map[string]string // Go files by path, without tests
	migrations string
	invariants string
}

// stale lists what the guide names and the code does not have, by line.
func (g guide) stale() []string {
	var found []string
	check := func(pattern *regexp.Regexp, problem func(m []string) string) {
		for _, at := range pattern.FindAllStringSubmatchIndex(g.text, -1) {
			m := pattern.FindStringSubmatch(g.text[at[0]:at[1]])
			if p := problem(m); p != "" {
				found = append(found, fmt.Sprintf("%s:%d: %s", g.name, 1+strings.Count(g.text[:at[2]], "\n"), p))
			}
		}
	}
	check(symbolLink, g.symbol)
	check(spanNamed, func(m []string) string { return g.said("span", m[1]) })
	check(logNamed, func(m []string) string { return g.said("log", m[1]) })
	check(metricNamed, func(m []string) string { return g.said("metric", m[1]) })
	check(tableNamed, g.tables)
	check(invariant, func(m []string) string {
		if !strings.Contains(g.invariants, "\n| "+m[1]+" | ") || strings.Contains(g.invariants, "\n| "+m[1]+" | (with the") {
			return "docs/invariants.md has no " + m[1] + " that holds"
		}
		return ""
	})
	return found
}

func (g guide) symbol(m []string) string {
	file := path.Join(path.Dir(g.name), m[2])
	if text, there := g.files[file]; !there {
		return "there is no " + file
	} else if !symbols(text)[m[1]] {
		return file + " declares no " + m[1]
	}
	return ""
}

func (g guide) said(what, text string) string {
	if g.written(text) {
		return ""
	}
	return "no code has the " + what + " " + text
}

func (g guide) tables(m []string) string {
	for _, table := range quoted.FindAllStringSubmatch(m[1], -1) {
		if !strings.Contains(g.migrations, "CREATE TABLE IF NOT EXISTS "+table[1]+" (") {
			return "no migration makes the table " + table[1]
		}
	}
	return ""
}

// written reports whether some file has the text as a string of its own: as a
// whole, as a gRPC method, or put together of a prefix and the rest.
func (g guide) written(text string) bool {
	has := func(s string) bool {
		for _, file := range g.files {
			if strings.Contains(file, s) {
				return true
			}
		}
		return false
	}
	if has(`"`+text+`"`) || has(`"/`+text+`"`) {
		return true
	}
	for i, r := range text {
		if (r == '_' || r == '.') && has(`"`+text[:i+1]+`"`) && has(`"`+text[i+1:]+`"`) {
			return true
		}
	}
	return false
}

// symbols are what a file declares: Name, and Type.Name for methods, fields
// and what interfaces demand.
func symbols(text string) map[string]bool {
	out := map[string]bool{}
	file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	if err != nil {
		return out
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			out[receiver(d)+d.Name.Name] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				declared(spec, out)
			}
		}
	}
	return out
}

// receiver is "Type." of a method, and empty for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) != 1 {
		return ""
	}
	name := ""
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name + "."
		}
		return name == ""
	})
	return name
}

func declared(spec ast.Spec, out map[string]bool) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, id := range spec.Names {
			out[id.Name] = true
		}
	case *ast.TypeSpec:
		out[spec.Name.Name] = true
		var fields *ast.FieldList
		switch t := spec.Type.(type) {
		case *ast.StructType:
			fields = t.Fields
		case *ast.InterfaceType:
			fields = t.Methods
		default:
			return
		}
		for _, f := range fields.List {
			for _, id := range f.Names {
				out[spec.Name.Name+"."+id.Name] = true
			}
		}
	}
}

// TestTour holds docs/tour.md to the code that it walks through.
func TestTour(t *testing.T) {
	g := guide{name: "docs/tour.md", text: read(t, "docs/tour.md"), files: map[string]string{}, invariants: read(t, "docs/invariants.md")}
	goFiles(t, func(rel, text string) {
		if !strings.HasSuffix(rel, "_test.go") {
			g.files[rel] = text
		}
	})
	for _, m := range everyMigration(t) {
		g.migrations += m
	}
	for _, problem := range g.stale() {
		t.Error(problem)
	}
	if n := len(symbolLink.FindAllString(g.text, -1)); n < 50 {
		t.Errorf("the tour names only %d symbols: the pattern is wrong", n)
	}
	for _, stop := range []string{"admin/service", "admin/compile", "admin/store", "scheduler/snapshot", "scheduler/placement", "scheduler/commit",
		"federation/hub", "federation/member", "propeller/observe", "propeller/workflow", "propeller/act", "plugins", "admin/ingest", "admin/lifecycle"} {
		if !strings.Contains(g.text, "](../"+stop+"/") {
			t.Errorf("the tour passes %s by", stop)
		}
	}
}

// TestAStaleTourIsNoticed plants one mistake of each kind.
func TestAStaleTourIsNoticed(t *testing.T) {
	code := "package p\n\ntype T[X any] struct{ F int }\n\ntype I interface{ M() }\n\nfunc (t *T[X]) Do() { start(\"a.b\"); name(\"skein_p_\" + \"x\") }\n\nfunc Go() {}\n\nvar V = \"said\"\n"
	good := "[`T`](../p/a.go) [`T.F`](../p/a.go) [`T.Do`](../p/a.go) [`I.M`](../p/a.go) [`Go`](../p/a.go) [`V`](../p/a.go), span `a.b`, metric `skein_p_x`, log \"said\", table `rows`, (I1)"
	for _, c := range []struct{ name, line, want string }{
		{"a symbol that was renamed", "[`Gone`](../p/a.go)", "docs/x.md:2: p/a.go declares no Gone"},
		{"a method of another type", "[`I.Do`](../p/a.go)", "docs/x.md:2: p/a.go declares no I.Do"},
		{"a method without its type", "[`Do`](../p/a.go)", "docs/x.md:2: p/a.go declares no Do"},
		{"a file that was moved", "[`T`](../p/b.go)", "docs/x.md:2: there is no p/b.go"},
		{"a span that is not begun", "span `a.c`", "docs/x.md:2: no code has the span a.c"},
		{"a metric that is not counted", "metric `skein_p_y`", "docs/x.md:2: no code has the metric skein_p_y"},
		{"a span on the next line", "span\n`a.c`", "docs/x.md:3: no code has the span a.c"},
		{"a line that is not logged", `log "unsaid"`, "docs/x.md:2: no code has the log unsaid"},
		{"a table that is not made", "tables `rows` and `cols`", "docs/x.md:2: no migration makes the table cols"},
		{"an invariant that there is not", "holds (I9)", "docs/x.md:2: docs/invariants.md has no I9 that holds"},
		{"an invariant that does not hold yet", "holds (I2)", "docs/x.md:2: docs/invariants.md has no I2 that holds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := guide{name: "docs/x.md", text: good + "\n" + c.line, files: map[string]string{"p/a.go": code},
				migrations: "CREATE TABLE IF NOT EXISTS rows (", invariants: "\n| I1 | x\n| I2 | (with the federated core) x"}
			if got := strings.Join(g.stale(), "\n"); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}
