package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var root = filepath.Join("..", "..", "..")

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	quoted  = regexp.MustCompile("`([^`\n]+)`")
	treeRef = regexp.MustCompile(`^((?:cmd|api|admin|scheduler|federation|propeller|plugins|deploy|docs)(?:/[\w.-]+)+)/?(?:: (Test\w+))?$`)
	testRef = regexp.MustCompile(`^Test\w+$`)
	target  = regexp.MustCompile("`?\\bmake ([a-z]+)`")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	cited   = regexp.MustCompile(`contract (?:section )?([0-9]+(?:\.[0-9]+)?(?:, [0-9]+\.[0-9]+)*)`)
)

// pages reads README.md and everything in docs.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"README.md": read(t, "README.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		rel, err := filepath.Rel(root, path)
		out[filepath.ToSlash(rel)] = read(t, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, rel string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, rel))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func exists(rel string) bool {
	_, err := os.Stat(filepath.Join(root, rel))
	return err == nil
}

// TestDocsLink demands that every relative link leads to a file, and to a
// heading of it if it names one.
func TestDocsLink(t *testing.T) {
	all := pages(t)
	for page, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			to := page
			if file != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(page), file))
			}
			if !exists(to) {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			} else if anchor != "" && !anchors(all[to])[anchor] {
				t.Errorf("%s links to %s, which has no such heading", page, m[1])
			}
		}
	}
}

// anchors are the names that headings have in links.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(name, " ", "-")] = true
	}
	return out
}

// TestDocsNameWhatExists demands that every path of this tree that a page puts
// in backticks is there, with the symbol after its dot if it has one; that
// every test is; and that every target of make is.
func TestDocsNameWhatExists(t *testing.T) {
	makefile := read(t, "Makefile")
	tests := everyTest(t)
	for page, text := range pages(t) {
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			if testRef.MatchString(m[1]) && !strings.Contains(tests[""], "func "+m[1]+"(") {
				t.Errorf("%s names %s, which is no test", page, m[1])
			}
			ref := treeRef.FindStringSubmatch(m[1])
			if ref == nil {
				continue
			}
			if !exists(ref[1]) && !declares(t, ref[1]) {
				t.Errorf("%s names %s, which does not exist", page, ref[1])
			}
			if ref[2] != "" && !strings.Contains(tests[ref[1]], "func "+ref[2]+"(") {
				t.Errorf("%s names %s of %s, which is no test of it", page, ref[2], ref[1])
			}
		}
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s names make %s, which is no target", page, m[1])
			}
		}
	}
}

// TestMapOfTheTree demands that README's map names every package of a plane.
func TestMapOfTheTree(t *testing.T) {
	_, text, found := strings.Cut(read(t, "README.md"), "## Map of the tree\n")
	if !found {
		t.Fatal("README.md has no map of the tree")
	}
	for _, plane := range []string{"admin", "scheduler", "federation", "propeller", "plugins"} {
		_, line, _ := strings.Cut(text, "\n    "+plane+"/")
		line, _, _ = strings.Cut(line, "\n")
		entries, err := os.ReadDir(filepath.Join(root, plane))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() && !regexp.MustCompile(`\b`+e.Name()+`\b`).MatchString(line) {
				t.Errorf("the map of the tree in README.md does not name %s/%s", plane, e.Name())
			}
		}
	}
}

// everyTest is the text of the test files by package, and of all at "".
func everyTest(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	goFiles(t, func(rel, text string) {
		if strings.HasSuffix(rel, "_test.go") {
			out[filepath.ToSlash(filepath.Dir(rel))] += text
			out[""] += text
		}
	})
	return out
}

// declares reports whether "dir/pkg.Name" is something that dir/pkg declares.
func declares(t *testing.T, ref string) bool {
	t.Helper()
	i := strings.LastIndex(ref, ".")
	if i < 0 || !exists(ref[:i]) {
		return false
	}
	name := regexp.MustCompile(`(?m)^(func|type|var|const|\t)\s*(\([^)]*\) )?` + ref[i+1:] + `\b`)
	files, err := filepath.Glob(filepath.Join(root, ref[:i], "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if raw, err := os.ReadFile(f); err == nil && name.Match(raw) {
			return true
		}
	}
	return false
}

// TestContractIsThere demands that docs/contract.md has every section that a
// comment cites.
func TestContractIsThere(t *testing.T) {
	page := read(t, "docs/contract.md")
	n := 0
	goFiles(t, func(rel, text string) {
		if strings.Contains(rel, "archtest") {
			return
		}
		for _, m := range cited.FindAllStringSubmatch(text, -1) {
			for _, section := range strings.Split(m[1], ", ") {
				n++
				if !strings.Contains(page, "\n## "+section+" ") && !strings.Contains(page, "\n**"+section+"** ") {
					t.Errorf("%s cites contract %s, which docs/contract.md lacks", rel, section)
				}
			}
		}
	})
	if n == 0 {
		t.Error("nothing cites the contract: the pattern is wrong")
	}
}

func goFiles(t *testing.T, each func(rel, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipForeign(root, path, d)
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		each(rel, read(t, rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// everyMigration is the text of the database's migrations.
func everyMigration(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "admin", "store", "migrations", "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	var out []string
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(raw))
	}
	return out
}
