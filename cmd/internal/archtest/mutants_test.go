package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	invariantRow = regexp.MustCompile(`(?m)^\| I[0-9]+ \|.*\| ([^|]*) \|$`)
	mutantNamed  = regexp.MustCompile("`([a-z]+(?:-[a-z]+)+)`")
)

// mistakes are the mutants of a tree, each with where it was first seen.
type mistakes struct {
	made   map[string]string // mutant.On("name") in code
	listed map[string]string // `var mutants` of the package of a TestMutantsAreCaught
	rules  map[string]string // the rules that chaos/model leaves out; they are no code
	named  map[string]string // in the last column of docs/invariants.md
	wrong  []string          // what cannot be read
}

// readMistakes reads Go files by path, and the page of the invariants.
func readMistakes(files map[string]string, page string) mistakes {
	m := mistakes{made: map[string]string{}, listed: map[string]string{}, rules: map[string]string{}, named: map[string]string{}}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		tree, err := parser.ParseFile(token.NewFileSet(), "", files[file], parser.SkipObjectResolution)
		if err != nil {
			m.wrong = append(m.wrong, file+": "+err.Error())
			continue
		}
		m.calls(file, tree)
		switch {
		case path.Base(file) == "mutants_test.go" && strings.Contains(files[file], "func TestMutantsAreCaught("):
			strs(variable(tree, "mutants"), false, file, m.listed)
		case path.Dir(file) == "chaos/model":
			strs(variable(tree, "rules"), true, file, m.rules)
		}
	}
	for _, row := range invariantRow.FindAllStringSubmatch(page, -1) {
		for _, name := range mutantNamed.FindAllStringSubmatch(row[1], -1) {
			m.named[name[1]] = "docs/invariants.md"
		}
	}
	return m
}

// calls finds the mutants that a file makes.
func (m *mistakes) calls(file string, tree *ast.File) {
	ast.Inspect(tree, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if on, ok := call.Fun.(*ast.SelectorExpr); !ok || on.Sel.Name != "On" || fmt.Sprint(on.X) != "mutant" {
			return true
		}
		if name, ok := str(call.Args[0]); ok {
			m.made[name] = file
		} else {
			m.wrong = append(m.wrong, file+" asks for a mutant whose name is no literal")
		}
		return true
	})
}

// variable is the literal that a package's variable begins with.
func variable(tree *ast.File, name string) ast.Expr {
	for _, d := range tree.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, spec := range d.Specs {
			if spec, ok := spec.(*ast.ValueSpec); ok && spec.Names[0].Name == name && len(spec.Values) == 1 {
				return spec.Values[0]
			}
		}
	}
	return nil
}

// strs adds the names in a literal: the elements of a slice, the values of a
// map, or its keys. A map of maps has its names one level further in.
func strs(e ast.Expr, values bool, file string, into map[string]string) {
	list, ok := e.(*ast.CompositeLit)
	if !ok {
		return
	}
	for _, e := range list.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		switch {
		case !ok:
		case values:
			e = pair.Value
		default:
			e = pair.Key
			if inner, ok := pair.Value.(*ast.CompositeLit); ok && keyed(inner) {
				strs(inner, values, file, into)
				continue
			}
		}
		if name, ok := str(e); ok {
			into[name] = file
		}
	}
}

func keyed(l *ast.CompositeLit) bool {
	return len(l.Elts) > 0 && slices.ContainsFunc(l.Elts, func(e ast.Expr) bool { _, ok := e.(*ast.KeyValueExpr); return ok })
}

func str(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// loose lists what is in one place and not in the other.
func (m mistakes) loose() []string {
	found := slices.Clone(m.wrong)
	missing := func(from map[string]string, problem string, in ...map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(from)) {
			if !slices.ContainsFunc(in, func(to map[string]string) bool { return to[name] != "" }) {
				found = append(found, fmt.Sprintf("%s: "+problem, from[name], name))
			}
		}
	}
	missing(m.made, "no TestMutantsAreCaught lists the mutant %s", m.listed)
	missing(m.listed, "no code makes the mutant %s", m.made)
	missing(m.listed, "docs/invariants.md does not name the mutant %s", m.named)
	missing(m.named, "neither a mutant nor a rule of chaos/model is called %s", m.made, m.rules)
	return found
}

