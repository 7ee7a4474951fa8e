package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/skein-project/skein/"

// pkg is one package of the tree: its folder, its imports, and the calls that
// a pure package must not make.
type pkg struct {
	dir     string
	imports []string
	calls   []string
	lines   map[string]int // hand-written file → lines
}

// tree parses every non-test Go file of the module.
func tree(t *testing.T) map[string]*pkg {
	t.Helper()
	root := filepath.Join("..", "..", "..")
	pkgs := map[string]*pkg{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipForeign(root, path, d)
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		if pkgs[dir] == nil {
			pkgs[dir] = &pkg{dir: dir, lines: map[string]int{}}
		}
		return pkgs[dir].read(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

func (p *pkg) read(path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ParseComments)
	if err != nil {
		return err
	}
	if !ast.IsGenerated(file) {
		p.lines[filepath.Base(path)] = strings.Count(string(src), "\n")
	}
	for _, i := range file.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		p.imports = append(p.imports, name)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := call.X.(*ast.Ident); ok {
				p.calls = append(p.calls, x.Name+"."+call.Sel.Name)
			}
		}
		return true
	})
	return nil
}

// skipForeign keeps the walk out of hidden folders and of nested modules.
func skipForeign(root, path string, d fs.DirEntry) error {
	if path == root {
		return nil
	}
	if strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}
