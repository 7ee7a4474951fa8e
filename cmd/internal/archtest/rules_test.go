package archtest

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// mayImport lists, for each top-level folder, the folders it may import. A
// folder may always import itself. Anything else is a layering error.
var mayImport = map[string][]string{
	"api":        {},
	"plugins":    {"api"},
	"admin":      {"api"},
	"scheduler":  {"api"},
	"federation": {"api"},
	"propeller":  {"api", "plugins"},
	"deploy":     {"api"},
	"chaos":      {"api", "admin", "scheduler", "federation", "propeller", "plugins", "deploy"},
	"cmd":        {"api", "admin", "scheduler", "federation", "propeller", "plugins", "deploy", "chaos"},
}

// pure packages decide; they do no I/O, keep no time and speak to nobody, and
// nor does anything of ours that they import.
var pure = []string{
	"api/flow", "admin/compile", "admin/lifecycle", "scheduler/placement", "scheduler/simulate", "scheduler/policy", "scheduler/health",
	"federation/session", "propeller/workflow",
}

var impureImports = []string{"context", "net", "net/http", "os", "os/exec", "database/sql", "math/rand", "math/rand/v2",
	"google.golang.org/grpc", "sigs.k8s.io/controller-runtime", "k8s.io/client-go", "github.com/jackc/pgx/v5"}

var impureCalls = []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.NewTimer", "time.NewTicker", "rand.Int"}

// bans keep one kind of dependency in one place: what may not reach it, why,
// and the one package through which it may (docs/adr).
var bans = []struct{ under, imports, why, except string }{
	{"cmd/skein", "github.com/hashicorp/raft", "the CLI reads what was stored; it takes no part in elections", ""},
	{"cmd/skein", "github.com/jackc/pgx/v5", "the CLI speaks to the API, never to the database", "deploy/local/database"},
	{"cmd/skein", "sigs.k8s.io/controller-runtime", "the CLI reconciles nothing", ""},
	{"cmd/skein", module + "chaos", "what breaks federations is in no program", ""},
	{"cmd/internal/assemble", module + "chaos", "what breaks federations is in no program", ""},
	{"admin", module + "plugins", "object stores reach admin through a port that assemble fills", ""},
	{"deploy", "sigs.k8s.io/controller-runtime", "deploy/local starts parts and takes no part in them", ""},
}

// onlyUnder keeps a dependency to one folder.
var onlyUnder = []struct {
	imports string
	under   []string
}{
	{"github.com/jackc/pgx/v5", []string{"admin/store", "deploy/local/database", "deploy/local/localtest", "cmd/internal/bench", "chaos/inject/pgwire"}},
	{"github.com/hashicorp/raft", []string{"scheduler/election"}},
	{"github.com/flyteorg/", nil},
}

// violations checks a tree against every rule, in a stable order.
func violations(pkgs map[string]*pkg) []string {
	var found []string
	for _, p := range pkgs {
		found = append(found, layers(p)...)
		found = append(found, banned(pkgs, p)...)
		found = append(found, confined(p)...)
		for file, n := range p.lines {
			if n > 400 {
				found = append(found, fmt.Sprintf("%s/%s has %d lines: a hand-written file has at most 400", p.dir, file, n))
			}
		}
	}
	for _, dir := range pure {
		found = append(found, impure(pkgs, dir)...)
	}
	sort.Strings(found)
	return found
}

func layers(p *pkg) []string {
	var found []string
	top, _, _ := strings.Cut(p.dir, "/")
	allowed, known := mayImport[top]
	if !known {
		return []string{p.dir + " is in no top-level folder of the architecture"}
	}
	for _, imp := range p.imports {
		to, ours := strings.CutPrefix(imp, module)
		if !ours {
			continue
		}
		toTop, _, _ := strings.Cut(to, "/")
		if toTop != top && !slices.Contains(allowed, toTop) {
			found = append(found, fmt.Sprintf("%s imports %s: %s may import only %v", p.dir, to, top, allowed))
		}
		if to == toTop && p.dir != to && toTop == top && to != "plugins" {
			found = append(found, fmt.Sprintf("%s imports its plane's root %s: children never import the root", p.dir, to))
		}
	}
	return found
}

// impure follows imports inside the module, so that purity is not lost through
// a neighbour.
func impure(pkgs map[string]*pkg, dir string) []string {
	var found []string
	for _, p := range reach(pkgs, dir) {
		if strings.HasPrefix(p.dir, "api/flyteidl/") {
			continue // generated messages; their service packages are never imported by pure ones
		}
		if p.dir == "api/mutant" {
			continue // a constant in every build but the one that shows what the tests notice
		}
		for _, imp := range p.imports {
			for _, bad := range impureImports {
				if imp == bad || strings.HasPrefix(imp, bad+"/") && strings.Contains(bad, ".") {
					found = append(found, fmt.Sprintf("%s is pure but %s imports %s", dir, p.dir, imp))
				}
			}
		}
		for _, call := range p.calls {
			if slices.Contains(impureCalls, call) {
				found = append(found, fmt.Sprintf("%s is pure but %s uses %s: take the time as data", dir, p.dir, call))
			}
		}
	}
	return found
}

func reach(pkgs map[string]*pkg, dir string) []*pkg {
	seen, list := map[string]bool{}, []*pkg{}
	var visit func(string)
	visit = func(d string) {
		p := pkgs[d]
		if p == nil || seen[d] {
			return
		}
		seen[d] = true
		list = append(list, p)
		for _, imp := range p.imports {
			if to, ours := strings.CutPrefix(imp, module); ours {
				visit(to)
			}
		}
	}
	visit(dir)
	return list
}

func banned(pkgs map[string]*pkg, p *pkg) []string {
	var found []string
	for _, ban := range bans {
		if p.dir != ban.under && !strings.HasPrefix(p.dir, ban.under+"/") {
			continue
		}
		for _, q := range reach(pkgs, p.dir) {
			for _, imp := range q.imports {
				if q.dir == ban.except {
					continue
				}
				if imp == ban.imports || strings.HasPrefix(imp, ban.imports+"/") {
					found = append(found, fmt.Sprintf("%s reaches %s through %s: %s", p.dir, imp, q.dir, ban.why))
				}
			}
		}
	}
	return found
}

func confined(p *pkg) []string {
	var found []string
	for _, rule := range onlyUnder {
		for _, imp := range p.imports {
			if !strings.HasPrefix(imp, rule.imports) {
				continue
			}
			if !slices.ContainsFunc(rule.under, func(u string) bool { return p.dir == u || strings.HasPrefix(p.dir, u+"/") }) {
				found = append(found, fmt.Sprintf("%s imports %s: only %v may", p.dir, imp, rule.under))
			}
		}
	}
	return found
}
