package archtest

import (
	"strings"
	"testing"
)

// TestTree holds the whole tree against every rule.
func TestTree(t *testing.T) {
	for _, v := range violations(tree(t)) {
		t.Error(v)
	}
}

// TestPurePackagesExist keeps the list from naming what is gone.
func TestPurePackagesExist(t *testing.T) {
	pkgs := tree(t)
	for _, dir := range pure {
		if pkgs[dir] == nil {
			t.Errorf("%s is listed as pure and does not exist", dir)
		}
	}
}

// TestEveryRuleBites plants one violation of each rule.
func TestEveryRuleBites(t *testing.T) {
	for _, c := range []struct {
		name string
		pkgs []*pkg
		want string
	}{
		{"a plane imports its sibling", []*pkg{{dir: "admin/service", imports: []string{module + "scheduler/commit"}}}, "admin may import only"},
		{"words import a plane", []*pkg{{dir: "api/flow", imports: []string{module + "admin/store"}}}, "api may import only"},
		{"a child imports its root", []*pkg{{dir: "scheduler/commit", imports: []string{module + "scheduler"}}}, "plane's root"},
		{"an unknown folder", []*pkg{{dir: "pkg/x"}}, "no top-level folder"},
		{"a pure package reads the clock", []*pkg{{dir: "scheduler/placement", calls: []string{"time.Now"}}}, "time.Now"},
		{"a pure package takes a context", []*pkg{{dir: "admin/lifecycle", imports: []string{"context"}}}, "imports context"},
		{"purity is lost through a neighbour", []*pkg{
			{dir: "admin/compile", imports: []string{module + "api/fault"}},
			{dir: "api/fault", imports: []string{"os"}}}, "admin/compile is pure but api/fault imports os"},
		{"the CLI reaches raft", []*pkg{
			{dir: "cmd/skein", imports: []string{module + "scheduler/election"}},
			{dir: "scheduler/election", imports: []string{"github.com/hashicorp/raft"}}}, "cmd/skein reaches github.com/hashicorp/raft"},
		{"a program reaches what breaks federations", []*pkg{{dir: "cmd/internal/assemble", imports: []string{module + "chaos/inject"}}}, "is in no program"},
		{"admin imports the object store", []*pkg{{dir: "admin/service", imports: []string{module + "plugins/blob"}}}, "through a port"},
		{"a second package opens the database", []*pkg{{dir: "admin/ingest", imports: []string{"github.com/jackc/pgx/v5"}}}, "only [admin/store"},
		{"upstream's own packages are linked", []*pkg{{dir: "admin/service", imports: []string{"github.com/flyteorg/flyte/flyteidl"}}}, "flyteorg"},
		{"a file has outgrown its room", []*pkg{{dir: "admin/service", lines: map[string]int{"a.go": 401}}}, "at most 400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			planted := map[string]*pkg{}
			for _, p := range c.pkgs {
				planted[p.dir] = p
			}
			if got := strings.Join(violations(planted), "\n"); !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q in it", got, c.want)
			}
		})
	}
}