// TestMutants holds the mutants in the code, the lists of those that are shown
// to be caught, docs/invariants.md and `make mutants` to each other.
func TestMutants(t *testing.T) {
	files := map[string]string{}
	goFiles(t, func(rel, text string) {
		if !strings.HasPrefix(rel, "cmd/internal/archtest/") {
			files[rel] = text
		}
	})
	m := readMistakes(files, read(t, "docs/invariants.md"))
	for _, problem := range m.loose() {
		t.Error(problem)
	}
	if len(m.made) < 30 || len(m.rules) < 30 || len(m.named) < 30 {
		t.Errorf("only %d mutants, %d rules and %d names were found: the reading is wrong", len(m.made), len(m.rules), len(m.named))
	}
	_, target, _ := strings.Cut(read(t, "Makefile"), "\nmutants:")
	target, _, _ = strings.Cut(target, "\n\n")
	for file := range maps.Values(m.listed) {
		if !slices.Contains(strings.Fields(target), "./"+path.Dir(file)) {
			t.Errorf("make mutants leaves out %s", path.Dir(file))
		}
	}
}

// TestALooseMutantIsNoticed plants one mistake of each kind.
func TestALooseMutantIsNoticed(t *testing.T) {
	const code = "package p\n\nfunc f() bool { return mutant.On(\"told-twice\") || mutant.On(\"lost-it\") }\n"
	const list = "package p\n\nvar mutants = map[string]map[string][]string{\"./q\": {\"told-twice\": {\"TestX\"}}, \".\": {\"lost-it\": {\"TestY\"}}}\n\nfunc TestMutantsAreCaught() {}\n"
	const model = "package model\n\nvar rules = map[Rule]string{A: \"not-modelled\"}\n"
	const page = "| I1 | x | y | z `other-word` | `told-twice`, `lost-it` |\n| I2 | x | y | z | `not-modelled` |\n"
	for _, c := range []struct{ name, code, list, page, want string }{
		{"all is well", code, list, page, ""},
		{"a list that is a slice", code, "package p\n\nvar mutants = []string{\"told-twice\", \"lost-it\"}\n\nfunc TestMutantsAreCaught() {}\n", page, ""},
		{"a list by test", code, "package p\n\nvar mutants = map[string]string{\"told-twice\": \"TestX\", \"lost-it\": \"TestY\"}\n\nfunc TestMutantsAreCaught() {}\n", page, ""},
		{"a mutant in no list", code + "\nvar x = mutant.On(\"dead-one\")\n", list, page, "p/a.go: no TestMutantsAreCaught lists the mutant dead-one"},
		{"a mutant that only a comment has", strings.Replace(code, "mutant.On(\"lost-it\")", "true // mutant.On(\"lost-it\")\n", 1), list, page,
			"p/mutants_test.go: no code makes the mutant lost-it\ndocs/invariants.md: neither a mutant nor a rule of chaos/model is called lost-it"},
		{"a mutant of no invariant", code, list, strings.Replace(page, ", `lost-it`", "", 1), "p/mutants_test.go: docs/invariants.md does not name the mutant lost-it"},
		{"a name that is put together", code + "\nvar x = mutant.On(\"a\" + \"b\")\n", list, page, "p/a.go asks for a mutant whose name is no literal"},
		{"an invariant with what is gone", code, list, page + "| I3 | x | y | z | `gone-now` |\n", "docs/invariants.md: neither a mutant nor a rule of chaos/model is called gone-now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"p/a.go": c.code, "p/mutants_test.go": c.list, "chaos/model/options.go": model}
			if got := strings.Join(readMistakes(files, c.page).loose(), "\n"); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}
