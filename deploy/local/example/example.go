// Package example is a small flytekit project, as a workflow author has one:
// three tasks, one of which fails once, a file and a deck. README.md beside
// it says how to run it by hand.
//
// It is data, not code of Skein: `skein demo --flytekit` registers and runs it
// with the real pyflyte. Invariant: what is embedded is what the README shows.
package example

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
)

// Package is the Python package of the project; Workflow its workflow, in File.
const (
	Package  = "bouquet"
	File     = "bouquet/workflow.py"
	Workflow = "arrange"
)

//go:embed README.md bouquet/*.py
var files embed.FS

// Write puts the project into the folder, over what an earlier call has put
// there.
func Write(dir string) error {
	return fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o644)
	})
}
